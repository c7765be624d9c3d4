// SPDX-License-Identifier: MIT
// Goal: events, listeners and notifications behave as in browsers, wherever the app runs. Method: an App on a port that records
// requests and answers as told; the platform's own Event and EventTarget.

import { describe, expect, test, vi } from "vitest";
import type { AppReply, AppRequest, Delivery, SubscriptionView } from "../../src/agent/events.ts";
import { App } from "../../src/apps/app.ts";
import { type ExtendableEvent, PushEvent } from "../../src/apps/events.ts";
import { utf8Encode } from "../../src/bytes.ts";
import type { GodwitNotification } from "../../src/declarative/index.ts";

const NOTIFICATION: GodwitNotification = {
  title: "Godwits reach New Zealand",
  navigate: "https://news.example/godwits",
  body: "",
  dir: "auto",
  lang: "",
  tag: "birds",
  icon: null,
  image: null,
  badge: null,
  vibrate: [],
  timestamp: 0,
  renotify: false,
  requireInteraction: false,
  silent: null,
  data: null,
  actions: [],
};
const OPAQUE: Delivery = {
  deliveryId: 9,
  owner: "a.app",
  subscriptionId: 3,
  messageId: "x-1",
  redelivered: true,
  data: utf8Encode("hello"),
  notification: null,
  appBadge: null,
};
const MUTABLE: Delivery = { ...OPAQUE, data: null, notification: NOTIFICATION, appBadge: 4 };
const VIEW: SubscriptionView = {
  subscriptionId: 3,
  endpoint: "https://push.example/p/abc",
  expirationTime: null,
  p256dh: new Uint8Array(65),
  auth: new Uint8Array(16),
  applicationServerKey: null,
  userVisibleOnly: false,
};

class TestApp extends App {
  readonly requests: AppRequest[];
  readonly changes: boolean[] = [];

  constructor(reply: AppReply = { type: "done" }) {
    const requests: AppRequest[] = [];
    super("a.app", async (request) => {
      requests.push(request);
      return reply;
    });
    this.requests = requests;
  }

  protected override handleListenersChanged(): void {
    this.changes.push(this.handlesPush);
  }
}

const bug = new Error("app bug");

describe("listeners", () => {
  test("all of them get the event, each once, the handler in the place it was first set", async () => {
    const app = new TestApp();
    const calls: string[] = [];
    const first = () => calls.push("first");
    app.addEventListener("push", first);
    app.addEventListener("push", first);
    app.onpush = () => calls.push("replaced");
    app.addEventListener("push", { handleEvent: ({ type }) => calls.push(`object ${type}`) });
    app.onpush = () => calls.push("handler");
    await app.deliver(OPAQUE);
    expect(calls).toEqual(["first", "handler", "object push"]);
  });

  test("events are the platform's, with this and target the app", async () => {
    const app = new TestApp();
    let seen: unknown[] = [];
    app.onpush = function (this: unknown, event) {
      seen = [event instanceof Event, event instanceof PushEvent, event.target, this];
    };
    await app.deliver(OPAQUE);
    expect(seen).toEqual([true, true, app, app]);
  });

  test("once, signal and removal", async () => {
    const app = new TestApp();
    const calls: string[] = [];
    const controller = new AbortController();
    const removed = () => calls.push("removed");
    app.addEventListener("push", () => calls.push("once"), { once: true });
    app.addEventListener("push", () => calls.push("signal"), { signal: controller.signal });
    app.addEventListener("push", removed);
    app.removeEventListener("push", removed);
    await app.deliver(OPAQUE);
    controller.abort();
    expect(calls).toEqual(["once", "signal"]);
    await expect(app.deliver(OPAQUE)).rejects.toThrow("no listener");
    expect(app.changes.at(-1)).toBe(false);
  });

  test("a handler set and added as listener is called twice, and taking it back leaves the listener", async () => {
    const app = new TestApp();
    const handler = vi.fn();
    app.onpush = handler;
    app.addEventListener("push", handler);
    app.onpush = null;
    expect(app.onpush).toBeNull();
    await app.deliver(OPAQUE);
    expect(handler).toHaveBeenCalledTimes(1);
  });

  test("setting another handler never looks as if there were none", () => {
    const app = new TestApp();
    app.onpush = () => {};
    app.onpush = () => {};
    expect(app.changes).toEqual([true]);
  });
});

