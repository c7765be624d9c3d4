// SPDX-License-Identifier: MIT
// Goal: whatever is asked of the store on Redis, in whatever order, it answers as the store in memory does; and a link whose fence is
// old can neither read nor change anything. Method: random sequences of operations on both, over few devices, channels, topics and
// times, so that they meet; every member of the port with a fence that was claimed anew.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import { openRedisStore, type RedisStore } from "../../src/push-service/store/redis.ts";
import type { DeviceQuota, Store } from "../../src/push-service/store/store.ts";
import { fc } from "../properties.ts";
import { isRedisInstalled, TestCluster } from "./redis-cluster.ts";
import { messageOf, uaidOf } from "./store-contract.ts";

/** Redis ends nothing that by its own clock is still to come. */
const NOW_MS = 1_600_000_000_000;
const DAY_MS = 24 * 3600_000;
const RUNS = 40;
const QUOTA: DeviceQuota = { messagesMax: 6, messageBytesMax: 2_000 };
let cluster: TestCluster;
let prefixes = 0;

const open = (): Promise<RedisStore> =>
  openRedisStore({
    ...{ username: null, password: null, tls: null, seeds: cluster.seeds },
    prefix: `model${++prefixes}`,
    quota: QUOTA,
  });

type Operation = (store: Store, nowMs: number) => Promise<unknown>;

const device = fc.integer({ min: 1, max: 2 }).map(uaidOf);
const channel = fc.integer({ min: 1, max: 3 });
const id = fc.integer({ min: 1, max: 12 });
const operation: fc.Arbitrary<{ name: string; run: Operation }> = fc.oneof(
  {
    arbitrary: op(
      "create",
      fc.tuple(device),
      ([uaid]) =>
        (store, now) =>
          store.createDevice(uaid, now),
    ),
    weight: 2,
  },
  op(
    "remove",
    fc.tuple(device),
    ([uaid]) =>
      (store) =>
        store.removeDevice(uaid),
  ),
  op(
    "seen",
    fc.tuple(device),
    ([uaid]) =>
      (store, now) =>
        store.noteSeen(uaid, now),
  ),
  op(
    "raise",
    fc.tuple(device, fc.nat(3)),
    ([uaid, generation]) =>
      (store) =>
        store.raiseTokenGeneration(uaid, generation),
  ),
  {
    arbitrary: op(
      "register",
      fc.tuple(device, channel, fc.boolean()),
      ([uaid, name, isKeyed]) =>
        (store, now) =>
          store.register(uaid, uaidOf(name), isKeyed ? new Uint8Array(65).fill(4) : null, now),
    ),
    weight: 4,
  },
  op(
    "unregister",
    fc.tuple(device, channel),
    ([uaid, at]) =>
      (store) =>
        store.unregister(uaid, at),
  ),
  op(
    "revoke",
    fc.tuple(device, channel),
    ([uaid, at]) =>
      (store) =>
        store.revoke(uaid, at, "expired"),
  ),
  {
    arbitrary: op(
      "put",
      fc.tuple(
        device,
        channel,
        fc.constantFrom(0, 60, 86_400),
        fc.constantFrom(null, "a", "b"),
        fc.nat(600),
        fc.boolean(),
      ),
      ([uaid, at, ttlS, topic, bytes, isAesgcm]) =>
        (store, receivedMs) =>
          store.putMessage(
            uaid,
            at,
            messageOf({
              ttlS,
              topic,
              receivedMs,
              body: bytes === 0 ? null : new Uint8Array(bytes).fill(bytes & 0xff),
              ...(isAesgcm ? { aesgcm: { encryption: "salt=A", cryptoKey: "dh=B" } } : {}),
            }),
          ),
    ),
    weight: 12,
  },
  op(
    "messages",
    fc.tuple(device, fc.nat(12), fc.integer({ min: 1, max: 4 })),
    ([uaid, afterId, limit]) =>
      (store, nowMs) =>
        store.messages(uaid, { afterId, limit, nowMs }),
  ),
  op(
    "ack",
    fc.tuple(device, fc.array(fc.tuple(id, id), { minLength: 1, maxLength: 3 })),
    ([uaid, ranges]) =>
      (store) =>
        store.ack(
          uaid,
          ranges.map(([x, y]): [number, number] => [Math.min(x, y), Math.max(x, y)]),
        ),
  ),
  op(
    "withdraw",
    fc.tuple(device, channel, id),
    ([uaid, at, which]) =>
      (store) =>
        store.withdraw(uaid, at, which),
  ),
  op("expire", fc.tuple(), () => async (store, now) => {
    const { messages, devices } = await store.expire(now);
    return [messages, devices.map(([first]) => first).sort()];
  }),
);

