// SPDX-License-Identifier: MIT
/**
 * The app badge (W3C Badging; Push API pull request 402): reading, merging and showing its value. Pure; who may set one,
 * and how often, is the agent's business.
 */

import { BADGE_NUMBER_SHOWN_MAX } from "../limits.ts";
import { isUnsignedInteger } from "./members.ts";

/** What a message or an app asks for: a number, true for a mark without number, false or 0 for no badge. */
export type AppBadge = number | boolean;

/** What an app's icon carries: nothing, a mark, or a number above 0. */
export type BadgeValue = "nothing" | "flag" | number;

/** The badge `value` asks for, or null when it is none: fractions, negatives, above 2^53-1, strings. */
export function readAppBadge(value: unknown): AppBadge | null {
  if (typeof value === "boolean") return value;
  return isUnsignedInteger(value) ? value + 0 : null;
}

/**
 * The badge to set after a message: what its handler set wins over what the message declared. Null, for either, leaves
 * it alone.
 */
export function mergeBadge(declared: AppBadge | null, setByHandler: AppBadge | null): AppBadge | null {
  return setByHandler ?? declared;
}

export function badgeValue(badge: AppBadge): BadgeValue {
  if (badge === true) return "flag";
  return badge === false || badge === 0 ? "nothing" : badge;
}

/** Text for a badge: empty for none, a dot for the flag, at most "99+" for a number. */
export function badgeText(badge: AppBadge): string {
  const value = badgeValue(badge);
  if (value === "nothing") return "";
  if (value === "flag") return "\u2022";
  return value > BADGE_NUMBER_SHOWN_MAX ? `${BADGE_NUMBER_SHOWN_MAX}+` : String(value);
}
