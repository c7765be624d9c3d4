// SPDX-License-Identifier: MIT
/**
 * What a runtime lends the user agent: the machine the agent's effects act on, and the clock, timers, files and processes that
 * what stands around the agent needs. Implemented once for Node and once over firmware-bridge. Pure types.
 */

import type { AgentEvent, Instant } from "../agent/events.ts";
import type { Host } from "../host/host.ts";
import type { CryptoProvider, KeyPair, RandomFill } from "../webpush/crypto.ts";

/** Clock, timers, randomness and cryptography. */
export interface Platform {
  /** What the agent is told. */
  now(): Instant;
  /** Monotonic ms, with fractions, for waits and rates; need not count suspend. */
  monotonicMs(): number;
  /** Wall clock, ms since 1970. */
  epochMs(): number;
  /** Calls `action` once, `delayMs` from now or later, with 0 in a later turn. The function returned takes it back. Never wakes a device. */
  after(delayMs: number, action: () => void): () => void;
  /** The system's CSPRNG. */
  readonly randomFill: RandomFill;
  readonly provider: CryptoProvider;
  /** ECDSA over SHA-256, as in SigningProvider; for test messages, which the agent sends to itself. */
  sign(keys: KeyPair, data: Uint8Array): Uint8Array;
}

/** Performs the effects that reach outside of the process; outcomes come back as events through the `dispatch` it was made with. */
export type Machine = Pick<
  Host,
  "openLink" | "send" | "ping" | "closeLink" | "setAlarm" | "stayAwake" | "httpRequest"
> & {
  /** Starts to tell of networks with `networkChanged`. Resolves once the present one was told, or cannot be known. */
  watchNetwork(): Promise<void>;
  /** One POST of a test message. Resolves with its HTTP status, 0 for no answer. */
  post(url: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<number>;
  /** Lets go of links, requests (posts end with 0), the network and the alarm. Nothing is dispatched afterwards. */
  close(): void;
};

/** Makes the machine of one agent. */
export type MakeMachine = (dispatch: (event: AgentEvent) => void, fault: (text: string) => void) => Machine;

/** Small secret files of the state directory: mode 0600, replaced as a whole, there after a power cut. */
export interface PrivateFiles {
  /** Null when there is none. @throws {GodwitError} ERR_CONFIG when others may read it, ERR_JOURNAL_IO */
  read(name: string): Promise<string | null>;
  /** @throws {GodwitError} ERR_JOURNAL_FULL, ERR_JOURNAL_IO */
  write(name: string, text: string): Promise<void>;
  /** Absolute path of a file, for people and for programs that are started. */
  path(name: string): string;
}

/** A program that runs. */
export interface Child {
  /** To it and to what it started (its process group). Nothing happens when it has ended. */
  signal(name: "SIGTERM" | "SIGKILL"): void;
}

export interface Processes {
  /**
   * Starts a program in a process group of its own, without stdin and stdout, with our stderr.
   *
   * @param argv program and arguments
   * @param environment added to ours, of which no GODWIT_* variable is passed on
   * @param ended called once, in a later turn
   */
  start(
    argv: readonly string[],
    environment: Readonly<Record<string, string>>,
    ended: (how: ChildEnd) => void,
  ): Child;
}

/** Starts a program that gets one text and may say something. */
export interface Helpers {
  /**
   * As {@link Processes.start}, with `input` on stdin, which ends behind it, and a pipe for stdout.
   *
   * @param handlers.line a line the program wrote, without its end; one over HELPER_LINE_BYTES_MAX is not told
   */
  start(
    argv: readonly string[],
    input: string,
    handlers: { readonly line: (text: string) => void; readonly ended: (how: ChildEnd) => void },
  ): Child;
}

export type ChildEnd =
  /** What the system called the failure, such as ENOENT. */
  | { readonly type: "notStarted"; readonly code: string }
  | { readonly type: "exit"; readonly code: number }
  | { readonly type: "signal"; readonly name: string };

/** One accepted connection of the app socket, upgraded, text frames only (a binary one is `null`). */
export interface PeerSocket {
  /** Bytes handed over and not yet taken by the peer's system. */
  readonly bufferedBytes: number;
  send(text: string): void;
  /** With a close frame. What still comes means nothing. */
  close(code: number): void;
  /** At once, without a word. */
  terminate(): void;
  /** Takes no more off the wire until {@link resume}. What was read already still comes. */
  pause(): void;
  resume(): void;
  /** Set once, before anything comes. */
  listen(handlers: { readonly message: (text: string | null) => void; readonly closed: () => void }): void;
}
