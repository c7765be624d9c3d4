// SPDX-License-Identifier: MIT
/**
 * What of a device's messages goes out next in dialect autopush: new ones at once, stored ones in batches, those with a topic
 * first, the next batch when the device is done with the last. Pure; part of autopush-session.ts.
 */

import {
  AUTOPUSH_BATCH_MAX,
  AUTOPUSH_IN_FLIGHT_MAX,
  AUTOPUSH_PAGE_MAX,
  LOW_URGENCY_MARGIN_MS,
} from "../limits.ts";
import type { Instant, LoadRequest } from "./outbox.ts";
import { SparseMap } from "./sparse-map.ts";
import type { StoredMessage } from "./store/store.ts";

interface InFlight {
  readonly channel: number;
  /** ms since 1970. */
  readonly expiresMs: number;
  readonly receivedMs: number;
}

/**
 * Decides; sends nothing itself: whatever is to be sent is given to the `send` callback of the constructor, in order.
 *
 * A message that may not go now is left in the store, and the pass over it is made again from there. Batches are one pass for
 * topics and one for the rest, each behind a cursor.
 */
export class AutopushOutbox {
  readonly #send: (message: StoredMessage) => boolean;
  readonly #inFlight = new SparseMap<number, InFlight>();
  /** Those in flight that were read from the store: the next page waits for them. */
  readonly #batch = new Set<number>();
  /** Acknowledged, but the store has not said so yet: a page may still show them. By operation. */
  readonly #settling = new SparseMap<number, readonly number[]>();
  #pass: "topics" | "rest" = "rest";
  /** This pass looked at every message up to here. */
  #cursor = 0;
  /** Up to here a page showed all there was. */
  #shownMax = 0;
  /** The highest id known: behind a gap something was not heard of. */
  #knownMax = 0;
  #hasMore = false;
  /** The request under way; its page is thrown away when the cursor went back meanwhile. */
  #loading: LoadRequest | null = null;
  #isPageStale = false;
  /** Something became durable behind the page under way. */
  #hasNews = false;
  /** Ids that left the store since the request. */
  readonly #goneMeanwhile = new Set<number>();
  #isCongested = false;

  /** @param send called with each message to send; false when it cannot be: it stays in the store */
  constructor(send: (message: StoredMessage) => boolean) {
    this.#send = send;
  }

  /** There may be stored messages, up to `lastId`. */
  begin(lastId: number): void {
    this.#know(lastId);
    this.#pass = "topics";
    this.#rewind(0);
  }

