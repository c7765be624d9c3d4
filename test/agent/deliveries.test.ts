// SPDX-License-Identifier: MIT
// Goal: what an app does with a message, too early, too late, twice or never, neither loses it nor shows it twice; what
// shows nothing has a budget. Method: the real agent and driver on a host with virtual time; the test plays service and apps.

import { describe, expect, test } from "vitest";
import {
  BADGE_REFILL_MS,
  BADGE_WINDOW_MS,
  BADGES_BURST_MAX,
  INBOX_MESSAGES_PER_OWNER_MAX,
  REPLAYS_REMEMBERED_MAX,
  SILENT_PUSH_REFILL_MS,
  SILENT_PUSH_WINDOW_MS,
  SILENT_PUSHES_MAX,
  START_AGAIN_MS,
  TRANSFORM_BUDGET_MS,
  TRANSFORM_BUDGET_MS_MAX,
} from "../../src/limits.ts";
import { Device, STORE_EPOCH } from "./world.ts";

const NEWS = "https://news.example";
const CHAT = "chat";

type Options = ConstructorParameters<typeof Device>[0];
type Reply = ReturnType<Device["withSubscription"]>;

const declared = (title: string, extra = "") =>
  `{"web_push":8030,"notification":{"title":"${title}","navigate":"/read"}${extra}}`;
const mutable = (title: string, extra = "") => declared(title, `,"mutable":true${extra}`);

function newsDevice(options: Options = {}, handlesPush = true) {
  const device = new Device(options);
  return { device, reply: device.withSubscription(NEWS, 1, handlesPush), push: pusher(device, 1) };
}

/** Sends texts on `channel`, one id each. */
function pusher(device: Device, channel: number) {
  return (reply: Reply, ...texts: string[]): void => {
    for (const text of texts)
      device.notify(++device.lastId, channel, device.seal(reply, text), { ttlLeftS: 24 * 3600 });
  };
}

const textsOf = (device: Device) =>
  device.delivered.map(({ data, notification }) =>
    data === null ? `(${notification?.title})` : String.fromCharCode(...data),
  );
const titlesOf = (device: Device) => device.shown.map(({ notification }) => notification.title);
const warningsOf = (device: Device) =>
  device.effects.flatMap((effect) => (effect.type === "warnApp" ? [effect.code] : []));
const showFor = (device: Device, deliveryId: number, title = "Mine") =>
  device.ask(NEWS, { type: "showNotification", deliveryId, title, options: {} });
const attach = (device: Device, handlesPush: boolean) =>
  device.dispatch({ type: "appAttached", owner: NEWS, handlesPush });
const detach = (device: Device) => device.dispatch({ type: "appDetached", owner: NEWS });

