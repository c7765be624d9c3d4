// SPDX-License-Identifier: MIT
/** One owner's messages on their way to its app: one at a time, in order. Pure data; deliveries.ts moves it. */

import type { AppBadge, GodwitNotification } from "../declarative/index.ts";
import type { MessageRecord } from "../journal/index.ts";
import { TRANSFORM_BUDGET_MS, TRANSFORM_BUDGET_MS_MAX } from "../limits.ts";

/** A message the app has not dealt with yet. */
export interface Entry {
  readonly record: MessageRecord;
  /** Names the message to the app, the same in every delivery. */
  readonly messageId: string;
  readonly owner: string;
  readonly receivedMs: number;
  /** Undefined once it would have to be decrypted again: a journaled message keeps no plaintext in memory. */
  plaintext: Uint8Array | null | undefined;
  /** Opaque: null. Mutable: what is shown when the app does not answer. */
  readonly declared: { readonly notification: GodwitNotification; readonly appBadge: AppBadge | null } | null;
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
  isStartAsked = false;
  /** After a failed delivery: not before this. */
  retryAtMs = 0;

  constructor(owner: string) {
    this.owner = owner;
  }

  get size(): number {
    return this.queue.length + (this.current === null ? 0 : 1);
  }

  get isHeld(): boolean {
    return this.held.size > 0;
  }

  /** An app is there that takes messages. */
  get canDeliver(): boolean {
    return this.isAttached && this.handlesPush;
  }

  /** When a waiting mutable message is shown as declared: its app is absent, or busy with others for too long. */
  overdueAtMs(entry: Entry): number {
    return entry.receivedMs + (this.canDeliver ? TRANSFORM_BUDGET_MS_MAX : TRANSFORM_BUDGET_MS);
  }

  /** Removes and returns the waiting entries that are `wanted`, in order. */
  take(wanted: (entry: Entry) => boolean): Entry[] {
    const taken = this.queue.filter(wanted);
    for (const entry of taken) this.queue.splice(this.queue.indexOf(entry), 1);
    return taken;
  }

  /** Every entry, the one in hand first. */
  entries(): Entry[] {
    return this.current === null ? this.queue : [this.current.entry, ...this.queue];
  }
}
