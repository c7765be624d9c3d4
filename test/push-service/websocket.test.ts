// SPDX-License-Identifier: MIT
// Goal: a device gets exactly the native protocol over a plain WebSocket, refusals come before the upgrade, and hostile
// frames harm nobody but their sender. Method: `ws` clients against a running service.

import { once } from "node:events";
import { encode } from "cbor-x";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { WebSocket } from "ws";
import {
  DEVICE_SEEN_STEP_MS,
  ERRORS_PER_LINK_MAX,
  FRAME_BYTES_MAX,
  UA_TOKEN_REFRESH_MS,
} from "../../src/limits.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import { TestBench, TestDevice } from "./bench.ts";

let bench: TestBench;
beforeEach(async () => {
  bench = await TestBench.start();
});
afterEach(() => bench.stop());

async function online(): Promise<TestDevice> {
  const device = await bench.connect((await bench.token()).uaToken);
  await device.next("registered");
  return device;
}

describe("being seen", () => {
  test("is written down once a day, whether by connecting or by a frame", async () => {
    const noteSeen = vi.spyOn(bench.store, "noteSeen");
    const { uaToken, uaid, device } = await bench.subscribed();
    await device.quiet();
    expect(noteSeen).not.toHaveBeenCalled();
    bench.epochMs += DEVICE_SEEN_STEP_MS;
    await device.quiet();
    await device.quiet();
    expect(noteSeen).toHaveBeenCalledTimes(1);
    expect(await bench.store.getDevice(Buffer.from(uaid, "hex"))).toMatchObject({ seenMs: bench.epochMs });
    bench.epochMs += DEVICE_SEEN_STEP_MS - 1;
    await (await bench.connect(uaToken)).quiet();
    expect(noteSeen).toHaveBeenCalledTimes(1);
    bench.epochMs += 1;
    await (await bench.connect(uaToken)).quiet();
    expect(noteSeen).toHaveBeenCalledTimes(2);
  });
});

describe("connecting", () => {
  test("Registered is the first frame and names the device", async () => {
    const { uaToken, uaid } = await bench.token();
    const device = await bench.connect(uaToken);
    const registered = await device.next("registered");
    expect(Buffer.from(registered.uaid).toString("hex")).toBe(uaid);
    expect(registered).toMatchObject({
      status: 200,
      freshUaToken: null,
      lastId: 0,
      idleLimitS: null,
      canary: "/v1/canary",
      epochMs: bench.epochMs,
      storeEpoch: bench.store.epoch,
      channels: null,
    });
    expect(device.webSocket.protocol).toBe("godwit.v1");
    expect(device.webSocket.extensions).toBe("");
  });

  test("the channel list comes when the digest differs, and when there is none", async () => {
    const { uaToken, device, channel } = await bench.subscribed();
    await device.close();
    const wrong = await bench.connect(uaToken, []);
    expect((await wrong.next("registered")).channels).toEqual([channel]);
    const webSocket = bench.dial("/v1/ws", { Authorization: `Bearer ${uaToken}` });
    const without = new TestDevice(webSocket);
    expect((await without.next("registered")).channels).toEqual([channel]);
  });

  test("stored messages follow at once, are acknowledged exactly, and come again until then", async () => {
    const { uaToken, device, channel, endpoint } = await bench.subscribed();
    await device.close();
    for (let i = 1; i <= 3; i++) await bench.post(endpoint, {}, Uint8Array.of(i));
    const second = await bench.connect(uaToken, [channel]);
    expect((await second.quiet()).map(({ type }) => type)).toEqual([
      "registered",
      "notification",
      "notification",
      "notification",
    ]);
    second.send({ type: "ack", code: "ok", ranges: [[2, 2]] });
    await second.quiet();
    await second.close();
    const third = await bench.connect(uaToken, [channel]);
    await third.next("registered");
    expect(await third.next("notification")).toMatchObject({ id: 1, attempt: 2 });
    expect(await third.next("notification")).toMatchObject({ id: 3, attempt: 2 });
    third.send({ type: "ack", code: "rejected", ranges: [[1, 3]] });
    third.send({ type: "getAllMessages", ref: 4 });
    expect(await third.next("drained")).toEqual({ type: "drained", ref: 4 });
  });

  test("conditions of the upgrade hold for what follows it", async () => {
    const { uaToken, device, channel, endpoint } = await bench.subscribed();
    await device.close();
    await bench.post(endpoint, { Urgency: "low" });
    await bench.post(endpoint, { Urgency: "high" });
    const headers = { "Godwit-Conditions": "urgency=normal, future=1, heartbeat=600" };
    const again = await bench.connect(uaToken, [channel], headers);
    const seen = await again.quiet();
    expect(seen.filter(({ type }) => type === "notification")).toMatchObject([{ id: 2, urgency: "high" }]);
  });

  test("a newer connection takes over; the older hears Bye", async () => {
    const { uaToken, device, channel } = await bench.subscribed();
    const closed = once(device.webSocket, "close");
    const newer = await bench.connect(uaToken, [channel]);
    expect(await device.next("bye")).toMatchObject({ reason: "replaced" });
    await closed;
    await newer.next("registered");
    expect(await newer.quiet()).toEqual([]);
    expect(bench.service.stats().devicesConnected).toBe(1);
  });
});

