// SPDX-License-Identifier: MIT
// Goal: what every host must do is written down once, and every host does it. Method: the host's links, requests, clock and
// cryptography against real servers of this process; the host may run here or in another process (messages.ts).

import { createECDH, createHash, createHmac, createPublicKey, randomBytes, verify } from "node:crypto";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  FRAME_BYTES_MAX,
  HTTP_RESPONSE_BYTES_MAX,
  LINK_QUEUED_BYTES_MAX,
  RETRY_AFTER_S_MAX,
} from "../../src/limits.ts";
import type { DevCertificate } from "../../src/push-service/dev-ca.ts";
import { base64urlDecode, base64urlEncode } from "../../src/webpush/base64url.ts";
import { generateKeyPair } from "../../src/webpush/keys.ts";
import { nobleSigningProvider } from "../../src/webpush/noble-signing.ts";
import { exampleKeys, rfc8291Keys, seededFill, vectors } from "../webpush/support.ts";
import { BEARER, SUBPROTOCOL } from "./operations.ts";
import { isResumed, makeCertificate, Servers } from "./servers.ts";
import type { Subject } from "./subject.ts";

export interface HostSettings {
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
}

export type MakeSubject = (settings: HostSettings) => Subject | Promise<Subject>;

let certificate: DevCertificate;
let servers: Servers;
let host: Subject;

/** All contract specs for the hosts that `make` starts, one for each test. */
export function describeHost(name: string, make: MakeSubject): void {
  describe(`host contract, ${name}`, () => {
    beforeAll(async () => {
      certificate = await makeCertificate();
    });
    beforeEach(async () => {
      servers = new Servers();
      host = await make({ ca: certificate.ca });
    });
    afterEach(async () => {
      await host.end();
      servers.close();
    });
    webSockets();
    brokenLinks();
    tls(make);
    mqtt();
    alarms();
    requests();
    randomness();
    text();
    cryptography();
  });
}

const ids = { linkId: 7 };
const gone = (cause: string, httpStatus: number | null = null, retryAfterS: number | null = null) => ({
  type: "linkClosed",
  ...ids,
  cause,
  httpStatus,
  retryAfterS,
});

/** A link that is open, and the server's end of it. */
async function opened(certificate: DevCertificate | null = null) {
  const { url, accepted } = await servers.webSocket(certificate);
  await host.operations.openLink({ ...ids, url });
  const server = await accepted.next();
  await host.events.next("linkOpened");
  return { ...server, url, accepted, server };
}

