// SPDX-License-Identifier: MIT
/**
 * What a push service, a broker or a proxy answers to the Node host: WebSockets of both dialects, HTTP, MQTT. The first byte of an
 * input says which, and whether the upgrade, the subscribing or the tunnel before it are good. Each link ends with one event and each
 * request with one answer; no message is over its bound; a proxy opens no link, and what it says is nobody's answer. No tests here.
 */

import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type AgentEvent, LINK_CAUSES } from "../../../src/agent/events.ts";
import {
  AUTOPUSH_FRAME_BYTES_MAX,
  HTTP_RESPONSE_BYTES_MAX,
  MQTT_PACKET_BYTES_MAX,
} from "../../../src/limits.ts";
import { performHttpRequest } from "../../../src/node/http.ts";
import { MqttLinks } from "../../../src/node/mqtt.ts";
import { WebSocketLinks } from "../../../src/node/websocket.ts";
import { holds, same, type Target } from "../target.ts";

const KINDS = [
  ...["webSocket", "frames", "textFrames", "http"],
  ...["mqtt", "mqttFrames", "proxy", "tunnel", "proxiedHttp"],
] as const;
type Kind = (typeof KINDS)[number];

/** The other end of everything: waits until it is spoken to, says its part, hangs up. */
const server = createServer({ allowHalfOpen: true });
server.listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
process.env.https_proxy = `http://127.0.0.1:${port}`;
process.env.no_proxy = "127.0.0.1";

export const target: Target = {
  name: "links",
  covers: ["websocket", "http", "mqtt", "proxy", "bounded-mqtt"].map((name) => `src/node/${name}`),
  inputBytesMax: 40_000,
  inputMsMax: 3000,
  words: [
    ...[
      "HTTP/1.1 200 OK\r\n",
      "HTTP/1.1 503 x\r\n",
      "HTTP/1.1 101 x\r\n",
      "\r\n\r\n",
      "\r\n",
      "Retry-After: 9\r\n",
    ],
    ...[
      "Content-Length: 3\r\n",
      "Transfer-Encoding: chunked\r\n",
      "3\r\nabc\r\n0\r\n\r\n",
      "Connection: close\r\n",
    ],
    ...["Upgrade: websocket\r\n", "Sec-WebSocket-Protocol: godwit.v1\r\n", "Sec-WebSocket-Extensions: x\r\n"],
    ...[
      "\x81\x01a",
      "\x82\x01a",
      "\x89\x00",
      "\x8a\x00",
      "\x88\x02\x03\xe8",
      "\x82\x7e\x40\x01",
      "\x01\x01a",
      "\x80\x00",
    ],
    ...[
      "\x20\x02\x00\x00",
      "\x90\x03\x00\x01\x01",
      "\x30\x06\x00\x03a/b1",
      "\x32\x08\x00\x03a/b\x00\x011",
      "\xd0\x00",
    ],
  ],
  seeds: () =>
    SEEDS.map(([kind, text]) => Buffer.from([KINDS.indexOf(kind), ...Buffer.from(text, "latin1")])),
  async run(input) {
    const kind = KINDS[(input[0] ?? 0) % KINDS.length] ?? "http";
    const events: AgentEvent[] = [];
    const isOver = new Promise<void>((resolve) => {
      dial(kind, (event) => {
        events.push(event);
        if (event.type === "linkClosed" || event.type === "httpResponse") resolve();
      });
    });
    const [socket] = (await once(server, "connection")) as [Socket];
    const closed = new Promise((resolve) => socket.on("close", resolve));
    await answer(socket, kind, input.subarray(1));
    await isOver;
    socket.destroy();
    await closed;
    return `${kind} ${check(kind, events)}`;
  },
  async close() {
    server.close();
  },
};

function dial(kind: Kind, dispatch: (event: AgentEvent) => void): void {
  const isProxied = ["proxy", "tunnel", "proxiedHttp"].includes(kind);
  const at = isProxied ? "push.example" : `127.0.0.1:${port}`;
  let speak = (): void => {};
  const speaking = (event: AgentEvent): void => {
    dispatch(event);
    if (event.type === "linkOpened") speak();
  };
  const link = { type: "openLink", linkId: 1, bearer: "t", headers: { "X-A": "b" } } as const;
  if (kind === "http" || kind === "proxiedHttp") {
    const url = `${isProxied ? "https" : "http"}://${at}/v1/token`;
    const request = {
      type: "httpRequest",
      requestId: 1,
      method: "POST",
      url,
      bearer: null,
      timeoutMs: 9000,
    } as const;
    performHttpRequest(request, null, dispatch);
  } else if (kind === "mqtt" || kind === "mqttFrames") {
    const links = new MqttLinks({ ca: null, dispatch: speaking });
    const mqtt = { username: "u", topic: "a" };
    links.open({ ...link, url: `mqtt://${at}`, subprotocol: "", mqtt }, mqtt);
    speak = () => links.send(1, Uint8Array.of(1), 1);
  } else {
    const links = new WebSocketLinks({ ca: null, dispatch: speaking });
    speak = () => {
      links.send(1, Uint8Array.of(1));
      links.ping(1);
    };
    const url = `${isProxied ? "wss" : "ws"}://${at}/v1/ws`;
    const text = kind === "textFrames" ? ({ isText: true } as const) : {};
    links.open({ ...link, url, subprotocol: "godwit.v1", mqtt: null, ...text });
  }
}

