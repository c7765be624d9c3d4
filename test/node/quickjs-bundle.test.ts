// SPDX-License-Identifier: MIT
// Goal: the QuickJS bundle works as shipped: minified, names shortened, no module system, no Web APIs. Method: evaluate
// dist/godwit.quickjs.js inside QuickJS, drive the agent from a host written there, with a message encrypted here.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { QuickJS } from "quickjs-wasi";
import { expect, test } from "vitest";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";
import type { Downstream } from "../../src/wire/dialect.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { seededFill } from "../webpush/support.ts";

const BUNDLE = "dist/godwit.quickjs.js";

/** What the push service sends; its frames are made here, since names inside the bundle are its own. */
const frame = (message: Downstream) =>
  Buffer.from(godwitDialect.encodeDownstream(message)).toString("base64");
const FRAMES = {
  registered: frame({
    type: "registered",
    status: 200,
    uaid: new Uint8Array(16),
    freshUaToken: null,
    idleLimitS: null,
    reconnectSpreadS: 0,
    canary: null,
    epochMs: 1_700_000_000_000,
    storeEpoch: 5,
    channels: null,
    lastId: 0,
  }),
  granted: frame({
    type: "waRegistered",
    ref: 1,
    status: 200,
    channel: 1,
    endpoint: "https://push.example/p/1",
    expirationTime: null,
  }),
};
const notification = (id: number, body: Uint8Array) =>
  frame({
    type: "notification",
    id,
    attempt: 1,
    channel: 1,
    ttlLeftS: 60,
    urgency: "normal",
    saysNotification: false,
    topic: null,
    body,
  });

/** A host with virtual time and a push service that grants everything; `deliver` and `show` land in lists. */
const HOST = `
  const frames = ${JSON.stringify(FRAMES)};
  const log = { shown: [], delivered: [], replies: [], effects: [] };
  let nowMs = 1000, alarm = null, segment = new Uint8Array(0), linkId = 0, seed = 1;
  const random = () => ((seed = (seed * 48271) % 2147483647) / 2147483647);
  const randomFill = (target) => { for (let i = 0; i < target.length; i++) target[i] = Math.floor(random() * 256); };
  const deviceBinding = new Uint8Array(16);
  const sealer = godwit.keySealer(new Uint8Array(32).fill(7), randomFill);
  const recovery = godwit.recoverJournal([], { deviceBinding, sealer });
  const agent = new godwit.Agent({
    serviceUrl: "https://push.example", dialect: godwit.godwitDevice, recovery, sealer, deviceBinding,
    provider: godwit.nobleProvider, randomFill, jitter: random, heartbeatMs: null, mqttUrls: [], portalProbeUrl: null,
    windowS: 0, leastUrgency: "very-low", keepConnected: false, navigation: { httpAllowed: false },
  });
  const members = {
    now: () => ({ monotonicMs: nowMs, epochMs: 1700000000000 + nowMs, epochTrusted: true }),
    setAlarm: (e) => { alarm = e.alarm; },
    append: (e) => driver.dispatch({ type: "journalAppended", appendId: e.appendId }),
    checkpoint: (e) => driver.dispatch({ type: "journalAppended", appendId: e.appendId }),
    askPermission: (e) => driver.dispatch({ type: "permissionAnswered", owner: e.owner, permission: "granted" }),
    httpRequest: (e) => driver.dispatch({ type: "httpResponse", requestId: e.requestId, status: 200, cause: null, retryAfterS: null,
      body: JSON.stringify({ uaToken: "t", uaid: "00".repeat(16) }) }),
    openLink: (e) => {
      linkId = e.linkId;
      driver.dispatch({ type: "linkOpened", linkId });
      receive(frames.registered);
    },
    send: (e) => {
      // The bundle has the device's end alone; the type of a frame is the first element of its array (SPEC.md).
      const type = e.frame[1];
      log.effects.push(type);
      if (type === 2) receive(frames.granted);
    },
    deliver: (e) => {
      log.delivered.push(String.fromCharCode(...e.delivery.data));
      driver.dispatch({ type: "appHandled", deliveryId: e.delivery.deliveryId });
    },
    show: (e) => {
      log.shown.push([e.notification.title, e.notification.navigate]);
      driver.dispatch({ type: "displayed", notificationId: e.notificationId });
    },
    appReply: (e) => log.replies.push(e.reply),
  };
  const host = new Proxy(members, { get: (own, name) => own[name] ?? (() => {}) });
  const driver = new godwit.Driver(agent, host);
  const receive = (frame) => driver.dispatch({ type: "linkMessage", linkId, frame: Uint8Array.fromBase64(frame) });
  driver.dispatch({ type: "start" });
  driver.dispatch({ type: "networkChanged", network: { label: "carrier", kind: "cellular", metered: true } });
  driver.dispatch({ type: "appAttached", owner: "https://news.example", handlesPush: true });
  driver.dispatch({ type: "appRequest", requestId: 1, owner: "https://news.example", request: { type: "subscribe",
    applicationServerKey: null, userVisibleOnly: false, waToken: null, declarative: "auto", allowAesgcm: false } });
  const base64url = (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  const view = log.replies[0].subscription;
  globalThis.subscription = JSON.stringify({ p256dh: base64url(view.p256dh), auth: base64url(view.auth) });
  globalThis.choose = (choice) => driver.dispatch({ type: "choice", requestId: 9, choice });
  globalThis.push = (frame) => { nowMs += 1000; receive(frame); };
  globalThis.result = () => {
    nowMs += 1000;
    driver.dispatch({ type: "alarm" });
    return JSON.stringify({ ...log, status: agent.status(members.now()), notifications: agent.notifications() });
  };
`;

