// SPDX-License-Identifier: MIT
/**
 * The quick tier of every suite: lint, types, package shape, vitest on Node, the pure specs inside QuickJS. Prints what
 * failed and ends with one line: `N passed, N failed`. A check counts as one test; a suite that did not run as a failure.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const results = mkdtempSync(join(tmpdir(), "godwit-test-"));
const totals = { passed: 0, failed: 0, skipped: 0 };

check("lint", "biome", ["check", "."]);
check("types", "tsc", ["--noEmit", "-p", "tsconfig.json"]);
check("types of the pure core", "tsc", ["--noEmit", "-p", "tsconfig.pure.json"]);
check("types of the dashboard", "tsc", ["-p", "tsconfig.dashboard.json"]);
check("package shape (publint)", "publint", ["--strict"]);
check("package types (attw)", "attw", ["--pack", ".", "--profile", "esm-only"]);
vitest();
quickjs();

rmSync(results, { recursive: true, force: true });
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
process.exit(totals.failed === 0 ? 0 : 1);

function check(name, command, args) {
  const { status, stdout, stderr } = spawnSync(`node_modules/.bin/${command}`, args, { encoding: "utf8" });
  totals[status === 0 ? "passed" : "failed"]++;
  console.log(`${status === 0 ? "ok  " : "FAIL"} ${name}`);
  if (status !== 0) console.log(`${stdout}${stderr}`);
}

function vitest() {
  const file = join(results, "vitest.json");
  const reporters = ["--reporter=dot", "--reporter=json", `--outputFile.json=${file}`];
  const { status } = spawnSync("node_modules/.bin/vitest", ["run", ...reporters], { stdio: "inherit" });
  add("Node", file, status, (report) => ({
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + report.numTodoTests,
  }));
}

function quickjs() {
  const file = join(results, "quickjs.json");
  const { status } = spawnSync(process.execPath, ["test/quickjs/run.mjs", "--json-out", file], {
    stdio: "inherit",
  });
  add("QuickJS", file, status, (report) => report);
}

/** A suite that exits badly without a failed test (a crash, a file that does not load) is a failure all the same. */
function add(name, file, status, countsOf) {
  let counts = { passed: 0, failed: 0, skipped: 0 };
  try {
    counts = countsOf(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    console.log(`FAIL ${name}: no results`);
  }
  if (counts.passed + counts.failed === 0 || (status !== 0 && counts.failed === 0)) counts.failed++;
  totals.passed += counts.passed;
  totals.failed += counts.failed;
  totals.skipped += counts.skipped;
  console.log(`${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
}
