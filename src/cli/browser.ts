// SPDX-License-Identifier: MIT
/** Opening a link that is a secret in the desktop's browser. */

import { spawn } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CommandError, EXIT } from "../configuration/exit.ts";

/** True where a browser would open before the person who started us, and not on a machine they are logged in to from afar. */
export function hasDesktop(environment: NodeJS.ProcessEnv): boolean {
  if (environment.SSH_CONNECTION !== undefined) return false;
  if (process.platform !== "linux") return process.platform === "darwin" || process.platform === "win32";
  return Boolean(environment.DISPLAY) || Boolean(environment.WAYLAND_DISPLAY);
}

/**
 * Opens `url` by way of a page in `directory` that only we can read: every local user sees the arguments of a browser.
 *
 * @throws {CommandError} 1 when the desktop does not take it
 */
export async function openPrivately(url: string, directory: string): Promise<void> {
  const page = join(directory, "dashboard.html");
  rmSync(page, { force: true });
  const target = url.replace(/[&"<>]/g, (character) => `&#${character.charCodeAt(0)};`);
  writeFileSync(page, `<!doctype html><meta http-equiv="refresh" content="0; url=${target}">\n`, {
    mode: 0o600,
    flag: "wx",
  });
  const [program, ...args] = OPENERS[process.platform] ?? ["xdg-open"];
  const isOpen = await new Promise<boolean>((resolve) => {
    // It ends once the browser has taken the page; some openers are the browser, and stay.
    const child = spawn(program ?? "", [...args, pathToFileURL(page).href], {
      stdio: "ignore",
      detached: true,
    });
    const timer = setTimeout(() => resolve(true), OPENER_TIMEOUT_MS);
    const finish = (isDone: boolean): void => {
      clearTimeout(timer);
      resolve(isDone);
    };
    child.on("error", () => finish(false));
    child.on("exit", (code) => finish(code === 0));
    child.unref();
  });
  if (!isOpen) throw new CommandError(EXIT.failure, `no browser could be opened (${program})`);
}

/** After this much time without a failure it has worked. */
const OPENER_TIMEOUT_MS = 3_000;

const OPENERS: Readonly<Record<string, readonly string[]>> = {
  darwin: ["open"],
  win32: ["cmd", "/c", "start", ""],
};