describe("push messages", () => {
  test("carry what the agent says", async () => {
    const app = new TestApp();
    const events: PushEvent[] = [];
    app.onpush = (event) => events.push(event);
    await app.deliver(OPAQUE);
    await app.deliver(MUTABLE);
    const [opaque, mutable] = events;
    expect([opaque?.data?.text(), opaque?.messageId, opaque?.redelivered]).toEqual(["hello", "x-1", true]);
    expect([mutable?.data, mutable?.notification?.title, mutable?.appBadge]).toEqual([
      null,
      "Godwits reach New Zealand",
      4,
    ]);
  });

  test("pushnotification is another name for mutable ones, and one delivery with push", async () => {
    const app = new TestApp();
    const types: string[] = [];
    app.onpush = ({ type }) => types.push(type);
    app.addEventListener("pushnotification", async ({ type, notification }) => {
      types.push(`${type} ${notification?.title}`);
      throw bug;
    });
    await app.deliver(OPAQUE);
    await expect(app.deliver(MUTABLE)).rejects.toBe(bug);
    expect(types).toEqual(["push", "push", "pushnotification Godwits reach New Zealand"]);
  });

  test("opaque ones are not for who only takes mutable ones", async () => {
    const app = new TestApp();
    app.addEventListener("pushnotification", () => {});
    await expect(app.deliver(OPAQUE)).rejects.toThrow("no listener");
    await app.deliver(MUTABLE);
  });

  test("wait for what listeners return and give to waitUntil, also while they wait", async () => {
    const app = new TestApp();
    const order: string[] = [];
    app.onpush = (event) => {
      event.waitUntil(
        Promise.resolve().then(() => {
          order.push("first");
          event.waitUntil(Promise.resolve().then(() => order.push("second")));
        }),
      );
    };
    app.addEventListener("push", async () => {
      await Promise.resolve();
      order.push("returned");
    });
    await app.deliver(OPAQUE);
    expect(order.toSorted()).toEqual(["first", "returned", "second"]);
  });

  test.each([
    ["throws", (): unknown => raise()],
    ["rejects", async (): Promise<never> => raise()],
    ["gives a rejection to waitUntil", (event: ExtendableEvent) => event.waitUntil(Promise.reject(bug))],
  ])("fail when a listener %s, once the others are done", async (_, listener) => {
    const app = new TestApp();
    const done = vi.fn();
    app.onpush = listener;
    app.addEventListener("push", async () => {
      await new Promise((resolve) => setImmediate(resolve));
      done();
    });
    await expect(app.deliver(OPAQUE)).rejects.toBe(bug);
    expect(done).toHaveBeenCalledTimes(1);
  });

  test("waitUntil after the end is an InvalidStateError", async () => {
    const app = new TestApp();
    let late: PushEvent | null = null;
    app.onpush = (event) => {
      late = event;
    };
    await app.deliver(OPAQUE);
    expect(() => (late as PushEvent | null)?.waitUntil(null)).toThrow(
      expect.objectContaining({ name: "InvalidStateError", godwitCode: "ERR_EVENT_OVER" }),
    );
  });

  test("an aborted signal says that nobody waits", async () => {
    const app = new TestApp();
    const aborted = new Promise((resolve) => {
      app.onpush = ({ signal }) =>
        new Promise<void>((done) => {
          signal.onabort = () => {
            resolve(signal.aborted);
            done();
          };
        });
    });
    const delivered = app.deliver(OPAQUE);
    app.cancel(1);
    app.cancel(9);
    expect(await aborted).toBe(true);
    await delivered;
  });

  test("showNotification and setAppBadge belong to the delivery, and their failure fails it", async () => {
    const app = new TestApp({ type: "error", code: "ERR_NOTIFICATION", message: "late" });
    app.onpush = (event) => {
      event.showNotification("t", { tag: "a" }).catch(() => {});
      event.setAppBadge(2.5).catch(() => {});
    };
    const failure: unknown = await app.deliver(MUTABLE).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TypeError);
    expect(failure).toMatchObject({ godwitCode: "ERR_NOTIFICATION" });
    expect(app.requests).toEqual([
      { type: "showNotification", deliveryId: 9, title: "t", options: { tag: "a" } },
      { type: "setAppBadge", deliveryId: 9, badge: 2 },
    ]);
  });
});

