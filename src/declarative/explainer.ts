// SPDX-License-Identifier: MIT
/**
 * The message format of the original explainer (September 2023): required members strictly, optional ones as in the
 * standard, links resolved against the scope. Whether a message may be read this way is decided in disposition.ts.
 */

import { readAppBadge } from "./badge.ts";
import { isJsonObject, ownMember } from "./json.ts";
import { type MemberRules, readMembers } from "./members.ts";
import type { DeclarativeResult } from "./message.ts";
import { createNotification, type NotificationContext } from "./notification.ts";

const RULES: MemberRules = { actionUrl: "url", actionUrlOptional: false };

/** Reads parsed JSON as an explainer message. Never throws. */
export function readExplainer(message: unknown, context: NotificationContext): DeclarativeResult {
  if (!isJsonObject(message)) return { ok: false, reason: "not-an-object" };
  const title = ownMember(message, "title");
  if (typeof title !== "string") return { ok: false, reason: "no-title" };
  if (title === "") return { ok: false, reason: "empty-title" };
  const url = ownMember(message, "default_action_url");
  if (typeof url !== "string") return { ok: false, reason: "no-default-action-url" };
  const options = ownMember(message, "options");
  if (options !== undefined && !isJsonObject(options)) return { ok: false, reason: "options-not-an-object" };
  // `navigate` inside `options` is unknown to this format, like `title` there.
  const init = { ...readMembers(options ?? {}, RULES), navigate: url };
  const created = createNotification(title, init, context);
  if (!created.ok) return created;
  return {
    ok: true,
    notification: created.notification,
    mutable: ownMember(message, "mutable") === true,
    appBadge: readAppBadge(ownMember(message, "app_badge")),
  };
}
