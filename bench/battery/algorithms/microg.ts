// SPDX-License-Identifier: MIT
/** microG: 5 to 15 min, 2 % more after a full gap, 5 % less after a failure; one interval each for Wi-Fi and mobile. */
import { type Algorithm, steps } from "../algorithm.ts";

const bounded = (s: number) => Math.max(300, Math.min(900, s));

export const microg: Algorithm = {
  name: "microg",
  create() {
    const learned = { mobile: 300, wifi: 300 };
    const kind = (radio: string | null) => (radio === "wifi" || radio === "ethernet" ? "wifi" : "mobile");
    return {
      verdictS: 90,
      backoffS: steps(5, 10, 20, 30, 40, 50, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600),
      intervalS: ({ radio }) => learned[kind(radio)],
      answered({ radio }, idleS) {
        const s = learned[kind(radio)];
        if (idleS > s * 0.75) learned[kind(radio)] = bounded(s * 1.02);
      },
      unanswered({ radio }) {
        learned[kind(radio)] = bounded(learned[kind(radio)] * 0.95);
      },
    };
  },
};
