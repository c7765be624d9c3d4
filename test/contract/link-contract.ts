// SPDX-License-Identifier: MIT
// Goal: links do what every host's links must do, and say how they ended. Method: real servers, well-behaved and not.

import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  AUTOPUSH_AWAY_S,
  AUTOPUSH_CLOSE_AWAY,
  AUTOPUSH_FRAME_BYTES_MAX,
  FRAME_BYTES_MAX,
  LINK_QUEUED_BYTES_MAX,
  RETRY_AFTER_S_MAX,
} from "../../src/limits.ts";
import type { DevCertificate } from "../../src/push-service/dev-ca.ts";
import { BEARER, SUBPROTOCOL } from "./operations.ts";
import { isResumed } from "./servers.ts";
import { type Stage, settled } from "./stage.ts";

export function describeLinks(stage: Stage): void {
  webSockets(stage);
  textLinks(stage);
  brokenLinks(stage);
  tls(stage);
  mqtt(stage);
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
async function opened(stage: Stage, certificate: DevCertificate | null = null) {
  const { url, accepted } = await stage.servers.webSocket(certificate);
  await stage.host.operations.openLink({ ...ids, url });
  const server = await accepted.next();
  await stage.host.events.next("linkOpened");
  return { ...server, url, accepted, server };
}

function webSockets(stage: Stage): void {
  describe("WebSocket links", () => {
    test("the upgrade carries path, subprotocol, bearer and headers", async () => {
      const { url, accepted } = await stage.servers.webSocket();
      await stage.host.operations.openLink({ ...ids, url, headers: { "X-Godwit": "a b", "X-Other": "2" } });
      const { request } = await accepted.next();
      expect(await stage.host.events.next("linkOpened")).toEqual({ type: "linkOpened", ...ids });
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
        const { webSocket, messages } = await opened(stage);
        const frame = new Uint8Array(randomBytes(bytes));
        await stage.host.operations.send(ids.linkId, frame, 1);
        expect(await messages.next()).toEqual(frame);
        webSocket.send(frame);
        expect(await stage.host.events.next("linkMessage")).toEqual({ type: "linkMessage", ...ids, frame });
      },
    );

    test("many frames at once, in order", async () => {
      const { webSocket, messages } = await opened(stage);
      for (let i = 0; i < 200; i++) {
        await stage.host.operations.send(ids.linkId, Uint8Array.of(i, 1), 0);
        webSocket.send(Uint8Array.of(i, 2));
      }
      for (let i = 0; i < 200; i++) {
        expect(await messages.next()).toEqual(Uint8Array.of(i, 1));
        expect((await stage.host.events.next("linkMessage")).frame).toEqual(Uint8Array.of(i, 2));
      }
    });

    test("a frame in fragments is one", async () => {
      const { webSocket } = await opened(stage);
      webSocket.send(Uint8Array.of(1, 2), { binary: true, fin: false });
      webSocket.ping();
      webSocket.send(Uint8Array.of(3), { binary: true, fin: false });
      webSocket.send(Uint8Array.of(4), { binary: true, fin: true });
      expect((await stage.host.events.next("linkMessage")).frame).toEqual(Uint8Array.of(1, 2, 3, 4));
    });

    test("a ping reaches the server, and its pong comes back", async () => {
      const { webSocket } = await opened(stage);
      const pinged = new Promise((resolve) => webSocket.once("ping", resolve));
      await stage.host.operations.ping(ids.linkId);
      await pinged;
      expect(await stage.host.events.next("linkPong")).toEqual({ type: "linkPong", ...ids });
    });

    test("the server's ping is answered", async () => {
      const { webSocket } = await opened(stage);
      const answered = new Promise<Buffer>((resolve) => webSocket.once("pong", resolve));
      webSocket.ping(Uint8Array.of(9, 8));
      expect(new Uint8Array(await answered)).toEqual(Uint8Array.of(9, 8));
    });

    test("closing says 1000, and nothing is told of the link any more", async () => {
      const { closed, webSocket } = await opened(stage);
      await stage.host.operations.closeLink(ids.linkId);
      webSocket.send(Uint8Array.of(1));
      expect(await closed).toBe(1000);
      await settled(stage);
      expect(stage.host.events.rest).toEqual([]);
    });

    test("closing while it is being opened ends the attempt", async () => {
      const { port, sockets } = await stage.servers.silent();
      await stage.host.operations.openLink({ ...ids, url: `ws://127.0.0.1:${port}/` });
      const socket = await sockets.next();
      const ended = new Promise((resolve) => socket.once("close", resolve));
      await stage.host.operations.closeLink(ids.linkId);
      await ended;
      await settled(stage);
      expect(stage.host.events.rest).toEqual([]);
    });

    test("what is asked of a link that is gone does nothing", async () => {
      await stage.host.operations.send(99, Uint8Array.of(1), 0);
      await stage.host.operations.ping(99);
      await stage.host.operations.closeLink(99);
      await settled(stage);
      expect(stage.host.events.rest).toEqual([]);
    });

    test("several links at a time are kept apart", async () => {
      const first = await stage.servers.webSocket();
      const second = await stage.servers.webSocket();
      await stage.host.operations.openLink({ linkId: 1, url: first.url });
      await stage.host.operations.openLink({ linkId: 2, url: second.url });
      const [one, two] = [await first.accepted.next(), await second.accepted.next()];
      const linkIds = [
        await stage.host.events.next("linkOpened"),
        await stage.host.events.next("linkOpened"),
      ];
      expect(linkIds.map(({ linkId }) => linkId).sort()).toEqual([1, 2]);
      one.webSocket.send(Uint8Array.of(1));
      expect(await stage.host.events.next("linkMessage")).toMatchObject({ linkId: 1 });
      two.webSocket.send(Uint8Array.of(2));
      expect(await stage.host.events.next("linkMessage")).toMatchObject({ linkId: 2 });
      await stage.host.operations.closeLink(1);
      expect(await one.closed).toBe(1000);
      await stage.host.operations.send(2, Uint8Array.of(3), 0);
      expect(await two.messages.next()).toEqual(Uint8Array.of(3));
    });
  });
}

function textLinks(stage: Stage): void {
  async function openedText(hasSubprotocol = true) {
    const { url, accepted } = await stage.servers.webSocket(null, "127.0.0.1", hasSubprotocol);
    await stage.host.operations.openLink({ ...ids, url, isText: true });
    const server = await accepted.next();
    await stage.host.events.next("linkOpened");
    return server;
  }
  const utf8 = (text: string) => new Uint8Array(Buffer.from(text));

  describe("WebSocket links of text", () => {
    test.each([true, false])(
      "name nobody in the upgrade, and need no subprotocol in the answer: %s",
      async (hasSubprotocol) => {
        const { request } = await openedText(hasSubprotocol);
        expect(request.headers["sec-websocket-protocol"]).toBe(SUBPROTOCOL);
        expect(request.headers.authorization).toBe(undefined);
      },
    );

    test.each(["{}", "grüße 🐦", "x".repeat(125), "ü".repeat(32_768)])(
      "text, both ways (%#)",
      async (text) => {
        const { webSocket, messages } = await openedText();
        await stage.host.operations.send(ids.linkId, utf8(text), 1);
        expect(await messages.next()).toBe(text);
        webSocket.send(text);
        expect((await stage.host.events.next("linkMessage")).frame).toEqual(utf8(text));
      },
    );

    test("in fragments, also within a character", async () => {
      const { webSocket } = await openedText();
      const bytes = utf8("grüße");
      webSocket.send(bytes.subarray(0, 3), { binary: false, fin: false });
      webSocket.send(bytes.subarray(3), { binary: false, fin: true });
      expect((await stage.host.events.next("linkMessage")).frame).toEqual(bytes);
    });

    test.each([
      ["a binary frame", Uint8Array.of(1)],
      ["one over the bound", "x".repeat(AUTOPUSH_FRAME_BYTES_MAX + 1)],
    ])("%s ends the link", async (_, data) => {
      const { webSocket } = await openedText();
      webSocket.send(data);
      expect(await stage.host.events.next("linkClosed")).toEqual(gone("protocol"));
    });

    test("what is no UTF-8 ends the link", async () => {
      const { webSocket } = await openedText();
      webSocket.send(Uint8Array.of(0x22, 0xff, 0x22), { binary: false });
      await stage.host.events.next("linkClosed");
      expect(stage.host.events.rest).toEqual([]);
    });

    test.each([
      [AUTOPUSH_CLOSE_AWAY, AUTOPUSH_AWAY_S],
      [1000, null],
      [1011, null],
    ])("a service that closes with %i wants the device away for %j s", async (code, retryAfterS) => {
      const { webSocket } = await openedText();
      webSocket.close(code);
      expect(await stage.host.events.next("linkClosed")).toEqual(gone("closed", null, retryAfterS));
    });
  });
}

function brokenLinks(stage: Stage): void {
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
      const server = await opened(stage);
      end(server);
      expect(await stage.host.events.next("linkClosed")).toEqual(gone(cause));
      await settled(stage);
      expect(stage.host.events.rest).toEqual([]);
    });

    test("nobody listens: refused", async () => {
      await stage.host.operations.openLink({
        ...ids,
        url: `ws://127.0.0.1:${await stage.servers.freePort()}/`,
      });
      expect(await stage.host.events.next("linkClosed")).toEqual(gone("refused"));
    });

    test.each([
      [503, "120", 120],
      [429, "999999999", RETRY_AFTER_S_MAX],
      [503, "Wed, 21 Oct 2026 07:28:00 GMT", null],
      [401, undefined, null],
      [301, undefined, null],
    ])("status %i, Retry-After %s", async (status, retryAfter, seconds) => {
      const headers = retryAfter === undefined ? {} : { "Retry-After": retryAfter };
      const location = status === 301 ? { Location: (await stage.servers.webSocket()).url } : {};
      const url = await stage.servers.refusing(status, { ...headers, ...location });
      await stage.host.operations.openLink({ ...ids, url });
      expect(await stage.host.events.next("linkClosed")).toEqual(gone("refused", status, seconds));
    });

    test.each([
      ["a header with a line break", "ws://127.0.0.1:1/", { "X-A": "a\r\nX-B: b" }],
      ["a header name that is none", "ws://127.0.0.1:1/", { "X A": "a" }],
      ["an address that is none", "ws://", {}],
    ])("%s is refused before anything is sent", async (_what, url, headers) => {
      await stage.host.operations.openLink({ ...ids, url, headers });
      expect(await stage.host.events.next("linkClosed")).toEqual(gone("local"));
    });

    test("a server that takes nothing: overflow", async () => {
      const { socket } = await opened(stage);
      socket.pause();
      const frame = new Uint8Array(FRAME_BYTES_MAX);
      // The system's buffers take some megabytes; the bound is on what is left in the stage.host.
      const count = Math.ceil((16 * 1024 * 1024 + LINK_QUEUED_BYTES_MAX) / frame.length);
      await stage.host.operations.sendMany(ids.linkId, frame, count);
      expect(await stage.host.events.next("linkClosed")).toEqual(gone("overflow"));
    });
  });
}

