// SPDX-License-Identifier: MIT
/** What the agent says, in the form the embedding API reads. Pure. */

import type { Delivery, Permission, SubscriptionView } from "../agent/events.ts";
import { wellFormed } from "../declarative/display.ts";
import {
  type AppBadge,
  badgeText,
  badgeValue,
  displayedText,
  type GodwitNotification,
} from "../declarative/index.ts";
import type { Fault } from "../errors.ts";
import { base64urlEncode } from "../webpush/base64url.ts";
import type {
  ToldBadge,
  ToldFault,
  ToldFlag,
  ToldMessage,
  ToldNotification,
  ToldPermission,
  ToldSubscription,
} from "./embedding-bridge.d.ts";

/** Latest time a `Date` can hold: senders name any number. */
const EPOCH_MS_MAX = 8.64e15;

export const FAULTS: Readonly<Record<Fault, ToldFault>> = { local: 1, remote: 2, environment: 3 };
export const PERMISSIONS: Readonly<Record<Permission, ToldPermission>> = { prompt: 0, granted: 1, denied: 2 };

export function toldFlag(flag: boolean): ToldFlag {
  return flag ? 1 : 0;
}

/** As a text of C: with a UTF-8 form, and no zero in it. */
export function toldText(text: string): string {
  return wellFormed(text).replaceAll("\0", "\ufffd");
}

export function toldNotification(
  notificationId: number,
  owner: string,
  notification: GodwitNotification,
): ToldNotification {
  const { title, body, actions } = displayedText(notification);
  const { dir, lang, tag, icon, image, badge, timestamp, vibrate, silent } = notification;
  return {
    notificationId,
    owner,
    title,
    body,
    direction: dir,
    language: toldText(lang),
    tag: toldText(tag),
    icon,
    image,
    badge,
    timestamp: Math.trunc(Math.max(-EPOCH_MS_MAX, Math.min(timestamp, EPOCH_MS_MAX))),
    vibrate,
    actions: actions.map(({ action, title }, index) => ({
      title,
      action: toldText(action),
      icon: notification.actions[index]?.icon ?? null,
    })),
    renotify: toldFlag(notification.renotify),
    requireInteraction: toldFlag(notification.requireInteraction),
    silent: silent === null ? -1 : toldFlag(silent),
    json: JSON.stringify(notification),
  };
}

export function toldBadge(badge: AppBadge): ToldBadge {
  const value = badgeValue(badge);
  const text = badgeText(badge);
  if (value === "nothing") return { kind: 0, number: 0, text };
  return value === "flag" ? { kind: 1, number: 0, text } : { kind: 2, number: value, text };
}

export function toldMessage(delivery: Delivery): ToldMessage {
  const { deliveryId, owner, subscriptionId, messageId, redelivered, data, notification, appBadge } =
    delivery;
  return {
    deliveryId,
    owner,
    subscriptionId,
    messageId,
    redelivered: toldFlag(redelivered),
    data,
    notification: notification === null ? null : toldNotification(0, owner, notification),
    badge: appBadge === null ? null : toldBadge(appBadge),
  };
}

export function toldSubscription(view: SubscriptionView | null): ToldSubscription | null {
  if (view === null) return null;
  const { subscriptionId, endpoint, expirationTime, p256dh, auth, applicationServerKey } = view;
  const keys = { p256dh: base64urlEncode(p256dh), auth: base64urlEncode(auth) };
  return {
    subscriptionId,
    endpoint,
    expirationTime: expirationTime ?? -1,
    p256dh,
    auth,
    applicationServerKey,
    userVisibleOnly: toldFlag(view.userVisibleOnly),
    json: JSON.stringify({ endpoint, expirationTime, keys }),
  };
}
