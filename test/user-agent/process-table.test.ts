// SPDX-License-Identifier: MIT
// Goal: a lock is held by the process that took it and by no later one of the same number. Method: /proc as a table of texts.

import { expect, test } from "vitest";
import { type ProcessFacts, processTable } from "../../src/user-agent/process-table.ts";

const BOOT = "7f3c";
const BOOT_FILE = "/proc/sys/kernel/random/boot_id";

/** The kernel's line of a process: 52 fields, its name as it likes. */
function statOf(name: string, state: string, startTicks: number): string {
  const after = [state, ...Array.from({ length: 18 }, (_, at) => at), startTicks, 0, 0];
  return `7 (${name}) ${after.join(" ")}\n`;
}

function tableOf(texts: Readonly<Record<string, string>>, facts: Partial<ProcessFacts> = {}) {
  return processTable({
    pid: 7,
    isThere: () => true,
    readText: (path) => texts[path] ?? "",
    ...facts,
  });
}

const holder = { pid: 7, startTicks: "4711", bootId: BOOT };

test.each(["sh", "a b", "(x) 1 Z", ") Z 1 2"])("a process named %j is found, and itself", (name) => {
  const table = tableOf({ [BOOT_FILE]: `${BOOT}\n`, "/proc/7/stat": statOf(name, "S", 4711) });
  expect(table.self()).toEqual(holder);
  expect(table.isRunning(holder)).toBe(true);
});

test.each([
  ["was started at another time", { "/proc/7/stat": statOf("sh", "S", 4712) }, {}],
  ["is dead and waits for its parent", { "/proc/7/stat": statOf("sh", "Z", 4711) }, {}],
  ["is being ended", { "/proc/7/stat": statOf("sh", "X", 4711) }, {}],
  ["is gone", {}, { isThere: () => false }],
  ["was of another boot", { [BOOT_FILE]: "another", "/proc/7/stat": statOf("sh", "S", 4711) }, {}],
] as const)("one that %s does not run", (_, texts, facts) => {
  expect(tableOf({ [BOOT_FILE]: BOOT, ...texts }, facts).isRunning(holder)).toBe(false);
});

test("one that runs and cannot be looked at counts as the holder", () => {
  expect(tableOf({ [BOOT_FILE]: BOOT }).isRunning(holder)).toBe(true);
});

test("without /proc the number has to do", () => {
  const self = tableOf({}).self();
  expect(self).toEqual({ pid: 7, startTicks: "", bootId: "" });
  expect(tableOf({}).isRunning(self)).toBe(true);
});