describe("other events", () => {
  test("a click: what was clicked can be closed, though it is gone already", async () => {
    const app = new TestApp();
    const seen: unknown[] = [];
    app.onnotificationclick = (event) => {
      event.notification.close();
      event.waitUntil(Promise.resolve());
      seen.push(event.notification.title, event.action);
    };
    await app.handleClick(NOTIFICATION, "open");
    expect(seen).toEqual(["Godwits reach New Zealand", "open"]);
    expect(app.requests).toEqual([]);
  });

  test("a subscription change has both sides, and its failure is told", async () => {
    const app = new TestApp();
    const endpoints: unknown[] = [];
    app.onpushsubscriptionchange = ({ oldSubscription, newSubscription }) => {
      endpoints.push(oldSubscription?.endpoint, newSubscription);
      throw bug;
    };
    await expect(app.handleSubscriptionChange(VIEW, null)).rejects.toBe(bug);
    expect(endpoints).toEqual(["https://push.example/p/abc", null]);
  });

  test("a warning goes to the console, unless a listener prevents it", async () => {
    const written = vi.spyOn(console, "warn").mockImplementation(() => {});
    const app = new TestApp();
    await app.handleWarning("late-handler", "add it earlier");
    expect(written).toHaveBeenCalledWith("godwit: a.app: add it earlier (late-handler)");
    app.onwarning = (event) => event.preventDefault();
    await app.handleWarning("late-handler", "add it earlier");
    expect(written).toHaveBeenCalledTimes(1);
    written.mockRestore();
  });

  test("an error in a listener of an event inside another belongs to its own", async () => {
    const app = new TestApp();
    const inner: Promise<unknown>[] = [];
    app.onnotificationclick = () => raise();
    app.onpush = () => {
      inner.push(app.handleClick(NOTIFICATION, "").catch((error: unknown) => error));
    };
    const after = vi.fn();
    app.addEventListener("push", after);
    await app.deliver(OPAQUE);
    expect(await Promise.all(inner)).toEqual([bug]);
    expect(after).toHaveBeenCalledTimes(1);
  });
});

describe("notifications, badge, permission", () => {
  test("lists notifications, which can be closed", async () => {
    const view = { notificationId: 5, owner: "a.app", shownEpochMs: 0, notification: NOTIFICATION };
    const app = new TestApp({ type: "notifications", notifications: [view] });
    const [shown] = await app.getNotifications({ tag: "birds" });
    expect([shown?.title, shown?.tag]).toEqual(["Godwits reach New Zealand", "birds"]);
    shown?.close();
    await app.getNotifications();
    expect(app.requests).toEqual([
      { type: "getNotifications", tag: "birds" },
      { type: "closeNotification", notificationId: 5 },
      { type: "getNotifications", tag: null },
    ]);
  });

  test("badges are whole numbers from zero, or marks", async () => {
    const app = new TestApp();
    await app.setAppBadge();
    await app.setAppBadge(7);
    await app.clearAppBadge();
    expect(app.requests.map((request) => "badge" in request && request.badge)).toEqual([true, 7, false]);
    for (const wrong of [-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])
      await expect(app.setAppBadge(wrong)).rejects.toThrow(TypeError);
  });

  test("asks for permission", async () => {
    const app = new TestApp({ type: "permission", permission: "granted" });
    expect(await app.requestPermission()).toBe("granted");
    expect(app.requests).toEqual([{ type: "requestPermission" }]);
  });
});

function raise(): never {
  throw bug;
}
