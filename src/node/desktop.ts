// SPDX-License-Identifier: MIT
/** The desktop of the session that this process belongs to: its bus, and its browser. */

import { spawn } from "node:child_process";
import { GodwitError } from "../errors.ts";
import { DesktopDisplay, type DesktopOptions } from "../user-agent/desktop-display.ts";
import { SessionBus } from "./session-bus.ts";

/** @param environment names the session bus, and finds `xdg-open` */
export function createDesktopDisplay(
  handlers: Pick<DesktopOptions, "onActivate" | "onDismiss">,
  environment: NodeJS.ProcessEnv = process.env,
): DesktopDisplay {
  return new DesktopDisplay({
    ...handlers,
    connect: (busHandlers) => SessionBus.connect(environment, busHandlers),
    openUrl: (url) => openUrl(url, environment),
  });
}

/** @throws {GodwitError} ERR_DISPLAY when there is no `xdg-open`, or it finds no browser */
function openUrl(url: string, environment: NodeJS.ProcessEnv): Promise<void> {
  return new Promise((resolve, reject) => {
    // An absolute http or https URL: never taken for an option, and no shell reads it.
    const child = spawn("xdg-open", [url], { env: environment, stdio: "ignore", detached: true });
    child.on("error", () => reject(new GodwitError("ERR_DISPLAY", "a link cannot be opened: no xdg-open")));
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new GodwitError("ERR_DISPLAY", "a link cannot be opened: xdg-open failed"));
    });
    child.unref();
  });
}
