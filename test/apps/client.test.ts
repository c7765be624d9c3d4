// SPDX-License-Identifier: MIT
// Goal: messages, clicks and changes reach the app once, and the agent hears how each message ended, also when connections break.
// Method: an app with listeners; the agent's end of its connection is played in memory. Reconnects have no delay.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AppClient, type ConnectOptions, connect } from "../../src/apps/client.ts";
import type { PushEvent, PushSubscriptionChangeEvent } from "../../src/apps/events.ts";
import type { AppEvent, SubscriptionJson } from "../../src/apps/protocol.ts";
import { PushSubscription } from "../../src/apps/push-manager.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import { PlayedAgent } from "./played-agent.ts";

const KEY = base64urlEncode(new Uint8Array(65).fill(4));
const SUBSCRIPTION: SubscriptionJson = {
  subscriptionId: 3,
  endpoint: "https://push.example/p/abc",
  expirationTime: null,
  p256dh: KEY,
  auth: base64urlEncode(new Uint8Array(16).fill(250)),
  applicationServerKey: KEY,
  userVisibleOnly: true,
};
const RENEWED: SubscriptionJson = { ...SUBSCRIPTION, endpoint: "https://push.example/p/def" };
const PUSH = {
  event: "push",
  deliveryId: 5,
  subscriptionId: 3,
  messageId: "m-1",
  redelivered: false,
  data: base64urlEncode(new TextEncoder().encode("Küste")),
  notification: null,
  appBadge: null,
} as const satisfies AppEvent;