function webSockets(): void {
  describe("WebSocket links", () => {
    test("the upgrade carries path, subprotocol, bearer and headers", async () => {
      const { url, accepted } = await servers.webSocket();
      await host.operations.openLink({ ...ids, url, headers: { "X-Godwit": "a b", "X-Other": "2" } });
      const { request } = await accepted.next();
      expect(await host.events.next("linkOpened")).toEqual({ type: "linkOpened", ...ids });
      expect(request.url).toBe("/v1?x=1");
      expect(request.headers).toMatchObject({
        authorization: `Bearer ${BEARER}`,
        "sec-websocket-protocol": SUBPROTOCOL,
        "x-godwit": "a b",
        "x-other": "2",
      });
      expect(request.headers["sec-websocket-extensions"]).toBe(undefined);
    });

    test.each([0, 1, 125, 126, FRAME_BYTES_MAX - 1, FRAME_BYTES_MAX])(
      "a frame of %i bytes, both ways",
      async (bytes) => {
        const { webSocket, messages } = await opened();
        const frame = new Uint8Array(randomBytes(bytes));
        await host.operations.send(ids.linkId, frame, 1);
        expect(await messages.next()).toEqual(frame);
        webSocket.send(frame);
        expect(await host.events.next("linkMessage")).toEqual({ type: "linkMessage", ...ids, frame });
      },
    );

    test("many frames at once, in order", async () => {
      const { webSocket, messages } = await opened();
      for (let i = 0; i < 200; i++) {
        await host.operations.send(ids.linkId, Uint8Array.of(i, 1), 0);
        webSocket.send(Uint8Array.of(i, 2));
      }
      for (let i = 0; i < 200; i++) {
        expect(await messages.next()).toEqual(Uint8Array.of(i, 1));
        expect((await host.events.next("linkMessage")).frame).toEqual(Uint8Array.of(i, 2));
      }
    });

    test("a frame in fragments is one", async () => {
      const { webSocket } = await opened();
      webSocket.send(Uint8Array.of(1, 2), { binary: true, fin: false });
      webSocket.ping();
      webSocket.send(Uint8Array.of(3), { binary: true, fin: false });
      webSocket.send(Uint8Array.of(4), { binary: true, fin: true });
      expect((await host.events.next("linkMessage")).frame).toEqual(Uint8Array.of(1, 2, 3, 4));
    });

    test("a ping reaches the server, and its pong comes back", async () => {
      const { webSocket } = await opened();
      const pinged = new Promise((resolve) => webSocket.once("ping", resolve));
      await host.operations.ping(ids.linkId);
      await pinged;
      expect(await host.events.next("linkPong")).toEqual({ type: "linkPong", ...ids });
    });

    test("the server's ping is answered", async () => {
      const { webSocket } = await opened();
      const answered = new Promise<Buffer>((resolve) => webSocket.once("pong", resolve));
      webSocket.ping(Uint8Array.of(9, 8));
      expect(new Uint8Array(await answered)).toEqual(Uint8Array.of(9, 8));
    });

    test("closing says 1000, and nothing is told of the link any more", async () => {
      const { closed, webSocket } = await opened();
      await host.operations.closeLink(ids.linkId);
      webSocket.send(Uint8Array.of(1));
      expect(await closed).toBe(1000);
      await settled();
      expect(host.events.rest).toEqual([]);
    });

    test("closing while it is being opened ends the attempt", async () => {
      const { port, sockets } = await servers.silent();
      await host.operations.openLink({ ...ids, url: `ws://127.0.0.1:${port}/` });
      const socket = await sockets.next();
      const ended = new Promise((resolve) => socket.once("close", resolve));
      await host.operations.closeLink(ids.linkId);
      await ended;
      await settled();
      expect(host.events.rest).toEqual([]);
    });

    test("what is asked of a link that is gone does nothing", async () => {
      await host.operations.send(99, Uint8Array.of(1), 0);
      await host.operations.ping(99);
      await host.operations.closeLink(99);
      await settled();
      expect(host.events.rest).toEqual([]);
    });

    test("several links at a time are kept apart", async () => {
      const first = await servers.webSocket();
      const second = await servers.webSocket();
      await host.operations.openLink({ linkId: 1, url: first.url });
      await host.operations.openLink({ linkId: 2, url: second.url });
      const [one, two] = [await first.accepted.next(), await second.accepted.next()];
      const linkIds = [await host.events.next("linkOpened"), await host.events.next("linkOpened")];
      expect(linkIds.map(({ linkId }) => linkId).sort()).toEqual([1, 2]);
      one.webSocket.send(Uint8Array.of(1));
      expect(await host.events.next("linkMessage")).toMatchObject({ linkId: 1 });
      two.webSocket.send(Uint8Array.of(2));
      expect(await host.events.next("linkMessage")).toMatchObject({ linkId: 2 });
      await host.operations.closeLink(1);
      expect(await one.closed).toBe(1000);
      await host.operations.send(2, Uint8Array.of(3), 0);
      expect(await two.messages.next()).toEqual(Uint8Array.of(3));
    });
  });
}

