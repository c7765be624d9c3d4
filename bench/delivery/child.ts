// SPDX-License-Identifier: MIT
/**
 * The measured programs, each a process of its own: the push service with one of its stores, and what it is held against, a relay of
 * `node:http` and `ws` that keeps nothing. Told what to be over IPC; answers with its port, and with what it used when asked.
 */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import { MESSAGE_BODY_BYTES_MAX } from "../../src/limits.ts";
import {
  createPushService,
  MemoryStore,
  newKeyring,
  openLmdbStore,
  openRedisStore,
} from "../../src/push-service/index.ts";
import { DEVICE_QUOTA } from "../../src/push-service/store/rules.ts";
import type { Store } from "../../src/push-service/store/store.ts";

/** First argument of the program for this. */
export const DELIVERY_CHILD = "delivery-child";

/** What the child is to be. */
export interface ChildRole {
  readonly kind: "memory" | "lmdb" | "redis" | "relay";
  /** Empty and its own. */
  readonly directory: string;
  /** PEM files; null for plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  /** host:port of nodes, for `redis`. */
  readonly redisNodes: readonly string[];
  /** With a broker for devices, beside. */
  readonly hasMqtt: boolean;
  /** Messages that may wait for one device; default: the service's own. */
  readonly messagesMax?: number;
}

/** What the process took since it began, and holds. */
export interface Usage {
  readonly cpuUs: number;
  readonly rssBytes: number;
}

export type FromChild = { readonly port: number; readonly mqttPort: number } | { readonly usage: Usage };

/** Every device comes from one address, and senders may be as fast as they can. */
const UNLIMITED = { burstMax: 1e9, perMinute: 1e9 };
const LINKS_MAX = 100_000;

export function runDeliveryChild(): void {
  process.on("disconnect", () => process.exit());
  process.on("message", (message: ChildRole | "usage") => {
    if (message === "usage") tell({ usage: usage() });
    else void (message.kind === "relay" ? startRelay() : startService(message)).then(tell);
  });
}

function tell(message: FromChild): void {
  process.send?.(message);
}

/** What asking has cost. */
let askedCpuUs = 0;

function usage(): Usage {
  const before = process.cpuUsage();
  // Started with --expose-gc: garbage is not what a connection takes.
  globalThis.gc?.();
  const spent = process.cpuUsage(before);
  const cpuUs = before.user + before.system - askedCpuUs;
  askedCpuUs += spent.user + spent.system;
  return { cpuUs, rssBytes: process.memoryUsage.rss() };
}

async function startService(role: ChildRole): Promise<FromChild> {
  const { tls, hasMqtt } = role;
  const service = createPushService({
    store: await storeOf(role),
    keyring: newKeyring(),
    tls: tls && { cert: readFileSync(tls.certFile, "utf8"), key: readFileSync(tls.keyFile, "utf8") },
    reconnectSpreadS: 0,
    connectionRate: UNLIMITED,
    upgradeRate: UNLIMITED,
    tokenRate: UNLIMITED,
    endpointRate: UNLIMITED,
    deviceRate: UNLIMITED,
    deviceLinksMax: LINKS_MAX,
    connectionsPerAddressMax: LINKS_MAX,
    ...(hasMqtt ? { mqtt: { port: 0 } } : {}),
  });
  await service.listen();
  return { port: service.port, mqttPort: service.mqttPort };
}

async function storeOf({ kind, directory, redisNodes, messagesMax }: ChildRole): Promise<Store> {
  const quota =
    messagesMax === undefined
      ? DEVICE_QUOTA
      : { messagesMax, messageBytesMax: messagesMax * MESSAGE_BODY_BYTES_MAX };
  if (kind === "memory") return new MemoryStore(quota);
  if (kind === "lmdb") return openLmdbStore({ directory, quota });
  return openRedisStore({ seeds: redisNodes, username: null, password: null, tls: null });
}

/** POST /N goes to the WebSocket that was opened at /N. */
async function startRelay(): Promise<FromChild> {
  const devices = new Map<string, WebSocket>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      devices.get(request.url ?? "")?.send(Buffer.concat(chunks));
      response.writeHead(201, { "Content-Length": 0 }).end();
    });
  });
  const webSockets = new WebSocketServer({ server, perMessageDeflate: false });
  webSockets.on("connection", (webSocket, { url = "" }) => {
    devices.set(url, webSocket);
    // What a device acknowledges is read and has no meaning here.
    webSocket.on("message", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, mqttPort: 0 };
}
