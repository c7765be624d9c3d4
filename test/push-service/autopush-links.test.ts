// SPDX-License-Identifier: MIT
// Goal: user agents of Mozilla's push service find theirs here: the dialect over a plain WebSocket, identities, delivery and
// its batches, every close code, and hostile frames that harm nobody but their sender. Method: `ws` clients and HTTP against
// a running service.

import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  AUTOPUSH_BATCH_MAX,
  AUTOPUSH_FRAME_BYTES_MAX,
  AUTOPUSH_HELLO_TIMEOUT_MS,
  WEBSOCKET_CLOSE_MS,
} from "../../src/limits.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import { formatUuid } from "../../src/wire/autopush.ts";
import { autopushOnline, autopushSubscribed, dialAutopush, uuid } from "./autopush-device.ts";
import { TestBench } from "./bench.ts";

let bench: TestBench;
beforeEach(async () => {
  bench = await TestBench.start();
});
afterEach(() => bench.stop());

const SM = { code: 1011, reason: "SM" };
const JSON_FAULT = { code: 1011, reason: "Json" };
const bodies = (messages: readonly { type: string; data?: Uint8Array | null }[]) =>
  messages.flatMap(({ type, data }) => (type === "notification" ? [data?.[0]] : []));

describe("connecting", () => {
  test("with the subprotocol, which is echoed, and without", async () => {
    const offering = await dialAutopush(bench);
    const plain = await dialAutopush(bench, []);
    expect([offering.webSocket.protocol, plain.webSocket.protocol]).toEqual(["push-notification", ""]);
    for (const device of [offering, plain]) {
      const hello = await device.hello();
      expect(hello).toMatchObject({ status: 200, usesWebPush: true });
      expect(hello.uaid).toMatch(/^[0-9a-f]{32}$/);
    }
  });

  test("a path that nobody serves is refused", async () => {
    expect(await bench.refusal("/other", {}, [])).toMatchObject({ status: 404, body: { errno: 320 } });
  });

  test("a new uaid is in the store from the first registration on, and known then", async () => {
    const { device, uaid } = await autopushOnline(bench);
    expect(await bench.store.countDevices()).toBe(0);
    await device.register(uuid(1));
    expect(await bench.store.getDevice(Buffer.from(uaid, "hex"))).toMatchObject({ dialect: "autopush" });
    await device.close();
    const again = await autopushOnline(bench, formatUuid(Buffer.from(uaid, "hex")).toUpperCase());
    expect(again.uaid).toBe(uaid);
  });

  test("an unknown, malformed or empty uaid gives a fresh one", async () => {
    for (const uaid of ["0".repeat(32), "nonsense", "", "z".repeat(5_000)]) {
      const { uaid: fresh } = await autopushOnline(bench, uaid);
      expect(fresh).toMatch(/^[0-9a-f]{32}$/);
      expect(fresh).not.toBe(uaid);
    }
  });

  test("the uaid of a native device, which is no secret, opens nothing", async () => {
    const native = await bench.subscribed();
    expect((await autopushOnline(bench, native.uaid)).uaid).not.toBe(native.uaid);
    expect((await native.device.quiet()).map(({ type }) => type)).toEqual([]);
  });

  test("broadcasts there are none of", async () => {
    const device = await dialAutopush(bench);
    const errors = new Map([["remote-settings/monitor_changes", "Broadcast not found"]]);
    const hello = await device.hello(null, new Map([["remote-settings/monitor_changes", '"1"']]));
    expect(hello.broadcasts).toEqual({ versions: new Map(), errors });
    device.send({ type: "broadcast_subscribe", broadcasts: new Map() });
    device.send({ type: "broadcast_subscribe", broadcasts: new Map([["x", ""]]) });
    expect((await device.next("broadcast")).broadcasts.errors).toEqual(
      new Map([["x", "Broadcast not found"]]),
    );
  });

  test("a newer connection takes over: the older is closed as SM", async () => {
    const { device, uaid, channelId, endpoint } = await autopushSubscribed(bench);
    const newer = await autopushOnline(bench, uaid);
    expect(await device.closed).toEqual(SM);
    expect(bench.service.stats().devicesConnected).toBe(1);
    await bench.post(endpoint);
    expect(await newer.device.next("notification")).toMatchObject({ channelId });
  });

  test("what comes before hello was answered is done after it", async () => {
    const { device, uaid, endpoint } = await autopushSubscribed(bench);
    await device.close();
    await bench.post(endpoint, {}, Uint8Array.of(7));
    const eager = await dialAutopush(bench);
    eager.send({ type: "hello", uaid, broadcasts: new Map() });
    eager.send({ type: "register", channelId: uuid(2), key: null });
    await eager.next("hello");
    const rest = (await eager.quiet()).map(({ type }) => type);
    expect(rest.sort()).toEqual(["notification", "register"]);
  });
});