describe("refusals before the upgrade", () => {
  const errnoOf = async (headers: Record<string, string>, subprotocols?: string[], path = "/v1/ws") => {
    const { status, body } = await bench.refusal(path, headers, subprotocols);
    return [status, (body as { errno: number }).errno];
  };

  test("no token, a forged one and another service's are 401/310", async () => {
    const other = await TestBench.start();
    const foreign = (await other.token()).uaToken;
    await other.stop();
    expect(await errnoOf({})).toEqual([401, 310]);
    expect(await errnoOf({ Authorization: "Bearer AAAA" })).toEqual([401, 310]);
    expect(await errnoOf({ Authorization: `Bearer ${foreign}` })).toEqual([401, 310]);
  });

  test("a token of a forgotten device is 401/310", async () => {
    const { uaToken, uaid } = await bench.token();
    await bench.store.removeDevice(Buffer.from(uaid, "hex"));
    expect(await errnoOf({ Authorization: `Bearer ${uaToken}` })).toEqual([401, 310]);
  });

  test("another subprotocol, or none, is 426/313; so is a plain GET", async () => {
    const Authorization = `Bearer ${(await bench.token()).uaToken}`;
    expect(await errnoOf({ Authorization }, ["mqtt"])).toEqual([426, 313]);
    expect(await errnoOf({ Authorization }, [])).toEqual([426, 313]);
    expect((await bench.fetch("/v1/ws", { headers: { Authorization } })).status).toBe(426);
  });

  test.each(["heartbeat=-1", "heartbeat", "urgency=loud", "window=1, window=2", "heartbeat=99999999999"])(
    "conditions %j are 400/314",
    async (conditions) => {
      const Authorization = `Bearer ${(await bench.token()).uaToken}`;
      expect(await errnoOf({ Authorization, "Godwit-Conditions": conditions })).toEqual([400, 314]);
    },
  );

  test("a digest of another length is 400/314", async () => {
    const Authorization = `Bearer ${(await bench.token()).uaToken}`;
    expect(await errnoOf({ Authorization, "Godwit-Channels": "AAAA" })).toEqual([400, 314]);
  });

  test("beyond the number of links it is 503/315 with Retry-After", async () => {
    const small = await TestBench.start({ deviceLinksMax: 1 });
    await small.connect((await small.token()).uaToken);
    const headers = { Authorization: `Bearer ${(await small.token()).uaToken}` };
    const { status, headers: answer, body } = await small.refusal("/v1/ws", headers);
    expect([status, (body as { errno: number }).errno]).toEqual([503, 315]);
    expect(answer["retry-after"]).toBeDefined();
    await small.stop();
  });
});

