// SPDX-License-Identifier: MIT
// Goal: an agent whose power goes, whose process is killed or whose disk fails at any write loses nothing it promised, and starts
// again without a network. Method: real agents at a real push service; a layer below them notes every write, from which
// each disk a power cut can leave is worked out, and kills them or fails their calls at a step.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe } from "vitest";
import { PHONE_PROMISES, phoneLife, SOCKET_PROMISES, socketLife } from "./power-cut-lives.ts";
import { describePowerCuts } from "./power-cut-suite.ts";

const BUILT = fileURLToPath(new URL("../../build/firmware", import.meta.url));
/** With `GODWIT_LONG=1` every image and step is tried with the program itself. */
const every = process.env.GODWIT_LONG === "1" ? 1 : 12;
const layer = `${BUILT}/test/power_cut.so`;
const daemon = `${BUILT}/godwitd`;
const phone = `${BUILT}/examples/feature-phone`;
const overSocket = { promises: SOCKET_PROMISES, saysFaults: true };

/** Counted as skipped where the firmware is not built. */
const isBuilt = existsSync(layer);

describe.skipIf(!isBuilt)("with the layer of the firmware's build", () => {
  describePowerCuts({ name: "Node", makeLife: socketLife(null), ...overSocket, layer, every: 4 * every });
  describe.skipIf(!existsSync(daemon))("and its daemon", () => {
    describePowerCuts({ name: "godwitd", makeLife: socketLife([daemon]), ...overSocket, layer, every });
  });
  describe.skipIf(!existsSync(phone))("and a program around libgodwit", () => {
    describePowerCuts({
      name: "feature phone",
      makeLife: phoneLife(phone),
      ...{ promises: PHONE_PROMISES, saysFaults: false, layer, every },
    });
  });
});
