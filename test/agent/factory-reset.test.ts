// SPDX-License-Identifier: MIT
// Goal: after a factory reset nothing of before is left on the device, and the push service forgets it as soon as it can
// be told, whatever happens in between. Method: the real agent on a device with virtual time; the test plays the service.

import { describe, expect, test } from "vitest";
import { PROMPT_DISMISSALS_MAX } from "../../src/limits.ts";
import { HOUR, live, MINUTE, move, NEWS } from "./online.ts";
import { CHAT, changesOf, declared, ownerOf } from "./people.ts";
import { Device, UAID } from "./world.ts";

function onDisk(device: Device, texts: readonly string[]): string[] {
  const disk = Array.from(device.segment, (byte) => String.fromCharCode(byte)).join("");
  return texts.filter((text) => disk.includes(text));
}

/** Two apps with all that can be left behind, on a network that is known. */
function lived(): Device {
  const device = new Device({ heartbeatMs: null });
  move(device, "home-network");
  const reply = device.withSubscription(NEWS, 1);
  device.withSubscription(CHAT, 2);
  device.notify(1, 1, device.seal(reply, declared("Hello", ',"app_badge":3')));
  device.dispatch({ type: "appDetached", owner: NEWS });
  device.notify(2, 1, device.seal(reply, "waits"));
  device.choose({ type: "setPaused", owner: CHAT, paused: true });
  device.choose({ type: "setPaused", owner: null, paused: true });
  device.choose({ type: "setPaused", owner: null, paused: false });
  device.connect();
  live(device, 30 * MINUTE);
  device.choose({ type: "install", owner: CHAT, startable: true });
  expect(device.status).toMatchObject({ messagesWaiting: 1, notifications: 1, link: "online" });
  expect(onDisk(device, SECRETS)).toEqual(SECRETS);
  return device;
}
const SECRETS = ["news.example", "chat.app", "https://push.example/p/1", "Hello", "home-network"];

const reset = (device: Device) => device.replies.get(device.choose({ type: "factoryReset" }));
const goodbye = (device: Device) => device.send({ type: "bye", reason: "unregistered", retryAfterS: 0 });

function expectEmpty(device: Device): void {
  const nothing = { subscriptions: [], owners: [], notifications: 0, messagesWaiting: 0 };
  expect(device.status).toMatchObject({ ...nothing, paused: false, optedOut: false });
  expect(onDisk(device, SECRETS)).toEqual([]);
}

