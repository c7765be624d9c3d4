// SPDX-License-Identifier: MIT
/**
 * Runs one target in a thread of its own: the main one (scripts/fuzz.mjs) sees in shared memory which input is being read, and ends
 * the thread when that takes too long. No tests here.
 */

import { parentPort, workerData } from "node:worker_threads";
import type { Coverage } from "./coverage.ts";
import { Fuzzer } from "./fuzzer.ts";
import type { Target } from "./target.ts";

/** What scripts/fuzz.mjs hands over. */
interface Order {
  /** Inputs to begin with, besides the target's own. */
  readonly inputs: readonly Uint8Array[];
  /** How long to search for more, ms; 0: not at all. */
  readonly searchMs: number;
  readonly seed: number;
  /** Whether the fewest inputs are wanted in the end. */
  readonly isMinimised: boolean;
  /** Inputs read so far and length of the present one (4 bytes each), then the present one. */
  readonly present: SharedArrayBuffer;
}

export async function work(target: Target, coverage: Coverage): Promise<void> {
  const { inputs, searchMs, seed, isMinimised, present } = workerData as Order;
  const numbers = new Int32Array(present, 0, 2);
  const bytes = new Uint8Array(present, 8);
  const tell = (message: object): void => parentPort?.postMessage(message);
  const fuzzer = new Fuzzer({
    target,
    coverage,
    seed,
    handleInput(input) {
      bytes.set(input.subarray(0, bytes.length));
      numbers[1] = Math.min(input.length, bytes.length);
      Atomics.add(numbers, 0, 1);
    },
    handleFinding: (finding) => tell({ type: "finding", ...finding }),
  });
  const beginMs = performance.now();
  await fuzzer.replay([...target.seeds(), ...inputs]);
  const searchBeginMs = performance.now();
  if (searchMs > 0) await fuzzer.search(() => performance.now() - searchBeginMs >= searchMs);
  const { runs } = fuzzer;
  const tookMs = performance.now() - beginMs;
  const lines = coverage.lines(target.covers);
  const kept = isMinimised ? await fuzzer.smallestSet() : [];
  await target.close?.();
  tell({ type: "end", runs, tookMs, lines, outcomes: fuzzer.outcomes, inputsKept: fuzzer.kept.length, kept });
}
