// SPDX-License-Identifier: MIT
/**
 * Notifications from showing to closing: tags replace, restarts bring them back, activation leads somewhere (WHATWG
 * Notifications). Pure; the screen is the host's.
 */

import type { AppBadge } from "../declarative/index.ts";
import {
  type ActivationPolicy,
  activate,
  type GodwitNotification,
  mergeBadge,
} from "../declarative/index.ts";
import type { JournalState, NotificationRecord } from "../journal/index.ts";
import { NOTIFICATIONS_PER_OWNER_MAX } from "../limits.ts";
import type { Emit, Instant } from "./events.ts";
import { baseUrlOf } from "./owner.ts";
import type { Persistence } from "./persistence.ts";
import type { Registry } from "./registry.ts";
import { reported } from "./report.ts";

export interface ShowRequest {
  readonly owner: string;
  readonly subscriptionId: number | null;
  readonly messageId: string | null;
  readonly notification: GodwitNotification;
  readonly by: "declared" | "app";
  /** Called once: the person can see it, or it is at least kept for them. */
  readonly done: () => void;
  /** Called instead when it is neither: the message may be shown when it comes again. */
  readonly failed?: () => void;
}

export interface NotificationsOptions {
  readonly state: JournalState;
  readonly registry: Registry;
  readonly persistence: Persistence;
  readonly emit: Emit;
  readonly policy: Omit<ActivationPolicy, "baseUrl">;
}

export class Notifications {
  readonly #options: NotificationsOptions;
  /** Shown, the host's answer outstanding: by notification, in the order of the answers to come; null for a restored one. */
  readonly #pending = new Map<number, (ShowRequest | null)[]>();

  constructor(options: NotificationsOptions) {
    this.#options = options;
  }

  /** Brings back what was not closed before the restart, without alerting again. */
  restore(): void {
    for (const record of this.#options.state.notifications.values()) {
      const notification = parseNotification(record);
      if (notification === null) continue;
      this.#pending.set(record.notificationId, [null]);
      this.#emitShow(record.notificationId, record.owner, notification, null, false);
    }
  }

  show(request: ShowRequest, now: Instant): void {
    const { state, persistence } = this.#options;
    const { owner, notification } = request;
    const replaced = this.#sameTag(owner, notification.tag);
    const notificationId = replaced ?? state.notificationIdMax + 1;
    persistence.note({
      type: "notification",
      notificationId,
      owner,
      subscriptionId: request.subscriptionId,
      shownEpochMs: now.epochMs,
      notificationJson: JSON.stringify(notification),
    });
    if (replaced === null) this.#closeOldest(owner);
    this.#pending.set(notificationId, [...(this.#pending.get(notificationId) ?? []), request]);
    this.#emitShow(notificationId, owner, notification, replaced, replaced === null || notification.renotify);
  }

  handleDisplayed(notificationId: number): void {
    const request = this.#takePending(notificationId);
    if (request === null) return;
    const { messageId, owner, by } = request;
    this.#options.emit(reported({ type: "shown", messageId, owner, by }));
    request.done();
  }

  /** There is no screen just now: the notification is written down, and comes back at the next start. */
  handleDisplayFailed(notificationId: number): void {
    const request = this.#takePending(notificationId);
    const record = this.#options.state.notifications.get(notificationId);
    if (request === null) return;
    if (record === undefined) return request.done();
    this.#options.persistence.store([record], (failure) => {
      if (failure === null) request.done();
      else request.failed?.();
    });
  }

  /** A person chose the body ("") or an action. */
  handleActivated(notificationId: number, action: string): void {
    const { state, emit, policy } = this.#options;
    const record = state.notifications.get(notificationId);
    const notification = record === undefined ? null : parseNotification(record);
    if (record === undefined || notification === null) return;
    const { owner } = record;
    const outcome = activate(notification, action, { ...policy, baseUrl: baseUrlOf(owner) });
    if (outcome.kind === "event") {
      emit({ type: "notificationClick", owner, notification, action });
    } else if (outcome.kind === "navigate" && !outcome.ask) {
      emit({ type: "openUrl", owner, url: outcome.url });
    } else {
      // It stays: closing what led nowhere would look as if it had worked.
      const text =
        outcome.kind === "refused"
          ? `link refused: ${outcome.reason}`
          : "link to another origin needs consent";
      emit(reported({ type: "fault", code: "ERR_NAVIGATION_REFUSED", text }));
      return;
    }
    this.close(notificationId);
  }

  close(notificationId: number): void {
    const { state, persistence, emit } = this.#options;
    if (!state.notifications.has(notificationId)) return;
    persistence.note({ type: "notificationClosed", notificationId });
    emit({ type: "closeNotification", notificationId });
  }

  /** The host closed it: the person swiped it away. */
  handleClosed(notificationId: number): void {
    if (this.#options.state.notifications.has(notificationId)) {
      this.#options.persistence.note({ type: "notificationClosed", notificationId });
    }
  }

  /** What the handler set wins over what the message declared; null leaves the badge alone. */
  applyBadge(owner: string, declared: AppBadge | null, setByHandler: AppBadge | null): void {
    const badge = mergeBadge(declared, setByHandler);
    if (badge === null) return;
    const { registry, persistence, emit } = this.#options;
    const stored = badge === false || badge === 0 ? null : badge;
    persistence.note({ ...registry.owner(owner), badge: stored });
    emit({ type: "setBadge", owner, badge });
  }

  /** With the same tag one notification may be shown several times; each showing has its answer. */
  #takePending(notificationId: number): ShowRequest | null {
    const requests = this.#pending.get(notificationId);
    const request = requests?.shift() ?? null;
    if (requests?.length === 0) this.#pending.delete(notificationId);
    return request;
  }

  #emitShow(
    notificationId: number,
    owner: string,
    notification: GodwitNotification,
    replaces: number | null,
    alert: boolean,
  ): void {
    this.#options.emit({ type: "show", notificationId, owner, notification, replaces, alert });
  }

  #sameTag(owner: string, tag: string): number | null {
    if (tag === "") return null;
    for (const record of this.#options.state.notifications.values()) {
      if (record.owner === owner && parseNotification(record)?.tag === tag) return record.notificationId;
    }
    return null;
  }

  #closeOldest(owner: string): void {
    const own = [...this.#options.state.notifications.values()].filter((record) => record.owner === owner);
    if (own.length > NOTIFICATIONS_PER_OWNER_MAX && own[0] !== undefined) this.close(own[0].notificationId);
  }
}

/** Our own JSON; null only when the journal was damaged in a way its checksum did not see. */
function parseNotification(record: NotificationRecord): GodwitNotification | null {
  try {
    return JSON.parse(record.notificationJson) as GodwitNotification;
  } catch {
    return null;
  }
}
