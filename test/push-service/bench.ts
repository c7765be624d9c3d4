// SPDX-License-Identifier: MIT
// A running push service for tests: plain HTTP on a free port behind a pretended public origin, a device speaking
// godwit.v1 through `ws`, and an application server with a key. No tests here.

import { randomFillSync } from "node:crypto";
import { once } from "node:events";
import { WebSocket } from "ws";
import { nodeProvider } from "../../src/node/crypto.ts";
import { newKeyring } from "../../src/push-service/keyring.ts";
import type { LogEvent } from "../../src/push-service/log.ts";
import type { Keyring } from "../../src/push-service/seal.ts";
import { createPushService } from "../../src/push-service/server.ts";
import type { PushService, PushServiceOptions } from "../../src/push-service/service-options.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import type { Store } from "../../src/push-service/store/store.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import type { KeyPair } from "../../src/webpush/crypto.ts";
import { generateKeyPair } from "../../src/webpush/keys.ts";
import { signVapid } from "../../src/webpush/vapid.ts";
import type { Downstream, Upstream } from "../../src/wire/dialect.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";

export const PUBLIC_ORIGIN = "https://push.example";
export const START_MS = 1_800_000_000_000;

/** A connected device; `next` hands out what the service sent, in order. */
export abstract class TestLink {
  readonly #received: Downstream[] = [];
  #wake: (() => void) | null = null;

  /** The transport's part. */
  abstract sendFrame(frame: Uint8Array): void;

  protected received(data: Buffer): void {
    this.#received.push(godwitDialect.parseDownstream(new Uint8Array(data)));
    this.#wake?.();
  }

  send(message: Upstream): void {
    this.sendFrame(godwitDialect.encodeUpstream(message));
  }

