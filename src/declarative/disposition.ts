// SPDX-License-Identifier: MIT
/**
 * What a decrypted message is: a notification, app data, or a mistake. Follows from authenticated plaintext and the
 * subscription's mode; the unauthenticated Content-Type may only narrow (it never makes app data of a notification, nor
 * a notification of app data whose subscription did not ask for that).
 */

import type { AppBadge } from "./badge.ts";
import { readExplainer } from "./explainer.ts";
import { parseJson } from "./json.ts";
import { type DeclarativeResult, readMessage } from "./message.ts";
import type { GodwitNotification, NotificationContext } from "./notification.ts";
import type { Reason } from "./reasons.ts";

/**
 * How a subscription reads its messages: `auto` takes the W3C format only, `auto+explainer` also explainer messages
 * whose header says so, `only` makes every message a notification or a mistake, `never` keeps all opaque.
 */
export type DeclarativeMode = "auto" | "auto+explainer" | "only" | "never";

export interface DispositionOptions extends NotificationContext {
  readonly mode: DeclarativeMode;
  /** Content-Type the push service reports, or null. Unauthenticated. */
  readonly contentType: string | null;
}

/** All members are always there: those that do not apply are null or false. */
export type Disposition =
  | {
      readonly kind: "declarative";
      readonly notification: GodwitNotification;
      readonly mutable: boolean;
      readonly appBadge: AppBadge | null;
      readonly reason: null;
    }
  | {
      /** `legacy` goes to app code; `error` is dropped, counted and reported to the developer. */
      readonly kind: "legacy" | "error";
      readonly notification: null;
      readonly mutable: false;
      readonly appBadge: null;
      readonly reason: Reason;
    };

/**
 * Decides what `bytes` (decrypted and borrowed, or null for a push without body) are. Never throws.
 */
export function decide(bytes: Uint8Array | null, options: DispositionOptions): Disposition {
  const { mode } = options;
  // Under `only` nothing is ever handed to app code, and there is nothing to show.
  if (bytes === null) return notDeclarative(mode === "only" ? "error" : "legacy", "no-body");
  if (mode === "never") return notDeclarative("legacy", "never");
  const explainer =
    mode === "only" || (mode === "auto+explainer" && isNotificationContentType(options.contentType));
  const result = readEither(bytes, explainer, options);
  if (!result.ok) return notDeclarative(explainer ? "error" : "legacy", result.reason);
  const { notification, mutable, appBadge } = result;
  return { kind: "declarative", notification, mutable, appBadge, reason: null };
}

/**
 * True when a Content-Type names `application/notification+json`: white space around it and parameters do not matter,
 * letter case does not, a list of types is another type.
 */
export function isNotificationContentType(contentType: string | null): boolean {
  return (
    contentType !== null &&
    /^[ \t\r\n]*application\/notification\+json[ \t\r\n]*(?:;[^,]*)?$/i.test(contentType)
  );
}

/** The W3C form, else the explainer's where that is allowed. */
function readEither(bytes: Uint8Array, explainer: boolean, context: NotificationContext): DeclarativeResult {
  const json = parseJson(bytes);
  if (!json.ok) return json;
  const standard = readMessage(json.value, context);
  if (standard.ok || !explainer) return standard;
  const other = readExplainer(json.value, context);
  // With the magic in place the sender meant the standard form: say what is wrong with that one.
  return other.ok || standard.reason === "no-magic" ? other : standard;
}

function notDeclarative(kind: "legacy" | "error", reason: Reason): Disposition {
  return { kind, notification: null, mutable: false, appBadge: null, reason };
}
