// SPDX-License-Identifier: MIT
// Goal: senders that know Mozilla's push service find its HTTP here: numbers, order of checks, headers, both drafts of VAPID,
// the aesgcm coding and longer bodies for user agents of that service, and nothing checked that is not ours to check. Method:
// tables of requests to the endpoint of a device of dialect autopush, and the same to one of godwit.v1 where they differ.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  AUTOPUSH_BODY_BYTES_MAX,
  ENCRYPTION_HEADER_CHARS_MAX,
  MESSAGE_BODY_BYTES_MAX,
} from "../../src/limits.ts";
import { base64urlDecode, base64urlEncode } from "../../src/webpush/base64url.ts";
import { type AutopushDevice, autopushOnline, autopushSubscribed, uuid } from "./autopush-device.ts";
import { TestBench } from "./bench.ts";

let bench: TestBench;
let device: AutopushDevice;
let endpoint: string;
beforeEach(async () => {
  bench = await TestBench.start();
  ({ device, endpoint } = await autopushSubscribed(bench));
});
afterEach(() => bench.stop());

/** [status, errno]; 0 for no body. */
async function outcome(response: Response): Promise<[number, number]> {
  const text = await response.text();
  const { errno = -1 } = text === "" ? { errno: 0 } : (JSON.parse(text) as { errno?: number });
  return [response.status, errno];
}

/** As old senders write them. */
const AESGCM = {
  "Content-Encoding": "aesgcm",
  Encryption: 'keyid="a1"; salt="c2FsdHNhbHRzYWx0c2Fs="',
  "Crypto-Key": 'keyid="a1"; dh="JunkJunkJunk="',
};

describe("coding", () => {
  test.each<[string, Record<string, string>, [number, number]]>([
    ["aes128gcm", {}, [201, 0]],
    ["aes128gcm, Crypto-Key with a VAPID key", { "Crypto-Key": "p256ecdsa=AAAA" }, [201, 0]],
    ["aes128gcm, Encryption with a record size", { Encryption: "rs=4096" }, [201, 0]],
    ["aes128gcm, headers that cannot be read", { Encryption: ";;,=", "Crypto-Key": "\\" }, [201, 0]],
    ["aes128gcm, salt in a header", { Encryption: "salt=AAAA" }, [400, 110]],
    ["aes128gcm, key in a header", { "Crypto-Key": "keyid=p;dh=AAAA" }, [400, 110]],
    ["none", { "Content-Encoding": "" }, [400, 110]],
    ["in capitals", { "Content-Encoding": "AES128GCM" }, [400, 110]],
    ["an older one", { "Content-Encoding": "aesgcm128" }, [400, 110]],
    ["two", { "Content-Encoding": "aes128gcm, gzip" }, [400, 110]],
    ["aesgcm, junk for keys", AESGCM, [201, 0]],
    [
      "aesgcm, key beside another",
      { ...AESGCM, "Crypto-Key": "keyid=p256dh;dh=BBBB,p256ecdsa=CC" },
      [201, 0],
    ],
    ["aesgcm, no Crypto-Key", { ...AESGCM, "Crypto-Key": "" }, [201, 0]],
    ["aesgcm, Crypto-Key without dh", { ...AESGCM, "Crypto-Key": "p256ecdsa=AAAA" }, [400, 110]],
    ["aesgcm, dh outside the alphabet", { ...AESGCM, "Crypto-Key": "dh=a+b" }, [400, 110]],
    ["aesgcm, no Encryption", { ...AESGCM, Encryption: "" }, [400, 110]],
    ["aesgcm, Encryption without salt", { ...AESGCM, Encryption: "rs=24" }, [400, 110]],
    ["aesgcm, salt outside the alphabet", { ...AESGCM, Encryption: "salt=a/b" }, [400, 110]],
    [
      "aesgcm, a header too long",
      { ...AESGCM, "Crypto-Key": `dh=${"A".repeat(ENCRYPTION_HEADER_CHARS_MAX)}` },
      [400, 110],
    ],
  ])("%s", async (_what, headers, expected) => {
    expect(await outcome(await bench.post(endpoint, headers))).toEqual(expected);
  });

  test("none is needed for an empty body, whatever the headers say", async () => {
    expect(await outcome(await bench.post(endpoint, { Encryption: "salt=AAAA" }, null))).toEqual([201, 0]);
  });

  test("aesgcm reaches the device with its headers, without quote marks and padding, live and stored", async () => {
    const fresh = await autopushSubscribed(bench);
    const sent = {
      encoding: "aesgcm",
      encryption: "keyid=a1; salt=c2FsdHNhbHRzYWx0c2Fs",
      cryptoKey: "keyid=a1; dh=JunkJunkJunk",
    };
    await bench.post(fresh.endpoint, AESGCM, Uint8Array.of(1));
    expect((await fresh.device.next("notification")).headers).toEqual(sent);
    await fresh.device.close();
    const { device: again } = await autopushOnline(bench, fresh.uaid);
    expect(await again.next("notification")).toMatchObject({ headers: sent, data: Uint8Array.of(1) });
    await bench.post(fresh.endpoint, { ...AESGCM, "Crypto-Key": "" }, Uint8Array.of(2));
    expect((await again.next("notification")).headers).toMatchObject({ cryptoKey: null });
  });

  test("a native device's endpoint takes neither aesgcm nor a longer body", async () => {
    const native = await bench.subscribed();
    expect(await outcome(await bench.post(native.endpoint, AESGCM))).toEqual([400, 110]);
    const long = new Uint8Array(MESSAGE_BODY_BYTES_MAX + 1);
    expect(await outcome(await bench.post(native.endpoint, {}, long))).toEqual([413, 104]);
    expect(await native.device.quiet()).toEqual([]);
  });
});

