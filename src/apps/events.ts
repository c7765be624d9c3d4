// SPDX-License-Identifier: MIT
/**
 * The events an app gets (W3C Push API, Notifications, Service Workers): real `Event`s on an `EventTarget` of the platform.
 */

import type { AppWarning, Delivery } from "../agent/events.ts";
import type { AppBadge, GodwitNotification } from "../declarative/index.ts";
import { appError } from "./errors.ts";
import { Lifetime } from "./lifetime.ts";
import { type AppPort, ask, type PushSubscription } from "./push-manager.ts";
import { PushMessageData } from "./push-message-data.ts";

/** A notification of this app, with what the Notifications API lets an app do to it. */
export interface AppNotification extends GodwitNotification {
  /** Takes it off the screen; nothing happens when it is gone. */
  close(): void;
}

export class ExtendableEvent extends Event {
  readonly #lifetime: Lifetime;

  /** @param lifetime shared with another event about the same thing, or its own */
  constructor(type: string, lifetime: Lifetime = new Lifetime()) {
    super(type);
    this.#lifetime = lifetime;
  }

  /** Aborted when the user agent does not wait any more: the time is over, or the connection is lost. */
  get signal(): AbortSignal {
    return this.#lifetime.signal;
  }

  /**
   * The event is dealt with when everything given here is settled; a rejection counts as failure.
   *
   * @throws {AppError} InvalidStateError when it is over already
   */
  waitUntil(promise: unknown): void {
    this.#lifetime.extend(promise);
  }
}

/** A push message at its app: type "push", and once more as "pushnotification" when it is declarative and mutable. */
export class PushEvent extends ExtendableEvent {
  /** null for a message without body, and for a declarative one. */
  readonly data: PushMessageData | null;
  /** The declared notification of a mutable message, which `showNotification` replaces; else null. */
  readonly notification: GodwitNotification | null;
  readonly appBadge: AppBadge | null;
  /** The same in every delivery of this message. */
  readonly messageId: string;
  /** True when this message may have been delivered before. */
  readonly redelivered: boolean;
  readonly #deliveryId: number;
  readonly #port: AppPort;

  constructor(
    type: "push" | "pushnotification",
    port: AppPort,
    delivery: Delivery,
    lifetime: Lifetime = new Lifetime(),
  ) {
    super(type, lifetime);
    this.#port = port;
    this.#deliveryId = delivery.deliveryId;
    this.data = delivery.data === null ? null : new PushMessageData(delivery.data);
    this.notification = delivery.notification;
    this.appBadge = delivery.appBadge;
    this.messageId = delivery.messageId;
    this.redelivered = delivery.redelivered;
  }

  /** Shows a notification, instead of the declared one if there is one; members as in the Notifications API. */
  async showNotification(title: string, options: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const deliveryId = this.#deliveryId;
    const shown = ask(
      this.#port,
      { type: "showNotification", deliveryId, title: String(title), options },
      "done",
    );
    this.waitUntil(shown);
    await shown;
  }

  async setAppBadge(badge: AppBadge = true): Promise<void> {
    const deliveryId = this.#deliveryId;
    const set = ask(this.#port, { type: "setAppBadge", deliveryId, badge: readBadge(badge) }, "done");
    this.waitUntil(set);
    await set;
  }
}

/** A person chose a notification that leads nowhere by itself; it is off the screen. */
export class NotificationClickEvent extends ExtendableEvent {
  readonly notification: AppNotification;
  /** "" for the body. */
  readonly action: string;

  constructor(notification: GodwitNotification, action: string, lifetime: Lifetime) {
    super("notificationclick", lifetime);
    // Apps written for browsers close what was clicked; here it is closed.
    this.notification = { ...notification, close: () => {} };
    this.action = action;
  }
}

/** The subscription was replaced or ended without the app's doing; either side may be null. */
export class PushSubscriptionChangeEvent extends ExtendableEvent {
  readonly oldSubscription: PushSubscription | null;
  readonly newSubscription: PushSubscription | null;

  constructor(before: PushSubscription | null, after: PushSubscription | null, lifetime: Lifetime) {
    super("pushsubscriptionchange", lifetime);
    this.oldSubscription = before;
    this.newSubscription = after;
  }
}

/** Something the app's developer should know. It is written to the console unless `preventDefault()` is called. */
export class WarningEvent extends Event {
  readonly code: AppWarning;
  readonly text: string;

  constructor(code: AppWarning, text: string) {
    super("warning", { cancelable: true });
    this.code = code;
    this.text = text;
  }
}

/** As Web IDL converts an `[EnforceRange] unsigned long long`; what is no number is a mark, or none. */
export function readBadge(badge: unknown): AppBadge {
  if (typeof badge !== "number") return Boolean(badge);
  const whole = Math.trunc(badge) + 0;
  if (whole >= 0 && whole <= Number.MAX_SAFE_INTEGER) return whole;
  throw appError("ERR_OPTION", "a badge is a number from 0 to 2^53 - 1");
}
