// SPDX-License-Identifier: MIT
/** Runs suites of any kind, and counts their tests; shared by `npm test` and `npm run test:long`. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

export class Tally {
  #totals = { passed: 0, failed: 0, skipped: 0 };
  #results = mkdtempSync(join(tmpdir(), "godwit-test-"));

  /** A program whose exit code is its result; what it printed is shown when that is not 0. Counts as one test. */
  check(name, command, args, options = {}) {
    const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", ...options });
    this.report(name, status === 0, `${stdout ?? ""}${stderr ?? ""}`);
    return status === 0;
  }

  /** One test. `why` is shown when it failed. */
  report(name, hasPassed, why = "") {
    this.#totals[hasPassed ? "passed" : "failed"]++;
    console.log(`${hasPassed ? "ok  " : "FAIL"} ${name}`);
    if (!hasPassed) console.log(why);
  }

  /** A suite that cannot run here; how many tests it has nobody knows. */
  skip(name, why) {
    this.#totals.skipped++;
    console.log(`skip ${name}: ${why}`);
  }

  /** Specs on Node; `env` besides ours. */
  vitest(name, args = [], env = {}) {
    const file = join(this.#results, "vitest.json");
    const { status } = spawnSync(
      "node_modules/.bin/vitest",
      ["run", "--reporter=dot", "--reporter=json", `--outputFile.json=${file}`, ...args],
      { stdio: "inherit", env: { ...process.env, ...env } },
    );
    this.#add(name, file, status, (text) => {
      const report = JSON.parse(text);
      return {
        passed: report.numPassedTests,
        failed: report.numFailedTests,
        skipped: report.numPendingTests + report.numTodoTests,
      };
    });
  }

  /** Pure specs inside QuickJS: in `runner` (spec_runner of a firmware build), or in quickjs-wasi for null; `env` besides ours. */
  pureSpecs(name, runner, parts = [], env = {}) {
    const file = join(this.#results, "quickjs.json");
    const engine = runner === null ? [] : ["--runner", runner];
    const { status } = spawnSync(
      process.execPath,
      ["test/quickjs/run.mjs", "--json-out", file, ...engine, ...parts],
      { stdio: "inherit", env: { ...process.env, ...env } },
    );
    this.#add(name, file, status, (text) => JSON.parse(text));
  }

  /** Tests in C of the firmware build in `directory`. Each prints a line "ok   <what>" for what held. */
  ctest(name, directory, args = []) {
    const file = join(this.#results, "ctest.xml");
    const { status } = spawnSync(
      "ctest",
      ["--test-dir", directory, "--output-on-failure", "--output-junit", file, ...args],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    this.#add(name, file, status, countsOfJunit);
  }

  /** Prints the last line, and returns the exit code. */
  end() {
    rmSync(this.#results, { recursive: true, force: true });
    const { passed, failed, skipped } = this.#totals;
    console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
    return failed === 0 ? 0 : 1;
  }

  /** A suite that exits badly without a failed test (a crash, a file that does not load) is a failure all the same. */
  #add(name, file, status, countsOf) {
    let counts = { passed: 0, failed: 0, skipped: 0 };
    try {
      counts = countsOf(readFileSync(file, "utf8"));
    } catch {
      console.log(`FAIL ${name}: no results`);
    }
    rmSync(file, { force: true });
    if (counts.passed + counts.failed === 0 || (status !== 0 && counts.failed === 0)) counts.failed++;
    for (const outcome of /** @type {const} */ (["passed", "failed", "skipped"]))
      this.#totals[outcome] += counts[outcome];
    console.log(`${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  }
}

/**
 * @param {string} xml as CTest writes it
 * @returns {Counts}
 */
function countsOfJunit(xml) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const program of xml.split("<testcase ").slice(1)) {
    const status = program.match(/ status="(\w+)"/)?.[1];
    const held = program.match(/^(<system-out>)?ok {3}/gm)?.length ?? 0;
    if (status === "run") counts.passed += Math.max(1, held);
    else if (status === "disabled") counts.skipped++;
    else {
      counts.passed += held;
      counts.failed++;
    }
  }
  return counts;
}