describe("a mutable message", () => {
  test.each(["appFailed", "appDetached"] as const)(
    "whose app showed its own and then %s is not shown twice",
    (ending) => {
      const { device, reply, push } = newsDevice();
      device.onDeliver = null;
      push(reply, mutable("Theirs"));
      const deliveryId = device.delivered[0]?.deliveryId ?? 0;
      showFor(device, deliveryId);
      if (ending === "appFailed") device.dispatch({ type: "appFailed", deliveryId });
      else detach(device);
      device.pass(TRANSFORM_BUDGET_MS * 3);
      expect(titlesOf(device)).toEqual(["Mine"]);
      expect(device.acknowledged()).toEqual([[1, "ok"]]);
    },
  );

  test("whose app's own could neither be shown nor kept is shown as declared", () => {
    const { device, reply, push } = newsDevice();
    device.onDeliver = null;
    push(reply, mutable("Theirs"));
    const deliveryId = device.delivered[0]?.deliveryId ?? 0;
    device.screenFails = true;
    device.journalFailure = "full";
    showFor(device, deliveryId);
    device.screenFails = false;
    device.journalFailure = null;
    device.dispatch({ type: "appHandled", deliveryId });
    expect(titlesOf(device)).toEqual(["Mine", "Theirs"]);
  });

  test.each([
    ["appHandled", "appHandled"],
    ["appHandled", "appFailed"],
    ["appFailed", "appHandled"],
  ] as const)("answered %s and then %s: only the first counts", (first, second) => {
    const { device, reply, push } = newsDevice();
    device.onDeliver = null;
    push(reply, mutable("one"), mutable("two"));
    const [deliveryId] = device.delivered.map((delivery) => delivery.deliveryId);
    device.dispatch({ type: first, deliveryId: deliveryId ?? 0 });
    device.dispatch({ type: second, deliveryId: deliveryId ?? 0 });
    expect(titlesOf(device)).toEqual(["one"]);
    expect(textsOf(device)).toEqual(["(one)", "(two)"]);
  });

  test("is handed to one handler at a time, each with its own budget", () => {
    const { device, reply, push } = newsDevice();
    device.onDeliver = null;
    push(reply, mutable("one"), mutable("two"));
    expect(textsOf(device)).toEqual(["(one)"]);
    device.pass(TRANSFORM_BUDGET_MS);
    expect(device.last("cancelDelivery").deliveryId).toBe(device.delivered[0]?.deliveryId);
    expect(titlesOf(device)).toEqual(["one"]);
    expect(textsOf(device)).toEqual(["(one)", "(two)"]);
    device.pass(TRANSFORM_BUDGET_MS - 100);
    expect(titlesOf(device)).toEqual(["one"]);
    device.pass(100);
    expect(titlesOf(device)).toEqual(["one", "two"]);
  });

  test.each([0, 5_000])(
    "behind others, received %i ms after them, is shown within its longest time",
    (laterMs) => {
      const { device, reply, push } = newsDevice();
      device.onDeliver = null;
      push(reply, mutable("one"), mutable("two"), mutable("three"));
      device.pass(laterMs);
      push(reply, mutable("four"));
      device.pass(TRANSFORM_BUDGET_MS_MAX - laterMs);
      expect(titlesOf(device)).toEqual(["one", "two", "three", ...(laterMs === 0 ? ["four"] : [])]);
      expect(textsOf(device)).toEqual(["(one)", "(two)", "(three)", ...(laterMs === 0 ? [] : ["(four)"])]);
      device.pass(laterMs);
      expect(titlesOf(device)).toEqual(["one", "two", "three", "four"]);
    },
  );

  test("the badge its handler set stays, also when the handler then fails", () => {
    const { device, reply, push } = newsDevice();
    device.onDeliver = ({ deliveryId }) => {
      device.ask(NEWS, { type: "setAppBadge", deliveryId, badge: 7 });
      return "failed";
    };
    push(reply, mutable("Theirs", ',"app_badge":12'));
    expect(device.last("setBadge").badge).toBe(7);
    expect(device.count("setBadge")).toBe(1);
    expect(titlesOf(device)).toEqual(["Theirs"]);
  });

  test("another owner's app has no say in it", () => {
    const { device, reply, push } = newsDevice();
    device.withSubscription(CHAT, 2);
    device.onDeliver = null;
    push(reply, mutable("Theirs", ',"app_badge":12'));
    const deliveryId = device.delivered[0]?.deliveryId ?? 0;
    const show = { type: "showNotification", deliveryId, title: "Foreign", options: {} } as const;
    const requestId = device.ask(CHAT, show);
    expect(device.replies.get(requestId)).toMatchObject({ type: "error", code: "ERR_NOTIFICATION" });
    device.ask(CHAT, { type: "setAppBadge", deliveryId, badge: 1 });
    device.dispatch({ type: "appHandled", deliveryId });
    expect(titlesOf(device)).toEqual(["Theirs"]);
    expect(device.last("setBadge")).toMatchObject({ owner: NEWS, badge: 12 });
  });

  test("whose subscription ended while its app had it is not shown afterwards", () => {
    const { device, reply, push } = newsDevice();
    device.onDeliver = null;
    push(reply, mutable("Theirs"));
    device.ask(NEWS, { type: "unsubscribe", subscriptionId: reply.subscription?.subscriptionId ?? 0 });
    device.dispatch({ type: "appHandled", deliveryId: device.delivered[0]?.deliveryId ?? 0 });
    expect(device.shown).toEqual([]);
  });
});

