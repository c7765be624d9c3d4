// SPDX-License-Identifier: MIT
// Goal: application servers get RFC 8030 semantics, a stable number for every error, and a 201 never before the message is
// durable. Method: real HTTP against a running service; stores that wait or fail on command.

import { request as httpRequest } from "node:http";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import { DEVICE_MESSAGES_MAX, VAPID_TOKENS_REMEMBERED_MAX } from "../../src/limits.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import { PublishAuth } from "../../src/push-service/publish-auth.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import type { NewMessage, PutResult } from "../../src/push-service/store/store.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import { gate, PUBLIC_ORIGIN, TestBench } from "./bench.ts";

let bench: TestBench;
beforeEach(async () => {
  bench = await TestBench.start();
});
afterEach(() => bench.stop());

/** [status, errno] of a refusal, whose body must have the documented shape. */
async function refusal(response: Response): Promise<[number, number]> {
  const body = (await response.json()) as Record<string, unknown>;
  expect(Object.keys(body)).toEqual(["code", "errno", "error", "message", "more_info"]);
  expect(body.code).toBe(response.status);
  return [response.status, body.errno as number];
}

/** The same `Authorization`, its ECDSA signature (r, s) replaced by (r, n - s), which is as good. */
function withOtherSignature(authorization: string): string {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const [, signed = "", signature = "", behind = ""] =
    /^(vapid t=[^.]+\.[^.]+\.)([^,]+)(.*)$/.exec(authorization) ?? [];
  const bytes = Buffer.from(signature, "base64url");
  const other = order - BigInt(`0x${bytes.subarray(32).toString("hex")}`);
  bytes.write(other.toString(16).padStart(64, "0"), 32, "hex");
  return `${signed}${bytes.toString("base64url")}${behind}`;
}

