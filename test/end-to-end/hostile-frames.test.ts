// SPDX-License-Identifier: MIT
// Goal: whatever one device sends, the service answers or ends that link only; it runs on, and another device gets its
// messages as before. Method: a running push service; a raw WebSocket with a good token sends hostile frames while a real agent
// is connected.

import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import type { Downstream } from "../../src/wire/dialect.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { type AgentProcess, Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
let agent: AgentProcess;
let subscription: PushSubscriptionJSON;
let messages = 0;
beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  agent = await stage.agent({ service, stateDirectory: stage.newDirectory(), owners: [NEWS] });
  subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
});
afterAll(() => stage.close());

const NOT_CBOR = Uint8Array.of(0xff, 0xfe, 0xfd);
/** Arrays inside each other. */
const TOO_DEEP = new Uint8Array(1000).fill(0x81);
/** [999]: an array of one element. */
const UNKNOWN_TYPE = Uint8Array.of(0x81, 0x19, 0x03, 0xe7);
/** [2, …]: claims four billion elements. */
const TOO_MANY = Uint8Array.of(0x9a, 0xff, 0xff, 0xff, 0xff, 0x02);
const A_MAP = Uint8Array.of(0xa1, 0x01, 0x02);
/** An Ack whose ranges are a text. */
const WRONG_FIELD = Uint8Array.of(0x83, 0x06, 0x00, 0x61, 0x78);

test.each([
  ["not CBOR", NOT_CBOR, 400],
  ["too deep", TOO_DEEP, 400],
  ["more items than there are bytes", TOO_MANY, 400],
  ["a map", A_MAP, 400],
  ["nothing", new Uint8Array(0), 400],
  ["a field of another type", WRONG_FIELD, 400],
  ["an unknown type", UNKNOWN_TYPE, 501],
])("%s is answered with an error, and the link goes on", async (_what, frame, status) => {
  const { webSocket, next } = await connect();
  webSocket.send(frame);
  const error = await next("error");
  expect(error).toMatchObject({ ref: null, status });
  expect(error.text).toMatch(/^[ -~]{5,}$/);
  webSocket.send(godwitDialect.encodeUpstream({ type: "probe", nonce: 7 }));
  expect(await next("probeReply")).toEqual({ type: "probeReply", nonce: 7 });
  await expectOtherWell();
});

test("one malformed frame after the other ends the link with goodbye", async () => {
  const { webSocket, next, closed } = await connect();
  for (let sent = 0; sent < 8; sent++) webSocket.send(NOT_CBOR);
  for (let sent = 0; sent < 8; sent++) await next("error");
  expect(await next("bye")).toMatchObject({ reason: "protocol" });
  expect(await closed).toBe(1002);
  await expectOtherWell();
});

test("a frame over the limit ends the link", async () => {
  const { webSocket, closed } = await connect();
  webSocket.send(new Uint8Array(16_385));
  expect(await closed).toBe(1009);
  await expectOtherWell();
});

test("a text frame ends the link", async () => {
  const { webSocket, closed } = await connect();
  webSocket.send("[6,0,[1]]");
  expect(await closed).toBe(1003);
  await expectOtherWell();
});

test("acknowledging and unregistering what is another device's changes nothing there", async () => {
  const { webSocket, next } = await connect();
  const ranges: [number, number][] = [[1, Number.MAX_SAFE_INTEGER]];
  webSocket.send(godwitDialect.encodeUpstream({ type: "ack", code: "ok", ranges }));
  webSocket.send(godwitDialect.encodeUpstream({ type: "unregisterWa", ref: 1, channel: 1 }));
  expect(await next("waUnregistered")).toMatchObject({ ref: 1, status: 404 });
  await expectOtherWell();
});

test("a flood of frames ends the link and nothing else", async () => {
  const { webSocket, closed } = await connect();
  for (let sent = 0; sent < 3000; sent++) webSocket.send(UNKNOWN_TYPE);
  await closed;
  await expectOtherWell();
});

/** The real agent gets a message all the same. */
async function expectOtherWell(): Promise<void> {
  const text = `message ${++messages}`;
  await sender.send(subscription, text);
  await agent.pushed(text);
  expect(agent.pushes()).toHaveLength(messages);
}

/** A device of its own, connected with a raw WebSocket; Registered was read. */
async function connect() {
  const { json } = await service.request("POST", "/v1/token");
  const webSocket = service.dial(`Bearer ${json.uaToken}`);
  const closed = once(webSocket, "close").then(([code]) => code as number);
  const received: Downstream[] = [];
  let wake: () => void = () => {};
  webSocket.on("message", (data: Buffer) => {
    received.push(godwitDialect.parseDownstream(new Uint8Array(data)));
    wake();
  });
  /** The next message, which must be of `type`. */
  const next = async <T extends Downstream["type"]>(type: T): Promise<Extract<Downstream, { type: T }>> => {
    while (received.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const message = received.shift();
    expect(message?.type).toBe(type);
    return message as Extract<Downstream, { type: T }>;
  };
  await next("registered");
  return { webSocket, next, closed };
}
