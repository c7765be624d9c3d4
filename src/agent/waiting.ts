// SPDX-License-Identifier: MIT
/**
 * The messages that wait for their apps, and how each ends: handled, shown as declared, or dropped with its code; every way
 * is acknowledged once. Whose turn it is stands in deliveries.ts. Pure.
 */

import type { AppBadge } from "../declarative/index.ts";
import { type JournalState, messageKey } from "../journal/index.ts";
import type { AckCode } from "../wire/dialect.ts";
import type { Acks } from "./acks.ts";
import type { Badges } from "./badges.ts";
import type { Clock } from "./clock.ts";
import type { Emit, Instant } from "./events.ts";
import { type Inbox, messageName, openedOf } from "./inbox.ts";
import type { Entry, Opened } from "./lane.ts";
import type { Meter } from "./meter.ts";
import type { Persistence } from "./persistence.ts";
import type { Registry } from "./registry.ts";
import { reported } from "./report.ts";
import type { SilentBudget } from "./silent-budget.ts";

export interface WaitingOptions {
  readonly state: JournalState;
  readonly cleanStop: boolean;
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly inbox: Inbox;
  readonly acks: Acks;
  readonly badges: Badges;
  readonly silent: SilentBudget;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly emit: Emit;
}

export class Waiting {
  readonly #options: WaitingOptions;
  /** By {@link messageKey}. */
  readonly #entries = new Map<string, Entry>();

  constructor(options: WaitingOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bodyBytes(): number {
    let bytes = 0;
    for (const { record } of this.entries()) bytes += record.body?.length ?? 0;
    return bytes;
  }

  entries(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  /** Takes up what waited in the journal, and returns it in order. */
  restore(now: Instant): Entry[] {
    const { state, registry, cleanStop } = this.#options;
    for (const record of [...state.messages.values()]) {
      const subscription = registry.byId(record.subscriptionId);
      if (subscription === null) {
        // Written while its subscription was being ended: its keys are gone.
        this.noteDone({ record });
        continue;
      }
      this.add({
        record,
        messageId: messageName(record.storeEpoch, record.id),
        owner: subscription.owner,
        redelivered: record.handed || !cleanStop,
        // Opened when its turn comes: decrypting a full journal would keep a small device busy for minutes.
        opened: null,
        isRestored: true,
        journal: "written",
        journalAtMs: 0,
        failures: 0,
        receivedMs: now.monotonicMs,
      });
    }
    return [...this.entries()];
  }

  add(entry: Entry): void {
    this.#entries.set(messageKey(entry.record.storeEpoch, entry.record.id), entry);
  }

  /** The service sent a message again. True when it waits here already; what is in the journal is acknowledged again. */
  handleRepeat(storeEpoch: number, id: number): boolean {
    const entry = this.#entries.get(messageKey(storeEpoch, id));
    if (entry === undefined) return false;
    const { acks, persistence } = this.#options;
    if (entry.journal === "written") persistence.whenFoundIsDurable(id, () => acks.add(id, "ok"));
    return true;
  }

  /** What the message holds; null when it is nobody's, unreadable or too old by now, and was dropped. */
  open(entry: Entry): Opened | null {
    const { registry, inbox } = this.#options;
    if (this.#isExpired(entry)) {
      this.drop(entry, "ok", "expired");
      return null;
    }
    if (entry.opened !== null) return entry.opened;
    const subscription = registry.byId(entry.record.subscriptionId);
    const reading = subscription === null ? null : inbox.open(entry.record, subscription);
    if (reading === null) this.drop(entry, "rejected", "unsubscribed");
    else if (!reading.ok) this.drop(entry, "undecryptable", reading.code);
    else entry.opened = openedOf(reading);
    return entry.opened;
  }

  /** The app had its chance: a declared notification is shown unless it showed its own. */
  settle(entry: Entry, isShown: boolean, badge: AppBadge | null, now: Instant): void {
    const { owner, record } = entry;
    if (!record.isDeclared) return this.#endOpaque(entry, isShown, now);
    const { inbox, badges, registry } = this.#options;
    // Ended while it was in the app's hands: whoever did that wants to see nothing more of it.
    if (registry.byId(record.subscriptionId) === null) return this.drop(entry, "rejected", "unsubscribed");
    const declared = (isShown ? entry.opened : this.open(entry))?.declared;
    if (!declared) return;
    // What the handler set wins over what the message declared.
    if (badge === null) badges.apply(owner, declared.appBadge, now);
    if (isShown) return this.#finish(entry, "ok");
    this.#entries.delete(messageKey(record.storeEpoch, record.id));
    const isAcknowledged = entry.journal === "written";
    if (isAcknowledged) this.noteDone(entry);
    inbox.show(owner, record, declared.notification, isAcknowledged, now);
  }

  /** The app failed to handle it too often. */
  giveUp(entry: Entry, isShown: boolean, now: Instant): void {
    if (!isShown) this.#options.silent.spend(entry.owner, now.monotonicMs);
    this.drop(entry, "rejected", "the app failed to handle it");
  }

  drop(entry: Entry, code: AckCode, reason: string): void {
    this.#options.meter.countMessage("dropped");
    this.#options.emit(reported({ type: "dropped", messageId: entry.messageId, code: reason }));
    this.#finish(entry, code);
  }

  /** Writes it down, and acknowledges it from there. `tried`: it is written, or that failed. */
  journal(entry: Entry, handed: boolean, tried: () => void): void {
    entry.journal = "writing";
    this.#options.persistence.store([{ ...entry.record, handed }], (failure) => {
      if (failure === null) return this.#handleWritten(entry, tried);
      entry.journal = "no";
      entry.journalAtMs = this.#options.persistence.retryAtMs;
      tried();
    });
  }

