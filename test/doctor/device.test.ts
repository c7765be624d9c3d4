// SPDX-License-Identifier: MIT
// Goal: what godwitd's doctor says of things a machine under test may not have. Method: each answer of the system, handed in.

import { describe, expect, test } from "vitest";
import * as device from "../../src/doctor/device.ts";
import { describeFinding, type Finding, fail, ok, verdictOf, warn } from "../../src/doctor/finding.ts";

const CASES: readonly (readonly [Finding, Finding["result"], RegExp])[] = [
  [device.alarmFinding(null), "ok", /wake the machine$/],
  [device.alarmFinding("EPERM"), "warn", /\(EPERM\)/],
  [device.alarmFinding("EINVAL"), "warn", /\(EINVAL\)/],
  [device.wakeLockFinding(null), "ok", /kept awake/],
  [device.wakeLockFinding("EACCES"), "warn", /\(EACCES\)/],
  [device.networkFinding(true, "wifi:home"), "ok", /wifi:home$/],
  [device.networkFinding(true, null), "warn", /none now$/],
  [device.networkFinding(false, null), "warn", /does not tell/],
  [device.wallClockFinding(true), "ok", /after this build/],
  [device.wallClockFinding(false), "warn", /before this build/],
  [device.trustFinding("/ca", 0, true), "ok", /--ca alone/],
  [device.trustFinding("/ca", 0, false), "fail", /no certificate/],
  [device.machineFinding(false), "warn", /host name/],
  [device.cryptographyFinding(null), "warn", /20 times slower/],
  [device.quotaFinding(131_072, 196_608), "ok", /^131072 of 196608/],
  [device.quotaFinding(131_073, 196_608), "warn", /^131073 of 196608/],
  [device.quotaFinding(196_608, 196_608), "fail", /^196608 of 196608/],
];

describe("a device", () => {
  test.each(CASES)("%o", (finding, result, found) => {
    expect(finding.result).toBe(result);
    expect(finding.found).toMatch(found);
    // What is not well comes with what to do.
    expect(finding.advice === null).toBe(result === "ok");
  });
});

test("what others called a network or a certificate writes nothing to the terminal by itself", () => {
  const finding = device.networkFinding(true, "wifi:\x1b[2J\x1b]0;root\x07\nok    clock");
  expect(describeFinding(finding, "ok  ")).toEqual([
    expect.stringMatching(/wifi:\?\[2J\?\]0;root\?\?ok {4}clock$/),
  ]);
});

describe("a doctor's verdict", () => {
  const warning = warn("a", "b", "c");

  test("is none where nothing failed", () => {
    expect(verdictOf([ok("a", "b"), warning])).toBe(null);
  });

  test.each([
    [[1, 69, 78], 78],
    [[1, 69], 69],
    [[1], 1],
  ] as const)("of failures with %o is %i: what is configured wrongly comes first", (codes, worst) => {
    const failures = codes.map((code) => fail("a", code, "b", "c"));
    const verdict = verdictOf([warning, ...failures]);
    expect(verdict).toMatchObject({
      exitCode: worst,
      message: `${codes.length} of ${codes.length + 1} checks failed`,
    });
  });
});
