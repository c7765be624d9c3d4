// SPDX-License-Identifier: MIT
/** What the W3C APIs call our failures. Pure. */

import type { ErrorCode } from "../errors.ts";

/** An app written for browsers looks at `error.name`. */
const W3C_NAMES: Readonly<Record<string, readonly ErrorCode[]>> = {
  NotAllowedError: ["ERR_SUBSCRIBE_PERMISSION", "ERR_OWNER", "ERR_APP_AUTH"],
  InvalidCharacterError: ["ERR_SUBSCRIBE_KEY_CHARACTERS"],
  InvalidAccessError: ["ERR_SUBSCRIBE_KEY_POINT"],
  InvalidStateError: ["ERR_SUBSCRIBE_CONFLICT", "ERR_EVENT_OVER"],
  AbortError: [
    "ERR_SUBSCRIBE_LIMIT",
    "ERR_SUBSCRIBE_ABORTED",
    "ERR_JOURNAL_FULL",
    "ERR_JOURNAL_IO",
    "ERR_SHUTDOWN",
    "ERR_APP_BUSY",
    "ERR_APP_CONNECTION",
  ],
  TypeError: ["ERR_NOTIFICATION", "ERR_OPTION", "ERR_CONFIG"],
};

/** The W3C name of a failure; OperationError for those the W3C APIs do not know. */
export function w3cNameOf(code: ErrorCode): string {
  return Object.keys(W3C_NAMES).find((name) => W3C_NAMES[name]?.includes(code)) ?? "OperationError";
}
