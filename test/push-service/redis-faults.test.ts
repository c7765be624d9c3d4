// SPDX-License-Identifier: MIT
// Goal: no failure of a Redis process and no move of slots loses a message whose put resolved, stores it twice, or gives an id twice;
// and what cannot be kept is refused. Method: a real cluster, whose primaries are killed, paused and resharded while
// messages for many devices are put, each repeated until its put resolves.

import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import {
  REDIS_BATCH_MAX,
  REDIS_CLOCK_SKEW_MS_MAX,
  REDIS_MESSAGE_ID_GAP,
  REDIS_PENDING_MAX,
  REDIS_REPLICA_TIMEOUT_MS,
  REDIS_REPLICA_WAIT_MS,
} from "../../src/limits.ts";
import { Hub } from "../../src/push-service/hub.ts";
import type { LogEvent } from "../../src/push-service/log.ts";
import { openRedisStore, type RedisStore } from "../../src/push-service/store/redis.ts";
import { RedisKeys, SLOTS, slotOf } from "../../src/push-service/store/redis-keys.ts";
import { CLAIM, PUT } from "../../src/push-service/store/redis-scripts.ts";
import { isRedisInstalled, TestCluster, type TestRedis } from "./redis-cluster.ts";
import { messageOf, uaidOf } from "./store-contract.ts";

const NOW_MS = 1_600_000_000_000;
const DEVICES = 24;
const QUOTA = { messagesMax: 1_000_000, messageBytesMax: 1_000_000_000 };
const ACCESS = { username: null, password: null, tls: null } as const;

let cluster: TestCluster;
let store: RedisStore;
let prefix = "";
let prefixes = 0;

async function open(log: (event: LogEvent) => void = () => {}): Promise<RedisStore> {
  return openRedisStore({ ...ACCESS, seeds: cluster.seeds, prefix, log, quota: QUOTA });
}

/** The store, anew, with devices 1 to DEVICES that have channel 1 each. */
async function begin(): Promise<void> {
  prefix = `test${++prefixes}`;
  store = await open();
  for (let device = 1; device <= DEVICES; device++) {
    await store.createDevice(uaidOf(device), NOW_MS);
    await store.register(uaidOf(device), uaidOf(99), null, NOW_MS);
  }
}

const slotOfDevice = (device: number) => new RedisKeys(prefix).ofDevice(uaidOf(device)).slot;

interface Put {
  readonly device: number;
  readonly text: string;
  readonly id: number;
  /** Puts of it that failed before: each may be there all the same. */
  readonly failures: number;
}

/** Puts messages to every device until it is stopped. */
class Sender {
  readonly puts: Put[] = [];
  #isStopped = false;
  readonly #running = Array.from({ length: DEVICES }, (_, at) => this.#run(at + 1));

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #run(device: number): Promise<void> {
    for (let number = 1; !this.#isStopped; number++) {
      const text = `${device}/${number}`;
      for (let failures = 0; ; failures++) {
        try {
          const put = await store.putMessage(
            uaidOf(device),
            1,
            messageOf({ ttlS: 3_600, body: Buffer.from(text) }),
          );
          if (put.outcome !== "stored") throw new Error(put.outcome);
          this.puts.push({ device, text, id: put.id, failures });
          break;
        } catch (error) {
          if (!(error instanceof GodwitError && error.code === "ERR_STORE")) throw error;
        }
      }
    }
  }
}

/** What is wrong with what is stored, given what was put. */
async function wrongs(puts: readonly Put[]): Promise<string[]> {
  const found: string[] = [];
  for (let device = 1; device <= DEVICES; device++) {
    const stored = new Map<string, number[]>();
    const { messages } = await store.messages(uaidOf(device), {
      afterId: 0,
      limit: QUOTA.messagesMax,
      nowMs: NOW_MS,
    });
    for (const { id, body } of messages) {
      const text = Buffer.from(body ?? []).toString();
      stored.set(text, [...(stored.get(text) ?? []), id]);
    }
    const own = puts.filter((put) => put.device === device);
    if (own.length === 0) found.push(`nothing was put for device ${device}`);
    for (const { text, id, failures } of own) {
      const ids = stored.get(text) ?? [];
      if (!ids.includes(id)) found.push(`lost: ${text} as ${id}`);
      if (ids.length > 1 + failures) found.push(`stored ${ids.length} times: ${text}`);
    }
    const ids = own.map(({ id }) => id);
    if (new Set(ids).size !== ids.length) found.push(`an id was given twice to device ${device}`);
    if (ids.some((id, at) => at > 0 && id <= (ids[at - 1] ?? 0))) found.push(`ids fell for device ${device}`);
  }
  return found;
}

