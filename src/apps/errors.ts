// SPDX-License-Identifier: MIT
/** Errors as the W3C APIs give them: a `DOMException` (or `TypeError`) with our own stable code beside it. */

import { type ErrorCode, GodwitError } from "../errors.ts";

/** What every promise of the Push API here rejects with: `name` is the W3C name. */
export interface AppError extends Error {
  readonly godwitCode: ErrorCode;
}

/** An app written for browsers looks at `error.name`. */
const W3C_NAMES: Readonly<Partial<Record<ErrorCode, string>>> = {
  ERR_SUBSCRIBE_PERMISSION: "NotAllowedError",
  ERR_OWNER: "NotAllowedError",
  ERR_APP_AUTH: "NotAllowedError",
  ERR_APP_BUSY: "AbortError",
  ERR_SUBSCRIBE_KEY_CHARACTERS: "InvalidCharacterError",
  ERR_SUBSCRIBE_KEY_POINT: "InvalidAccessError",
  ERR_SUBSCRIBE_CONFLICT: "InvalidStateError",
  ERR_EVENT_OVER: "InvalidStateError",
  ERR_SUBSCRIBE_LIMIT: "AbortError",
  ERR_SUBSCRIBE_ABORTED: "AbortError",
  ERR_JOURNAL_FULL: "AbortError",
  ERR_JOURNAL_IO: "AbortError",
  ERR_SHUTDOWN: "AbortError",
  ERR_APP_CONNECTION: "AbortError",
  ERR_NOTIFICATION: "TypeError",
  ERR_OPTION: "TypeError",
  ERR_CONFIG: "TypeError",
};

/** The W3C name of a failure; OperationError for those the W3C APIs do not know. */
export function w3cNameOf(code: ErrorCode): string {
  return W3C_NAMES[code] ?? "OperationError";
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
