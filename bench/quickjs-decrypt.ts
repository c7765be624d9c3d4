// SPDX-License-Identifier: MIT
/**
 * The QuickJS side of the benchmark `decrypt`: bundled, evaluated in the engine, then called from bench/decrypt.ts. Pure;
 * the clock is the host's.
 */
import { createNobleProvider } from "../src/webpush/noble.ts";
import { bareEcdh, decryption, PAYLOADS, withoutEcdh, workload } from "./decrypt-cases.ts";

interface QuickJsGlobals {
  /** Milliseconds, given by the host. */
  readonly nowMs: () => number;
  /** Microseconds per call of one of the actions, averaged over `calls`. */
  sample: (what: string, calls: number) => number;
}

const host = globalThis as unknown as QuickJsGlobals;
const work = workload(PAYLOADS["200B"]);
const provider = createNobleProvider();
const actions = new Map([
  ["decrypt", decryption(work, provider)],
  ["overhead", decryption(work, withoutEcdh(work, provider))],
  ["ecdh", bareEcdh(work)],
]);

host.sample = (what, calls) => {
  const action = actions.get(what);
  if (action === undefined) throw new Error(`no action ${what}`);
  const startMs = host.nowMs();
  for (let i = 0; i < calls; i++) action();
  return ((host.nowMs() - startMs) * 1000) / calls;
};