function brokenLinks(): void {
  describe("links that end", () => {
    test.each([
      ["a close frame", "closed", ({ webSocket }) => webSocket.close(1001)],
      ["an end without one", "closed", ({ webSocket }) => webSocket.terminate()],
      ["a reset", "reset", ({ socket }) => void socket.resetAndDestroy()],
      ["a text frame", "protocol", ({ webSocket }) => webSocket.send("text")],
      [
        "a frame that is too long",
        "protocol",
        ({ webSocket }) => webSocket.send(new Uint8Array(FRAME_BYTES_MAX + 1)),
      ],
      [
        "fragments that are too long together",
        "protocol",
        ({ webSocket }) => {
          webSocket.send(new Uint8Array(FRAME_BYTES_MAX), { binary: true, fin: false });
          webSocket.send(new Uint8Array(1), { binary: true, fin: true });
        },
      ],
      ["what is no frame", "protocol", ({ socket }) => void socket.write(Uint8Array.of(0xff, 0xff, 0xff))],
    ] as const satisfies readonly (readonly [
      string,
      string,
      (server: Awaited<ReturnType<typeof opened>>) => void,
    ])[])("by %s: %s", async (_what, cause, end) => {
      const server = await opened();
      end(server);
      expect(await host.events.next("linkClosed")).toEqual(gone(cause));
      await settled();
      expect(host.events.rest).toEqual([]);
    });

    test("nobody listens: refused", async () => {
      await host.operations.openLink({ ...ids, url: `ws://127.0.0.1:${await servers.freePort()}/` });
      expect(await host.events.next("linkClosed")).toEqual(gone("refused"));
    });

    test.each([
      [503, "120", 120],
      [429, "999999999", RETRY_AFTER_S_MAX],
      [503, "Wed, 21 Oct 2026 07:28:00 GMT", null],
      [401, undefined, null],
      [301, undefined, null],
    ])("status %i, Retry-After %s", async (status, retryAfter, seconds) => {
      const headers = retryAfter === undefined ? {} : { "Retry-After": retryAfter };
      const location = status === 301 ? { Location: (await servers.webSocket()).url } : {};
      const url = await servers.refusing(status, { ...headers, ...location });
      await host.operations.openLink({ ...ids, url });
      expect(await host.events.next("linkClosed")).toEqual(gone("refused", status, seconds));
    });

    test.each([
      ["a header with a line break", "ws://127.0.0.1:1/", { "X-A": "a\r\nX-B: b" }],
      ["a header name that is none", "ws://127.0.0.1:1/", { "X A": "a" }],
      ["an address that is none", "ws://", {}],
    ])("%s is refused before anything is sent", async (_what, url, headers) => {
      await host.operations.openLink({ ...ids, url, headers });
      expect(await host.events.next("linkClosed")).toEqual(gone("local"));
    });

    test("a server that takes nothing: overflow", async () => {
      const { socket } = await opened();
      socket.pause();
      const frame = new Uint8Array(FRAME_BYTES_MAX);
      // The system's buffers take some megabytes; the bound is on what is left in the host.
      const count = Math.ceil((16 * 1024 * 1024 + LINK_QUEUED_BYTES_MAX) / frame.length);
      await host.operations.sendMany(ids.linkId, frame, count);
      expect(await host.events.next("linkClosed")).toEqual(gone("overflow"));
    });
  });
}

function tls(make: MakeSubject): void {
  describe("TLS", () => {
    test("a server whose certificate a trusted CA signed", async () => {
      const { webSocket, socket } = await opened(certificate);
      webSocket.send(Uint8Array.of(1));
      expect((await host.events.next("linkMessage")).frame).toEqual(Uint8Array.of(1));
      expect((socket as { servername?: string }).servername).toBe("localhost");
    });

    test("the second connection resumes the session of the first", async () => {
      const { url, accepted, server, webSocket, closed } = await opened(certificate);
      expect(isResumed(server)).toBe(false);
      // Something has to be read for the tickets of TLS 1.3 to be.
      webSocket.send(Uint8Array.of(1));
      await host.events.next("linkMessage");
      await host.operations.closeLink(ids.linkId);
      await closed;
      await host.operations.openLink({ linkId: 8, url });
      expect(isResumed(await accepted.next())).toBe(true);
    });

    test("a server nobody vouches for: tls, and it gets no bearer", async () => {
      const other = await make({ ca: null });
      const { url, accepted } = await servers.webSocket(certificate);
      await other.operations.openLink({ ...ids, url });
      expect(await other.events.next("linkClosed")).toEqual(gone("tls"));
      expect(accepted.items).toEqual([]);
      await other.end();
    });

    test.skipIf(process.platform !== "linux")("a certificate for another name: tls", async () => {
      const { url, accepted } = await servers.webSocket(certificate, "127.0.0.2");
      await host.operations.openLink({ ...ids, url });
      expect(await host.events.next("linkClosed")).toEqual(gone("tls"));
      expect(accepted.items).toEqual([]);
    });
  });
}