  /** Likewise, on the flash reserve if need be, and as often as it takes. */
  journalUrgently(entry: Entry, written: () => void): void {
    entry.journal = "writing";
    this.#options.persistence.erase([entry.record], () => this.#handleWritten(entry, written));
  }

  noteDone({ record: { storeEpoch, id } }: Pick<Entry, "record">): void {
    this.#options.persistence.note({ type: "messageDone", storeEpoch, id });
  }

  #handleWritten(entry: Entry, written: () => void): void {
    const { storeEpoch, id } = entry.record;
    if (!this.#entries.has(messageKey(storeEpoch, id))) return this.noteDone(entry);
    entry.journal = "written";
    written();
    const { emit, inbox } = this.#options;
    emit(reported({ type: "journaled", messageId: entry.messageId, owner: entry.owner }));
    // Not in a store that took the place of its own meanwhile.
    inbox.finish(storeEpoch, id, "ok");
  }

  #isExpired({ record, receivedMs, isRestored, journal }: Entry): boolean {
    const { clock } = this.#options;
    const { receivedEpochMs, expiresEpochMs, isDeclared } = record;
    if (isRestored) return receivedEpochMs > 0 && clock.isTrusted && clock.epochMs >= expiresEpochMs;
    // What came in this run to be shown is shown, however short its TTL: only its app let it wait. Of the rest no wall clock
    // is asked, which may have been set meanwhile.
    return (
      journal === "written" &&
      !isDeclared &&
      clock.monotonicMs - receivedMs >= expiresEpochMs - receivedEpochMs
    );
  }

  #endOpaque(entry: Entry, isShown: boolean, now: Instant): void {
    if (!isShown) this.#options.silent.spend(entry.owner, now.monotonicMs);
    this.#finish(entry, "ok");
  }

  #finish(entry: Entry, code: AckCode): void {
    const { inbox } = this.#options;
    const { storeEpoch, id } = entry.record;
    this.#entries.delete(messageKey(storeEpoch, id));
    if (code === "ok") inbox.noteHandled(entry.record);
    if (entry.journal !== "written") return inbox.finish(storeEpoch, id, code);
    // Acknowledged from the journal before; should that ack have been lost, the repeat is acknowledged as handled.
    this.noteDone(entry);
    inbox.markHandled(storeEpoch, id, code);
  }
}
