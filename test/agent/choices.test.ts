// SPDX-License-Identifier: MIT
// Goal: what a person decides about an app holds at once, reaches the push service, survives a power cut, and is answered
// when it is durable. Method: the real agent on a device with virtual time; the test plays people and push service.

import { describe, expect, test } from "vitest";
import type { Choice } from "../../src/agent/events.ts";
import { PROMPT_DISMISSALS_MAX, PROMPT_QUIET_MS, TRANSFORM_BUDGET_MS_MAX } from "../../src/limits.ts";
import { HOUR, NEWS } from "./online.ts";
import { answerUnregister, CHAT, changesOf, declared, ownerOf } from "./people.ts";
import { Device } from "./world.ts";

describe("asking", () => {
  const answer = (device: Device, permission: "granted" | "denied" | "prompt", owner = NEWS) =>
    device.dispatch({ type: "permissionAnswered", owner, permission });

  test("a person is asked once, however many requests wait, and all get the answer", () => {
    const device = new Device({ permission: "prompt" });
    const subscribes = [device.subscribe(NEWS), device.subscribe(NEWS, "second")];
    const request = device.ask(NEWS, { type: "requestPermission" });
    expect(device.count("askPermission")).toBe(1);
    expect(device.status.permissionsAsked).toEqual([NEWS]);
    expect(device.replies.size).toBe(0);
    answer(device, "denied");
    for (const id of subscribes)
      expect(device.replies.get(id)).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    expect(device.replies.get(request)).toEqual({ type: "permission", permission: "denied" });
    expect(device.last("permissionSettled")).toEqual({
      type: "permissionSettled",
      owner: NEWS,
      permission: "denied",
    });
    expect(device.status.permissionsAsked).toEqual([]);
  });

  test("what is decided already is answered without asking", () => {
    const device = new Device({ permission: "prompt" });
    device.choose({ type: "setPermission", owner: NEWS, permission: "granted" });
    const request = device.ask(NEWS, { type: "requestPermission" });
    expect(device.replies.get(request)).toEqual({ type: "permission", permission: "granted" });
    expect(device.count("askPermission")).toBe(0);
  });

  test("requestPermission of no owner is refused", () => {
    const device = new Device();
    expect(device.replies.get(device.ask("No Owner", { type: "requestPermission" }))).toMatchObject({
      code: "ERR_OWNER",
    });
  });

  test("left open, the app is refused, nothing is recorded, and the next request asks again", () => {
    const device = new Device({ permission: "prompt" });
    const first = device.subscribe(NEWS);
    answer(device, "prompt");
    expect(device.replies.get(first)).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    expect(device.last("permissionSettled").permission).toBe("prompt");
    expect(device.status.owners).toEqual([]);
    const second = device.ask(NEWS, { type: "requestPermission" });
    expect(device.count("askPermission")).toBe(2);
    answer(device, "granted");
    expect(device.replies.get(second)).toEqual({ type: "permission", permission: "granted" });
  });

  test("left open again and again, the question rests for a day", () => {
    const device = new Device({ permission: "prompt" });
    for (let times = 0; times < PROMPT_DISMISSALS_MAX; times++) {
      device.subscribe(NEWS);
      answer(device, "prompt");
    }
    expect(device.replies.get(device.subscribe(NEWS))).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    expect(device.replies.get(device.ask(NEWS, { type: "requestPermission" }))).toEqual({
      type: "permission",
      permission: "prompt",
    });
    expect(device.count("askPermission")).toBe(PROMPT_DISMISSALS_MAX);
    device.subscribe(CHAT);
    expect(device.last("askPermission").owner).toBe(CHAT);
    device.pass(PROMPT_QUIET_MS);
    device.subscribe(NEWS);
    expect(device.last("askPermission").owner).toBe(NEWS);
  });

  test("a choice ends the rest", () => {
    const device = new Device({ permission: "prompt" });
    for (let times = 0; times < PROMPT_DISMISSALS_MAX; times++) {
      device.subscribe(NEWS);
      answer(device, "prompt");
    }
    device.choose({ type: "setPermission", owner: NEWS, permission: "prompt" });
    device.subscribe(NEWS);
    expect(device.count("askPermission")).toBe(PROMPT_DISMISSALS_MAX + 1);
  });

  test("an answer that comes after the question was settled otherwise changes nothing", () => {
    const device = new Device({ permission: "prompt" });
    const request = device.subscribe(NEWS);
    device.choose({ type: "setPermission", owner: NEWS, permission: "denied" });
    expect(device.replies.get(request)).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    expect(device.count("permissionSettled")).toBe(1);
    answer(device, "granted");
    expect(ownerOf(device)?.permission).toBe("denied");
    expect(device.count("permissionSettled")).toBe(1);
  });

  test("a stop ends the question and answers who waits", () => {
    const device = new Device({ permission: "prompt" });
    const request = device.subscribe(NEWS);
    device.dispatch({ type: "shutdown" });
    expect(device.replies.get(request)).toMatchObject({ code: "ERR_SHUTDOWN" });
    expect(device.count("permissionSettled")).toBe(1);
  });
});

