// SPDX-License-Identifier: MIT
// Goal: a device gets the native protocol over MQTT whole, nothing crosses between devices, and hostile clients harm
// nobody but themselves. Method: MQTT.js clients against a running service; the same suite for every broker.

import { connect, type IClientOptions, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PushServiceOptions } from "../../src/push-service/service-options.ts";
import type { Downstream } from "../../src/wire/dialect.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { TestBench, TestLink } from "./bench.ts";

export interface BrokerUnderTest {
  start(): Promise<NonNullable<PushServiceOptions["mqtt"]>>;
  url(bench: TestBench): string;
  stop(): Promise<void>;
}

/** A device over MQTT; `closed` resolves when the broker ends its connection. */
export class MqttTestDevice extends TestLink {
  readonly client: MqttClient;
  readonly uaid: string;
  readonly closed: Promise<unknown>;

  constructor(client: MqttClient, uaid: string) {
    super();
    this.client = client;
    this.uaid = uaid;
    this.closed = once(client, "close");
    client.on("error", () => {});
    client.on("message", (_topic, payload) => this.received(payload));
  }

  override sendFrame(frame: Uint8Array): void {
    this.client.publish(`godwit/v1/${this.uaid}/up`, Buffer.from(frame), { qos: 1 });
  }
}

/** The next such event; unlike `events.once` an error does not reject it. */
function once(client: MqttClient, name: "connect" | "close"): Promise<void>;
function once(client: MqttClient, name: "error"): Promise<{ code?: unknown }>;
function once(client: MqttClient, name: "connect" | "close" | "error"): Promise<unknown> {
  return new Promise((resolve) => client.once(name, resolve as () => void));
}