function op<T>(
  name: string,
  values: fc.Arbitrary<T>,
  make: (values: T) => Operation,
): fc.Arbitrary<{ name: string; run: Operation; toString: () => string }> {
  return values.map((value) => ({
    name,
    run: make(value),
    [fc.toStringMethod]: () => `${name}(${fc.stringify(value)})`,
    toString: () => name,
  }));
}

/** Everything there is, but what may differ. */
async function all(store: Store, nowMs: number): Promise<unknown> {
  const devices = [1, 2].map(async (n) => [
    await store.getDevice(uaidOf(n)),
    await store.channels(uaidOf(n)),
    await store.getChannel(uaidOf(n), 1),
    await store.messages(uaidOf(n), { afterId: 0, limit: 100, nowMs }),
  ]);
  return [await Promise.all(devices), await store.countDevices(), await store.countMessages()];
}

describe.skipIf(!isRedisInstalled)("store on Redis Cluster", () => {
  beforeAll(async () => {
    cluster = await TestCluster.start([], { primaries: 1 });
  }, 60_000);
  afterAll(() => cluster?.stop());

  test("answers as the one in memory", async () => {
    const step = fc.tuple(operation, fc.constantFrom(0, 0, 1_000, 60_000, 20 * DAY_MS));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
        const stores: readonly Store[] = [await open(), new MemoryStore(QUOTA)];
        try {
          let nowMs = NOW_MS;
          for (const [{ run }, laterMs] of steps) {
            nowMs += laterMs;
            const [redis, memory] = await Promise.all(stores.map((store) => run(store, nowMs)));
            expect(redis).toEqual(memory);
          }
          const [redis, memory] = await Promise.all(stores.map((store) => all(store, nowMs)));
          expect(redis).toEqual(memory);
        } finally {
          await stores[0]?.close();
        }
      }),
      { numRuns: RUNS },
    );
  }, 120_000);

  test("refuses a link whose device another one claimed, whatever it asks, and changes nothing", async () => {
    const store = await open();
    const uaid = uaidOf(1);
    await store.createDevice(uaid, NOW_MS);
    await store.register(uaid, uaidOf(9), null, NOW_MS);
    await store.putMessage(uaid, 1, messageOf());
    const older = { nodeId: "one", fence: (await store.claim(uaid, "one"))?.fence ?? 0 };
    expect(await store.messages(uaid, { afterId: 0, limit: 9, nowMs: NOW_MS }, older)).toMatchObject({
      messages: [{ id: 1, mayHaveBeenSent: false }],
    });
    expect(await store.claim(uaid, "two")).toEqual({
      fence: older.fence + 1,
      older,
    });
    const newer = { nodeId: "two", fence: older.fence + 1 };
    const before = await all(store, NOW_MS);
    for (const refused of [
      () => store.getDevice(uaid, older),
      () => store.channels(uaid, older),
      () => store.messages(uaid, { afterId: 0, limit: 9, nowMs: NOW_MS }, older),
      () => store.ack(uaid, [[1, 1]], older),
      () => store.register(uaid, uaidOf(8), null, NOW_MS, older),
      () => store.unregister(uaid, 1, older),
      () => store.noteSeen(uaid, NOW_MS + 1, older),
      () => store.removeDevice(uaid, older),
      () => store.release(uaid, older),
      // After a failover that lost claims the same fence may be given twice.
      () => store.channels(uaid, { nodeId: "three", fence: newer.fence }),
    ])
      await expect(refused()).rejects.toMatchObject({ code: "ERR_STORE_FENCED" });
    expect(await all(store, NOW_MS)).toEqual(before);
    // It may have been sent by the older one, which nobody asks any more.
    expect(await store.messages(uaid, { afterId: 0, limit: 9, nowMs: NOW_MS }, newer)).toMatchObject({
      messages: [{ id: 1, mayHaveBeenSent: true }],
    });
    await store.close();
  });
});
