// SPDX-License-Identifier: MIT
/**
 * Hands messages to their apps, one at a time per owner, within a budget; what takes too long waits in the journal, what
 * is too much waits at the service ("Handling never blocks the link"). Pure.
 */

import type { AppBadge } from "../declarative/index.ts";
import type { SubscriptionRecord } from "../journal/index.ts";
import {
  DELIVERY_ATTEMPTS_MAX,
  DELIVERY_RETRY_MS,
  HANDLER_BUDGET_MS,
  INBOX_MESSAGES_PER_OWNER_MAX,
  JOURNAL_UNHANDLED_AFTER_MS,
  SILENT_PUSH_WINDOW_MS,
  START_AGAIN_MS,
  TRANSFORM_BUDGET_MS,
  UNHELD_BODY_BYTES_MAX,
  UNHELD_MESSAGES_PER_OWNER_MAX,
} from "../limits.ts";
import { foldDeadlines } from "./deadlines.ts";
import type { Alarm, Instant } from "./events.ts";
import { Holds, type HoldsOptions } from "./holds.ts";
import { type Entry, Lane, type Opened } from "./lane.ts";
import { reported } from "./report.ts";
import { Waiting, type WaitingOptions } from "./waiting.ts";

export interface DeliveriesOptions extends WaitingOptions, HoldsOptions {}

type NewEntry = Pick<Entry, "record" | "messageId" | "owner" | "opened" | "redelivered">;