describe("headers", () => {
  test.each<[string, Record<string, string>, [number, number]]>([
    ["TTL missing", { TTL: "" }, [400, 111]],
    ["TTL no integer", { TTL: "1.5" }, [400, 111]],
    ["TTL text", { TTL: "soon" }, [400, 111]],
    ["TTL signed", { TTL: "+60" }, [201, 0]],
    ["TTL negative", { TTL: "-1" }, [400, 114]],
    ["TTL minus zero", { TTL: "-0" }, [201, 0]],
    ["Topic of 32", { Topic: "a".repeat(32) }, [201, 0]],
    ["Topic of 33", { Topic: "a".repeat(33) }, [400, 113]],
    ["Topic padded", { Topic: "YWJj==" }, [201, 0]],
    ["Topic outside the alphabet", { Topic: "a+b" }, [400, 113]],
    ["Urgency", { Urgency: "very-low" }, [201, 0]],
    ["Urgency unknown", { Urgency: "urgent" }, [400, 301]],
  ])("%s", async (_what, headers, expected) => {
    expect(await outcome(await bench.post(endpoint, headers))).toEqual(expected);
  });

  test("a body of 5630 bytes is delivered, one more is 413", async () => {
    const body = new Uint8Array(AUTOPUSH_BODY_BYTES_MAX).fill(7);
    expect((await bench.post(endpoint, {}, body)).status).toBe(201);
    expect((await device.next("notification")).data).toEqual(body);
    const longer = await bench.post(endpoint, {}, new Uint8Array(AUTOPUSH_BODY_BYTES_MAX + 1));
    expect(await outcome(longer)).toEqual([413, 104]);
  });

  test("a 201 is empty and has Location, TTL and open CORS; the Location withdraws", async () => {
    const response = await bench.post(endpoint, { TTL: "2592001" });
    const { headers } = response;
    expect([await response.text(), headers.get("ttl"), headers.get("access-control-allow-origin")]).toEqual([
      "",
      "2592000",
      "*",
    ]);
    const location = headers.get("location") ?? "";
    expect(await bench.store.countMessages()).toBe(1);
    for (let i = 0; i < 2; i++) {
      expect(await outcome(await bench.fetch(location, { method: "DELETE" }))).toEqual([204, 0]);
    }
    expect(await bench.store.countMessages()).toBe(0);
    expect(await outcome(await bench.fetch(`${location}A`, { method: "DELETE" }))).toEqual([400, 307]);
  });

  test("410 may be remembered for a day", async () => {
    device.send({ type: "unregister", channelId: uuid(1), code: null });
    await device.next("unregister");
    const response = await bench.post(endpoint);
    expect(response.headers.get("cache-control")).toBe("max-age=86400");
    expect(await outcome(response)).toEqual([410, 106]);
  });
});