describe("an owner without handler", () => {
  test("is never woken: declared and mutable are shown at once, the rest is dropped", () => {
    const { device, reply, push } = newsDevice({}, false);
    detach(device);
    push(reply, declared("one"), mutable("two"), "opaque");
    device.notify(++device.lastId, 1, null);
    device.pass(TRANSFORM_BUDGET_MS * 4);
    expect(titlesOf(device)).toEqual(["one", "two"]);
    expect(device.count("startApp") + device.count("deliver")).toBe(0);
    const codes = device.acknowledged().map(([, code]) => code);
    expect(codes).toEqual(["ok", "ok", "rejected", "rejected"]);
  });

  test("nor is one that had a handler once, over a restart", () => {
    const { device, reply } = newsDevice();
    attach(device, false);
    device.dispatch({ type: "shutdown" });
    const later = device.restart();
    later.openLink();
    later.registered();
    pusher(later, 1)(reply, mutable("Theirs"), "opaque");
    expect(titlesOf(later)).toEqual(["Theirs"]);
    expect(later.count("startApp") + later.count("deliver")).toBe(0);
  });

  test("that gets one later is told once how many messages it missed; declared ones are none of them", () => {
    const { device, reply, push } = newsDevice({}, false);
    push(reply, declared("one"), mutable("two"), "three");
    attach(device, false);
    expect(warningsOf(device)).toEqual([]);
    attach(device, true);
    expect(device.last("warnApp")).toMatchObject({ owner: NEWS, code: "late-handler" });
    expect(device.last("warnApp").text).toContain("2 messages");
    attach(device, true);
    expect(warningsOf(device)).toEqual(["late-handler"]);
  });

  test("an app that did not come is started again for a later message, not for each", () => {
    const { device, reply, push } = newsDevice();
    detach(device);
    push(reply, "one", "two");
    expect(device.count("startApp")).toBe(1);
    device.pass(START_AGAIN_MS);
    expect(device.count("startApp")).toBe(1);
    push(reply, "three");
    expect(device.count("startApp")).toBe(2);
    attach(device, true);
    expect(textsOf(device)).toEqual(["one", "two", "three"]);
  });
});

describe("an app that did not come for a full inbox", () => {
  test("is started again when the device is connected anew: while its channel is held no message would do it", () => {
    const { device, reply, push } = newsDevice();
    detach(device);
    push(reply, ...Array.from({ length: INBOX_MESSAGES_PER_OWNER_MAX }, (_, index) => String(index)));
    expect(device.lastUpstream("hold").channel).toBe(1);
    expect(device.count("startApp")).toBe(1);
    for (const sinceMs of [START_AGAIN_MS / 2, START_AGAIN_MS]) {
      device.closeLink();
      device.pass(sinceMs);
      device.connect();
    }
    expect(device.count("startApp")).toBe(2);
  });
});

describe("a message that had to be a notification", () => {
  test("and is none is dropped, counted, and the developer told", () => {
    const device = new Device();
    attach(device, true);
    const requestId = device.ask(NEWS, {
      type: "subscribe",
      applicationServerKey: null,
      userVisibleOnly: false,
      waToken: null,
      declarative: "only",
      allowAesgcm: false,
    });
    device.connect();
    device.grantRegistration(1);
    const reply = device.replies.get(requestId) as Reply;
    pusher(device, 1)(reply, "no JSON", '{"title":"x","default_action_url":"/"}');
    expect(titlesOf(device)).toEqual(["x"]);
    expect(device.delivered).toEqual([]);
    expect(warningsOf(device)).toEqual(["message-invalid"]);
    expect(device.last("warnApp").owner).toBe(NEWS);
    expect(device.status.meter.messages.dropped).toBe(1);
    device.pass(600);
    expect(device.acknowledged()).toContainEqual([1, "rejected"]);
  });
});