describe("setPermission", () => {
  test("granted settles the question, and the waiting subscribe goes on", () => {
    const device = new Device({ permission: "prompt" });
    const request = device.subscribe(NEWS);
    expect(
      device.replies.get(device.choose({ type: "setPermission", owner: NEWS, permission: "granted" })),
    ).toEqual({
      type: "done",
    });
    expect(device.last("permissionSettled").permission).toBe("granted");
    device.connect();
    device.grantRegistration(1);
    expect(device.replies.get(request)).toMatchObject({ type: "subscription" });
  });

  test.each(["denied", "prompt"] as const)(
    "%s ends the subscriptions here and at the service",
    (permission) => {
      const device = new Device();
      const { subscription } = device.withSubscription(NEWS, 1);
      const request = device.choose({ type: "setPermission", owner: NEWS, permission });
      expect(device.replies.get(request)).toEqual({ type: "done" });
      expect(changesOf(device)).toEqual([
        { type: "subscriptionChange", owner: NEWS, oldSubscription: subscription, newSubscription: null },
      ]);
      expect(answerUnregister(device)).toEqual([1]);
      expect(device.status.subscriptions).toEqual([]);
      expect(device.status.link).toBe("idle");
      expect(ownerOf(device.restart())?.permission).toBe(permission);
    },
  );

  test("is answered when it is on disk, not before; what a power cut takes was never answered", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.holdJournal = true;
    const request = device.choose({ type: "setPermission", owner: NEWS, permission: "denied" });
    expect(device.replies.has(request)).toBe(false);
    expect(device.restart().status.subscriptions).toHaveLength(1);
    device.holdJournal = false;
    for (const confirm of device.heldWrites.splice(0)) confirm();
    expect(device.replies.get(request)).toEqual({ type: "done" });
    const again = device.restart();
    expect(again.status.subscriptions).toEqual([]);
    // The service has not answered: it is told by the next run.
    again.connect();
    expect(answerUnregister(again)).toEqual([1]);
  });

  test("on a disk without even the reserve it holds, and is written as soon as there is room", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.journalFailure = "full";
    const request = device.choose({ type: "setPermission", owner: NEWS, permission: "denied" });
    expect(device.last("checkpoint").urgent).toBe(true);
    expect(device.replies.get(request)).toMatchObject({ type: "error", code: "ERR_JOURNAL_FULL" });
    expect(ownerOf(device)?.permission).toBe("denied");
    device.journalFailure = null;
    const { replies } = device;
    replies.clear();
    device.passUntil(2 * 60_000, () => !device.status.journalFailing);
    expect(device.last("checkpoint").urgent).toBe(true);
    expect(replies.has(request)).toBe(false);
    expect(device.restart().status.subscriptions).toEqual([]);
  });
});

test.each<Choice>([
  { type: "setPermission", owner: "No Owner", permission: "granted" },
  { type: "setPaused", owner: "", paused: true },
  { type: "setOptedOut", owner: "https://news.example/path", optedOut: true },
  { type: "clearData", owner: "*" },
  { type: "uninstall", owner: "../etc" },
  { type: "install", owner: "UPPER", startable: true },
])("$type of what is no owner is refused", (choice) => {
  const device = new Device();
  const writes = device.journalWrites;
  expect(device.replies.get(device.choose(choice))).toMatchObject({ type: "error", code: "ERR_OWNER" });
  expect(device.journalWrites).toBe(writes);
});

