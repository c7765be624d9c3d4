// SPDX-License-Identifier: MIT
// Goal: devices of dialect autopush have all nodes of a service over Redis Cluster as one: from their first registration on, live
// and stored, and a link at one node takes the place of one at another. Method: two services over a real cluster on loopback.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newKeyring } from "../../src/push-service/keyring.ts";
import { openRedisStore } from "../../src/push-service/store/redis.ts";
import { autopushOnline, autopushSubscribed, dialAutopush } from "./autopush-device.ts";
import { TestBench } from "./bench.ts";
import { isRedisInstalled, TestCluster } from "./redis-cluster.ts";

describe.skipIf(!isRedisInstalled)("two nodes", () => {
  let cluster: TestCluster;
  let nodes: TestBench[] = [];

  beforeAll(async () => {
    cluster = await TestCluster.start([], { primaries: 1 });
    const keyring = newKeyring();
    const access = { username: null, password: null, tls: null, prefix: "autopush" } as const;
    const start = async () =>
      TestBench.start({ keyring, store: await openRedisStore({ ...access, seeds: cluster.seeds }) });
    nodes = [await start(), await start()];
  }, 60_000);
  afterAll(async () => {
    for (const node of nodes) await node.stop();
    await cluster?.stop();
  });

  const both = () => {
    const [here, there] = nodes;
    if (here === undefined || there === undefined) throw new Error("not started");
    return { here, there };
  };

  test("a device hears over its first link of what any node takes", async () => {
    const { here, there } = both();
    const { device, endpoint } = await autopushSubscribed(here);
    expect((await there.post(endpoint, {}, Uint8Array.of(1))).status).toBe(201);
    expect((await device.next("notification")).data).toEqual(Uint8Array.of(1));
    expect((await here.post(endpoint, { TTL: "0" }, Uint8Array.of(2))).status).toBe(201);
    expect((await device.next("notification")).data).toEqual(Uint8Array.of(2));
    await device.close();
  });

  test("a device that has not registered anything yet stays when all is read again", async () => {
    const { here } = both();
    const device = await dialAutopush(here);
    const { uaid } = await device.hello();
    for (const redis of cluster.nodes)
      for (const channel of (await redis.ask("PUBSUB", "SHARDCHANNELS")) as string[])
        await redis.ask("SPUBLISH", channel, Buffer.of(0x81, 0x00)).catch(() => {});
    expect(await device.quiet()).toEqual([]);
    expect(uaid).not.toBe("");
    await device.close();
  });

  test("a link at another node takes over, and gets what was not acknowledged", async () => {
    const { here, there } = both();
    const { device, uaid, endpoint, channelId } = await autopushSubscribed(here);
    await here.post(endpoint, {}, Uint8Array.of(1));
    await here.post(endpoint, {}, Uint8Array.of(2));
    device.ack(channelId, (await device.next("notification")).version);
    // On its way it would be refused: the newer link takes the device.
    const stored = async () =>
      (await here.store.getDevice(Buffer.from(uaid.replaceAll("-", ""), "hex")))?.messages;
    await expect.poll(stored).toBe(1);
    const newer = await autopushOnline(there, uaid);
    expect(await device.closed).toEqual({ code: 1011, reason: "SM" });
    expect(newer.uaid).toBe(uaid);
    const again = await newer.device.next("notification");
    expect(again.data).toEqual(Uint8Array.of(2));
    newer.device.ack(channelId, again.version);
    expect(await newer.device.quiet()).toEqual([]);
    await newer.device.close();
  });

  test("the headers of aesgcm, and a body as long as there is, survive the store", async () => {
    const { here, there } = both();
    const { device, uaid, endpoint } = await autopushSubscribed(here);
    await device.close();
    const aesgcm = { "Content-Encoding": "aesgcm", Encryption: "salt=AA", "Crypto-Key": "dh=BB" };
    const body = new Uint8Array(5630).fill(7);
    expect((await there.post(endpoint, aesgcm, body)).status).toBe(201);
    const back = await dialAutopush(there);
    expect((await back.hello(uaid)).uaid).toBe(uaid);
    expect(await back.next("notification")).toMatchObject({
      data: body,
      headers: { encoding: "aesgcm", encryption: "salt=AA", cryptoKey: "dh=BB" },
    });
    await back.close();
  });
});
