// SPDX-License-Identifier: MIT
// Goal: every bad POST is refused with its status, its stable number and a plain sentence, stores nothing and hurts nobody.
// Method: a running push service and agent; requests by hand over TLS, with tokens by `web-push`; in the end the one good
// message is all the app got.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import webPush from "web-push";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import { signVapid } from "../../src/webpush/vapid.ts";
import { type AgentProcess, Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
let agent: AgentProcess;
let subscription: PushSubscriptionJSON;
beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  agent = await stage.agent({ service, stateDirectory: stage.newDirectory(), owners: [NEWS] });
  subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
});
afterAll(() => stage.close());

describe("headers and body", () => {
  const TOPIC = "Topic must be 1 to 32 base64url characters";
  const TTL = "TTL is missing or not an integer";
  test.each([
    ["no TTL", { TTL: null }, 400, 111, TTL],
    ["a TTL that is no number", { TTL: "soon" }, 400, 111, TTL],
    ["a negative TTL", { TTL: "-1" }, 400, 114, "TTL is negative"],
    ["a Topic too long", { Topic: "x".repeat(33) }, 400, 113, TOPIC],
    ["a Topic outside the alphabet", { Topic: "no spaces" }, 400, 113, TOPIC],
    ["an empty Topic", { Topic: "" }, 400, 113, TOPIC],
    ["an unknown Urgency", { Urgency: "now" }, 400, 301, "Urgency must be very-low, low, normal or high"],
    [
      "another coding",
      { "Content-Encoding": "aesgcm" },
      400,
      110,
      "the body's coding cannot be delivered to this device",
    ],
  ])("%s", async (_what, headers, status, errno, message) => {
    expect(await post({ headers })).toMatchObject({ status, errno, message });
  });

  test("a body over the limit", async () => {
    const refused = { status: 413, errno: 104, message: "the body is too large" };
    expect(await post({ body: new Uint8Array(4097) })).toMatchObject(refused);
  });

  test("a body far over the limit, announced in no header", async () => {
    const headers = { "Content-Length": null, "Transfer-Encoding": "chunked" };
    expect(await post({ headers, body: new Uint8Array(60_000) })).toMatchObject({ status: 413, errno: 104 });
  });
});

describe("VAPID", () => {
  const HOUR_S = 3600;

  test("none", async () => {
    const message = "the VAPID authorization is missing or wrong";
    expect(await post({ headers: { Authorization: null } })).toMatchObject({
      status: 401,
      errno: 109,
      message,
    });
  });

  test("a signature that is not by the key", async () => {
    const authorization = vapid();
    const at = authorization.lastIndexOf(".", authorization.indexOf(",")) + 1;
    const other = authorization[at] === "A" ? "B" : "A";
    const forged = `${authorization.slice(0, at)}${other}${authorization.slice(at + 1)}`;
    expect(await post({ headers: { Authorization: forged } })).toMatchObject({
      status: 401,
      errno: 109,
      message: "the token is not signed by k",
    });
  });

  test("made for another push service", async () => {
    const headers = { Authorization: vapid({ audience: "https://push.elsewhere.example" }) };
    expect(await post({ headers })).toMatchObject({
      status: 401,
      errno: 109,
      message: "aud is not the origin of the push service",
    });
  });

  test("expired", async () => {
    const headers = { Authorization: sign(secondsAhead(-HOUR_S)) };
    expect(await post({ headers })).toMatchObject({ status: 401, errno: 109, message: "exp is past" });
  });

  test("valid for too long", async () => {
    const headers = { Authorization: sign(secondsAhead(25 * HOUR_S)) };
    expect(await post({ headers })).toMatchObject({
      status: 401,
      errno: 109,
      message: "exp is more than 86400 s ahead",
    });
  });

  test("by the key of another application server", async () => {
    const headers = { Authorization: vapid({ keys: webPush.generateVAPIDKeys() }) };
    expect(await post({ headers })).toMatchObject({
      status: 401,
      errno: 109,
      message: "the token is not by the key of the subscription",
    });
  });

  test("no VAPID at all but another scheme", async () => {
    const headers = { Authorization: "Basic abc" };
    expect(await post({ headers })).toMatchObject({
      status: 401,
      errno: 109,
      message: "not the vapid scheme",
    });
  });
});

