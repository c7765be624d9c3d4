// SPDX-License-Identifier: MIT
/** Firefox OS 2.x: half as much again after a success, half after two failures, up to 29 min; one memory for all Wi-Fi. */
import { type Algorithm, doubling } from "../algorithm.ts";
import type { Stretch } from "../scenario.ts";

const START_S = 180;
const CAP_S = 1740;
const GAP_S = 60;

export const fxos: Algorithm = {
  name: "fxos",
  create() {
    const memory = new Map<
      string,
      { nowS: number; goodS: number; isSearching: boolean; fails: Map<number, number> }
    >();
    const of = ({ radio, network }: Stretch) => {
      const name = radio === "wifi" ? "wifi" : String(network);
      const known = memory.get(name) ?? {
        nowS: START_S,
        goodS: START_S,
        isSearching: true,
        fails: new Map(),
      };
      memory.set(name, known);
      return known;
    };
    return {
      verdictS: 10,
      backoffS: doubling(5, 1800),
      intervalS: (network) => of(network).nowS,
      answered(network) {
        const known = of(network);
        if (!known.isSearching) return;
        known.goodS = known.nowS;
        const nextS = Math.floor(known.nowS * 1.5);
        if (nextS > CAP_S) known.isSearching = false;
        else known.nowS = nextS;
      },
      unanswered(network) {
        const known = of(network);
        const fails = (known.fails.get(known.nowS) ?? 0) + 1;
        known.fails.set(known.nowS, fails);
        if (fails < 2) return;
        const halfS = Math.floor(known.nowS / 2);
        known.isSearching = halfS - known.goodS >= GAP_S;
        known.nowS = known.isSearching ? halfS : known.goodS;
      },
    };
  },
};