describe("with a connection", () => {
  test("all goes at once, from the screen too; the service forgets the device", () => {
    const device = lived();
    expect(reset(device)).toEqual({ type: "done" });
    expectEmpty(device);
    expect(device.last("closeNotification").notificationId).toBe(1);
    expect(device.last("setBadge")).toEqual({ type: "setBadge", owner: NEWS, badge: false });
    expect(changesOf(device).map(({ owner }) => owner)).toEqual([NEWS, CHAT]);
    expect(device.upstream.at(-1)?.type).toBe("unregisterUa");
    expect(device.countUpstream("unregisterWa")).toBe(0);
    // The token is kept as long as it is needed, and no longer.
    expect(onDisk(device, ["token-1"])).toEqual(["token-1"]);
    goodbye(device);
    expect(onDisk(device, ["token-1"])).toEqual([]);
    expect(device.status).toMatchObject({ link: "idle", device: null });
    expectEmpty(device.restart());
  });

  test("an app that subscribes then gets a new device with the service", () => {
    const device = lived();
    // Of CHAT, which is paused.
    const before = device.lastUpstream("registerWa").registrationId;
    reset(device);
    const request = device.subscribe(CHAT);
    // Nothing is asked of a service that is still to forget the device.
    expect(device.countUpstream("registerWa")).toBe(2);
    goodbye(device);
    device.closeLink();
    device.passUntil(MINUTE, () => device.status.link === "token");
    expect(device.last("httpRequest").bearer).toBeNull();
    device.answerToken("token-2", new Uint8Array(16).fill(8));
    device.openLink();
    device.registered({ uaid: new Uint8Array(16).fill(8) });
    device.grantRegistration(1, "https://push.example/p/new");
    const reply = device.replies.get(request);
    expect(reply).toMatchObject({ subscription: { endpoint: "https://push.example/p/new" } });
    // Made under a new secret, though app and name are the same.
    expect(device.lastUpstream("registerWa").registrationId).not.toEqual(before);
    // The pause went with all the rest.
    if (reply?.type !== "subscription") throw new Error("not subscribed");
    device.notify(1, 1, device.seal(reply, "hello"));
    expect(device.delivered).toMatchObject([{ owner: CHAT }]);
  });

  test("what the service still sends is not dealt with", () => {
    const device = lived();
    const [subscription] = device.status.subscriptions;
    reset(device);
    const faults = device.reports.filter(({ type }) => type === "fault").length;
    device.notify(3, subscription?.channel ?? 0, null);
    device.send({ type: "revoked", channel: 1, reason: "expired" });
    device.pass(MINUTE);
    expect(device.acknowledged().map(([id]) => id)).not.toContain(3);
    expect(device.countUpstream("unregisterWa")).toBe(0);
    expect(device.reports.filter(({ type }) => type === "fault")).toHaveLength(faults);
  });

  test("refused, it is asked again on later links, ever more patiently", () => {
    const device = lived();
    reset(device);
    const refuse = (): void => {
      const { ref } = device.lastUpstream("unregisterUa");
      device.send({ type: "error", ref, status: 503, text: "the device is still registered" });
    };
    const asked: number[] = [];
    for (const endMs = device.nowMs + 4 * HOUR; device.nowMs < endMs; device.pass(5000)) {
      if (device.status.link === "online") {
        refuse();
        asked.push(device.nowMs);
      }
      if (device.status.link !== "dialing") continue;
      device.openLink();
      device.registered();
    }
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter((ms) => ms > device.nowMs - HOUR).length).toBeLessThan(20);
    device.passUntil(HOUR, () => device.status.link === "dialing");
    device.openLink();
    device.registered();
    goodbye(device);
    expect(device.status.device).toBeNull();
  });

  test("unanswered, it is asked again on the next link", () => {
    const device = lived();
    reset(device);
    device.passUntil(10 * MINUTE, () => device.status.link === "dialing");
    device.openLink();
    device.registered();
    expect(device.countUpstream("unregisterUa")).toBe(2);
  });

  test("another goodbye is none: it is asked again", () => {
    const device = lived();
    reset(device);
    device.send({ type: "bye", reason: "shutdown", retryAfterS: 0 });
    device.closeLink();
    device.passUntil(10 * MINUTE, () => device.status.link === "dialing");
    device.openLink();
    device.registered();
    expect(device.countUpstream("unregisterUa")).toBe(2);
  });

  test("what was learned of the network it is on is forgotten", () => {
    const device = lived();
    expect(device.status.network.loMs).toBeGreaterThan(0);
    reset(device);
    expect(device.status).toMatchObject({ network: { loMs: 0, confidence: 0 }, networks: [] });
  });

  test("a question that rested may be asked again", () => {
    const device = new Device({ permission: "prompt" });
    for (let times = 0; times <= PROMPT_DISMISSALS_MAX; times++) {
      device.subscribe(NEWS);
      device.dispatch({ type: "permissionAnswered", owner: NEWS, permission: "prompt" });
    }
    expect(device.count("askPermission")).toBe(PROMPT_DISMISSALS_MAX);
    reset(device);
    device.subscribe(NEWS);
    expect(device.count("askPermission")).toBe(PROMPT_DISMISSALS_MAX + 1);
  });

  test("a goodbye that nobody asked for takes nothing away", () => {
    const device = lived();
    goodbye(device);
    expect(device.status.subscriptions).toHaveLength(2);
    expect(device.status.device).not.toBeNull();
  });
});

