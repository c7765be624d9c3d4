// SPDX-License-Identifier: MIT
// Goal: notifications stay as long as they should, replace each other by tag, lead where they said, and no app sees or
// closes another's. Method: the real agent and driver on a host with virtual time; the test plays service and person.

import { describe, expect, test } from "vitest";
import type { NotificationView } from "../../src/agent/events.ts";
import {
  ALERT_REFILL_MS,
  ALERTS_BURST_MAX,
  CLICKS_PER_OWNER_MAX,
  NOTIFICATION_DAYS_MAX,
  NOTIFICATIONS_PER_OWNER_MAX,
  SCRIPT_CLOSE_MS_MIN,
  SCRIPT_CLOSE_WINDOW_MS,
} from "../../src/limits.ts";
import { Device } from "./world.ts";

const NEWS = "https://news.example";
const CHAT = "https://chat.example";
const DAY_MS = 24 * 3600 * 1000;

/** A device with a subscription of NEWS on channel 1, and ways to show something on it. */
function newsDevice(options: ConstructorParameters<typeof Device>[0] = {}, handlesPush = true) {
  const device = new Device(options);
  const reply = device.withSubscription(NEWS, 1, handlesPush);
  let lastId = 0;
  /** Shows a declared notification and returns the number it got. */
  const declare = (title: string, members: object = {}): number => {
    const notification = { title, navigate: "/read", ...members };
    device.notify(++lastId, 1, device.seal(reply, JSON.stringify({ web_push: 8030, notification })));
    return device.shown[device.shown.length - 1]?.notificationId ?? 0;
  };
  return { device, declare };
}

function showAsApp(device: Device, owner: string, title: string, options: Record<string, unknown> = {}) {
  return device.ask(owner, { type: "showNotification", deliveryId: null, title, options });
}

function listed(device: Device, owner: string, tag: string | null = null): readonly NotificationView[] {
  const reply = device.replies.get(device.ask(owner, { type: "getNotifications", tag }));
  if (reply?.type !== "notifications") throw new Error(`no list: ${JSON.stringify(reply)}`);
  return reply.notifications;
}

function closeAsApp(device: Device, owner: string, notificationId: number) {
  return device.replies.get(device.ask(owner, { type: "closeNotification", notificationId }));
}

const titlesOf = (views: readonly NotificationView[]) => views.map(({ notification }) => notification.title);
const activate = (device: Device, notificationId: number, action = "") =>
  device.dispatch({ type: "notificationActivated", notificationId, action });

