// SPDX-License-Identifier: MIT
// Goal: whom the Node host talks to over TLS is verified and speaks 1.2 at least, whatever the environment says. Method: servers
// nobody vouches for, and of old versions, while NODE_TLS_REJECT_UNAUTHORIZED and Node's default say that all this is well;
// WebSocket links, requests, test pushes, MQTT links.

import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AgentEvent } from "../../src/agent/events.ts";
import { performHttpRequest, performPost } from "../../src/node/http.ts";
import { MqttLinks } from "../../src/node/mqtt.ts";
import { WebSocketLinks } from "../../src/node/websocket.ts";
import type { DevCertificate } from "../../src/push-service/dev-ca.ts";
import { makeCertificate } from "../contract/servers.ts";

let certificate: DevCertificate;
let server: Server;
/** What reached the server inside of TLS. */
let heard: string[];
beforeAll(async () => {
  certificate = await makeCertificate();
});
afterEach(() => server.close());

async function listen(options: tls.SecureContextOptions): Promise<number> {
  heard = [];
  server = createServer({ ...certificate, ...options }, (request, response) => {
    heard.push(request.url ?? "");
    response.end("{}");
  });
  server.on("secureConnection", () => heard.push("a handshake"));
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const request = { requestId: 1, method: "GET", bearer: "the token", timeoutMs: 10_000 } as const;
const link = {
  type: "openLink",
  linkId: 7,
  subprotocol: "godwit.v1",
  bearer: "the token",
  headers: {},
} as const;

/** What is told of each way to reach `port`. */
const WAYS: Readonly<Record<string, (port: number, ca: string | null) => Promise<unknown>>> = {
  "a WebSocket link": (port, ca) =>
    new Promise((dispatch) => {
      new WebSocketLinks({ ca, dispatch }).open({ ...link, url: `wss://localhost:${port}/`, mqtt: null });
    }),
  "an MQTT link": (port, ca) =>
    new Promise((dispatch) => {
      const mqtt = { username: "device", topic: "device" };
      new MqttLinks({ ca, dispatch }).open({ ...link, url: `mqtts://localhost:${port}`, mqtt }, mqtt);
    }),
  "a request": (port, ca) =>
    new Promise((dispatch) => {
      performHttpRequest(
        { type: "httpRequest", ...request, url: `https://localhost:${port}/` },
        ca,
        (event: AgentEvent) => dispatch(event),
      );
    }),
  "a test push": async (port, ca) => ({
    status: await performPost({
      url: `https://localhost:${port}/`,
      headers: {},
      body: new Uint8Array(1),
      ca,
      signal: AbortSignal.timeout(10_000),
    }),
  }),
};
describe("with NODE_TLS_REJECT_UNAUTHORIZED=0", () => {
  let before: string | undefined;
  beforeEach(() => {
    before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  });
  afterEach(() => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
  });

  test.each(Object.keys(WAYS))(
    "%s to a server nobody vouches for is refused, and told nothing",
    async (way) => {
      const port = await listen({});
      expect(await WAYS[way]?.(port, null)).toMatchObject(
        way === "a test push" ? { status: 0 } : { cause: "tls" },
      );
      expect(heard.filter((what) => what !== "a handshake")).toEqual([]);
    },
  );

  test("a request to a server somebody vouches for is answered", async () => {
    const port = await listen({});
    expect(await WAYS["a request"]?.(port, certificate.ca)).toMatchObject({ status: 200, body: "{}" });
  });
});

describe("where Node takes TLS 1.0", () => {
  const { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS } = tls;
  beforeEach(() => {
    tls.DEFAULT_MIN_VERSION = "TLSv1";
    tls.DEFAULT_CIPHERS = "DEFAULT@SECLEVEL=0";
  });
  afterEach(() => Object.assign(tls, { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS }));

  test.each(Object.keys(WAYS))("%s to a server that speaks 1.1 at most is refused", async (way) => {
    const port = await listen({ maxVersion: "TLSv1.1" });
    // Which end is the first to say so is chance, and with it the cause.
    expect(await WAYS[way]?.(port, certificate.ca)).toMatchObject(
      way.endsWith("link") ? { type: "linkClosed", httpStatus: null } : { status: 0 },
    );
    expect(heard).toEqual([]);
  });
});
