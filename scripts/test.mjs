// SPDX-License-Identifier: MIT
/**
 * The quick tier of every suite: lint, types, package shape, the firmware with its tests in C, vitest on Node, the pure specs
 * inside QuickJS. Prints what failed and ends with one line: `N passed, N failed`. A check counts as one test; a suite that did
 * not run as a failure; one that cannot run here as skipped, with what to do about it.
 */

import { join } from "node:path";
import { buildFirmware, whyNoFirmware } from "./firmware.mjs";
import { Tally } from "./tally.mjs";

const tally = new Tally();

for (const [name, command, ...args] of [
  ["lint", "biome", "check", "."],
  ["types", "tsc", "--noEmit", "-p", "tsconfig.json"],
  ["types of the pure core", "tsc", "--noEmit", "-p", "tsconfig.pure.json"],
  ["types of the dashboard", "tsc", "-p", "tsconfig.dashboard.json"],
  ["package shape (publint)", "publint", "--strict"],
  ["package types (attw)", "attw", "--pack", ".", "--profile", "esm-only"],
])
  tally.check(name, `node_modules/.bin/${command}`, args);

const firmware = firmwareBuild();
if (firmware !== null) tally.ctest("firmware in C", firmware);
// The firmware's specs are among them, and skip themselves where there is none.
tally.vitest("Node");
tally.pureSpecs("QuickJS", firmware === null ? null : join(firmware, "test", "spec_runner"));
process.exit(tally.end());

/** Directory of the build, or null. */
function firmwareBuild() {
  const why = whyNoFirmware();
  if (why !== null) {
    tally.skip("firmware", why);
    return null;
  }
  try {
    const directory = buildFirmware();
    tally.report("firmware builds", directory !== null);
    return directory;
  } catch (error) {
    tally.report("firmware builds", false, error instanceof Error ? error.message : String(error));
    return null;
  }
}
