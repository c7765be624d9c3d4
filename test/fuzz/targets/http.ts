// SPDX-License-Identifier: MIT
/**
 * Bytes at the port of the real push service, on loopback: requests, several on one connection, upgrades with the frames behind them. Words
 * in braces stand for what a sender or device would have ({@link WORDS}). Every answer is one of SPEC.md, none is "unexpected",
 * every connection ends, and the service is left as it was. No tests here.
 */

import { connect } from "node:net";
import { HTTP_ERRORS } from "../../../src/push-service/http-errors.ts";
import { base64urlEncode } from "../../../src/webpush/base64url.ts";
import { encodeAutopushUpstream } from "../../../src/wire/autopush.ts";
import type { Upstream } from "../../../src/wire/dialect.ts";
import { channelsDigest } from "../../../src/wire/digest.ts";
import { godwitDialect } from "../../../src/wire/godwit.ts";
import { autopushSubscribed } from "../../push-service/autopush-device.ts";
import { TestBench } from "../../push-service/bench.ts";
import { holds, same, type Target } from "../target.ts";

/** Of one address here, and not what is fuzzed. */
const NO_RATE = { burstMax: 1e9, perMinute: 1e9 };
/** Of the one device that only messages are for; the session's own ids begin at 1. */
const ALL_MESSAGES = [[1, Number.MAX_SAFE_INTEGER]] as const;
/** What refuses before any request is there: Node's own, by its parser and its time-outs. */
const PARSER_STATUSES = [400, 408, 413, 431];

const bench = await TestBench.start({
  ...{
    connectionRate: NO_RATE,
    upgradeRate: NO_RATE,
    tokenRate: NO_RATE,
    endpointRate: NO_RATE,
    deviceRate: NO_RATE,
  },
  ...{ refusalRate: NO_RATE, connectionsPerAddressMax: 1e6 },
});
const free = await bench.subscribed();
const keyed = await bench.subscribed(bench.keys.publicKey);
await free.device.close();
await keyed.device.close();
/** A device of dialect autopush, where senders may use `aesgcm`. */
const other = await autopushSubscribed(bench);
await other.device.close();
/** Revoked by the first input that does; from then on its token is one that was used. */
const spent = await bench.subscribed(bench.keys.publicKey);
await spent.device.close();
const posted = await bench.post(free.endpoint);

/** What stands for something the service made, or that has to fit it. */
const WORDS: Readonly<Record<string, string>> = {
  "{endpoint}": new URL(free.endpoint).pathname,
  "{keyed}": new URL(keyed.endpoint).pathname,
  "{message}": new URL(posted.headers.get("location") ?? "").pathname,
  "{token}": free.uaToken,
  "{autopush}": new URL(other.endpoint).pathname,
  "{spent}": new URL(spent.endpoint).pathname,
  "{vapid}": bench.vapid(),
  "{revoke}": bench.vapid({ act: "revoke", sub: spent.endpoint, expiresS: bench.epochMs / 1000 + 300 }),
  "{digest}": base64urlEncode(channelsDigest([free.channel])),
};