describe("publishing", () => {
  test("201 with Location and TTL, and the device gets body and metadata", async () => {
    const { device, endpoint, channel } = await bench.subscribed();
    const headers = {
      TTL: "99",
      Urgency: "high",
      Topic: "a-b_c",
      "Content-Type": "Application/Notification+JSON ; v=1",
    };
    const response = await bench.post(endpoint, headers, Uint8Array.of(9, 8, 7));
    expect(response.status).toBe(201);
    expect(response.headers.get("ttl")).toBe("99");
    expect(response.headers.get("location")).toMatch(/^https:\/\/push\.example\/m\/[\w-]{86}\.[\w-]{22}$/);
    expect(await device.next("notification")).toMatchObject({
      id: 1,
      attempt: 1,
      channel,
      ttlLeftS: 99,
      urgency: "high",
      topic: "a-b_c",
      saysNotification: true,
      body: Uint8Array.of(9, 8, 7),
    });
  });

  test("an empty message needs no encoding, and a long TTL is cut", async () => {
    const { device, endpoint } = await bench.subscribed();
    const response = await bench.post(endpoint, { TTL: "99999999999" }, null);
    expect([response.status, response.headers.get("ttl")]).toEqual([201, "2592000"]);
    expect(await device.next("notification")).toMatchObject({ body: null, saysNotification: false });
  });

  test("a list of content types does not say notification", async () => {
    const { device, endpoint } = await bench.subscribed();
    await bench.post(endpoint, { "Content-Type": "application/notification+json, text/plain" });
    expect(await device.next("notification")).toMatchObject({ saysNotification: false });
  });

  test.each<[string, Record<string, string>, [number, number]]>([
    ["TTL missing", { TTL: "" }, [400, 111]],
    ["TTL no integer", { TTL: "1.5" }, [400, 111]],
    ["TTL negative", { TTL: "-1" }, [400, 114]],
    ["no Content-Encoding", { "Content-Encoding": "" }, [400, 110]],
    ["another Content-Encoding", { "Content-Encoding": "aesgcm" }, [400, 110]],
    ["Topic too long", { Topic: "a".repeat(33) }, [400, 113]],
    ["Topic outside the alphabet", { Topic: "a b" }, [400, 113]],
    ["Urgency unknown", { Urgency: "urgent" }, [400, 301]],
  ])("%s is refused", async (_what, headers, expected) => {
    const { endpoint } = await bench.subscribed();
    expect(await refusal(await bench.post(endpoint, headers))).toEqual(expected);
  });

  test("4096 bytes are taken, one more is 413/104, announced or not", async () => {
    const { endpoint } = await bench.subscribed();
    expect((await bench.post(endpoint, {}, new Uint8Array(4096))).status).toBe(201);
    expect(await refusal(await bench.post(endpoint, {}, new Uint8Array(4097)))).toEqual([413, 104]);
    expect(await chunkedPost(bench.local(endpoint), 5000)).toBe(413);
  });

  test("an endpoint nobody sealed is 404/102", async () => {
    const { endpoint } = await bench.subscribed();
    const forged = endpoint.slice(0, -2) + (endpoint.endsWith("AA") ? "BA" : "AA");
    expect(await refusal(await bench.post(forged))).toEqual([404, 102]);
    expect(await refusal(await bench.post(`${PUBLIC_ORIGIN}/p/x`))).toEqual([404, 102]);
  });

  test("an unregistered channel is 410/106, for a day", async () => {
    const { device, endpoint, channel } = await bench.subscribed();
    device.send({ type: "unregisterWa", ref: 2, channel });
    await device.next("waUnregistered");
    const response = await bench.post(endpoint);
    expect(response.headers.get("cache-control")).toBe("max-age=86400");
    expect(await refusal(response)).toEqual([410, 106]);
  });

  test("a device's full quota is 429/302, never a silent drop", async () => {
    const { uaid, channel, endpoint } = await bench.subscribed();
    const message = {
      ttlS: 60,
      urgency: "normal",
      topic: null,
      saysNotification: false,
      body: null,
    } as const;
    for (let i = 0; i < DEVICE_MESSAGES_MAX; i++) {
      await bench.store.putMessage(Buffer.from(uaid, "hex"), channel, {
        ...message,
        receivedMs: bench.epochMs,
      });
    }
    const response = await bench.post(endpoint);
    expect(response.headers.get("retry-after")).not.toBeNull();
    expect(await refusal(response)).toEqual([429, 302]);
  });

  test("another method is 405/321 and another path 404/320", async () => {
    const { endpoint } = await bench.subscribed();
    const put = await bench.fetch(endpoint, { method: "PUT" });
    expect(put.headers.get("allow")).toBe("POST, DELETE, OPTIONS");
    expect(await refusal(put)).toEqual([405, 321]);
    expect(await refusal(await bench.fetch("/nowhere"))).toEqual([404, 320]);
  });

  test("pages of any origin may publish", async () => {
    const { endpoint } = await bench.subscribed();
    const preflight = await bench.fetch(endpoint, { method: "OPTIONS" });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, "*"]);
    expect((await bench.post(endpoint)).headers.get("access-control-expose-headers")).toContain("Location");
  });
});

describe("TTL 0", () => {
  test("reaches a connected device", async () => {
    const { device, endpoint } = await bench.subscribed();
    expect((await bench.post(endpoint, { TTL: "0" })).status).toBe(201);
    expect(await device.next("notification")).toMatchObject({ ttlLeftS: 0 });
  });

  test("is accepted and dropped when the device is away", async () => {
    const { device, endpoint, uaToken, channel } = await bench.subscribed();
    await device.close();
    const response = await bench.post(endpoint, { TTL: "0" });
    expect([response.status, response.headers.get("ttl")]).toEqual([201, "0"]);
    const again = await bench.connect(uaToken, [channel]);
    expect((await again.quiet()).map(({ type }) => type)).toEqual(["registered"]);
    const location = response.headers.get("location") ?? "";
    expect((await bench.fetch(location, { method: "DELETE" })).status).toBe(204);
  });
});