describe("without a connection", () => {
  test("it is answered, survives a restart, and the service is told when there is a network", () => {
    const device = lived();
    move(device, null);
    expect(reset(device)).toEqual({ type: "done" });
    expectEmpty(device);
    device.pass(60 * MINUTE);
    const again = device.restart();
    expectEmpty(again);
    move(again, "other");
    // The device of before, with its token: no new one is made for this.
    expect(again.count("httpRequest")).toBe(0);
    expect(again.last("openLink").bearer).toBe("token-1");
    again.openLink();
    again.registered({ channels: [1, 2] });
    expect(again.upstream.map(({ type }) => type)).toEqual(["unregisterUa"]);
    goodbye(again);
    expect(again.status).toMatchObject({ link: "idle", device: null });
    expect(again.restart().status.link).toBe("idle");
  });

  test("a service that does not know the device any more has nothing left to forget", () => {
    const device = lived();
    move(device, null);
    reset(device);
    move(device, "other");
    device.openLink();
    device.send({
      type: "registered",
      status: 401,
      uaid: UAID,
      freshUaToken: null,
      idleLimitS: null,
      reconnectSpreadS: 0,
      canary: null,
      epochMs: device.epochMs,
      storeEpoch: 0,
      channels: null,
      lastId: 0,
    });
    // The service gives whoever comes with an old token a new one, for another device.
    device.answerToken("token-2", new Uint8Array(16).fill(8));
    device.passUntil(10 * MINUTE, () => device.status.link === "dialing");
    device.openLink();
    device.registered({ uaid: new Uint8Array(16).fill(8) });
    expect(device.lastUpstream("unregisterUa")).toBeDefined();
    goodbye(device);
    expect(device.status).toMatchObject({ link: "idle", device: null });
  });

  test("a device that was never registered has nothing to tell", () => {
    const device = new Device({ permission: "prompt" });
    const request = device.subscribe(NEWS);
    expect(reset(device)).toEqual({ type: "done" });
    expect(device.replies.get(request)).toMatchObject({ code: "ERR_SUBSCRIBE_ABORTED" });
    expect(device.last("permissionSettled")).toMatchObject({ owner: NEWS, permission: "prompt" });
    expect(device.status.link).toBe("idle");
    expect(device.restart().status.link).toBe("idle");
  });
});

describe("at a bad moment", () => {
  test("what is being written does not come back", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    const second = device.subscribe(CHAT);
    device.holdJournal = true;
    device.grantRegistration(2);
    expect(device.heldWrites).toHaveLength(1);
    const request = device.choose({ type: "factoryReset" });
    expect(device.replies.get(second)).toMatchObject({ code: "ERR_SUBSCRIBE_ABORTED" });
    device.holdJournal = false;
    for (const confirm of device.heldWrites.splice(0)) confirm();
    expect(device.replies.get(request)).toEqual({ type: "done" });
    expectEmpty(device);
    goodbye(device);
    expect(device.status).toMatchObject({ link: "idle", device: null });
    expectEmpty(device.restart());
  });

  test("a power cut before it is written leaves all, after it nothing", () => {
    const device = lived();
    device.holdJournal = true;
    const request = device.choose({ type: "factoryReset" });
    expect(device.replies.has(request)).toBe(false);
    expect(device.restart().status.subscriptions).toHaveLength(2);
    device.holdJournal = false;
    for (const confirm of device.heldWrites.splice(0)) confirm();
    expectEmpty(device.restart());
  });

  test("with acknowledgements that were still to be sent", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    for (let id = 1; id <= 3; id++) device.notify(id, 1, device.seal(reply, "m"));
    expect(device.acknowledged()).toHaveLength(1);
    reset(device);
    device.pass(20_000);
    expect(device.acknowledged()).toHaveLength(1);
  });

  test("with a message in an app's hands", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, declared("Secret", ',"mutable":true')));
    const deliveryId = device.delivered[0]?.deliveryId ?? 0;
    reset(device);
    expect(device.last("cancelDelivery").deliveryId).toBe(deliveryId);
    device.dispatch({ type: "appHandled", deliveryId });
    device.pass(MINUTE);
    expect(device.shown).toEqual([]);
    expect(ownerOf(device)).toBeUndefined();
  });

  test("on a full flash it takes the reserve; without even that it holds, and is written when there is room", () => {
    const device = lived();
    device.journalFailure = "full";
    expect(reset(device)).toMatchObject({ type: "error", code: "ERR_JOURNAL_FULL" });
    expect(device.last("checkpoint").urgent).toBe(true);
    expect(device.status.subscriptions).toEqual([]);
    device.journalFailure = null;
    device.passUntil(2 * MINUTE, () => !device.status.journalFailing);
    expectEmpty(device.restart());
  });

  test("twice is once", () => {
    const device = lived();
    reset(device);
    expect(reset(device)).toEqual({ type: "done" });
    goodbye(device);
    expectEmpty(device);
    expect(device.status).toMatchObject({ link: "idle", device: null });
  });

  test("numbers a screen still has are not given out again", () => {
    const device = lived();
    reset(device);
    device.choose({ type: "setPermission", owner: NEWS, permission: "granted" });
    device.ask(NEWS, { type: "showNotification", deliveryId: null, title: "New", options: {} });
    expect(device.last("show").notificationId).toBeGreaterThan(1);
  });
});
