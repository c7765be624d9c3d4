// SPDX-License-Identifier: MIT
/**
 * Notifications from showing to closing: tags replace, restarts bring them back, time takes them away (WHATWG
 * Notifications). Pure; the screen is the host's, what activating one does is in activations.ts.
 */

import type { GodwitNotification } from "../declarative/index.ts";
import type { JournalState, NotificationRecord } from "../journal/index.ts";
import {
  ALERT_REFILL_MS,
  ALERTS_BURST_MAX,
  NOTIFICATION_DAYS_MAX,
  NOTIFICATIONS_PER_OWNER_MAX,
  SCRIPT_CLOSE_MS_MIN,
  SCRIPT_CLOSE_WINDOW_MS,
} from "../limits.ts";
import type { Clock } from "./clock.ts";
import { earlier } from "./deadlines.ts";
import type { Alarm, Emit, Instant, NotificationView } from "./events.ts";
import type { Persistence } from "./persistence.ts";
import { Rates } from "./rates.ts";
import { reported } from "./report.ts";

const DAY_MS = 24 * 3600 * 1000;

export interface ShowRequest {
  readonly owner: string;
  readonly subscriptionId: number | null;
  readonly messageId: string | null;
  readonly notification: GodwitNotification;
  readonly by: "declared" | "app";
  /** Called once: the person can see it (true), or it is at least kept for them. */
  readonly done: (isShown?: boolean) => void;
  /** Called instead when it is neither, and gone. Without it, `done` follows when it can be kept. */
  readonly failed?: () => void;
}

export interface NotificationsOptions {
  readonly state: JournalState;
  readonly persistence: Persistence;
  readonly clock: Clock;
  readonly emit: Emit;
}

interface Question {
  readonly action: string;
  /** Where the link leads, to be shown. */
  readonly host: string;
}

/** A link to another origin that a person is being asked about. */
export interface NavigationAsked extends Question {
  readonly notificationId: number;
  readonly owner: string;
}

/** What is known of one that is shown, beside its record. */
interface Showing {
  /** From when its app may close it, monotonic ms. */
  closableMs: number;
  /** Its app closed it before that. */
  isClosing: boolean;
}

export class Notifications {
  readonly #options: NotificationsOptions;
  /** Shown, the host's answer outstanding: by notification, in the order of the answers to come; null for a restored one. */
  readonly #pending = new Map<number, (ShowRequest | null)[]>();
  /** Those its app may not close yet. */
  readonly #young = new Map<number, Showing>();
  /** The link to another origin that a person is being asked about, by notification. */
  readonly #questions = new Map<number, Question>();
  readonly #alerts = new Rates(() => ALERTS_BURST_MAX, ALERT_REFILL_MS);

  constructor(options: NotificationsOptions) {
    this.#options = options;
  }

  /** Brings back what was not closed before the restart, without alerting again. */
  restore(): void {
    for (const { notificationId, owner, notification } of this.all()) {
      this.#pending.set(notificationId, [null]);
      this.#options.emit({ type: "show", notificationId, owner, notification, replaces: null, alert: false });
    }
  }

  /** All that are shown or wait for a screen, oldest first. */
  all(): NotificationView[] {
    const views: NotificationView[] = [];
    for (const record of this.#options.state.notifications.values()) {
      const view = viewOf(record);
      if (view !== null) views.push(view);
    }
    return views;
  }

  find(notificationId: number): NotificationView | null {
    const record = this.#options.state.notifications.get(notificationId);
    return record === undefined ? null : viewOf(record);
  }

  show(request: ShowRequest, now: Instant): void {
    const { state, persistence, clock, emit } = this.#options;
    const { owner, notification } = request;
    this.expire();
    const same = this.#sameTag(owner, notification.tag);
    // Nothing takes the place of one a person is being asked about: the answer would be about something else.
    const isAsked = same !== null && this.#questions.has(same);
    if (isAsked) this.close(same);
    const replaced = isAsked ? null : same;
    const notificationId = replaced ?? state.notificationIdMax + 1;
    const record: NotificationRecord = {
      type: "notification",
      notificationId,
      owner,
      subscriptionId: request.subscriptionId,
      shownEpochMs: clock.stamp(now.monotonicMs),
      notificationJson: JSON.stringify(notification),
    };
    // Its message is acknowledged as soon as it is on the screen, and the screen may be gone with the agent.
    persistence.note(record, "soon");
    if (replaced === null) this.#closeOldest(owner);
    this.#pending.set(notificationId, [...(this.#pending.get(notificationId) ?? []), request]);
    this.#young.set(notificationId, { closableMs: now.monotonicMs + SCRIPT_CLOSE_MS_MIN, isClosing: false });
    const mayAlert = same === null || notification.renotify;
    const alert = mayAlert && this.#alerts.take(owner, now.monotonicMs);
    emit({ type: "show", notificationId, owner, notification, replaces: replaced, alert });
  }

