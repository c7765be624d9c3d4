// SPDX-License-Identifier: MIT
/**
 * Where connections come in: the Unix socket and the loopback port. Refuses what no `hello` could make good (path, `Host`,
 * `Origin`, subprotocol), upgrades the rest, and on loopback serves the dashboard's files.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { APP_PATH, APP_SUBPROTOCOL } from "../apps/protocol.ts";
import {
  APP_CLOSE_TIMEOUT_MS,
  APP_CONNECTIONS_PENDING_MAX,
  APP_HELLO_TIMEOUT_MS,
  APP_REQUEST_BYTES_MAX,
} from "../limits.ts";
import { TIMER_MS_MAX } from "./alarm.ts";
import { isLoopbackHost, isOrigin } from "./loopback.ts";

/** What lies at a path of the loopback port ("/", "/app.js"), or null. */
export type ServeFile = (path: string) => ServedFile | null;

export interface ServedFile {
  /** Its Content-Type. */
  readonly type: string;
  readonly body: Uint8Array | string;
  /** Besides the usual ones, or instead. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A WebSocket that has proved nothing yet. */
export interface Arrival {
  readonly socket: WebSocket;
  /** The request's `Origin`, or null. */
  readonly origin: string | null;
  /** The origin under which this connection reached the loopback port; null on the Unix socket. */
  readonly ownOrigin: string | null;
  /** It has proved who it is: it may stay. */
  settle(): void;
}

export interface AppListenerOptions {
  /** The loopback port's; null on the Unix socket. */
  readonly files: ServeFile | null;
  /** http origins of loopback whose pages may come. */
  readonly origins: ReadonlySet<string>;
  readonly handleArrival: (arrival: Arrival) => void;
}

export class AppListener {
  readonly #options: AppListenerOptions;
  readonly #servers: Server[] = [];
  readonly #sockets: WebSocketServer;
  /** Connections that have proved nothing, the oldest first, and what ends them. */
  readonly #pending = new Map<Duplex, NodeJS.Timeout>();
  #port: number | null = null;

  constructor(options: AppListenerOptions) {
    this.#options = options;
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: APP_REQUEST_BYTES_MAX,
      perMessageDeflate: false,
      // A peer that floods with pings and reads no pongs must be noticed.
      autoPong: false,
      closeTimeout: APP_CLOSE_TIMEOUT_MS,
      handleProtocols: () => APP_SUBPROTOCOL,
    } as ConstructorParameters<typeof WebSocketServer>[0]);
  }

  /** The loopback port, or null. */
  get port(): number | null {
    return this.#port;
  }

  listenAt(path: string): Promise<void> {
    return this.#listen({ path });
  }

  /** Takes `port`, or a free one for 0, on 127.0.0.1 and, where there is IPv6, on ::1. */
  async listenOn(port: number): Promise<void> {
    await this.#listen({ host: "127.0.0.1", port });
    const address = this.#servers[0]?.address();
    if (typeof address !== "object" || address === null) throw new Error("no port");
    this.#port = address.port;
    try {
      await this.#listen({ host: "::1", port: address.port, ipv6Only: true });
    } catch (error) {
      // Somebody else at that port of ::1 would get what is meant for us under the name of localhost.
      if (!["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes((error as NodeJS.ErrnoException).code ?? ""))
        throw error;
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#pending.keys()) socket.destroy();
    this.#sockets.close();
    await Promise.all(
      this.#servers.map((server) => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        server.closeAllConnections();
        return closed;
      }),
    );
  }

  async #listen(where: { path: string } | { host: string; port: number; ipv6Only?: boolean }): Promise<void> {
    // The server's look for slow clients is a timer that wakes an idle agent twice a minute; ours goes off once a connection.
    const server = createServer({ connectionsCheckingInterval: TIMER_MS_MAX }, (request, response) =>
      this.#serve(request, response),
    );
    server.on("connection", (socket) => this.#await(socket));
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(where, () => {
        server.off("error", reject);
        // One connection that could not be taken, for want of files or memory: the others go on.
        server.on("error", () => {});
        resolve();
      });
    });
    this.#servers.push(server);
  }

  /** Whoever proves nothing in time goes, and whoever keeps others from coming. */
  #await(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), APP_HELLO_TIMEOUT_MS);
    this.#pending.set(socket, timer);
    socket.once("close", () => this.#settle(socket));
    if (this.#pending.size <= APP_CONNECTIONS_PENDING_MAX) return;
    for (const oldest of this.#pending.keys()) {
      oldest.destroy();
      this.#settle(oldest);
      return;
    }
  }

  #settle(socket: Duplex): void {
    clearTimeout(this.#pending.get(socket));
    this.#pending.delete(socket);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const status = this.#refusal(request);
    if (status !== null) {
      socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const { origin = null, host } = request.headers as { origin?: string; host?: string };
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const ownOrigin = this.#port === null ? null : `http://${host}`;
      const settle = () => this.#settle(socket);
      this.#options.handleArrival({ socket: webSocket, origin, ownOrigin, settle });
    });
  }

  #refusal({ url, headers }: IncomingMessage): number | null {
    if (url !== APP_PATH) return 404;
    if (this.#port !== null && !isLoopbackHost(headers.host, this.#port)) return 403;
    if (!this.#isOriginAllowed(headers.origin, headers.host)) return 403;
    const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
    return offered.includes(APP_SUBPROTOCOL) ? null : 400;
  }

  /** Without one it is no browser. "null", which any sandboxed or local page can have, is nobody's. */
  #isOriginAllowed(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined) return true;
    if (origin.startsWith("https:")) return isOrigin(origin);
    return this.#options.origins.has(origin) || (this.#port !== null && origin === `http://${host}`);
  }

  #serve({ method, url, headers }: IncomingMessage, response: ServerResponse): void {
    const { files } = this.#options;
    // Nothing of a request's body is read, so the connection cannot serve another one.
    const answer = (
      status: number,
      more: Record<string, string> = {},
      body: Uint8Array | string = "",
    ): void => {
      response.writeHead(status, { ...more, Connection: "close" });
      response.end(body);
    };
    if (this.#port === null) return answer(426);
    if (!isLoopbackHost(headers.host, this.#port)) return answer(403);
    if (files === null) return answer(426);
    if (method !== "GET" && method !== "HEAD") return answer(405, { Allow: "GET, HEAD" });
    let file: ServedFile | null;
    try {
      file = files((url ?? "").replace(/\?.*$/s, ""));
    } catch {
      return answer(500);
    }
    if (file === null) return answer(404);
    const length = String(Buffer.byteLength(file.body));
    const own = { "Content-Type": file.type, ...file.headers, "Content-Length": length };
    answer(200, { ...securityHeaders(`ws://${headers.host}`), ...own }, method === "HEAD" ? "" : file.body);
  }
}

/** The page may load its own files and talk to its own socket; nobody may frame it, and it runs nothing inline. */
function securityHeaders(socketOrigin: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    `connect-src 'self' ${socketOrigin}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    // Nothing is ever made markup or script of a string.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ];
  return {
    "Content-Security-Policy": policy.join("; "),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
  };
}