function mqtt(): void {
  const address = { username: "device1", topic: "push/device1" };

  async function entered() {
    const broker = await servers.mqtt(BEARER);
    await host.operations.openLink({ ...ids, url: broker.url, mqtt: address });
    expect(await host.events.next("linkOpened")).toEqual({ type: "linkOpened", ...ids });
    return broker;
  }

  describe("MQTT links", () => {
    test("what is sent is published, what is published for the device comes", async () => {
      const { told, publish } = await entered();
      const frame = new Uint8Array(randomBytes(FRAME_BYTES_MAX));
      await host.operations.send(ids.linkId, frame, 1);
      expect(await told.next()).toEqual({
        topic: "push/device1/up",
        payload: frame,
        qos: 1,
        client: "device1",
      });
      await host.operations.send(ids.linkId, Uint8Array.of(1), 0);
      expect(await told.next()).toMatchObject({ payload: Uint8Array.of(1), qos: 0 });
      await publish("push/device1/down", frame, 1);
      expect(await host.events.next("linkMessage")).toEqual({ type: "linkMessage", ...ids, frame });
    });

    test("a bearer the broker does not know counts as 401", async () => {
      const { url } = await servers.mqtt("another");
      await host.operations.openLink({ ...ids, url, mqtt: address });
      expect(await host.events.next("linkClosed")).toEqual(gone("refused", 401));
    });

    test("closing says farewell in place of the last will", async () => {
      const { told } = await entered();
      await host.operations.closeLink(ids.linkId);
      expect(await told.next()).toMatchObject({ topic: "push/device1/up", payload: new Uint8Array(0) });
      await settled();
      expect(host.events.rest).toEqual([]);
    });

    test("nobody listens: refused", async () => {
      const url = `mqtt://127.0.0.1:${await servers.freePort()}`;
      await host.operations.openLink({ ...ids, url, mqtt: address });
      expect(await host.events.next("linkClosed")).toEqual(gone("refused"));
    });

    test("what is no MQTT ends the link", async () => {
      const { port, sockets } = await servers.silent();
      await host.operations.openLink({ ...ids, url: `mqtt://127.0.0.1:${port}`, mqtt: address });
      (await sockets.next()).end("HTTP/1.1 400 Bad Request\r\n\r\n");
      const { cause, httpStatus } = await host.events.next("linkClosed");
      expect(["protocol", "closed", "reset", "unreachable"]).toContain(cause);
      expect(httpStatus).toBe(null);
    });
  });
}