  /** What to load next, or null: nothing more, a batch or a page is under way, or there is no room. */
  nextLoad(now: Instant): LoadRequest | null {
    if (!this.#hasMore || this.#loading !== null || this.#batch.size > 0) return null;
    if (!this.#hasRoom(now)) return null;
    this.#isPageStale = false;
    this.#hasNews = false;
    this.#goneMeanwhile.clear();
    // Where topics are sought most of a page may be passed over.
    this.#loading = {
      afterId: this.#cursor,
      limit: this.#pass === "topics" ? AUTOPUSH_PAGE_MAX : AUTOPUSH_BATCH_MAX,
    };
    return this.#loading;
  }

  /** The page asked for by {@link nextLoad}. */
  loaded(messages: readonly StoredMessage[], isComplete: boolean, now: Instant): void {
    const wanted = this.#loading;
    this.#loading = null;
    if (wanted === null || this.#isPageStale) return;
    let isCut = false;
    for (const message of messages) {
      isCut = this.#batch.size === AUTOPUSH_BATCH_MAX || !this.#hasRoom(now);
      if (isCut) break;
      this.#consider(message, now);
      this.#cursor = message.id;
      this.#know(message.id);
      this.#shownMax = Math.max(this.#shownMax, message.id);
    }
    this.#hasMore = isCut || !isComplete || this.#hasNews;
    if (!this.#hasMore && this.#pass === "topics") {
      this.#pass = "rest";
      this.#cursor = 0;
      this.#hasMore = true;
    }
  }

  /** A message became durable, in place of `replacedId` of the same topic. */
  stored(message: StoredMessage, replacedId: number | null, now: Instant): void {
    if (replacedId !== null) this.withdrawn(replacedId);
    const firstUnknown = this.#know(message.id);
    if (firstUnknown < message.id) return this.later(firstUnknown);
    if (this.#inFlight.has(message.id) || this.#isSettling(message.id)) return;
    // The news of what a page showed comes late: only the store knows whether it is still there.
    if (message.id <= this.#shownMax || !this.#hasRoom(now)) this.later(message.id);
    else this.#dispatch(message, now);
  }

  /** The message of this id stays in the store until the pass comes to it. */
  later(id: number): void {
    this.#rewind(id - 1);
  }

  /** A message with TTL 0: goes now or never. */
  ephemeral(message: StoredMessage, now: Instant): void {
    const firstUnknown = this.#know(message.id);
    if (firstUnknown < message.id) this.later(firstUnknown);
    if (this.#hasRoom(now)) this.#dispatch(message, now);
  }

  /** True for a message that was sent over this link and that the device is not done with. */
  isInFlight(id: number): boolean {
    return this.#inFlight.has(id);
  }

  /**
   * The device is done with messages; the store is told under `operationId`.
   *
   * @param each called with `receivedMs` of each that was in flight
   */
  acknowledged(ids: readonly number[], operationId: number, each: (receivedMs: number) => void): void {
    for (const id of ids) {
      const sent = this.#inFlight.get(id);
      if (sent !== undefined) each(sent.receivedMs);
      this.#remove(id);
    }
    this.#settling.set(operationId, ids);
  }

  /** The store removed what was acknowledged. */
  settled(operationId: number): void {
    if (this.#loading !== null) {
      for (const id of this.#settling.get(operationId) ?? []) this.#goneMeanwhile.add(id);
    }
    this.#settling.delete(operationId);
  }

  /** A message left the store: withdrawn by its sender, or replaced. */
  withdrawn(id: number): void {
    this.#remove(id);
    if (this.#loading !== null) this.#goneMeanwhile.add(id);
  }

  /** A channel left the store with its messages. */
  channelEnded(channel: number): void {
    for (const [id, sent] of this.#inFlight) if (sent.channel === channel) this.#remove(id);
    this.#isPageStale = true;
  }

  setCongested(isCongested: boolean): void {
    this.#isCongested = isCongested;
  }

  /** Expired messages hold up nothing any more. */
  alarm(now: Instant): void {
    for (const [id, { expiresMs }] of this.#inFlight) if (expiresMs <= now.epochMs) this.#remove(id);
  }

  /** Monotonic ms at which {@link alarm} has something to do, or null. */
  nextAlarmMs(now: Instant): number | null {
    if (!this.#hasMore) return null;
    let earliestMs: number | null = null;
    for (const { expiresMs } of this.#inFlight.values()) {
      if (earliestMs === null || expiresMs < earliestMs) earliestMs = expiresMs;
    }
    return earliestMs === null ? null : now.monotonicMs + Math.max(0, earliestMs - now.epochMs);
  }

  /** The first id that was not known: `id` itself unless there is a gap in front of it. */
  #know(id: number): number {
    const first = Math.min(id, this.#knownMax + 1);
    this.#knownMax = Math.max(this.#knownMax, id);
    return first;
  }

  #hasRoom(now: Instant): boolean {
    if (this.#inFlight.size >= AUTOPUSH_IN_FLIGHT_MAX) this.alarm(now);
    return !this.#isCongested && this.#inFlight.size < AUTOPUSH_IN_FLIGHT_MAX;
  }

  /** Sends a stored message unless it is not its turn, or it went already. */
  #consider(message: StoredMessage, now: Instant): void {
    const { id, topic, expiresMs } = message;
    if (this.#pass === "topics" && topic === null) return;
    if (expiresMs <= now.epochMs || this.#inFlight.has(id) || this.#isSettling(id)) return;
    if (this.#dispatch(message, now)) this.#batch.add(id);
  }

  #dispatch(message: StoredMessage, now: Instant): boolean {
    if (!this.#send(message)) return false;
    const { id, channel, receivedMs, expiresMs } = message;
    const leavesMs = Math.max(expiresMs, now.epochMs + LOW_URGENCY_MARGIN_MS);
    this.#inFlight.set(id, { channel, expiresMs: leavesMs, receivedMs });
    return true;
  }

  #remove(id: number): void {
    this.#inFlight.delete(id);
    this.#batch.delete(id);
  }

  #rewind(toId: number): void {
    // A page under way begins behind the cursor: it is as good as before unless the pass has to begin earlier.
    if (toId < this.#cursor) this.#isPageStale = true;
    this.#cursor = Math.min(this.#cursor, toId);
    this.#hasMore = true;
    this.#hasNews = true;
  }

  #isSettling(id: number): boolean {
    for (const ids of this.#settling.values()) if (ids.includes(id)) return true;
    return this.#goneMeanwhile.has(id);
  }
}
