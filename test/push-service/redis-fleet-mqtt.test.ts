// SPDX-License-Identifier: MIT
// Goal: nodes of one push service at one Mosquitto serve each device once: one of them begins its session, a POST to any reaches it,
// and when its node dies without a word the device is told with the next message. Method: a real cluster, a real Mosquitto, two
// nodes in this process and one in another, which is killed.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newKeyring } from "../../src/push-service/keyring.ts";
import { openRedisStore } from "../../src/push-service/store/redis.ts";
import { TestBench } from "./bench.ts";
import { isMosquittoInstalled, Mosquitto } from "./mosquitto.ts";
import { registration, subscribedDevice } from "./mqtt-device.ts";
import type { MqttTestDevice } from "./mqtt-suite.ts";
import { startNode } from "./node-process.ts";
import { isRedisInstalled, TestCluster } from "./redis-cluster.ts";

const PATIENCE = { timeout: 20_000 };
const keyring = newKeyring();
let cluster: TestCluster;
let mosquitto: Mosquitto;
let prefixes = 0;
let prefix = "";
const benches: TestBench[] = [];
const devices: MqttTestDevice[] = [];

async function node(): Promise<TestBench> {
  const store = await openRedisStore({
    ...{ username: null, password: null, tls: null, seeds: cluster.seeds },
    prefix,
  });
  const bench = await TestBench.start({ store, keyring, mqtt: mosquitto.options, reconnectSpreadS: 0 });
  benches.push(bench);
  await expect.poll(() => bench.log.some(({ event }) => event === "broker-connected"), PATIENCE).toBe(true);
  return bench;
}

/** A device at the broker, not registered, and one with a session and channel 1. */
async function dial(credentials: { uaid: string; uaToken: string }): Promise<MqttTestDevice> {
  const device = await subscribedDevice(mosquitto.url, credentials);
  devices.push(device);
  return device;
}

async function subscribe(device: MqttTestDevice): Promise<string> {
  device.send({
    type: "registerWa",
    ref: 1,
    registrationId: new Uint8Array(16),
    applicationServerKey: null,
  });
  return (await device.next("waRegistered")).endpoint;
}

const connected = (): number =>
  benches.reduce((sum, { service }) => sum + service.stats().devicesConnected, 0);

describe.skipIf(!isRedisInstalled || !isMosquittoInstalled)(
  "nodes over Redis Cluster at one Mosquitto",
  () => {
    beforeAll(async () => {
      cluster = await TestCluster.start([], { primaries: 1 });
    }, 60_000);
    afterAll(() => cluster?.stop());
    beforeEach(async () => {
      prefix = `test${++prefixes}`;
      mosquitto = await Mosquitto.start();
    });
    afterEach(async () => {
      for (const { client } of devices.splice(0)) client.end(true);
      await Promise.all(benches.splice(0).map((bench) => bench.stop()));
      await mosquitto.stop();
    });

    test("one of them begins the session, and a POST to any of them arrives once", async () => {
      const [here, there] = [await node(), await node()];
      const credentials = await here.token();
      const device = await dial(credentials);
      device.send(registration(credentials.uaToken));
      await device.next("registered");
      const endpoint = await subscribe(device);
      for (const [at, bench] of [here, there, here, there].entries()) {
        expect((await bench.post(endpoint, {}, Uint8Array.of(at))).status).toBe(201);
        const { id, body } = await device.next("notification");
        expect(body).toEqual(Uint8Array.of(at));
        device.send({ type: "ack", code: "ok", ranges: [[id, id]] });
      }
      await expect.poll(() => here.store.countMessages(), PATIENCE).toBe(0);
      expect([await device.quiet(), connected()]).toEqual([[], 1]);
    });

    test("registering again begins one session anew, and nobody says goodbye to it", async () => {
      const [here, there] = [await node(), await node()];
      const credentials = await here.token();
      const device = await dial(credentials);
      for (let round = 0; round < 5; round++) {
        device.send(registration(credentials.uaToken));
        expect(await device.next("registered")).toMatchObject({ status: 200 });
        expect(await device.quiet()).toEqual([]);
      }
      const endpoint = await subscribe(device);
      expect((await there.post(endpoint)).status).toBe(201);
      await device.next("notification");
      expect([await device.quiet(), connected()]).toEqual([[], 1]);
    });

    test("a device whose session nobody knows is told once", async () => {
      const [here] = [await node(), await node()];
      const credentials = await here.token();
      const device = await dial(credentials);
      device.send({ type: "probe", nonce: 1 });
      expect(await device.next("bye")).toMatchObject({ reason: "idle" });
      device.send(registration(credentials.uaToken));
      await device.next("registered");
      expect(await device.quiet()).toEqual([]);
    });

    test("a node that is killed leaves its device to the others, with the next message", async () => {
      const child = await startNode({ seeds: cluster.seeds, prefix, keyring, mqtt: mosquitto.options });
      try {
        const response = await fetch(`http://127.0.0.1:${child.port}/v1/token`, { method: "POST" });
        const credentials = (await response.json()) as { uaid: string; uaToken: string };
        const device = await dial(credentials);
        device.send(registration(credentials.uaToken));
        await device.next("registered");
        const endpoint = await subscribe(device);
        const here = await node();
        await child.stop();
        expect((await here.post(endpoint, { TTL: "600" }, Uint8Array.of(4))).status).toBe(201);
        expect(await device.next("bye")).toMatchObject({ reason: "idle" });
        device.send(registration(credentials.uaToken));
        // The node that was elected last may be the one that died: then nobody answers, until the device asks again.
        const registered = device.next("registered");
        const again = setInterval(() => device.send(registration(credentials.uaToken)), 1_000);
        await registered.finally(() => clearInterval(again));
        expect((await device.next("notification")).body).toEqual(Uint8Array.of(4));
      } finally {
        await child.stop();
      }
    }, 60_000);
  },
);
