// SPDX-License-Identifier: MIT
/**
 * Every error the push service answers over HTTP, as data: status, stable number, what it means. Where the meaning is
 * that of autopush's table the number is too; those from 300 on are ours. SPEC.md prints this table.
 */

import { STATUS_CODES } from "node:http";
import { STORE_RETRY_AFTER_S } from "../limits.ts";

/** One row: HTTP status, errno, default message, and the headers that always go with it. */
interface ErrorRow {
  readonly status: number;
  readonly errno: number;
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Names are ours and internal; numbers are never changed or given again. */
export const HTTP_ERRORS = {
  // Publishing, numbers as in autopush
  endpointInvalid: { status: 404, errno: 102, message: "no such endpoint" },
  bodyTooLarge: {
    status: 413,
    errno: 104,
    message: "the body is too large",
    headers: { Connection: "close" },
  },
  subscriptionGone: {
    status: 410,
    errno: 106,
    message: "the subscription has ended",
    headers: { "Cache-Control": "max-age=86400" },
  },
  vapid: {
    status: 401,
    errno: 109,
    message: "the VAPID authorization is missing or wrong",
    headers: { "WWW-Authenticate": "vapid" },
  },
  encoding: { status: 400, errno: 110, message: "the body's coding cannot be delivered to this device" },
  ttlMissing: { status: 400, errno: 111, message: "TTL is missing or not an integer" },
  topic: { status: 400, errno: 113, message: "Topic must be 1 to 32 base64url characters" },
  ttlNegative: { status: 400, errno: 114, message: "TTL is negative" },
  storage: {
    status: 503,
    errno: 201,
    message: "the message could not be stored",
    headers: { "Retry-After": String(STORE_RETRY_AFTER_S) },
  },
  // Publishing, ours
  urgency: { status: 400, errno: 301, message: "Urgency must be very-low, low, normal or high" },
  quota: {
    status: 429,
    errno: 302,
    message: "the device has too many messages waiting",
    headers: { "Retry-After": "3600" },
  },
  endpointRate: { status: 429, errno: 303, message: "too many messages to this endpoint or its device" },
  revokeKeyless: { status: 403, errno: 304, message: "only its device can end a subscription without a key" },
  revokeToken: {
    status: 403,
    errno: 305,
    message: "revoking needs a token with act, sub and a near exp made for it",
  },
  revokeUsed: { status: 403, errno: 306, message: "this revoke token was used" },
  messageId: { status: 400, errno: 307, message: "no such message" },
  // Devices
  uaToken: { status: 401, errno: 310, message: "the uaToken is missing or not valid here" },
  enrolment: { status: 401, errno: 311, message: "a new device needs the enrolment secret or a certificate" },
  tokenRate: { status: 429, errno: 312, message: "too many tokens for this address" },
  subprotocol: {
    status: 426,
    errno: 313,
    message: "a WebSocket upgrade with the subprotocol is needed",
    headers: { Upgrade: "websocket", "Sec-WebSocket-Protocol": "godwit.v1" },
  },
  conditions: { status: 400, errno: 314, message: "Godwit-Conditions or Godwit-Channels cannot be read" },
  linksFull: {
    status: 503,
    errno: 315,
    message: "too many devices connected",
    headers: { "Retry-After": String(STORE_RETRY_AFTER_S) },
  },
  addressRate: { status: 429, errno: 316, message: "too many connections or refusals of this address" },
  // Anybody
  notFound: { status: 404, errno: 320, message: "nothing here" },
  method: { status: 405, errno: 321, message: "the method is not allowed here" },
  request: {
    status: 400,
    errno: 322,
    message: "the request cannot be read",
    headers: { Connection: "close" },
  },
  draining: { status: 503, errno: 323, message: "the service is stopping", headers: { "Retry-After": "30" } },
  // The administrator
  adminToken: {
    status: 401,
    errno: 330,
    message: "the administrator's token is missing or wrong",
    headers: { "WWW-Authenticate": "Bearer" },
  },
  adminHost: { status: 403, errno: 332, message: "this listener is not reached by that name" },
  deviceUnknown: { status: 404, errno: 331, message: "no such device or live subscription" },
  internal: { status: 500, errno: 399, message: "unexpected" },
} as const satisfies Record<string, ErrorRow>;

export type HttpErrorName = keyof typeof HTTP_ERRORS;

/** What goes back for one request. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text, or "" for none. */
  readonly body: string;
}

/** A refusal on its way to {@link errorReply}. */
export class HttpError extends Error {
  readonly httpErrorName: HttpErrorName;
  readonly headers: Readonly<Record<string, string>>;

  /** @param headers besides those of the row */
  constructor(name: HttpErrorName, headers: Readonly<Record<string, string>> = {}, message?: string) {
    super(message ?? HTTP_ERRORS[name].message);
    this.name = "HttpError";
    this.httpErrorName = name;
    this.headers = headers;
  }
}

/** `{code, errno, error, message, more_info}` of an error; anything but an HttpError is "unexpected", without details. */
export function errorReply(error: unknown): Reply {
  const known = error instanceof HttpError ? error : new HttpError("internal");
  const row: ErrorRow = HTTP_ERRORS[known.httpErrorName];
  const body = {
    code: row.status,
    errno: row.errno,
    error: STATUS_CODES[row.status] ?? "",
    message: known.message,
    more_info: `SPEC.md#errno-${row.errno}`,
  };
  return jsonReply(row.status, body, { ...row.headers, ...known.headers });
}

export function jsonReply(
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return {
    status,
    headers: { "Content-Type": "application/json", ...headers },
    body: `${JSON.stringify(value)}\n`,
  };
}

export function emptyReply(status: number, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers, body: "" };
}
