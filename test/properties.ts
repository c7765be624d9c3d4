// SPDX-License-Identifier: MIT
/**
 * fast-check as all specs use it. Its seed is the same at every run, so that a commit passes always or never; `npm run test:long -- properties`
 * looks further, with a seed of its own each time (`TEST_PROPERTIES_SEED`).
 */

import fc from "fast-check";

interface Globals {
  readonly __FC_RUNS?: unknown;
  readonly process?: { readonly env: Readonly<Record<string, string | undefined>> };
}

const globals = globalThis as Globals;

fc.configureGlobal({ seed: Number(globals.process?.env.TEST_PROPERTIES_SEED ?? 1) });

/** How many runs a property gets: `runs`, or a fiftieth of it, at least 5, on a slow engine (QuickJS sets `__FC_RUNS`). */
export function numRuns(runs: number): number {
  return globals.__FC_RUNS ? Math.max(5, Math.floor(runs / 50)) : runs;
}

export { fc };