describe("messages that show nothing", () => {
  const limited: Options = { silentPushMax: undefined };
  const silently = Array.from({ length: SILENT_PUSHES_MAX }, (_, i) => `silent ${i}`);

  test("spend a budget: the developer is told at half and at the end, then they wait, acknowledged from the journal", () => {
    const { device, reply, push } = newsDevice(limited);
    push(reply, ...silently.slice(0, SILENT_PUSHES_MAX / 2 - 1));
    expect(warningsOf(device)).toEqual([]);
    push(reply, "half");
    expect(warningsOf(device)).toEqual(["silent-budget-low"]);
    push(reply, ...silently.slice(SILENT_PUSHES_MAX / 2));
    expect(warningsOf(device)).toEqual(["silent-budget-low", "silent-budget-spent"]);
    push(reply, "waits");
    expect(device.delivered).toHaveLength(SILENT_PUSHES_MAX);
    device.pass(10_000);
    expect(device.acknowledged()).toContainEqual([SILENT_PUSHES_MAX + 1, "ok"]);
    expect(device.status.messagesWaiting).toBe(1);
    expect(device.status.subscriptions).toHaveLength(1);
    const silent = { left: 0, max: SILENT_PUSHES_MAX, spent: SILENT_PUSHES_MAX };
    expect(device.status.owners).toEqual([expect.objectContaining({ owner: NEWS, silent })]);
  });

  test("come when there is budget again, in a wide window and over no network; the app is started for them then", () => {
    const { device, reply, push } = newsDevice(limited);
    push(reply, ...silently);
    detach(device);
    push(reply, "one", "two");
    device.pass(60_000);
    expect(device.count("startApp")).toBe(0);
    device.closeLink();
    device.dispatch({ type: "networkChanged", network: null });
    expect(device.alarm?.windowMs).toBe(SILENT_PUSH_WINDOW_MS);
    device.pass(SILENT_PUSH_REFILL_MS + SILENT_PUSH_WINDOW_MS);
    expect(device.count("startApp")).toBe(1);
    attach(device, true);
    expect(textsOf(device).slice(-1)).toEqual(["one"]);
    device.pass(SILENT_PUSH_REFILL_MS + SILENT_PUSH_WINDOW_MS);
    expect(textsOf(device).slice(-2)).toEqual(["one", "two"]);
  });

  test("do not hold up declared and mutable ones, which cost nothing", () => {
    const { device, reply, push } = newsDevice(limited);
    push(reply, ...silently, "waits", declared("declared"), mutable("mutable"));
    expect(textsOf(device).slice(-1)).toEqual(["(mutable)"]);
    expect(titlesOf(device)).toEqual(["declared", "mutable"]);
    expect(device.status.messagesWaiting).toBe(1);
  });

  test("are those without showNotification: one that is shown for costs nothing, one the app failed at does", () => {
    const { device, reply, push } = newsDevice({ silentPushMax: () => 2 });
    device.onDeliver = ({ deliveryId }) => {
      showFor(device, deliveryId);
      return "handled";
    };
    push(reply, "a", "b", "c");
    expect(device.delivered).toHaveLength(3);
    expect(warningsOf(device)).toEqual([]);
    device.onDeliver = () => "failed";
    push(reply, "d");
    device.pass(60_000);
    expect(warningsOf(device)).toEqual(["silent-budget-low"]);
  });

  test("are free again when a person activates a notification of that owner", () => {
    const { device, reply, push } = newsDevice(limited);
    push(reply, declared("tap"), ...silently, "waits");
    const { notificationId } = device.last("show");
    device.dispatch({ type: "notificationActivated", notificationId, action: "" });
    expect(textsOf(device).slice(-1)).toEqual(["waits"]);
    expect(device.status.messagesWaiting).toBe(0);
  });

  test("have no bound for an app id, nor where the host says so", () => {
    const device = new Device(limited);
    const chat = device.withSubscription(CHAT, 2);
    pusher(device, 2)(chat, ...silently, "one more");
    expect(device.delivered).toHaveLength(SILENT_PUSHES_MAX + 1);
    const free = newsDevice({ silentPushMax: () => null });
    free.push(free.reply, ...silently, "one more");
    expect(free.device.delivered).toHaveLength(SILENT_PUSHES_MAX + 1);
  });
});

describe("badges", () => {
  const set = (device: Device, badge: number) =>
    device.ask(NEWS, { type: "setAppBadge", deliveryId: null, badge });

  test("beyond an owner's rate the last one is set as soon as it may be", () => {
    const { device } = newsDevice();
    for (let i = 1; i <= BADGES_BURST_MAX + 5; i++) set(device, i);
    expect(device.count("setBadge")).toBe(BADGES_BURST_MAX);
    device.ask(CHAT, { type: "setAppBadge", deliveryId: null, badge: 1 });
    expect(device.last("setBadge")).toMatchObject({ owner: CHAT, badge: 1 });
    device.pass(BADGE_REFILL_MS + BADGE_WINDOW_MS);
    expect(device.last("setBadge")).toMatchObject({ owner: NEWS, badge: BADGES_BURST_MAX + 5 });
    expect(device.count("setBadge")).toBe(BADGES_BURST_MAX + 2);
  });

  test("the last one outlives a stop, and is told to the host at the next start", () => {
    const { device } = newsDevice();
    for (let i = 1; i <= BADGES_BURST_MAX + 5; i++) set(device, i);
    device.dispatch({ type: "shutdown" });
    expect(device.restart().last("setBadge")).toMatchObject({ owner: NEWS, badge: BADGES_BURST_MAX + 5 });
  });
});