export function mqttSuite(name: string, broker: BrokerUnderTest): void {
  describe(`MQTT, ${name}`, () => {
    let bench: TestBench;
    let running: TestBench | null = null;
    const clients: MqttClient[] = [];

    beforeEach(async () => {
      bench = running = await TestBench.start({ mqtt: await broker.start() });
      if (name === "Mosquitto")
        await until(() => bench.log.some(({ event }) => event === "broker-connected"));
    });
    afterEach(async () => {
      for (const client of clients.splice(0)) client.end(true);
      try {
        await running?.stop();
      } finally {
        running = null;
        await broker.stop();
      }
    });

    function dial(uaid: string, password: string, options: IClientOptions = {}): MqttClient {
      const client = connect(broker.url(bench), {
        protocolVersion: 4,
        clientId: uaid,
        username: uaid,
        password,
        clean: true,
        keepalive: 0,
        reconnectPeriod: 0,
        will: { topic: `godwit/v1/${uaid}/up`, payload: Buffer.alloc(0), qos: 1, retain: false },
        ...options,
      });
      client.on("error", () => {});
      clients.push(client);
      return client;
    }

    async function subscribed(uaid: string, uaToken: string): Promise<MqttTestDevice> {
      const client = dial(uaid, uaToken);
      await once(client, "connect");
      await client.subscribeAsync(`godwit/v1/${uaid}/down`, { qos: 1 });
      return new MqttTestDevice(client, uaid);
    }

    async function register(
      device: MqttTestDevice,
      uaToken: string,
      channels: number[] = [],
    ): Promise<Extract<Downstream, { type: "registered" }>> {
      const conditions = { heartbeatS: 240, windowS: 0, leastUrgency: "very-low" } as const;
      device.send({ type: "registerUa", uaToken, conditions, channelsDigest: channelsDigest(channels) });
      return device.next("registered");
    }

    async function online() {
      const { uaid, uaToken } = await bench.token();
      const device = await subscribed(uaid, uaToken);
      await register(device, uaToken);
      device.send({
        type: "registerWa",
        ref: 1,
        registrationId: new Uint8Array(16),
        applicationServerKey: null,
      });
      const { endpoint, channel } = await device.next("waRegistered");
      return { uaid, uaToken, device, endpoint, channel };
    }

    test("RegisterUA is answered as an upgrade is, without canaries; messages come and are acknowledged", async () => {
      const { uaid, uaToken } = await bench.token();
      const device = await subscribed(uaid, uaToken);
      const registered = await register(device, uaToken);
      expect(registered).toMatchObject({ status: 200, canary: null, channels: null, freshUaToken: null });
      expect(Buffer.from(registered.uaid).toString("hex")).toBe(uaid);
      device.send({
        type: "registerWa",
        ref: 1,
        registrationId: new Uint8Array(16),
        applicationServerKey: null,
      });
      const { endpoint } = await device.next("waRegistered");
      expect((await bench.post(endpoint, {}, Uint8Array.of(1, 2, 3))).status).toBe(201);
      expect(await device.next("notification")).toMatchObject({
        id: 1,
        attempt: 1,
        body: Uint8Array.of(1, 2, 3),
      });
      device.send({ type: "ack", code: "ok", ranges: [[1, 1]] });
      device.send({ type: "getAllMessages", ref: 2 });
      expect(await device.next("drained")).toEqual({ type: "drained", ref: 2 });
    });

    test("a Probe of QoS 0 is answered", async () => {
      const { device, uaid } = await online();
      device.client.publish(`godwit/v1/${uaid}/up`, Buffer.from([0x82, 10, 7]), { qos: 0 });
      expect(await device.next("probeReply")).toEqual({ type: "probeReply", nonce: 7 });
    });

    test("the last will ends the session: what comes then waits in the store and comes again", async () => {
      const { device, uaid, uaToken, endpoint, channel } = await online();
      await bench.post(endpoint, {}, Uint8Array.of(1));
      await device.next("notification");
      device.client.stream.destroy();
      await until(() => bench.service.stats().devicesConnected === 0);
      await bench.post(endpoint, {}, Uint8Array.of(2));
      const again = await subscribed(uaid, uaToken);
      expect(await register(again, uaToken, [channel])).toMatchObject({ channels: null, lastId: 2 });
      expect(await again.next("notification")).toMatchObject({ id: 1, attempt: 2 });
      expect(await again.next("notification")).toMatchObject({ id: 2, attempt: 1 });
    });

    test("a second connection of the same device takes the place of the first", async () => {
      const { device, uaid, uaToken, channel, endpoint } = await online();
      const second = await subscribed(uaid, uaToken);
      await device.closed;
      await register(second, uaToken, [channel]);
      await bench.post(endpoint, {}, Uint8Array.of(9));
      expect(await second.next("notification")).toMatchObject({ body: Uint8Array.of(9) });
      expect(bench.service.stats().devicesConnected).toBe(1);
    });

    test("a WebSocket of the same device takes over, and the other way round", async () => {
      const { device, uaToken, uaid, channel } = await online();
      const webSocket = await bench.connect(uaToken, [channel]);
      await webSocket.next("registered");
      expect(await device.next("bye")).toMatchObject({ reason: "replaced" });
      const back = await subscribed(uaid, uaToken);
      await register(back, uaToken, [channel]);
      expect(await webSocket.next("bye")).toMatchObject({ reason: "replaced" });
    });

    test("a wrong or foreign token, a foreign name or client id is not let in", async () => {
      const one = await bench.token();
      const other = await bench.token();
      const refused: [string, string, IClientOptions][] = [
        [one.uaid, "nonsense", {}],
        [one.uaid, other.uaToken, {}],
        [one.uaid, one.uaToken, { username: other.uaid }],
        [one.uaid, other.uaToken, { username: other.uaid }],
      ];
      for (const [uaid, password, options] of refused) {
        const client = dial(uaid, password, options);
        const error = await once(client, "error");
        expect([4, 5]).toContain(error.code);
      }
      // Nobody lost a connection to such a try, and the owner still comes in.
      expect((await register(await subscribed(one.uaid, one.uaToken), one.uaToken)).status).toBe(200);
    });

    test("a device hears no foreign down topic and nothing it sends to one, or to a foreign up, arrives", async () => {
      const victim = await online();
      const { uaid, uaToken } = await bench.token();
      const heard: string[] = [];
      for (const topic of [`godwit/v1/${victim.uaid}/down`, "godwit/v1/+/down", "#", "$SYS/#"]) {
        const client = dial(uaid, uaToken);
        client.on("message", (from) => heard.push(from));
        await once(client, "connect");
        // Mosquitto may grant it and send nothing; aedes refuses.
        await client.subscribeAsync(topic, { qos: 1 }).catch(() => null);
        await bench.post(victim.endpoint, {}, Uint8Array.of(5));
        await victim.device.next("notification");
        client.publish(`godwit/v1/${victim.uaid}/down`, Buffer.from([0x83, 17, 0, 0]), { qos: 1 });
        client.publish(`godwit/v1/${victim.uaid}/up`, Buffer.alloc(0), { qos: 1 });
        const gone = once(client, "close");
        client.end();
        await gone;
      }
      // An acknowledgement of the victim's message in the victim's name, from outside.
      const forger = dial(uaid, uaToken);
      await once(forger, "connect");
      forger.publish(`godwit/v1/${victim.uaid}/up`, Buffer.from([0x83, 6, 0, 0x81, 1]), { qos: 0 });
      forger.end();
      expect(await victim.device.quiet()).toEqual([]);
      victim.device.send({ type: "getAllMessages", ref: 3 });
      const ids = [];
      for (let i = 0; i < 4; i++) ids.push((await victim.device.next("notification")).id);
      expect(ids).toEqual([1, 2, 3, 4]);
      expect(heard).toEqual([]);
    });

    test("RegisterUA with another device's token is refused and ends nobody's session", async () => {
      const victim = await online();
      const { uaid, uaToken } = await bench.token();
      const device = await subscribed(uaid, uaToken);
      expect((await register(device, victim.uaToken)).status).toBe(401);
      expect(await victim.device.quiet()).toEqual([]);
    });

    test("frames without a session are answered with Bye, so that the device begins one", async () => {
      const { uaid, uaToken } = await bench.token();
      const device = await subscribed(uaid, uaToken);
      device.send({ type: "getAllMessages", ref: 1 });
      expect(await device.next("bye")).toMatchObject({ reason: "idle" });
    });

    test("malformed frames are answered, and too many end the session", async () => {
      const { device } = await online();
      for (let i = 0; i < 8; i++) device.sendFrame(Uint8Array.of(0xff));
      for (let i = 0; i < 8; i++) expect(await device.next("error")).toMatchObject({ status: 400 });
      expect(await device.next("bye")).toMatchObject({ reason: "protocol" });
    });

    test("a packet larger than any frame ends its sender's connection", async () => {
      const { device, uaid } = await online();
      device.client.publish(`godwit/v1/${uaid}/up`, Buffer.alloc(200_000), { qos: 0 });
      await device.closed;
    });

    test("unregistering the device ends its session, and its token opens nothing any more", async () => {
      const { device, uaid, uaToken } = await online();
      device.send({ type: "unregisterUa", ref: 5 });
      expect(await device.next("bye")).toMatchObject({ reason: "unregistered" });
      await device.closed;
      const client = dial(uaid, uaToken);
      const error = await once(client, "error");
      expect([4, 5]).toContain(error.code);
    });

    test("200 messages to a device that was away come in order, 64 in flight, each once", async () => {
      const { device, uaid, uaToken, endpoint, channel } = await online();
      device.client.end(true);
      await until(() => bench.service.stats().devicesConnected === 0);
      for (let i = 0; i < 200; i++) await bench.post(endpoint, {}, Uint8Array.of(i));
      const again = await subscribed(uaid, uaToken);
      await register(again, uaToken, [channel]);
      for (let id = 1; id <= 200; id++) {
        expect(await again.next("notification")).toMatchObject({ id, attempt: 1 });
        if (id % 16 === 0) again.send({ type: "ack", code: "ok", ranges: [[id - 15, id]] });
      }
      expect(await again.quiet()).toEqual([]);
    });

    test("a service that stops says goodbye", async () => {
      const { device } = await online();
      const stopped = bench.service.close();
      expect(await device.next("bye")).toMatchObject({ reason: "shutdown" });
      device.client.end();
      await stopped;
    });
  });
}

/** Waits for what other turns of the event loop bring about. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