describe("pause", () => {
  const pause = (device: Device, owner: string | null, paused = true) =>
    device.replies.get(device.choose({ type: "setPaused", owner, paused }));

  test("the service keeps what comes; a message that was on its way is forgotten and comes again", () => {
    const device = new Device({ keepConnected: true });
    const reply = device.withSubscription(NEWS, 1);
    expect(pause(device, NEWS)).toEqual({ type: "done" });
    expect(device.lastUpstream("hold").channel).toBe(1);
    device.notify(1, 1, device.seal(reply, "opaque"));
    device.notify(2, 1, device.seal(reply, declared("Shown?", ',"app_badge":4')));
    device.pass(60_000);
    expect(device.delivered).toEqual([]);
    expect(device.shown).toEqual([]);
    expect(device.count("setBadge")).toBe(0);
    expect(device.acknowledged()).toEqual([]);
    expect(device.countUpstream("hold")).toBe(1);
    expect(pause(device, NEWS, false)).toEqual({ type: "done" });
    expect(device.lastUpstream("resume").channel).toBe(1);
    device.notify(1, 1, device.seal(reply, "opaque"), { attempt: 2 });
    device.notify(2, 1, device.seal(reply, declared("Shown?")), { attempt: 2 });
    expect(device.delivered).toMatchObject([{ messageId: expect.stringMatching(/-1$/), redelivered: false }]);
    expect(device.shown).toHaveLength(1);
  });

  test("other apps go on", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    const chat = device.withSubscription(CHAT, 2);
    pause(device, NEWS);
    device.notify(1, 2, device.seal(chat, "hello"));
    expect(device.delivered).toMatchObject([{ owner: CHAT }]);
  });

  test("every new link is told again, also after a restart", () => {
    const device = new Device({ keepConnected: true });
    device.withSubscription(NEWS, 1);
    pause(device, NEWS);
    device.closeLink();
    device.passUntil(60_000, () => device.status.link === "dialing");
    device.connect();
    expect(device.countUpstream("hold")).toBe(2);
    const again = device.restart({ keepConnected: true });
    again.connect();
    expect(again.lastUpstream("hold").channel).toBe(1);
    expect(ownerOf(again)?.paused).toBe(true);
  });

  test("a channel that is registered meanwhile is held too", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    pause(device, NEWS);
    device.withSubscription(NEWS, 5, true, "second");
    expect(device.lastUpstream("hold").channel).toBe(5);
  });

  test("what waits for the app stays in the journal until the pause ends, and then has its time", () => {
    const device = new Device({ keepConnected: true });
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, "in hand"));
    device.notify(2, 1, device.seal(reply, "waits"));
    device.notify(3, 1, device.seal(reply, declared("Mutable", ',"mutable":true')));
    pause(device, NEWS);
    const [inHand] = device.delivered;
    // What is in the app's hands is finished.
    device.dispatch({ type: "appHandled", deliveryId: inHand?.deliveryId ?? 0 });
    device.pass(2 * TRANSFORM_BUDGET_MS_MAX);
    expect(device.delivered).toHaveLength(1);
    expect(device.shown).toEqual([]);
    expect(ownerOf(device)?.messagesWaiting).toBe(2);
    expect(device.acknowledged().map(([id]) => id)).toEqual([1, 2, 3]);
    expect(device.countUpstream("resume")).toBe(0);
    const again = device.restart();
    again.onDeliver = () => null;
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    again.pass(2 * TRANSFORM_BUDGET_MS_MAX);
    expect(again.delivered).toEqual([]);
    expect(again.shown).toEqual([]);
    pause(again, NEWS, false);
    expect(again.delivered).toHaveLength(1);
    again.dispatch({ type: "appHandled", deliveryId: again.delivered[0]?.deliveryId ?? 0 });
    expect(again.delivered).toMatchObject([{}, { notification: { title: "Mutable" } }]);
    expect(again.shown).toEqual([]);
  });

  test("an absent app is not started", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, "waits"));
    pause(device, NEWS);
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.pass(HOUR);
    expect(device.count("startApp")).toBe(0);
    pause(device, NEWS, false);
    expect(device.count("startApp")).toBe(1);
  });

  test.each([NEWS, null])(
    "of %s, when nobody else is there: there is nothing to be connected for",
    (owner) => {
      const device = new Device();
      const reply = device.withSubscription(NEWS, 1);
      expect(pause(device, owner)).toEqual({ type: "done" });
      expect(device.status).toMatchObject({ paused: owner === null, link: "idle" });
      device.pass(24 * HOUR);
      expect(device.alarm).toBeNull();
      const again = device.restart();
      expect(again.status).toMatchObject({ paused: owner === null, link: "idle" });
      pause(again, owner, false);
      again.connect();
      expect(again.countUpstream("hold")).toBe(0);
      again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
      again.notify(1, 1, device.seal(reply, "waited at the service"));
      expect(again.delivered).toHaveLength(1);
    },
  );

  test("what was handled before the connection ends is acknowledged before", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    for (let id = 1; id <= 2; id++) device.notify(id, 1, device.seal(reply, "handled"));
    expect(device.acknowledged()).toHaveLength(1);
    pause(device, NEWS);
    expect(device.status.link).toBe("idle");
    expect(device.acknowledged()).toEqual([
      [1, "ok"],
      [2, "ok"],
    ]);
  });

  test("for all, with a connection that something else wants: every channel is held", () => {
    const device = new Device({ keepConnected: true });
    device.withSubscription(NEWS, 1);
    device.withSubscription(CHAT, 2);
    pause(device, CHAT);
    pause(device, null);
    const held = () => device.upstream.flatMap((frame) => (frame.type === "hold" ? [frame.channel] : []));
    expect(held()).toEqual([2, 1]);
    pause(device, null, false);
    expect(device.upstream.flatMap((frame) => (frame.type === "resume" ? [frame.channel] : []))).toEqual([1]);
    expect(ownerOf(device, CHAT)?.paused).toBe(true);
  });

  test("a lane that is full as well flows only when both are over", () => {
    const device = new Device({ keepConnected: true });
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    for (let id = 1; id <= 64; id++) device.notify(id, 1, device.seal(reply, "m"));
    expect(device.countUpstream("hold")).toBe(1);
    pause(device, NEWS);
    pause(device, NEWS, false);
    expect(device.countUpstream("resume")).toBe(0);
    device.onDeliver = () => "handled";
    device.dispatch({ type: "appHandled", deliveryId: device.delivered[0]?.deliveryId ?? 0 });
    expect(device.countUpstream("hold")).toBe(1);
    expect(device.countUpstream("resume")).toBe(1);
  });
});