function alarms(): void {
  describe("clock and alarm", () => {
    test("the clocks go on, and the wall clock is ours", async () => {
      const before = await host.operations.now();
      const { tookMs } = (await host.operations.waits([20], []))[0] ?? { tookMs: 0 };
      const after = await host.operations.now();
      expect(after.monotonicMs - before.monotonicMs).toBeGreaterThanOrEqual(Math.floor(tookMs) - 10);
      expect(Math.abs(after.epochMs - Date.now())).toBeLessThan(5_000);
      expect(Number.isInteger(after.monotonicMs)).toBe(true);
    });

    test("an alarm fires once, not before its time", async () => {
      const { atMs } = await host.operations.setAlarm(50, 0);
      await host.events.next("alarm");
      expect((await host.operations.now()).monotonicMs).toBeGreaterThanOrEqual(atMs);
      await host.operations.waits([100], []);
      expect(host.events.rest).toEqual([]);
    });

    test("with a window it fires at its end at the latest", async () => {
      const { atMs, windowMs } = await host.operations.setAlarm(20, 100);
      await host.events.next("alarm");
      const late = (await host.operations.now()).monotonicMs - atMs;
      expect(late).toBeGreaterThanOrEqual(0);
      // What the machine is late by on a bad day.
      expect(late).toBeLessThan(windowMs + 1_000);
    });

    test("another one replaces it; none fires once it was taken back", async () => {
      await host.operations.setAlarm(10, 0);
      await host.operations.setAlarm(60, 0);
      await host.events.next("alarm");
      await host.operations.setAlarm(30, 0);
      await host.operations.cancelAlarm();
      await host.operations.waits([120], []);
      expect(host.events.rest).toEqual([]);
    });

    test("one that is due fires at once", async () => {
      await host.operations.setAlarm(-1_000, 0);
      await host.events.next("alarm");
    });

    test("times with fractions, and far ahead, are taken", async () => {
      await host.operations.stayAwake(10.5);
      await host.operations.setAlarm(10.25, 5.5);
      await host.events.next("alarm");
      await host.operations.setAlarm(500 * 24 * 3600 * 1000, 1e15);
      await host.operations.waits([20], []);
      expect(host.events.rest).toEqual([]);
    });

    test("waits end in the order of their times, never early, and not once taken back", async () => {
      const came = await host.operations.waits([60, 20, 0, 40, 20], [1]);
      expect(came.map(({ delayMs }) => delayMs)).toEqual([0, 20, 40, 60]);
      // Clocks of ms may count the first one short.
      for (const { delayMs, tookMs } of came) expect(tookMs).toBeGreaterThanOrEqual(delayMs - 1);
    });
  });
}

