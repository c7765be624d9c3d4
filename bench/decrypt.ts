// SPDX-License-Identifier: MIT
/**
 * Benchmark `decrypt`: whole decryptions beside http_ece and beside noble's bare ECDH, the share of everything but ECDH,
 * and the memory one message costs. On Node, and inside QuickJS where quickjs-wasi is installed.
 */
import { createECDH } from "node:crypto";
import ece from "http_ece";
import { nodeProvider } from "../src/node/crypto.ts";
import { nobleProvider } from "../src/webpush/noble.ts";
import { allocationRows } from "./decrypt-allocation.ts";
import {
  bareEcdh,
  decryption,
  PAYLOADS,
  type PayloadName,
  type Workload,
  withoutEcdh,
  workload,
} from "./decrypt-cases.ts";
import { type BenchCase, type MeasureOptions, measure, microseconds, type Row } from "./harness.ts";
import { openQuickJs } from "./quickjs.ts";

const SUITE = "decrypt";
const BARE_ECDH = "noble ECDH";
const HTTP_ECE = "http_ece";
/** Calls per sample, for samples of several milliseconds. */
const NATIVE_CALLS = 50;
const NOBLE_CALLS = 2;
const OVERHEAD_CALLS = 100;
/** QuickJS is slower by far and reads the same clock, so fewer calls do. */
const QUICKJS_ECDH_CALLS = 1;
const QUICKJS_OVERHEAD_CALLS = 3;
/** What is counted is nearly the same each time. */
const COUNTED_ROUNDS = 3;

/** Measures every case of this suite. */
export async function run(options: MeasureOptions = {}): Promise<Row[]> {
  if (options.isCounted) return allocationRows(SUITE, { rounds: COUNTED_ROUNDS });
  const names = Object.keys(PAYLOADS) as PayloadName[];
  const works = new Map(names.map((name) => [name, workload(PAYLOADS[name])]));
  const cases = [...works].flatMap(([name, work]) => [nativeCase(name, work), nobleCase(name, work)]);
  const quickJs = await quickJsCases();
  const rows = measure(
    SUITE,
    [...cases, overheadCase(workload(PAYLOADS["200B"])), ...quickJs.cases],
    options,
  );
  quickJs.close();
  return [...rows, ...allocationRows(SUITE, options)];
}

function nativeCase(name: PayloadName, work: Workload): BenchCase {
  return {
    name: `native-${name}`,
    runtime: "node",
    unit: "us",
    ours: microseconds(NATIVE_CALLS, decryption(work, nodeProvider)),
    peer: HTTP_ECE,
    theirs: microseconds(NATIVE_CALLS, httpEce(work)),
  };
}

/** http_ece with the receiver's key imported once, as ours is. */
function httpEce({ keys, body, plaintextBytes }: Workload): () => void {
  const privateKey = createECDH("prime256v1");
  privateKey.setPrivateKey(keys.privateKey);
  const message = Buffer.from(body);
  const parameters = { version: "aes128gcm", privateKey, authSecret: Buffer.from(keys.authSecret) } as const;
  return () => {
    if (ece.decrypt(message, parameters).length !== plaintextBytes) throw new Error("wrong plaintext");
  };
}

function nobleCase(name: PayloadName, work: Workload): BenchCase {
  return {
    name: `noble-${name}`,
    runtime: "node",
    unit: "us",
    ours: microseconds(NOBLE_CALLS, decryption(work, nobleProvider)),
    peer: BARE_ECDH,
    theirs: microseconds(NOBLE_CALLS, bareEcdh(work)),
  };
}

function overheadCase(work: Workload): BenchCase {
  return {
    name: "noble-overhead-200B",
    runtime: "node",
    unit: "us",
    ours: microseconds(OVERHEAD_CALLS, decryption(work, withoutEcdh(work, nobleProvider))),
    peer: BARE_ECDH,
    theirs: microseconds(NOBLE_CALLS, bareEcdh(work)),
  };
}

/** The QuickJS column; empty, with a note on stderr, where quickjs-wasi is not installed. */
async function quickJsCases(): Promise<{ cases: BenchCase[]; close(): void }> {
  const vm = await openQuickJs("quickjs-decrypt.ts");
  if (vm === null) return { cases: [], close() {} };
  const sample = (what: string, calls: number) => () => vm.callNumber("sample", what, calls);
  const quickJsCase = (name: string, what: string, calls: number): BenchCase => ({
    name,
    runtime: "quickjs",
    unit: "us",
    ours: sample(what, calls),
    peer: BARE_ECDH,
    theirs: sample("ecdh", QUICKJS_ECDH_CALLS),
  });
  const cases = [
    quickJsCase("noble-200B", "decrypt", QUICKJS_ECDH_CALLS),
    quickJsCase("noble-overhead-200B", "overhead", QUICKJS_OVERHEAD_CALLS),
  ];
  return { cases, close: () => vm.close() };
}