describe("what is shown", () => {
  test("a screen that comes late gets all of it, oldest first; an app its own only, by tag", () => {
    const { device, declare } = newsDevice();
    device.withSubscription(CHAT, 2);
    declare("first", { tag: "a" });
    showAsApp(device, CHAT, "between");
    declare("last", { tag: "b" });
    expect(titlesOf(device.agent.notifications())).toEqual(["first", "between", "last"]);
    expect(titlesOf(listed(device, NEWS))).toEqual(["first", "last"]);
    expect(titlesOf(listed(device, NEWS, "b"))).toEqual(["last"]);
    expect(listed(device, NEWS, "c")).toEqual([]);
    expect(titlesOf(listed(device, CHAT, ""))).toEqual(["between"]);
    const [view] = listed(device, NEWS, "a");
    expect(view).toEqual({
      notificationId: device.shown[0]?.notificationId,
      owner: NEWS,
      shownEpochMs: device.epochMs,
      notification: device.shown[0]?.notification,
    });
  });

  test("every member comes back after a restart, without an alert, and the tag still replaces", () => {
    const { device, declare } = newsDevice();
    const members = { tag: "t", renotify: true, requireInteraction: true, silent: true, timestamp: 12345 };
    const more = { lang: "de", dir: "rtl", body: "b", data: { deep: [1] }, icon: "/i.png" };
    const action = { action: "go", title: "Go", navigate: "/go" };
    const id = declare("kept", { ...members, ...more, actions: [action] });
    device.dispatch({ type: "shutdown" });
    const later = device.restart();
    expect(later.shown).toHaveLength(1);
    expect(later.shown[0]).toMatchObject({ notificationId: id, replaces: null, alert: false });
    expect(later.shown[0]?.notification).toEqual(device.shown[0]?.notification);
    expect(later.shown[0]?.notification).toMatchObject({ ...members, data: { deep: [1] } });
    showAsApp(later, NEWS, "new", { tag: "t" });
    expect(later.shown[1]).toMatchObject({ notificationId: id, replaces: id, alert: false });
    expect(titlesOf(later.agent.notifications())).toEqual(["new"]);
  });

  test("with renotify a replacement alerts again; another owner's tag is another tag", () => {
    const { device, declare } = newsDevice();
    device.withSubscription(CHAT, 2);
    declare("one", { tag: "t" });
    declare("two", { tag: "t", renotify: true });
    expect(device.shown[1]).toMatchObject({ replaces: device.shown[0]?.notificationId, alert: true });
    showAsApp(device, CHAT, "three", { tag: "t" });
    expect(device.shown[2]).toMatchObject({ replaces: null, alert: true });
  });

  test("over the owner's bound the one shown longest ago goes, which a replacement is not", () => {
    const { device, declare } = newsDevice();
    const replaced = declare("replaced", { tag: "t" });
    const oldest = declare("oldest");
    for (let i = 2; i < NOTIFICATIONS_PER_OWNER_MAX; i++) declare(`${i}`);
    device.pass(1000);
    declare("replaced again", { tag: "t" });
    expect(device.count("closeNotification")).toBe(0);
    declare("one too many");
    expect(device.last("closeNotification").notificationId).toBe(oldest);
    expect(device.agent.notifications()).toHaveLength(NOTIFICATIONS_PER_OWNER_MAX);
    expect(device.agent.notifications().at(-2)?.notificationId).toBe(replaced);
  });

  test.each([
    ["set back by a minute", -60_000, {}],
    ["not known yet", 0, { epochTrusted: false }],
  ])("with a full tray the new one stays, whatever the clock says: %s", (_, byMs, options) => {
    const { device, declare } = newsDevice();
    for (let i = 1; i <= NOTIFICATIONS_PER_OWNER_MAX; i++) declare(`${i}`);
    const again = device.restart(options);
    again.epochOffsetMs += byMs;
    showAsApp(again, NEWS, "new");
    expect(again.last("closeNotification").notificationId).toBe(1);
    expect(titlesOf(again.agent.notifications()).at(-1)).toBe("new");
  });

  test("an app is told when its notification could neither be shown nor kept", () => {
    const { device } = newsDevice();
    device.screenFails = true;
    device.journalFailure = "full";
    const requestId = showAsApp(device, NEWS, "x");
    expect(device.replies.get(requestId)).toMatchObject({ type: "error", code: "ERR_NOTIFICATION" });
  });

  test("one that no screen shows is kept, and does not count as shown", () => {
    const { device, declare } = newsDevice();
    device.screenFails = true;
    declare("kept");
    expect(titlesOf(device.agent.notifications())).toEqual(["kept"]);
    expect(device.status.meter.messages).toMatchObject({ received: 1, shown: 0 });
    device.screenFails = false;
    declare("shown");
    expect(device.status.meter.messages).toMatchObject({ received: 2, shown: 1 });
  });

  test("more alerts than an owner has are shown without, until time has passed; others have theirs", () => {
    const { device, declare } = newsDevice();
    device.withSubscription(CHAT, 2);
    for (let i = 0; i < ALERTS_BURST_MAX + 2; i++) declare(`${i}`);
    const alerts = device.shown.map(({ alert }) => alert);
    expect(alerts.filter((alert) => alert)).toHaveLength(ALERTS_BURST_MAX);
    expect(alerts.slice(-2)).toEqual([false, false]);
    showAsApp(device, CHAT, "other");
    expect(device.last("show").alert).toBe(true);
    device.pass(ALERT_REFILL_MS);
    declare("later");
    expect(device.last("show").alert).toBe(true);
    declare("and again");
    expect(device.last("show").alert).toBe(false);
  });
});

describe("expiry", () => {
  test("what nobody looked at for weeks goes with the next one shown, without a wake-up of its own", () => {
    const { device, declare } = newsDevice();
    const old = declare("old");
    device.dispatch({ type: "networkChanged", network: null });
    device.pass(60_000);
    expect(device.alarm).toBeNull();
    device.nowMs += NOTIFICATION_DAYS_MAX * DAY_MS;
    showAsApp(device, NEWS, "young");
    expect(device.last("closeNotification").notificationId).toBe(old);
    expect(titlesOf(device.agent.notifications())).toEqual(["young"]);
  });

  test("or with the next connection, and does not come back", () => {
    const { device, declare } = newsDevice();
    declare("old");
    device.dispatch({ type: "shutdown" });
    const atMs = device.nowMs + (NOTIFICATION_DAYS_MAX + 1) * DAY_MS;
    const later = device.restart({ atMs });
    expect(later.agent.notifications()).toHaveLength(1);
    later.connect();
    expect(later.last("closeNotification").notificationId).toBe(1);
    later.dispatch({ type: "shutdown" });
    expect(later.restart({ atMs }).agent.notifications()).toEqual([]);
  });

  test("what was shown before the clock was known is dated when it is, and counted from there", () => {
    const { device } = newsDevice();
    device.dispatch({ type: "shutdown" });
    const offline = device.restart();
    showAsApp(offline, NEWS, "undated");
    expect(offline.agent.notifications()[0]?.shownEpochMs).toBe(0);
    offline.dispatch({ type: "shutdown" });
    const right = offline.restart();
    right.connect();
    expect(titlesOf(right.agent.notifications())).toEqual(["undated"]);
    expect(right.agent.notifications()[0]?.shownEpochMs).toBe(right.epochMs);
    right.nowMs += NOTIFICATION_DAYS_MAX * DAY_MS + 1;
    showAsApp(right, NEWS, "young");
    expect(titlesOf(right.agent.notifications())).toEqual(["young"]);
  });

  test.each([
    ["years ahead", 5 * 365 * DAY_MS],
    ["of 1970", -1_700_000_000_000],
  ])(
    "a clock %s, which the service contradicts, takes nothing away, nor does setting it right",
    (_, byMs) => {
      const { device, declare } = newsDevice();
      declare("old");
      device.dispatch({ type: "shutdown" });
      const again = device.restart();
      const { epochMs } = again;
      again.epochOffsetMs += byMs;
      showAsApp(again, NEWS, "offline");
      again.openLink();
      again.registered({ epochMs });
      showAsApp(again, NEWS, "online");
      again.epochOffsetMs -= byMs;
      showAsApp(again, NEWS, "right");
      expect(titlesOf(again.agent.notifications()).sort()).toEqual(["offline", "old", "online", "right"]);
    },
  );
});