describe("close codes", () => {
  test("no hello within the time: HandshakeTimeout", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const silent = await dialAutopush(bench);
      const pending = await dialAutopush(bench);
      await pending.hello();
      vi.advanceTimersByTime(AUTOPUSH_HELLO_TIMEOUT_MS - 1);
      await pending.quiet();
      expect(silent.webSocket.readyState).toBe(silent.webSocket.OPEN);
      vi.advanceTimersByTime(1);
      expect(await silent.closed).toEqual({ code: 1011, reason: "HandshakeTimeout" });
      expect(pending.webSocket.readyState).toBe(pending.webSocket.OPEN);
    } finally {
      vi.useRealTimers();
    }
  });

  test.each<[string, { code: number; reason: string }]>([
    ["not JSON", JSON_FAULT],
    ["[]", JSON_FAULT],
    ['{"messageType":"future"}', JSON_FAULT],
    ['{"messageType":"hello","uaid":5}', JSON_FAULT],
    ['{"messageType":"hello","channelIDs":["x"]}', JSON_FAULT],
    ['{"messageType":"register","channelID":"d9b74644-4f97-46aa-b8fa-9393985cd6cd"}', SM],
    ["{}", SM],
  ])("first frame %s", async (frame, expected) => {
    const device = await dialAutopush(bench);
    device.sendText(frame);
    expect(await device.closed).toEqual(expected);
  });

  test.each<[string, { code: number; reason: string }]>([
    ['{"messageType":"hello"}', SM],
    ['{"messageType":"register","channelID":"D9B74644-4F97-46AA-B8FA-9393985CD6CD"}', SM],
    ['{"messageType":"register","channelID":"d9b746444f9746aab8fa9393985cd6cd"}', SM],
    ['{"messageType":"register"}', JSON_FAULT],
    ['{"messageType":"unregister","channelID":"x"}', JSON_FAULT],
    ['{"messageType":"ack","updates":[{}]}', JSON_FAULT],
    ["{", JSON_FAULT],
  ])("after hello %s", async (frame, expected) => {
    const { device } = await autopushOnline(bench);
    device.sendText(frame);
    expect(await device.closed).toEqual(expected);
  });

  test("a binary frame: UnsupportedMessage, before and after hello", async () => {
    for (const device of [await dialAutopush(bench), (await autopushOnline(bench)).device]) {
      device.webSocket.send(Buffer.from("{}"));
      expect(await device.closed).toEqual({ code: 1003, reason: "UnsupportedMessage" });
    }
  });

  test("a frame over the limit is 1009, text that is not UTF-8 1007", async () => {
    const { device } = await autopushOnline(bench);
    device.sendText(" ".repeat(AUTOPUSH_FRAME_BYTES_MAX + 1));
    expect((await device.closed).code).toBe(1009);
    const other = (await autopushOnline(bench)).device;
    other.webSocket.send(Buffer.from([0xff, 0xfe]), { binary: false });
    expect((await other.closed).code).toBe(1007);
  });

  test("pings of the device: the first is answered, one too soon is SM", async () => {
    const { device } = await autopushOnline(bench);
    device.send({ type: "ping" });
    await device.next("ping");
    bench.monotonicMs += 45_000;
    device.send({ type: "ping" });
    await device.next("ping");
    bench.monotonicMs += 44_999;
    device.send({ type: "ping" });
    expect(await device.closed).toEqual(SM);
  });

  test("a device that does not answer the close is cut in time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const { device } = await autopushOnline(bench);
      const timers = vi.getTimerCount();
      device.webSocket.pause();
      device.webSocket.send(Buffer.from("{}"));
      while (vi.getTimerCount() === timers) await turn();
      vi.advanceTimersByTime(WEBSOCKET_CLOSE_MS);
      while (bench.service.stats().connections > 0) await turn();
    } finally {
      vi.useRealTimers();
    }
  });

  test("a failing store: SM", async () => {
    class Failing extends MemoryStore {
      override async getDevice(): Promise<null> {
        throw new TypeError("sEcReT");
      }
    }
    const failing = await TestBench.start({ store: new Failing() });
    const device = await dialAutopush(failing);
    device.send({ type: "hello", uaid: "0".repeat(32), broadcasts: new Map() });
    expect(await device.closed).toEqual(SM);
    expect(JSON.stringify(failing.log)).not.toContain("sEcReT");
    await failing.stop();
  });

  test("a service that stops: 1000, whoever said hello and whoever did not", async () => {
    const stopping = await TestBench.start();
    const devices = [await dialAutopush(stopping), (await autopushOnline(stopping)).device];
    const closed = Promise.all(devices.map((device) => device.closed));
    await stopping.service.close();
    expect((await closed).map(({ code }) => code)).toEqual([1000, 1000]);
  });
});