describe("opt-out", () => {
  const optOut = (device: Device, owner: string | null, optedOut = true) =>
    device.replies.get(device.choose({ type: "setOptedOut", owner, optedOut }));
  const permissionOf = (device: Device, owner = NEWS) =>
    device.replies.get(device.ask(owner, { type: "permissionState" }));

  test.each([NEWS, null])(
    "of %s ends subscriptions, refuses new ones, survives, and can be taken back",
    (owner) => {
      const device = new Device();
      device.withSubscription(NEWS, 1);
      expect(optOut(device, owner)).toEqual({ type: "done" });
      expect(answerUnregister(device)).toEqual([1]);
      expect(changesOf(device)).toMatchObject([{ owner: NEWS, newSubscription: null }]);
      expect(permissionOf(device)).toMatchObject({ permission: "denied" });
      const again = device.restart();
      expect(again.replies.get(again.subscribe(NEWS))).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
      expect(again.count("askPermission")).toBe(0);
      expect(ownerOf(again)).toMatchObject({ permission: "granted", optedOut: owner !== null });
      expect(again.status.optedOut).toBe(owner === null);
      optOut(again, owner, false);
      expect(permissionOf(again)).toMatchObject({ permission: "granted" });
      again.withSubscription(NEWS, 2);
      expect(again.status.subscriptions).toHaveLength(1);
    },
  );

  test("of one leaves others alone", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.withSubscription(CHAT, 2);
    optOut(device, NEWS);
    expect(device.status.subscriptions.map(({ owner }) => owner)).toEqual([CHAT]);
  });

  test("settles questions and what is being made", () => {
    const device = new Device({ permission: "prompt" });
    device.choose({ type: "setPermission", owner: CHAT, permission: "granted" });
    const asked = device.subscribe(NEWS);
    const made = device.subscribe(CHAT);
    optOut(device, null);
    expect(device.last("permissionSettled")).toMatchObject({ owner: NEWS, permission: "denied" });
    for (const id of [asked, made])
      expect(device.replies.get(id)).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    expect(device.status.link).toBe("idle");
  });

  test("what is in the app's hands is over, and what it shows then is refused", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, declared("Mutable", ',"mutable":true')));
    const deliveryId = device.delivered[0]?.deliveryId ?? 0;
    optOut(device, NEWS);
    expect(device.last("cancelDelivery").deliveryId).toBe(deliveryId);
    const show = device.ask(NEWS, { type: "showNotification", deliveryId: null, title: "t", options: {} });
    expect(device.replies.get(show)).toMatchObject({ code: "ERR_NOTIFICATION" });
    device.dispatch({ type: "appHandled", deliveryId });
    device.pass(TRANSFORM_BUDGET_MS_MAX);
    expect(device.shown).toEqual([]);
    expect(device.acknowledged()).toEqual([[1, "rejected"]]);
  });
});

