// SPDX-License-Identifier: MIT
/** A real Chromium for tests, without a screen and with a fresh profile; what needs it is skipped where there is none. No tests here. */

import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";

/** Chromium's path, or null where none is installed (apt-get install chromium). */
export const CHROMIUM = findOnPath(["chromium", "chromium-browser", "google-chrome"]);

/** Nothing in a test takes nearly this long; it only makes a failure readable. */
export const BROWSER_WAIT_MS_MAX = 20_000;

/** For a whole test with a browser in it: two cores, and others at work on them. */
export const BROWSER_TEST_MS_MAX = 60_000;

/** What Chromium must not do: go out by itself, fall back to what a test machine has not. Playwright adds more of the kind. */
export const CHROMIUM_FLAGS: readonly string[] = [
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--disable-background-networking",
  "--disable-component-update",
  "--no-first-run",
  "--no-proxy-server",
];

/** A browser that `close()` ends; its profile goes with it. */
export interface TestBrowser {
  readonly browser: Browser;
  /** Chromium's home directory. */
  readonly home: string;
  close(): Promise<void>;
}

/**
 * Starts Chromium.
 *
 * @param flags more of them, for example `--host-resolver-rules=MAP evil.example 127.0.0.1`
 */
export async function launchChromium(flags: readonly string[] = []): Promise<TestBrowser> {
  if (CHROMIUM === null) throw new Error("there is no Chromium: skip this test");
  const home = mkdtempSync(join(tmpdir(), "godwit-chromium-"));
  try {
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      headless: true,
      // Root has no sandbox, and many a container has none for others either; the pages are our own.
      chromiumSandbox: false,
      args: [...CHROMIUM_FLAGS, ...flags],
      env: chromiumEnvironment(home),
      timeout: BROWSER_WAIT_MS_MAX,
    });
    const close = async (): Promise<void> => {
      await browser.close();
      rmSync(home, { recursive: true, force: true, maxRetries: 3 });
    };
    return { browser, home, close };
  } catch (error) {
    rmSync(home, { recursive: true, force: true, maxRetries: 3 });
    throw error;
  }
}

/** Nothing of the machine the tests run on: no settings, no desktop to talk to. */
export function chromiumEnvironment(home: string): Record<string, string> {
  const { PATH = "", TMPDIR = tmpdir() } = process.env;
  return { PATH, TMPDIR, HOME: home, LANG: "C.UTF-8", DBUS_SESSION_BUS_ADDRESS: "disabled:" };
}

export type Scheme = "light" | "dark";

/** A new page, `width` CSS pixels wide, whose waiting ends before the test's. */
export async function newPage(
  browser: Browser,
  { width = 1280, scheme = "light" }: { readonly width?: number; readonly scheme?: Scheme } = {},
): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 640 : 800 },
    colorScheme: scheme,
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(BROWSER_WAIT_MS_MAX);
  return context.newPage();
}

function findOnPath(names: readonly string[]): string | null {
  const directories = (process.env.PATH ?? "").split(delimiter).filter((directory) => directory !== "");
  const paths = names.flatMap((name) => directories.map((directory) => join(directory, name)));
  return paths.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