  handleDisplayed(notificationId: number): void {
    const request = this.#takePending(notificationId);
    if (request === null) return;
    const { messageId, owner, by } = request;
    this.#options.emit(reported({ type: "shown", messageId, owner, by }));
    request.done(true);
  }

  /** There is no screen just now: the notification is written down, and comes back at the next start. */
  handleDisplayFailed(notificationId: number): void {
    const request = this.#takePending(notificationId);
    if (request === null) return;
    // Noted when it was shown; only whether that is on disk is asked. Stored anew, it would come back behind its closing.
    const { persistence } = this.#options;
    persistence.store([], (failure) => {
      const { done, failed } = request;
      if (failure === null) return done();
      // On the reserve then, and as often as it takes.
      if (failed === undefined) return persistence.erase([], done);
      this.close(notificationId);
      failed();
    });
  }

  close(notificationId: number): void {
    if (!this.#forget(notificationId)) return;
    this.#options.emit({ type: "closeNotification", notificationId });
  }

  /** Its app closes it: at once, or when a person had time to see it. */
  closeByApp(notificationId: number): void {
    const showing = this.#young.get(notificationId);
    if (showing === undefined) this.close(notificationId);
    else showing.isClosing = true;
  }

  /** A person is asked about the link of `action`; a second question takes the place of the first. */
  setQuestion(notificationId: number, question: Question): void {
    this.#questions.set(notificationId, question);
  }

  /** The questions that are open. */
  get asked(): NavigationAsked[] {
    return [...this.#questions].map(([notificationId, question]) => {
      const owner = this.#options.state.notifications.get(notificationId)?.owner ?? "";
      return { notificationId, owner, ...question };
    });
  }

  /** False when that was not asked, or not of this notification. */
  takeQuestion(notificationId: number, action: string): boolean {
    return this.#questions.get(notificationId)?.action === action && this.#questions.delete(notificationId);
  }

  /** Closes what nobody looked at for weeks, when something happens anyway; it is not worth waking up for. */
  expire(): void {
    const { clock } = this.#options;
    const nowMs = clock.epochMs;
    if (!clock.isConfirmed) return;
    for (const record of [...this.#options.state.notifications.values()]) {
      const { shownEpochMs, notificationId } = record;
      if (nowMs - shownEpochMs <= NOTIFICATION_DAYS_MAX * DAY_MS && shownEpochMs - nowMs <= DAY_MS) continue;
      // Shown by a clock that was wrong: counted from here.
      if (shownEpochMs === 0 || shownEpochMs > nowMs)
        this.#options.persistence.note({ ...record, shownEpochMs: nowMs });
      else this.close(notificationId);
    }
  }

  handleAlarm(now: Instant): void {
    for (const [notificationId, { closableMs, isClosing }] of this.#young) {
      if (now.monotonicMs < closableMs) continue;
      this.#young.delete(notificationId);
      if (isClosing) this.close(notificationId);
    }
  }

  /** No close waits longer than the run: what its app had closed does not come back with the next. */
  handleShutdown(): void {
    for (const [notificationId, { isClosing }] of this.#young) if (isClosing) this.close(notificationId);
  }

  nextDeadline(): Alarm | null {
    let next: Alarm | null = null;
    for (const { closableMs, isClosing } of this.#young.values())
      if (isClosing) next = earlier(next, { atMs: closableMs, windowMs: SCRIPT_CLOSE_WINDOW_MS });
    return next;
  }

  #forget(notificationId: number): boolean {
    this.#young.delete(notificationId);
    this.#questions.delete(notificationId);
    const exists = this.#options.state.notifications.has(notificationId);
    if (exists) this.#options.persistence.note({ type: "notificationClosed", notificationId });
    return exists;
  }

  /** With the same tag one notification may be shown several times; each showing has its answer. */
  #takePending(notificationId: number): ShowRequest | null {
    const requests = this.#pending.get(notificationId);
    const request = requests?.shift() ?? null;
    if (requests?.length === 0) this.#pending.delete(notificationId);
    return request;
  }

  #sameTag(owner: string, tag: string): number | null {
    if (tag === "") return null;
    for (const record of this.#options.state.notifications.values()) {
      if (record.owner === owner && viewOf(record)?.notification.tag === tag) return record.notificationId;
    }
    return null;
  }

  /** Over the bound: the one shown longest ago, which a replacement makes young again. */
  #closeOldest(owner: string): void {
    const own = [...this.#options.state.notifications.values()].filter((record) => record.owner === owner);
    const [oldest] = own;
    if (oldest !== undefined && own.length > NOTIFICATIONS_PER_OWNER_MAX) this.close(oldest.notificationId);
  }
}

/** From our own JSON; null only when the journal was damaged in a way its checksum did not see. */
function viewOf({
  notificationId,
  owner,
  shownEpochMs,
  notificationJson,
}: NotificationRecord): NotificationView | null {
  try {
    const notification = JSON.parse(notificationJson) as GodwitNotification;
    return { notificationId, owner, shownEpochMs, notification };
  } catch {
    return null;
  }
}