describe("clearing", () => {
  /** An app with a subscription, a message that waits, a notification and a badge. */
  function used(): Device {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.withSubscription(CHAT, 2);
    device.notify(1, 1, device.seal(reply, declared("Hello", ',"app_badge":3')));
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.notify(2, 1, device.seal(reply, "waits"));
    device.choose({ type: "setPaused", owner: NEWS, paused: true });
    device.ask(CHAT, { type: "showNotification", deliveryId: null, title: "Chat", options: {} });
    device.pass(10_000);
    expect(ownerOf(device)).toMatchObject({
      messagesWaiting: 1,
      notifications: 1,
      badge: 3,
      hasHandler: true,
    });
    return device;
  }

  function expectCleared(device: Device): void {
    expect(answerUnregister(device)).toEqual([1]);
    expect(device.last("closeNotification").notificationId).toBe(1);
    expect(device.count("closeNotification")).toBe(1);
    expect(device.last("setBadge")).toEqual({ type: "setBadge", owner: NEWS, badge: false });
    expect(device.status).toMatchObject({ messagesWaiting: 0, notifications: 1 });
    expect(device.status.subscriptions.map(({ owner }) => owner)).toEqual([CHAT]);
  }

  test("clearData takes what the app left and keeps what was decided", () => {
    const device = used();
    expect(device.replies.get(device.choose({ type: "clearData", owner: NEWS }))).toEqual({ type: "done" });
    expectCleared(device);
    const kept = { permission: "granted", paused: true, badge: null, hasHandler: false, subscriptions: 0 };
    expect(ownerOf(device)).toMatchObject(kept);
    const again = device.restart();
    expect(ownerOf(again)).toMatchObject({ ...kept, messagesWaiting: 0, notifications: 0 });
    expect(again.shown.map(({ owner }) => owner)).toEqual([CHAT]);
  });

  test("uninstall forgets the owner too, and its open question", () => {
    const device = used();
    expect(device.replies.get(device.choose({ type: "uninstall", owner: NEWS }))).toEqual({ type: "done" });
    expectCleared(device);
    expect(ownerOf(device)).toBeUndefined();
    expect(ownerOf(device.restart())).toBeUndefined();
    const fresh = new Device({ permission: "prompt" });
    const request = fresh.subscribe(NEWS);
    fresh.choose({ type: "uninstall", owner: NEWS });
    expect(fresh.replies.get(request)).toMatchObject({ code: "ERR_SUBSCRIBE_PERMISSION" });
    expect(fresh.last("permissionSettled")).toMatchObject({ owner: NEWS, permission: "prompt" });
  });

  test("nothing of it is left on the disk", () => {
    const device = used();
    device.choose({ type: "uninstall", owner: NEWS });
    const text = String.fromCharCode(...device.segment);
    expect(text).not.toContain("news.example");
    expect(text).not.toContain("https://push.example/p/1");
    expect(text).toContain("https://push.example/p/2");
  });

  test("a subscription that is being made or written is ended as well", () => {
    const device = new Device();
    const first = device.subscribe(NEWS);
    device.connect();
    device.choose({ type: "clearData", owner: NEWS });
    expect(device.replies.get(first)).toMatchObject({ code: "ERR_SUBSCRIBE_ABORTED" });
    const second = device.subscribe(NEWS);
    device.connect();
    device.holdJournal = true;
    device.grantRegistration(1);
    device.choose({ type: "clearData", owner: NEWS });
    device.holdJournal = false;
    for (let writes = 0; writes < 5; writes++) for (const confirm of device.heldWrites.splice(0)) confirm();
    expect(device.replies.get(second)).toMatchObject({ code: "ERR_SUBSCRIBE_ABORTED" });
    expect(device.status.subscriptions).toEqual([]);
    expect(device.lastUpstream("unregisterWa").channel).toBe(1);
  });

  test("an app that is still there and subscribes again gets its messages when it has gone, too", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.choose({ type: "clearData", owner: NEWS });
    answerUnregister(device);
    const requestId = device.subscribe(NEWS);
    device.connect();
    device.grantRegistration(2);
    const reply = device.replies.get(requestId);
    if (reply?.type !== "subscription") throw new Error("not subscribed");
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.notify(9, 2, device.seal(reply, "waits"));
    expect(ownerOf(device)).toMatchObject({ hasHandler: true, messagesWaiting: 1 });
  });

  test("install: what comes for a startable app before it was ever there waits for it", () => {
    const device = new Device();
    expect(device.replies.get(device.choose({ type: "install", owner: NEWS, startable: true }))).toEqual({
      type: "done",
    });
    const again = device.restart();
    const requestId = again.subscribe(NEWS);
    again.connect();
    again.grantRegistration(1);
    const reply = again.replies.get(requestId);
    if (reply?.type !== "subscription") throw new Error("not subscribed");
    again.notify(1, 1, again.seal(reply, "first"));
    expect(again.last("startApp").owner).toBe(NEWS);
    expect(ownerOf(again)?.messagesWaiting).toBe(1);
  });

  test("install of an app nothing can start puts it on the list only", () => {
    const device = new Device();
    device.choose({ type: "install", owner: NEWS, startable: false });
    expect(ownerOf(device)).toMatchObject({ permission: "prompt", hasHandler: false, subscriptions: 0 });
  });

  test("removeSubscription ends one; one that is gone is done", () => {
    const device = new Device();
    const { subscription } = device.withSubscription(NEWS, 1);
    device.withSubscription(NEWS, 2, true, "second");
    const subscriptionId = subscription?.subscriptionId ?? 0;
    for (let times = 0; times < 2; times++) {
      const request = device.choose({ type: "removeSubscription", subscriptionId });
      expect(device.replies.get(request)).toEqual({ type: "done" });
    }
    expect(device.status.subscriptions.map(({ channel }) => channel)).toEqual([2]);
    expect(changesOf(device)).toMatchObject([{ oldSubscription: { subscriptionId }, newSubscription: null }]);
    expect(answerUnregister(device)).toEqual([1]);
  });
});

