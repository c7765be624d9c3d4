// SPDX-License-Identifier: MIT
// Goal: nodes of one push service act as one: what is posted to any of them reaches the device wherever it is, at once and also
// after the news of it was lost, and never do two of them hold a device. Method: nodes in this process and one in a process of its own,
// which is paused, over a real cluster whose subscriptions are cut and whose primaries are killed and paused.

import { once } from "node:events";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { newKeyring } from "../../src/push-service/keyring.ts";
import { openRedisStore, type RedisStore } from "../../src/push-service/store/redis.ts";
import { RedisKeys } from "../../src/push-service/store/redis-keys.ts";
import type { RedisAccess } from "../../src/push-service/store/redis-node.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { TestBench, TestDevice } from "./bench.ts";
import { startNode } from "./node-process.ts";
import { isRedisInstalled, TestCluster, type TestRedis } from "./redis-cluster.ts";

const ACCESS = { username: null, password: null, tls: null } as const;
const PATIENCE = { timeout: 20_000 };
const keyring = newKeyring();
let cluster: TestCluster;
let prefix = "";
let prefixes = 0;
let [a, b]: TestBench[] = [];

const open = (access: Partial<RedisAccess> = {}): Promise<RedisStore> =>
  openRedisStore({ ...ACCESS, ...access, seeds: cluster.seeds, prefix });
const node = async (access: Partial<RedisAccess> = {}): Promise<TestBench> =>
  TestBench.start({ store: await open(access), keyring, reconnectSpreadS: 0 });

/** The two nodes, which every test begins anew. */
function nodes(): [TestBench, TestBench] {
  if (a === undefined || b === undefined) throw new Error("not started");
  return [a, b];
}

/** Posts `count` messages whose bodies are one number each, from `first` on, and insists on 201. */
async function post(at: TestBench, endpoint: string, count: number, first = 0): Promise<void> {
  for (let number = first; number < first + count; number++) {
    const response = await at.post(endpoint, { TTL: "600" }, Uint8Array.of(number));
    expect(response.status).toBe(201);
  }
}

/** The bodies of the next `count` notifications, each acknowledged; one that comes again counts once. */
async function receive(device: TestDevice, count: number): Promise<number[]> {
  const bodies = new Map<number, number>();
  while (bodies.size < count) {
    const { id, body } = await device.next("notification");
    bodies.set(id, body?.[0] ?? -1);
    device.send({ type: "ack", code: "ok", ranges: [[id, id]] });
  }
  return [...bodies.values()].sort((x, y) => x - y);
}

const upTo = (count: number) => Array.from({ length: count }, (_, number) => number);