describe("VAPID", () => {
  test("a good token by the key of the subscription is taken, more than once", async () => {
    const { endpoint } = await bench.subscribed(bench.keys.publicKey);
    const authorization = bench.vapid({ sub: "mailto:a@example.com" });
    for (let i = 0; i < 2; i++) {
      expect((await bench.post(endpoint, { Authorization: authorization })).status).toBe(201);
    }
  });

  test.each<[string, () => string]>([
    ["missing", () => ""],
    ["of another scheme", () => "Basic x"],
    ["for another audience", () => bench.vapid({ aud: "https://other.example" })],
    ["expired", () => bench.vapid({ expiresS: bench.epochMs / 1000 - 61 })],
    ["too far ahead", () => bench.vapid({ expiresS: bench.epochMs / 1000 + 86_500 })],
    ["by another key", () => bench.vapid({ keys: new TestBench().keys })],
    ["changed", () => bench.vapid().replace(/t=([\w-]+)\.([\w-])/, "t=$1.A$2")],
  ])("%s is 401/109", async (_what, authorization) => {
    const { endpoint } = await bench.subscribed(bench.keys.publicKey);
    const response = await bench.post(endpoint, { Authorization: authorization() });
    expect(response.headers.get("www-authenticate")).toBe("vapid");
    expect(await refusal(response)).toEqual([401, 109]);
  });

  test("a token that was good is refused once it has expired", async () => {
    const { endpoint } = await bench.subscribed(bench.keys.publicKey);
    const Authorization = bench.vapid({ expiresS: bench.epochMs / 1000 + 10 });
    expect((await bench.post(endpoint, { Authorization })).status).toBe(201);
    bench.epochMs += 71_000;
    expect(await refusal(await bench.post(endpoint, { Authorization }))).toEqual([401, 109]);
  });

  test("an endpoint without a key takes anybody, but no false claim", async () => {
    const { endpoint } = await bench.subscribed();
    expect((await bench.post(endpoint, { Authorization: bench.vapid() })).status).toBe(201);
    const wrong = bench.vapid({ aud: "https://other.example" });
    expect(await refusal(await bench.post(endpoint, { Authorization: wrong }))).toEqual([401, 109]);
  });

  test("is checked before the subscription, the subscription before the body", async () => {
    const { device, endpoint, channel } = await bench.subscribed(bench.keys.publicKey);
    device.send({ type: "unregisterWa", ref: 2, channel });
    await device.next("waUnregistered");
    expect(await refusal(await bench.post(endpoint, {}, new Uint8Array(5000)))).toEqual([401, 109]);
    const Authorization = bench.vapid();
    expect(await refusal(await bench.post(endpoint, { Authorization }, new Uint8Array(5000)))).toEqual([
      410, 106,
    ]);
  });
});

describe("withdrawing", () => {
  test("a stored message is gone for good; a second time is 204 too", async () => {
    const { device, endpoint, uaToken, channel } = await bench.subscribed();
    await device.close();
    const location = (await bench.post(endpoint)).headers.get("location") ?? "";
    for (let i = 0; i < 2; i++) expect((await bench.fetch(location, { method: "DELETE" })).status).toBe(204);
    const again = await bench.connect(uaToken, [channel]);
    expect((await again.quiet()).map(({ type }) => type)).toEqual(["registered"]);
  });

  test("a Location nobody sealed is 400/307", async () => {
    const response = await bench.fetch(`${PUBLIC_ORIGIN}/m/AAAA`, { method: "DELETE" });
    expect(await refusal(response)).toEqual([400, 307]);
  });
});

