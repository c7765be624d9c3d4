// SPDX-License-Identifier: MIT
/** An app in the agent's own process: its push manager, its handlers, and messages handed to them. */

import type { AppReply, AppRequest, Delivery, SubscriptionView } from "../agent/events.ts";
import { ask, PushEvent, PushManager, PushSubscription } from "../apps/push-manager.ts";
import type { AppBadge, GodwitNotification } from "../declarative/index.ts";

/** A person chose a notification that leads nowhere by itself. `action` is "" for its body. */
export interface NotificationClickEvent {
  readonly type: "notificationclick";
  readonly notification: GodwitNotification;
  readonly action: string;
}

/** The subscription was replaced or ended without the app's doing; either side may be null. */
export interface PushSubscriptionChangeEvent {
  readonly type: "pushsubscriptionchange";
  readonly oldSubscription: PushSubscription | null;
  readonly newSubscription: PushSubscription | null;
}

export type PushHandler = (event: PushEvent) => unknown;

/** What the user agent lends its handle. */
export interface AppConnection {
  request(owner: string, request: AppRequest): Promise<AppReply>;
  attach(owner: string, handlesPush: boolean): void;
}

export class AppHandle {
  readonly owner: string;
  readonly pushManager: PushManager;
  /** Called when a person activates a notification of this app that has no link. */
  onnotificationclick: ((event: NotificationClickEvent) => unknown) | null = null;
  onpushsubscriptionchange: ((event: PushSubscriptionChangeEvent) => unknown) | null = null;
  readonly #connection: AppConnection;
  readonly #port: (request: AppRequest) => Promise<AppReply>;
  #onpush: PushHandler | null = null;

  constructor(owner: string, connection: AppConnection) {
    this.owner = owner;
    this.#connection = connection;
    this.#port = (request) => connection.request(owner, request);
    this.pushManager = new PushManager(this.#port);
  }

  get onpush(): PushHandler | null {
    return this.#onpush;
  }

  /**
   * Takes opaque messages, and mutable declarative ones before they are shown. The message is handled when what the
   * handler returns, and all it gave to `waitUntil`, is settled; a rejection counts as a failed delivery.
   */
  set onpush(handler: PushHandler | null) {
    this.#onpush = handler;
    this.#connection.attach(this.owner, handler !== null);
  }

  async showNotification(title: string, options: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await ask(this.#port, { type: "showNotification", deliveryId: null, title, options });
  }

  /** A number, true for a mark, 0 or false to clear. */
  async setAppBadge(badge: AppBadge = true): Promise<void> {
    await ask(this.#port, { type: "setAppBadge", deliveryId: null, badge });
  }

  /** Runs the handler on one message; rejects when it failed. For the host. */
  async deliver(delivery: Delivery): Promise<void> {
    const event = new PushEvent(this.#port, delivery);
    await this.#onpush?.(event);
    await event.settled();
  }

  /** For the host. */
  handleSubscriptionChange(before: SubscriptionView | null, after: SubscriptionView | null): void {
    this.onpushsubscriptionchange?.({
      type: "pushsubscriptionchange",
      oldSubscription: before === null ? null : new PushSubscription(this.#port, before),
      newSubscription: after === null ? null : new PushSubscription(this.#port, after),
    });
  }
}
