// SPDX-License-Identifier: MIT
// Goal: there is a session only for a device that is there, hostile connections are bounded, and a stop waits for nobody silent.
// Method: the embedded broker in a running service, with a store that waits or fails where the test says so.

import { once } from "node:events";
import { connect as connectTcp, createServer, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";
import { afterEach, expect, test, vi } from "vitest";
import { LINK_FRAMES_BURST_MAX, MQTT_REGISTER_TIMEOUT_MS } from "../../src/limits.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import { fc } from "../properties.ts";
import { gate, TestBench } from "./bench.ts";
import { registration, subscribedDevice } from "./mqtt-device.ts";
import { type MqttTestDevice, until } from "./mqtt-suite.ts";
import { messageOf } from "./store-contract.ts";

const STOP_MS_MAX = 5_000;
/** More than the frames a device may send at once. */
const QUEUE = 1.6 * LINK_FRAMES_BURST_MAX;
let bench: TestBench;
const devices: MqttTestDevice[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const device of devices.splice(0)) device.client.end(true);
  for (const socket of sockets.splice(0)) socket.destroy();
  await bench.stop();
});

async function subscribed(options = {}) {
  const credentials = await bench.token();
  const device = await subscribedDevice(`mqtt://127.0.0.1:${bench.service.mqttPort}`, credentials, options);
  devices.push(device);
  return { device, ...credentials };
}

/** The store's next look at a device waits until the gate is open. */
function holdNextDevice(store: MemoryStore): ReturnType<typeof gate> & { reached: Promise<void> } {
  const held = gate();
  const reached = gate();
  const getDevice = store.getDevice.bind(store);
  store.getDevice = async (uaid) => {
    store.getDevice = getDevice;
    reached.open();
    await held.promise;
    return getDevice(uaid);
  };
  return { ...held, reached: reached.promise };
}

/** Resolves when the broker has noticed that the device hung up. */
async function hangUp(device: MqttTestDevice): Promise<void> {
  const before = bench.service.stats().connections;
  device.client.stream.destroy();
  await until(() => bench.service.stats().connections < before);
}

test("a device that hangs up while its RegisterUA is checked gets no session, and takes no WebSocket's place", async () => {
  const store = new MemoryStore();
  bench = await TestBench.start({ mqtt: { port: 0 }, store });
  const { device, uaToken } = await subscribed();
  const held = holdNextDevice(store);
  device.send(registration(uaToken));
  await held.reached;
  await hangUp(device);
  const webSocket = await bench.connect(uaToken);
  await webSocket.next("registered");
  held.open();
  expect(await webSocket.quiet()).toEqual([]);
  expect(bench.log.filter(({ event }) => event === "device-connected")).toHaveLength(1);
});

test("a later RegisterUA takes the place of the one that is being checked, which says nothing", async () => {
  const store = new MemoryStore();
  bench = await TestBench.start({ mqtt: { port: 0 }, store });
  const { device, uaToken } = await subscribed();
  const held = holdNextDevice(store);
  device.send(registration(uaToken));
  await held.reached;
  device.send(registration(uaToken));
  await device.next("registered");
  held.open();
  expect(await device.quiet()).toEqual([]);
  expect(bench.service.stats().devicesConnected).toBe(1);
});

test("a frame right behind RegisterUA is too early, and no reason to begin anew", async () => {
  bench = await TestBench.start({ mqtt: { port: 0 } });
  const { device, uaToken } = await subscribed();
  device.send(registration(uaToken));
  device.send({ type: "probe", nonce: 5 });
  await device.next("registered");
  expect((await device.quiet()).filter(({ type }) => type === "bye")).toEqual([]);
});

test("a store that fails while a session begins is answered with Bye", async () => {
  const store = new MemoryStore();
  bench = await TestBench.start({ mqtt: { port: 0 }, store });
  const { device, uaToken } = await subscribed();
  store.channels = async () => {
    throw new Error("disk");
  };
  device.send(registration(uaToken));
  expect(await device.next("bye")).toMatchObject({ reason: "idle" });
  await device.closed;
});

