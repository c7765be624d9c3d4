// SPDX-License-Identifier: MIT
/**
 * One connection of the app socket: JSON in and out, requests answered by id, everything bounded. Who the peer is and what
 * it may ask is its {@link Session}'s.
 */

import { w3cNameOf } from "../apps/error-names.ts";
import { CLOSE_BUSY, CLOSE_PROTOCOL, CLOSE_REFUSED } from "../apps/protocol.ts";
import { utf8Encode } from "../bytes.ts";
import { type ErrorCode, GodwitError } from "../errors.ts";
import { jsonNesting } from "../json.ts";
import { APP_QUEUED_BYTES_MAX, APP_REQUESTS_IN_FLIGHT_MAX, JSON_DEPTH_MAX } from "../limits.ts";
import type { PeerSocket, Platform } from "./platform.ts";
import { RequestMembers } from "./request-members.ts";
import type { TokenBucket } from "./token-bucket.ts";
import { newToken } from "./tokens.ts";

export type Verb = (members: RequestMembers) => unknown;
export type Verbs = Readonly<Record<string, Verb>>;

/** What a peer may do once it has proved who it is. */
export interface Session {
  /** What its `hello` is answered with. */
  readonly greeting: object;
  readonly verbs: Verbs;
  /** How fast its requests are taken; null: as they come. */
  readonly bucket: TokenBucket | null;
  /** When it ends, ms since 1970; null for never. */
  readonly endEpochMs: number | null;
  /** The greeting is on its way: events may follow. */
  handleOpen?(): void;
  /** The connection is gone. */
  handleClosed(): void;
}

/**
 * The session of whoever said this, or null: refused, whyever.
 *
 * @param challenge what this connection was challenged with, or null
 * @throws {GodwitError} ERR_APP_BUSY when it proved who it is and there are too many; whatever else it throws refuses
 */
export type Greet = (hello: RequestMembers, challenge: string | null) => Session | null;

interface Request {
  readonly id: number;
  readonly type: unknown;
  readonly members: RequestMembers;
}

/** The same for everybody who is refused: nobody learns what there is from how they were. */
const REFUSAL = new GodwitError("ERR_APP_AUTH", "not authorised");

export interface AppConnectionOptions {
  /** Upgraded, and nobody listens to it yet. */
  readonly socket: PeerSocket;
  readonly platform: Pick<Platform, "after" | "epochMs" | "monotonicMs" | "randomFill">;
  readonly greet: Greet;
  /** The socket is closed. */
  readonly handleGone: () => void;
}

export class AppConnection {
  readonly #socket: PeerSocket;
  readonly #platform: AppConnectionOptions["platform"];
  readonly #greet: Greet;
  /** Came faster than it is taken. No longer than what one read from the socket may hold. */
  readonly #queue: string[] = [];
  #session: Session | null = null;
  #challenge: string | null = null;
  #inFlight = 0;
  #hasWaited = false;
  #isOpening = false;
  /** Bytes that may wait to be read. */
  #queuedBytesMax = APP_QUEUED_BYTES_MAX;
  /** Takes back the wait for the rest of the queue; null while there is none. */
  #cancelWait: (() => void) | null = null;
  #isOver = false;

  constructor({ socket, platform, greet, handleGone }: AppConnectionOptions) {
    this.#socket = socket;
    this.#platform = platform;
    this.#greet = greet;
    socket.listen({
      message: (text) => this.#take(text),
      closed: () => {
        this.#end();
        handleGone();
      },
    });
  }

  /** Sends an event. A peer that does not read is cut off. */
  send(event: object): void {
    if (this.#isOver) return;
    if (this.#session !== null && this.#isSessionOver(this.#session)) return this.close(CLOSE_REFUSED);
    this.#send(event);
  }

  /** Says goodbye; nothing of the peer counts from here on. */
  close(code: number): void {
    if (this.#isOver) return;
    this.#end();
    this.#socket.close(code);
  }

  /** @param text null for what is none */
  #take(text: string | null): void {
    if (this.#isOver) return;
    if (text === null) return this.close(CLOSE_PROTOCOL);
    this.#queue.push(text);
    if (this.#cancelWait === null) this.#work();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#queue.length = 0;
    this.#cancelWait?.();
    // What is left to come has to be read, or the end of the connection never is.
    this.#socket.resume();
    this.#session?.handleClosed();
  }

  #work(): void {
    for (let text = this.#queue[0]; text !== undefined && !this.#isOver; text = this.#queue[0]) {
      // What is answered at once, is so a turn later: many requests in one read are not many without answer.
      if (this.#inFlight >= APP_REQUESTS_IN_FLIGHT_MAX && !this.#hasWaited) {
        this.#hasWaited = true;
        return this.#wait(0);
      }
      const waitMs = this.#session?.bucket?.take(this.#platform.monotonicMs()) ?? 0;
      if (waitMs > 0) return this.#wait(waitMs);
      this.#hasWaited = false;
      this.#queue.shift();
      this.#handle(text);
    }
    this.#socket.resume();
  }

  #wait(delayMs: number): void {
    this.#socket.pause();
    this.#cancelWait = this.#platform.after(delayMs, () => {
      this.#cancelWait = null;
      this.#work();
    });
  }