export const target: Target = {
  name: "http",
  covers: [
    ...["autopush-link", "endpoint", "enrolment", "http-errors"],
    ...[
      "plain-request",
      "public-origin",
      "publish-auth",
      "push-message",
      "request",
      "routes",
      "seal.",
      "server",
      // The sessions themselves are target sessions' affair.
      "session-",
    ],
    ...["tokens", "upgrade", "upstream-frames", "websocket"],
  ].map((name) => `src/push-service/${name}`),
  inputBytesMax: 40_000,
  // A connection takes its time; the service answers at once.
  inputMsMax: 3000,
  words: [
    ...Object.keys(WORDS),
    ...[
      "GET ",
      "POST ",
      "DELETE ",
      "OPTIONS ",
      "HEAD ",
      " HTTP/1.1\r\n",
      " HTTP/1.0\r\n",
      "\r\n\r\n",
      "\r\n",
      "Host: h\r\n",
    ],
    ...[
      "/v1/token",
      "/v1/ws",
      "/v1/canary",
      "/healthz",
      "/readyz",
      "/p/",
      "/m/",
      "/",
      "?",
      "%2f",
      "TTL: 60\r\n",
      "TTL: -1\r\n",
    ],
    ...[
      "Topic: a\r\n",
      "Urgency: high\r\n",
      "Content-Encoding: aes128gcm\r\n",
      "Content-Encoding: aesgcm\r\n",
    ],
    ...[
      "Content-Length: 1\r\n",
      "Content-Length: 5631\r\n",
      "Transfer-Encoding: chunked\r\n",
      "1\r\nx\r\n0\r\n\r\n",
    ],
    ...[
      "Content-Type: application/notification+json\r\n",
      "Authorization: {vapid}\r\n",
      "Authorization: Bearer {token}\r\n",
    ],
    ...[
      "Encryption: salt=AAAA\r\n",
      "Crypto-Key: dh=AAAA\r\n",
      "Connection: Upgrade\r\nUpgrade: websocket\r\n",
      "Expect: 100-continue\r\n",
    ],
    ...[
      "Sec-WebSocket-Version: 13\r\n",
      "Sec-WebSocket-Protocol: godwit.v1\r\n",
      "Sec-WebSocket-Protocol: push-notification\r\n",
    ],
    ...[
      "Godwit-Conditions: heartbeat=240, window=0, urgency=very-low\r\n",
      "Godwit-Channels: {digest}\r\n",
      "Upgrade: h2c\r\n",
    ],
  ],
  seeds: () => SEEDS,
  async run(input) {
    const seen = bench.log.length;
    const text = Buffer.from(input).toString("latin1");
    const request = text.replace(/\{[a-z]+\}/g, (word) => WORDS[word] ?? word);
    const answer = await exchange(Buffer.from(request, "latin1"));
    for (const event of bench.log.slice(seen))
      holds(`the service expected it: ${JSON.stringify(event)}`, event.event !== "unexpected");
    bench.log.length = 0;
    for (const { uaid } of [free, keyed, other])
      await bench.store.ack(Buffer.from(uaid, "hex"), ALL_MESSAGES);
    return statusesOf(answer);
  },
  close: () => bench.stop(),
};

/** Everything the service answers until it hangs up, which it does once we have. */
async function exchange(request: Buffer): Promise<string> {
  const socket = connect({ port: bench.service.port, host: "127.0.0.1", allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  // A reset is an end like any other.
  socket.on("error", () => {});
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("end", () => socket.destroy());
  socket.end(request);
  await closed;
  return Buffer.concat(chunks).toString("latin1");
}

/** The statuses of the answers, each checked; "open" where the connection became a WebSocket. */
function statusesOf(answer: string): string {
  const statuses: string[] = [];
  for (let rest = answer; rest !== ""; ) {
    const head = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[!-9;-~]+: ?[^\r\n]*\r\n)*)\r\n/.exec(rest);
    if (head === null) {
      // What was cut off by a reset, or by our own hanging up.
      holds(`an answer is HTTP: ${rest.slice(0, 80)}`, "HTTP/1.1 ".startsWith(rest.slice(0, 9)));
      break;
    }
    const [whole, status = "", headers = ""] = head;
    if (status === "100") {
      rest = rest.slice(whole.length);
      continue;
    }
    if (status === "101") return [...statuses, "open"].join(" ");
    const length = Number(/^content-length: (\d+)\r?$/im.exec(headers)?.[1] ?? 0);
    const body = rest.slice(whole.length, whole.length + length);
    statuses.push(status + checkBody(Number(status), body));
    rest = rest.slice(whole.length + length);
    // To a HEAD there is a length and no body.
    if (rest === "" || body.length < length || rest.startsWith("HTTP/")) continue;
    break;
  }
  return statuses.join(" ");
}

const ERRORS = Object.values(HTTP_ERRORS) as readonly { status: number; errno: number }[];

function checkBody(status: number, body: string): string {
  holds("nothing is unexpected", status !== 500);
  if (status < 400) return "";
  if (body === "" || body.startsWith("HTTP/")) {
    holds(
      `an error of HTTP itself: ${status}`,
      PARSER_STATUSES.includes(status) || body !== "" || ERRORS.some((row) => row.status === status),
    );
    return "";
  }
  const { code, errno } = JSON.parse(body) as { code: number; errno: number };
  same("the code in the body", code, status);
  holds(
    `errno ${errno} is in the table`,
    ERRORS.some((row) => row.errno === errno && row.status === status),
  );
  return `/${errno}`;
}

/** One frame of a client, its payload masked with zeros: it stands there as it is. */
function frame(opcode: number, payload: Uint8Array): Buffer {
  const length =
    payload.length < 126 ? [0x80 | payload.length] : [0xfe, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length, 0, 0, 0, 0]), payload]);
}

const UPGRADE =
  "Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
const CONDITIONS =
  "Godwit-Conditions: heartbeat=240, window=0, urgency=very-low\r\nGodwit-Channels: {digest}\r\n";
