// SPDX-License-Identifier: MIT
/**
 * The QuickJS side of the benchmark `parse`: bundled, evaluated in the engine, then called from bench/parse.ts. Pure; the
 * clock is the host's.
 */

import { jsonOnly, PARSE_WORK, parsing } from "./parse-cases.ts";

interface QuickJsGlobals {
  /** Milliseconds, given by the host. */
  readonly nowMs: () => number;
  /** Microseconds per call of one of the actions, averaged over `calls`. */
  sample: (what: string, calls: number) => number;
}

const host = globalThis as unknown as QuickJsGlobals;
const actions = new Map(
  Object.entries(PARSE_WORK).flatMap(([name, work]) => [
    [`parse-${name}`, parsing(work)],
    [`json-${name}`, jsonOnly(work)],
  ]),
);

host.sample = (what, calls) => {
  const action = actions.get(what);
  if (action === undefined) throw new Error(`no action ${what}`);
  const startMs = host.nowMs();
  for (let i = 0; i < calls; i++) action();
  return ((host.nowMs() - startMs) * 1000) / calls;
};
