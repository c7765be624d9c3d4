// SPDX-License-Identifier: MIT
/** One owner's messages on their way to its app: one at a time, in order. Pure data; deliveries.ts moves it. */

import type { AppBadge, GodwitNotification } from "../declarative/index.ts";
import type { MessageRecord } from "../journal/index.ts";
import { INBOX_MESSAGES_PER_OWNER_RESUME, TRANSFORM_BUDGET_MS, TRANSFORM_BUDGET_MS_MAX } from "../limits.ts";

/** What a message holds, once decrypted. */
export interface Opened {
  /** Null for a message without body. */
  readonly plaintext: Uint8Array | null;
  /** Opaque: null. Else what is shown: without the app, or, `mutable`, when it does not answer. */
  readonly declared: {
    readonly notification: GodwitNotification;
    readonly appBadge: AppBadge | null;
    readonly mutable: boolean;
  } | null;
}

/** A message the app has not dealt with yet. */
export interface Entry {
  readonly record: MessageRecord;
  /** Names the message to the app, the same in every delivery. */
  readonly messageId: string;
  readonly owner: string;
  readonly receivedMs: number;
  /** Null while it would have to be decrypted: a message that waits in the journal keeps no plaintext in memory. */
  opened: Opened | null;
  /** It came back from the journal at the start. */
  readonly isRestored: boolean;
  /** Whether an earlier run, or an earlier delivery of this one, may have handed it out. */
  redelivered: boolean;
  journal: "no" | "writing" | "written";
  /** When an unhandled message goes to the journal. */
  journalAtMs: number;
  failures: number;
}

/** An {@link Entry} in its app's hands. */
export interface Current {
  readonly entry: Entry;
  readonly deliveryId: number;
  readonly budgetEndMs: number;
  /** The app showed a notification since the delivery. */
  isShown: boolean;
  /** The badge the app set since, or null. */
  badge: AppBadge | null;
}

export class Lane {
  readonly owner: string;
  readonly queue: Entry[] = [];
  current: Current | null = null;
  isAttached = false;
  handlesPush = false;
  /** Channels of this owner that the service was told to keep. */
  readonly held = new Set<number>();
  /** A person paused it: nothing is handed out or shown, and its channels are held. */
  isPaused = false;
  /** When a pause ended last: an app has its time from then on. */
  resumedMs = 0;
  /** When its app was last asked to start, monotonic ms; null while that is of no use. */
  startAskedMs: number | null = null;
  /** Opaque messages wait for the budget until then; null while they do not. */
  silentUntilMs: number | null = null;
  /** After a failed delivery: not before this; 0 when nothing failed. */
  retryAtMs = 0;
  /** When the lane has to be looked at next; null when that has to be worked out. */
  dueMs: number | null = null;

  constructor(owner: string) {
    this.owner = owner;
  }

  get size(): number {
    return this.queue.length + (this.current === null ? 0 : 1);
  }

  get isHeld(): boolean {
    return this.held.size > 0;
  }

  /** The service is to keep what it has: the lane is paused, or has not got far yet since it was full. */
  get mustHold(): boolean {
    return this.isPaused || this.size > INBOX_MESSAGES_PER_OWNER_RESUME;
  }

  /** An app is there that takes messages. */
  get canDeliver(): boolean {
    return this.isAttached && this.handlesPush;
  }

  /** When a waiting mutable message is shown as declared: its app is absent, or busy with others for too long. */
  overdueAtMs(entry: Entry): number {
    if (this.isPaused) return Number.POSITIVE_INFINITY;
    return (
      Math.max(entry.receivedMs, this.resumedMs) +
      (this.canDeliver ? TRANSFORM_BUDGET_MS_MAX : TRANSFORM_BUDGET_MS)
    );
  }

  /** The next message that may be handed out; undefined when there is none. */
  next(): Entry | undefined {
    if (this.isPaused) return undefined;
    if (this.silentUntilMs === null) return this.queue[0];
    return this.queue.find((entry) => entry.record.isDeclared);
  }

  /** Removes and returns the waiting entries that are `wanted`, in order. */
  take(wanted: (entry: Entry) => boolean): Entry[] {
    const taken = this.queue.filter(wanted);
    for (const entry of taken) this.queue.splice(this.queue.indexOf(entry), 1);
    return taken;
  }

  /** When this lane has to be looked at; worked out once after each change, since every event asks. */
  due(): number {
    this.dueMs ??= this.#nextDueMs();
    return this.dueMs;
  }

  #nextDueMs(): number {
    let dueMs = Number.POSITIVE_INFINITY;
    if (this.current !== null) dueMs = this.current.budgetEndMs;
    // Without a failure nothing waits for time: either it is handed out at once, or something else has to happen first.
    else if (this.canDeliver && (this.next()?.journal ?? "writing") !== "writing" && this.retryAtMs > 0)
      dueMs = this.retryAtMs;
    for (const entry of this.entries())
      if (entry.journal === "no") dueMs = Math.min(dueMs, entry.journalAtMs);
    for (const entry of this.queue) {
      if (entry.record.isDeclared) dueMs = Math.min(dueMs, this.overdueAtMs(entry));
    }
    return dueMs;
  }

  /** Every entry, the one in hand first. */
  entries(): Entry[] {
    return this.current === null ? this.queue : [this.current.entry, ...this.queue];
  }
}
