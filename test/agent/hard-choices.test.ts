// SPDX-License-Identifier: MIT
// Goal: a person's choice holds at the worst moment too: while messages, clicks, questions, writes and requests are under
// way, without a network, at a service that is busy. Method: the real agent on a device with virtual time.

import { describe, expect, test } from "vitest";
import {
  BADGES_BURST_MAX,
  HOLDS_AT_ONCE_MAX,
  PROMPTS_WAITING_MAX,
  PROMPTS_WAITING_PER_OWNER_MAX,
  SILENT_PUSH_REFILL_MS,
  SILENT_PUSH_WINDOW_MS,
  SILENT_PUSHES_MAX,
  TRANSFORM_BUDGET_MS,
  UNREGISTER_IN_FLIGHT_MAX,
  UNREGISTER_RETRY_MS,
} from "../../src/limits.ts";
import { HOUR, MINUTE, move, NEWS } from "./online.ts";
import { answerUnregister, CHAT, changesOf, declared, ownerOf } from "./people.ts";
import { Device } from "./world.ts";

const heldOf = (device: Device, type: "hold" | "resume" = "hold") =>
  device.upstream.flatMap((frame) => (frame.type === type ? [frame.channel] : []));
const confirmAll = (device: Device): void => {
  device.holdJournal = false;
  while (device.heldWrites.length > 0) device.heldWrites.shift()?.();
};

describe("a pause", () => {
  const pause = (device: Device, owner: string | null, paused = true) =>
    device.choose({ type: "setPaused", owner, paused });

  test("goes with its app: installed again, it gets its messages", () => {
    const device = new Device({ keepConnected: true });
    device.withSubscription(NEWS, 1);
    pause(device, NEWS);
    device.choose({ type: "uninstall", owner: NEWS });
    answerUnregister(device);
    const reply = device.withSubscription(NEWS, 2);
    device.notify(1, 2, device.seal(reply, "hello"));
    expect(device.delivered).toHaveLength(1);
    expect(heldOf(device)).toEqual([1]);
    // The channel that was held has ended: nothing is said about it any more.
    expect(heldOf(device, "resume")).toEqual([]);
  });

  test("holds a channel whose number comes again", () => {
    const device = new Device({ keepConnected: true });
    device.withSubscription(NEWS, 1);
    pause(device, NEWS);
    device.choose({ type: "clearData", owner: NEWS });
    answerUnregister(device);
    device.withSubscription(NEWS, 1);
    expect(heldOf(device)).toEqual([1, 1]);
  });

  test("at a service that cannot hold: nothing is shown, nothing repeats, other apps go on", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const chat = device.withSubscription(CHAT, 2);
    pause(device, NEWS);
    device.send({ type: "error", ref: null, status: 429, text: "too many channels held" });
    for (let id = 1; id <= 20; id++) device.notify(id, 1, device.seal(reply, declared(`${id}`)));
    device.notify(21, 2, device.seal(chat, "hello"));
    expect(heldOf(device)).toEqual([1]);
    expect(device.shown).toEqual([]);
    expect(device.delivered).toMatchObject([{ owner: CHAT }]);
    expect(device.status).toMatchObject({ link: "online", messagesWaiting: 0 });
    pause(device, NEWS, false);
    device.notify(1, 1, device.seal(reply, declared("again")), { attempt: 2 });
    expect(device.shown).toHaveLength(1);
  });

  test("of very many holds some now and the rest when a message comes", () => {
    const device = new Device({ keepConnected: true });
    for (let channel = 1; channel <= HOLDS_AT_ONCE_MAX + 50; channel++)
      device.withSubscription(`app${channel % 20}`, channel, true, `${channel}`);
    pause(device, null);
    const held = new Set(heldOf(device));
    expect(held.size).toBeLessThanOrEqual(HOLDS_AT_ONCE_MAX);
    expect(held.size).toBeGreaterThan(HOLDS_AT_ONCE_MAX / 2);
    const channel = device.status.subscriptions.find((one) => !held.has(one.channel ?? 0))?.channel ?? 0;
    device.notify(1, channel, null);
    expect(heldOf(device)).toContain(channel);
  });

  test("lets what is on its way to the screen get there", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.withSubscription(CHAT, 2);
    device.holdDisplay = true;
    device.notify(1, 1, device.seal(reply, declared("Hello")));
    pause(device, NEWS);
    device.dispatch({ type: "displayed", notificationId: device.last("show").notificationId });
    device.pass(MINUTE);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
  });

  test("lets what an app has in its hands end as it would have", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, declared("Hello", ',"mutable":true')));
    pause(device, NEWS);
    device.pass(TRANSFORM_BUDGET_MS);
    expect(device.shown.map(({ notification }) => notification.title)).toEqual(["Hello"]);
  });

  test("of messages that wait for budget wakes nobody up, and gives no budget", () => {
    const device = new Device({ keepConnected: true, silentPushMax: undefined });
    const reply = device.withSubscription(NEWS, 1);
    for (let id = 1; id <= SILENT_PUSHES_MAX + 1; id++)
      device.notify(id, 1, device.seal(reply, `${id}`), { ttlLeftS: 86_400 });
    expect(device.delivered).toHaveLength(SILENT_PUSHES_MAX);
    device.pass(10_000);
    pause(device, NEWS);
    move(device, null);
    device.pass(2 * MINUTE);
    expect(device.alarm).toBeNull();
    pause(device, NEWS, false);
    expect(device.delivered).toHaveLength(SILENT_PUSHES_MAX);
    device.pass(SILENT_PUSH_REFILL_MS + SILENT_PUSH_WINDOW_MS);
    expect(device.delivered).toHaveLength(SILENT_PUSHES_MAX + 1);
  });
});

