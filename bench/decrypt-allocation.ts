// SPDX-License-Identifier: MIT
/**
 * Memory per decrypted message: growth of heap and external memory over 1000 calls without a collection, in a child
 * process that has room not to collect. The parent starts the child; the child measures.
 */
import { spawnSync } from "node:child_process";
import { nodeProvider } from "../src/node/crypto.ts";
import type { CryptoProvider, SubscriptionKeys } from "../src/webpush/crypto.ts";
import { deriveContentKey } from "../src/webpush/key-derivation.ts";
import { decryption, PAYLOADS, stubProvider, type Workload, workload } from "./decrypt-cases.ts";
import { type MeasureOptions, ROUNDS_MIN, type Row, rowOf } from "./harness.ts";

/** The argument that makes bench/run.ts the child. */
export const ALLOCATION_CHILD = "--child=decrypt-allocation";
const CALLS = 1000;
const WARM_UP_CALLS = 5000;
/** Room for {@link CALLS} messages in the young generation, so that nothing is collected while counting. */
export const CHILD_FLAGS = ["--expose-gc", "--min-semi-space-size=64", "--max-semi-space-size=64"];

/** What the child prints: bytes per message, one number a round. */
interface Samples {
  readonly native: readonly number[];
  /** The provider's own share of `native`: the same calls to it, without decrypt(). */
  readonly nativeProvider: readonly number[];
  readonly stub: readonly number[];
}

/** Rows `alloc-*`, bytes per message. */
export function allocationRows(suite: string, { rounds = ROUNDS_MIN }: MeasureOptions): Row[] {
  const script = process.argv[1];
  if (script === undefined) throw new Error("the allocation cases need bench/run as the main script");
  const child = spawnSync(process.execPath, [...CHILD_FLAGS, script, ALLOCATION_CHILD, String(rounds)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (child.status !== 0) throw new Error(`the allocation child failed with status ${child.status}`);
  const samples = JSON.parse(child.stdout) as Samples;
  const named = (name: string, peer: string | null) => ({ name, runtime: "node", unit: "B", peer });
  return [
    rowOf(suite, named("alloc-native-200B", "provider's share"), samples.native, samples.nativeProvider),
    rowOf(suite, named("alloc-stub-200B", null), samples.stub, []),
  ];
}

/** The child's part: prints {@link Samples} as JSON. */
export function runAllocationChild(rounds: number): void {
  const work = workload(PAYLOADS["200B"]);
  const sides = {
    native: decryption(work, nodeProvider),
    nativeProvider: providerShare(work, nodeProvider),
    stub: decryption(work, stubProvider(work)),
  };
  const samples = { native: [] as number[], nativeProvider: [] as number[], stub: [] as number[] };
  const names = Object.keys(sides) as (keyof typeof sides)[];
  for (const name of names) for (let i = 0; i < WARM_UP_CALLS; i++) sides[name]();
  for (let round = 0; round < rounds; round++) {
    for (const name of names) samples[name].push(bytesPerCall(sides[name]));
  }
  process.stdout.write(JSON.stringify(samples));
}

/** Bytes of heap and external memory one call of `action` takes, averaged over 1000 calls. Needs {@link CHILD_FLAGS}. */
export function bytesPerCall(action: () => unknown): number {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("run with --expose-gc");
  // Array buffers are freed in the background of a collection; the second one waits for the first.
  gc();
  gc();
  const before = usedBytes();
  let last = before;
  for (let i = 1; i <= CALLS; i++) {
    action();
    if (i % 100 !== 0) continue;
    const now = usedBytes();
    // Memory only shrinks in a collection, and after one the count would mean nothing.
    if (now < last) throw new Error("a collection ran while counting");
    last = now;
  }
  return (last - before) / CALLS;
}

/** Array buffers are part of `external`. */
function usedBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The calls to `provider` that decrypt() makes for one message, on the same sizes. */
function providerShare({ keys, senderPublicKey, body }: Workload, provider: CryptoProvider): () => void {
  const { scratch } = provider;
  const salt = body.subarray(0, 16);
  const sealed = body.subarray(86);
  // Keys of its own message: derived once here as decrypt() would, since the tag has to match.
  const { cek, nonce } = contentKeys(provider, keys, senderPublicKey, salt);
  return () => {
    const own = provider.importKeys(keys);
    own.agree(senderPublicKey, scratch.ecdhSecret);
    own.authHmac.mac(scratch.ecdhSecret, scratch.chain);
    provider.hmac(scratch.chain).mac(scratch.keyInfo, scratch.chain);
    provider.hmac(salt).mac(scratch.chain, scratch.chain);
    const prk = provider.hmac(scratch.chain);
    prk.mac(salt, scratch.cekBlock);
    prk.mac(salt, scratch.nonceBlock);
    if (provider.gcmOpen(cek, nonce, sealed) === null) throw new Error("bad tag");
  };
}

function contentKeys(
  provider: CryptoProvider,
  keys: SubscriptionKeys,
  senderPublicKey: Uint8Array,
  salt: Uint8Array,
) {
  const { scratch } = provider;
  const own = provider.importKeys(keys);
  own.agree(senderPublicKey, scratch.ecdhSecret);
  deriveContentKey(provider, own.authHmac, keys.publicKey, senderPublicKey, salt);
  return { cek: scratch.cek.slice(), nonce: scratch.nonce.slice() };
}
