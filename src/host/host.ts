// SPDX-License-Identifier: MIT
/**
 * What a runtime lends the agent. Messages, bytes, times and numbers only: no streams, no promises, so that a C host
 * implements it with one function a member. Pure types.
 */

import type {
  Alarm,
  AppReply,
  Delivery,
  Effect,
  Instant,
  Report,
  SubscriptionView,
} from "../agent/events.ts";
import type { AppBadge, GodwitNotification } from "../declarative/index.ts";

/** The members of one effect, without its type. */
type Members<Type extends Effect["type"]> = Omit<Extract<Effect, { type: Type }>, "type">;

/**
 * Outcomes come back as events handed to the driver, never by return value or exception; a member may call the driver
 * before it returns.
 */
export interface Host {
  now(): Instant;
  /** Opens one transport; answered by `linkOpened` or `linkClosed` with the same linkId. */
  openLink(request: Members<"openLink">): void;
  /** Queues one whole frame, which the host then owns. Over its queue bound the host closes the link ("overflow"). */
  send(linkId: number, frame: Uint8Array): void;
  /** One transport-level ping; answered by `linkPong`. */
  ping(linkId: number): void;
  /** Closes the link; no event of it is expected any more. */
  closeLink(linkId: number): void;
  /** Replaces the one alarm; null cancels it. Answered by `alarm`. */
  setAlarm(alarm: Alarm | null): void;
  stayAwake(untilMs: number): void;
  /** Answered by `journalAppended` once the bytes survive a power cut, or by `journalFailed`. */
  append(appendId: number, bytes: Uint8Array): void;
  /** Replaces the segment by a new one, atomically. Answered like {@link append}. */
  checkpoint(appendId: number, bytes: Uint8Array, urgent: boolean): void;
  /** Answered by `httpResponse`. */
  httpRequest(request: Members<"httpRequest">): void;
  startApp(owner: string): void;
  /** Answered by `appHandled` or `appFailed`. */
  deliver(delivery: Delivery): void;
  cancelDelivery(deliveryId: number, owner: string): void;
  appReply(requestId: number, reply: AppReply): void;
  subscriptionChange(
    owner: string,
    oldSubscription: SubscriptionView | null,
    newSubscription: SubscriptionView | null,
  ): void;
  /** Answered by `displayed` or `displayFailed`. */
  show(request: Members<"show">): void;
  closeNotification(notificationId: number): void;
  notificationClick(owner: string, notification: GodwitNotification, action: string): void;
  setBadge(owner: string, badge: AppBadge): void;
  openUrl(owner: string, url: string): void;
  /** Answered by `permissionAnswered`. */
  askPermission(owner: string): void;
  report(report: Report): void;
}
