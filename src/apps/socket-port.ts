// SPDX-License-Identifier: MIT
/** Requests of an app and their replies, as the app socket has them: JSON, byte arrays as base64url (SPEC.md, "App socket"). */

import type { AppReply, AppRequest, Delivery, SubscriptionView } from "../agent/events.ts";
import { base64urlDecode, base64urlEncode } from "./codecs.ts";
import type { Connection } from "./connection.ts";
import type { AppEvent, AppRequests, SubscriptionJson } from "./protocol.ts";

type Type = AppRequest["type"];
type ResultOf<T extends Type> = AppRequests[T]["result"];

/**
 * Asked again when the connection is lost before the answer. Not among them: a notification, which would be shown twice, and
 * what belongs to a delivery, which the agent counts as failed then.
 */
const REPEATABLE: ReadonlySet<Type> = /* @__PURE__ */ new Set<Type>([
  "subscribe",
  "getSubscription",
  "unsubscribe",
  "permissionState",
  "requestPermission",
  "getNotifications",
  "closeNotification",
  "setAppBadge",
]);

/** Asks over `connection` for `owner`. */
export async function askOverSocket(
  connection: Connection,
  owner: string,
  request: AppRequest,
): Promise<AppReply> {
  const { type, ...members } = request;
  const isRepeatable = REPEATABLE.has(type) && !("deliveryId" in request && request.deliveryId !== null);
  const result = await connection.request<never>(type, jsonOf(members), isRepeatable);
  switch (type) {
    case "subscribe":
    case "getSubscription": {
      const { subscription }: ResultOf<"getSubscription"> = result;
      return { type: "subscription", subscription: viewOf(subscription) };
    }
    case "unsubscribe":
      return { type: "unsubscribed", existed: (result as ResultOf<"unsubscribe">).existed };
    case "permissionState":
    case "requestPermission":
      return { type: "permission", permission: (result as ResultOf<"permissionState">).permission };
    case "getNotifications": {
      const { notifications }: ResultOf<"getNotifications"> = result;
      return { type: "notifications", notifications: notifications.map((shown) => ({ ...shown, owner })) };
    }
    default:
      return { type: "done" };
  }
}

export function viewOf(json: SubscriptionJson): SubscriptionView;
export function viewOf(json: SubscriptionJson | null): SubscriptionView | null;
export function viewOf(json: SubscriptionJson | null): SubscriptionView | null {
  if (json === null) return null;
  const { p256dh, auth, applicationServerKey: key, ...rest } = json;
  return {
    ...rest,
    p256dh: base64urlDecode(p256dh),
    auth: base64urlDecode(auth),
    applicationServerKey: key === null ? null : base64urlDecode(key),
  };
}

export function deliveryOf(owner: string, event: AppEvent & { readonly event: "push" }): Delivery {
  const { event: _, data, ...rest } = event;
  return { ...rest, owner, data: data === null ? null : base64urlDecode(data) };
}

/** The key is the only bytes an app sends; what may be left out is null on the wire. */
function jsonOf(members: object): object {
  if (!("applicationServerKey" in members)) return members;
  const key = members.applicationServerKey as Uint8Array | null;
  const applicationServerKey = key === null ? null : base64urlEncode(key);
  return { freshness: null, ...members, applicationServerKey };
}