function requests(): void {
  const request = { requestId: 5, method: "POST" } as const;
  const answer = (status: number, more: object = {}) => ({
    type: "httpResponse",
    requestId: 5,
    status,
    cause: null,
    retryAfterS: null,
    body: "",
    ...more,
  });
  const noAnswer = (cause: string) => answer(0, { cause, body: null });

  describe("HTTP requests", () => {
    test.each(["GET", "POST"] as const)(
      "%s: the bearer goes out, status and body come in",
      async (method) => {
        const { url, asked } = await servers.http((_request, response) =>
          response.writeHead(201, { "Retry-After": "60" }).end('{"uaToken":"ä"}'),
        );
        await host.operations.httpRequest({ ...request, method, url });
        const { request: got, body } = await asked.next();
        expect([got.method, got.url, body.length]).toEqual([method, "/path?q=1", 0]);
        expect(got.headers).toMatchObject({ authorization: `Bearer ${BEARER}`, accept: "application/json" });
        if (method === "POST") expect(got.headers["content-length"]).toBe("0");
        const told = { retryAfterS: 60, body: '{"uaToken":"ä"}' };
        expect(await host.events.next("httpResponse")).toEqual(answer(201, told));
      },
    );

    test.each([204, 302, 401, 500])("status %i is an answer", async (status) => {
      const { url } = await servers.http((_request, response) =>
        response.writeHead(status, { Location: "/other" }).end(),
      );
      await host.operations.httpRequest({ ...request, url });
      expect(await host.events.next("httpResponse")).toEqual(answer(status));
    });

    test("in chunks, and as long as may be", async () => {
      const body = "x".repeat(HTTP_RESPONSE_BYTES_MAX);
      const { url } = await servers.http((_request, response) => {
        response.write(body.slice(0, 100));
        response.end(body.slice(100));
      });
      await host.operations.httpRequest({ ...request, url });
      expect(await host.events.next("httpResponse")).toEqual(answer(200, { body }));
    });

    test.each(["chunked", "declared"])("one byte more, %s: overflow", async (kind) => {
      const body = "x".repeat(HTTP_RESPONSE_BYTES_MAX + 1);
      const { url } = await servers.http((_request, response) => {
        if (kind === "chunked") response.write(body.slice(0, 1));
        response.end(kind === "chunked" ? body.slice(1) : body);
      });
      await host.operations.httpRequest({ ...request, url });
      expect(await host.events.next("httpResponse")).toEqual(noAnswer("overflow"));
    });

    test("nobody listens: refused", async () => {
      await host.operations.httpRequest({ ...request, url: `http://127.0.0.1:${await servers.freePort()}/` });
      expect(await host.events.next("httpResponse")).toEqual(noAnswer("refused"));
    });

    test("no answer in time: unreachable", async () => {
      const { port } = await servers.silent();
      await host.operations.httpRequest({ ...request, url: `http://127.0.0.1:${port}/`, timeoutMs: 50 });
      expect(await host.events.next("httpResponse")).toEqual(noAnswer("unreachable"));
    });

    test("a server nobody vouches for: tls", async () => {
      const { url } = await servers.http((_request, response) => response.end(), await makeCertificate());
      await host.operations.httpRequest({ ...request, url });
      expect(await host.events.next("httpResponse")).toEqual(noAnswer("tls"));
    });

    test("over TLS", async () => {
      const { url } = await servers.http((_request, response) => response.end("hi"), certificate);
      await host.operations.httpRequest({ ...request, url });
      expect(await host.events.next("httpResponse")).toEqual(answer(200, { body: "hi" }));
    });

    test("an address that is none: local", async () => {
      await host.operations.httpRequest({ ...request, url: "gopher:/x" });
      expect(await host.events.next("httpResponse")).toEqual(noAnswer("local"));
    });

    test("several at a time are kept apart", async () => {
      const late: (() => void)[] = [];
      const { url } = await servers.http(({ url = "" }, response) => {
        if (url.endsWith("first")) late.push(() => response.end(url));
        else response.end(url);
      });
      await host.operations.httpRequest({ ...request, requestId: 1, url: `${url}first` });
      await host.operations.httpRequest({ ...request, requestId: 2, url: `${url}second` });
      expect(await host.events.next("httpResponse")).toMatchObject({ requestId: 2, body: "/path?q=1second" });
      for (const end of late) end();
      expect(await host.events.next("httpResponse")).toMatchObject({ requestId: 1, body: "/path?q=1first" });
    });

    test("a test message goes out whole; its status comes back, 0 for none", async () => {
      const { url, asked } = await servers.http((_request, response) =>
        response.writeHead(201).end("no matter"),
      );
      const body = new Uint8Array(randomBytes(4096));
      const headers = { TTL: "60", "Content-Encoding": "aes128gcm", Authorization: "vapid t=a, k=b" };
      const status = host.operations.post(url, headers, body);
      const got = await asked.next();
      expect(got.body).toEqual(body);
      expect(got.request.method).toBe("POST");
      expect(got.request.headers).toMatchObject({
        ttl: "60",
        "content-encoding": "aes128gcm",
        authorization: "vapid t=a, k=b",
        "content-length": "4096",
      });
      expect(await status).toBe(201);
      const nowhere = `http://127.0.0.1:${await servers.freePort()}/`;
      expect(await host.operations.post(nowhere, {}, body)).toBe(0);
      expect(host.events.rest).toEqual([]);
    });

    test("closing aborts what is under way, and tells nothing", async () => {
      const { url, asked } = await servers.http(() => {});
      await host.operations.httpRequest({ ...request, url });
      const { request: incoming } = await asked.next();
      const ended = new Promise((resolve) => incoming.socket.once("close", resolve));
      const posted = host.operations.post(url, {}, Uint8Array.of(1));
      await asked.next();
      await host.operations.close();
      await ended;
      expect(await posted).toBe(0);
      await settled();
      expect(host.events.rest).toEqual([]);
    });
  });
}

