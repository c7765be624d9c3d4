// SPDX-License-Identifier: MIT
/** From a frame to the app that handles its message, on devices with few subscriptions and with many; and starting such a device. */

import { nodeProvider } from "../../src/node/crypto.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { type BenchCase, type MeasureOptions, measure, type Row } from "../harness.ts";
import { journalWork } from "../wire-cases.ts";
import { channelOf, GrownDevice, sealedBodies, spentUs, UAID } from "./device.ts";

const SUBSCRIPTIONS = [1, 10, 100, 1_000, 10_000] as const;
/** What dispatching to one of many is held against. */
const FEW = 10;
/** What starting with many is held against, subscription by subscription: below, what does not depend on them is most of it. */
const SOME = 100;
/** Messages of one sample. */
const MESSAGES = 100;
/** A prime, so that no subscription sees the same body again soon, whatever its number. */
const BODIES = 2_003;
/** Coprime to all numbers of subscriptions: neighbours in time are none in memory. */
const STRIDE = 7_919;

export function dispatchRows(suite: string, options: MeasureOptions): Row[] {
  const bodies = sealedBodies(BODIES);
  const kinds: readonly (readonly [string, readonly (Uint8Array | null)[]])[] = [
    ["dispatch", bodies],
    ["dispatch-bare", [null]],
  ];
  const cases = kinds.flatMap(([kind, of]) => {
    const samplers = new Map(SUBSCRIPTIONS.map((count) => [count, dispatching(count, of)] as const));
    return SUBSCRIPTIONS.map((count): BenchCase => {
      const ours = samplers.get(count);
      if (ours === undefined) throw new Error("no sampler");
      const few = samplers.get(FEW);
      const named = { name: `${kind}-${count}subs`, runtime: "node", unit: "us/message" };
      return few === undefined || count === FEW
        ? { ...named, ours, peer: null }
        : { ...named, ours, peer: `${FEW} subscriptions`, theirs: few };
    });
  });
  return measure(suite, cases, options);
}

/** Processor time of a message, us, of messages to all subscriptions in turn. */
function dispatching(subscriptions: number, bodies: readonly (Uint8Array | null)[]): () => number {
  let delivered = 0;
  const device = new GrownDevice({ subscriptions, send: () => {}, delivered: () => delivered++ });
  device.receive(
    godwitDialect.encodeDownstream({
      ...{
        type: "registered",
        status: 200,
        uaid: UAID,
        freshUaToken: null,
        idleLimitS: null,
        reconnectSpreadS: 0,
      },
      ...{ canary: null, epochMs: Date.now(), storeEpoch: 1, channels: null, lastId: 0 },
    }),
  );
  // It is idle between samples, and there is no service that would answer a ping.
  device.close();
  let sent = 0;
  const next = (): Uint8Array => {
    const id = ++sent;
    return godwitDialect.encodeDownstream({
      ...{ type: "notification", id, attempt: 1, ttlLeftS: 600, urgency: "normal", saysNotification: false },
      ...{
        channel: channelOf((id * STRIDE) % subscriptions),
        topic: null,
        body: bodies[id % bodies.length] ?? null,
      },
    });
  };
  const sample = (count: number): number => {
    const frames = Array.from({ length: count }, next);
    const startUs = spentUs();
    for (const frame of frames) device.receive(frame);
    const tookUs = spentUs() - startUs;
    if (delivered !== sent) throw new Error(`${sent - delivered} messages were not delivered`);
    return tookUs / count;
  };
  // Each subscription's key is imported with its first message.
  sample(subscriptions);
  return () => sample(MESSAGES);
}

/** Reading the journal and starting with it, by subscription. */
export function startRows(suite: string, options: MeasureOptions): Row[] {
  const starting = (count: number, per: number) => {
    const { startAgent } = journalWork(count, nodeProvider);
    return () => {
      const startUs = spentUs();
      startAgent();
      return (spentUs() - startUs) / per;
    };
  };
  const named = { runtime: "node", peer: null };
  const whole = SUBSCRIPTIONS.map((count) => ({
    ...named,
    name: `start-${count}subs`,
    unit: "us",
    ours: starting(count, 1),
  }));
  const each = SUBSCRIPTIONS.filter((count) => count > SOME).map((count) => ({
    ...named,
    name: `start-each-${count}subs`,
    unit: "us/subscription",
    ours: starting(count, count),
    peer: `${SOME} subscriptions`,
    theirs: starting(SOME, SOME),
  }));
  return measure(suite, [...whole, ...each], options);
}