const godwit = (...messages: Upstream[]): Buffer =>
  Buffer.concat([
    Buffer.from(
      `GET /v1/ws HTTP/1.1\r\n${UPGRADE}Sec-WebSocket-Protocol: godwit.v1\r\nAuthorization: Bearer {token}\r\n${CONDITIONS}\r\n`,
    ),
    ...messages.map((message) => frame(2, godwitDialect.encodeUpstream(message))),
  ]);
const uuid = new Uint8Array(16).fill(9);
const conditions = { heartbeatS: 240, windowS: 60, leastUrgency: "low" } as const;
const SEEDS: readonly Uint8Array[] = [
  ...[
    "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\nHEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /v1/token HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    "POST /v1/token HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nGodwit-Enrolment: x\r\n\r\n",
    "POST {endpoint} HTTP/1.1\r\nHost: h\r\nTTL: 60\r\nTopic: a\r\nUrgency: low\r\nContent-Encoding: aes128gcm\r\nContent-Length: 3\r\n\r\nabc",
    "POST {endpoint} HTTP/1.1\r\nHost: h\r\nTTL: 0\r\n\r\n",
    "POST {endpoint} HTTP/1.1\r\nHost: h\r\nTTL: 9\r\nContent-Encoding: aes128gcm\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST {keyed} HTTP/1.1\r\nHost: h\r\nTTL: 60\r\nAuthorization: {vapid}\r\nContent-Encoding: aes128gcm\r\nContent-Length: 1\r\n\r\nx",
    "POST {keyed} HTTP/1.1\r\nHost: h\r\nTTL: 60\r\nAuthorization: WebPush x.y.z\r\nCrypto-Key: p256ecdsa=BA\r\n\r\n",
    "DELETE {keyed} HTTP/1.1\r\nHost: h\r\nAuthorization: {vapid}\r\n\r\n",
    "POST {autopush} HTTP/1.1\r\nHost: h\r\nTTL: 60\r\nContent-Encoding: aesgcm\r\nEncryption: salt=AAAAAAAAAAAAAAAAAAAAAA\r\nCrypto-Key: dh=AAAA\r\nContent-Length: 3\r\n\r\nabc",
    "POST {autopush} HTTP/1.1\r\nHost: h\r\nTTL: 60\r\nContent-Encoding: aes128gcm\r\nEncryption: salt=AAAA\r\nContent-Length: 3\r\n\r\nabc",
    "DELETE {spent} HTTP/1.1\r\nHost: h\r\nAuthorization: {revoke}\r\n\r\nDELETE {spent} HTTP/1.1\r\nHost: h\r\nAuthorization: {revoke}\r\n\r\n",
    "DELETE {message} HTTP/1.1\r\nHost: h\r\n\r\n",
    "OPTIONS {endpoint} HTTP/1.1\r\nHost: h\r\nOrigin: https://a.example\r\n\r\n",
    "GET /v1/ws HTTP/1.1\r\nHost: h\r\n\r\n",
    `GET /v1/canary HTTP/1.1\r\n${UPGRADE}Sec-WebSocket-Protocol: godwit.v1\r\nAuthorization: Bearer {token}\r\n\r\n`,
    "POST {endpoint} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nTTL: 60\r\nContent-Length: 0\r\n\r\n",
  ].map((text) => Buffer.from(text)),
  godwit(
    { type: "registerWa", ref: 1, registrationId: uuid, applicationServerKey: null },
    { type: "unregisterWa", ref: 2, channel: 2 },
  ),
  godwit(
    { type: "conditions", conditions },
    { type: "getAllMessages", ref: 4 },
    { type: "ack", code: "ok", ranges: [[1, 2]] },
  ),
  godwit({ type: "hold", channel: 1 }, { type: "resume", channel: 1 }, { type: "probe", nonce: 5 }),
  Buffer.concat([
    godwit(),
    frame(1, Buffer.from("text")),
    frame(9, Buffer.from("ping")),
    frame(8, Buffer.from([3, 232])),
  ]),
  Buffer.concat([
    Buffer.from(`GET / HTTP/1.1\r\n${UPGRADE}Sec-WebSocket-Protocol: push-notification\r\n\r\n`),
    frame(
      1,
      Buffer.from(encodeAutopushUpstream({ type: "hello", uaid: null, broadcasts: new Map([["a", "1"]]) })),
    ),
    frame(1, Buffer.from(encodeAutopushUpstream({ type: "register", channelId: uuid, key: null }))),
    frame(
      1,
      Buffer.from(
        encodeAutopushUpstream({ type: "ack", updates: [{ channelId: uuid, version: "x", code: 100 }] }),
      ),
    ),
    frame(1, Buffer.from(encodeAutopushUpstream({ type: "unregister", channelId: uuid, code: 200 }))),
  ]),
];
