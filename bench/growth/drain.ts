// SPDX-License-Identifier: MIT
/** A device that comes back to a queue: the real session of the push service over a store in memory, the real agent, and no socket between. */

import { LocalFleet } from "../../src/push-service/fleet.ts";
import { Hub } from "../../src/push-service/hub.ts";
import { type LogEvent, MemoryStore, newKeyring } from "../../src/push-service/index.ts";
import { Sealer } from "../../src/push-service/seal.ts";
import { godwitSession, SessionHost } from "../../src/push-service/session-host.ts";
import { Tokens } from "../../src/push-service/tokens.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { type MeasureOptions, type Row, rowOf } from "../harness.ts";
import { channelOf, GrownDevice, sealedBodies, spentUs, UAID } from "./device.ts";

const QUEUED = [1, 10, 100, 1_000, 10_000] as const;
/** What many messages are held against. */
const SOME = 100;
const ROUNDS = 7;
const WARM_UP_ROUNDS = 1;

interface Drained {
  readonly usPerMessage: number;
  readonly ackFrames: number;
}

/** Processor time of a message, and frames that acknowledged it. */
export async function drainRows(suite: string, { isCounted = false }: MeasureOptions): Promise<Row[]> {
  const bodies = sealedBodies(Math.max(...QUEUED));
  const counts = isCounted ? QUEUED.slice(-1) : QUEUED;
  const drained = new Map<number, Drained[]>(counts.map((count) => [count, []]));
  const [first, end] = isCounted ? [0, 1] : [-WARM_UP_ROUNDS, ROUNDS];
  for (let round = first; round < end; round++) {
    for (const count of round % 2 === 0 ? counts : counts.toReversed()) {
      const outcome = await drain(bodies.slice(0, count));
      if (round >= 0) drained.get(count)?.push(outcome);
    }
  }
  const of = (count: number, figure: (one: Drained) => number) => (drained.get(count) ?? []).map(figure);
  return counts.flatMap((count) => {
    const us = ({ usPerMessage }: Drained) => usPerMessage;
    const peer = count > SOME ? `${SOME} messages` : null;
    const named = { name: `drain-${count}msgs`, runtime: "node", unit: "us/message", peer };
    const acks = { name: `drain-acks-${count}msgs`, runtime: "node", unit: "frames/message", peer: null };
    return [
      ...(isCounted ? [] : [rowOf(suite, named, of(count, us), peer === null ? [] : of(SOME, us))]),
      rowOf(
        suite,
        acks,
        of(count, ({ ackFrames }) => ackFrames / count),
        [],
      ),
    ];
  });
}

/** From the session's start until the app had the last one of `bodies`; then until the store has none left. */
async function drain(bodies: readonly Uint8Array[]): Promise<Drained> {
  const count = bodies.length;
  const store = new MemoryStore({ messagesMax: count, messageBytesMax: Number.POSITIVE_INFINITY });
  await store.createDevice(UAID, Date.now());
  const channel = channelOf(0);
  // The device has the channel that the agent's journal says: the ones before it were given to others.
  for (let number = 1; number <= channel; number++)
    await store.register(UAID, new Uint8Array(16).fill(number), null, Date.now());
  for (let number = 1; number < channel; number++) await store.unregister(UAID, number);
  for (const body of bodies) {
    const how = { ttlS: 600, urgency: "normal", topic: null, saysNotification: false } as const;
    await store.putMessage(UAID, channel, { ...how, body, receivedMs: Date.now() });
  }
  let ackFrames = 0;
  let left = count;
  let endUs = 0;
  let acknowledged: () => void = () => {};
  const isEmpty = new Promise<void>((resolve) => {
    acknowledged = resolve;
  });
  const device = new GrownDevice({
    subscriptions: 1,
    send(frame) {
      const message = godwitDialect.parseUpstream(frame);
      if (message.type === "ack") ackFrames++;
      session.handle({ type: "upstream", message });
    },
    delivered() {
      if (--left === 0) endUs = spentUs();
    },
  });
  const hub = new Hub();
  let removed = 0;
  const services = {
    ...{ store, hub, fleet: new LocalFleet(store, hub), tokens: new Tokens(new Sealer(newKeyring())) },
    ...{
      publicOrigin: "https://push.example",
      storeEpoch: store.epoch,
      reconnectSpreadS: 0,
      idleLimitS: null,
      canary: null,
      credentials: null,
      delivered: () => {},
    },
    clock: { monotonicMs: () => performance.now(), epochMs: () => Date.now() },
    log(event: LogEvent) {
      if (event.event !== "acknowledged") return;
      removed += event.messages;
      if (removed === count) acknowledged();
    },
  };
  const session: SessionHost = new SessionHost(
    godwitSession(
      services,
      {
        uaid: UAID,
        conditions: { heartbeatS: 240, windowS: 0, leastUrgency: "very-low" },
        channelsDigest: channelsDigest([channel]),
      },
      {
        send: (message) => device.receive(godwitDialect.encodeDownstream(message)),
        close() {},
      },
    ),
  );
  const startUs = spentUs();
  await session.start(null, () => {});
  await isEmpty;
  session.detach();
  device.close();
  return { usPerMessage: (endUs - startUs) / count, ackFrames };
}
