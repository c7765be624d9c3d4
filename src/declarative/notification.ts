// SPDX-License-Identifier: MIT
/**
 * The notification record and the rules that make one (WHATWG Notifications, "create a notification"): URLs resolved,
 * vibration normalised, contradictions refused. What a person gets to read is cleaned in display.ts, not here.
 */

import { VIBRATE_ENTRIES_MAX, VIBRATE_ENTRY_MS_MAX } from "../limits.ts";
import { type Direction, type NotificationInit, readMembers } from "./members.ts";
import type { Reason } from "./reasons.ts";
import { resolveUrl } from "./url.ts";

export interface NotificationAction {
  readonly action: string;
  readonly title: string;
  /** Absolute URL; null only in a notification made by an app, whose click event then fires. */
  readonly navigate: string | null;
  readonly icon: string | null;
}

/** A notification as declared or as an app made it. URLs are absolute, or null when unset. */
export interface GodwitNotification {
  readonly title: string;
  /** Where activating it leads; null only in a notification made by an app. */
  readonly navigate: string | null;
  readonly body: string;
  readonly dir: Direction;
  readonly lang: string;
  readonly tag: string;
  readonly icon: string | null;
  readonly image: string | null;
  readonly badge: string | null;
  /** On and off times in ms, odd in number or none. */
  readonly vibrate: readonly number[];
  /** Ms since 1970. */
  readonly timestamp: number;
  readonly renotify: boolean;
  readonly requireInteraction: boolean;
  /** Null leaves it to the device. */
  readonly silent: boolean | null;
  /** Any JSON value. */
  readonly data: unknown;
  readonly actions: readonly NotificationAction[];
}

/** What making a notification depends on besides its members. */
export interface NotificationContext {
  /** Scope of the subscription, or null for an app without an origin: relative links then do not resolve. */
  readonly baseUrl: string | null;
  /** Actions the device shows (Notification.maxActions). */
  readonly maxActions: number;
  /** Wall-clock ms since 1970: the timestamp of a notification that has none. */
  readonly epochMs: number;
}

export type NotificationResult =
  | { readonly ok: true; readonly notification: GodwitNotification }
  | { readonly ok: false; readonly reason: Reason };

/**
 * The notification `init` asks for, or why there is none. A picture whose URL does not parse is left out; a `navigate`
 * that does not parse is an error, since nothing may seem clickable and lead nowhere.
 */
export function createNotification(
  title: string,
  init: NotificationInit,
  context: NotificationContext,
): NotificationResult {
  if (init.silent === true && init.vibrate !== null) return { ok: false, reason: "silent-vibrate" };
  if (init.renotify && init.tag === "") return { ok: false, reason: "renotify-tag" };
  const { baseUrl } = context;
  const navigate = resolveOptional(init.navigate, baseUrl);
  if (navigate === null && init.navigate !== null) return { ok: false, reason: "navigate-url" };
  const actions: NotificationAction[] = [];
  for (const action of init.actions) {
    if (actions.length >= context.maxActions) break;
    const url = resolveOptional(action.navigate, baseUrl);
    if (url === null && action.navigate !== null) return { ok: false, reason: "action-url" };
    const icon = resolveOptional(action.icon, baseUrl);
    actions.push({ action: action.action, title: action.title, navigate: url, icon });
  }
  const notification: GodwitNotification = {
    title,
    navigate,
    body: init.body,
    dir: init.dir,
    lang: init.lang,
    tag: init.tag,
    icon: resolveOptional(init.icon, baseUrl),
    image: resolveOptional(init.image, baseUrl),
    badge: resolveOptional(init.badge, baseUrl),
    vibrate: init.vibrate === null ? [] : normaliseVibration(init.vibrate),
    timestamp: init.timestamp ?? context.epochMs,
    renotify: init.renotify,
    requireInteraction: init.requireInteraction,
    silent: init.silent,
    data: init.data,
    actions,
  };
  return { ok: true, notification };
}

/**
 * The notification of an app's `showNotification(title, options)`, which passes the same checks as a declared one, with
 * two differences: a wrong type is an error, and links are optional. `declared` is the notification it replaces or
 * null; a replacement without `navigate` keeps the declared link.
 */
export function createAppNotification(
  title: string,
  options: Readonly<Record<string, unknown>>,
  declared: GodwitNotification | null,
  context: NotificationContext,
): NotificationResult {
  const init = readMembers(options, { actionUrl: "navigate", actionUrlOptional: true });
  if (init.wrongType !== null) return { ok: false, reason: "wrong-type" };
  init.navigate ??= declared?.navigate ?? null;
  return createNotification(title, init, context);
}

function resolveOptional(text: string | null, baseUrl: string | null): string | null {
  return text === null ? null : resolveUrl(text, baseUrl);
}

/** Vibration API, "validate and normalize": bounded, and no pause at the end. `+ 0` turns -0 into 0. */
function normaliseVibration(pattern: readonly number[]): readonly number[] {
  const entries = Math.min(pattern.length, VIBRATE_ENTRIES_MAX);
  const kept = entries % 2 === 0 ? Math.max(0, entries - 1) : entries;
  return pattern.slice(0, kept).map((entryMs) => Math.min(entryMs, VIBRATE_ENTRY_MS_MAX) + 0);
}