describe("revoking", () => {
  const revoke = (endpoint: string, Authorization: string) =>
    bench.fetch(endpoint, { method: "DELETE", headers: Authorization === "" ? {} : { Authorization } });
  const revokeToken = (endpoint: string, overrides: Parameters<TestBench["vapid"]>[0] = {}) =>
    bench.vapid({ act: "revoke", sub: endpoint, expiresS: bench.epochMs / 1000 + 300, ...overrides });

  test("ends the subscription and tells the device until it unregisters", async () => {
    const { device, endpoint, channel, uaToken } = await bench.subscribed(bench.keys.publicKey);
    expect((await revoke(endpoint, revokeToken(endpoint))).status).toBe(204);
    expect(await device.next("revoked")).toMatchObject({ channel, reason: "application-server" });
    expect((await bench.post(endpoint, { Authorization: bench.vapid() })).status).toBe(410);
    await device.close();
    const again = await bench.connect(uaToken);
    expect((await again.quiet()).map(({ type }) => type)).toEqual(["registered", "revoked"]);
    again.send({ type: "unregisterWa", ref: 1, channel });
    await again.next("waUnregistered");
    await again.close();
    const third = await bench.connect(uaToken);
    expect((await third.quiet()).map(({ type }) => type)).toEqual(["registered"]);
  });

  test("its token publishes nothing", async () => {
    const { endpoint } = await bench.subscribed(bench.keys.publicKey);
    const response = await bench.post(endpoint, { Authorization: revokeToken(endpoint) });
    expect(await refusal(response)).toEqual([401, 109]);
  });

  test("a token works once, also under the other signature that anybody can make of its own", async () => {
    const { endpoint } = await bench.subscribed(bench.keys.publicKey);
    const token = revokeToken(endpoint);
    expect((await revoke(endpoint, token)).status).toBe(204);
    expect(await refusal(await revoke(endpoint, token))).toEqual([403, 306]);
    expect(await refusal(await revoke(endpoint, withOtherSignature(token)))).toEqual([403, 306]);
    const other = revokeToken(endpoint, { expiresS: bench.epochMs / 1000 + 299 });
    expect(await refusal(await revoke(endpoint, other))).toEqual([410, 106]);
  });

  test.each<[string, (endpoint: string) => string, [number, number]]>([
    ["no token", () => "", [401, 109]],
    ["a sending token", () => bench.vapid({ sub: "mailto:a@example.com" }), [403, 305]],
    ["a token for another endpoint", (endpoint) => revokeToken(`${endpoint}A`), [403, 305]],
    [
      "a token for later",
      (endpoint) => revokeToken(endpoint, { expiresS: bench.epochMs / 1000 + 301 }),
      [403, 305],
    ],
    [
      "a token by another key",
      (endpoint) => revokeToken(endpoint, { keys: new TestBench().keys }),
      [401, 109],
    ],
  ])("%s does not revoke", async (_what, token, expected) => {
    const { endpoint } = await bench.subscribed(bench.keys.publicKey);
    expect(await refusal(await revoke(endpoint, token(endpoint)))).toEqual(expected);
    expect((await bench.post(endpoint, { Authorization: bench.vapid() })).status).toBe(201);
  });

  test("an endpoint without a key is ended by its device only: 403/304", async () => {
    const { endpoint } = await bench.subscribed();
    expect(await refusal(await revoke(endpoint, revokeToken(endpoint)))).toEqual([403, 304]);
  });
});

describe("rates", () => {
  test("too many POSTs to one endpoint are 429/303 until time has passed", async () => {
    const slow = await TestBench.start({ endpointRate: { burstMax: 2, perMinute: 60 } });
    const { endpoint } = await slow.subscribed();
    for (let i = 0; i < 2; i++) expect((await slow.post(endpoint)).status).toBe(201);
    const response = await slow.post(endpoint);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await refusal(response)).toEqual([429, 303]);
    slow.monotonicMs += 1000;
    expect((await slow.post(endpoint)).status).toBe(201);
    await slow.stop();
  });

  test("all endpoints of one device share a rate, other devices do not", async () => {
    const slow = await TestBench.start({ deviceRate: { burstMax: 2, perMinute: 60 } });
    const { endpoint, device } = await slow.subscribed();
    const registrationId = new Uint8Array(16).fill(2);
    device.send({ type: "registerWa", ref: 2, registrationId, applicationServerKey: null });
    const second = (await device.next("waRegistered")).endpoint;
    const posts = [endpoint, second, second, (await slow.subscribed()).endpoint];
    const statuses: number[] = [];
    for (const to of posts) statuses.push((await slow.post(to)).status);
    expect(statuses).toEqual([201, 201, 429, 201]);
    await slow.stop();
  });
});

