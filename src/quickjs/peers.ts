// SPDX-License-Identifier: MIT
/** Connections of the app socket, from the natives of godwitd to the doors and the socket behind them. */

import type { AppDoor } from "../user-agent/app-door.ts";
import type { AppSocket } from "../user-agent/app-socket.ts";
import type { PeerSocket } from "../user-agent/platform.ts";
import type { DaemonBridge, DaemonEvents } from "./daemon-bridge.d.ts";

type Handlers = Parameters<PeerSocket["listen"]>[0];
type PeerEvents = Pick<
  DaemonEvents,
  "peerCame" | "upgradeAsked" | "fileAsked" | "peerOpened" | "peerMessage" | "peerClosed" | "allPeersGone"
>;

/** Whoever came in, by the natives' number. */
interface Peer {
  readonly door: AppDoor;
  /** It has proved who it is, or is gone. */
  readonly settle: () => void;
  /** Enters, once it is a WebSocket. */
  enter: (() => void) | null;
  handlers: Handlers | null;
}

export class Peers implements PeerEvents {
  readonly #daemon: DaemonBridge;
  readonly #socket: AppSocket;
  readonly #peers = new Map<number, Peer>();
  #gone: (() => void) | null = null;

  constructor(daemon: DaemonBridge, socket: AppSocket) {
    this.#daemon = daemon;
    this.#socket = socket;
  }

  /** Takes no more; resolves once the last one is gone. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#gone = resolve;
      this.#daemon.stopListening();
    });
  }

  peerCame(peerId: number, isLoopback: boolean): void {
    const door = isLoopback ? this.#socket.loopbackDoor : this.#socket.unixDoor;
    const settle = door.await(() => this.#daemon.terminatePeer(peerId));
    this.#peers.set(peerId, { door, settle, enter: null, handlers: null });
  }

  upgradeAsked(
    peerId: number,
    path: string,
    host: string | null,
    origin: string | null,
    subprotocols: string | null,
  ): void {
    const peer = this.#peers.get(peerId);
    if (peer === undefined) return;
    const { door, settle } = peer;
    const request = { path, host, origin, subprotocols };
    const status = door.refusal(request);
    if (status !== null) return this.#daemon.respond(peerId, status, [], null, false);
    const place = door.placeOf(request);
    peer.enter = () => this.#socket.arrive(this.#peerSocket(peerId, peer), { ...place, settle });
    this.#daemon.acceptUpgrade(peerId);
  }

  fileAsked(peerId: number, method: string, path: string, host: string | null): void {
    const door = this.#peers.get(peerId)?.door;
    if (door === undefined) return;
    const { status, headers, body } = door.answer({ method, path, host });
    this.#daemon.respond(peerId, status, Object.entries(headers).flat(), body, method === "HEAD");
  }

  peerOpened(peerId: number): void {
    this.#peers.get(peerId)?.enter?.();
  }

  peerMessage(peerId: number, text: string | null): void {
    this.#peers.get(peerId)?.handlers?.message(text);
  }

  peerClosed(peerId: number): void {
    const peer = this.#peers.get(peerId);
    this.#peers.delete(peerId);
    peer?.settle();
    peer?.handlers?.closed();
  }

  allPeersGone(): void {
    this.#gone?.();
  }

  #peerSocket(peerId: number, peer: Peer): PeerSocket {
    const daemon = this.#daemon;
    return {
      get bufferedBytes() {
        return daemon.bufferedBytes(peerId);
      },
      send: (text) => daemon.sendText(peerId, text),
      close: (code) => daemon.closePeer(peerId, code),
      terminate: () => daemon.terminatePeer(peerId),
      pause: () => daemon.pausePeer(peerId),
      resume: () => daemon.resumePeer(peerId),
      listen(handlers) {
        peer.handlers = handlers;
      },
    };
  }
}