describe("registering", () => {
  test("gives an endpoint, the same again, and another for another channel", async () => {
    const { device } = await autopushOnline(bench);
    const first = await device.register(uuid(1));
    expect(first).toMatchObject({ status: 200, channelId: uuid(1) });
    expect((await device.register(uuid(1))).pushEndpoint).toBe(first.pushEndpoint);
    expect((await device.register(uuid(2))).pushEndpoint).not.toBe(first.pushEndpoint);
  });

  test("a key that is none is 400, one that changed 409; the endpoint with a key takes its sender only", async () => {
    const { device } = await autopushOnline(bench);
    for (const key of [
      "",
      "nonsense!",
      base64urlEncode(new Uint8Array(64)),
      base64urlEncode(new Uint8Array(65)),
    ])
      expect(await device.register(uuid(1), key)).toMatchObject({
        status: 400,
        pushEndpoint: "Failed to generate endpoint",
      });
    const padded = Buffer.from(bench.keys.publicKey).toString("base64");
    const { status, pushEndpoint } = await device.register(uuid(1), padded);
    expect(status).toBe(200);
    expect((await bench.post(pushEndpoint)).status).toBe(401);
    expect((await bench.post(pushEndpoint, { Authorization: bench.vapid() })).status).toBe(201);
    await device.next("notification");
    expect(await device.register(uuid(1), null)).toMatchObject({ status: 409, pushEndpoint: "" });
  });

  test("unregistering is 200, for a channel that never was too; senders get 410", async () => {
    const { device, endpoint, channelId } = await autopushSubscribed(bench);
    for (const id of [channelId, uuid(9)]) {
      device.send({ type: "unregister", channelId: id, code: 200 });
      expect(await device.next("unregister")).toEqual({ type: "unregister", channelId: id, status: 200 });
    }
    expect((await bench.post(endpoint)).status).toBe(410);
  });

  test("new devices of one address are counted; who proves an enrolment secret is not", async () => {
    const secret = "fleet-secret";
    const counted = await TestBench.start({ tokenRate: { burstMax: 1, perMinute: 1 } });
    const statuses = [];
    for (let i = 0; i < 2; i++) {
      statuses.push((await (await autopushOnline(counted)).device.register(uuid(1))).status);
    }
    expect(statuses).toEqual([200, 500]);
    await counted.stop();
    const closed = await TestBench.start({
      enrolmentSecrets: [secret],
      tokenRate: { burstMax: 1, perMinute: 1 },
    });
    expect(await closed.refusal("/", {}, [])).toMatchObject({ status: 401, body: { errno: 311 } });
    for (let i = 0; i < 2; i++) {
      const device = await dialAutopush(closed, [], { "Godwit-Enrolment": secret });
      await device.hello();
      expect((await device.register(uuid(1))).status).toBe(200);
    }
    await closed.stop();
  });
});

