// SPDX-License-Identifier: MIT
/** Errors as the W3C APIs give them: a `DOMException` (or `TypeError`) with our own stable code beside it. */

import { type ErrorCode, GodwitError } from "../errors.ts";

/** What every promise of the Push API here rejects with: `name` is the W3C name. */
export interface AppError extends Error {
  readonly godwitCode: ErrorCode;
}

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

export function appError(code: ErrorCode, message: string, name = w3cNameOf(code)): AppError {
  return Object.assign(newError(message, name), { godwitCode: code });
}

/** The code of what an API of Godwit threw, or null when it is somebody else's error. */
export function codeOf(error: unknown): ErrorCode | null {
  if (error instanceof GodwitError) return error.code;
  return error instanceof Error ? ((error as Partial<AppError>).godwitCode ?? null) : null;
}

function newError(message: string, name: string): Error {
  return name === "TypeError" ? new TypeError(message) : new DOMException(message, name);
}