/** Resolves once `count` more puts resolved. */
async function more(sender: Sender, count: number): Promise<void> {
  const until = sender.puts.length + count;
  await expect.poll(() => sender.puts.length >= until, { timeout: 25_000, interval: 10 }).toBe(true);
}

describe.skipIf(!isRedisInstalled)("Redis Cluster", () => {
  beforeAll(async () => {
    cluster = await TestCluster.start();
  }, 60_000);
  afterAll(() => cluster?.stop());
  afterEach(() => store?.close());

  test("a primary that is killed loses nothing, and comes back as a replica", async () => {
    await begin();
    const sender = new Sender();
    await more(sender, 200);
    const primary = await cluster.primaryOf(slotOfDevice(1));
    const replica = await replicaOf(primary);
    // What comes from here on dies with it: were it answered, it would be lost.
    replica.signal("SIGSTOP");
    // Else its kernel has taken what it will read when it goes on.
    await primary.ask("CLIENT", "KILL", "TYPE", "replica");
    const offset = async () => Number(await primary.info("master_repl_offset"));
    const before = await offset();
    await expect.poll(offset, { interval: 10 }).toBeGreaterThan(before);
    await primary.kill();
    replica.signal("SIGCONT");
    await expect
      .poll(async () => (await cluster.primaryOf(slotOfDevice(1))) !== primary, { timeout: 20_000 })
      .toBe(true);
    await primary.run();
    await cluster.whole();
    await more(sender, 200);
    const idsOfFirst = () => sender.puts.filter(({ device }) => device === 1).map(({ id }) => id);
    await expect
      .poll(() => Math.max(...idsOfFirst()), { timeout: 20_000 })
      .toBeGreaterThan(REDIS_MESSAGE_ID_GAP);
    await sender.stop();
    expect(await wrongs(sender.puts)).toEqual([]);
    // What the old primary may have given out unseen is left out.
    const ids = idsOfFirst();
    const first = ids.filter((id) => id < REDIS_MESSAGE_ID_GAP);
    expect(Math.min(...ids.slice(first.length))).toBeGreaterThan(REDIS_MESSAGE_ID_GAP);
    expect(ids.length).toBeGreaterThan(first.length);
  }, 90_000);

  test("a primary that is paused until another one took its place loses nothing, and what it took last is not believed", async () => {
    await begin();
    const sender = new Sender();
    await more(sender, 200);
    const primary = await cluster.primaryOf(slotOfDevice(1));
    primary.signal("SIGSTOP");
    await expect.poll(() => isReplaced(primary), { timeout: 20_000 }).toBe(true);
    primary.signal("SIGCONT");
    await cluster.whole();
    await more(sender, 200);
    await sender.stop();
    expect(await wrongs(sender.puts)).toEqual([]);
  }, 90_000);

  test("slots that move while messages come in cost nobody a message, nor a 503", async () => {
    await begin();
    const from = await cluster.primaryOf(slotOfDevice(1));
    const to = await cluster.primaryOf((slotOfDevice(1) + 8_192) % 16_384);
    expect(from).not.toBe(to);
    const sender = new Sender();
    await more(sender, 200);
    const had = await slotsOf(from);
    // The lowest of them, two devices' among them.
    const devices: number[] = [];
    for (let device = 1; device <= DEVICES; device++)
      if ((await cluster.primaryOf(slotOfDevice(device))) === from) devices.push(slotOfDevice(device));
    const slots = await slotsOf(from, devices.sort((a, b) => a - b)[1]);
    await cluster.reshard(from, to, slots);
    await more(sender, 200);
    await sender.stop();
    expect(await slotsOf(from)).toBe(had - slots);
    expect(await wrongs(sender.puts)).toEqual([]);
    expect(sender.puts.filter(({ failures }) => failures > 0)).toEqual([]);
    await cluster.whole();
  }, 120_000);

  test("without a replica nothing is accepted, however much comes, and other shards hear nothing of it", async () => {
    await begin();
    const primary = await cluster.primaryOf(slotOfDevice(1));
    const other = await deviceAwayFrom(primary);
    const replica = await replicaOf(primary);
    await replica.kill();
    await primary.ask("CONFIG", "RESETSTAT");
    const puts = Array.from({ length: REDIS_PENDING_MAX }, () => store.putMessage(uaidOf(1), 1, messageOf()));
    const refused = Promise.allSettled(puts);
    await expect(store.putMessage(uaidOf(1), 1, messageOf())).rejects.toMatchObject({
      message: "Redis: too much waits for it",
    });
    let isRefused = false;
    void refused.then(() => (isRefused = true));
    expect(await store.putMessage(uaidOf(other), 1, messageOf())).toMatchObject({ id: 1 });
    expect(isRefused).toBe(false);
    for (const result of await refused)
      expect(result).toMatchObject({
        reason: { code: "ERR_STORE", message: "the replicas of the Redis primary have not taken it in time" },
      });
    // Not batch after batch, each for as long as the first.
    const waits = Number(
      /cmdstat_wait:calls=(\d+)/.exec(String(await primary.ask("INFO", "commandstats")))?.[1],
    );
    const batches = REDIS_PENDING_MAX / REDIS_BATCH_MAX;
    expect(waits).toBeLessThan(batches + REDIS_REPLICA_WAIT_MS / REDIS_REPLICA_TIMEOUT_MS);
    const { lastMessageId = 0 } = (await store.getDevice(uaidOf(1))) ?? {};
    await replica.run();
    await cluster.whole();
    // Some are there all the same, which is what the 503 for them leaves open.
    expect(lastMessageId).toBeGreaterThan(0);
    expect(await store.putMessage(uaidOf(1), 1, messageOf())).toMatchObject({ id: lastMessageId + 1 });
  }, 60_000);

  test("a primary that says itself that it has too few replicas is believed at once", async () => {
    await begin();
    const primary = await cluster.primaryOf(slotOfDevice(1));
    await primary.ask("CONFIG", "SET", "min-replicas-to-write", 2);
    try {
      const put = store.putMessage(uaidOf(1), 1, messageOf());
      const sooner = new Promise((resolve) => setTimeout(() => resolve("later"), REDIS_REPLICA_WAIT_MS));
      const failed = await Promise.race([put, sooner]).catch((error: Error) => error);
      expect(failed).toMatchObject({ code: "ERR_STORE", message: expect.stringContaining("NOREPLICAS") });
    } finally {
      await primary.ask("CONFIG", "SET", "min-replicas-to-write", 0);
    }
    expect(await store.putMessage(uaidOf(1), 1, messageOf())).toMatchObject({ id: 1 });
  });

  test("a primary that came back without its replica, and then the replica, do not give the same id", async () => {
    await begin();
    const put = () => store.putMessage(uaidOf(1), 1, messageOf());
    expect(await put()).toMatchObject({ id: 1 });
    const primary = await cluster.primaryOf(slotOfDevice(1));
    const replica = await replicaOf(primary);
    replica.signal("SIGSTOP");
    await primary.kill();
    await primary.run();
    // Nothing is told of it here, but a device may have been sent it.
    await expect(put()).rejects.toMatchObject({ code: "ERR_STORE" });
    const key = new RedisKeys(prefix).ofDevice(uaidOf(1)).keys[0];
    const unseen = Number(await primary.ask("HGET", key, "last"));
    expect(unseen).toBeGreaterThan(1);
    await primary.kill();
    replica.signal("SIGCONT");
    await expect
      .poll(async () => (await cluster.primaryOf(slotOfDevice(1))) === replica, { timeout: 20_000 })
      .toBe(true);
    await primary.run();
    await cluster.whole();
    const next = await put();
    expect(next).toMatchObject({ outcome: "stored" });
    expect(next).not.toMatchObject({ id: unseen });
    expect((await store.messages(uaidOf(1), { afterId: 0, limit: 9, nowMs: NOW_MS })).messages).toHaveLength(
      2,
    );
  }, 90_000);

  test("what is done already writes all the same, so that WAIT waits for the first time it was done", async () => {
    await begin();
    const uaid = uaidOf(1);
    const primary = await cluster.primaryOf(slotOfDevice(1));
    const channelKey = new Uint8Array(65).fill(4);
    const { keys, name } = new RedisKeys(prefix).ofDevice(uaid);
    const put = (ttlS: number) => {
      const expires = NOW_MS + ttlS * 1000;
      const args = ["", 1, NOW_MS, expires, 1, "", "value", 9, 999, name];
      return primary.ask("EVAL", PUT.text, 5, ...keys, `${keys[0]}:put:${ttlS}`, ...args);
    };
    const again: [string, () => Promise<unknown>][] = [
      ["create", () => store.createDevice(uaid, NOW_MS)],
      ["generation", () => store.raiseTokenGeneration(uaid, 3)],
      ["register", () => store.register(uaid, uaidOf(8), channelKey, NOW_MS)],
      ["put", () => put(60)],
      ["put with TTL 0", () => put(0)],
      ["withdraw", () => store.withdraw(uaid, 2, 7)],
      ["revoke", () => store.revoke(uaid, 2, "expired")],
      ["unregister", () => store.unregister(uaid, 2)],
      ["remove", () => store.removeDevice(uaid)],
    ];
    const silent: string[] = [];
    for (const [what, run] of again) {
      const first = await run();
      const before = Number(await primary.info("rdb_changes_since_last_save"));
      const second = await run();
      if (Number(await primary.info("rdb_changes_since_last_save")) === before) silent.push(what);
      if (what.startsWith("put")) expect(second).toEqual(first);
    }
    expect(silent).toEqual([]);
  });

  test("a primary without memory takes nothing new, and whatever makes room", async () => {
    await begin();
    const uaid = uaidOf(1);
    await store.register(uaid, uaidOf(98), null, NOW_MS);
    for (const ttlS of [60, 3_600, 3_600, 3_600]) await store.putMessage(uaid, 1, messageOf({ ttlS }));
    const primary = await cluster.primaryOf(slotOfDevice(1));
    await primary.ask("CONFIG", "SET", "maxmemory", 1);
    try {
      for (const grow of [
        () => store.putMessage(uaid, 1, messageOf()),
        () => store.register(uaid, uaidOf(97), null, NOW_MS),
      ])
        await expect(grow()).rejects.toMatchObject({ message: expect.stringContaining("OOM") });
      const claim = { nodeId: "one", fence: (await store.claim(uaid, "one"))?.fence ?? 0 };
      expect(await store.ack(uaid, [[2, 2]], claim)).toBe(1);
      expect(await store.withdraw(uaid, 1, 3)).toBe(true);
      expect(await store.expire(NOW_MS + 60_000)).toEqual({ messages: 1, devices: [] });
      expect(await store.unregister(uaid, 2)).toBe(true);
      expect(await store.revoke(uaid, 1, "expired")).toBe(true);
      await store.noteSeen(uaid, NOW_MS + 1);
      await store.raiseTokenGeneration(uaid, 1);
      await store.release(uaid, claim);
      await store.removeDevice(uaid);
      expect([await store.countMessages(), await store.countDevices()]).toEqual([0, DEVICES - 1]);
    } finally {
      await primary.ask("CONFIG", "SET", "maxmemory", 0);
    }
  });

  test("whoever has a clock that runs ahead ends nothing early, neither by sweeping nor to make room", async () => {
    await begin();
    const nowMs = Date.now();
    await store.noteSeen(uaidOf(1), nowMs);
    expect((await store.expire(nowMs)).devices).toHaveLength(DEVICES - 1);
    const put = (receivedMs: number) =>
      store.putMessage(uaidOf(1), 1, messageOf({ receivedMs, ttlS: 3_600 }));
    const small = await openRedisStore({
      ...ACCESS,
      seeds: cluster.seeds,
      prefix,
      quota: { ...QUOTA, messagesMax: 1 },
    });
    expect(await put(nowMs)).toMatchObject({ id: 1 });
    const ahead = messageOf({ receivedMs: nowMs + 7_200_000 });
    expect(await small.putMessage(uaidOf(1), 1, ahead)).toEqual({ outcome: "quota" });
    expect(await store.expire(nowMs + 7_200_000)).toEqual({ messages: 0, devices: [] });
    expect(await store.expire(nowMs + 100 * 24 * 3600_000)).toEqual({
      messages: 0,
      devices: [],
    });
    expect((await store.messages(uaidOf(1), { afterId: 0, limit: 9, nowMs })).messages).toHaveLength(1);
    await small.close();
  });

  test("at its quota a device is not looked through with every message that is refused", async () => {
    await begin();
    const small = await openRedisStore({
      ...ACCESS,
      seeds: cluster.seeds,
      prefix,
      quota: { ...QUOTA, messagesMax: 3 },
    });
    for (let sent = 0; sent < 3; sent++) await small.putMessage(uaidOf(1), 1, messageOf());
    const refused = async (receivedMs: number) => {
      expect(await small.putMessage(uaidOf(1), 1, messageOf({ receivedMs }))).toEqual({ outcome: "quota" });
    };
    const looks = async () =>
      Number(/cmdstat_xrange:calls=(\d+)/.exec(String(await primary.ask("INFO", "commandstats")))?.[1] ?? 0);
    const primary = await cluster.primaryOf(slotOfDevice(1));
    const before = await looks();
    for (let times = 0; times < 20; times++) await refused(NOW_MS + times);
    expect(await looks()).toBe(before);
    expect(await small.putMessage(uaidOf(1), 1, messageOf({ receivedMs: NOW_MS + 60_000 }))).toMatchObject({
      id: 4,
    });
    await small.close();
  });

  test("one node sweeps for all", async () => {
    await begin();
    const other = await open();
    await store.putMessage(uaidOf(1), 1, messageOf());
    expect(await store.expire(NOW_MS)).toEqual({ messages: 0, devices: [] });
    expect(await other.expire(NOW_MS + 60_000)).toEqual({ messages: 0, devices: [] });
    expect(await store.expire(NOW_MS + 60_000)).toEqual({ messages: 1, devices: [] });
    await other.close();
  });

  test("a claim that went without an answer and is made again names who held the device before", async () => {
    await begin();
    const uaid = uaidOf(1);
    const first = (await store.claim(uaid, "one"))?.fence;
    const primary = await cluster.primaryOf(slotOfDevice(1));
    const { keys } = new RedisKeys(prefix).ofDevice(uaid);
    const claim = () => primary.ask("EVAL", CLAIM.text, 5, ...keys, `${keys[0]}:done:x`, "", "two");
    const claimed = await claim();
    expect(claimed).toEqual([Number(first) + 1, "one", first]);
    expect(await claim()).toEqual(claimed);
  });

  test.each([
    ["appendfsync", "everysec", "always"],
    ["maxmemory-policy", "allkeys-lru", "noeviction"],
    ["appendonly", "no", "yes"],
    ["no-appendfsync-on-rewrite", "yes", "no"],
  ])("a cluster with %s %s is refused", async (name, value, needed) => {
    const node = cluster.nodes.at(-1) as TestRedis;
    await node.ask("CONFIG", "SET", name, value);
    try {
      await expect(open()).rejects.toMatchObject({
        code: "ERR_CONFIG",
        message: `Redis at ${node.address} can lose what it acknowledged: it needs ${name} ${needed}`,
      });
    } finally {
      await node.ask("CONFIG", "SET", name, needed);
    }
    await cluster.whole();
  });

  test("what becomes wrong with the cluster while it is used is said once, as long as it is so", async () => {
    prefix = `test${++prefixes}`;
    const log: LogEvent[] = [];
    let aheadMs = 0;
    store = await openRedisStore({
      ...{ ...ACCESS, seeds: cluster.seeds, prefix, checkIntervalMs: 20 },
      ...{ log: (event: LogEvent) => log.push(event), epochMs: () => Date.now() + aheadMs },
    });
    const reasons = () => log.flatMap((entry) => (entry.event === "store-unsafe" ? [entry.reason] : []));
    const node = cluster.nodes.at(-1) as TestRedis;
    const { epoch } = store;
    const primary = await cluster.primaryOf(slotOf(`${prefix}:meta`));
    await primary.ask("DEL", `${prefix}:meta`);
    await expect.poll(() => store.epoch).not.toBe(epoch);
    const setting = `Redis at ${node.address} can lose what it acknowledged: it needs appendfsync always`;
    await node.ask("CONFIG", "SET", "appendfsync", "everysec");
    await expect.poll(reasons).toEqual(["the store was emptied", setting]);
    await node.ask("CONFIG", "SET", "appendfsync", "always");
    const fleet = await store.join(new Hub(), () => {});
    await fleet.checkReady();
    aheadMs = REDIS_CLOCK_SKEW_MS_MAX + 5_000;
    const clock = "this machine's clock differs from those of Redis by more than 30 s";
    await expect.poll(reasons).toEqual(["the store was emptied", setting, clock]);
    await expect(fleet.checkReady()).rejects.toMatchObject({ message: "this machine's clock is wrong" });
    await expect(store.expire(Date.now())).rejects.toMatchObject({ code: "ERR_STORE" });
    await expect(openRedisStore({ ...ACCESS, seeds: cluster.seeds, epochMs: () => 0 })).rejects.toMatchObject(
      {
        ...{ code: "ERR_CONFIG", message: clock },
      },
    );
    aheadMs = 0;
    await expect.poll(() => store.isClockWrong).toBe(false);
    await fleet.checkReady();
    await fleet.close();
  });

  test("a user with the rights that the documentation names can do all of it, and one with a wrong password nothing", async () => {
    prefix = `test${++prefixes}`;
    const text = readFileSync("docs/operating-a-push-service.md", "utf8");
    const rights = /ACL of the user: `([^`]+)`/.exec(text)?.[1]?.replaceAll("godwit:", `${prefix}:`) ?? "";
    const rule = ["reset", "on", ">secret-word", ...rights.split(" ")];
    for (const node of cluster.nodes) await node.ask("ACL", "SETUSER", "service", ...rule);
    const log: LogEvent[] = [];
    const access = { ...ACCESS, username: "service", password: "secret-word", seeds: cluster.seeds, prefix };
    store = await openRedisStore({ ...access, log: (event) => log.push(event) });
    const fleet = await store.join(new Hub(), (event) => log.push(event));
    await store.createDevice(uaidOf(1), NOW_MS);
    await store.register(uaidOf(1), uaidOf(9), null, NOW_MS);
    const held = await fleet.claim(uaidOf(1));
    expect(await fleet.putMessage(uaidOf(1), 1, messageOf({ topic: "t" }))).toMatchObject({ id: 1 });
    expect((await held.messages({ afterId: 0, limit: 1, nowMs: NOW_MS })).messages).toHaveLength(1);
    expect([await store.countMessages(), await store.countDevices()]).toEqual([1, 1]);
    expect(await store.expire(NOW_MS + 60_000)).toEqual({ messages: 1, devices: [] });
    expect([await fleet.elect(uaidOf(1), "test"), await fleet.isElsewhere(uaidOf(1))]).toEqual([true, false]);
    await fleet.close();
    expect(log.map(({ event }) => event)).toEqual(["fleet-joined"]);
    const wrong = await openRedisStore({ ...access, password: "another-word" }).catch(
      (error: Error) => error,
    );
    expect(wrong).toMatchObject({ code: "ERR_STORE", message: expect.stringContaining("WRONGPASS") });
    expect(String(wrong)).not.toContain("another-word");
  });

  test("nobody there is an error at once, which says where and holds no password", async () => {
    const options = { ...ACCESS, username: "name", password: "secret-word", seeds: ["127.0.0.1:1"] };
    const error = await openRedisStore(options).catch((failed: Error) => failed);
    expect(error).toMatchObject({ code: "ERR_STORE", message: expect.stringContaining("127.0.0.1:1") });
    expect(String(error)).not.toContain("secret-word");
  });
});

/** True once the others see another primary in its place. */
async function isReplaced(primary: TestRedis): Promise<boolean> {
  const other = cluster.nodes.find((node) => node !== primary) as TestRedis;
  const ranges = (await other.ask("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
  return ranges.every(([, , [, port]]) => port !== primary.port);
}

/** How many it has, up to slot `upTo`. */
async function slotsOf(node: TestRedis, upTo = SLOTS): Promise<number> {
  const ranges = (await node.ask("CLUSTER", "SLOTS")) as [number, number, [string, number]][];
  const own = ranges.filter(([first, , [, port]]) => port === node.port && first <= upTo);
  return own.reduce((sum, [first, last]) => sum + Math.min(last, upTo) - first + 1, 0);
}

/** One whose messages are at another primary. */
async function deviceAwayFrom(primary: TestRedis): Promise<number> {
  for (let device = 1; device <= DEVICES; device++)
    if ((await cluster.primaryOf(slotOfDevice(device))) !== primary) return device;
  throw new Error("none");
}

async function replicaOf(primary: TestRedis): Promise<TestRedis> {
  for (const node of cluster.nodes)
    if ((await node.info("master_port")) === String(primary.port)) return node;
  throw new Error("no replica");
}
