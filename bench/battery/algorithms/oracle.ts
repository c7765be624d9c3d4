// SPDX-License-Identifier: MIT
/** Knows every middlebox's timeout, and is stale for 29 min at most: the floor. */
import { type Algorithm, steps } from "../algorithm.ts";

export const oracle: Algorithm = {
  name: "oracle",
  create: () => ({
    intervalS: ({ idleTimeoutS }) => Math.min(1740, idleTimeoutS - 10),
    verdictS: 3,
    backoffS: (attempt) => (attempt === 0 ? 0.1 : Math.min(300, 2 ** attempt)),
    portalS: steps(15, 30, 60, 120),
    roundTrips: 2,
    resumes: true,
  }),
};
