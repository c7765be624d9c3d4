// SPDX-License-Identifier: MIT
/**
 * What of a device's stored messages goes out next: one pass over the store behind a cursor, a window of unacknowledged
 * messages, held channels, least urgency, and low-urgency messages that wait for other traffic. Pure; part of session.ts.
 */

import { LOW_URGENCY_MARGIN_MS, LOW_URGENCY_WINDOW_S_MAX, MESSAGES_IN_FLIGHT_MAX } from "../limits.ts";
import { type Conditions, type IdRange, type Notification, URGENCIES } from "../wire/dialect.ts";
import { SparseMap } from "./sparse-map.ts";
import type { StoredMessage } from "./store/store.ts";

/** Times of one event. */
export interface Instant {
  /** Monotonic ms, for timers. */
  readonly monotonicMs: number;
  /** ms since 1970, for TTL. */
  readonly epochMs: number;
}

/** How often a message was sent, and when that stops to matter. */
export interface Attempt {
  readonly channel: number;
  readonly count: number;
  /** ms since 1970. */
  readonly expiresMs: number;
}

/** Ask the store for this; answer with {@link Outbox.loaded}. */
export interface LoadRequest {
  readonly afterId: number;
  readonly limit: number;
}

interface InFlight {
  readonly channel: number;
  readonly expiresMs: number;
  readonly receivedMs: number;
}

/** Where notifications go. */
export interface NotificationWay {
  send(notification: Notification): void;
}

/** One acknowledgement under way. */
interface Settling {
  readonly ranges: readonly IdRange[];
  /** Counts it made superfluous, unless the store fails. */
  readonly attempts: readonly (readonly [id: number, attempt: Attempt])[];
}

/** Wire bound of the attempt field. */
const ATTEMPT_MAX = 0xffff;

/**
 * Decides; sends nothing itself. Whatever is to be sent is given to the `way` of the constructor, in order.
 *
 * Messages that may not go now are simply left in the store: once the reason is gone (Resume, other Conditions, other
 * traffic, GetAllMessages) the cursor goes back and the pass is made again. So no second queue can disagree with it.
 */
export class Outbox {
  readonly #way: NotificationWay;
  readonly #attempts: SparseMap<number, Attempt>;
  #conditions: Conditions;
  readonly #inFlight = new SparseMap<number, InFlight>();
  /** Channels. */
  readonly #held = new SparseMap<number, true>();
  /** Acknowledged, but the store has not said so yet: a page read meanwhile may still hold them. */
  readonly #settling = new SparseMap<number, Settling>();
  /** Every message up to here was sent or passed over. */
  #cursor = 0;
  /** Where the cursor ever was. */
  #cursorMax = 0;
  /** The highest id known: what comes next without a gap is news of everything, and behind a gap something was not heard of. */
  #knownMax = 0;
  /** There may be messages behind the cursor. */
  #hasMore = true;
  /** The request under way; its page is thrown away when the cursor went back meanwhile. */
  #loading: LoadRequest | null = null;
  #isPageStale = false;
  /** Ids that left the store, and whether some came, since the request: the page may not show it. */
  #goneMeanwhile: IdRange[] = [];
  #cameMeanwhile = false;
  /** While messages are looked at in order, going back has to wait until that is done. */
  #isPassing = false;
  #rewindTo: number | null = null;
  /** This pass takes low-urgency messages along: the radio is on. True for the pass right after connecting. */
  #takesLow = true;
  /** The first message that waits for other traffic, and the monotonic ms at which it waits no longer. */
  #waiting: { firstId: number; releaseMs: number } | null = null;
  #isCongested = false;

  /**
   * @param attempts owned by whoever keeps it across the device's sessions; changed here
   * @param way is given each message to send
   */
  constructor(conditions: Conditions, attempts: SparseMap<number, Attempt>, way: NotificationWay) {
    this.#conditions = conditions;
    this.#attempts = attempts;
    this.#way = way;
  }

  /** True when everything that may go has gone and was acknowledged. */
  isDrained(): boolean {
    return !this.#hasMore && this.#loading === null && this.#inFlight.size === 0 && this.#settling.size === 0;
  }