describe("an address that is refused too often", () => {
  const verify = vi.fn(nodeProvider.verify);
  let bench: TestBench;
  beforeEach(async () => {
    bench = await TestBench.start({
      isBehindProxy: true,
      refusalRate: { burstMax: 3, perMinute: 60 },
      provider: { ...nodeProvider, verify },
    });
    verify.mockClear();
  });
  afterEach(() => bench.stop());

  const from = (address: string) => ({ "X-Forwarded-For": address });
  const changed = (vapid: string, i: number) => vapid.replace(/.{4}(?=, k=)/, `AA${i}A`);

  test("gets 429/316 before anything is proved for it, until time has passed", async () => {
    const { endpoint } = await bench.subscribed(bench.keys.publicKey);
    const good = bench.vapid();
    const post = async (address: string, Authorization: string) => {
      const response = await bench.post(endpoint, { Authorization, ...from(address) });
      return response.status === 201 ? 201 : await refusal(response);
    };
    const other = bench.vapid({ sub: "mailto:a@b.example" });
    expect(await post("192.0.2.1", good)).toBe(201);
    for (let i = 0; i < 3; i++) expect(await post("192.0.2.1", changed(good, i))).toEqual([401, 109]);
    expect(verify).toHaveBeenCalledTimes(4);
    for (let i = 3; i < 6; i++) expect(await post("192.0.2.1", changed(good, i))).toEqual([429, 316]);
    expect(await post("192.0.2.1", other)).toEqual([429, 316]);
    expect(verify).toHaveBeenCalledTimes(4);
    // What was proved needs no proof, and others are others.
    expect(await post("192.0.2.1", good)).toBe(201);
    expect(await post("192.0.2.2", changed(good, 6))).toEqual([401, 109]);
    bench.monotonicMs += 1000;
    expect(await post("192.0.2.1", other)).toBe(201);
  });

  test.each<[string, (i: number) => Promise<Response>, [number, number]]>([
    ["endpoints", (i) => bench.post(`/p/${"A".repeat(100)}${i}`, from("2001:db8::1")), [404, 102]],
    [
      "Locations",
      (i) => bench.fetch(`/m/${"A".repeat(80)}${i}`, { method: "DELETE", headers: from("2001:db8::2") }),
      [400, 307],
    ],
    [
      "revocations",
      (i) => bench.fetch(`/p/${"A".repeat(100)}${i}`, { method: "DELETE", headers: from("2001:db8::3") }),
      [404, 102],
    ],
  ])("guessed %s count", async (_what, guess, first) => {
    for (let i = 0; i < 3; i++) expect(await refusal(await guess(i))).toEqual(first);
    const late = await guess(3);
    expect(late.headers.get("retry-after")).toBe("1");
    expect(await refusal(late)).toEqual([429, 316]);
  });
});

test("the tokens in use stay known, however many others come once", () => {
  let checked = 0;
  const provider = { ...nodeProvider, verify: () => ++checked > 0 };
  const auth = new PublishAuth({ audience: PUBLIC_ORIGIN, provider });
  const endpoint = { uaid: new Uint8Array(16), channel: 1, keyHash: null, dialect: "godwit.v1" } as const;
  const [header, claims, signature] = (/t=([^,]+)/.exec(bench.vapid())?.[1] ?? "").split(".");
  const use = (i: number) => {
    const token = `${header}.${claims}.${signature?.slice(0, -5)}${String(i).padStart(4, "0")}${signature?.at(-1)}`;
    const headers = { authorization: `vapid t=${token}, k=${base64urlEncode(bench.keys.publicKey)}` };
    auth.checkPublish(endpoint, headers, bench.epochMs / 1000, () => {});
  };
  for (let i = 1; i < VAPID_TOKENS_REMEMBERED_MAX + 10; i++) {
    use(0);
    use(i);
  }
  expect(checked).toBe(VAPID_TOKENS_REMEMBERED_MAX + 10);
});

