// SPDX-License-Identifier: MIT
/**
 * What activating a notification does: follow its link, tell its app, or nothing. Links come from whoever can write to
 * the subscription, so a scheme is opened only when it is known to be harmless or the device's owner allowed it.
 */

import type { GodwitNotification } from "./notification.ts";
import { hostOf, originOf, schemeOf } from "./url.ts";

export interface ActivationPolicy {
  /** Scope or origin of the app, or null for an app without one: every link is then cross-origin. */
  readonly baseUrl: string | null;
  /** Whether plain http links open. Those to the app's own http origin always do: configuring it was the decision. */
  readonly httpAllowed: boolean;
  /** Further schemes to open, without colon and in lower case, such as `tel`. */
  readonly schemesAllowed?: readonly string[];
  /** Other origins to open without asking. */
  readonly originsAllowed?: readonly string[];
}

export type Activation =
  | {
      readonly kind: "navigate";
      readonly url: string;
      readonly crossOrigin: boolean;
      /** Whether a person has to confirm: cross-origin and not allowed by the policy. Show `host`, never the URL. */
      readonly ask: boolean;
      /** Parsed host and port, or the scheme of a link that has none. */
      readonly host: string;
    }
  /** The app's click event; `action` is "" for the body. */
  | { readonly kind: "event"; readonly action: string }
  | { readonly kind: "refused"; readonly reason: "scheme" | "http" | "unknown-action" };

/** Run code, carry their own content, or reach into the device: never opened, whatever a policy says. */
const SCHEMES_NEVER_OPENED: readonly string[] = [
  ...["javascript", "vbscript", "data", "blob", "file", "filesystem"],
  ...["about", "chrome", "view-source"],
];

/**
 * What follows when `action` of `notification` is activated, "" meaning its body (WHATWG Notifications, "activating a
 * notification"). An action without link does not fall back to the link of the body.
 */
export function activate(
  notification: GodwitNotification,
  action: string,
  policy: ActivationPolicy,
): Activation {
  const target = action === "" ? notification : notification.actions.find((item) => item.action === action);
  if (target === undefined) return { kind: "refused", reason: "unknown-action" };
  return target.navigate === null ? { kind: "event", action } : navigation(target.navigate, policy);
}

function navigation(url: string, policy: ActivationPolicy): Activation {
  const scheme = schemeOf(url);
  const origin = originOf(url);
  const crossOrigin = origin === null || policy.baseUrl === null || origin !== originOf(policy.baseUrl);
  if (scheme === "http") {
    if (!policy.httpAllowed && crossOrigin) return { kind: "refused", reason: "http" };
  } else if (scheme !== "https") {
    const isAllowed = policy.schemesAllowed?.includes(scheme) === true;
    if (!isAllowed || SCHEMES_NEVER_OPENED.includes(scheme)) return { kind: "refused", reason: "scheme" };
  }
  const isTrusted = origin !== null && policy.originsAllowed?.includes(origin) === true;
  return { kind: "navigate", url, crossOrigin, ask: crossOrigin && !isTrusted, host: hostOf(url) ?? scheme };
}
