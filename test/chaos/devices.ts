// SPDX-License-Identifier: MIT
// A device with one app, as far as the push service can tell: it speaks godwit.v1, comes back when its link is lost or silent, keeps
// the agent's window of ids that were dealt with, and shows its app the rest. No tests here.

import { WebSocket } from "ws";
import { NumberWindow } from "../../src/journal/number-window.ts";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import type { Downstream, Upstream } from "../../src/wire/dialect.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import type { Ledger } from "./ledger.ts";

const PING_EVERY_MS = 2_000;
/** A link from which nothing comes for so long counts as lost: less than the longest pause. */
const SILENT_MS_MAX = 6_000;
const HANDSHAKE_TIMEOUT_MS = 4_000;
const RETRY_MS = 100;
const RETRY_MS_MAX = 2_000;

export interface DeviceOptions {
  readonly number: number;
  readonly port: number;
  readonly ledger: Ledger;
}

type Waiting = { readonly type: "waRegistered" | "drained"; readonly resolve: (message: never) => void };

export class ChaosDevice {
  readonly #options: DeviceOptions;
  readonly #uaToken: string;
  #webSocket: WebSocket | null = null;
  #isRegistered = false;
  #channels: number[] = [];
  #storeEpoch = 0;
  #handled = new NumberWindow();
  #failures = 0;
  #retryAfterS = 0;
  #retry: NodeJS.Timeout | null = null;
  #silence: NodeJS.Timeout | null = null;
  #waiting: Waiting | null = null;
  #registered: () => void = () => {};
  /** Links that were lost. */
  losses = 0;

  private constructor(options: DeviceOptions, uaToken: string) {
    this.#options = options;
    this.#uaToken = uaToken;
  }

  /** A new device that is connected, and the path of its one push resource. */
  static async enrol(options: DeviceOptions): Promise<{ device: ChaosDevice; path: string }> {
    const response = await fetch(`http://127.0.0.1:${options.port}/v1/token`, { method: "POST" });
    const { uaToken } = (await response.json()) as { uaToken: string };
    const device = new ChaosDevice(options, uaToken);
    device.#dial();
    await new Promise<void>((resolve) => {
      device.#registered = resolve;
    });
    const registrationId = new Uint8Array(16);
    device.#send({ type: "registerWa", ref: 1, registrationId, applicationServerKey: null });
    const { channel, endpoint } = await device.#next("waRegistered");
    device.#channels = [channel];
    return { device, path: new URL(endpoint).pathname };
  }

  get isConnected(): boolean {
    return this.#isRegistered;
  }

  /** Resolves when the service has nothing left for the device: on the link there is, or the next one. */
  async drained(): Promise<void> {
    if (this.#isRegistered) this.#askForAll();
    await this.#next("drained");
  }

  close(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#end();
  }

  #dial(): void {
    this.#retry = null;
    const webSocket = new WebSocket(`ws://127.0.0.1:${this.#options.port}/v1/ws`, ["godwit.v1"], {
      headers: {
        Authorization: `Bearer ${this.#uaToken}`,
        "Godwit-Conditions": "heartbeat=240, window=0, urgency=very-low",
        "Godwit-Channels": base64urlEncode(channelsDigest(this.#channels)),
      },
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      perMessageDeflate: false,
    });
    this.#webSocket = webSocket;
    webSocket.on("open", () => this.#watch(webSocket));
    webSocket.on("message", (data: Buffer) => {
      if (webSocket !== this.#webSocket) return;
      this.#take(godwitDialect.parseDownstream(new Uint8Array(data)));
    });
    webSocket.on("error", () => {});
    webSocket.on("close", () => {
      if (webSocket === this.#webSocket) this.#lost();
    });
  }

  /** Pings now and then; what does not answer is gone. */
  #watch(webSocket: WebSocket): void {
    let heardMs = performance.now();
    const heard = () => {
      heardMs = performance.now();
    };
    webSocket.on("pong", heard);
    webSocket.on("message", heard);
    this.#silence = setInterval(() => {
      if (performance.now() - heardMs > SILENT_MS_MAX) webSocket.terminate();
      else webSocket.ping();
    }, PING_EVERY_MS);
  }

  #take(message: Downstream): void {
    switch (message.type) {
      case "registered":
        return this.#begin(message);
      case "notification":
        return this.#show(message);
      case "bye":
        this.#retryAfterS = message.retryAfterS;
        return;
      case "revoked":
      case "error":
        return this.#options.ledger.note(`device ${this.#options.number} was told ${message.type}`);
      default:
        if (message.type !== this.#waiting?.type) return;
        this.#waiting.resolve(message as never);
        this.#waiting = null;
    }
  }

  #begin({ storeEpoch, channels }: Extract<Downstream, { type: "registered" }>): void {
    const { ledger, number } = this.#options;
    if (this.#channels.length > 0 && channels !== null) ledger.note(`device ${number} lost its channel`);
    if (storeEpoch !== this.#storeEpoch) {
      if (this.#storeEpoch !== 0) ledger.note("the store began anew");
      this.#storeEpoch = storeEpoch;
      this.#handled = new NumberWindow();
    }
    this.#isRegistered = true;
    this.#failures = 0;
    if (this.#waiting?.type === "drained") this.#askForAll();
    this.#registered();
  }

  #askForAll(): void {
    this.#send({ type: "getAllMessages", ref: 2 });
  }

  #show({ id, body }: Extract<Downstream, { type: "notification" }>): void {
    const { ledger, number } = this.#options;
    if (this.#handled.has(id)) ledger.repeats++;
    else ledger.shown(number, body);
    this.#handled.add(id);
    this.#send({ type: "ack", code: "ok", ranges: [[id, id]] });
  }

  #send(message: Upstream): void {
    this.#webSocket?.send(godwitDialect.encodeUpstream(message));
  }

  #next<T extends Waiting["type"]>(type: T): Promise<Extract<Downstream, { type: T }>> {
    return new Promise((resolve) => {
      this.#waiting = { type, resolve };
    });
  }

  #lost(): void {
    if (this.#isRegistered) this.losses++;
    this.#end();
    const ceilingMs = Math.min(RETRY_MS * 2 ** this.#failures++, RETRY_MS_MAX);
    const delayMs = (this.#retryAfterS * 1000 || ceilingMs) * (0.5 + Math.random());
    this.#retryAfterS = 0;
    this.#retry = setTimeout(() => this.#dial(), delayMs);
  }

  #end(): void {
    if (this.#silence !== null) clearInterval(this.#silence);
    this.#silence = null;
    this.#isRegistered = false;
    const webSocket = this.#webSocket;
    this.#webSocket = null;
    webSocket?.terminate();
  }
}
