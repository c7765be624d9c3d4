// SPDX-License-Identifier: MIT
/** What apps ask for, passed to the part that can do it; every request is answered once. Pure. */

import {
  badgeValue,
  createAppNotification,
  type GodwitNotification,
  readAppBadge,
} from "../declarative/index.ts";
import { jsonNesting } from "../json.ts";
import {
  JSON_DEPTH_MAX,
  NOTIFICATION_ACTIONS_MAX,
  NOTIFICATION_CHARS_MAX,
  SHOW_REFILL_MS,
  SHOWS_BURST_MAX,
} from "../limits.ts";
import type { Badges } from "./badges.ts";
import type { Clock } from "./clock.ts";
import type { Deliveries } from "./deliveries.ts";
import type { AppReply, AppRequest, Emit, Instant } from "./events.ts";
import type { Notifications } from "./notifications.ts";
import { baseUrlOf, isOwner, NO_OWNER_TEXT } from "./owner.ts";
import type { Permissions } from "./permissions.ts";
import { Rates } from "./rates.ts";
import type { Registry } from "./registry.ts";
import { refused, replied } from "./report.ts";
import type { Subscriptions } from "./subscriptions.ts";

export interface AppRequestsOptions {
  readonly registry: Registry;
  readonly permissions: Permissions;
  readonly subscriptions: Subscriptions;
  readonly notifications: Notifications;
  readonly badges: Badges;
  readonly deliveries: Deliveries;
  readonly clock: Clock;
  readonly emit: Emit;
}

type RequestOf<Type extends AppRequest["type"]> = Extract<AppRequest, { type: Type }>;

export class AppRequests {
  readonly #options: AppRequestsOptions;
  readonly #shows = new Rates(() => SHOWS_BURST_MAX, SHOW_REFILL_MS);

  constructor(options: AppRequestsOptions) {
    this.#options = options;
  }

  handle(requestId: number, owner: string, request: AppRequest, now: Instant): void {
    const { subscriptions, registry } = this.#options;
    if (!isOwner(owner)) return this.#options.emit(refused(requestId, "ERR_OWNER", NO_OWNER_TEXT));
    switch (request.type) {
      case "subscribe":
        return subscriptions.subscribe(requestId, owner, request, now);
      case "getSubscription":
        return subscriptions.getSubscription(requestId, owner, request.waToken);
      case "unsubscribe":
        return subscriptions.unsubscribe(requestId, owner, request.subscriptionId, now);
      case "permissionState":
        return this.#reply(requestId, { type: "permission", permission: registry.permissionOf(owner) });
      case "showNotification":
        return this.#showNotification(requestId, owner, request, now);
      case "setAppBadge":
        return this.#setAppBadge(requestId, owner, request, now);
      case "requestPermission":
        return this.#requestPermission(requestId, owner, now);
      case "getNotifications":
        return this.#getNotifications(requestId, owner, request.tag ?? "");
      case "closeNotification":
        return this.#closeNotification(requestId, owner, request.notificationId);
    }
  }

  #requestPermission(requestId: number, owner: string, now: Instant): void {
    const { permissions, registry } = this.#options;
    const settled = () =>
      this.#reply(requestId, { type: "permission", permission: registry.permissionOf(owner) });
    permissions.ask(owner, settled, now);
  }

  /** "" is no tag: all of them, as in the Notifications API. */
  #getNotifications(requestId: number, owner: string, tag: string): void {
    const notifications = this.#options.notifications
      .all()
      .filter((view) => view.owner === owner && (tag === "" || view.notification.tag === tag));
    this.#reply(requestId, { type: "notifications", notifications });
  }

  /** Answered the same for one that is another's or gone: nobody learns which numbers are in use. */
  #closeNotification(requestId: number, owner: string, notificationId: number): void {
    const { notifications } = this.#options;
    if (notifications.find(notificationId)?.owner === owner) notifications.closeByApp(notificationId);
    this.#reply(requestId, { type: "done" });
  }

  #setAppBadge(
    requestId: number,
    owner: string,
    { deliveryId, badge }: RequestOf<"setAppBadge">,
    now: Instant,
  ): void {
    const { deliveries, badges, registry } = this.#options;
    let problem = this.#checkTime(owner, deliveryId);
    if (readAppBadge(badge) === null) problem = "a badge is a boolean or a whole number from 0 to 2^53-1";
    // What is there already, an app may take away all the same.
    else if (badgeValue(badge) !== "nothing" && registry.permissionOf(owner) === "denied")
      problem = "permission was denied";
    if (problem !== null) return this.#refuse(requestId, problem);
    badges.apply(owner, badge, now);
    if (deliveryId !== null) deliveries.noteBadge(deliveryId, badge);
    this.#reply(requestId, { type: "done" });
  }

  #showNotification(
    requestId: number,
    owner: string,
    request: RequestOf<"showNotification">,
    now: Instant,
  ): void {
    const { deliveries, registry, notifications, clock } = this.#options;
    const { deliveryId } = request;
    const refuse = (message: string): void => this.#refuse(requestId, message);
    const late = this.#checkTime(owner, deliveryId);
    if (late !== null) return refuse(late);
    if (registry.permissionOf(owner) !== "granted") return refuse("permission was not granted");
    const declared = deliveries.declaredFor(owner, deliveryId)?.notification ?? null;
    const result = createAppNotification(request.title, request.options, declared, {
      baseUrl: baseUrlOf(owner),
      maxActions: NOTIFICATION_ACTIONS_MAX,
      epochMs: clock.epochMs,
    });
    if (!result.ok) return refuse(`not a notification: ${result.reason}`);
    const { notification } = result;
    const problem = keepProblem(notification);
    if (problem !== null) return refuse(problem);
    if (!this.#shows.take(owner, now.monotonicMs)) return refuse("too many notifications in a short time");
    if (deliveryId !== null) deliveries.noteShown(deliveryId, true);
    const done = (): void => this.#reply(requestId, { type: "done" });
    const failed = (): void => {
      if (deliveryId !== null) deliveries.noteShown(deliveryId, false);
      refuse("it could neither be shown nor kept");
    };
    const from = { owner, subscriptionId: null, messageId: null, by: "app" } as const;
    notifications.show({ ...from, notification, done, failed }, now);
  }

  /** What an app still does for a message whose budget is over is ignored. */
  #checkTime(owner: string, deliveryId: number | null): string | null {
    const isOver = deliveryId !== null && !this.#options.deliveries.isInHand(owner, deliveryId);
    return isOver ? "the time for this message is over" : null;
  }

  #refuse(requestId: number, message: string): void {
    this.#options.emit(refused(requestId, "ERR_NOTIFICATION", message));
  }

  #reply(requestId: number, reply: AppReply): void {
    this.#options.emit(replied(requestId, reply));
  }
}

/** Why `notification` cannot be kept, or null: a record the journal cannot take would stand in the way of every later one. */
function keepProblem(notification: GodwitNotification): string | null {
  let json: string;
  try {
    json = JSON.stringify(notification);
  } catch {
    // A cycle or a big integer, of an app in the agent's own process; or nesting that is too much for the engine.
    return "its data has no JSON form";
  }
  if (json.length > NOTIFICATION_CHARS_MAX) return "the notification is too large";
  // What a message may not declare, an app may not show: it is read again after a restart.
  return jsonNesting(json) > JSON_DEPTH_MAX ? "its data nests too deeply" : null;
}
