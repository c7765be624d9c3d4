// SPDX-License-Identifier: MIT
// Goal: the units are hardened as README.md says, and a daemon without a configuration is not started over and over. Method:
// systemd's own analysis of the files, where it is installed; the real program without its file, and what the units make of how it ends.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Stage } from "../end-to-end/stage.ts";
import { FIRMWARE_BUILD } from "./driver.ts";

const UNITS = "firmware-bridge/packaging/systemd";
const GODWITD = join(FIRMWARE_BUILD, "godwitd");
const CONFIG = 78;
/** DESIGN: the one that is plugged in at most 1.5; the other has to wake the machine. */
const EXPOSURE_MAX = { godwitd: 1.5, "godwitd-battery": 2 } as const;
const hasAnalysis = spawnSync("systemd-analyze", ["--version"]).status === 0;

describe.skipIf(!hasAnalysis).each(Object.entries(EXPOSURE_MAX))("unit %s", (name, exposureMax) => {
  const path = `${UNITS}/${name}.service`;

  test(`has an exposure of at most ${exposureMax}, the one README.md names`, () => {
    const { stdout } = spawnSync("systemd-analyze", ["security", "--offline=true", "--no-pager", path], {
      encoding: "utf8",
    });
    const exposure = Number(/exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1]);
    expect(exposure).toBeGreaterThan(0);
    expect(exposure).toBeLessThanOrEqual(exposureMax);
    expect(readFileSync("firmware-bridge/README.md", "utf8")).toContain(
      `| \`${name}.service\` | ${exposure} |`,
    );
  });
});

describe.each(Object.keys(EXPOSURE_MAX))("unit %s", (name) => {
  test("does not start again what ended for its configuration, or because another agent runs", () => {
    const unit = readFileSync(`${UNITS}/${name}.service`, "utf8");
    const [, codes = ""] = /^RestartPreventExitStatus=(.*)$/m.exec(unit) ?? [];
    expect(codes.split(" ").map(Number)).toEqual([2, 75, CONFIG]);
    expect(unit).toMatch(/^ExecStart=\/usr\/sbin\/godwitd --config \/etc\/godwit\/config\.json$/m);
  });

  test("leaves no core with its secrets on the flash", () => {
    expect(readFileSync(`${UNITS}/${name}.service`, "utf8")).toMatch(/^LimitCORE=0$/m);
  });
});

describe.skipIf(!existsSync(GODWITD))("first boot", () => {
  let stage: Stage;
  beforeAll(() => {
    stage = new Stage();
  });
  afterAll(() => stage.close());

  async function start(config: string) {
    const env = stage.environment({ STATE_DIRECTORY: join(stage.directory, "state") });
    const program = stage.start("godwitd", [GODWITD, "--config", config], {
      stdio: ["ignore", "pipe", "pipe"],
      env,
    });
    return stage.ended(program);
  }

  test("without its configuration it says so and ends with a code the units do not start again", async () => {
    const config = join(stage.newDirectory(), "config.json");
    const { code, stderr } = await start(config);
    expect(code).toBe(CONFIG);
    expect(stderr).toContain(config);
    expect(existsSync(join(stage.directory, "state"))).toBe(false);
  });
});