test("a last will that would speak for a device that is gone is refused", async () => {
  bench = await TestBench.start({ mqtt: { port: 0 } });
  const { uaid, uaToken } = await bench.token();
  const url = `mqtt://127.0.0.1:${bench.service.mqttPort}`;
  const will = {
    topic: `godwit/v1/${uaid}/up`,
    payload: Buffer.from([0x82, 10, 7]),
    qos: 1,
    retain: false,
  } as const;
  for (const refused of [will, { ...will, topic: "a", payload: Buffer.alloc(0) }]) {
    const { connect } = await import("mqtt");
    const client = connect(url, {
      clientId: uaid,
      username: uaid,
      password: uaToken,
      reconnectPeriod: 0,
      will: refused,
    });
    client.on("error", () => {});
    let isConnected = false;
    client.on("connect", () => {
      isConnected = true;
    });
    await new Promise<void>((resolve) => client.once("close", () => resolve()));
    expect(isConnected).toBe(false);
  }
});

test.each([
  ["PINGREQ", () => Buffer.from([0xc0, 0])],
  [
    "PUBLISH without a frame",
    (uaid: string) => {
      const topic = Buffer.from(`godwit/v1/${uaid}/up`);
      return Buffer.concat([Buffer.from([0x30, 2 + topic.length, 0, topic.length]), topic]);
    },
  ],
])("a flood of %s ends its connection", async (_name, packetOf) => {
  bench = await TestBench.start({ mqtt: { port: 0 } });
  const { device, uaid } = await subscribed();
  device.client.stream.write(Buffer.concat(Array.from({ length: 3_000 }, () => packetOf(uaid))));
  await device.closed;
});

test("a SUBSCRIBE with thousands of topics ends its connection", async () => {
  bench = await TestBench.start({ mqtt: { port: 0 } });
  const { device } = await subscribed();
  device.client.subscribe(Array.from({ length: 1_000 }, (_, i) => `topic-${i}`));
  await device.closed;
});

test("what a device has to acknowledge costs it nothing: a long queue is fetched whole", async () => {
  const store = new MemoryStore({ messagesMax: QUEUE, messageBytesMax: QUEUE * 1_000 });
  bench = await TestBench.start({ mqtt: { port: 0 }, store });
  const { device, uaid, uaToken } = await subscribed();
  device.send(registration(uaToken));
  await device.next("registered");
  device.send({ type: "registerWa", ref: 1, registrationId: new Uint8Array(16), applicationServerKey: null });
  const { channel } = await device.next("waRegistered");
  const message = messageOf({ receivedMs: bench.epochMs });
  for (let i = 0; i < QUEUE; i++) await store.putMessage(Buffer.from(uaid, "hex"), channel, message);
  device.send({ type: "getAllMessages", ref: 2 });
  for (let id = 1; id <= QUEUE; id++) {
    expect(await device.next("notification")).toMatchObject({ id });
    if (id % 32 === 0) device.send({ type: "ack", code: "ok", ranges: [[id - 31, id]] });
  }
  await device.next("drained");
});

test("a connection that never says RegisterUA is ended", async () => {
  bench = await TestBench.start({ mqtt: { port: 0 } });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { device } = await subscribed();
  await vi.advanceTimersByTimeAsync(MQTT_REGISTER_TIMEOUT_MS);
  await device.closed;
  const other = await subscribed();
  other.device.send(registration(other.uaToken));
  await other.device.next("registered");
  await vi.advanceTimersByTimeAsync(MQTT_REGISTER_TIMEOUT_MS);
  expect(await other.device.quiet()).toEqual([]);
});

