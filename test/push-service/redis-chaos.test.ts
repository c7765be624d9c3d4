// SPDX-License-Identifier: MIT
// Goal: while nodes of the push service and primaries of its Redis Cluster are killed and paused, every message that was answered 201
// reaches its device, and reaches it once. Method: real processes; devices that reconnect to any node, application servers
// that repeat what was not answered 201; every few seconds one process is killed or paused and comes back. GODWIT_CHAOS_S says
// how long, 200 devices and 3 minutes in `npm run test:long`.

import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { newKeyring } from "../../src/push-service/keyring.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { PUBLIC_ORIGIN } from "./bench.ts";
import { isRedisInstalled, type NodeProcess, startNode, TestCluster } from "./redis-cluster.ts";

const CHAOS_MS = Number(process.env.GODWIT_CHAOS_S ?? 15) * 1000;
const DEVICES = CHAOS_MS > 60_000 ? 200 : 40;
const NODES = 3;
const STEP_MS = 5_000;
/** Between two messages of all senders together. */
const POST_EVERY_MS = 20;
const RECONNECT_MS = 100;

const keyring = newKeyring();
let cluster: TestCluster;
const nodes: (NodeProcess | null)[] = [];

const anyPort = (): number => {
  const alive = nodes.filter((node) => node !== null);
  return alive[Math.floor(Math.random() * alive.length)]?.port ?? 0;
};

const start = (): Promise<NodeProcess> => startNode({ seeds: cluster.seeds, prefix: "chaos", keyring });

/** Comes back whenever its link ends, to whichever node. */
class Device {
  endpoint = "";
  /** By text, the ids it came by. */
  readonly received = new Map<string, Set<number>>();
  readonly #uaToken: string;
  #webSocket: WebSocket | null = null;
  #isEnding = false;
  #lastHeardMs = 0;
  readonly #pings = setInterval(() => this.#ping(), 1_000);

  constructor(uaToken: string) {
    this.#uaToken = uaToken;
    this.#dial();
  }

