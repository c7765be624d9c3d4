// SPDX-License-Identifier: MIT
// Goal: while a whole shard of Redis is away, a node whose channel is there takes no device, says that it is not ready and in the end
// goes on under another name; the other nodes serve the devices of other shards. Method: a real cluster that loses a primary and its
// replica. The half minute after which devices are sent away is waited for with GODWIT_LONG alone.

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { FLEET_DEAF_MS_MAX, READY_CHECK_MS } from "../../src/limits.ts";
import { newKeyring } from "../../src/push-service/keyring.ts";
import { openRedisStore } from "../../src/push-service/store/redis.ts";
import { RedisKeys } from "../../src/push-service/store/redis-keys.ts";
import { TestBench } from "./bench.ts";
import { isRedisInstalled, TestCluster, type TestRedis } from "./redis-cluster.ts";

const isLong = process.env.GODWIT_LONG === "1";
const PATIENCE = { timeout: 20_000, interval: 50 };
const prefix = "outage";
const keys = new RedisKeys(prefix);
const keyring = newKeyring();
let cluster: TestCluster;
const benches: TestBench[] = [];

async function node(): Promise<TestBench> {
  const access = { username: null, password: null, tls: null };
  const store = await openRedisStore({ ...access, seeds: cluster.seeds, prefix });
  const bench = await TestBench.start({ store, keyring, reconnectSpreadS: 0 });
  benches.push(bench);
  return bench;
}

/** How many nodes hear at `redis`. */
async function hearing(redis: TestRedis): Promise<number> {
  return ((await redis.ask("PUBSUB", "SHARDCHANNELS", `${prefix}:*`)) as string[]).length;
}

/** A node whose channel is at `redis`, and one whose channel is not. */
async function nodesOf(redis: TestRedis): Promise<{ there: TestBench; elsewhere: TestBench }> {
  let [there, elsewhere]: (TestBench | undefined)[] = [];
  while (there === undefined || elsewhere === undefined) {
    const before = await hearing(redis);
    const bench = await node();
    if ((await hearing(redis)) > before) there = bench;
    else elsewhere = bench;
  }
  return { there, elsewhere };
}

async function deviceWhere(bench: TestBench, isFit: (primary: TestRedis) => boolean) {
  for (;;) {
    const subscribed = await bench.subscribed();
    const { slot } = keys.ofDevice(Buffer.from(subscribed.uaid, "hex"));
    if (isFit(await cluster.primaryOf(slot))) return subscribed;
    await subscribed.device.close();
  }
}

const deviceAt = (redis: TestRedis, bench: TestBench) => deviceWhere(bench, (primary) => primary === redis);
/** A device of which nothing is at `redis`. */
const deviceAwayFrom = (redis: TestRedis, bench: TestBench) =>
  deviceWhere(bench, (primary) => primary !== redis);

async function readiness(bench: TestBench): Promise<number> {
  bench.monotonicMs += READY_CHECK_MS;
  return (await bench.fetch("/readyz")).status;
}

const headersOf = (uaToken: string) => ({
  Authorization: `Bearer ${uaToken}`,
  "Godwit-Conditions": "heartbeat=240, window=0, urgency=very-low",
  "Godwit-Channels": "AAAAAAAAAAA",
});

beforeAll(async () => {
  if (isRedisInstalled) cluster = await TestCluster.start();
}, 60_000);
afterEach(async () => {
  await Promise.all(benches.splice(0).map((bench) => bench.stop()));
});
afterAll(() => cluster?.stop());

test.skipIf(!isRedisInstalled)(
  "a shard that is away",
  async () => {
    // Where readiness was once asked for: of a device that nobody has.
    const primary = await cluster.primaryOf(keys.ofDevice(new Uint8Array(16)).slot);
    const { there, elsewhere } = await nodesOf(primary);
    const [{ device, endpoint, uaToken }, other] = [
      await deviceAwayFrom(primary, there),
      await deviceAwayFrom(primary, elsewhere),
    ];
    // Its record and messages go away; the node that it is connected to is well.
    const far = await deviceAt(primary, elsewhere);
    const ports = await Promise.all(cluster.nodes.map((redis) => redis.info("master_port")));
    const replica = cluster.nodes[ports.indexOf(String(primary.port))] as TestRedis;
    await Promise.all([primary.kill(), replica.kill()]);
    await expect.poll(() => readiness(there), PATIENCE).toBe(503);
    expect((await there.refusal("/v1/ws", headersOf(other.uaToken))).status).toBe(503);
    expect(await readiness(elsewhere)).toBe(200);
    expect((await there.post(other.endpoint)).status).toBe(201);
    expect(await other.device.next("notification")).toMatchObject({ id: 1 });
    if (isLong) {
      for (const redis of cluster.nodes.filter(({ isRunning }) => isRunning))
        await redis.ask("CLIENT", "KILL", "TYPE", "pubsub");
      const failed = () => elsewhere.log.filter(({ event }) => event === "store-failed").length;
      await expect.poll(failed, { timeout: 30_000 }).toBeGreaterThan(1);
      // Nobody can tell it, and so it sends its devices to who can be told.
      const patience = { timeout: 2 * FLEET_DEAF_MS_MAX };
      await expect.poll(() => there.service.stats().devicesConnected, patience).toBe(0);
      expect(await device.next("bye")).toMatchObject({ reason: "overload" });
      await expect.poll(() => readiness(there), PATIENCE).toBe(200);
      expect(elsewhere.service.stats().devicesConnected).toBe(2);
    }
    await Promise.all([primary.run(), replica.run()]);
    await cluster.whole();
    await expect.poll(() => readiness(there), PATIENCE).toBe(200);
    const back = isLong ? await there.connect(uaToken) : device;
    if (isLong) await back.next("registered");
    expect((await elsewhere.post(endpoint)).status).toBe(201);
    expect(await back.next("notification")).toMatchObject({ id: 1 });
    expect((await there.post(far.endpoint)).status).toBe(201);
    expect(await far.device.next("notification")).toMatchObject({ body: Uint8Array.of(1) });
  },
  isLong ? 180_000 : 60_000,
);