describe.skipIf(!isRedisInstalled)("nodes over Redis Cluster", () => {
  beforeAll(async () => {
    cluster = await TestCluster.start();
  }, 60_000);
  afterAll(() => cluster?.stop());
  beforeEach(async () => {
    prefix = `test${++prefixes}`;
    [a, b] = [await node(), await node()];
  });
  afterEach(async () => {
    await Promise.all([a?.stop(), b?.stop()]);
  });

  test("a message posted to one reaches the device at the other, and is gone once acknowledged", async () => {
    const [here, there] = nodes();
    const { device, endpoint } = await here.subscribed();
    await post(there, endpoint, 1, 7);
    expect(await receive(device, 1)).toEqual([7]);
    await expect.poll(() => there.store.countMessages()).toBe(0);
  });

  test("what is posted to both at once arrives whole, each message once", async () => {
    const [here, there] = nodes();
    const { device, endpoint } = await here.subscribed();
    const posts = [here, there].map((at, half) => post(at, endpoint, 100, half * 100));
    expect(await receive(device, 200)).toEqual(upTo(200));
    await Promise.all(posts);
    await expect.poll(() => here.store.countMessages()).toBe(0);
    expect(await device.quiet()).toEqual([]);
  });

  test("what no replica has is sent to no device: put again after a failover it would come twice", async () => {
    const [here, there] = nodes();
    const { device, endpoint, uaid } = await here.subscribed();
    const { slot } = new RedisKeys(prefix).ofDevice(Buffer.from(uaid, "hex"));
    const primary = await cluster.primaryOf(slot);
    const masterPorts = await Promise.all(cluster.nodes.map((redis) => redis.info("master_port")));
    const replica = cluster.nodes[masterPorts.indexOf(String(primary.port))] as TestRedis;
    await replica.kill();
    const { status } = await there.post(endpoint);
    const sent = await device.quiet();
    await replica.run();
    await cluster.whole();
    expect(status).toBe(503);
    expect(sent).toEqual([]);
  }, 60_000);

  test("what a node was not told of, it reads with the next news, or once it can be told", async () => {
    const [here] = nodes();
    const { device, endpoint } = await here.subscribed();
    // A node that reaches the devices' shards, and not the channels of other nodes.
    const may = (what: string) =>
      everywhere("ACL", "SETUSER", "mute", "on", ">word", "~*", "&*", "+@all", what);
    await may("+spublish");
    const mute = await node({ username: "mute", password: "word" });
    await may("-spublish");
    try {
      await post(mute, endpoint, 1, 1);
      await expect.poll(() => mute.log.some(({ event }) => event === "store-failed")).toBe(true);
      expect(await device.quiet()).toEqual([]);
      await post(here, endpoint, 1, 2);
      expect(await receive(device, 2)).toEqual([1, 2]);
      await post(mute, endpoint, 1, 3);
      expect(await device.quiet()).toEqual([]);
      await may("+spublish");
      expect(await receive(device, 1)).toEqual([3]);
    } finally {
      await mute.stop();
    }
  });

  test("another version's words make a node read the store, and many of them do so once in a while", async () => {
    const [here] = nodes();
    const { device, endpoint } = await here.subscribed();
    await post(here, endpoint, 1, 1);
    expect(await receive(device, 1)).toEqual([1]);
    const read = vi.spyOn(here.store, "channels");
    for (let times = 0; times < 50; times++) await say(Uint8Array.of(0x81, 0x00));
    await expect.poll(() => read.mock.calls.length).toBe(1);
    await post(here, endpoint, 1, 2);
    expect(await receive(device, 1)).toEqual([2]);
    expect(read.mock.calls.length).toBe(1);
  });

  test("TTL 0 goes to wherever the device is, or nowhere", async () => {
    const [here, there] = nodes();
    const { device, endpoint, uaToken } = await here.subscribed();
    expect((await there.post(endpoint, { TTL: "0" }, Uint8Array.of(5))).status).toBe(201);
    expect(await receive(device, 1)).toEqual([5]);
    await device.close();
    await expect.poll(() => here.service.stats().devicesConnected).toBe(0);
    expect((await there.post(endpoint, { TTL: "0" })).status).toBe(201);
    const again = await there.connect(uaToken);
    await again.next("registered");
    expect((await again.quiet()).filter(({ type }) => type === "notification")).toEqual([]);
  });

  test("a revocation by one is heard at the other", async () => {
    const [here, there] = nodes();
    const { publicKey } = here.keys;
    const { device, endpoint, channel } = await here.subscribed(publicKey);
    const Authorization = here.vapid({ act: "revoke", sub: endpoint, expiresS: here.epochMs / 1000 + 200 });
    expect((await there.fetch(endpoint, { method: "DELETE", headers: { Authorization } })).status).toBe(204);
    expect(await device.next("revoked")).toMatchObject({ channel, reason: "application-server" });
  });

  test("a device that comes to another node leaves the first, which hears of it", async () => {
    const [here, there] = nodes();
    const { device, endpoint, uaToken, channel } = await here.subscribed();
    const moved = await there.connect(uaToken, [channel]);
    await moved.next("registered");
    expect(await device.next("bye")).toMatchObject({ reason: "replaced" });
    await post(here, endpoint, 1, 3);
    expect(await receive(moved, 1)).toEqual([3]);
    await expect.poll(() => here.service.stats().devicesConnected).toBe(0);
  });

  test("a subscription that is cut costs no message, and no device a new connection", async () => {
    const [here, there] = nodes();
    const { device, endpoint } = await here.subscribed();
    for (let round = 0; round < 3; round++) {
      await Promise.all(cluster.nodes.map((redis) => redis.ask("CLIENT", "KILL", "TYPE", "pubsub")));
      await post(there, endpoint, 20);
      expect(await receive(device, 20)).toEqual(upTo(20));
    }
    await expect.poll(() => here.log.filter(({ event }) => event === "fleet-lost").length).toBe(3);
    expect(await device.quiet()).toEqual([]);
  });

  test("the primary that carries a node's channel dies: the node hears by the next one", async () => {
    const [here, there] = nodes();
    const primary = await primaryOfChannel();
    const [{ device, endpoint }, other] = [await awayFrom(primary, here), await awayFrom(primary, there)];
    await primary.kill();
    const last = ({ log }: TestBench) => log.findLast(({ event }) => event.startsWith("fleet-"))?.event;
    await expect.poll(() => [last(here), last(there)]).toContain("fleet-lost");
    await expect.poll(() => [last(here), last(there)], PATIENCE).toEqual(["fleet-joined", "fleet-joined"]);
    await post(there, endpoint, 3);
    await post(here, other.endpoint, 3);
    expect(await receive(device, 3)).toEqual(upTo(3));
    expect(await receive(other.device, 3)).toEqual(upTo(3));
    await primary.run();
    await cluster.whole();
  }, 60_000);

  test("a subscription at a primary that says nothing any more is noticed, and what was missed is read", async () => {
    const [here, there] = nodes();
    const primary = await primaryOfChannel();
    const [{ device, endpoint }, other] = [await awayFrom(primary, here), await awayFrom(primary, there)];
    primary.signal("SIGSTOP");
    await post(there, endpoint, 3);
    await post(here, other.endpoint, 3);
    expect(await receive(device, 3)).toEqual(upTo(3));
    expect(await receive(other.device, 3)).toEqual(upTo(3));
    primary.signal("SIGCONT");
    await cluster.whole();
  }, 60_000);

  test("a node that was paused while its device went elsewhere can do nothing for it any more", async () => {
    const [here] = nodes();
    const { device, endpoint, uaToken, uaid, channel } = await here.subscribed();
    const child = await startNode({ seeds: cluster.seeds, prefix, keyring });
    try {
      // The device is at the child, which sends it a message and is paused before it is acknowledged.
      const first = await connectTo(child.port, uaToken, channel);
      await first.next("registered");
      expect(await device.next("bye")).toMatchObject({ reason: "replaced" });
      await post(here, endpoint, 1, 1);
      const sent = await first.next("notification");
      child.process.kill("SIGSTOP");
      first.send({ type: "ack", code: "ok", ranges: [[sent.id, sent.id]] });
      first.send({ type: "unregisterWa", ref: 2, channel });
      // It gives up waiting and comes here, where the message comes again.
      const second = await here.connect(uaToken, [channel]);
      await second.next("registered");
      expect(await second.next("notification")).toMatchObject({ id: sent.id, attempt: 2 });
      child.process.kill("SIGCONT");
      // What it said to the paused node is refused there; it hears that it was replaced, and nothing else.
      expect(await first.next("bye")).toMatchObject({ reason: "replaced" });
      expect(await here.store.channels(Buffer.from(uaid, "hex"))).toMatchObject([{ channel }]);
      expect(await here.store.countMessages()).toBe(1);
      expect(await second.quiet()).toEqual([]);
    } finally {
      await child.stop();
    }
  }, 60_000);
});

