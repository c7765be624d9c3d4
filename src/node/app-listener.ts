// SPDX-License-Identifier: MIT
/**
 * Where connections to the app socket come in on Node, over HTTP: at a Unix socket or a loopback port. What is let in, and what is
 * served, says the {@link AppDoor}.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { APP_SUBPROTOCOL } from "../apps/protocol.ts";
import { APP_CLOSE_TIMEOUT_MS, APP_REQUEST_BYTES_MAX } from "../limits.ts";
import type { AppDoor, UpgradeRequest } from "../user-agent/app-door.ts";
import type { Arrival } from "../user-agent/app-socket.ts";
import type { PeerSocket } from "../user-agent/platform.ts";
import { TIMER_MS_MAX } from "./alarm.ts";
import { peerSocketOf } from "./peer-socket.ts";

export class AppListener {
  readonly #door: AppDoor;
  readonly #handleArrival: (socket: PeerSocket, arrival: Arrival) => void;
  readonly #servers: Server[] = [];
  readonly #sockets: WebSocketServer;
  /** What settles a connection that has proved nothing. */
  readonly #settlers = new WeakMap<Duplex, () => void>();

  constructor(door: AppDoor, handleArrival: (socket: PeerSocket, arrival: Arrival) => void) {
    this.#door = door;
    this.#handleArrival = handleArrival;
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

  listenAt(path: string): Promise<void> {
    return this.#listen({ path });
  }

  /** Takes `port`, or a free one for 0, on 127.0.0.1 and, where there is IPv6, on ::1. */
  async listenOn(port: number): Promise<void> {
    await this.#listen({ host: "127.0.0.1", port });
    const address = this.#servers[0]?.address();
    if (typeof address !== "object" || address === null) throw new Error("no port");
    this.#door.handleListening(address.port);
    try {
      await this.#listen({ host: "::1", port: address.port, ipv6Only: true });
    } catch (error) {
      // Somebody else at that port of ::1 would get what is meant for us under the name of localhost.
      if (!["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes((error as NodeJS.ErrnoException).code ?? ""))
        throw error;
    }
  }

  /** Those that are WebSockets by now are closed by whoever has them. */
  async close(): Promise<void> {
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

  #await(socket: Socket): void {
    const settle = this.#door.await(() => socket.destroy());
    this.#settlers.set(socket, settle);
    socket.once("close", settle);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const asked = upgradeRequestOf(request);
    const status = this.#door.refusal(asked);
    if (status !== null) {
      socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const settle = () => this.#settlers.get(socket)?.();
      this.#handleArrival(peerSocketOf(webSocket), { ...this.#door.placeOf(asked), settle });
    });
  }

  #serve({ method = "", url = "", headers }: IncomingMessage, response: ServerResponse): void {
    const answer = this.#door.answer({ method, path: url, host: headers.host ?? null });
    response.writeHead(answer.status, {
      ...answer.headers,
      "Content-Length": String(answer.body.length),
      Connection: "close",
    });
    response.end(method === "HEAD" ? "" : answer.body);
  }
}

function upgradeRequestOf({ url = "", headers }: IncomingMessage): UpgradeRequest {
  const { host = null, origin = null } = headers as { host?: string; origin?: string };
  return { path: url, host, origin, subprotocols: headers["sec-websocket-protocol"] ?? null };
}