describe("an opt-out", () => {
  test("while an app has an opaque message in its hands that is in the journal", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, "opaque"));
    device.pass(10_000);
    expect(ownerOf(device)?.messagesWaiting).toBe(1);
    device.choose({ type: "setOptedOut", owner: NEWS, optedOut: true });
    expect(device.last("cancelDelivery").deliveryId).toBe(device.delivered[0]?.deliveryId);
    const again = device.restart();
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(again.delivered).toEqual([]);
    expect(again.status.messagesWaiting).toBe(0);
  });

  test("during a transform, whose app then answers, fails and goes", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, declared("Hello", ',"mutable":true,"app_badge":5')));
    const deliveryId = device.delivered[0]?.deliveryId ?? 0;
    const show = () =>
      device.replies.get(device.ask(NEWS, { type: "showNotification", deliveryId, title: "t", options: {} }));
    device.choose({ type: "setOptedOut", owner: null, optedOut: true });
    expect(show()).toMatchObject({ code: "ERR_NOTIFICATION" });
    device.dispatch({ type: "appHandled", deliveryId });
    device.dispatch({ type: "appFailed", deliveryId });
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.pass(HOUR);
    expect(device.shown).toEqual([]);
    expect(ownerOf(device)?.badge).toBeNull();
    expect(device.count("startApp")).toBe(0);
  });

  test("without a network reaches the service when there is one, and the device rests again", () => {
    const device = new Device();
    move(device, "home");
    device.withSubscription(NEWS, 1);
    move(device, null);
    expect(device.replies.get(device.choose({ type: "setOptedOut", owner: NEWS, optedOut: true }))).toEqual({
      type: "done",
    });
    device.pass(HOUR);
    expect(device.countUpstream("unregisterWa")).toBe(0);
    move(device, "office");
    device.connect();
    expect(answerUnregister(device)).toEqual([1]);
    expect(device.status.link).toBe("idle");
    device.pass(2 * MINUTE);
    expect(device.restart().status.link).toBe("idle");
  });

  test("of very many reaches the service a few at a time", () => {
    const device = new Device();
    const owners = ["a.app", "b.app", "c.app"];
    for (let channel = 1; channel <= 75; channel++)
      device.withSubscription(owners[channel % 3] ?? "", channel, true, `${channel}`);
    device.choose({ type: "setOptedOut", owner: null, optedOut: true });
    expect(device.countUpstream("unregisterWa")).toBe(UNREGISTER_IN_FLIGHT_MAX);
    const ended = new Set<number>();
    for (let rounds = 0; rounds < 3; rounds++)
      for (const channel of answerUnregister(device)) ended.add(channel);
    expect(ended.size).toBe(75);
    expect(device.countUpstream("unregisterWa")).toBe(75);
    expect(device.status.link).toBe("idle");
  });

  test("that the service refuses to hear is told again after a while, on the same connection", () => {
    const device = new Device({ keepConnected: true, heartbeatMs: 29 * MINUTE });
    device.withSubscription(NEWS, 1);
    device.choose({ type: "setOptedOut", owner: NEWS, optedOut: true });
    const refusedMs = device.nowMs;
    answerUnregister(device, 503);
    device.pass(UNREGISTER_RETRY_MS - MINUTE);
    device.ask(CHAT, { type: "permissionState" });
    expect(device.countUpstream("unregisterWa")).toBe(1);
    expect(device.alarm?.atMs).toBe(refusedMs + UNREGISTER_RETRY_MS);
    device.passUntil(2 * UNREGISTER_RETRY_MS, () => device.countUpstream("unregisterWa") === 2);
    answerUnregister(device);
    device.pass(UNREGISTER_RETRY_MS * 2);
    expect(device.countUpstream("unregisterWa")).toBe(2);
  });
});