describe("VAPID", () => {
  const { keys } = new TestBench();
  const key = base64urlEncode(keys.publicKey);
  const standard = Buffer.from(keys.publicKey).toString("base64");
  const token = (overrides: Parameters<TestBench["vapid"]>[0] = {}) =>
    /t=([^,]+)/.exec(bench.vapid({ keys, ...overrides }))?.[1] ?? "";
  let restricted: string;
  beforeEach(async () => {
    restricted = (await device.register(uuid(2), key)).pushEndpoint;
  });

  test.each<[string, () => Record<string, string>, [number, number]]>([
    ["vapid", () => ({ Authorization: `vapid t=${token()}, k=${key}` }), [201, 0]],
    ["vapid, scheme and order", () => ({ Authorization: `VAPID k=${key},t=${token()}` }), [201, 0]],
    [
      "vapid, key in standard base64",
      () => ({ Authorization: `vapid t=${token()},k=${standard}` }),
      [201, 0],
    ],
    ["vapid, key padded", () => ({ Authorization: `vapid t=${token()},k=${key}=` }), [201, 0]],
    ["WebPush", () => ({ Authorization: `WebPush ${token()}`, "Crypto-Key": `p256ecdsa=${key}` }), [201, 0]],
    [
      "Bearer",
      () => ({ Authorization: `bearer ${token()}`, "Crypto-Key": `p256ecdsa=${standard}` }),
      [201, 0],
    ],
    [
      "WebPush beside aesgcm",
      () => ({
        ...AESGCM,
        Authorization: `WebPush ${token()}`,
        "Crypto-Key": `${AESGCM["Crypto-Key"]}; p256ecdsa="${key}"`,
      }),
      [201, 0],
    ],
    [
      "a sub that is no URL",
      () => ({ Authorization: `vapid t=${token({ sub: "me" })}, k=${key}` }),
      [201, 0],
    ],
    ["WebPush without Crypto-Key", () => ({ Authorization: `WebPush ${token()}` }), [400, 110]],
    [
      "WebPush, no p256ecdsa",
      () => ({ Authorization: `WebPush ${token()}`, "Crypto-Key": "dh=AA" }),
      [400, 110],
    ],
    [
      "WebPush, key undecodable",
      () => ({ Authorization: `WebPush ${token()}`, "Crypto-Key": "p256ecdsa=%" }),
      [401, 109],
    ],
    [
      "WebPush without a token",
      () => ({ Authorization: "WebPush ", "Crypto-Key": `p256ecdsa=${key}` }),
      [401, 109],
    ],
    ["missing", () => ({}), [401, 109]],
    ["another scheme", () => ({ Authorization: "Basic AAAA" }), [401, 109]],
    ["vapid, key undecodable", () => ({ Authorization: `vapid t=${token()}, k=%` }), [401, 109]],
    ["vapid without a key", () => ({ Authorization: `vapid t=${token()}` }), [401, 109]],
    ["another key", () => ({ Authorization: bench.vapid() }), [401, 109]],
    [
      "another audience",
      () => ({ Authorization: `vapid t=${token({ aud: "https://a.example" })}, k=${key}` }),
      [401, 109],
    ],
    [
      "another key's WebPush",
      () => ({
        Authorization: `WebPush ${token()}`,
        "Crypto-Key": `p256ecdsa=${base64urlEncode(bench.keys.publicKey)}`,
      }),
      [401, 109],
    ],
  ])("%s", async (_what, headers, expected) => {
    for (let i = 0; i < 2; i++) {
      const response = await bench.post(restricted, headers());
      if (expected[0] === 401) expect(response.headers.get("www-authenticate")).toBe("vapid");
      expect(await outcome(response)).toEqual(expected);
    }
  });

  test("a WebPush token works for native endpoints too, and revokes nothing", async () => {
    const native = await bench.subscribed(keys.publicKey);
    const signed = (claims: Parameters<typeof token>[0] = {}) => ({
      Authorization: `WebPush ${token(claims)}`,
      "Crypto-Key": `p256ecdsa=${key}`,
    });
    expect((await bench.post(native.endpoint, signed())).status).toBe(201);
    const headers = signed({ act: "revoke", sub: native.endpoint, expiresS: bench.epochMs / 1000 + 60 });
    const revoking = await bench.fetch(native.endpoint, { method: "DELETE", headers });
    expect(await outcome(revoking)).toEqual([401, 109]);
  });

  test("a key remembered for a token is that of no other", async () => {
    const good = { Authorization: `WebPush ${token()}`, "Crypto-Key": `p256ecdsa=${key}` };
    expect((await bench.post(restricted, good)).status).toBe(201);
    const other = base64urlEncode(
      Uint8Array.from(base64urlDecode(key), (byte, i) => (i === 64 ? byte ^ 1 : byte)),
    );
    expect((await bench.post(restricted, { ...good, "Crypto-Key": `p256ecdsa=${other}` })).status).toBe(401);
  });

  test("each check comes before the next: endpoint, token, subscription, size, TTL there, coding, TTL's sign, Topic", async () => {
    device.send({ type: "unregister", channelId: uuid(1), code: null });
    await device.next("unregister");
    const wrong = { "Content-Encoding": "gzip", Topic: "!", Authorization: "Basic AAAA" };
    const long = new Uint8Array(AUTOPUSH_BODY_BYTES_MAX + 1);
    const { pushEndpoint: live } = await device.register(uuid(3));
    const steps: [string, Record<string, string>, Uint8Array][] = [
      [`${endpoint.slice(0, -2)}__`, { ...wrong, TTL: "" }, long],
      [endpoint, { ...wrong, TTL: "" }, long],
      [endpoint, { ...wrong, TTL: "", Authorization: "" }, long],
      [live, { ...wrong, TTL: "", Authorization: "" }, long],
      [live, { ...wrong, TTL: "", Authorization: "" }, Uint8Array.of(1)],
      [live, { ...wrong, TTL: "-1", Authorization: "" }, Uint8Array.of(1)],
      [live, { TTL: "-1", Topic: "!" }, Uint8Array.of(1)],
      [live, { Topic: "!" }, Uint8Array.of(1)],
    ];
    const seen: number[] = [];
    for (const [to, headers, body] of steps)
      seen.push((await outcome(await bench.post(to, headers, body)))[1]);
    expect(seen).toEqual([102, 109, 106, 104, 111, 110, 114, 113]);
  });
});
