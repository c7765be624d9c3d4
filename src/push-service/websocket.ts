// SPDX-License-Identifier: MIT
/**
 * Device links over WebSocket (RFC 6455) with `ws`: the upgrade, and for dialect `godwit.v1` frames to messages and back. The
 * rules of a session are in session.ts, links of dialect autopush in autopush-link.ts.
 */

import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { AUTOPUSH_FRAME_BYTES_MAX, FRAME_BYTES_MAX, WEBSOCKET_CLOSE_MS } from "../limits.ts";
import { AUTOPUSH_SUBPROTOCOL } from "../wire/autopush.ts";
import { type ByeReason, type Downstream, STATUS } from "../wire/dialect.ts";
import { GODWIT_SUBPROTOCOL, godwitDialect } from "../wire/godwit.ts";
import { AutopushLink } from "./autopush-link.ts";
import type { Canaries } from "./canaries.ts";
import type { Applicant, Enrolment } from "./enrolment.ts";
import { HeardWebSocket, keepAmong, listenTo, type WebSocketEar } from "./heard-websocket.ts";
import { errorReply, HttpError, type Reply } from "./http-errors.ts";
import { godwitSession, type LinkPort, SessionHost, type SessionServices } from "./session-host.ts";
import {
  parseBearer,
  parseChannelsDigest,
  parseConditions,
  requireHandshake,
  requireSubprotocol,
} from "./upgrade.ts";
import { UpstreamFrames } from "./upstream-frames.ts";
import { type QueueOwner, WebSocketQueue } from "./websocket-queue.ts";

export const WEBSOCKET_PATH = "/v1/ws";
/** Dialect autopush: user agents are configured with an origin. */
export const AUTOPUSH_PATH = "/";
export const CANARY_PATH = "/v1/canary";

/** RFC 6455 §7.4.1 and the IANA registry: what a device sees besides the Bye frame. */
const CLOSE_CODES = {
  shutdown: 1001,
  replaced: 1000,
  idle: 1000,
  unregistered: 1000,
  protocol: 1002,
  overload: 1013,
} as const satisfies Record<ByeReason, number>;
/** `closeTimeout` is newer than the types of `ws`. */
const SERVER_OPTIONS = {
  noServer: true,
  perMessageDeflate: false,
  clientTracking: false,
  closeTimeout: WEBSOCKET_CLOSE_MS,
} as const;

const CLOSE_PROTOCOL_ERROR = 1002;
const CLOSE_UNSUPPORTED_DATA = 1003;

/** Names a framing fault as Mozilla's service does; `ws` gives none. */
class AutopushWebSocket extends HeardWebSocket {
  override close(code?: number, reason?: string | Buffer): void {
    super.close(code, code === CLOSE_PROTOCOL_ERROR ? (reason ?? "Protocol") : reason);
  }
}

export interface WebSocketLinksOptions {
  readonly services: SessionServices;
  readonly enrolment: Enrolment;
  readonly canaries: Canaries;
  /** Of devices and canaries together. */
  readonly deviceLinksMax: number;
  /** Who sent it, as far as that can be told. */
  readonly applicantOf: (request: IncomingMessage) => Applicant;
}

