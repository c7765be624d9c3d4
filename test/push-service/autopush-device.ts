// SPDX-License-Identifier: MIT
// A device of dialect autopush over `ws`, against a service that `bench.ts` runs. No tests here.

import { once } from "node:events";
import { WebSocket } from "ws";
import {
  type AutopushDownstream,
  type AutopushUpstream,
  encodeAutopushUpstream,
  parseAutopushDownstream,
} from "../../src/wire/autopush.ts";
import type { TestBench } from "./bench.ts";

/** How the service closed a link. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A connected device; `next` hands out what the service sent, in order. */
export class AutopushDevice {
  readonly webSocket: WebSocket;
  /** Settles when either side closed. */
  readonly closed: Promise<Closed>;
  readonly #received: AutopushDownstream[] = [];
  #wake: (() => void) | null = null;

  constructor(webSocket: WebSocket) {
    this.webSocket = webSocket;
    webSocket.on("error", () => {});
    webSocket.on("message", (data: Buffer) => {
      this.#received.push(parseAutopushDownstream(data.toString()));
      this.#wake?.();
    });
    this.closed = once(webSocket, "close").then(([code, reason]) => {
      this.#wake?.();
      return { code: code as number, reason: String(reason) };
    });
  }

  send(message: AutopushUpstream): void {
    this.sendText(encodeAutopushUpstream(message));
  }

  sendText(text: string): void {
    this.webSocket.send(text);
  }

  /** The next message, which must be of `type`. */
  async next<T extends AutopushDownstream["type"]>(
    type: T,
  ): Promise<Extract<AutopushDownstream, { type: T }>> {
    while (this.#received.length === 0) {
      if (this.webSocket.readyState === WebSocket.CLOSED) throw new Error(`closed before ${type}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const message = this.#received.shift();
    if (message?.type !== type) throw new Error(`expected ${type}, got ${JSON.stringify(message)}`);
    return message as Extract<AutopushDownstream, { type: T }>;
  }

  /** Everything the service had to say before answering about a channel that it never knew. */
  async quiet(): Promise<AutopushDownstream[]> {
    const channelId = new Uint8Array(16).fill(0xee);
    this.send({ type: "unregister", channelId, code: null });
    const seen: AutopushDownstream[] = [];
    for (;;) {
      while (this.#received.length === 0) {
        if (this.webSocket.readyState === WebSocket.CLOSED) throw new Error("closed before it was quiet");
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      const message = this.#received.shift();
      if (message === undefined) continue;
      if (message.type === "unregister" && message.channelId.every((byte) => byte === 0xee)) return seen;
      seen.push(message);
    }
  }

  /** Says hello, and what the service answered. */
  async hello(uaid: string | null = null, broadcasts = new Map<string, string>()) {
    this.send({ type: "hello", uaid, broadcasts });
    return await this.next("hello");
  }

  /** Registers a channel, and what the service answered. */
  async register(channelId: Uint8Array, key: string | null = null) {
    this.send({ type: "register", channelId, key });
    return await this.next("register");
  }

  /** Acknowledges messages by version. */
  ack(channelId: Uint8Array, ...versions: string[]): void {
    this.send({ type: "ack", updates: versions.map((version) => ({ channelId, version, code: 100 })) });
  }

  async close(): Promise<Closed> {
    this.webSocket.close();
    return await this.closed;
  }
}

/** A device whose WebSocket is open and that has not said hello. */
export async function dialAutopush(
  bench: TestBench,
  subprotocols: string[] = ["push-notification"],
  headers: Record<string, string> = {},
): Promise<AutopushDevice> {
  const webSocket = bench.dial("/", headers, subprotocols);
  const device = new AutopushDevice(webSocket);
  await once(webSocket, "open");
  return device;
}

/** A device that said hello, as `uaid` or as a new one. */
export async function autopushOnline(bench: TestBench, uaid: string | null = null) {
  const device = await dialAutopush(bench);
  return { device, uaid: (await device.hello(uaid)).uaid };
}

/** A new device with one channel. */
export async function autopushSubscribed(bench: TestBench, key: string | null = null, channelId = uuid(1)) {
  const { device, uaid } = await autopushOnline(bench);
  const { pushEndpoint } = await device.register(channelId, key);
  return { device, uaid, channelId, endpoint: pushEndpoint };
}

/** The 16 bytes of a channelID, one for each number. */
export function uuid(index: number): Uint8Array {
  return new Uint8Array(16).fill(index);
}
