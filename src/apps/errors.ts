// SPDX-License-Identifier: MIT
/** Errors as the W3C APIs give them: a `DOMException` (or `TypeError`) with our own stable code beside it. */

import { type ErrorCode, GodwitError } from "../errors.ts";
import { w3cNameOf } from "./error-names.ts";

/** What every promise of the Push API here rejects with: `name` is the W3C name. */
export interface AppError extends Error {
  readonly godwitCode: ErrorCode;
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