describe("messages", () => {
  test("a body goes out with its coding, an empty message without data", async () => {
    const { device, endpoint, channelId } = await autopushSubscribed(bench);
    await bench.post(endpoint, {}, Uint8Array.of(0xfb, 0xff));
    const headers = { encoding: "aes128gcm", encryption: null, cryptoKey: null };
    const message = await device.next("notification");
    expect(message).toMatchObject({ channelId, data: Uint8Array.of(0xfb, 0xff), headers });
    await bench.post(endpoint, {}, null);
    expect(await device.next("notification")).toMatchObject({ data: null, headers: null });
  });

  test("stored ones come after hello, topics first, and again until they are acknowledged", async () => {
    const { device, uaid, endpoint, channelId } = await autopushSubscribed(bench);
    await device.close();
    await bench.post(endpoint, {}, Uint8Array.of(1));
    await bench.post(endpoint, { Topic: "t" }, Uint8Array.of(2));
    await bench.post(endpoint, { Topic: "t" }, Uint8Array.of(3));
    const second = await autopushOnline(bench, uaid);
    const topic = await second.device.next("notification");
    expect(topic.data).toEqual(Uint8Array.of(3));
    expect(bodies(await second.device.quiet())).toEqual([]);
    second.device.ack(channelId, topic.version);
    expect((await second.device.next("notification")).data).toEqual(Uint8Array.of(1));
    await second.device.close();
    const third = await autopushOnline(bench, uaid);
    const again = await third.device.next("notification");
    expect(again.data).toEqual(Uint8Array.of(1));
    third.device.ack(channelId, again.version);
    await third.device.quiet();
    expect(await bench.store.countMessages()).toBe(0);
  });

  test("the next batch waits for the whole of the last; new messages wait for nothing", async () => {
    const { device, uaid, endpoint, channelId } = await autopushSubscribed(bench);
    await device.close();
    for (let i = 0; i < 2 * AUTOPUSH_BATCH_MAX + 1; i++) await bench.post(endpoint, {}, Uint8Array.of(i));
    const { device: back } = await autopushOnline(bench, uaid);
    const batch = [];
    for (let i = 0; i < AUTOPUSH_BATCH_MAX; i++) batch.push((await back.next("notification")).version);
    back.ack(channelId, ...batch.slice(1));
    await bench.post(endpoint, {}, Uint8Array.of(99));
    const live = await back.next("notification");
    expect(live.data).toEqual(Uint8Array.of(99));
    expect(await back.quiet()).toEqual([]);
    back.ack(channelId, batch[0] ?? "");
    const second = [];
    for (let i = 0; i < AUTOPUSH_BATCH_MAX; i++) second.push((await back.next("notification")).version);
    back.ack(channelId, ...second);
    expect((await back.next("notification")).data).toEqual(Uint8Array.of(20));
    expect(await back.quiet()).toEqual([]);
  });

  test("acknowledging some of a batch removes exactly those", async () => {
    const { device, uaid, endpoint, channelId } = await autopushSubscribed(bench);
    await device.close();
    for (let i = 0; i < 3; i++) await bench.post(endpoint, {}, Uint8Array.of(i));
    const { device: second } = await autopushOnline(bench, uaid);
    const versions = [];
    for (let i = 0; i < 3; i++) versions.push((await second.next("notification")).version);
    second.ack(channelId, versions[1] ?? "");
    await second.quiet();
    await second.close();
    const { device: third } = await autopushOnline(bench, uaid);
    expect((await third.next("notification")).version).toBe(versions[0]);
    expect((await third.next("notification")).version).toBe(versions[2]);
  });

  test("a version of another device names nothing here", async () => {
    const one = await autopushSubscribed(bench);
    const two = await autopushSubscribed(bench);
    await bench.post(one.endpoint);
    await bench.post(two.endpoint);
    const { version } = await one.device.next("notification");
    const own = await two.device.next("notification");
    expect(own.version).not.toBe(version);
    for (const forged of [version, `${own.version}0`, "", "1", own.version.toUpperCase()])
      two.device.ack(two.channelId, forged);
    await two.device.quiet();
    expect(await bench.store.countMessages()).toBe(2);
  });

  test("a device that was away for hundreds of messages gets them all, and stays who it is", async () => {
    const many = 300;
    const generous = await TestBench.start({
      endpointRate: { burstMax: many, perMinute: 1 },
      deviceRate: { burstMax: many, perMinute: 1 },
    });
    const { device, uaid, endpoint, channelId } = await autopushSubscribed(generous);
    await device.close();
    for (let i = 0; i < many; i++) expect((await generous.post(endpoint)).status).toBe(201);
    const { device: back, uaid: same } = await autopushOnline(generous, uaid);
    for (let i = 0; i < many; i++) back.ack(channelId, (await back.next("notification")).version);
    expect([await back.quiet(), same, await generous.store.countMessages()]).toEqual([[], uaid, 0]);
    await generous.stop();
  });

  test("TTL 0 reaches who is there", async () => {
    const { device, endpoint, channelId } = await autopushSubscribed(bench);
    expect((await bench.post(endpoint, { TTL: "0" })).status).toBe(201);
    const { version } = await device.next("notification");
    device.ack(channelId, version);
    expect(await device.quiet()).toEqual([]);
    expect(await bench.store.countMessages()).toBe(0);
  });

  test("a revoked channel is gone for senders, and its record with it", async () => {
    const key = base64urlEncode(bench.keys.publicKey);
    const { device, endpoint, uaid } = await autopushSubscribed(bench, key);
    const Authorization = bench.vapid({
      act: "revoke",
      sub: endpoint,
      expiresS: bench.epochMs / 1000 + 300,
    });
    await bench.post(endpoint, { Authorization: bench.vapid() });
    await device.next("notification");
    expect((await bench.fetch(endpoint, { method: "DELETE", headers: { Authorization } })).status).toBe(204);
    expect(await device.quiet()).toEqual([]);
    expect(await bench.store.channels(Buffer.from(uaid, "hex"))).toEqual([]);
    expect((await bench.post(endpoint, { Authorization: bench.vapid() })).status).toBe(410);
  });
});

