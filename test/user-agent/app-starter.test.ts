// SPDX-License-Identifier: MIT
// Goal: an app that has something waiting is started, once at a time, ever less often when it fails, and ends with the agent. Method: real
// processes; the clock is a fake one, and time passes only where a test says so.

import { mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  START_AFTER_INSTALL_MS,
  START_INTERVAL_MS_MAX,
  START_INTERVAL_MS_MIN,
  START_TRIES_MAX,
} from "../../src/limits.ts";
import { createNodePlatform } from "../../src/node/platform.ts";
import { nodeProcesses } from "../../src/node/processes.ts";
import { AppStarter } from "../../src/user-agent/app-starter.ts";

let directory: string;
let starter: AppStarter;
const faults: string[] = [];
let fault: (() => void) | null = null;
const commands = new Map<string, readonly string[]>();

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  directory = mkdtempSync(join(tmpdir(), "godwit-starter-"));
  faults.length = 0;
  commands.clear();
  starter = new AppStarter({
    platform: createNodePlatform(),
    processes: nodeProcesses,
    find: (owner) => {
      const start = commands.get(owner);
      return start === undefined ? null : { owner, start, tokenFile: null };
    },
    socketPath: join(directory, "app.sock"),
    handleFault: (text) => {
      faults.push(text);
      fault?.();
    },
  });
});
afterEach(async () => {
  vi.useRealTimers();
  await starter.close();
  rmSync(directory, { recursive: true });
});

/** Resolves with the next report of a start in vain. */
async function nextFault(): Promise<string | undefined> {
  await new Promise<void>((resolve) => {
    fault = resolve;
  });
  return faults.at(-1);
}

/** A program that writes its process number to a file and stays; resolves with the number, read once it is complete. */
function staying(name: string) {
  const path = join(directory, name);
  writeFileSync(path, "");
  const script = `require("fs").writeFileSync(${JSON.stringify(path)}, process.pid + "\\n"); setInterval(() => {}, 1e6)`;
  const pid = new Promise<number>((resolve) => {
    const watcher = watch(path, () => {
      const text = readFileSync(path, "utf8");
      if (!text.endsWith("\n")) return;
      watcher.close();
      resolve(Number(text));
    });
  });
  return { command: [process.execPath, "-e", script], pid };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("one that fails is started again twice as late each time, so many times, and then left alone", async () => {
  commands.set("an-app", [process.execPath, "-e", "process.exit(3)"]);
  starter.start("an-app");
  expect(await nextFault()).toBe("an-app ended without attaching (exit code 3)");
  for (let i = 1; i < START_TRIES_MAX; i++) {
    const intervalMs = Math.min(START_INTERVAL_MS_MIN * 2 ** i, START_INTERVAL_MS_MAX);
    vi.advanceTimersByTime(intervalMs - 1);
    expect(faults).toHaveLength(i);
    const next = nextFault();
    vi.advanceTimersByTime(1);
    await next;
  }
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(START_INTERVAL_MS_MAX);
  expect(vi.getTimerCount()).toBe(0);
  expect(faults).toHaveLength(START_TRIES_MAX);
  // Something new waits for it.
  const next = nextFault();
  starter.start("an-app");
  await next;
  expect(faults).toHaveLength(START_TRIES_MAX + 1);
});

test("one that runs is not started again, and not reported once it attached", async () => {
  const { command, pid } = staying("pid");
  commands.set("an-app", command);
  starter.start("an-app");
  const running = await pid;
  starter.start("an-app");
  vi.advanceTimersByTime(START_INTERVAL_MS_MAX);
  expect(readFileSync(join(directory, "pid"), "utf8")).toBe(`${running}\n`);
  starter.handleAttached("an-app");
  vi.useRealTimers();
  await starter.close();
  expect(isRunning(running)).toBe(false);
  expect(faults).toEqual([]);
});

test("a second start comes no sooner than the interval, whoever wants it", async () => {
  commands.set("an-app", [process.execPath, "-e", ""]);
  starter.start("an-app");
  starter.handleAttached("an-app");
  starter.start("an-app");
  expect(vi.getTimerCount()).toBe(0);
  const other = staying("other");
  commands.set("other", other.command);
  starter.start("other");
  const pid = await other.pid;
  expect(isRunning(pid)).toBe(true);
});

test("one that does not end when asked is ended", async () => {
  const path = join(directory, "stubborn");
  const { command, pid } = staying("stubborn");
  const [program = "", flag = "", script = ""] = command;
  commands.set("an-app", [program, flag, `process.on("SIGTERM", () => {}); ${script}`]);
  starter.start("an-app");
  const running = await pid;
  vi.useRealTimers();
  await starter.close();
  expect(isRunning(running)).toBe(false);
  expect(readFileSync(path, "utf8")).toBe(`${running}\n`);
});

test("one that is forgotten and does not end when asked is ended, with or without the agent", async () => {
  const { command, pid } = staying("stubborn");
  const [program = "", flag = "", script = ""] = command;
  commands.set("an-app", [program, flag, `process.on("SIGTERM", () => {}); ${script}`]);
  starter.start("an-app");
  const running = await pid;
  vi.useRealTimers();
  starter.forget("an-app");
  await starter.close();
  expect(isRunning(running)).toBe(false);
});

test("what waits for an app that is installed starts it, when its token is there and what ran before is not", async () => {
  const [before, after] = [staying("before"), staying("after")];
  // Not installed, or not with a command.
  starter.start("an-app");
  commands.set("an-app", before.command);
  starter.handleInstalled("an-app");
  vi.advanceTimersByTime(START_AFTER_INSTALL_MS - 1);
  expect(readFileSync(join(directory, "before"), "utf8")).toBe("");
  vi.advanceTimersByTime(1);
  const first = await before.pid;
  commands.set("an-app", after.command);
  starter.handleInstalled("an-app");
  await vi.waitUntil(() => !isRunning(first), { timeout: 10_000 });
  vi.advanceTimersByTime(START_AFTER_INSTALL_MS);
  expect(isRunning(await after.pid)).toBe(true);
});

test.each([
  ["a program there is not", ["/nonexistent/program"], "ENOENT"],
  ["an argument no program can be given", [process.execPath, "a\0b"], "ERR_INVALID_ARG_VALUE"],
])("%s is reported", async (_, command, code) => {
  commands.set("an-app", command);
  const next = nextFault();
  starter.start("an-app");
  expect(await next).toBe(`an-app could not be started (${code})`);
});

test("nothing is run through a shell", async () => {
  const path = join(directory, "pwned");
  const next = nextFault();
  commands.set("an-app", [process.execPath, "-e", "", `; touch ${path}`, "$(touch pwned)", "`touch pwned`"]);
  starter.start("an-app");
  expect(await next).toBe("an-app ended without attaching (exit code 0)");
  expect(() => readFileSync(path)).toThrow("ENOENT");
});

test("one that is forgotten is ended and not started again", async () => {
  const { command, pid } = staying("pid");
  commands.set("an-app", command);
  starter.start("an-app");
  const running = await pid;
  starter.forget("an-app");
  commands.delete("an-app");
  starter.start("an-app");
  // The one that kills it, should it not end.
  expect(vi.getTimerCount()).toBe(1);
  vi.useRealTimers();
  await vi.waitUntil(() => !isRunning(running), { timeout: 10_000 });
  expect(faults).toEqual([]);
});