describe("durability", () => {
  /** Waits for the gate before it stores, as a disk would; a failed gate stores nothing. */
  class SlowStore extends MemoryStore {
    flush = gate();
    entered = gate();
    override async putMessage(uaid: Uint8Array, channel: number, message: NewMessage): Promise<PutResult> {
      this.entered.open();
      await this.flush.promise;
      return super.putMessage(uaid, channel, message);
    }
  }

  test("no 201 while the store has not flushed; one once it has", async () => {
    const store = new SlowStore();
    const slow = await TestBench.start({ store });
    const { endpoint, device } = await slow.subscribed();
    let isAnswered = false;
    const posted = slow.post(endpoint).then((response) => {
      isAnswered = true;
      return response.status;
    });
    await store.entered.promise;
    // A whole round trip of another request and of the device: time enough for a wrong 201.
    expect((await slow.fetch("/healthz")).status).toBe(200);
    expect(await device.quiet()).toEqual([]);
    expect(isAnswered).toBe(false);
    store.flush.open();
    expect(await posted).toBe(201);
    await device.next("notification");
    await slow.stop();
  });

  test("a failed flush is 503/201 with Retry-After, and nothing is stored or delivered", async () => {
    const store = new SlowStore();
    const slow = await TestBench.start({ store });
    const { endpoint, device, uaid } = await slow.subscribed();
    store.flush.fail(new GodwitError("ERR_STORE", "disk full"));
    const response = await slow.post(endpoint);
    expect(response.headers.get("retry-after")).toBe("120");
    expect(await refusal(response)).toEqual([503, 201]);
    expect(await device.quiet()).toEqual([]);
    expect(await store.getDevice(Buffer.from(uaid, "hex"))).toMatchObject({ messages: 0 });
    expect(slow.log).toContainEqual({ event: "store-failed", error: "disk full" });
    await slow.stop();
  });

  test("an unexpected failure is 500/399 and says nothing about itself", async () => {
    const store = new SlowStore();
    const slow = await TestBench.start({ store });
    const { endpoint } = await slow.subscribed();
    store.flush.fail(new TypeError("sEcReT"));
    const response = await slow.post(endpoint);
    expect(await response.clone().text()).not.toContain("sEcReT");
    expect(await refusal(response)).toEqual([500, 399]);
    expect(JSON.stringify(slow.log)).not.toContain("sEcReT");
    await slow.stop();
  });
});

describe("log", () => {
  test("carries no token, endpoint, uaid or body", async () => {
    const { endpoint, uaToken, uaid } = await bench.subscribed(bench.keys.publicKey);
    const Authorization = bench.vapid();
    const body = new TextEncoder().encode("pAyLoAd");
    const location = (await bench.post(endpoint, { Authorization }, body)).headers.get("location") ?? "";
    await bench.post(endpoint.slice(0, -4));
    const text = JSON.stringify(bench.log);
    const secrets = [
      uaToken,
      uaid,
      endpoint.slice(-40),
      location.slice(-40),
      Authorization.slice(10, 60),
      "pAyLoAd",
    ];
    for (const secret of secrets) expect(text).not.toContain(secret);
    expect(bench.log.map(({ event }) => event)).toContain("message-accepted");
  });
});

/** Status of a POST whose length is not announced. */
function chunkedPost(url: string, bytes: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { TTL: "1", "Content-Encoding": "aes128gcm", "Transfer-Encoding": "chunked" };
    const request = httpRequest(url, { method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    request.on("error", reject);
    request.end(Buffer.alloc(bytes));
  });
}
