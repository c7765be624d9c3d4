// SPDX-License-Identifier: MIT
/** What is done to a store, drawn from a seed, and what a store holds: the same for any store. Runs in a process of its own, too. */

import { hexEncode } from "../../src/bytes.ts";
import type { DeviceRecord, Store } from "../../src/push-service/store/store.ts";
import type { IdRange, Urgency } from "../../src/wire/dialect.ts";
import { Chance } from "./chance.ts";

const DEVICES = 3;
const REGISTRATIONS = 5;
const START_MS = 1_700_000_000_000;
const STEP_MS = 1_000;
const TTLS_S = [0, 20, 259_200, 259_200, 259_200];
const BODY_BYTES = [0, 20, 600, 3_000, 4_096, 9_000];

/** One operation; resolves when it is done. */
export type Operation = (store: Store) => Promise<unknown>;

/** Operations in groups of those that are asked for at once. */
export function makeHistory(seed: number, groups: number): Operation[][] {
  const chance = new Chance(seed, "history");
  const first = uaids().map(
    (uaid): Operation =>
      (store) =>
        store.createDevice(uaid, START_MS),
  );
  return [
    first,
    ...Array.from({ length: groups }, (_, at) => {
      const nowMs = START_MS + (at + 1) * STEP_MS;
      // It is more than one transaction.
      if (chance.is(0.05)) return [(store: Store) => store.expire(nowMs)];
      return Array.from({ length: chance.pick(1, 1, 2, 5, 12) }, () => drawOperation(chance, nowMs));
    }),
  ];
}

function drawOperation(chance: Chance, nowMs: number): Operation {
  const uaid = uaidOf(chance.integer(0, DEVICES - 1));
  const channel = chance.integer(1, REGISTRATIONS);
  const kind = chance.pick("put", "put", "put", "put", "ack", "ack", "register", "register", "other");
  if (kind === "put") {
    const body = new Uint8Array(chance.pick(...BODY_BYTES));
    chance.fill(body);
    const message = {
      ttlS: chance.pick(...TTLS_S),
      urgency: chance.pick("low", "normal", "high") as Urgency,
      topic: chance.is(0.2) ? chance.pick("score", "news") : null,
      saysNotification: chance.is(0.2),
      body: body.length === 0 ? null : body,
      receivedMs: nowMs,
    };
    return (store) => store.putMessage(uaid, channel, message);
  }
  const first = chance.integer(1, 60);
  if (kind === "ack") {
    const ranges: IdRange[] = [[first, first + chance.pick(0, 0, 3, 20)]];
    return (store) => store.ack(uaid, ranges);
  }
  const registrationId = uaidOf(100 + channel);
  const key = chance.is(0.5) ? new Uint8Array(65).fill(channel) : null;
  if (kind === "register") return (store) => store.register(uaid, registrationId, key, nowMs);
  return chance.pick<Operation>(
    (store) => store.createDevice(uaid, nowMs, "autopush"),
    (store) => store.removeDevice(uaid),
    (store) => store.unregister(uaid, channel),
    (store) => store.revoke(uaid, channel, "expired"),
    (store) => store.withdraw(uaid, channel, first),
    (store) => store.noteSeen(uaid, nowMs),
    (store) => store.raiseTokenGeneration(uaid, channel),
  );
}

/** All that can be asked of it, as text. */
export async function contentOf(store: Store): Promise<string> {
  const devices = await Promise.all(
    uaids().map(async (uaid) => {
      const { messages } = await store.messages(uaid, { afterId: 0, limit: 10_000, nowMs: 0 });
      return {
        device: known(await store.getDevice(uaid)),
        channels: (await store.channels(uaid)).sort((a, b) => a.channel - b.channel),
        // Whether an earlier run sent it is the store's guess.
        messages: messages.map(({ mayHaveBeenSent: _, ...message }) => message),
      };
    }),
  );
  return JSON.stringify([await store.countDevices(), await store.countMessages(), devices], (_, value) => {
    if (value instanceof Uint8Array) return hexEncode(value);
    // In one order of members, whichever the store has.
    const isRecord = typeof value === "object" && value !== null && !Array.isArray(value);
    return isRecord ? Object.fromEntries(Object.entries(value).sort()) : value;
  });
}

/** A store's own bookkeeping is left out. */
function known(device: DeviceRecord | null): DeviceRecord | null {
  if (device === null) return null;
  const { createdMs, seenMs, dialect, tokenGeneration, lastMessageId, messages, messageBytes } = device;
  return { createdMs, seenMs, dialect, tokenGeneration, lastMessageId, messages, messageBytes };
}

function uaids(): Uint8Array[] {
  return Array.from({ length: DEVICES }, (_, at) => uaidOf(at));
}

function uaidOf(number: number): Uint8Array {
  return new Uint8Array(16).fill(number + 1);
}