describe("uaToken refresh", () => {
  test("an old token brings a fresh one; the old stays good until the fresh one is used", async () => {
    const { uaToken } = await bench.token();
    bench.epochMs += UA_TOKEN_REFRESH_MS;
    const first = await bench.connect(uaToken);
    const fresh = (await first.next("registered")).freshUaToken ?? "";
    expect(fresh).not.toBe("");
    const second = await bench.connect(uaToken);
    await second.next("registered");
    const third = await bench.connect(fresh);
    expect((await third.next("registered")).freshUaToken).toBeNull();
    const { status } = await bench.refusal("/v1/ws", { Authorization: `Bearer ${uaToken}` });
    expect(status).toBe(401);
  });

  test("presenting it to /v1/token gets a fresh one for the same uaid, under the same rule", async () => {
    const old = await bench.token();
    const fresh = await bench.token({ Authorization: `Bearer ${old.uaToken}` });
    expect(fresh.uaid).toBe(old.uaid);
    await (await bench.connect(old.uaToken)).next("registered");
    await (await bench.connect(fresh.uaToken)).next("registered");
    const void_ = await bench.token({ Authorization: `Bearer ${old.uaToken}` });
    expect(void_.uaid).not.toBe(old.uaid);
  });
});

describe("registering", () => {
  test("is idempotent, refuses another key, and gives the endpoint again", async () => {
    const { device, endpoint, channel } = await bench.subscribed(bench.keys.publicKey);
    const request = { type: "registerWa", ref: 2, registrationId: new Uint8Array(16) } as const;
    device.send({ ...request, applicationServerKey: bench.keys.publicKey });
    expect(await device.next("waRegistered")).toMatchObject({ ref: 2, status: 200, channel, endpoint });
    device.send({ ...request, ref: 3, applicationServerKey: null });
    expect(await device.next("waRegistered")).toMatchObject({ ref: 3, status: 409, endpoint: "" });
  });

  test("unregistering an unknown channel is 404", async () => {
    const device = await online();
    device.send({ type: "unregisterWa", ref: 8, channel: 77 });
    expect(await device.next("waUnregistered")).toMatchObject({ ref: 8, status: 404, channel: 77 });
  });

  test("UnregisterUA forgets the device", async () => {
    const { device, uaToken, endpoint } = await bench.subscribed();
    device.send({ type: "unregisterUa", ref: 1 });
    expect(await device.next("bye")).toMatchObject({ reason: "unregistered" });
    expect((await bench.refusal("/v1/ws", { Authorization: `Bearer ${uaToken}` })).status).toBe(401);
    expect((await bench.post(endpoint)).status).toBe(410);
  });
});