/** Asked of every Redis process. */
async function everywhere(...command: string[]): Promise<void> {
  await Promise.all(cluster.nodes.map((redis) => redis.ask(...command)));
}

/** To all nodes. */
async function say(words: Uint8Array): Promise<void> {
  for (const redis of cluster.nodes)
    for (const channel of (await redis.ask("PUBSUB", "SHARDCHANNELS", `${prefix}:*`)) as string[])
      await redis.ask("SPUBLISH", channel, Buffer.from(words)).catch(() => {});
}

/** The Redis process that has a node's channel. */
async function primaryOfChannel(): Promise<TestRedis> {
  for (const redis of cluster.nodes) {
    const channels = (await redis.ask("PUBSUB", "SHARDCHANNELS", `${prefix}:*`)) as string[];
    if (channels.length > 0 && (await redis.info("role")) === "master") return redis;
  }
  throw new Error("no channel");
}

/** A device at `at` whose messages are at another primary. */
async function awayFrom(primary: TestRedis, at: TestBench) {
  for (;;) {
    const subscribed = await at.subscribed();
    const { slot } = new RedisKeys(prefix).ofDevice(Buffer.from(subscribed.uaid, "hex"));
    if ((await cluster.primaryOf(slot)) !== primary) return subscribed;
  }
}

async function connectTo(port: number, uaToken: string, channel: number): Promise<TestDevice> {
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}/v1/ws`, ["godwit.v1"], {
    headers: {
      Authorization: `Bearer ${uaToken}`,
      "Godwit-Conditions": "heartbeat=240, window=0, urgency=very-low",
      "Godwit-Channels": base64urlEncode(channelsDigest([channel])),
    },
  });
  const device = new TestDevice(webSocket);
  await once(webSocket, "open");
  return device;
}