function tls(stage: Stage): void {
  describe("TLS", () => {
    test("a server whose certificate a trusted CA signed", async () => {
      const { webSocket, socket } = await opened(stage, stage.certificate);
      webSocket.send(Uint8Array.of(1));
      expect((await stage.host.events.next("linkMessage")).frame).toEqual(Uint8Array.of(1));
      expect((socket as { servername?: string }).servername).toBe("localhost");
    });

    test("the second connection resumes the session of the first", async () => {
      const { url, accepted, server, webSocket, closed } = await opened(stage, stage.certificate);
      expect(isResumed(server)).toBe(false);
      // Something has to be read for the tickets of TLS 1.3 to be.
      webSocket.send(Uint8Array.of(1));
      await stage.host.events.next("linkMessage");
      await stage.host.operations.closeLink(ids.linkId);
      await closed;
      await stage.host.operations.openLink({ linkId: 8, url });
      expect(isResumed(await accepted.next())).toBe(true);
    });

    test("a server nobody vouches for: tls, and it gets no bearer", async () => {
      const other = await stage.make({ ca: null });
      const { url, accepted } = await stage.servers.webSocket(stage.certificate);
      await other.operations.openLink({ ...ids, url });
      expect(await other.events.next("linkClosed")).toEqual(gone("tls"));
      expect(accepted.items).toEqual([]);
      await other.end();
    });

    test.skipIf(process.platform !== "linux").each(["TLSv1.2", "TLSv1.3"] as const)(
      "a certificate for another name: tls, and no session with it is resumed (%s)",
      async (maxVersion) => {
        const { url, accepted } = await stage.servers.webSocket(
          { ...stage.certificate, maxVersion },
          "127.0.0.2",
        );
        // In TLS 1.2 the ticket comes before the name is looked at, and in a resumed session nobody looks at it again.
        for (const linkId of [ids.linkId, 8]) {
          await stage.host.operations.openLink({ linkId, url });
          expect(await stage.host.events.next("linkClosed")).toEqual({ ...gone("tls"), linkId });
        }
        expect(accepted.items).toEqual([]);
      },
    );
  });
}

