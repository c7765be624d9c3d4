// SPDX-License-Identifier: MIT
// Goal: the unit of the push service is as hardened as the document says, and gives it the descriptors its sizing counts on. Method:
// systemd's own analysis, where it is installed; what the file says.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const UNIT = "packaging/systemd/godwit-push-service.service";
const EXPOSURE_MAX = 2;
const hasAnalysis = spawnSync("systemd-analyze", ["--version"]).status === 0;
const unit = readFileSync(UNIT, "utf8");
const document = readFileSync("docs/operating-a-push-service.md", "utf8");

describe("the unit", () => {
  test.skipIf(!hasAnalysis)(`has an exposure of at most ${EXPOSURE_MAX}, the one the document names`, () => {
    const { stdout } = spawnSync("systemd-analyze", ["security", "--offline=true", "--no-pager", UNIT], {
      encoding: "utf8",
    });
    const exposure = Number(/exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1]);
    expect(exposure).toBeGreaterThan(0);
    expect(exposure).toBeLessThanOrEqual(EXPOSURE_MAX);
    expect(document).toContain(`an exposure of ${exposure}.`);
  });

  test("waits longer for an end than the document's drain takes", () => {
    const number = (pattern: RegExp, text: string): number => Number(pattern.exec(text)?.[1]);
    const drainS = number(/"drainDelay": (\d+)/, document) + number(/"drainSpread": (\d+)/, document);
    expect(drainS).toBeGreaterThan(0);
    expect(number(/^TimeoutStopSec=(\d+)s$/m, unit)).toBeGreaterThan(drainS + 10);
  });

  test("gives descriptors for 15,000 devices, and reloads without an end", () => {
    expect(unit).toMatch(/^LimitNOFILE=20000$/m);
    expect(unit).toMatch(/^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
    expect(unit).toMatch(/^RestartPreventExitStatus=2 78$/m);
  });
});