let agent: PlayedAgent;
let app: AppClient;
const reported = vi.fn();
beforeEach(() => {
  agent = new PlayedAgent();
  reported.mockReset();
  vi.stubGlobal("reportError", reported);
});
afterEach(() => {
  app.close();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function connected(options: ConnectOptions = {}): AppClient {
  app = connect({
    url: "ws://127.0.0.1:7/v1/app",
    owner: "https://news.example",
    token: "secret",
    role: "app",
    WebSocket: agent.WebSocket,
    jitter: () => 0,
    ...options,
  });
  return app;
}

/** The present connection is lost and the next one is there. */
async function reconnect(): Promise<void> {
  const { length } = agent.connections;
  agent.last.lose();
  await vi.waitFor(() => expect(agent.connections).toHaveLength(length + 1));
  agent.last.accept();
}

async function subscribed(): Promise<PushSubscription> {
  const subscribing = app.pushManager.subscribe({ applicationServerKey: KEY, userVisibleOnly: true });
  agent.last.answer("subscribe", { subscription: SUBSCRIPTION });
  return subscribing;
}

describe("attach", () => {
  test("says whether there is a handler, and says it anew when that changes", () => {
    connected();
    app.onpush = () => {};
    agent.last.accept();
    expect(agent.last.last("attach")).toMatchObject({ handlesPush: true });
    app.addEventListener("push", () => {});
    app.onpush = null;
    expect(agent.last.types()).toEqual(["hello", "attach"]);
    app.addEventListener("pushnotification", () => {});
    expect(agent.last.types()).toEqual(["hello", "attach"]);
  });

  test("a handler added late is told of, and one that is gone", () => {
    connected();
    agent.last.accept();
    app.onpush = () => {};
    app.onpush = null;
    const said = agent.last.requests.filter(({ type }) => type === "attach");
    expect(said.map(({ handlesPush }) => handlesPush)).toEqual([false, true, false]);
  });

  test("is said on each connection", async () => {
    connected();
    app.onpush = () => {};
    agent.last.accept();
    await reconnect();
    expect(agent.last.last("attach")).toMatchObject({ handlesPush: true });
  });
});

describe("push", () => {
  test("before the agent has taken the hello is nobody's", async () => {
    connected();
    const taken = vi.fn();
    app.onpush = taken;
    agent.last.open();
    agent.last.event(PUSH).answer("hello", {});
    await new Promise(setImmediate);
    expect(taken).not.toHaveBeenCalled();
  });

  test("has the message, and is handled when what the listener returns is settled", async () => {
    connected();
    const events: PushEvent[] = [];
    let finish = (): void => {};
    app.onpush = (event) => {
      events.push(event);
      return new Promise<void>((resolve) => {
        finish = resolve;
      });
    };
    agent.last.accept().event({ ...PUSH, redelivered: true });
    const [event] = events;
    expect(event).toMatchObject({ type: "push", messageId: "m-1", redelivered: true, notification: null });
    expect(event?.data?.text()).toBe("Küste");
    await Promise.resolve();
    expect(agent.last.types()).not.toContain("handled");
    finish();
    await vi.waitFor(() => expect(agent.last.last("handled")).toMatchObject({ deliveryId: 5 }));
  });

  test("failed when the listener throws, which its developer sees", async () => {
    connected();
    const failure = new Error("a mistake");
    app.onpush = () => {
      throw failure;
    };
    agent.last.accept().event(PUSH);
    await vi.waitFor(() => expect(agent.last.last("failed")).toMatchObject({ deliveryId: 5 }));
    expect(reported).toHaveBeenCalledExactlyOnceWith(failure);
    expect(agent.last.types()).not.toContain("handled");
  });

  test("without a listener has failed", async () => {
    connected();
    agent.last.accept().event(PUSH);
    await vi.waitFor(() => expect(agent.last.last("failed")).toMatchObject({ deliveryId: 5 }));
  });

  test("shows its notification in its own name", async () => {
    connected();
    app.onpush = async (event) => {
      await event.showNotification("Terns", { navigate: "/terns", actions: [{ action: "a", title: "A" }] });
      await event.setAppBadge(4);
    };
    agent.last.accept().event(PUSH);
    await vi.waitFor(() => agent.last.last("showNotification"));
    expect(agent.last.last("showNotification")).toMatchObject({
      deliveryId: 5,
      title: "Terns",
      options: { navigate: "/terns", actions: [{ action: "a", title: "A" }] },
    });
    agent.last.answer("showNotification", {});
    await vi.waitFor(() => expect(agent.last.last("setAppBadge")).toMatchObject({ deliveryId: 5, badge: 4 }));
    agent.last.answer("setAppBadge", {});
    await vi.waitFor(() => agent.last.last("handled"));
  });

  test("whose time is over aborts its signal, and nothing more is said of it", async () => {
    connected();
    const events: PushEvent[] = [];
    let finish = (): void => {};
    app.onpush = (event) => {
      events.push(event);
      event.waitUntil(
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
      );
    };
    agent.last.accept().event(PUSH).event({ event: "cancel", deliveryId: 6 });
    expect(events[0]?.signal.aborted).toBe(false);
    agent.last.event({ event: "cancel", deliveryId: 5 });
    expect(events[0]?.signal.aborted).toBe(true);
    finish();
    const asked = app.pushManager.permissionState();
    agent.last.answer("permissionState", { permission: "granted" });
    await asked;
    expect(agent.last.types()).toEqual(["hello", "attach", "permissionState"]);
  });

  test("in hand when the connection breaks: its end is not told to the next connection, whose delivery may have its number", async () => {
    connected();
    const events: PushEvent[] = [];
    const finishers: (() => void)[] = [];
    app.onpush = (event) => {
      events.push(event);
      return new Promise<void>((resolve) => finishers.push(resolve));
    };
    agent.last.accept().event(PUSH);
    await reconnect();
    expect(events[0]?.signal.aborted).toBe(true);
    agent.last.event({ ...PUSH, redelivered: true });
    finishers[0]?.();
    await new Promise(setImmediate);
    expect(agent.last.types()).toEqual(["hello", "attach"]);
    agent.last.event({ event: "cancel", deliveryId: 5 });
    expect(events[1]?.signal.aborted).toBe(true);
    agent.last.event({ ...PUSH, deliveryId: 6 });
    finishers[2]?.();
    await vi.waitFor(() => expect(agent.last.last("handled")).toMatchObject({ deliveryId: 6 }));
    expect(events.map(({ redelivered }) => redelivered)).toEqual([false, true, false]);
  });
});

describe("requests", () => {
  test("subscribe() gives what a browser gives", async () => {
    connected();
    agent.last.accept();
    const subscription = await subscribed();
    expect(agent.last.last("subscribe")).toEqual({
      id: expect.any(Number),
      type: "subscribe",
      applicationServerKey: KEY,
      userVisibleOnly: true,
      waToken: null,
      declarative: "auto",
      allowAesgcm: false,
      freshness: null,
    });
    expect(subscription).toBeInstanceOf(PushSubscription);
    expect(subscription.toJSON()).toEqual({
      endpoint: SUBSCRIPTION.endpoint,
      expirationTime: null,
      keys: { p256dh: KEY, auth: SUBSCRIPTION.auth },
    });
    expect(subscription.options.userVisibleOnly).toBe(true);
    expect(new Uint8Array(subscription.options.applicationServerKey ?? new ArrayBuffer(0))).toEqual(
      new Uint8Array(65).fill(4),
    );
    const gone = subscription.unsubscribe();
    expect(agent.last.last("unsubscribe")).toMatchObject({ subscriptionId: 3 });
    agent.last.answer("unsubscribe", { existed: true });
    expect(await gone).toBe(true);
  });

  test("getSubscription() gives null where there is none", async () => {
    connected();
    const asked = app.pushManager.getSubscription("mine");
    agent.last.accept().answer("getSubscription", { subscription: null });
    expect(await asked).toBeNull();
    expect(agent.last.last("getSubscription")).toMatchObject({ waToken: "mine" });
  });

  test("getNotifications() gives notifications that can be closed", async () => {
    connected();
    const asked = app.getNotifications({ tag: "birds" });
    agent.last.accept().answer("getNotifications", {
      notifications: [{ notificationId: 8, shownEpochMs: 1, notification: { title: "Terns", tag: "birds" } }],
    });
    const [shown] = await asked;
    expect(shown).toMatchObject({ title: "Terns", tag: "birds" });
    shown?.close();
    expect(agent.last.last("closeNotification")).toMatchObject({ notificationId: 8 });
    expect(agent.last.last("getNotifications")).toMatchObject({ tag: "birds" });
  });

  test("a badge is sent as the Badging API reads it", async () => {
    connected();
    agent.last.accept();
    const badges = [app.setAppBadge(), app.setAppBadge(7), app.clearAppBadge()];
    const sent = agent.last.requests.filter(({ type }) => type === "setAppBadge");
    expect(sent.map(({ badge }) => badge)).toEqual([true, 7, false]);
    for (const { id } of sent) agent.last.say({ id, result: {} });
    await Promise.all(badges);
  });
});

describe("other events", () => {
  test("notificationclick has the notification and the action", () => {
    connected();
    const clicked = vi.fn();
    app.onnotificationclick = ({ notification, action }) => clicked(notification.title, action);
    agent.last.accept().event({
      event: "notificationclick",
      notification: { title: "Terns" } as never,
      action: "later",
    });
    expect(clicked).toHaveBeenCalledExactlyOnceWith("Terns", "later");
  });

  test("warnings go to the console, unless the app takes them", () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    connected();
    const warning = { event: "warning", code: "late-handler", text: "a handler came late" } as const;
    agent.last.accept().event(warning);
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      "godwit: https://news.example: a handler came late (late-handler)",
    );
    app.onwarning = (event) => event.preventDefault();
    agent.last.event(warning);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test("an event of a later agent is ignored", () => {
    connected();
    agent.last.accept().say({ event: "something-new" });
    expect(app.isConnected).toBe(true);
  });
});

describe("pushsubscriptionchange", () => {
  const changes: (string | null)[][] = [];
  beforeEach(() => {
    changes.length = 0;
  });
  const listen = (): void => {
    app.onpushsubscriptionchange = (event: PushSubscriptionChangeEvent) => {
      const { oldSubscription, newSubscription } = event;
      changes.push([oldSubscription?.endpoint ?? null, newSubscription?.endpoint ?? null]);
    };
  };
  const change = (before: SubscriptionJson | null, after: SubscriptionJson | null) =>
    ({ event: "pushsubscriptionchange", oldSubscription: before, newSubscription: after }) as const;

  test("is fired as the agent says", async () => {
    connected();
    listen();
    agent.last.accept();
    await subscribed();
    agent.last.event(change(SUBSCRIPTION, RENEWED)).event(change(RENEWED, null));
    expect(changes).toEqual([
      [SUBSCRIPTION.endpoint, RENEWED.endpoint],
      [RENEWED.endpoint, null],
    ]);
  });

  test("that came about while nobody was connected is fired after, once", async () => {
    connected();
    listen();
    agent.last.accept();
    await subscribed();
    await reconnect();
    expect(agent.last.types()).toEqual(["hello", "attach", "getSubscription"]);
    agent.last.answer("getSubscription", { subscription: RENEWED });
    await vi.waitFor(() => expect(changes).toEqual([[SUBSCRIPTION.endpoint, RENEWED.endpoint]]));
    agent.last.event(change(SUBSCRIPTION, RENEWED));
    expect(changes).toHaveLength(1);
  });

  test("is not fired when nothing changed, nor when the agent told it first", async () => {
    connected();
    listen();
    agent.last.accept();
    await subscribed();
    await reconnect();
    agent.last.answer("getSubscription", { subscription: SUBSCRIPTION });
    await reconnect();
    agent.last.event(change(SUBSCRIPTION, RENEWED)).answer("getSubscription", { subscription: RENEWED });
    await new Promise(setImmediate);
    expect(changes).toEqual([[SUBSCRIPTION.endpoint, RENEWED.endpoint]]);
  });

  test.each([
    ["replaced", RENEWED],
    ["ended", null],
  ])(
    "%s while the app was away: the agent says so and a look finds it, the app hears it once, with the old one",
    async (_, after) => {
      connected();
      listen();
      agent.last.accept();
      await subscribed();
      await reconnect();
      agent.last.event(change(null, after)).answer("getSubscription", { subscription: after });
      await new Promise(setImmediate);
      expect(changes).toEqual([[SUBSCRIPTION.endpoint, after?.endpoint ?? null]]);
    },
  );

  test("that the agent owes an app it knows nothing of is fired as it says", () => {
    connected();
    listen();
    agent.last.accept().event(change(null, RENEWED)).event(change(null, null));
    expect(changes).toEqual([
      [null, RENEWED.endpoint],
      [null, null],
    ]);
  });

  test("is fired at the first connection when the app's server knows another endpoint", async () => {
    connected({ lastEndpoint: "https://push.example/p/old" });
    listen();
    agent.last.accept().answer("getSubscription", { subscription: SUBSCRIPTION });
    await vi.waitFor(() => expect(changes).toEqual([[null, SUBSCRIPTION.endpoint]]));
  });

  test("is not fired for what the app ended itself", async () => {
    connected();
    listen();
    agent.last.accept();
    const subscription = await subscribed();
    const gone = subscription.unsubscribe();
    agent.last.answer("unsubscribe", { existed: true });
    await gone;
    await reconnect();
    expect(agent.last.types()).toEqual(["hello", "attach"]);
    expect(changes).toEqual([]);
  });
});