function mqtt(stage: Stage): void {
  const address = { username: "device1", topic: "push/device1" };

  async function entered() {
    const broker = await stage.servers.mqtt(BEARER);
    await stage.host.operations.openLink({ ...ids, url: broker.url, mqtt: address });
    expect(await stage.host.events.next("linkOpened")).toEqual({ type: "linkOpened", ...ids });
    return broker;
  }

  describe("MQTT links", () => {
    test("what is sent is published, what is published for the device comes", async () => {
      const { told, publish } = await entered();
      const frame = new Uint8Array(randomBytes(FRAME_BYTES_MAX));
      await stage.host.operations.send(ids.linkId, frame, 1);
      expect(await told.next()).toEqual({
        topic: "push/device1/up",
        payload: frame,
        qos: 1,
        client: "device1",
      });
      await stage.host.operations.send(ids.linkId, Uint8Array.of(1), 0);
      expect(await told.next()).toMatchObject({ payload: Uint8Array.of(1), qos: 0 });
      await publish("push/device1/down", frame, 1);
      expect(await stage.host.events.next("linkMessage")).toEqual({ type: "linkMessage", ...ids, frame });
    });

    test("a bearer the broker does not know counts as 401", async () => {
      const { url } = await stage.servers.mqtt("another");
      await stage.host.operations.openLink({ ...ids, url, mqtt: address });
      expect(await stage.host.events.next("linkClosed")).toEqual(gone("refused", 401));
    });

    test("closing says farewell in place of the last will", async () => {
      const { told } = await entered();
      await stage.host.operations.closeLink(ids.linkId);
      expect(await told.next()).toMatchObject({ topic: "push/device1/up", payload: new Uint8Array(0) });
      await settled(stage);
      expect(stage.host.events.rest).toEqual([]);
    });

    test("nobody listens: refused", async () => {
      const url = `mqtt://127.0.0.1:${await stage.servers.freePort()}`;
      await stage.host.operations.openLink({ ...ids, url, mqtt: address });
      expect(await stage.host.events.next("linkClosed")).toEqual(gone("refused"));
    });

    test("a message of QoS 2, which nobody asked for, ends the link", async () => {
      const { port, sockets } = await stage.servers.silent();
      await stage.host.operations.openLink({ ...ids, url: `mqtt://127.0.0.1:${port}`, mqtt: address });
      // CONNACK, and a PUBLISH that is to be kept until a PUBREL comes.
      (await sockets.next()).write(Buffer.of(0x20, 2, 0, 0, 0x34, 5, 0, 1, 0x78, 0, 1));
      expect(await stage.host.events.next("linkClosed")).toEqual(gone("protocol"));
    });

    test("what is no MQTT ends the link", async () => {
      const { port, sockets } = await stage.servers.silent();
      await stage.host.operations.openLink({ ...ids, url: `mqtt://127.0.0.1:${port}`, mqtt: address });
      (await sockets.next()).end("HTTP/1.1 400 Bad Request\r\n\r\n");
      const { cause, httpStatus } = await stage.host.events.next("linkClosed");
      expect(["protocol", "closed", "reset", "unreachable"]).toContain(cause);
      expect(httpStatus).toBe(null);
    });
  });
}
