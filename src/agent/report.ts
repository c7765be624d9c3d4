// SPDX-License-Identifier: MIT
/** One way to say what happened. Pure. */

import type { Effect, Report } from "./events.ts";

/** The effect that tells people `report`. */
export function reported(report: Report): Effect {
  return { type: "report", report };
}
