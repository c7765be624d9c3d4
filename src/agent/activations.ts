// SPDX-License-Identifier: MIT
/**
 * What follows when a person activates a notification: its link is opened, at once or after asking, or its app is told,
 * when it comes if it is not there. Pure.
 */

import { type Activation, type ActivationPolicy, activate } from "../declarative/index.ts";
import { CLICKS_PER_OWNER_MAX } from "../limits.ts";
import type { Effect, Emit, Instant, NotificationView } from "./events.ts";
import type { Notifications } from "./notifications.ts";
import { baseUrlOf } from "./owner.ts";
import { reported } from "./report.ts";

type Click = Extract<Effect, { type: "notificationClick" }>;

/** What a click needs of {@link Deliveries}. */
export interface Apps {
  hasHandler(owner: string): boolean;
  isAttached(owner: string): boolean;
  requestStart(owner: string, now: Instant): void;
  /** A person shows interest in what this owner sends. */
  handleInterest(owner: string, now: Instant): void;
}

export interface ActivationsOptions {
  readonly notifications: Notifications;
  readonly deliveries: Apps;
  readonly emit: Emit;
  readonly policy: Omit<ActivationPolicy, "baseUrl">;
}

export class Activations {
  readonly #options: ActivationsOptions;
  /** Clicks whose app is being started, by owner. */
  readonly #clicks = new Map<string, Click[]>();

  constructor(options: ActivationsOptions) {
    this.#options = options;
  }

  /** A person chose the body ("") or an action. */
  handleActivated(notificationId: number, action: string, now: Instant): void {
    const { notifications, deliveries, emit } = this.#options;
    const view = notifications.find(notificationId);
    if (view === null) return;
    const { owner, notification } = view;
    const outcome = this.#outcome(view, action);
    if (outcome.kind === "refused") {
      // It stays: closing what led nowhere would look as if it had worked.
      const text = `link refused: ${outcome.reason}`;
      return emit(reported({ type: "fault", code: "ERR_NAVIGATION_REFUSED", text }));
    }
    deliveries.handleInterest(owner, now);
    if (outcome.kind === "navigate" && outcome.ask) {
      const { host } = outcome;
      notifications.setQuestion(notificationId, { action, host });
      return emit({ type: "askNavigation", notificationId, owner, action, host });
    }
    if (outcome.kind === "navigate") emit({ type: "openUrl", owner, url: outcome.url });
    else this.#click({ type: "notificationClick", owner, notification, action }, now);
    notifications.close(notificationId);
  }

  /** The notification is still the one that was asked about: while a question is open none takes its number. */
  handleNavigationAnswered(notificationId: number, action: string, allowed: boolean): void {
    const { notifications, emit } = this.#options;
    const view = notifications.find(notificationId);
    if (view === null || !notifications.takeQuestion(notificationId, action) || !allowed) return;
    const outcome = this.#outcome(view, action);
    if (outcome.kind !== "navigate") return;
    emit({ type: "openUrl", owner: view.owner, url: outcome.url });
    notifications.close(notificationId);
  }

  /** The clicks an app was started for. */
  handleAttached(owner: string): void {
    for (const click of this.#clicks.get(owner) ?? []) this.#options.emit(click);
    this.#clicks.delete(owner);
  }

  /** The owner's data goes. */
  forget(owner: string): void {
    this.#clicks.delete(owner);
  }

  #outcome({ owner, notification }: NotificationView, action: string): Activation {
    return activate(notification, action, { ...this.#options.policy, baseUrl: baseUrlOf(owner) });
  }

  #click(click: Click, now: Instant): void {
    const { deliveries, emit } = this.#options;
    const { owner } = click;
    if (deliveries.isAttached(owner)) return emit(click);
    // An app that never took messages cannot be started for a click either.
    if (!deliveries.hasHandler(owner)) return;
    const waiting = this.#clicks.get(owner) ?? [];
    this.#clicks.set(owner, [...waiting, click].slice(-CLICKS_PER_OWNER_MAX));
    deliveries.requestStart(owner, now);
  }
}
