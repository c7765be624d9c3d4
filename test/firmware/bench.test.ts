// SPDX-License-Identifier: MIT
// Goal: `godwitd bench` tells what a board spends its time on from one copied folder, as JSON lines that say what they belong to.
// Method: a copy of the built program in an empty folder, with no environment, and no network where the system lets us.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Row } from "../../bench/harness.ts";
import { FIRMWARE_BUILD } from "./driver.ts";

const BUILT = join(FIRMWARE_BUILD, "godwitd");
/** A network namespace with nothing in it. */
const ALONE = ["unshare", "--map-root-user", "--net"];
const isAlonePossible = spawnSync("unshare", [...ALONE.slice(1), "true"]).status === 0;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "godwit-board-"));
  if (existsSync(BUILT)) copyFileSync(BUILT, join(folder, "godwitd"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function bench(...args: readonly string[]) {
  const own = [join(folder, "godwitd"), "bench", ...args];
  const [command = "", ...rest] = isAlonePossible ? [...ALONE, ...own] : own;
  // Only what finds `unshare`.
  const { status, stdout, stderr } = spawnSync(command, rest, {
    cwd: folder,
    env: { PATH: process.env.PATH },
    encoding: "utf8",
  });
  const lines = stdout.split("\n").filter((line) => line !== "");
  return { status, stdout, stderr, lines };
}

describe.skipIf(!existsSync(BUILT))("godwitd bench", () => {
  test("the board comes first, then a row for each case", () => {
    const { status, stderr, lines } = bench("wire");
    expect([status, stderr]).toEqual([0, ""]);
    const [board, ...rows] = lines.map((line) => JSON.parse(line));
    expect(board).toMatchObject({
      schema: "godwit-bench/1",
      engine: expect.stringMatching(/^quickjs-ng \d+\.\d+\.\d+$/),
      kernel: expect.stringMatching(/^Linux /),
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      cpus: expect.any(Number),
    });
    expect(Object.keys(board)).toEqual(
      expect.arrayContaining(["model", "cpu", "governor", "frequencyKhzMax", "libc", "crypto", "commit"]),
    );
    expect(rows.map((row: Row) => row.case)).toEqual(["frame-decode-200B", "frame-decode-4096B"]);
    for (const row of rows as Row[]) {
      expect(Object.keys(row)).toEqual([
        ...[
          "suite",
          "case",
          "runtime",
          "unit",
          "value",
          "spread",
          "low",
          "high",
          "rounds",
          "peer",
          "peerValue",
          "peerLow",
          "peerHigh",
          "ratio",
        ],
      ]);
      expect(row).toMatchObject({ suite: "wire", runtime: "godwitd", unit: "us", peer: "JSON" });
      expect(row.value).toBeGreaterThan(0);
      expect(row.spread).toBeGreaterThanOrEqual(0);
      expect(row.ratio).toBeCloseTo(row.value / (row.peerValue ?? Number.NaN), 6);
    }
    expect(readdirSync(folder)).toEqual(["godwitd"]);
  });

  test("what it takes to start: in the process, and in one of its own, which takes longer", () => {
    const { status, lines } = bench("startup");
    expect(status).toBe(0);
    const [create, exec] = lines.slice(1).map((line) => JSON.parse(line) as Row);
    expect([create?.case, exec?.case]).toEqual(["create", "exec"]);
    expect(exec?.value ?? 0).toBeGreaterThan(create?.value ?? Number.POSITIVE_INFINITY);
  });

  test.each([
    [["nothing"], /^usage: godwitd bench /],
    [["wire", "parse"], /^usage: godwitd bench /],
    [["--rounds"], /^usage: godwitd bench /],
    [["--rounds", "39"], /^godwitd: --rounds must be a whole number from 40 to 10000$/m],
    [["--rounds", "40x"], /^godwitd: --rounds must be a whole number from 40 to 10000$/m],
  ])("%j is wrong usage", (args, message) => {
    const { status, stdout, stderr } = bench(...args);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
  });

  test("help", () => {
    const { status, stdout, stderr } = bench("--help");
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^usage: godwitd bench /);
  });
});
