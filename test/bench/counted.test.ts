// SPDX-License-Identifier: MIT
// Goal: what a message takes in bytes, frames and allocations stays within its budget, whatever else the machine does. Method: the
// benchmark's program, only what it counts; its check, and that the cases with a budget are among what it counted.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { readRecordings } from "../../bench/reporting/recording.ts";

/** Ten seconds of two quiet cores. */
const MS_MAX = 120_000;

test(
  "what is counted and not timed is within bench/budgets.json",
  async () => {
    const args = ["dist/bench/run.js", "--counted", "--check", "--json"];
    // With a limit broken it ends with 1, and says which on stderr.
    const { stdout } = await promisify(execFile)(process.execPath, args);
    const counted = readRecordings(stdout).flatMap(({ rows }) =>
      rows.map((row) => ("case" in row ? row.case : "")),
    );
    for (const name of ["wire-websocket", "wire-mqtt", "drain-acks-10000msgs", "alloc-stub-200B", "quickjs"])
      expect(counted).toContain(name);
  },
  MS_MAX,
);
