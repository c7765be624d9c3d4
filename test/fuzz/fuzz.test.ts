// SPDX-License-Identifier: MIT
// Goal: what the fuzzers once found stays mended, and the fuzzers find things. Method: the script that runs them, on all inputs of
// corpus and regressions; and, searching, on defects that are planted. What is new is searched for in the long run: it would
// fail by chance here.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const TARGETS = readdirSync("test/fuzz/targets").map((file) => file.replace(/\.ts$/, ""));

function fuzz(...args: readonly string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync("node", ["scripts/fuzz.mjs", ...args], { encoding: "utf8" });
  return { status, output: stdout + stderr };
}

test("every target: known inputs", () => {
  const { status, output } = fuzz("ts", "--seconds", "0");
  expect(output).not.toMatch(/FOUND/);
  for (const target of TARGETS) expect(output).toMatch(new RegExp(`^${target}: \\d+ executions`, "m"));
  expect(status).toBe(0);
}, 120_000);

test("a planted defect is found, made small, and found again in its file; one that hangs too", () => {
  const { status, output } = fuzz(
    "test/fuzz/planted.ts",
    "--seconds",
    "20",
    "--seed",
    "1",
    "--hang-ms",
    "2000",
  );
  expect(status).toBe(1);
  expect(output).toMatch(/FOUND RangeError: an odd key/);
  expect(output).toMatch(/FOUND an input that is not read within 2000 ms/);
  const file = /--replay (\S+)/.exec(output)?.[1] ?? "";
  expect(readFileSync(file).length).toBeLessThan(40);
  const again = fuzz("test/fuzz/planted.ts", "--replay", file);
  expect(again.output).toMatch(/FOUND RangeError: an odd key/);
  expect(again.status).toBe(1);
}, 60_000);
