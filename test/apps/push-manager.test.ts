// SPDX-License-Identifier: MIT
// Goal: an app sees the W3C Push API: names, options, errors, JSON. Method: the classes on a port that records requests and
// answers as told.

import { describe, expect, test } from "vitest";
import type { AppReply, AppRequest, Delivery, SubscriptionView } from "../../src/agent/events.ts";
import { PushEvent, PushManager, PushMessageData } from "../../src/apps/push-manager.ts";
import { utf8Encode } from "../../src/bytes.ts";
import { GodwitError } from "../../src/errors.ts";

const VIEW: SubscriptionView = {
  subscriptionId: 3,
  endpoint: "https://push.example/p/abc",
  expirationTime: null,
  p256dh: new Uint8Array(65).fill(4),
  auth: new Uint8Array(16).fill(1),
  applicationServerKey: null,
  userVisibleOnly: true,
};

function portOf(reply: AppReply) {
  const requests: AppRequest[] = [];
  const port = async (request: AppRequest): Promise<AppReply> => {
    requests.push(request);
    return reply;
  };
  return { port, requests };
}

async function failure(promise: Promise<unknown>): Promise<GodwitError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof GodwitError) return error;
  }
  throw new Error("did not fail as expected");
}

describe("subscribe", () => {
  test("passes the options on and returns what senders take", async () => {
    const { port, requests } = portOf({ type: "subscription", subscription: VIEW });
    const subscription = await new PushManager(port).subscribe({ userVisibleOnly: true, waToken: "mine" });
    expect(requests).toEqual([
      {
        type: "subscribe",
        applicationServerKey: null,
        userVisibleOnly: true,
        waToken: "mine",
        declarative: "auto",
        allowAesgcm: false,
      },
    ]);
    expect(JSON.parse(JSON.stringify(subscription))).toEqual({
      endpoint: "https://push.example/p/abc",
      expirationTime: null,
      keys: { p256dh: `BAQE${"BAQE".repeat(20)}BAQ`, auth: "AQEBAQEBAQEBAQEBAQEBAQ" },
    });
    expect(subscription.getKey("auth").byteLength).toBe(16);
    expect(subscription.getKey("p256dh").byteLength).toBe(65);
  });

  test("takes the key as base64url text or as bytes", async () => {
    const { port, requests } = portOf({ type: "subscription", subscription: VIEW });
    const manager = new PushManager(port);
    await manager.subscribe({ applicationServerKey: "AQID" });
    await manager.subscribe({ applicationServerKey: Uint8Array.of(1, 2, 3) });
    await manager.subscribe({ applicationServerKey: Uint8Array.of(1, 2, 3).buffer });
    for (const request of requests)
      expect(request).toMatchObject({ applicationServerKey: Uint8Array.of(1, 2, 3) });
  });

  test("a key that is not base64url is an InvalidCharacterError, and nobody is asked", async () => {
    const { port, requests } = portOf({ type: "done" });
    const error = await failure(new PushManager(port).subscribe({ applicationServerKey: "+/=" }));
    expect(error.code).toBe("ERR_SUBSCRIBE_KEY_CHARACTERS");
    expect(error.name).toBe("InvalidCharacterError");
    expect(requests).toEqual([]);
  });

  test.each([
    ["ERR_SUBSCRIBE_PERMISSION", "NotAllowedError"],
    ["ERR_SUBSCRIBE_KEY_POINT", "InvalidAccessError"],
    ["ERR_SUBSCRIBE_CONFLICT", "InvalidStateError"],
    ["ERR_SUBSCRIBE_ABORTED", "AbortError"],
    ["ERR_JOURNAL_FULL", "AbortError"],
  ] as const)("%s is a %s", async (code, name) => {
    const { port } = portOf({ type: "error", code, message: "no" });
    const error = await failure(new PushManager(port).subscribe());
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
  });
});

describe("the rest of the manager", () => {
  test("getSubscription is null when there is none", async () => {
    const { port } = portOf({ type: "subscription", subscription: null });
    expect(await new PushManager(port).getSubscription()).toBeNull();
  });

  test("unsubscribe says whether it existed", async () => {
    const { port } = portOf({ type: "subscription", subscription: VIEW });
    const subscription = await new PushManager(port).subscribe();
    expect((await failure(subscription.unsubscribe())).code).toBe("ERR_SUBSCRIBE_ABORTED");
  });

  test("advertises aes128gcm only", () => {
    expect(PushManager.supportedContentEncodings).toEqual(["aes128gcm"]);
  });
});

describe("messages", () => {
  const delivery: Delivery = {
    deliveryId: 9,
    owner: "a.app",
    subscriptionId: 3,
    messageId: "x-1",
    redelivered: true,
    data: utf8Encode('{"a":"\u00e9"}'),
    notification: null,
    appBadge: null,
  };

  test("data as text, JSON, bytes and buffer", () => {
    const data = new PushMessageData(utf8Encode('{"a":"\u00e9"}'));
    expect(data.text()).toBe('{"a":"\u00e9"}');
    expect(data.json()).toEqual({ a: "\u00e9" });
    expect(data.bytes()).toHaveLength(10);
    expect(data.arrayBuffer().byteLength).toBe(10);
  });

  test("the event waits for what it was given, also for promises added while it waits", async () => {
    const { port } = portOf({ type: "done" });
    const event = new PushEvent(port, delivery);
    expect([event.messageId, event.redelivered]).toEqual(["x-1", true]);
    const order: string[] = [];
    event.waitUntil(
      Promise.resolve().then(() => {
        order.push("first");
        event.waitUntil(Promise.resolve().then(() => order.push("second")));
      }),
    );
    await event.settled();
    expect(order).toEqual(["first", "second"]);
  });

  test("showNotification belongs to the delivery, and its failure fails the event", async () => {
    const { port, requests } = portOf({ type: "error", code: "ERR_NOTIFICATION", message: "late" });
    const event = new PushEvent(port, delivery);
    expect((await failure(event.showNotification("t"))).name).toBe("TypeError");
    expect(requests).toEqual([{ type: "showNotification", deliveryId: 9, title: "t", options: {} }]);
    expect((await failure(event.settled())).code).toBe("ERR_NOTIFICATION");
  });
});