function randomness(): void {
  test("randomness fills what it is given, all of it, and nothing beside it", async () => {
    const [one, two] = [await host.operations.random(4096), await host.operations.random(4096)];
    expect(one).not.toEqual(two);
    for (const bytes of [one, two]) {
      expect([bytes.at(0), bytes.at(-1)]).toEqual([0, 0]);
      // Of 4096 bytes each value is missing once in 10^7 times, and all 256 are there; the longest run of one is short.
      expect(new Set(bytes.subarray(1, -1)).size).toBeGreaterThan(250);
    }
    expect(await host.operations.random(0)).toEqual(new Uint8Array(2));
  });
}

function text(): void {
  describe("UTF-8", () => {
    test.each(["", "a", "ä€😀", "\u0000\u007f\u0080\u07ff\u0800\uffff", "\ud800a\udc00", "😀".repeat(5000)])(
      "encodes %j",
      async (value) => {
        expect(await host.operations.utf8Encode(value)).toEqual(new TextEncoder().encode(value));
      },
    );

    test.each([
      [0xef, 0xbb, 0xbf, 0x61],
      [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf],
      [0xc0, 0x80, 0xe0, 0x80, 0x80],
      [0xed, 0xa0, 0x80, 0xf4, 0x90, 0x80, 0x80],
      [0xf0, 0x9f, 0x98],
      [0xf0, 0x9f, 0x41, 0xff],
      [0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0x00],
    ])("decodes %j as a browser does", async (...bytes) => {
      const array = Uint8Array.from(bytes);
      expect(await host.operations.utf8Decode(array)).toBe(new TextDecoder().decode(array));
    });

    test("random bytes decode as in a browser", async () => {
      for (let i = 0; i < 50; i++) {
        const bytes = new Uint8Array(randomBytes(i * 7)).map((byte) =>
          byte % 3 === 0 ? byte | 0x80 : byte & 0xbf,
        );
        expect(await host.operations.utf8Decode(bytes)).toBe(new TextDecoder().decode(bytes));
      }
    });
  });
}