describe("endpoints", () => {
  test("one that nobody made", async () => {
    const endpoint = `${service.origin}/p/${"A".repeat(80)}`;
    const refused = { status: 404, errno: 102, message: "no such endpoint" };
    expect(await post({ endpoint })).toMatchObject(refused);
  });

  test("one with a character changed", async () => {
    const last = subscription.endpoint.at(-1) === "A" ? "B" : "A";
    const endpoint = `${subscription.endpoint.slice(0, -1)}${last}`;
    expect(await post({ endpoint })).toMatchObject({ status: 404, errno: 102 });
  });

  test("one that its application server revoked: 410, and the app is told", async () => {
    const revoked = await agent.subscribe(NEWS, {
      applicationServerKey: sender.keys.publicKey,
      waToken: "to be revoked",
    });
    const headers = { Authorization: sign(secondsAhead(60), { act: "revoke", sub: revoked.endpoint }) };
    expect(await service.request("DELETE", revoked.endpoint, headers)).toMatchObject({ status: 204 });
    expect(await post({ endpoint: revoked.endpoint })).toMatchObject({
      status: 410,
      errno: 106,
      message: "the subscription has ended",
    });
    const change = await agent.changed(NEWS);
    expect([change.oldSubscription, change.newSubscription]).toEqual([revoked, null]);
  });

  test("one that its app unsubscribed", async () => {
    const ended = await agent.subscribe(NEWS, {
      applicationServerKey: sender.keys.publicKey,
      waToken: "to be ended",
    });
    expect(await agent.ask("unsubscribe", { owner: NEWS, waToken: "to be ended" })).toBe(true);
    await service.stderr.until("it is unregistered", (lines) => {
      return lines.filter((line) => line.startsWith("unregistered")).length >= 2 ? true : null;
    });
    expect(await post({ endpoint: ended.endpoint })).toMatchObject({ status: 410, errno: 106 });
  });

  test("a token for sending does not revoke", async () => {
    const headers = { Authorization: vapid() };
    expect(await service.request("DELETE", subscription.endpoint, headers)).toMatchObject({
      status: 403,
      errno: 305,
      message: "revoking needs a token with act, sub and a near exp made for it",
    });
  });
});

test("another method and another path", async () => {
  expect(await service.request("PATCH", subscription.endpoint)).toMatchObject({ status: 405, errno: 321 });
  expect(await service.request("GET", "/nothing")).toMatchObject({ status: 404, errno: 320 });
});

test("in the end nothing of all that was refused has arrived, and a good message does", async () => {
  await sender.send(subscription, "good");
  await agent.pushed("good");
  expect(agent.pushes()).toHaveLength(1);
  expect((await service.request("GET", "/readyz")).status).toBe(200);
});

interface Post {
  readonly endpoint?: string;
  /** null takes a header away. */
  readonly headers?: Readonly<Record<string, string | null>>;
  readonly body?: Uint8Array;
}

/** A POST that is good but for what is said. */
function post({ endpoint = subscription.endpoint, headers = {}, body = new Uint8Array(100) }: Post) {
  const all: Record<string, string | null> = {
    TTL: "60",
    "Content-Encoding": "aes128gcm",
    "Content-Length": String(body.length),
    Authorization: vapid(),
    ...headers,
  };
  const kept = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null);
  return service.request("POST", endpoint, Object.fromEntries(kept), body);
}

/** A token by `web-push`. */
function vapid({ keys = sender.keys, audience = service.origin } = {}): string {
  const { publicKey, privateKey } = keys;
  const { Authorization } = webPush.getVapidHeaders(
    audience,
    "mailto:sender@news.example",
    publicKey,
    privateKey,
    "aes128gcm",
  );
  return Authorization;
}

/** A token `web-push` would refuse to make. */
function sign(expiresS: number, { sub, ...claims }: { sub?: string; act?: string } = {}): string {
  const { publicKey, privateKey } = sender.keys;
  const keys = { publicKey: base64urlDecode(publicKey), privateKey: base64urlDecode(privateKey) };
  const subject = sub === undefined ? {} : { subject: sub };
  return signVapid({ keys, audience: service.origin, expiresS, claims, ...subject });
}

function secondsAhead(seconds: number): number {
  return Math.floor(Date.now() / 1000) + seconds;
}