describe("an app closes", () => {
  test("its own, at once when it was seen for a while", () => {
    const { device, declare } = newsDevice();
    const id = declare("old enough");
    device.pass(SCRIPT_CLOSE_MS_MIN);
    expect(closeAsApp(device, NEWS, id)).toEqual({ type: "done" });
    expect(device.last("closeNotification").notificationId).toBe(id);
    expect(device.agent.notifications()).toEqual([]);
  });

  test("its own, once it was seen, when it is young", () => {
    const { device, declare } = newsDevice();
    const id = declare("young");
    device.pass(1000);
    expect(closeAsApp(device, NEWS, id)).toEqual({ type: "done" });
    device.pass(SCRIPT_CLOSE_MS_MIN - 2000);
    expect(device.agent.notifications()).toHaveLength(1);
    device.pass(1000 + SCRIPT_CLOSE_WINDOW_MS);
    expect(device.last("closeNotification").notificationId).toBe(id);
    expect(device.agent.notifications()).toEqual([]);
  });

  test("its own, before a stop: it does not come back", () => {
    const { device } = newsDevice();
    showAsApp(device, NEWS, "ringing");
    showAsApp(device, NEWS, "stays");
    closeAsApp(device, NEWS, device.shown[0]?.notificationId ?? 0);
    device.dispatch({ type: "shutdown" });
    expect(device.count("closeNotification")).toBe(1);
    expect(titlesOf(device.restart().agent.notifications())).toEqual(["stays"]);
  });

  test("or replaces it silently at once, which is then shown in its own right", () => {
    const { device, declare } = newsDevice();
    const id = declare("young", { tag: "t" });
    closeAsApp(device, NEWS, id);
    showAsApp(device, NEWS, "replacement", { tag: "t", silent: true });
    expect(device.last("show")).toMatchObject({ notificationId: id, alert: false });
    device.pass(SCRIPT_CLOSE_MS_MIN + SCRIPT_CLOSE_WINDOW_MS);
    expect(titlesOf(device.agent.notifications())).toEqual(["replacement"]);
  });

  test("nobody else's, and cannot tell that there is one", () => {
    const { device, declare } = newsDevice();
    device.withSubscription(CHAT, 2);
    const id = declare("not yours");
    device.pass(SCRIPT_CLOSE_MS_MIN);
    expect(closeAsApp(device, CHAT, id)).toEqual(closeAsApp(device, CHAT, 999));
    expect(listed(device, CHAT)).toEqual([]);
    expect(device.agent.notifications()).toHaveLength(1);
    expect(device.count("closeNotification")).toBe(0);
  });
});