  /** The next message, which must be of `type`. */
  async next<T extends Downstream["type"]>(type: T): Promise<Extract<Downstream, { type: T }>> {
    while (this.#received.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#received.shift();
    if (message?.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(message)}`);
    return message as Extract<Downstream, { type: T }>;
  }

  /** Everything the service had to say before answering a probe. */
  async quiet(): Promise<Downstream[]> {
    this.send({ type: "probe", nonce: 4_000_000_000 });
    const seen: Downstream[] = [];
    for (;;) {
      while (this.#received.length === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const message = this.#received.shift();
      if (message === undefined || (message.type === "probeReply" && message.nonce === 4_000_000_000))
        return seen;
      seen.push(message);
    }
  }
}

export class TestDevice extends TestLink {
  readonly webSocket: WebSocket;

  constructor(webSocket: WebSocket) {
    super();
    this.webSocket = webSocket;
    webSocket.on("message", (data: Buffer) => this.received(data));
  }

  override sendFrame(frame: Uint8Array): void {
    this.webSocket.send(frame);
  }

  async close(): Promise<void> {
    const closed = once(this.webSocket, "close");
    this.webSocket.close();
    await closed;
  }
}

export class TestBench {
  readonly service: PushService;
  readonly store: Store;
  readonly keyring: Keyring;
  readonly log: LogEvent[] = [];
  readonly keys = generateKeyPair((target) => randomFillSync(target), nodeProvider);
  epochMs = START_MS;
  monotonicMs = 0;
  readonly #webSockets: WebSocket[] = [];

  constructor(options: Partial<PushServiceOptions> = {}) {
    this.store = options.store ?? new MemoryStore();
    this.keyring = options.keyring ?? newKeyring();
    this.service = createPushService({
      tls: null,
      publicOrigin: PUBLIC_ORIGIN,
      clock: { epochMs: () => this.epochMs, monotonicMs: () => this.monotonicMs },
      log: (event) => this.log.push(event),
      ...options,
      keyring: this.keyring,
      store: this.store,
    });
  }

  static async start(options: Partial<PushServiceOptions> = {}): Promise<TestBench> {
    const bench = new TestBench(options);
    await bench.service.listen();
    return bench;
  }

  async stop(): Promise<void> {
    for (const webSocket of this.#webSockets) webSocket.terminate();
    await this.service.close();
  }

  /** URL on the loopback port for a public one or a path. */
  local(url: string): string {
    return `http://127.0.0.1:${this.service.port}${url.replace(PUBLIC_ORIGIN, "")}`;
  }

  fetch(url: string, init: RequestInit = {}): Promise<Response> {
    return fetch(this.local(url), init);
  }

  async token(headers: Record<string, string> = {}): Promise<{ uaToken: string; uaid: string }> {
    const response = await this.fetch("/v1/token", { method: "POST", headers });
    if (response.status !== 200) throw new Error(`token: ${response.status}`);
    return (await response.json()) as { uaToken: string; uaid: string };
  }

  /** A raw WebSocket, not yet open. */
  dial(path: string, headers: Record<string, string>, subprotocols: string[] = ["godwit.v1"]): WebSocket {
    const webSocket = new WebSocket(`ws://127.0.0.1:${this.service.port}${path}`, subprotocols, { headers });
    webSocket.on("error", () => {});
    this.#webSockets.push(webSocket);
    return webSocket;
  }

  async connect(
    uaToken: string,
    channels: number[] = [],
    headers: Record<string, string> = {},
  ): Promise<TestDevice> {
    const webSocket = this.dial("/v1/ws", {
      Authorization: `Bearer ${uaToken}`,
      "Godwit-Conditions": "heartbeat=240, window=0, urgency=very-low",
      "Godwit-Channels": base64urlEncode(channelsDigest(channels)),
      ...headers,
    });
    const device = new TestDevice(webSocket);
    await once(webSocket, "open");
    return device;
  }

  /** The HTTP answer to an upgrade that is refused. */
  async refusal(path: string, headers: Record<string, string>, subprotocols?: string[]) {
    const webSocket = this.dial(path, headers, subprotocols);
    const [, response] = (await once(webSocket, "unexpected-response")) as [
      unknown,
      import("node:http").IncomingMessage,
    ];
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return {
      status: response.statusCode,
      headers: response.headers,
      body: text === "" ? null : JSON.parse(text),
    };
  }

  /** A new device with one channel, and that channel's endpoint. */
  async subscribed(applicationServerKey: Uint8Array | null = null) {
    const { uaToken, uaid } = await this.token();
    const device = await this.connect(uaToken);
    await device.next("registered");
    device.send({ type: "registerWa", ref: 1, registrationId: new Uint8Array(16), applicationServerKey });
    const { endpoint, channel } = await device.next("waRegistered");
    return { uaToken, uaid, device, endpoint, channel };
  }

  vapid(
    overrides: { aud?: string; expiresS?: number; sub?: string; act?: string; keys?: KeyPair } = {},
  ): string {
    return signVapid({
      keys: overrides.keys ?? this.keys,
      audience: overrides.aud ?? PUBLIC_ORIGIN,
      expiresS: overrides.expiresS ?? this.epochMs / 1000 + 3600,
      ...(overrides.sub === undefined ? {} : { subject: overrides.sub }),
      claims: overrides.act === undefined ? {} : { act: overrides.act },
      provider: nodeProvider,
    });
  }

  post(endpoint: string, headers: Record<string, string> = {}, body: Uint8Array | null = Uint8Array.of(1)) {
    const defaults: Record<string, string> = { TTL: "60" };
    if (body !== null) defaults["Content-Encoding"] = "aes128gcm";
    const all = Object.entries({ ...defaults, ...headers }).filter(([, value]) => value !== "");
    return this.fetch(endpoint, { method: "POST", headers: Object.fromEntries(all), body });
  }
}

/** A promise and the functions that settle it. */
export function gate(): { promise: Promise<void>; open: () => void; fail: (error: Error) => void } {
  let open = () => {};
  let fail: (error: Error) => void = () => {};
  const promise = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  // A failure may come before anybody waits for it.
  promise.catch(() => {});
  return { promise, open, fail };
}
