// SPDX-License-Identifier: MIT
/**
 * The WebSocket links of the Node host, on `ws` (RFC 6455): custom CA, proxy from the environment, bearer and conditions
 * in the upgrade, TLS session resumption. Decides nothing: the agent says when to open, ping and close.
 */

import { isIP } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { WebSocket } from "ws";
import type { AgentEvent, LinkCause } from "../agent/events.ts";
import type { EffectOf } from "../host/host.ts";
import {
  AUTOPUSH_AWAY_S,
  AUTOPUSH_CLOSE_AWAY,
  AUTOPUSH_FRAME_BYTES_MAX,
  FRAME_BYTES_MAX,
  LINK_QUEUED_BYTES_MAX,
  OPEN_TIMEOUT_MS,
  RETRY_AFTER_S_MAX,
} from "../limits.ts";
import { proxyAgent } from "./proxy.ts";
import { tlsOptions } from "./tls.ts";

type OpenRequest = EffectOf<"openLink">;

export interface WebSocketLinksOptions {
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
  readonly dispatch: (event: AgentEvent) => void;
}

export class WebSocketLinks {
  readonly #options: WebSocketLinksOptions;
  readonly #sockets = new Map<number, WebSocket>();
  /** Those whose messages are text. */
  readonly #textual = new WeakSet<WebSocket>();
  /** TLS session of the last connection per host; resuming saves 2 KB and a round trip. */
  readonly #sessions = new Map<string, Buffer>();

  constructor(options: WebSocketLinksOptions) {
    this.#options = options;
  }

  open(request: OpenRequest): void {
    const { linkId, bearer, isText = false } = request;
    const host = new URL(request.url).host;
    const socket = new WebSocket(request.url, request.subprotocol, {
      headers: { ...request.headers, ...(bearer === null ? {} : { Authorization: `Bearer ${bearer}` }) },
      perMessageDeflate: false,
      maxPayload: isText ? AUTOPUSH_FRAME_BYTES_MAX : FRAME_BYTES_MAX,
      handshakeTimeout: OPEN_TIMEOUT_MS,
      followRedirects: false,
      ...this.#connectOptions(request.url, host, () => closed("unreachable")),
    });
    this.#sockets.set(linkId, socket);
    if (isText) this.#textual.add(socket);
    const closed = (
      cause: LinkCause,
      httpStatus: number | null = null,
      retryAfterS: number | null = null,
    ): void => {
      if (!this.#sockets.delete(linkId)) return;
      socket.terminate();
      this.#options.dispatch({ type: "linkClosed", linkId, cause, httpStatus, retryAfterS });
    };
    // Once upgraded, `ws` keeps an error of the connection to itself and tells of a reset as of any other end.
    socket.on("upgrade", (response) => {
      response.socket.on("error", (error: NodeJS.ErrnoException) => closed(causeOf(error)));
      // This comes before `ws` looks for the subprotocol, which it misses where it was left out.
      if (isText) response.headers["sec-websocket-protocol"] ??= request.subprotocol;
    });
    socket.on("open", () => this.#options.dispatch({ type: "linkOpened", linkId }));
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      if (!this.#sockets.has(linkId)) return;
      if (isBinary === isText) return closed("protocol");
      // A plain view: cbor-x returns Buffers when it is fed one.
      const frame = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      this.#options.dispatch({ type: "linkMessage", linkId, frame });
    });
    socket.on("pong", () => {
      // `ws` reads on in what had come with a message that ended the link.
      if (this.#sockets.has(linkId)) this.#options.dispatch({ type: "linkPong", linkId });
    });
    socket.on("unexpected-response", (_request, response) => {
      const retryAfterS = parseRetryAfter(response.headers["retry-after"]);
      response.destroy();
      closed("refused", response.statusCode ?? null, retryAfterS);
    });
    socket.on("error", (error: NodeJS.ErrnoException) => closed(causeOf(error)));
    socket.on("close", (code) =>
      closed("closed", null, isText && code === AUTOPUSH_CLOSE_AWAY ? AUTOPUSH_AWAY_S : null),
    );
    if (isText)
      socket.on("ping", () => {
        if (this.#sockets.has(linkId))
          this.#options.dispatch({ type: "linkMessage", linkId, frame: NOTHING });
      });
  }

  send(linkId: number, frame: Uint8Array): void {
    const socket = this.#sockets.get(linkId);
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > LINK_QUEUED_BYTES_MAX) {
      this.#sockets.delete(linkId);
      socket.terminate();
      this.#options.dispatch({
        type: "linkClosed",
        linkId,
        cause: "overflow",
        httpStatus: null,
        retryAfterS: null,
      });
      return;
    }
    socket.send(frame, { binary: !this.#textual.has(socket) });
  }

  ping(linkId: number): void {
    const socket = this.#sockets.get(linkId);
    if (socket?.readyState === WebSocket.OPEN) socket.ping();
  }

  /** Closes politely and forgets at once: the agent expects no event any more. */
  close(linkId: number): void {
    const socket = this.#sockets.get(linkId);
    if (socket === undefined) return;
    this.#sockets.delete(linkId);
    if (socket.readyState === WebSocket.OPEN) socket.close(1000);
    else socket.terminate();
  }

  closeAll(): void {
    for (const linkId of [...this.#sockets.keys()]) this.close(linkId);
  }

  #connectOptions(url: string, host: string, proxyRefused: () => void): object {
    const session = this.#sessions.get(host);
    const tls = {
      ...tlsOptions(this.#options.ca),
      ...(session === undefined ? {} : { session }),
    };
    // The proxy variables speak of http(s), not ws(s).
    const agent = proxyAgent(url.replace(/^ws/, "http"), tls, proxyRefused);
    if (agent !== null) return { ...tls, agent };
    if (!url.startsWith("wss:")) return tls;
    return { ...tls, createConnection: (options: ConnectionOptions) => this.#connectTls(options, host) };
  }

  /** TLS 1.3 hands its tickets out right behind the handshake: whoever listens only after the upgrade has missed them. */
  #connectTls(options: ConnectionOptions, host: string): TLSSocket {
    const servername = options.servername ?? (isIP(options.host ?? "") === 0 ? (options.host ?? "") : "");
    // The request's path would be taken for that of a Unix socket.
    const socket = connect({ ...options, path: undefined, servername });
    socket.on("session", (session) => this.#sessions.set(host, session));
    return socket;
  }
}

/** What a Ping of the service says. */
const NOTHING = new Uint8Array(0);

/** Delta-seconds of Retry-After (RFC 9110 §10.2.3), or null; the HTTP-date form is not worth a trusted clock. */
export function parseRetryAfter(value: string | undefined): number | null {
  return value !== undefined && /^\d{1,9}$/.test(value) ? Math.min(Number(value), RETRY_AFTER_S_MAX) : null;
}

/** What the agent calls a failure of the system or of TLS. */
export function causeOf(error: NodeJS.ErrnoException): LinkCause {
  const code = error.code ?? "";
  if (code === "ECONNREFUSED") return "refused";
  if (code === "ECONNRESET" || code === "EPIPE") return "reset";
  if (code.startsWith("WS_ERR")) return "protocol";
  if (/CERT|TLS|SSL|SIGNATURE|ISSUER/.test(code)) return "tls";
  return "unreachable";
}
