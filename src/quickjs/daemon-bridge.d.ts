// SPDX-License-Identifier: MIT
/**
 * What godwitd lends its script besides {@link Bridge}: the object `daemon` on globalThis, and more events for the object
 * `bridge.listen` was given. The same rules. C side: firmware-bridge/src/daemon, one file per group.
 */

import type { BridgeEvents } from "./bridge.d.ts";
import type { BusBridge, BusEvents } from "./bus-bridge.d.ts";

export interface DaemonBridge extends Partial<BusBridge> {
  // main.c
  /** One line on stdout. */
  print(text: string): void;
  /** Everything runs: the service manager is told, with a line for people. */
  ready(status: string): void;
  /** Everything is put away: the program ends with this exit code. */
  finish(exitCode: number): void;

  // listener.c
  /** Listens on a Unix socket of mode 0600; whatever is at `path` is replaced. Throws Error with `code`. */
  listenUnix(path: string): void;
  /**
   * Listens on 127.0.0.1 and, where there is IPv6, on ::1, at `port` or with 0 at a free one, which is returned. Throws Error with
   * `code` and `address`.
   */
  listenLoopback(port: number): number;
  /** Takes no more connections. Answered by `allPeersGone` once those there are are closed. */
  stopListening(): void;

  // app_socket.c: connections by the number `peerCame` gave them. Unknown numbers are of connections that are gone: ignored.
  /** Only from within `upgradeAsked`: lets it be a WebSocket of this subprotocol. */
  acceptUpgrade(peerId: number): void;
  /**
   * Only from within `upgradeAsked` and `fileAsked`: answers with HTTP and closes. `headers`: name, value, name, value, … besides
   * Connection and Content-Length, which are of `body`, also where that is not sent (HEAD).
   */
  respond(
    peerId: number,
    status: number,
    headers: readonly string[],
    body: Uint8Array | null,
    isHead: boolean,
  ): void;
  /** Queues one text message. */
  sendText(peerId: number, text: string): void;
  /** Bytes queued and not yet taken by the system. */
  bufferedBytes(peerId: number): number;
  /** Close frame behind what is queued; APP_CLOSE_TIMEOUT_MS later at the latest it is terminated. */
  closePeer(peerId: number, code: number): void;
  terminatePeer(peerId: number): void;
  /** Reads no more from it. */
  pausePeer(peerId: number): void;
  resumePeer(peerId: number): void;

  // process.c
  /**
   * Starts a program in a process group of its own, stdin and stdout from and to /dev/null, stderr ours, no other descriptor.
   * Answered by `processEnded`. Throws Error with `code` when it cannot be started.
   *
   * @param environment name, value, name, value, …: added to ours without GODWIT_*
   * @param input not null: it has this on stdin, and what it writes to stdout comes as `processLine`
   */
  startProcess(
    processId: number,
    argv: readonly string[],
    environment: readonly string[],
    input: string | null,
  ): void;
  /** To its process group, while it runs. */
  signalProcess(processId: number, name: "SIGTERM" | "SIGKILL"): void;
}

export interface DaemonEvents {
  /** Once, when the script was evaluated. */
  startAsked(): void;
  /** SIGTERM or SIGINT: answered by {@link DaemonBridge.finish}. */
  stopAsked(): void;
  /** A connection, of which nothing is known but where it came in. */
  peerCame(peerId: number, isLoopback: boolean): void;
  /** Answered before it returns by acceptUpgrade or respond, or the connection is closed. Header fields that are not there are null. */
  upgradeAsked(
    peerId: number,
    path: string,
    host: string | null,
    origin: string | null,
    subprotocols: string | null,
  ): void;
  /** A request that is no upgrade: answered before it returns by respond, or the connection is closed. */
  fileAsked(peerId: number, method: string, path: string, host: string | null): void;
  /** The connection is a WebSocket now. */
  peerOpened(peerId: number): void;
  /** A whole message; null for a binary one. One over APP_REQUEST_BYTES_MAX closes the connection with 1009. */
  peerMessage(peerId: number, text: string | null): void;
  /** Of each that came, once. */
  peerClosed(peerId: number): void;
  /** Once, after {@link DaemonBridge.stopListening}. */
  allPeersGone(): void;
  /** One line, not empty, without its end; one over HELPER_LINE_BYTES_MAX is left out. */
  processLine(processId: number, text: string): void;
  /** Behind its last line. `exitCode` or the signal's name; the other is null. */
  processEnded(processId: number, exitCode: number | null, signalName: string | null): void;
}

export type AllEvents = BridgeEvents & DaemonEvents & BusEvents;
