// SPDX-License-Identifier: MIT
// Goal: what goes wrong in the C of godwitd is hard to make anything of. Method: ask readelf about the program as built: where it may lie,
// what is writable, and which checked functions it calls.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { FIRMWARE_BUILD } from "./driver.ts";

const GODWITD = join(FIRMWARE_BUILD, "godwitd");
const CACHE = join(FIRMWARE_BUILD, "CMakeCache.txt");
const isReleaseBuild =
  existsSync(GODWITD) &&
  /^CMAKE_BUILD_TYPE:\w+=MinSizeRel$/m.test(readFileSync(CACHE, "utf8")) &&
  !/^GODWIT_(SANITIZE|GC_STRESS):\w+=ON$/m.test(readFileSync(CACHE, "utf8"));

const readelf = (...args: readonly string[]) =>
  spawnSync("readelf", ["--wide", ...args, GODWITD], { encoding: "utf8" }).stdout;

describe.skipIf(!isReleaseBuild)("godwitd", () => {
  test("lies anywhere: position independent", () => {
    expect(readelf("--file-header")).toMatch(/Type:\s+DYN/);
    expect(readelf("--dynamic")).toMatch(/FLAGS_1.*\bPIE\b/);
  });

  test("has no segment that is writable and executable, and no executable stack", () => {
    const segments = [...readelf("--segments").matchAll(/^ {2}(LOAD|GNU_STACK)\s.*\s([R ][W ][E ])\s/gm)];
    expect(segments.map(([, type]) => type)).toContain("GNU_STACK");
    expect(segments.filter(([, , flags]) => /WE/.test(flags ?? ""))).toEqual([]);
  });

  test("binds all names at its start, and nobody writes to them later", () => {
    expect(readelf("--segments")).toContain("GNU_RELRO");
    expect(readelf("--dynamic")).toMatch(/BIND_NOW|FLAGS_1.*\bNOW\b/);
  });

  test("guards its stack, and calls the checked functions of the C library", () => {
    const names = readelf("--dyn-syms");
    expect(names).toContain("__stack_chk_fail");
    expect(names).toMatch(/__(snprintf|memcpy|read|strcpy|vsnprintf)_chk/);
  });
});