describe("hostile frames", () => {
  const unknown = encode([99, 1, 2]);
  const tooDeep = new Uint8Array(5000).fill(0x81);

  test.each<[string, Uint8Array]>([
    ["no CBOR", Uint8Array.of(0xff, 0xff)],
    ["empty", new Uint8Array(0)],
    ["no array", encode({ type: 1 })],
    ["too deep", tooDeep],
    ["a field of another type", encode([2, "ref", new Uint8Array(16), null])],
    ["a key of another length", encode([2, 1, new Uint8Array(16), new Uint8Array(64)])],
  ])("%s is answered with Error 400 and the link stays", async (_what, frame) => {
    const device = await online();
    device.webSocket.send(frame);
    expect(await device.next("error")).toMatchObject({ ref: null, status: 400 });
    expect(await device.quiet()).toEqual([]);
  });

  test("an unknown type is answered with Error 501, as often as it comes", async () => {
    const device = await online();
    for (let i = 0; i < 2 * ERRORS_PER_LINK_MAX; i++) device.webSocket.send(unknown);
    const seen = await device.quiet();
    expect(seen.length).toBe(2 * ERRORS_PER_LINK_MAX);
    expect(seen.every((message) => message.type === "error" && message.status === 501)).toBe(true);
  });

  test("too many bad ones end the link", async () => {
    const device = await online();
    const closed = once(device.webSocket, "close");
    for (let i = 0; i < ERRORS_PER_LINK_MAX; i++) device.webSocket.send(Uint8Array.of(0xff));
    for (let i = 0; i < ERRORS_PER_LINK_MAX; i++) await device.next("error");
    expect(await device.next("bye")).toMatchObject({ reason: "protocol" });
    expect((await closed)[0]).toBe(1002);
  });

  test("a frame over the limit ends the link with 1009", async () => {
    const device = await online();
    const closed = once(device.webSocket, "close");
    device.webSocket.send(new Uint8Array(FRAME_BYTES_MAX + 1));
    expect((await closed)[0]).toBe(1009);
  });

  test("a text frame ends the link with 1003", async () => {
    const device = await online();
    const closed = once(device.webSocket, "close");
    device.webSocket.send("hello");
    await device.next("error");
    expect((await closed)[0]).toBe(1003);
  });

  test("a flood ends the link as overload", async () => {
    const device = await online();
    const closed = once(device.webSocket, "close");
    for (let i = 0; i < 2000; i++) device.send({ type: "probe", nonce: 1 });
    expect((await closed)[0]).toBe(1013);
  });

  test("frames that make the service read the whole queue again count as many", async () => {
    const store = new MemoryStore();
    const messages = vi.spyOn(store, "messages");
    const counted = await TestBench.start({ store });
    const { device } = await counted.subscribed();
    const closed = once(device.webSocket, "close");
    for (let i = 0; i < 500; i++) {
      device.send({ type: "hold", channel: 1 });
      device.send({ type: "resume", channel: 1 });
    }
    expect((await closed)[0]).toBe(1013);
    // 1000 at once, 20 for each Resume, and the reads of connecting.
    expect(messages.mock.calls.length).toBeLessThan(60);
    await counted.stop();
  });
});

describe("back-pressure", () => {
  test("a device that does not read gets no more than its window, and the rest when it reads", async () => {
    const { device, endpoint } = await bench.subscribed();
    device.webSocket.pause();
    const body = new Uint8Array(4096).fill(5);
    for (let i = 0; i < 200; i++) expect((await bench.post(endpoint, {}, body)).status).toBe(201);
    device.webSocket.resume();
    const ids: number[] = [];
    while (ids.length < 200) {
      const { id } = await device.next("notification");
      ids.push(id);
      device.send({ type: "ack", code: "ok", ranges: [[id, id]] });
    }
    expect(ids).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });
});

describe("canaries", () => {
  test("answer pings, are kept out of the device's session, and are bounded", async () => {
    const { uaToken } = await bench.token();
    const headers = { Authorization: `Bearer ${uaToken}` };
    const main = await bench.connect(uaToken);
    await main.next("registered");
    const open: WebSocket[] = [];
    for (let i = 0; i < 8; i++) {
      const canary = bench.dial("/v1/canary", headers);
      await once(canary, "open");
      open.push(canary);
    }
    open[0]?.ping();
    await once(open[0] as WebSocket, "pong");
    const replaced = once(open[1] as WebSocket, "close");
    await once(bench.dial("/v1/canary", headers), "open");
    // The longest silent one, without a word: a network may have forgotten it.
    expect((await replaced)[0]).toBe(1006);
    expect(bench.service.stats()).toMatchObject({ devicesConnected: 1, canariesConnected: 8 });
    const closed = once(open[0] as WebSocket, "close");
    await bench.connect(uaToken);
    expect((await closed)[0]).toBe(1001);
  });
});

describe("a store that fails", () => {
  test("refuses the upgrade with 503 and a registration with status 503", async () => {
    const store = new MemoryStore();
    const failing = await TestBench.start({ store });
    const { uaToken } = await failing.token();
    const device = await failing.connect(uaToken);
    await device.next("registered");
    await store.close();
    device.send({
      type: "registerWa",
      ref: 5,
      registrationId: new Uint8Array(16),
      applicationServerKey: null,
    });
    expect(await device.next("waRegistered")).toMatchObject({ ref: 5, status: 503 });
    const { status } = await failing.refusal("/v1/ws", { Authorization: `Bearer ${uaToken}` });
    expect(status).toBe(503);
    await failing.stop();
  });
});