describe("clearing an app's data", () => {
  test("takes a click it was started for", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.ask(NEWS, { type: "showNotification", deliveryId: null, title: "t", options: {} });
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.dispatch({ type: "notificationActivated", notificationId: 1, action: "" });
    expect(device.last("startApp").owner).toBe(NEWS);
    device.choose({ type: "clearData", owner: NEWS });
    device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(device.count("notificationClick")).toBe(0);
  });

  test("takes a badge that was still to be set", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    for (let badge = 1; badge <= BADGES_BURST_MAX + 1; badge++)
      device.ask(NEWS, { type: "setAppBadge", deliveryId: null, badge });
    device.choose({ type: "clearData", owner: NEWS });
    expect(device.last("setBadge").badge).toBe(false);
    device.pass(HOUR);
    expect(device.last("setBadge").badge).toBe(false);
    expect(ownerOf(device)?.badge).toBeNull();
  });

  test("takes a link a person is being asked about", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    const body =
      '{"web_push":8030,"notification":{"title":"t","navigate":"https://elsewhere.example/way?secret"}}';
    device.notify(1, 1, device.seal(reply, body));
    device.dispatch({ type: "notificationActivated", notificationId: 1, action: "" });
    expect(device.status.navigationsAsked).toEqual([
      { notificationId: 1, owner: NEWS, action: "", host: "elsewhere.example" },
    ]);
    device.choose({ type: "clearData", owner: NEWS });
    expect(device.status.navigationsAsked).toEqual([]);
    device.dispatch({ type: "navigationAnswered", notificationId: 1, action: "", allowed: true });
    expect(device.count("openUrl")).toBe(0);
  });

  test("takes a notification that is being written because no screen took it", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.screenFails = true;
    device.holdJournal = true;
    const show = device.ask(NEWS, { type: "showNotification", deliveryId: null, title: "t", options: {} });
    expect(device.replies.has(show)).toBe(false);
    device.choose({ type: "clearData", owner: NEWS });
    confirmAll(device);
    expect(device.replies.get(show)).toEqual({ type: "done" });
    expect(device.status.notifications).toBe(0);
    expect(device.restart().shown).toEqual([]);
  });
});