  end(): void {
    this.#isEnding = true;
    clearInterval(this.#pings);
    this.#webSocket?.terminate();
  }

  /** A node that was paused says nothing: the device's own heartbeat finds out. */
  #ping(): void {
    if (performance.now() > this.#lastHeardMs + 3_000) this.#webSocket?.terminate();
    else if (this.#webSocket?.readyState === WebSocket.OPEN) this.#webSocket.ping();
  }

  #dial(): void {
    this.#lastHeardMs = performance.now();
    const webSocket = new WebSocket(`ws://127.0.0.1:${anyPort()}/v1/ws`, ["godwit.v1"], {
      headers: {
        Authorization: `Bearer ${this.#uaToken}`,
        "Godwit-Conditions": "heartbeat=240, window=0, urgency=very-low",
        "Godwit-Channels": base64urlEncode(channelsDigest([])),
      },
    });
    this.#webSocket = webSocket;
    webSocket.on("error", () => {});
    webSocket.on("pong", () => {
      this.#lastHeardMs = performance.now();
    });
    webSocket.on("close", () => {
      if (!this.#isEnding) setTimeout(() => this.#dial(), RECONNECT_MS);
    });
    webSocket.on("message", (data: Buffer) => this.#heard(webSocket, data));
  }

  #heard(webSocket: WebSocket, data: Buffer): void {
    this.#lastHeardMs = performance.now();
    const message = godwitDialect.parseDownstream(new Uint8Array(data));
    const send = (upstream: Parameters<typeof godwitDialect.encodeUpstream>[0]): void =>
      webSocket.send(godwitDialect.encodeUpstream(upstream));
    if (message.type === "registered" && this.endpoint === "")
      send({ type: "registerWa", ref: 1, registrationId: new Uint8Array(16), applicationServerKey: null });
    if (message.type === "waRegistered") this.endpoint = message.endpoint;
    if (message.type !== "notification") return;
    const text = Buffer.from(message.body ?? []).toString();
    this.received.set(text, (this.received.get(text) ?? new Set()).add(message.id));
    send({ type: "ack", code: "ok", ranges: [[message.id, message.id]] });
  }
}

interface Sent {
  readonly device: Device;
  readonly text: string;
  /** Tries that may have been stored without a 201. */
  readonly doubts: number;
}

/** Posts until it is answered 201. */
async function send(device: Device, text: string): Promise<Sent> {
  for (let doubts = 0; ; doubts++) {
    try {
      const response = await fetch(
        `http://127.0.0.1:${anyPort()}${device.endpoint.replace(PUBLIC_ORIGIN, "")}`,
        {
          method: "POST",
          headers: { TTL: "3600", "Content-Encoding": "aes128gcm" },
          body: text,
          signal: AbortSignal.timeout(15_000),
        },
      );
      await response.arrayBuffer();
      if (response.status === 201) return { device, text, doubts };
      if (response.status !== 503) throw new Error(`POST: ${response.status}`);
    } catch (error) {
      if (String(error).includes("POST:")) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

/** One process goes, or stands still, and comes back. */
async function disturb(step: number): Promise<void> {
  const at = Math.floor(Math.random() * NODES);
  const redis = await cluster.primaryOf(Math.floor(Math.random() * 16_384));
  const pause = () => new Promise((resolve) => setTimeout(resolve, STEP_MS / 2));
  const node = nodes[at];
  switch (step % 4) {
    case 0:
      await redis.kill();
      await pause();
      await redis.run();
      break;
    case 1:
      nodes[at] = null;
      await node?.stop();
      await pause();
      nodes[at] = await start();
      break;
    case 2:
      redis.signal("SIGSTOP");
      await pause();
      redis.signal("SIGCONT");
      break;
    default:
      node?.process.kill("SIGSTOP");
      await pause();
      node?.process.kill("SIGCONT");
  }
  // Two failures of one shard at once are more than is promised.
  await cluster.whole();
}

describe.skipIf(!isRedisInstalled)("chaos over Redis Cluster", () => {
  beforeAll(async () => {
    cluster = await TestCluster.start();
    for (let at = 0; at < NODES; at++) nodes.push(await start());
  }, 60_000);
  afterAll(async () => {
    for (const node of nodes) await node?.stop();
    await cluster?.stop();
  });

  test(
    "every message answered 201 arrives, once",
    async () => {
      const devices: Device[] = [];
      for (let number = 0; number < DEVICES; number++) {
        const response = await fetch(`http://127.0.0.1:${anyPort()}/v1/token`, { method: "POST" });
        devices.push(new Device(((await response.json()) as { uaToken: string }).uaToken));
      }
      await expect
        .poll(() => devices.every(({ endpoint }) => endpoint !== ""), { timeout: 20_000 })
        .toBe(true);
      const sending: Promise<Sent>[] = [];
      let number = 0;
      const posts = setInterval(() => {
        const device = devices[number % DEVICES];
        if (device !== undefined) sending.push(send(device, `message ${number++}`));
      }, POST_EVERY_MS);
      const endMs = performance.now() + CHAOS_MS;
      for (let step = 0; performance.now() < endMs; step++) {
        const next = once(AbortSignal.timeout(STEP_MS), "abort");
        await disturb(step);
        await next;
      }
      clearInterval(posts);
      const sent = await Promise.all(sending);
      const missing = () => sent.filter(({ device, text }) => !device.received.has(text));
      await expect.poll(() => missing().length, { timeout: 40_000 }).toBe(0);
      const twice = sent.filter(
        ({ device, text, doubts }) => (device.received.get(text)?.size ?? 0) > 1 + doubts,
      );
      expect(twice.map(({ text }) => text)).toEqual([]);
      console.log(
        `${sent.length} messages to ${DEVICES} devices, ${sent.filter(({ doubts }) => doubts > 0).length} of them tried again`,
      );
      for (const device of devices) device.end();
    },
    CHAOS_MS + 180_000,
  );
});
