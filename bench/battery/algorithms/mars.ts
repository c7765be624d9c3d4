// SPDX-License-Identifier: MIT
/** WeChat's Mars: 3.5 min for three pings of a link, then a minute more per five successes up to 9:40, by network. */
import { type Algorithm, steps } from "../algorithm.ts";
import type { Stretch } from "../scenario.ts";

const START_S = 210;
const CAP_S = 580;

export const mars: Algorithm = {
  name: "mars",
  create() {
    const memory = new Map<string | null, { nowS: number; good: number; bad: number; isStable: boolean }>();
    let pings = 0;
    const of = ({ network }: Stretch) => {
      const known = memory.get(network) ?? { nowS: START_S, good: 0, bad: 0, isStable: false };
      memory.set(network, known);
      return known;
    };
    return {
      verdictS: 20,
      backoffS: steps(0.5, 60, 120, 240, 360, 480, 600),
      connected() {
        pings = 0;
      },
      intervalS: (network) => (pings < 3 ? START_S : of(network).nowS),
      answered(network) {
        if (++pings <= 3) return;
        const known = of(network);
        known.bad = 0;
        if (known.isStable || ++known.good < 5) return;
        known.good = 0;
        known.isStable = known.nowS >= CAP_S;
        known.nowS = Math.min(CAP_S, known.nowS + 60);
      },
      unanswered(network) {
        if (pings <= 3) return;
        const known = of(network);
        if (++known.bad < 2) return;
        known.nowS = known.isStable ? START_S : Math.max(START_S, known.nowS - 80);
        known.isStable = !known.isStable;
        known.good = known.bad = 0;
      },
    };
  },
};