  /** What to load next, or null: nothing more, no room, or a page is on its way. */
  nextLoad(now: Instant): LoadRequest | null {
    if (!this.#hasMore || this.#loading !== null || this.#isCongested) return null;
    if (this.#room(now) === 0) return null;
    this.#isPageStale = false;
    this.#cameMeanwhile = false;
    this.#goneMeanwhile = [];
    this.#loading = { afterId: this.#cursor, limit: this.#room(now) };
    return this.#loading;
  }

  /** `lastId` was the highest id when the store was asked; a pass that begins now sees everything up to there. */
  opened(lastId: number): void {
    this.#know(lastId);
  }

  /** The page asked for by {@link nextLoad}. */
  loaded(messages: readonly StoredMessage[], isComplete: boolean, now: Instant): void {
    const wanted = this.#loading;
    this.#loading = null;
    if (wanted === null || this.#isPageStale) return;
    this.#pass(() => {
      let isCut = false;
      for (const message of messages) {
        isCut = this.#room(now) === 0;
        if (isCut) break;
        this.#consider(message, now);
        this.#moveTo(message.id);
      }
      this.#hasMore = isCut || !isComplete || this.#cameMeanwhile;
    });
    this.#goneMeanwhile = [];
    if (!this.#hasMore) this.#takesLow = false;
  }

  /** A message became durable, in place of `replacedId` of the same topic. */
  stored(message: StoredMessage, replacedId: number | null, now: Instant): void {
    if (replacedId !== null) this.withdrawn(replacedId);
    const isNext = this.#know(message.id);
    if (message.id <= this.#cursorMax) {
      // The news came late: only the store knows whether it is still there.
      this.#rewind(message.id - 1);
    } else if (
      !isNext ||
      this.#hasMore ||
      this.#loading !== null ||
      this.#isCongested ||
      this.#room(now) === 0
    ) {
      this.#hasMore = true;
      this.#cameMeanwhile = true;
    } else {
      this.#pass(() => {
        this.#consider(message, now);
        this.#moveTo(message.id);
      });
    }
  }

