// SPDX-License-Identifier: MIT
/** The bridge of this script, for entry files only: everything else gets it as an argument. */

import type { Bridge, BridgeAbi } from "./bridge.d.ts";

const ABI: BridgeAbi = 1;

/** @throws {Error} when the program around is of another build, or there is none */
export const bridge: Bridge = /* @__PURE__ */ lentBridge();

function lentBridge(): Bridge {
  const { bridge } = globalThis as { bridge?: Bridge };
  if (bridge?.abi !== ABI) throw new Error(`the script needs bridge ABI ${ABI}, this is ${bridge?.abi}`);
  return bridge;
}
