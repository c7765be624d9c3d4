// SPDX-License-Identifier: MIT
/** How many runs a property gets: fewer where the engine is slow (QuickJS sets `__FC_RUNS`). */

/** `runs`, or a fiftieth of it, at least 5, on a slow engine. */
export function numRuns(runs: number): number {
  const isSlow = Boolean((globalThis as { __FC_RUNS?: unknown }).__FC_RUNS);
  return isSlow ? Math.max(5, Math.floor(runs / 50)) : runs;
}