describe("a link to another origin", () => {
  const away = { navigate: "https://other.example/a?secret" };
  const answer = (device: Device, notificationId: number, allowed: boolean, action = "") =>
    device.dispatch({ type: "navigationAnswered", notificationId, action, allowed });

  test("is asked about by its host, and opened when a person allows it", () => {
    const { device, declare } = newsDevice();
    const id = declare("x", away);
    activate(device, id);
    expect(device.last("askNavigation")).toEqual({
      type: "askNavigation",
      notificationId: id,
      owner: NEWS,
      action: "",
      host: "other.example",
    });
    answer(device, id, true);
    expect(device.last("openUrl")).toEqual({ type: "openUrl", owner: NEWS, url: away.navigate });
    expect(device.last("closeNotification").notificationId).toBe(id);
    answer(device, id, true);
    expect(device.count("openUrl")).toBe(1);
  });

  test("refused: the notification stays, and can be asked about again", () => {
    const { device, declare } = newsDevice();
    const id = declare("x", away);
    activate(device, id);
    answer(device, id, false);
    answer(device, id, true);
    expect(device.count("openUrl")).toBe(0);
    expect(device.agent.notifications()).toHaveLength(1);
    activate(device, id);
    answer(device, id, true);
    expect(device.count("openUrl")).toBe(1);
  });

  test("only what was asked is answered: another action, nothing asked, and one that is gone count for nothing", () => {
    const { device, declare } = newsDevice();
    const go = { action: "go", title: "Go", navigate: "https://third.example/" };
    const id = declare("x", { ...away, actions: [go] });
    answer(device, id, true);
    activate(device, id, "go");
    expect(device.last("askNavigation")).toMatchObject({ action: "go", host: "third.example" });
    answer(device, id, true, "");
    expect(device.count("openUrl")).toBe(0);
    answer(device, id, true, "go");
    expect(device.last("openUrl").url).toBe("https://third.example/");
    const gone = declare("y", away);
    activate(device, gone);
    device.dispatch({ type: "notificationClosed", notificationId: gone });
    answer(device, gone, true);
    expect(device.count("openUrl")).toBe(1);
  });

  test("replaced meanwhile: the answer counts for nothing, not even when the new one is asked about too", () => {
    const { device, declare } = newsDevice();
    const id = declare("x", { ...away, tag: "t" });
    activate(device, id);
    const newId = declare("y", { navigate: "https://evil.example/", tag: "t" });
    expect(device.last("closeNotification").notificationId).toBe(id);
    expect(device.last("show")).toMatchObject({ replaces: null, alert: false });
    activate(device, newId);
    expect(device.last("askNavigation").host).toBe("evil.example");
    answer(device, id, true);
    expect(device.count("openUrl")).toBe(0);
    expect(titlesOf(device.agent.notifications())).toEqual(["y"]);
  });

  test.each([
    ["javascript:alert(1)", "scheme"],
    ["http://other.example/", "http"],
  ])("%s is refused without asking, and the notification stays", (navigate, reason) => {
    const { device, declare } = newsDevice();
    activate(device, declare("x", { navigate }));
    expect(device.count("askNavigation") + device.count("openUrl")).toBe(0);
    const text = `link refused: ${reason}`;
    expect(device.reports).toContainEqual({ type: "fault", code: "ERR_NAVIGATION_REFUSED", text });
    expect(device.agent.notifications()).toHaveLength(1);
  });
});

describe("a click on a notification without link", () => {
  const clicks = (device: Device) => device.effects.filter(({ type }) => type === "notificationClick");

  test("goes to its app at once when it is there, and closes the notification", () => {
    const { device } = newsDevice({}, false);
    showAsApp(device, NEWS, "tap");
    activate(device, device.last("show").notificationId);
    expect(device.last("notificationClick")).toMatchObject({ owner: NEWS, action: "" });
    expect(device.agent.notifications()).toEqual([]);
    expect(device.count("startApp")).toBe(0);
  });

  test("starts an app that is not there, and waits for it", () => {
    const { device } = newsDevice();
    const actions = [{ action: "yes", title: "Yes" }];
    showAsApp(device, NEWS, "tap", { actions });
    device.dispatch({ type: "appDetached", owner: NEWS });
    activate(device, device.last("show").notificationId, "yes");
    expect(clicks(device)).toEqual([]);
    expect(device.count("startApp")).toBe(1);
    device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(device.last("notificationClick")).toMatchObject({ owner: NEWS, action: "yes" });
    device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(clicks(device)).toHaveLength(1);
  });

  test("of many, the last wait; the app is asked to start once", () => {
    const { device } = newsDevice();
    const ids: number[] = [];
    for (let i = 0; i < CLICKS_PER_OWNER_MAX + 2; i++) {
      showAsApp(device, NEWS, `${i}`);
      ids.push(device.last("show").notificationId);
    }
    device.dispatch({ type: "appDetached", owner: NEWS });
    for (const id of ids) activate(device, id);
    expect(device.count("startApp")).toBe(1);
    device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    const titles = clicks(device).map((click) => "notification" in click && click.notification.title);
    expect(titles).toEqual(Array.from({ length: CLICKS_PER_OWNER_MAX }, (_, i) => `${i + 2}`));
  });

  test("of an app that cannot be started is dropped", () => {
    const { device } = newsDevice({}, false);
    showAsApp(device, NEWS, "tap");
    device.dispatch({ type: "appDetached", owner: NEWS });
    activate(device, device.last("show").notificationId);
    device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(clicks(device)).toEqual([]);
    expect(device.count("startApp")).toBe(0);
  });
});
