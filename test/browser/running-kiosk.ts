// SPDX-License-Identifier: MIT
/** `examples/kiosk` as it is run, its Chromium without a screen and watched through a debugging port that only tests open. No tests here. */

import { existsSync, mkdirSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Frame, type Page } from "playwright-core";
import type { Program, Stage } from "../end-to-end/stage.ts";
import { BROWSER_WAIT_MS_MAX, CHROMIUM, CHROMIUM_FLAGS, chromiumEnvironment } from "./chromium.ts";

const LAUNCHER = fileURLToPath(new URL("../../examples/kiosk/kiosk.mjs", import.meta.url));
/** Chromium's own name: the port, and a path. */
const PORT_FILE = "DevToolsActivePort";

export interface RunningKioskOptions {
  /** The agent's. */
  readonly state: string;
  readonly data: string;
  /** Of the page; 0 for a free one. */
  readonly port: number;
  /** More flags for Chromium. */
  readonly flags?: readonly string[];
}

export class RunningKiosk {
  readonly program: Program;
  /** The page's. */
  readonly origin: string;
  /** The shell, with the page in a frame. */
  readonly page: Page;

  private constructor(program: Program, origin: string, page: Page) {
    this.program = program;
    this.origin = origin;
    this.page = page;
  }

  static async start(stage: Stage, options: RunningKioskOptions): Promise<RunningKiosk> {
    const { state, data, port, flags = [] } = options;
    const profile = join(data, "profile");
    mkdirSync(profile, { recursive: true });
    const listening = appearance(profile, PORT_FILE);
    const program = startLauncher(stage, [
      ...["--state", state, "--data", data, "--port", String(port), "--chromium", CHROMIUM ?? ""],
      // Root has no sandbox, and many a container has none for others either; the pages are our own.
      ...["--", "--headless=new", "--no-sandbox", "--remote-debugging-port=0", ...CHROMIUM_FLAGS, ...flags],
    ]);
    const ready = await program.stderr.match(/page at /);
    const [debuggingPort = ""] = readFileSync(await listening, "utf8").split("\n");
    const browser = await chromium.connectOverCDP(`http://127.0.0.1:${debuggingPort}`);
    stage.defer(() => browser.close());
    const [context] = browser.contexts();
    const page = context?.pages()[0] ?? (await context?.waitForEvent("page"));
    if (page === undefined) throw new Error("the browser has no page");
    page.setDefaultTimeout(BROWSER_WAIT_MS_MAX);
    return new RunningKiosk(program, ready.replace(/^.*page at /, ""), page);
  }

  /** What is in the frame, once it is a page of that origin. */
  async frame(origin = this.origin): Promise<Frame> {
    const find = () => this.page.frames().find((frame) => frame.url().startsWith(`${origin}/`));
    const found =
      find() ?? (await this.page.waitForEvent("framenavigated", { predicate: () => find() !== undefined }));
    return found as Frame;
  }

  /** What the page says of its subscription. */
  async says(text: string): Promise<void> {
    await this.page.frameLocator("#frame").locator("#state", { hasText: text }).waitFor();
  }

  press(name: string): Promise<void> {
    return this.page.getByRole("button", { name, exact: true }).click();
  }

  pressInPage(name: string): Promise<void> {
    return this.page.frameLocator("#frame").getByRole("button", { name, exact: true }).click();
  }
}

/** The launcher with these arguments, whatever comes of it. */
export function startLauncher(stage: Stage, args: readonly string[]): Program {
  const env = { ...stage.environment({}), ...chromiumEnvironment(stage.newDirectory()) };
  return stage.start("kiosk", [process.execPath, LAUNCHER, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env,
  });
}

/** Resolves to the file's path once it is written. */
function appearance(directory: string, name: string): Promise<string> {
  const path = join(directory, name);
  return new Promise((resolve, reject) => {
    const watcher = watch(directory, () => look());
    const timer = setTimeout(
      () => settle(() => reject(new Error(`time is up before ${name}`))),
      BROWSER_WAIT_MS_MAX,
    );
    const settle = (done: () => void): void => {
      clearTimeout(timer);
      watcher.close();
      done();
    };
    const look = (): void => {
      if (existsSync(path) && readFileSync(path, "utf8").includes("\n")) settle(() => resolve(path));
    };
  });
}
