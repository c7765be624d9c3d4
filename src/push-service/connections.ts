// SPDX-License-Identifier: MIT
/**
 * The open TCP connections of the server: counted by address, and told apart by whether anything is under way on them, so
 * that a stop waits for nobody who is silent. Knows no routes.
 */

import type { ServerResponse } from "node:http";
import type { Server, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { addressGroup } from "./enrolment.ts";
import type { RateLimit } from "./rate-limit.ts";

interface Connection {
  readonly socket: Socket;
  /** Requests not answered yet, and 1 for an upgrade. */
  busy: number;
}

/** Of one address; further ones are cut before TLS costs anything. */
export interface ConnectionBounds {
  readonly perAddressMax: number;
  /** Null: new ones are not counted. */
  readonly rate: RateLimit | null;
}

export class Connections {
  readonly #bounds: ConnectionBounds;
  /** By address and port of the peer: a TLS connection and the TCP connection below it share them. */
  readonly #open = new Map<string, Connection>();
  readonly #addresses = new Map<string, number>();

  constructor(server: Server, bounds: ConnectionBounds) {
    this.#bounds = bounds;
    server.on("connection", (socket: Socket) => this.#opened(socket));
  }

  get size(): number {
    return this.#open.size;
  }

  /** A request came; its connection is busy until `response` is through. */
  requested(socket: Duplex, response: ServerResponse): void {
    const connection = this.#open.get(peerOf(socket as Socket));
    if (connection === undefined) return;
    connection.busy++;
    response.once("close", () => connection.busy--);
  }

  /** The connection is a WebSocket from now on, or about to be refused. */
  upgraded(socket: Duplex): void {
    const connection = this.#open.get(peerOf(socket as Socket));
    if (connection !== undefined) connection.busy++;
  }

  /** Cuts those on which nothing is under way: idle ones, and those that never said anything. */
  cutSilent(): void {
    for (const { socket, busy } of this.#open.values()) if (busy === 0) socket.destroy();
  }

  cutAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }

  #opened(socket: Socket): void {
    const peer = peerOf(socket);
    // A request served after all, see plain-request.ts, comes with a connection that is known.
    if (this.#open.get(peer)?.socket === socket) return;
    this.#open.set(peer, { socket, busy: 0 });
    const address = addressGroup(socket.remoteAddress ?? "");
    const open = (this.#addresses.get(address) ?? 0) + 1;
    this.#addresses.set(address, open);
    socket.on("close", () => {
      if (this.#open.get(peer)?.socket === socket) this.#open.delete(peer);
      const left = (this.#addresses.get(address) ?? 1) - 1;
      if (left > 0) this.#addresses.set(address, left);
      else this.#addresses.delete(address);
    });
    const { perAddressMax, rate } = this.#bounds;
    const isTooMany = rate !== null && rate.take(address, performance.now()) > 0;
    if (isTooMany || open > perAddressMax) socket.destroy();
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  // Joined it is one flat string, not a chain of three.
  return [remoteAddress, remotePort].join(" ");
}