function cryptography(): void {
  const bytes = (count: number) => new Uint8Array(randomBytes(count));

  describe("cryptography", () => {
    test("hashes as another library", async () => {
      for (const length of [0, 1, 55, 56, 63, 64, 65, 5000]) {
        const data = bytes(length);
        const digest = createHash("sha256").update(data).digest();
        expect(await host.operations.sha256(data)).toEqual(new Uint8Array(digest));
        const key = bytes(length % 200);
        const mac = createHmac("sha256", key).update(data).digest();
        expect(await host.operations.hmac(key, data)).toEqual(new Uint8Array(mac));
      }
    });

    test("seals and opens as noble, with keys of 16 and 32 bytes, with and without associated data", async () => {
      for (const keyBytes of [16, 32]) {
        for (const associated of [undefined, bytes(0), bytes(20)]) {
          const [key, nonce, plaintext] = [bytes(keyBytes), bytes(12), bytes(100)];
          const sealed = nobleSigningProvider.gcmSeal(key, nonce, plaintext, associated);
          const more = associated === undefined ? [] : ([associated] as const);
          expect(await host.operations.gcmSeal(key, nonce, plaintext, ...more)).toEqual(sealed);
          expect(await host.operations.gcmOpen(key, nonce, sealed, ...more)).toEqual(plaintext);
          sealed[3] = (sealed[3] ?? 0) ^ 1;
          expect(await host.operations.gcmOpen(key, nonce, sealed, ...more)).toBe(null);
          expect(await host.operations.gcmOpen(key, nonce, sealed.subarray(0, 15), ...more)).toBe(null);
        }
      }
    });

    test.each([0, 15, 17, 24])("a key of %i bytes is a mistake of ours", async (keyBytes) => {
      await expect(host.operations.gcmSeal(bytes(keyBytes), bytes(12), bytes(1))).rejects.toThrow("AES key");
      await expect(host.operations.gcmOpen(bytes(16), bytes(keyBytes), bytes(20))).rejects.toThrow(
        "GCM nonce",
      );
    });

    test("agrees with another library, and refuses points that are none", async () => {
      for (let i = 0; i < 5; i++) {
        const [own, peer] = [createECDH("prime256v1"), createECDH("prime256v1")];
        own.generateKeys();
        const peerKey = new Uint8Array(peer.generateKeys());
        const keys = {
          privateKey: Uint8Array.from(Buffer.concat([Buffer.alloc(32), own.getPrivateKey()]).subarray(-32)),
          publicKey: new Uint8Array(own.getPublicKey()),
          authSecret: bytes(16),
        };
        const secret = new Uint8Array(own.computeSecret(peerKey));
        expect(await host.operations.agree(`key ${i}`, keys, peerKey)).toEqual(secret);
        expect(await host.operations.publicKeyOf(keys.privateKey)).toEqual(keys.publicKey);
        expect(await host.operations.isPair(keys)).toBe(true);
        expect(await host.operations.isPair({ ...keys, publicKey: peerKey })).toBe(false);
        for (const bad of notPoints(peerKey)) {
          expect(await host.operations.agree(`key ${i}`, keys, bad)).toBe(null);
          expect(await host.operations.isPublicKey(bad)).toBe(false);
        }
        expect(await host.operations.isPublicKey(peerKey)).toBe(true);
      }
    });

    test("scalars that are none have no public key and are no key", async () => {
      const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
      for (const privateKey of [new Uint8Array(32), new Uint8Array(order), new Uint8Array(32).fill(0xff)]) {
        expect(await host.operations.publicKeyOf(privateKey)).toBe(null);
        const keys = { ...exampleKeys("rfc8291-appendix-a"), privateKey };
        await expect(host.operations.isPair(keys)).rejects.toMatchObject({
          code: "ERR_ECE_BAD_SUBSCRIPTION_KEYS",
        });
      }
    });

    test.each(vectors.cases.map((message) => [message.id, message] as const))(
      "message %s",
      async (_id, message) => {
        const answer = host.operations.decrypt(base64urlDecode(message.body), rfc8291Keys);
        if (message.expect === "decrypt")
          expect(await answer).toEqual(base64urlDecode(message.plaintext ?? ""));
        else await expect(answer).rejects.toMatchObject({ code: `ERR_ECE_${message.error}` });
      },
    );

    test("signs so that another library says yes, and only with keys that belong together", async () => {
      const keys = generateKeyPair(seededFill(5), nobleSigningProvider);
      const data = bytes(300);
      const signature = await host.operations.sign(keys, data);
      expect(signature.length).toBe(64);
      const [x, y] = [
        base64urlEncode(keys.publicKey.subarray(1, 33)),
        base64urlEncode(keys.publicKey.subarray(33)),
      ];
      const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
      expect(verify("sha256", data, { key, dsaEncoding: "ieee-p1363" }, signature)).toBe(true);
      const other = generateKeyPair(seededFill(6), nobleSigningProvider);
      await expect(host.operations.sign({ ...keys, publicKey: other.publicKey }, data)).rejects.toMatchObject(
        { code: "ERR_ECE_BAD_SUBSCRIPTION_KEYS" },
      );
    });
  });
}

/** Everything near an uncompressed point that a library might take for one. */
function notPoints(point: Uint8Array): Uint8Array[] {
  const with0 = (prefix: number) => point.with(0, prefix);
  const compressed = Uint8Array.of(2 + ((point[64] ?? 0) & 1), ...point.subarray(1, 33));
  const hybrid = with0(6 + ((point[64] ?? 0) & 1));
  const offCurve = point.with(64, (point[64] ?? 0) ^ 1);
  const tooLarge = point.slice().fill(0xff, 1, 33);
  return [
    compressed,
    hybrid,
    with0(0),
    with0(5),
    offCurve,
    tooLarge,
    point.subarray(0, 64),
    Uint8Array.of(0),
  ];
}

/** Whatever was on its way has come: the host has turned its loop a few times since. */
async function settled(): Promise<void> {
  await host.operations.waits([30], []);
}