export class DeviceWebSockets {
  readonly #options: WebSocketLinksOptions;
  readonly #server = new WebSocketServer({
    ...SERVER_OPTIONS,
    maxPayload: FRAME_BYTES_MAX,
    WebSocket: HeardWebSocket,
    handleProtocols: () => GODWIT_SUBPROTOCOL,
  });
  readonly #autopushServer = new WebSocketServer({
    ...SERVER_OPTIONS,
    maxPayload: AUTOPUSH_FRAME_BYTES_MAX,
    WebSocket: AutopushWebSocket,
    handleProtocols: (offered) => offered.has(AUTOPUSH_SUBPROTOCOL) && AUTOPUSH_SUBPROTOCOL,
  });
  /** Links of dialect autopush whose device is not known yet. */
  readonly #greeting = new Set<WebSocket>();
  readonly #sockets = new Set<WebSocket>();
  #isDraining = false;

  constructor(options: WebSocketLinksOptions) {
    this.#options = options;
  }

  /**
   * Takes over an upgrade on one of the three paths; `socket` has a listener for errors. Never throws: a refusal is answered
   * with HTTP and returned.
   */
  async handleUpgrade(
    path: string,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<unknown> {
    try {
      requireHandshake(request.headers);
      if (path === AUTOPUSH_PATH) {
        this.#openAutopush(request, socket, head);
        return null;
      }
      requireSubprotocol(request.headers);
      if (path === CANARY_PATH) await this.#openCanary(request, socket, head);
      else await this.#openLink(request, socket, head);
      return null;
    } catch (error) {
      refuseUpgrade(socket, errorReply(error));
      return error;
    }
  }

  /** Takes no further links, and ends those that no device has yet; the others hear of it from their sessions. */
  drain(): void {
    this.#isDraining = true;
    for (const webSocket of this.#greeting) webSocket.close(1000);
  }

  /** Cuts every link at once. */
  terminate(): void {
    for (const socket of this.#sockets) socket.terminate();
    this.#server.close();
    this.#autopushServer.close();
  }

  async #openLink(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { services, enrolment, canaries } = this.#options;
    const conditions = parseConditions(request.headers);
    const channelsDigest = parseChannelsDigest(request.headers);
    const uaToken = parseBearer(request.headers);
    const { uaid, freshUaToken } = await enrolment.authenticate(uaToken);
    // What it uses here it will use at the broker; nobody waits for that.
    if (uaToken !== null) void services.credentials?.grant(uaid, freshUaToken ?? uaToken);
    // A device that takes the place of its own link adds none.
    if (!services.hub.isConnected(uaid)) this.#requireRoom();
    // Its claim would end the link that the device has since; and in a service that leaves nobody would send it away.
    if (this.#isDraining || socket.destroyed) throw new HttpError("draining");
    const link = new WebSocketLink();
    const host = new SessionHost(godwitSession(services, { uaid, conditions, channelsDigest }, link));
    await host.start(freshUaToken, () => {
      if (socket.destroyed) throw new HttpError("draining");
      const webSocket = this.#accept(this.#server, request, socket, head);
      // The canaries of the link before belong to a connection that is gone.
      canaries.closeAll(uaid);
      link.open(webSocket, socket, host);
    });
  }

  async #openCanary(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { enrolment, canaries } = this.#options;
    const { uaid } = await enrolment.authenticate(parseBearer(request.headers));
    this.#requireRoom();
    if (this.#isDraining || socket.destroyed) throw new HttpError("draining");
    canaries.add(uaid, this.#accept(this.#server, request, socket, head));
  }

  /** The device says who it is over the link, so that where enrolment is asked for even one that is known has to prove it. */
  #openAutopush(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { services, enrolment, applicantOf } = this.#options;
    const applicant = applicantOf(request);
    // The link lives long: nothing else of the request stays with it.
    const address = enrolment.requireProof(applicant, false) ? null : applicant.address;
    this.#requireRoom();
    const webSocket = this.#accept(this.#autopushServer, request, socket, head);
    this.#greeting.add(webSocket);
    new AutopushLink({
      services,
      webSocket,
      socket,
      admit: (uaid) => enrolment.admitAutopush(uaid, address),
      greeted: () => this.#greeting.delete(webSocket),
    });
  }

  /** @throws {HttpError} linksFull */
  #requireRoom(): void {
    const { services, canaries, deviceLinksMax } = this.#options;
    const { size, pendingSize } = services.hub;
    const links = size + pendingSize + this.#greeting.size + canaries.size;
    if (links >= deviceLinksMax) throw new HttpError("linksFull");
  }

  /**
   * Answers 101, synchronously, so that nothing can come between this and the first frame.
   *
   * @throws {HttpError} request, when `ws` refused the upgrade and answered itself
   */
  #accept(server: WebSocketServer, request: IncomingMessage, socket: Duplex, head: Buffer): HeardWebSocket {
    let accepted: HeardWebSocket | null = null;
    server.handleUpgrade(request, socket, head, (webSocket) => {
      accepted = webSocket as HeardWebSocket;
    });
    const webSocket = accepted as HeardWebSocket | null;
    if (webSocket === null) throw new HttpError("request");
    keepAmong(this.#sockets, webSocket);
    return webSocket;
  }
}

/** One device's WebSocket as its session sees it. */
class WebSocketLink implements LinkPort, WebSocketEar, QueueOwner {
  #webSocket: WebSocket | null = null;
  #host: SessionHost | null = null;
  #queue: WebSocketQueue | null = null;
  #frames: UpstreamFrames | null = null;

  /** From now on frames go to `host`, and what it sends goes out. */
  open(webSocket: HeardWebSocket, socket: Duplex, host: SessionHost): void {
    this.#webSocket = webSocket;
    this.#host = host;
    this.#queue = new WebSocketQueue(webSocket, socket, this);
    this.#frames = new UpstreamFrames(host);
    listenTo(webSocket, this, false);
  }

  send(message: Downstream): void {
    this.#queue?.send(godwitDialect.encodeDownstream(message));
  }

  close(reason: ByeReason): void {
    this.#webSocket?.close(CLOSE_CODES[reason], reason);
  }

  congested(isCongested: boolean): void {
    this.#host?.handle({ type: "congested", isCongested });
  }

  pinged(): void {
    if (!this.#queue?.isStuck() && this.#frames?.take()) this.#host?.handle({ type: "activity" });
  }

  failed(): void {
    this.#host?.handle({ type: "goodbye", reason: "protocol", retryAfterS: 0 });
  }

  closed(): void {
    this.#host?.detach();
  }

  received(data: Buffer, isBinary: boolean): void {
    if (this.#queue?.isStuck()) return;
    if (!isBinary) {
      if (!this.#frames?.take()) return;
      this.send({ type: "error", ref: null, status: STATUS.badRequest, text: "frames are binary" });
      this.#webSocket?.close(CLOSE_UNSUPPORTED_DATA, "text");
      return;
    }
    // A plain view: the decoder returns Buffers when it is fed one.
    this.#frames?.handle(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
}

/** Listener of a socket nobody else listens to yet: without one an error on it would end the process. */
export function cutBroken(this: Duplex): void {
  this.destroy();
}

/** Answers an upgrade with plain HTTP and closes. */
export function refuseUpgrade(socket: Duplex, reply: Reply): void {
  if (socket.destroyed || !socket.writable) return;
  const { length } = Buffer.from(reply.body);
  const headers = { ...reply.headers, Connection: "close", "Content-Length": String(length) };
  // Both ways: a peer that never ends its side would keep the socket for ever.
  socket.once("finish", () => socket.destroy());
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status]}\r\n${lines.join("")}\r\n${reply.body}`);
}