  /** A message with TTL 0: goes now or never. True when it went. */
  ephemeral(message: StoredMessage, now: Instant): boolean {
    const { id, channel, urgency } = message;
    if (!this.#know(id)) {
      this.#hasMore = true;
      this.#cameMeanwhile = true;
    }
    if (this.#isCongested || this.#room(now) === 0) return false;
    if (this.#held.has(channel) || this.#isBelowLeast(urgency)) return false;
    this.#pass(() => this.#dispatch(message, now));
    return true;
  }

  /**
   * The device acknowledged `ranges`; the store is told under `operationId`.
   *
   * @param each called with `receivedMs` of each message that was in flight
   */
  acknowledged(ranges: readonly IdRange[], operationId: number, each: (receivedMs: number) => void): void {
    for (const [id, { receivedMs }] of this.#inFlight) {
      if (!isIn(ranges, id)) continue;
      this.#inFlight.delete(id);
      each(receivedMs);
    }
    const attempts = [...this.#attempts].filter(([id]) => isIn(ranges, id));
    for (const [id] of attempts) this.#attempts.delete(id);
    this.#settling.set(operationId, { ranges, attempts });
  }

  /** The store removed what was acknowledged, or failed to: then it comes again with the next pass or session. */
  settled(operationId: number, isRemoved: boolean): void {
    const settling = this.#settling.get(operationId);
    this.#settling.delete(operationId);
    if (settling === undefined) return;
    if (!isRemoved) for (const [id, attempt] of settling.attempts) this.#attempts.set(id, attempt);
    else if (this.#loading !== null) this.#goneMeanwhile.push(...settling.ranges);
  }

  /** A message left the store: withdrawn by its sender, or replaced. */
  withdrawn(id: number): void {
    this.#inFlight.delete(id);
    this.#attempts.delete(id);
    if (this.#loading !== null) this.#goneMeanwhile.push([id, id]);
  }

  /** A channel left the store with its messages. */
  channelEnded(channel: number): void {
    this.#forgetInFlight(channel);
    for (const [id, sent] of this.#attempts) if (sent.channel === channel) this.#attempts.delete(id);
    this.#held.delete(channel);
    this.#isPageStale = true;
  }

  /** The channel's messages go back to the store until {@link resume}. */
  hold(channel: number): void {
    this.#held.set(channel, true);
    this.#forgetInFlight(channel);
  }

  resume(channel: number): void {
    if (this.#held.delete(channel)) this.#rewind(0);
  }

  heldCount(): number {
    return this.#held.size;
  }

  /** Everything unacknowledged goes again. */
  sendAllAgain(): void {
    this.#inFlight.clear();
    this.#takesLow = true;
    this.#rewind(0);
  }

  /** Some messages may have come unheard; those in flight are not sent again. */
  missed(): void {
    this.#rewind(0);
  }

  setConditions(conditions: Conditions): void {
    const isLower =
      URGENCIES.indexOf(conditions.leastUrgency) < URGENCIES.indexOf(this.#conditions.leastUrgency);
    this.#conditions = conditions;
    if (isLower) this.#rewind(0);
  }

  setCongested(isCongested: boolean): void {
    this.#isCongested = isCongested;
  }

  /** The radio is on: whatever waited for that may go. */
  traffic(): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    this.#takesLow = true;
    this.#rewind(waiting.firstId - 1);
  }

  /** Releases what has waited long enough. */
  alarm(now: Instant): void {
    if (this.#waiting !== null && this.#waiting.releaseMs <= now.monotonicMs) this.traffic();
    this.#dropExpired(now);
  }

  /** Monotonic ms at which {@link alarm} has something to do, or null. */
  nextAlarmMs(isDraining: boolean, now: Instant): number | null {
    const times = this.#waiting === null ? [] : [this.#waiting.releaseMs];
    const isFull = this.#inFlight.size >= MESSAGES_IN_FLIGHT_MAX && this.#hasMore;
    if (isDraining || isFull) {
      for (const { expiresMs } of this.#inFlight.values()) {
        times.push(now.monotonicMs + Math.max(0, expiresMs - now.epochMs));
      }
    }
    return times.length === 0 ? null : Math.min(...times);
  }

  #room(now: Instant): number {
    if (this.#inFlight.size >= MESSAGES_IN_FLIGHT_MAX) this.#dropExpired(now);
    return MESSAGES_IN_FLIGHT_MAX - this.#inFlight.size;
  }

  /** Sends the message unless something speaks against it now. */
  #consider(message: StoredMessage, now: Instant): void {
    const { id, channel, urgency, expiresMs } = message;
    if (expiresMs <= now.epochMs || this.#inFlight.has(id) || this.#isSettling(id)) return;
    if (this.#held.has(channel) || this.#isBelowLeast(urgency)) return;
    const waitMs = this.#waitMs(message, now);
    if (waitMs > 0) {
      const releaseMs = Math.min(
        now.monotonicMs + waitMs,
        this.#waiting?.releaseMs ?? Number.POSITIVE_INFINITY,
      );
      this.#waiting = { firstId: Math.min(id, this.#waiting?.firstId ?? id), releaseMs };
      return;
    }
    this.#dispatch(message, now);
  }

  /** How long a low-urgency message still waits for other traffic; 0 for any other. */
  #waitMs(message: StoredMessage, now: Instant): number {
    if (this.#takesLow || (message.urgency !== "low" && message.urgency !== "very-low")) return 0;
    const windowMs = Math.min(this.#conditions.windowS, LOW_URGENCY_WINDOW_S_MAX) * 1000;
    const untilMs = Math.min(message.receivedMs + windowMs, message.expiresMs - LOW_URGENCY_MARGIN_MS);
    // A clock set back must not make anything wait longer than the window.
    return Math.min(windowMs, untilMs - now.epochMs);
  }

  #dispatch(message: StoredMessage, now: Instant): void {
    const { id, channel, receivedMs, expiresMs, urgency, saysNotification, topic, body, aesgcm } = message;
    const before = this.#attempts.get(id)?.count ?? (message.mayHaveBeenSent ? 1 : 0);
    const attempt = Math.min(before + 1, ATTEMPT_MAX);
    if (expiresMs > now.epochMs) this.#attempts.set(id, { channel, count: attempt, expiresMs });
    const leavesMs = Math.max(expiresMs, now.epochMs + LOW_URGENCY_MARGIN_MS);
    this.#inFlight.set(id, { channel, expiresMs: leavesMs, receivedMs });
    const ttlLeftS = Math.max(0, Math.ceil((expiresMs - now.epochMs) / 1000));
    this.#way.send({
      type: "notification",
      id,
      attempt,
      channel,
      ttlLeftS,
      urgency,
      saysNotification,
      topic,
      body,
      ...(aesgcm === undefined ? {} : { aesgcm }),
    });
    this.traffic();
  }

  /** Runs `action`, then goes back to where it wanted to go back. */
  #pass(action: () => void): void {
    this.#isPassing = true;
    action();
    this.#isPassing = false;
    const toId = this.#rewindTo;
    this.#rewindTo = null;
    if (toId !== null) this.#rewind(toId);
  }

  /** False behind a gap. */
  #know(id: number): boolean {
    const isNext = id <= this.#knownMax + 1;
    this.#knownMax = Math.max(this.#knownMax, id);
    return isNext;
  }

  #moveTo(id: number): void {
    this.#know(id);
    this.#cursor = id;
    this.#cursorMax = Math.max(this.#cursorMax, id);
  }

  #rewind(toId: number): void {
    if (this.#isPassing) {
      this.#rewindTo = Math.min(toId, this.#rewindTo ?? toId);
      return;
    }
    this.#cursor = Math.min(this.#cursor, toId);
    this.#hasMore = true;
    this.#isPageStale = true;
  }

  #isSettling(id: number): boolean {
    for (const { ranges } of this.#settling.values()) if (isIn(ranges, id)) return true;
    return isIn(this.#goneMeanwhile, id);
  }

  #isBelowLeast(urgency: Notification["urgency"]): boolean {
    return URGENCIES.indexOf(urgency) < URGENCIES.indexOf(this.#conditions.leastUrgency);
  }

  #forgetInFlight(channel: number): void {
    for (const [id, sent] of this.#inFlight) if (sent.channel === channel) this.#inFlight.delete(id);
  }

  #dropExpired(now: Instant): void {
    for (const [id, sent] of this.#inFlight) {
      if (sent.expiresMs > now.epochMs) continue;
      this.#inFlight.delete(id);
      this.#attempts.delete(id);
    }
  }
}

function isIn(ranges: readonly IdRange[], id: number): boolean {
  return ranges.some(([first, last]) => id >= first && id <= last);
}
