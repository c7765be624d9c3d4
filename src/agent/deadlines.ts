// SPDX-License-Identifier: MIT
/** Folds the deadlines of all parts into the one alarm the host keeps. Pure. */

import type { Alarm } from "./events.ts";

/**
 * The alarm that serves as many deadlines as possible with one wake-up: as late as the most pressing window allows, and
 * not later than needed to catch every deadline that opens before.
 *
 * @returns null when nothing is due ever: the device may sleep until data arrives
 */
export function foldDeadlines(deadlines: readonly (Alarm | null)[]): Alarm | null {
  let latestMs = Number.POSITIVE_INFINITY;
  for (const deadline of deadlines) {
    if (deadline !== null) latestMs = Math.min(latestMs, deadline.atMs + deadline.windowMs);
  }
  if (latestMs === Number.POSITIVE_INFINITY) return null;
  let atMs = Number.NEGATIVE_INFINITY;
  for (const deadline of deadlines) {
    if (deadline !== null && deadline.atMs <= latestMs) atMs = Math.max(atMs, deadline.atMs);
  }
  return { atMs, windowMs: latestMs - atMs };
}

/** The earlier-pressing of two deadlines, as one. */
export function earlier(a: Alarm | null, b: Alarm | null): Alarm | null {
  if (a === null) return b;
  if (b === null) return a;
  return a.atMs + a.windowMs <= b.atMs + b.windowMs ? a : b;
}
