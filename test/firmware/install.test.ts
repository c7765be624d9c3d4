// SPDX-License-Identifier: MIT
// Goal: what `cmake --install --prefix` puts somewhere works from there. Method: the build is installed into a directory of the test's own;
// pkg-config is asked for what it finds there, and a program is compiled with the answer.

import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Stage } from "../end-to-end/stage.ts";
import { FIRMWARE_BUILD } from "./driver.ts";

/** The library of such a build needs a program built likewise. */
const isSanitized = FIRMWARE_BUILD.endsWith("-sanitize");
const hasTools = ["cmake", "pkg-config", "cc"].every((tool) => spawnSync(tool, ["--version"]).status === 0);

describe.skipIf(!hasTools || !existsSync(join(FIRMWARE_BUILD, "godwitd")))(
  "cmake --install --prefix (needs npm run firmware)",
  () => {
    let stage: Stage;
    let prefix: string;
    beforeAll(() => {
      stage = new Stage();
      prefix = join(stage.newDirectory(), "usr");
      execFileSync("cmake", ["--install", FIRMWARE_BUILD, "--prefix", prefix], { stdio: "ignore" });
    });
    afterAll(() => stage?.close());

    test.skipIf(isSanitized)("godwit.pc leads to what lies beside it, and a program is linked by it", () => {
      const [pc = ""] = readdirSync(prefix, { recursive: true, encoding: "utf8" }).filter((name) =>
        name.endsWith("/godwit.pc"),
      );
      const PKG_CONFIG_PATH = join(prefix, pc, "..");
      const flags = execFileSync("pkg-config", ["--cflags", "--libs", "--static", "godwit"], {
        encoding: "utf8",
        env: { ...process.env, PKG_CONFIG_PATH },
      });
      const main = "#include <godwit.h>\nint main(void) { return godwit_version() == 0; }\n";
      const [source, program] = [stage.file("shell.c", main), join(stage.newDirectory(), "shell")];
      execFileSync("cc", [source, ...flags.trim().split(/\s+/), "-o", program]);
      expect(spawnSync(program).status).toBe(0);
    });

    test.each(["godwitd", "godwitd-battery"])("%s.service starts the daemon installed with it", (name) => {
      const unit = join(prefix, "lib/systemd/system", `${name}.service`);
      const [, program = ""] = /^ExecStart=(\S+) /m.exec(readFileSync(unit, "utf8")) ?? [];
      expect(program.startsWith(`${prefix}/`)).toBe(true);
      expect(spawnSync(program, ["--version"]).status).toBe(0);
    });
  },
);