test("a silent connection is counted, and does not hold up a stop", async () => {
  bench = await TestBench.start({ mqtt: { port: 0 } });
  const socket = connectTcp(bench.service.mqttPort, "127.0.0.1").on("error", () => {});
  sockets.push(socket);
  await until(() => bench.service.stats().connections === 1);
  const startMs = performance.now();
  await bench.service.close();
  expect(performance.now() - startMs).toBeLessThan(STOP_MS_MAX);
});

test("behind a proxy connections are not counted by address, otherwise they are", async () => {
  for (const isBehindProxy of [true, false]) {
    bench = await TestBench.start({ mqtt: { port: 0 }, isBehindProxy, connectionsPerAddressMax: 3 });
    const opened = Array.from({ length: 4 }, () =>
      connectTcp(bench.service.mqttPort, "127.0.0.1").on("error", () => {}),
    );
    sockets.push(...opened);
    if (isBehindProxy) await until(() => bench.service.stats().connections === 4);
    else await Promise.race(opened.map((socket) => once(socket, "close")));
    if (isBehindProxy) await bench.stop();
  }
});

test("when the MQTT port is taken, nothing is left listening", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as { port: number };
  bench = new TestBench({ mqtt: { port } });
  await expect(bench.service.listen()).rejects.toThrow(/EADDRINUSE/);
  expect(bench.service.port).toBe(0);
  taken.close();
});

test("whatever packets come in whatever order, the service goes on", async () => {
  const rate = { burstMax: 10_000, perMinute: 1 };
  bench = await TestBench.start({ mqtt: { port: 0 }, tokenRate: rate });
  const { uaid, uaToken } = await bench.token();
  const up = `godwit/v1/${uaid}/up`;
  const connect = mqttPacket.generate({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    clientId: uaid,
    username: uaid,
    password: Buffer.from(uaToken),
    keepalive: 0,
    will: { topic: up, payload: Buffer.alloc(0), qos: 1, retain: false },
  });
  const publish = (qos: 0 | 1 | 2) =>
    mqttPacket.generate({
      cmd: "publish",
      topic: up,
      qos,
      messageId: 3,
      payload: Buffer.from([0x82, 10, 7]),
      dup: false,
      retain: false,
    });
  const subscriptions = [{ topic: `godwit/v1/${uaid}/down`, qos: 1 as const }];
  const packets = [
    connect,
    publish(0),
    publish(1),
    publish(2),
    mqttPacket.generate({ cmd: "subscribe", messageId: 5, subscriptions }),
    mqttPacket.generate({ cmd: "unsubscribe", messageId: 6, unsubscriptions: ["x/y"] }),
    // PUBACK, PUBREC, PUBREL, PUBCOMP, PINGREQ, DISCONNECT, a CONNACK, a SUBACK, a reserved type, an empty topic.
    ...[
      "40020003",
      "50020003",
      "62020003",
      "70020003",
      "c000",
      "e000",
      "20020000",
      "9003000100",
      "f000",
      "30020000",
    ].map((hex) => Buffer.from(hex, "hex")),
  ];
  const packet = fc.record({
    bytes: fc.constantFrom(...packets),
    changes: fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 2 }),
  });
  const sequence = fc.tuple(fc.boolean(), fc.array(packet, { minLength: 1, maxLength: 6 }));
  await fc.assert(
    fc.asyncProperty(sequence, async ([isEntering, sent]) => {
      const socket = connectTcp(bench.service.mqttPort, "127.0.0.1").on("error", () => {});
      sockets.push(socket);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.resume();
      if (isEntering) socket.write(connect);
      for (const { bytes, changes } of sent) {
        const changed = Buffer.from(bytes);
        for (const [at, byte] of changes) changed[at % changed.length] = byte;
        socket.write(changed);
      }
      socket.end();
      await closed;
    }),
    { numRuns: 200 },
  );
  await until(() => bench.service.stats().devicesConnected === 0);
  const { device, uaToken: other } = await subscribed();
  device.send(registration(other));
  await device.next("registered");
});