describe("a message sent again under another id", () => {
  test("is acknowledged and not dealt with again, as long as it is remembered", () => {
    const { device, reply, push } = newsDevice();
    const bodies = [device.seal(reply, "opaque"), device.seal(reply, declared("shown"))];
    for (const body of [...bodies, ...bodies]) device.notify(++device.lastId, 1, body);
    expect(textsOf(device)).toEqual(["opaque"]);
    expect(titlesOf(device)).toEqual(["shown"]);
    device.pass(600);
    expect(device.acknowledged().map(([, code]) => code)).toEqual(["ok", "ok", "ok", "ok"]);
    push(reply, ...Array.from({ length: REPLAYS_REMEMBERED_MAX }, (_, i) => `${i}`));
    device.notify(++device.lastId, 1, bodies[0] ?? null);
    expect(textsOf(device).filter((text) => text === "opaque")).toHaveLength(2);
  });

  test("is taken when it was not dealt with before, and so are messages without body", () => {
    const { device, reply } = newsDevice();
    device.onDeliver = null;
    const body = device.seal(reply, "in hand");
    device.notify(1, 1, body);
    device.lastId = 1;
    device.registered({ storeEpoch: STORE_EPOCH });
    device.notify(2, 1, body);
    expect(device.status.messagesWaiting).toBe(2);
    const other = newsDevice();
    other.device.notify(1, 1, null);
    other.device.notify(2, 1, null);
    expect(other.device.delivered).toHaveLength(2);
  });
});

describe("what is in the journal", () => {
  test("is acknowledged again when it comes again, and delivered once", () => {
    const { device, reply } = newsDevice();
    device.onDeliver = () => null;
    const body = device.seal(reply, "m");
    device.notify(1, 1, body);
    device.pass(20_000);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
    device.notify(1, 1, body, { attempt: 2 });
    device.pass(1_000);
    expect(device.acknowledged()).toEqual([
      [1, "ok"],
      [1, "ok"],
    ]);
    expect(device.delivered).toHaveLength(1);
  });

  test("of a message its app handled while it was being written is crossed out", () => {
    const { device, reply, push } = newsDevice();
    device.onDeliver = () => null;
    push(reply, "m");
    device.holdJournal = true;
    device.passUntil(60_000, () => device.heldWrites.length > 0);
    device.dispatch({ type: "appHandled", deliveryId: 1 });
    device.holdJournal = false;
    for (const confirm of device.heldWrites.splice(0)) confirm();
    device.pass(2 * 60_000);
    const again = device.restart();
    expect(again.status.messagesWaiting).toBe(0);
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(again.delivered).toEqual([]);
  });
});

test("an app that came and went is asked to start for the next message at once", () => {
  const { device, reply, push } = newsDevice();
  device.dispatch({ type: "appDetached", owner: NEWS });
  push(reply, "first");
  push(reply, "second");
  expect(device.count("startApp")).toBe(1);
  device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
  device.dispatch({ type: "appDetached", owner: NEWS });
  push(reply, "third");
  expect(device.count("startApp")).toBe(2);
});

test("a budget of nothing would keep messages for ever: it is one at least", () => {
  const { device, reply, push } = newsDevice({ silentPushMax: () => 0 });
  push(reply, "first", "second");
  expect(device.delivered).toHaveLength(1);
  device.pass(SILENT_PUSH_REFILL_MS + SILENT_PUSH_WINDOW_MS);
  expect(device.delivered).toHaveLength(2);
});

test("a badge that is set already costs no write", () => {
  const { device } = newsDevice();
  device.ask(NEWS, { type: "setAppBadge", deliveryId: null, badge: 3 });
  device.dispatch({ type: "networkChanged", network: null });
  device.pass(2 * 60_000);
  const writes = device.journalWrites;
  device.ask(NEWS, { type: "setAppBadge", deliveryId: null, badge: 3 });
  device.pass(5 * 60_000);
  expect(device.journalWrites).toBe(writes);
  device.ask(NEWS, { type: "setAppBadge", deliveryId: null, badge: 4 });
  device.pass(5 * 60_000);
  expect(device.journalWrites).toBe(writes + 1);
});
