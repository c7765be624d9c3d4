// SPDX-License-Identifier: MIT
/**
 * The script of `godwitd bench` (firmware-bridge/src/daemon/bench.c): what a device spends its time on, in its own engine, beside the
 * bare primitives in the same engine. One sample a call; C calls until it is told that nothing is left. Pure; the clock is C's.
 */

import "../src/quickjs/globals.ts";
import { utf8Decode, utf8DecodePortable, utf8Encode, utf8EncodePortable } from "../src/bytes.ts";
import type { BridgeEvents } from "../src/quickjs/bridge.d.ts";
import { bridge } from "../src/quickjs/lent-bridge.ts";
import { createBridgeProvider } from "../src/quickjs/provider.ts";
import type { CryptoProvider } from "../src/webpush/crypto.ts";
import { createNobleProvider } from "../src/webpush/noble.ts";
import { bareEcdh, decryption, PAYLOADS, type Workload, workload } from "./decrypt-cases.ts";
import { type BenchCase, Measurement } from "./harness.ts";
import { jsonOnly, PARSE_WORK, parsing } from "./parse-cases.ts";
import { frameWork, journalWork } from "./wire-cases.ts";

/** What C lends besides the bridge. */
interface BenchHost {
  readonly rounds: number;
  /** "" for all. */
  readonly suite: string;
  /** Of the processor, spent by this thread. */
  nanoseconds(): number;
  /** A line of the results. */
  print(line: string): void;
  /** Called until it returns false. */
  run(step: () => boolean): void;
}

declare const bench: BenchHost;

/** A sample is repeated until it takes so long: the clock of a small board is not finer than microseconds. */
const SAMPLE_NS_MIN = 4e6;
const RUNTIME = "godwitd";
/** Bodies of messages a device gets; 1 KB is the Node suite's. */
const SIZES = ["64B", "200B", "512B", "3993B"] as const;

const noble = createNobleProvider();
const native = bridge.crypto === null ? null : createBridgeProvider(bridge.crypto);

/** Each is made when it is its turn: what it prepares takes seconds on a slow board. */
const SUITES: Readonly<Record<string, () => BenchCase[]>> = {
  decrypt: decryptCases,
  parse: parseCases,
  wire: wireCases,
  journal: journalCases,
};

function decryptCases(): BenchCase[] {
  const cases: BenchCase[] = [];
  for (const size of SIZES) {
    const work = workload(PAYLOADS[size]);
    const nobly = decryption(work, noble);
    cases.push(caseOf(`noble-${size}`, nobly, "noble ECDH", bareEcdh(work)));
    if (native !== null) cases.push(caseOf(`native-${size}`, decryption(work, native), "noble", nobly));
  }
  const work = workload(PAYLOADS["200B"]);
  cases.push(caseOf("noble-ecdh", bareEcdh(work)));
  if (native !== null) cases.push(caseOf("native-ecdh", agreement(work, native), "noble", bareEcdh(work)));
  return cases;
}

function agreement({ keys, senderPublicKey }: Workload, provider: CryptoProvider): () => void {
  const into = new Uint8Array(32);
  return () => {
    if (!provider.importKeys(keys).agree(senderPublicKey, into)) throw new Error("not agreed");
  };
}

function parseCases(): BenchCase[] {
  const cases = Object.entries(PARSE_WORK).map(([name, work]) =>
    caseOf(`parse-${name}`, parsing(work), "JSON", jsonOnly(work)),
  );
  const { bytes } = PARSE_WORK.typical;
  const text = utf8Decode(bytes);
  return [
    ...cases,
    caseOf(
      "utf8-decode",
      () => utf8Decode(bytes),
      "script",
      () => utf8DecodePortable(bytes),
    ),
    caseOf(
      "utf8-encode",
      () => utf8Encode(text),
      "script",
      () => utf8EncodePortable(text),
    ),
  ];
}

function wireCases(): BenchCase[] {
  return [200, 4096].map((bodyBytes) => {
    const { decode, json } = frameWork(bodyBytes);
    return caseOf(`frame-decode-${bodyBytes}B`, decode, "JSON", json);
  });
}

function journalCases(): BenchCase[] {
  const { append, checkpoint, recover, startAgent } = journalWork(100, native ?? noble);
  return [
    caseOf("append-200B", append),
    caseOf("checkpoint-100subs", checkpoint),
    caseOf("recover-100subs", recover),
    caseOf("start-agent-100subs", startAgent),
  ];
}

function caseOf(
  name: string,
  ours: () => unknown,
  peer: string | null = null,
  theirs?: () => unknown,
): BenchCase {
  const bench = { name, runtime: RUNTIME, unit: "us", ours: sampler(ours), peer };
  return theirs === undefined ? bench : { ...bench, theirs: sampler(theirs) };
}

/** Microseconds per call, over as many calls as make a sample. */
function sampler(action: () => unknown): () => number {
  let calls = 1;
  return () => {
    for (;;) {
      const startNs = bench.nanoseconds();
      for (let i = 0; i < calls; i++) action();
      const tookNs = bench.nanoseconds() - startNs;
      if (tookNs >= SAMPLE_NS_MIN || calls >= 1e6) return tookNs / calls / 1000;
      calls *= Math.max(2, Math.min(100, Math.ceil(SAMPLE_NS_MIN / Math.max(tookNs, 1))));
    }
  };
}

// Nothing is opened here, so nothing is told.
bridge.listen({} as BridgeEvents);
const left = Object.entries(SUITES).filter(([name]) => bench.suite === "" || bench.suite === name);
let current: Measurement | null = null;
bench.run(() => {
  if (current?.step() === true) return true;
  for (const row of current?.rows() ?? []) bench.print(JSON.stringify(row));
  const next = left.shift();
  current = next === undefined ? null : new Measurement(next[0], next[1](), { rounds: bench.rounds });
  return current !== null;
});
