// SPDX-License-Identifier: MIT
/** Signal and Molly in the background: every 60 s. */
import { doubling, fixed } from "../algorithm.ts";

export const signal = fixed("signal", 60, { verdictS: 20, ignoresTraffic: true, backoffS: doubling(1, 60) });
