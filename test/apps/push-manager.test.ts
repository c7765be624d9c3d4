// SPDX-License-Identifier: MIT
// Goal: an app sees the W3C Push API: names, options, errors, JSON. Method: the classes on a port that records requests and
// answers as told.

import { describe, expect, test } from "vitest";
import type { AppReply, AppRequest, SubscriptionView } from "../../src/agent/events.ts";
import { w3cNameOf } from "../../src/apps/error-names.ts";
import { type AppError, codeOf } from "../../src/apps/errors.ts";
import { PushManager } from "../../src/apps/push-manager.ts";
import { PushMessageData } from "../../src/apps/push-message-data.ts";
import { utf8Encode } from "../../src/bytes.ts";

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

async function failure(promise: Promise<unknown>): Promise<AppError> {
  try {
    await promise;
  } catch (error) {
    if (codeOf(error) !== null) return error as AppError;
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
    await manager.subscribe({ applicationServerKey: Uint8Array.of(0, 1, 2, 3, 4).subarray(1, 4) });
    await manager.subscribe({ applicationServerKey: new DataView(Uint8Array.of(9, 1, 2, 3).buffer, 1) });
    for (const request of requests)
      expect(request).toMatchObject({ applicationServerKey: Uint8Array.of(1, 2, 3) });
  });

  test("a key that is not base64url is an InvalidCharacterError, and nobody is asked", async () => {
    const { port, requests } = portOf({ type: "done" });
    const error = await failure(new PushManager(port).subscribe({ applicationServerKey: "+/=" }));
    expect(error.godwitCode).toBe("ERR_SUBSCRIBE_KEY_CHARACTERS");
    expect(error.name).toBe("InvalidCharacterError");
    expect(requests).toEqual([]);
  });

  test.each([[{ declarative: "sometimes" }], [{ freshness: "soon" }]])(
    "%o is a TypeError, and nobody is asked",
    async (options) => {
      const { port, requests } = portOf({ type: "done" });
      const error = await failure(new PushManager(port).subscribe(options as never));
      expect(error).toBeInstanceOf(TypeError);
      expect(error.godwitCode).toBe("ERR_OPTION");
      expect(requests).toEqual([]);
    },
  );

  test("what is no buffer is text, as in Web IDL", async () => {
    const { port } = portOf({ type: "done" });
    const subscribing = new PushManager(port).subscribe({ applicationServerKey: {} as never });
    expect((await failure(subscribing)).name).toBe("InvalidCharacterError");
  });

  test("the options it was made with, the key always the same buffer", async () => {
    const key = new Uint8Array(65).fill(7);
    const { port } = portOf({ type: "subscription", subscription: { ...VIEW, applicationServerKey: key } });
    const { options } = await new PushManager(port).subscribe({ applicationServerKey: key });
    expect(options.userVisibleOnly).toBe(true);
    expect(new Uint8Array(options.applicationServerKey ?? new ArrayBuffer(0))).toEqual(key);
    expect(options.applicationServerKey).toBe(options.applicationServerKey);
  });

  test("getKey of another name is a TypeError", async () => {
    const { port } = portOf({ type: "subscription", subscription: VIEW });
    const subscription = await new PushManager(port).subscribe();
    expect(() => subscription.getKey("secret" as never)).toThrow(TypeError);
  });

  test.each([
    ["ERR_SUBSCRIBE_PERMISSION", "NotAllowedError"],
    ["ERR_SUBSCRIBE_KEY_POINT", "InvalidAccessError"],
    ["ERR_SUBSCRIBE_CONFLICT", "InvalidStateError"],
    ["ERR_SUBSCRIBE_ABORTED", "AbortError"],
    ["ERR_JOURNAL_FULL", "AbortError"],
    ["ERR_OPTION", "TypeError"],
    ["ERR_APP_AUTH", "NotAllowedError"],
    ["ERR_APP_CONNECTION", "AbortError"],
    ["ERR_STORE", "OperationError"],
  ] as const)("%s is a %s", async (code, name) => {
    const { port } = portOf({ type: "error", code, message: "no" });
    const error = await failure(new PushManager(port).subscribe());
    expect(error.name).toBe(name);
    expect(w3cNameOf(code)).toBe(name);
    expect(error.godwitCode).toBe(code);
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
    expect((await failure(subscription.unsubscribe())).godwitCode).toBe("ERR_SUBSCRIBE_ABORTED");
  });

  test("advertises aes128gcm only", () => {
    expect(PushManager.supportedContentEncodings).toEqual(["aes128gcm"]);
  });
});

describe("messages", () => {
  test("data as text, JSON, bytes and buffer", () => {
    const data = new PushMessageData(utf8Encode('{"a":"\u00e9"}'));
    expect(data.text()).toBe('{"a":"\u00e9"}');
    expect(data.json()).toEqual({ a: "\u00e9" });
    expect(data.bytes()).toHaveLength(10);
    expect(() => new PushMessageData(utf8Encode("no")).json()).toThrow(SyntaxError);
    expect(data.arrayBuffer().byteLength).toBe(10);
  });
});