describe("a change the app was not there for", () => {
  test("is told when it comes, once, with what it has then", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.send({ type: "revoked", channel: 1, reason: "expired" });
    device.pass(60_000);
    const again = device.restart();
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(changesOf(again)).toEqual([
      { type: "subscriptionChange", owner: NEWS, oldSubscription: null, newSubscription: null },
    ]);
    again.dispatch({ type: "appDetached", owner: NEWS });
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(changesOf(again)).toHaveLength(1);
  });

  test("a renewal is one", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.closeLink();
    device.passUntil(60_000, () => device.status.link === "dialing");
    device.openLink();
    device.registered({ channels: [] });
    device.passUntil(2 * 60_000, () => device.countUpstream("registerWa") === 2);
    device.grantRegistration(7);
    device.pass(60_000);
    device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(changesOf(device)).toMatchObject([
      { oldSubscription: { endpoint: "https://push.example/p/1" } },
      { oldSubscription: null, newSubscription: { endpoint: "https://push.example/p/7" } },
    ]);
  });

  test("an app that is there is told at once and only then; what it ended itself is none", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.send({ type: "revoked", channel: 1, reason: "expired" });
    const { subscription } = device.withSubscription(NEWS, 2);
    device.ask(NEWS, { type: "unsubscribe", subscriptionId: subscription?.subscriptionId ?? 0 });
    expect(changesOf(device)).toHaveLength(1);
  });
});
