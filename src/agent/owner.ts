// SPDX-License-Identifier: MIT
/** What may own a subscription: a web origin or an app id. Pure. */

import { OWNER_CHARS_MAX } from "../limits.ts";

/**
 * https anywhere, http only on loopback (a page the device serves itself); no path, no user, lower case; a port only where it is
 * not the scheme's own, as browsers write it: else one site would be two owners.
 */
const ORIGIN =
  /^(?:https:\/\/[a-z0-9.-]+(?!:443$)|http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?!:80$))(?::[1-9]\d{0,4})?$/;
const APP_ID = /^[a-z0-9][a-z0-9._-]*$/;

/** True for a serialised origin or an app id in lower case. */
export function isOwner(owner: string): boolean {
  return owner.length <= OWNER_CHARS_MAX && (ORIGIN.test(owner) || APP_ID.test(owner));
}

/** What is said of anything else, with ERR_OWNER. */
export const NO_OWNER_TEXT = "an owner is a web origin or an app id in lower case";

/** Scope of an owner's subscriptions, against which relative links resolve; null for an app id, which has none. */
export function baseUrlOf(owner: string): string | null {
  return ORIGIN.test(owner) ? `${owner}/` : null;
}