export class Deliveries {
  readonly #options: DeliveriesOptions;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes with messages: the only ones an event has to look at, however many apps are attached. */
  readonly #busy = new Set<Lane>();
  readonly #laneOfDelivery = new Map<number, Lane>();
  readonly #waiting: Waiting;
  readonly #holds: Holds;
  #lastDeliveryId = 0;
  /** From when the run is on record: what is handed out before could not be told from a first delivery after a crash. */
  #isOpen = false;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
    this.#waiting = new Waiting(options);
    this.#holds = new Holds(options);
  }

  /** Takes up what waited in the journal. */
  restore(now: Instant): void {
    for (const entry of this.#waiting.restore(now)) this.#enqueue(entry);
    for (const lane of [...this.#busy]) this.#pump(lane, now);
  }

  /** The run is on record: hand out. */
  open(now: Instant): void {
    this.#isOpen = true;
    for (const lane of [...this.#busy]) this.#pump(lane, now);
  }

  /** An app of this owner takes messages, now or whenever it is started. */
  hasHandler(owner: string): boolean {
    return this.#lanes.get(owner)?.canDeliver === true || this.#options.registry.owner(owner).hasHandler;
  }

  isAttached(owner: string): boolean {
    return this.#lanes.get(owner)?.isAttached === true;
  }

  /** Something else than a message waits for the app. */
  requestStart(owner: string, now: Instant): void {
    this.#startApp(this.#lane(owner), now);
  }

  /** A person activated one of its notifications. */
  handleInterest(owner: string, now: Instant): void {
    this.#options.silent.refill(owner);
    const lane = this.#lanes.get(owner);
    if (lane !== undefined && lane.size > 0) this.#pump(lane, now);
  }

  /** Messages of `owner` that wait. */
  waitingFor(owner: string): number {
    return this.#lanes.get(owner)?.size ?? 0;
  }

  hasWaiting(subscriptionId: number): boolean {
    return [...this.#waiting.entries()].some(({ record }) => record.subscriptionId === subscriptionId);
  }

  handleRepeat(storeEpoch: number, id: number): boolean {
    return this.#waiting.handleRepeat(storeEpoch, id);
  }

  /** Messages waiting over all owners. */
  get waiting(): number {
    return this.#waiting.size;
  }

  add(message: NewEntry, now: Instant): void {
    const lane = this.#lane(message.owner);
    const entry: Entry = {
      ...message,
      receivedMs: now.monotonicMs,
      isRestored: false,
      journal: "no",
      journalAtMs: now.monotonicMs + JOURNAL_UNHANDLED_AFTER_MS,
      failures: 0,
    };
    if (!this.#holds.areKnown) return this.#addUnheld(lane, entry, now);
    // Over the bound it is forgotten, unacknowledged: the held channel brings it again when there is room. So is what was
    // already on its way then, or it would overtake what was forgotten.
    if (lane.isHeld || lane.size >= INBOX_MESSAGES_PER_OWNER_MAX) return this.#holds.hold(lane, now);
    this.#waiting.add(entry);
    this.#enqueue(entry);
    if (lane.size >= INBOX_MESSAGES_PER_OWNER_MAX) this.#holds.hold(lane, now);
    this.#pump(lane, now);
  }

  /**
   * The service sends nothing more to anybody until this is acknowledged: it is written down before its app gets it, so that a
   * repeat after a crash is known for one; on a full disk, once the app can have it, on the reserve. Of an app that does not come
   * not everything can be kept: on a full disk nothing would be acknowledged, and nobody would get anything.
   */
  #addUnheld(lane: Lane, entry: Entry, now: Instant): void {
    const isFull = (!lane.canDeliver || lane.isPaused) && this.#waiting.bodyBytes >= UNHELD_BODY_BYTES_MAX;
    if (isFull || lane.size >= UNHELD_MESSAGES_PER_OWNER_MAX)
      return this.#waiting.drop(entry, "rejected", "too many");
    this.#waiting.add(entry);
    this.#enqueue(entry);
    this.#journal(entry);
    this.#pump(lane, now);
  }

  handleAttached(owner: string, handlesPush: boolean, now: Instant): void {
    const { registry, persistence } = this.#options;
    const lane = this.#lane(owner);
    lane.isAttached = true;
    lane.handlesPush = handlesPush;
    lane.startAskedMs = null;
    lane.retryAtMs = 0;
    const known = registry.owner(owner);
    if (known.hasHandler !== handlesPush) persistence.note({ ...known, hasHandler: handlesPush });
    this.#pump(lane, now);
  }

  handleDetached(owner: string, now: Instant): void {
    const lane = this.#lanes.get(owner);
    if (lane === undefined) return;
    lane.isAttached = false;
    if (lane.current !== null) this.handleFailed(lane.current.deliveryId, now);
  }

  /** The app is done with it. */
  handleHandled(deliveryId: number, now: Instant): void {
    const lane = this.#laneOfDelivery.get(deliveryId);
    const current = lane?.current;
    if (!lane || !current) return;
    const { entry, isShown, badge } = current;
    this.#takeBack(lane, deliveryId);
    this.#options.emit(reported({ type: "handled", messageId: entry.messageId, owner: entry.owner }));
    this.#waiting.settle(entry, isShown, badge, now);
    this.#pump(lane, now);
  }

  /** The app threw, died, or let its budget pass. */
  handleFailed(deliveryId: number, now: Instant): void {
    const lane = this.#laneOfDelivery.get(deliveryId);
    const current = lane?.current;
    if (!lane || !current) return;
    const { entry, isShown, badge } = current;
    this.#takeBack(lane, deliveryId);
    entry.failures++;
    entry.redelivered = true;
    if (entry.record.isDeclared) this.#waiting.settle(entry, isShown, badge, now);
    else if (entry.failures >= DELIVERY_ATTEMPTS_MAX) this.#waiting.giveUp(entry, isShown, now);
    else {
      lane.retryAtMs = now.monotonicMs + DELIVERY_RETRY_MS * entry.failures;
      lane.queue.unshift(entry);
    }
    this.#pump(lane, now);
  }

  /** The notification being replaced by an app's showNotification, or null outside of a mutable delivery. */
  declaredFor(owner: string, deliveryId: number | null): Opened["declared"] {
    const current = deliveryId === null ? null : this.#laneOfDelivery.get(deliveryId)?.current;
    return current?.entry.owner === owner ? (current.entry.opened?.declared ?? null) : null;
  }

  /** False when the delivery is over or another owner's: what the app does in its name is ignored. */
  isInHand(owner: string, deliveryId: number): boolean {
    return this.#laneOfDelivery.get(deliveryId)?.owner === owner;
  }

  noteShown(deliveryId: number, isShown: boolean): void {
    const current = this.#laneOfDelivery.get(deliveryId)?.current;
    if (current) current.isShown = isShown;
  }

  noteBadge(deliveryId: number, badge: AppBadge): void {
    const current = this.#laneOfDelivery.get(deliveryId)?.current;
    if (current) current.badge = badge;
  }

  /** A new link knows of no holds. */
  handleOnline(now: Instant): void {
    for (const lane of this.#lanes.values()) {
      if (!lane.isHeld) continue;
      lane.held.clear();
      if (lane.mustHold && !lane.isPaused) this.#holds.hold(lane, now);
    }
    this.#holds.holdPaused((owner) => this.#lane(owner), now);
    // While its channels are held no message comes that would start an app which did not come the last time.
    for (const lane of this.#busy) if (lane.next() !== undefined) this.#wakeApp(lane, now);
  }

  /** A message came for a paused owner: it stays with the service. */
  holdIfPaused(owner: string, now: Instant): boolean {
    const isPaused = this.#holds.areKnown && this.#options.registry.isPaused(owner);
    if (isPaused) this.#holds.hold(this.#lane(owner), now);
    return isPaused;
  }

  /** A pause began or ended. What is in an app's hands is finished. */
  handlePauses(now: Instant): void {
    this.#options.registry.handlePauses();
    for (const lane of [...this.#lanes.values()]) {
      const isPaused = this.#options.registry.isPaused(lane.owner);
      if (isPaused === lane.isPaused) continue;
      lane.isPaused = isPaused;
      if (!isPaused) lane.resumedMs = now.monotonicMs;
      this.#pump(lane, now);
    }
    this.#holds.holdPaused((owner) => this.#lane(owner), now);
  }

  /** The owner has a new channel, which belongs to whoever takes messages for it now. */
  handleChannel(owner: string, now: Instant): void {
    const { registry, persistence } = this.#options;
    const lane = this.#lane(owner);
    const known = registry.owner(owner);
    if (lane.canDeliver && !known.hasHandler) persistence.note({ ...known, hasHandler: true });
    if (lane.isPaused || lane.isHeld) this.#holds.hold(lane, now);
    this.#pump(lane, now);
  }

  /** Nothing of the owner (null: of anybody) is wanted any more: also what is in an app's hands is over. */
  handleCleared(owner: string | null, now: Instant): void {
    for (const lane of [...this.#lanes.values()]) {
      const { current } = lane;
      if (current === null || (owner !== null && lane.owner !== owner)) continue;
      this.#options.emit({ type: "cancelDelivery", deliveryId: current.deliveryId, owner: lane.owner });
      this.#takeBack(lane, current.deliveryId);
      this.#waiting.drop(current.entry, "rejected", "not wanted");
      this.#pump(lane, now);
    }
  }

  /** The subscription is gone, and with it the keys: its messages are nobody's. One in an app's hands stays there. */
  handleRemoved({ id, owner, channel }: SubscriptionRecord, now: Instant): void {
    this.#options.inbox.forget(id);
    const lane = this.#lanes.get(owner);
    if (lane === undefined) return;
    // The number may come again for another, which is not held.
    if (channel !== null) lane.held.delete(channel);
    for (const entry of lane.take(({ record }) => record.subscriptionId === id))
      this.#waiting.drop(entry, "rejected", "unsubscribed");
    this.#pump(lane, now);
  }

  handleAlarm(now: Instant): void {
    for (const lane of [...this.#busy]) {
      const dueMs = Math.min(lane.due(), lane.silentUntilMs ?? Number.POSITIVE_INFINITY);
      if (now.monotonicMs >= dueMs) this.#handleDue(lane, now);
    }
  }

  nextDeadline(): Alarm | null {
    const deadlines: Alarm[] = [];
    for (const lane of this.#busy) {
      const dueMs = lane.due();
      if (dueMs !== Number.POSITIVE_INFINITY) deadlines.push({ atMs: dueMs, windowMs: 0 });
      const { silentUntilMs } = lane;
      if (silentUntilMs !== null) deadlines.push({ atMs: silentUntilMs, windowMs: SILENT_PUSH_WINDOW_MS });
    }
    return foldDeadlines(deadlines);
  }

  #handleDue(lane: Lane, now: Instant): void {
    const { current } = lane;
    // Taken first: what is overdue by now is not handed out when the one before it makes way.
    const overdue = lane.take(
      (entry) => entry.record.isDeclared && now.monotonicMs >= lane.overdueAtMs(entry),
    );
    if (current !== null && now.monotonicMs >= current.budgetEndMs) {
      this.#options.emit({ type: "cancelDelivery", deliveryId: current.deliveryId, owner: lane.owner });
      this.handleFailed(current.deliveryId, now);
    }
    // Mutable messages whose app did not come, or is busy for too long, are shown as declared.
    for (const entry of overdue) this.#waiting.settle(entry, false, null, now);
    for (const entry of lane.entries()) {
      if (entry.journal === "no" && now.monotonicMs >= entry.journalAtMs) this.#journal(entry);
    }
    this.#pump(lane, now);
  }

  /** Makes repeats after a clean stop exact: what was handed out and not dealt with is written down as such. */
  handleShutdown(): void {
    for (const entry of this.#waiting.entries()) {
      const { storeEpoch, id, attempt } = entry.record;
      if (entry.journal === "no") this.#journal(entry);
      else if (this.#wasHanded(entry)) {
        this.#options.persistence.note({ type: "messageAttempt", storeEpoch, id, attempt, handed: true });
      }
    }
  }

  #wasHanded(entry: Entry): boolean {
    return entry.redelivered || this.#lanes.get(entry.owner)?.current?.entry === entry;
  }

  #enqueue(entry: Entry): void {
    const lane = this.#lane(entry.owner);
    lane.queue.push(entry);
    this.#busy.add(lane);
  }

  /** Moves the lane on: hand out the next message, ask for the app, let the channel flow again. */
  #pump(lane: Lane, now: Instant): void {
    lane.dueMs = null;
    for (;;) {
      const hasOpaque = !lane.isPaused && lane.queue.some((waiting) => !waiting.record.isDeclared);
      lane.silentUntilMs = hasOpaque ? this.#options.silent.waitsUntilMs(lane.owner, now.monotonicMs) : null;
      const entry = lane.next();
      if (entry === undefined) break;
      this.#wakeApp(lane, now);
      // What is being written is handed out when it is safe.
      if (entry.journal === "writing") break;
      if (!this.#isOpen || lane.current !== null || !lane.canDeliver || now.monotonicMs < lane.retryAtMs)
        break;
      if (entry.journal === "no" && !this.#holds.areKnown) {
        this.#waiting.journalUrgently(entry, () => this.#handleJournaled(entry));
        break;
      }
      lane.queue.splice(lane.queue.indexOf(entry), 1);
      this.#deliver(lane, entry, now);
    }
    if (lane.isHeld && !lane.mustHold) this.#holds.resume(lane, now);
    if (lane.size > 0) return;
    this.#busy.delete(lane);
    if (!lane.isAttached && !lane.isHeld) this.#lanes.delete(lane.owner);
  }

  /** A message waits for it. An app that takes none is left alone. */
  #wakeApp(lane: Lane, now: Instant): void {
    if (!lane.isAttached && this.hasHandler(lane.owner)) this.#startApp(lane, now);
  }

  #startApp(lane: Lane, now: Instant): void {
    const { startAskedMs, owner } = lane;
    if (startAskedMs !== null && now.monotonicMs < startAskedMs + START_AGAIN_MS) return;
    lane.startAskedMs = now.monotonicMs;
    this.#options.emit({ type: "startApp", owner });
  }

  #deliver(lane: Lane, entry: Entry, now: Instant): void {
    const { emit, meter } = this.#options;
    const opened = this.#waiting.open(entry);
    if (opened === null) return;
    const { plaintext, declared } = opened;
    // It came while its owner was paused, and is not its app's business.
    if (declared?.mutable === false) return this.#waiting.settle(entry, false, null, now);
    const deliveryId = ++this.#lastDeliveryId;
    const budgetEndMs =
      declared === null
        ? now.monotonicMs + HANDLER_BUDGET_MS
        : Math.min(now.monotonicMs + TRANSFORM_BUDGET_MS, lane.overdueAtMs(entry));
    lane.current = { entry, deliveryId, budgetEndMs, isShown: false, badge: null };
    this.#laneOfDelivery.set(deliveryId, lane);
    const { messageId, owner, redelivered } = entry;
    emit({ type: "stayAwake", untilMs: budgetEndMs });
    emit({
      type: "deliver",
      delivery: {
        deliveryId,
        owner,
        subscriptionId: entry.record.subscriptionId,
        messageId,
        redelivered,
        data: declared === null ? plaintext : null,
        notification: declared?.notification ?? null,
        appBadge: declared?.appBadge ?? null,
      },
    });
    emit(reported({ type: "delivered", messageId, owner, redelivered }));
    meter.countMessage("delivered");
  }

  #journal(entry: Entry): void {
    this.#waiting.journal(entry, this.#wasHanded(entry), () => this.#handleJournaled(entry));
  }

  /** It is written down, or that failed. */
  #handleJournaled(entry: Entry): void {
    const lane = this.#lanes.get(entry.owner);
    if (entry.journal === "written" && lane?.current?.entry !== entry) entry.opened = null;
    if (lane !== undefined) this.#pump(lane, this.#options.clock.now);
  }

  #takeBack(lane: Lane, deliveryId: number): void {
    lane.current = null;
    this.#laneOfDelivery.delete(deliveryId);
  }

  #lane(owner: string): Lane {
    let lane = this.#lanes.get(owner);
    if (lane === undefined) {
      lane = new Lane(owner);
      lane.isPaused = this.#options.registry.isPaused(owner);
      this.#lanes.set(owner, lane);
    }
    return lane;
  }
}
