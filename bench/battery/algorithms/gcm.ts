// SPDX-License-Identifier: MIT
/** Google's stock client: 28 min on cellular networks, 15 on others. */
import { type Algorithm, steps } from "../algorithm.ts";

export const gcm: Algorithm = {
  name: "gcm",
  create: () => ({
    intervalS: ({ radio }) => (radio === "wifi" || radio === "ethernet" ? 900 : 1680),
    verdictS: 60,
    backoffS: steps(5, 15, 30, 60, 120, 300, 600),
  }),
};
