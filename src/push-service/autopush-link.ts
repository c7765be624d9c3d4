// SPDX-License-Identifier: MIT
/**
 * One WebSocket of a device of dialect autopush: waits for its `hello`, finds out who it is, then carries the messages of its
 * session. The rules of a session are in autopush-session.ts.
 */

import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { GodwitError } from "../errors.ts";
import {
  AUTOPUSH_FRAME_WEIGHT_BYTES,
  AUTOPUSH_FRAMES_EARLY_MAX,
  AUTOPUSH_HELLO_TIMEOUT_MS,
} from "../limits.ts";
import {
  type AutopushDownstream,
  type AutopushUpstream,
  encodeAutopushDownstream,
  parseAutopushUpstream,
  parseUuid,
} from "../wire/autopush.ts";
import type { ByeReason } from "../wire/dialect.ts";
import { AutopushSession } from "./autopush-session.ts";
import { stored } from "./endpoint.ts";
import { type HeardWebSocket, listenTo, type WebSocketEar } from "./heard-websocket.ts";
import { HttpError } from "./http-errors.ts";
import { TokenBucket } from "./rate-limit.ts";
import { type LinkPort, SessionHost, type SessionServices } from "./session-host.ts";
import { UAID_BYTES } from "./tokens.ts";
import { FRAME_RATE } from "./upstream-frames.ts";
import { type QueueOwner, WebSocketQueue } from "./websocket-queue.ts";

/** How a link ends: close code and reason, as Mozilla's service names them. */
const CLOSE = {
  helloTimeout: [1011, "HandshakeTimeout"],
  json: [1011, "Json"],
  misuse: [1011, "SM"],
  pongTimeout: [1011, "PongTimeout"],
  forgotten: [1000, "SM"],
  binary: [1003, "UnsupportedMessage"],
  shutdown: [1000, ""],
} as const;
type Close = keyof typeof CLOSE;

const CLOSE_OF = {
  shutdown: "shutdown",
  replaced: "misuse",
  idle: "pongTimeout",
  unregistered: "forgotten",
  protocol: "misuse",
  overload: "misuse",
} as const satisfies Record<ByeReason, Close>;

export interface AutopushLinkOptions {
  readonly services: SessionServices;
  readonly webSocket: HeardWebSocket;
  /** The one below it. */
  readonly socket: Duplex;
  /** Brings a new device into the store; as `Enrolment.admitAutopush`. */
  readonly admit: (uaid: Uint8Array) => Promise<void>;
  /** Called once: a session took the device over, or the link ended before. */
  readonly greeted: () => void;
}

export class AutopushLink implements LinkPort<AutopushDownstream>, WebSocketEar, QueueOwner {
  readonly #options: AutopushLinkOptions;
  readonly #queue: WebSocketQueue;
  readonly #rate = new TokenBucket(FRAME_RATE);
  #helloTimer: NodeJS.Timeout | null;
  #host: SessionHost<AutopushUpstream, AutopushDownstream> | null = null;
  /** What came while it was found out who the device is; null before and after. */
  #early: AutopushUpstream[] | null = null;

  constructor(options: AutopushLinkOptions) {
    this.#options = options;
    const { webSocket, socket } = options;
    this.#queue = new WebSocketQueue(webSocket, socket, this);
    this.#helloTimer = setTimeout(() => this.#end("helloTimeout"), AUTOPUSH_HELLO_TIMEOUT_MS);
    listenTo(webSocket, this, true);
  }

  send(message: AutopushDownstream): void {
    this.#queue.send(encodeAutopushDownstream(message));
  }

  ping(): void {
    const { webSocket } = this.#options;
    if (webSocket.readyState === WebSocket.OPEN) webSocket.ping();
  }

  close(reason: ByeReason): void {
    this.#end(CLOSE_OF[reason]);
  }

  congested(isCongested: boolean): void {
    this.#host?.handle({ type: "congested", isCongested });
  }

  failed(): void {
    this.#host?.handle({ type: "goodbye", reason: "protocol", retryAfterS: 0 });
  }

  closed(): void {
    this.#stopTimer();
    if (this.#host === null) this.#options.greeted();
    this.#host?.detach();
  }

  pinged(): void {
    if (this.#take(1)) this.#host?.handle({ type: "activity" });
  }

  received(data: Buffer, isBinary: boolean): void {
    if (!this.#take(1 + Math.floor(data.length / AUTOPUSH_FRAME_WEIGHT_BYTES))) return;
    if (isBinary) return this.#end("binary");
    let message: AutopushUpstream;
    try {
      message = parseAutopushUpstream(data.toString("utf8"));
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      return this.#end(error.code === "ERR_CHANNEL_ID" ? "misuse" : "json");
    }
    if (this.#early !== null) this.#keep(message);
    else if (this.#host !== null) this.#host.handle({ type: "upstream", message });
    else if (message.type === "hello") void this.#greet(message);
    else this.#end("misuse");
  }

  #keep(message: AutopushUpstream): void {
    if ((this.#early?.length ?? 0) >= AUTOPUSH_FRAMES_EARLY_MAX) this.#end("misuse");
    else this.#early?.push(message);
  }

  /** False when nothing more is read of a device: it takes nothing, or sends more than any honest one would. */
  #take(weight: number): boolean {
    const { webSocket } = this.#options;
    if (webSocket.readyState !== WebSocket.OPEN || this.#queue.isStuck()) return false;
    if (this.#rate.take(performance.now(), weight) === 0) return true;
    if (this.#host === null) this.#end("misuse");
    else this.#host.handle({ type: "goodbye", reason: "overload", retryAfterS: 0 });
    return false;
  }

  async #greet(hello: Extract<AutopushUpstream, { type: "hello" }>): Promise<void> {
    const { services, webSocket, admit } = this.#options;
    const early: AutopushUpstream[] = [];
    this.#early = early;
    this.#stopTimer();
    try {
      const known = await this.#find(hello.uaid);
      // Whoever is gone shall not take the place of a link that lives.
      if (webSocket.readyState !== WebSocket.OPEN) return;
      const uaid = known ?? new Uint8Array(randomBytes(UAID_BYTES));
      const { broadcasts } = hello;
      const { storeEpoch, delivered } = services;
      const session = new AutopushSession({ uaid, storeEpoch, broadcasts, delivered });
      const create = known === null ? () => admit(uaid) : null;
      const host = new SessionHost({ services, uaid, dialect: "autopush", create, session, link: this });
      await host.start(null, () => {
        if (webSocket.readyState !== WebSocket.OPEN) throw new HttpError("draining");
        this.#host = host;
        this.#early = null;
      });
      for (const message of early) host.handle({ type: "upstream", message });
      this.#options.greeted();
    } catch (error) {
      if (!(error instanceof HttpError)) {
        services.log({ event: "unexpected", error: (error as Error | undefined)?.name ?? "unknown" });
      }
      this.#end("misuse");
    }
  }

  /** The device's uaid when it is one of this dialect: for those of others a uaid proves nothing. */
  async #find(text: string | null): Promise<Uint8Array | null> {
    const { store, log } = this.#options.services;
    const uaid = parseUuid(text ?? "");
    if (uaid === null) return null;
    const device = await stored(() => store.getDevice(uaid), log);
    return device?.dialect === "autopush" ? uaid : null;
  }

  #end(close: Close): void {
    this.#stopTimer();
    const [code, reason] = CLOSE[close];
    this.#options.webSocket.close(code, reason);
  }

  #stopTimer(): void {
    if (this.#helloTimer !== null) clearTimeout(this.#helloTimer);
    this.#helloTimer = null;
  }
}