/** Behind what was said first: what belongs there, if anything, and `bytes`; then nothing more. */
async function answer(socket: Socket, kind: Kind, bytes: Uint8Array): Promise<void> {
  // Whoever is left before it was heard out resets.
  socket.on("error", () => {});
  const [head] = (await once(socket, "data")) as [Buffer];
  const closed = once(socket, "close");
  if (kind === "mqttFrames") {
    socket.write(Buffer.from([0x20, 2, 0, 0]));
    const [subscribe = Buffer.alloc(4)] = (await Promise.race([once(socket, "data"), closed])) as [Buffer?];
    // For the SUBSCRIBE, by its packet id.
    socket.write(Buffer.from([0x90, 3, subscribe[2] ?? 0, subscribe[3] ?? 0, 1]));
  }
  socket.resume();
  socket.write(Buffer.concat([before(kind, head.toString("latin1")), bytes]));
  socket.end();
}

function before(kind: Kind, head: string): Buffer {
  if (kind === "tunnel") return Buffer.from("HTTP/1.1 200 OK\r\n\r\n");
  if (kind !== "frames" && kind !== "textFrames") return Buffer.alloc(0);
  const key = /^Sec-WebSocket-Key: (.*)\r$/im.exec(head)?.[1] ?? "";
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  const protocol = kind === "frames" ? "Sec-WebSocket-Protocol: godwit.v1\r\n" : "";
  return Buffer.from(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${protocol}Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
}

/** What came of it, in a word. */
function check(kind: Kind, events: readonly AgentEvent[]): string {
  const ends = events.filter(({ type }) => type === "linkClosed" || type === "httpResponse");
  same("how often it ends", ends.length, 1);
  same("what comes last", events.at(-1), ends[0]);
  const isProxied = ["proxy", "tunnel", "proxiedHttp"].includes(kind);
  for (const event of events) {
    if (event.type === "linkOpened") holds("a proxy opens no link", !isProxied);
    if (event.type === "linkMessage")
      holds(
        "a bound for messages",
        event.frame.length <= Math.max(AUTOPUSH_FRAME_BYTES_MAX, MQTT_PACKET_BYTES_MAX),
      );
    if (event.type === "linkClosed") {
      holds(`a listed cause: ${event.cause}`, LINK_CAUSES.includes(event.cause));
      holds("what a proxy says is no refusal", !isProxied || event.httpStatus === null);
    }
    if (event.type !== "httpResponse") continue;
    same("a status or a cause", event.status === 0, event.cause !== null);
    holds("what a proxy says is nobody's answer", !isProxied || event.status === 0);
    holds("a bound for answers", (event.body ?? "").length <= HTTP_RESPONSE_BYTES_MAX);
  }
  const [end] = ends;
  if (end?.type === "linkClosed") return `${end.cause} ${end.httpStatus ?? ""} ${events.length > 1}`;
  return end?.type === "httpResponse" ? `${end.cause} ${end.status}` : "";
}

const SEEDS: readonly (readonly [Kind, string])[] = [
  ["webSocket", "HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n"],
  ["webSocket", "HTTP/1.1 401 No\r\n\r\n"],
  ["frames", "\x82\x01a\x89\x00\x8a\x00\x88\x02\x03\xe8"],
  ["frames", "\x81\x01a"],
  ["textFrames", "\x81\x02{}\x89\x01p\x88\x02\x0f\xa0"],
  ["http", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"],
  ["http", "HTTP/1.1 429 x\r\nRetry-After: 99\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
  ["mqtt", "\x20\x02\x00\x05"],
  ["mqttFrames", "\x30\x0a\x00\x06a/downx1"],
  ["mqttFrames", "\x90\x03\x00\x01\x01\x30\x0a\x00\x06a/downx1"],
  ["proxy", "HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n"],
  ["tunnel", "\x16\x03\x03\x00\x02\x02\x28"],
  ["proxiedHttp", "HTTP/1.1 403 x\r\nContent-Length: 3\r\n\r\nabc"],
];