describe("bounds", () => {
  test("a flood ends the link, and no other", async () => {
    const { device } = await autopushOnline(bench);
    const other = (await autopushOnline(bench)).device;
    for (let i = 0; i < 2_000; i++) device.sendText('{"messageType":"nack","version":"v"}');
    expect(await device.closed).toEqual(SM);
    expect(await other.quiet()).toEqual([]);
  });

  test("links that never said hello count, until they are gone", async () => {
    const full = await TestBench.start({ deviceLinksMax: 1 });
    const first = await dialAutopush(full, []);
    expect(await full.refusal("/", {}, [])).toMatchObject({ status: 503, body: { errno: 315 } });
    const gone = once(first.webSocket, "close");
    first.sendText("x");
    await gone;
    await expect.poll(async () => (await dialAutopush(full, []).catch(() => null)) !== null).toBe(true);
    await full.stop();
  });

  test("the log tells of no uaid, endpoint or version", async () => {
    const { device, uaid, endpoint, channelId } = await autopushSubscribed(bench);
    await bench.post(endpoint);
    const { version } = await device.next("notification");
    device.ack(channelId, version);
    await device.quiet();
    const text = JSON.stringify(bench.log);
    for (const secret of [uaid, formatUuid(channelId), version, endpoint.slice(-40)]) {
      expect(text).not.toContain(secret);
    }
    expect(bench.log.map(({ event }) => event)).toContain("acknowledged");
  });
});