const network = {
  loMs: expect.any(Number),
  hiMs: null,
  confidence: expect.any(Number),
};
const STATUS = {
  link: "online",
  transport: "websocket",
  linkSinceEpochMs: expect.any(Number),
  alarmInMs: expect.any(Number),
  subscriptions: [
    {
      owner: "https://news.example",
      channel: 1,
      mode: "auto",
      permission: "granted",
      usedEpochMs: expect.any(Number),
    },
  ],
  owners: [
    {
      owner: "https://news.example",
      permission: "granted",
      hasHandler: true,
      paused: false,
      optedOut: false,
      badge: null,
      isAttached: true,
      subscriptions: 1,
      messagesWaiting: 0,
      notifications: 1,
      silent: { left: expect.any(Number), max: expect.any(Number), spent: 1 },
    },
    { owner: "chat.app", permission: "prompt", paused: true, isAttached: false, silent: null },
  ],
  permissionsAsked: [],
  navigationsAsked: [],
  paused: false,
  optedOut: false,
  notifications: 1,
  messagesWaiting: 0,
  meter: {
    countedMs: expect.any(Number),
    wakeUps: { connect: 1, ping: 0 },
    piggybacked: { message: expect.any(Number) },
    radios: { cellular: { wakeUps: 1, piggybacked: expect.any(Number), busyMs: expect.any(Number) } },
    linksLost: {},
    deafMs: 0,
    messages: { received: 2, delivered: 1, shown: 1 },
    alarmsLate: [expect.any(Number), 0, 0, 0],
    messageAgoMs: expect.any(Number),
  },
  network: {
    label: "carrier",
    ...network,
    intervalMs: expect.any(Number),
    isHeld: true,
    isLearned: expect.any(Boolean),
    rttMs: expect.any(Number),
    freshnessMs: 1_740_000,
    idleLimitMs: null,
  },
  networks: [
    {
      label: "carrier",
      ...network,
      isHiSure: false,
      losses: 0,
      transport: "",
      confirmedEpochMs: expect.any(Number),
    },
  ],
};

test("the shipped bundle subscribes, decrypts, shows, delivers and acknowledges", async () => {
  if (!existsSync(BUNDLE)) throw new Error(`${BUNDLE} is not built: run node build.mjs first`);
  const wasm = readFileSync(fileURLToPath(import.meta.resolve("quickjs-wasi/quickjs.wasm")));
  const vm = await QuickJS.create({ wasm, maxStackSize: 65_536 });
  const evaluate = (code: string): string => vm.evalCode(code).consume((value) => value.toString());
  try {
    evaluate(readFileSync(BUNDLE, "utf8"));
    evaluate(`(() => { ${HOST} })()`);
    const keys = JSON.parse(evaluate("subscription"));
    const recipient = { publicKey: base64urlDecode(keys.p256dh), authSecret: base64urlDecode(keys.auth) };
    const randomFill = seededFill(11);
    const seal = (text: string) => encrypt(new TextEncoder().encode(text), recipient, { randomFill });
    evaluate(`push("${notification(1, seal("hello"))}")`);
    evaluate(
      `push("${notification(2, seal('{"web_push":8030,"notification":{"title":"Hi","navigate":"../x?y#z"}}'))}")`,
    );
    evaluate(`choose({ type: "setPaused", owner: "chat.app", paused: true })`);
    const { status, notifications, ...result } = JSON.parse(evaluate("result()"));
    // Names of the status are for hosts and programs: none may be shortened.
    expect(status).toMatchObject(STATUS);
    expect(notifications).toMatchObject([
      { notificationId: 1, shownEpochMs: expect.any(Number), notification: { title: "Hi" } },
    ]);
    expect(result).toMatchObject({
      delivered: ["hello"],
      shown: [["Hi", "https://news.example/x?y#z"]],
      // RegisterWA, Ack, Ack.
      effects: [2, 6, 6],
    });
  } finally {
    vm.dispose();
  }
});
