// SPDX-License-Identifier: MIT
/**
 * The declarative message parser of the W3C Push API, with the app badge of its pull request 402. What fails here is an
 * ordinary push, not an error. Deliberately not read: `mutable` inside `notification` (an early WebKit form).
 */

import { type AppBadge, readAppBadge } from "./badge.ts";
import { isJsonObject, ownMember, parseJson } from "./json.ts";
import { type MemberRules, readMembers } from "./members.ts";
import { createNotification, type GodwitNotification, type NotificationContext } from "./notification.ts";
import type { Reason } from "./reasons.ts";

/** Number that marks a declarative message; chosen for the RFC that defines push. */
const MAGIC = 8030;
const RULES: MemberRules = { actionUrl: "navigate", actionUrlOptional: false };

export type DeclarativeResult =
  | {
      readonly ok: true;
      /** Its `navigate` and those of its actions are never null. */
      readonly notification: GodwitNotification;
      /** Whether the app may replace the notification before it is shown. */
      readonly mutable: boolean;
      /** Null leaves the badge alone. */
      readonly appBadge: AppBadge | null;
    }
  | { readonly ok: false; readonly reason: Reason };

/**
 * Parses decrypted `bytes` (borrowed) as a declarative message. Never throws.
 *
 * @param context scope of the subscription, most actions, and the time to use as fallback
 */
export function parseDeclarative(bytes: Uint8Array, context: NotificationContext): DeclarativeResult {
  const json = parseJson(bytes);
  return json.ok ? readMessage(json.value, context) : json;
}

/** {@link parseDeclarative} from the parsed JSON on, so that a second format can look at the same value. */
export function readMessage(message: unknown, context: NotificationContext): DeclarativeResult {
  if (!isJsonObject(message)) return { ok: false, reason: "not-an-object" };
  if (ownMember(message, "web_push") !== MAGIC) return { ok: false, reason: "no-magic" };
  const declared = ownMember(message, "notification");
  if (declared === undefined) return { ok: false, reason: "no-notification" };
  if (!isJsonObject(declared)) return { ok: false, reason: "notification-not-an-object" };
  const init = readMembers(declared, RULES);
  if (init.title === null) return { ok: false, reason: "no-title" };
  if (init.navigate === null) return { ok: false, reason: "no-navigate" };
  const created = createNotification(init.title, init, context);
  if (!created.ok) return created;
  return {
    ok: true,
    notification: created.notification,
    mutable: ownMember(message, "mutable") === true,
    appBadge: readAppBadge(ownMember(message, "app_badge")),
  };
}