  #handle(text: string): void {
    let id: number | null = null;
    try {
      const request = readRequest(text);
      id = request.id;
      if (this.#session === null) return this.#handleHello(request);
      if (this.#isSessionOver(this.#session)) return this.#refuse(id);
      const { type } = request;
      const { verbs } = this.#session;
      const verb = typeof type === "string" && Object.hasOwn(verbs, type) ? verbs[type] : undefined;
      if (verb === undefined) throw new GodwitError("ERR_OPTION", "unknown request type");
      if (this.#inFlight >= APP_REQUESTS_IN_FLIGHT_MAX)
        throw new GodwitError(
          "ERR_APP_BUSY",
          `more than ${APP_REQUESTS_IN_FLIGHT_MAX} requests are not answered`,
        );
      void this.#answer(request.id, verb, request.members);
    } catch (error) {
      if (this.#session !== null) return this.#sendError(id, error);
      // It proved who it is, and may come again; all others are told the same.
      if (codeOf(error) !== "ERR_APP_BUSY") return this.#refuse(id);
      this.#sendError(id, error);
      this.close(CLOSE_BUSY);
    }
  }

  #handleHello({ id, type, members }: Request): void {
    if (type === "challenge" && this.#challenge === null) {
      this.#challenge = newToken(this.#platform.randomFill);
      return this.#send({ id, result: { challenge: this.#challenge } });
    }
    const session = type === "hello" ? this.#greet(members, this.#challenge) : null;
    if (session === null) return this.#refuse(id);
    this.#session = session;
    this.#isOpening = true;
    this.#send({ id, result: session.greeting });
    session.handleOpen?.();
    this.#isOpening = false;
  }

  async #answer(id: number, verb: Verb, members: RequestMembers): Promise<void> {
    this.#inFlight++;
    try {
      const result = await verb(members);
      if (!this.#isOver) this.#send({ id, result });
    } catch (error) {
      this.#sendError(id, error);
    } finally {
      this.#inFlight--;
    }
  }

  #refuse(id: number | null): void {
    this.#sendError(id, REFUSAL);
    this.close(CLOSE_REFUSED);
  }

  #sendError(id: number | null, error: unknown): void {
    if (this.#isOver) return;
    const known = codeOf(error);
    // Whatever else it is tells of our inside.
    const message = known === null ? "the request failed" : (error as Error).message;
    const code = known ?? "ERR_OPTION";
    this.#send({ id, error: { code, name: w3cNameOf(code), message } });
  }

  #send(message: object): void {
    if (this.#isStuck()) return;
    const text = JSON.stringify(message);
    const isEmpty = this.#socket.bufferedBytes === 0;
    // However much there is to say at once, a peer that reads gets it: the bound is for what is left unread on top of that.
    if (isEmpty) this.#queuedBytesMax = APP_QUEUED_BYTES_MAX;
    if (this.#isOpening || isEmpty) this.#queuedBytesMax += utf8Encode(text).length;
    this.#socket.send(text);
  }

  #isStuck(): boolean {
    if (this.#socket.bufferedBytes <= this.#queuedBytesMax) return false;
    this.#socket.terminate();
    this.#end();
    return true;
  }

  #isSessionOver({ endEpochMs }: Session): boolean {
    return endEpochMs !== null && this.#platform.epochMs() >= endEpochMs;
  }
}

/** Null for what is none of our errors. */
function codeOf(error: unknown): ErrorCode | null {
  return error instanceof GodwitError ? error.code : null;
}

function readRequest(text: string): Request {
  if (jsonNesting(text) > JSON_DEPTH_MAX) throw new GodwitError("ERR_OPTION", "the request nests too deeply");
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new GodwitError("ERR_OPTION", "the request is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw new GodwitError("ERR_OPTION", "a request is an object");
  const members = new RequestMembers(parsed as Record<string, unknown>);
  return { id: members.integer("id"), type: members.raw.type, members };
}