describe("a subscription being made", () => {
  test("ends with an uninstall, though the service grants it then", () => {
    const device = new Device({ keepConnected: true });
    const request = device.subscribe(NEWS);
    device.connect();
    device.choose({ type: "uninstall", owner: NEWS });
    expect(device.replies.get(request)).toMatchObject({ code: "ERR_SUBSCRIBE_ABORTED" });
    const writes = device.journalWrites;
    device.grantRegistration(1);
    expect(device.journalWrites).toBe(writes);
    expect(device.status.subscriptions).toEqual([]);
    expect(device.lastUpstream("unregisterWa").channel).toBe(1);
    expect(ownerOf(device)).toBeUndefined();
  });

  test.each([
    ["nobody was asked yet", false, false],
    ["the service is being asked", true, false],
    ["it is being written", true, true],
  ])("ends with its permission: %s", (_, isConnected, isGranted) => {
    const device = new Device();
    const request = device.subscribe(NEWS);
    if (isConnected) device.connect();
    device.holdJournal = true;
    if (isGranted) device.grantRegistration(1);
    device.choose({ type: "setPermission", owner: NEWS, permission: "denied" });
    expect(device.replies.get(request)).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    confirmAll(device);
    expect(device.status.subscriptions).toEqual([]);
    expect(device.countUpstream("unregisterWa")).toBe(isGranted ? 1 : 0);
    // Nobody told the app of a subscription, so nobody tells it that one ended.
    expect(changesOf(device)).toEqual([]);
    expect(device.restart().status.subscriptions).toEqual([]);
  });
});

test("a power cut right after a renewal was written: its app is told when it comes", () => {
  const device = new Device();
  device.withSubscription(NEWS, 1);
  device.dispatch({ type: "appDetached", owner: NEWS });
  device.pass(2 * MINUTE);
  device.closeLink();
  device.passUntil(MINUTE, () => device.status.link === "dialing");
  device.openLink();
  device.registered({ channels: [] });
  device.passUntil(2 * MINUTE, () => device.countUpstream("registerWa") === 2);
  device.holdJournal = true;
  device.grantRegistration(7);
  expect(device.heldWrites).toHaveLength(1);
  device.heldWrites.shift()?.();
  const again = device.restart();
  again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
  expect(changesOf(again)).toMatchObject([{ newSubscription: { endpoint: "https://push.example/p/7" } }]);
});

test("an app that asks without end keeps no other from being asked about", () => {
  const device = new Device({ permission: "prompt" });
  const requests = Array.from({ length: PROMPTS_WAITING_MAX }, () =>
    device.ask(NEWS, { type: "requestPermission" }),
  );
  expect(device.replies.size).toBe(PROMPTS_WAITING_MAX - PROMPTS_WAITING_PER_OWNER_MAX);
  expect(device.replies.get(requests.at(-1) ?? 0)).toEqual({ type: "permission", permission: "prompt" });
  device.subscribe(CHAT);
  expect(device.status.permissionsAsked).toEqual([NEWS, CHAT]);
  device.choose({ type: "setPermission", owner: NEWS, permission: "granted" });
  expect(device.replies.size).toBe(PROMPTS_WAITING_MAX + 1);
});

test("questions have a bound over all apps, and an answer makes room", () => {
  const device = new Device({ permission: "prompt" });
  const apps = PROMPTS_WAITING_MAX / PROMPTS_WAITING_PER_OWNER_MAX;
  for (let app = 0; app < apps; app++)
    for (let times = 0; times < PROMPTS_WAITING_PER_OWNER_MAX; times++)
      device.ask(`app${app}`, { type: "requestPermission" });
  expect(device.replies.size).toBe(0);
  const refused = device.ask(CHAT, { type: "requestPermission" });
  expect(device.replies.get(refused)).toEqual({ type: "permission", permission: "prompt" });
  device.dispatch({ type: "permissionAnswered", owner: "app0", permission: "denied" });
  device.ask(CHAT, { type: "requestPermission" });
  expect(device.status.permissionsAsked).toContain(CHAT);
});
