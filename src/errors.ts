// SPDX-License-Identifier: MIT
/**
 * The one error type of Godwit and every code it can carry. Pure; SPEC.md lists the same codes. Codes are never renamed or
 * reused. One list for each fault, because the longest one then drops out of the bundles.
 */

/** Who has to act: our caller, the other side of a connection, or the surroundings (disk, network, clock). */
export type Fault = "local" | "remote" | "environment";

/** The other side sent something it must not. Those of message encryption are in the order of decrypt()'s checks. */
export const REMOTE_CODES = [
  "ERR_ECE_NO_PAYLOAD",
  "ERR_ECE_TOO_LARGE",
  "ERR_ECE_TRUNCATED_HEADER",
  "ERR_ECE_BAD_RECORD_SIZE",
  "ERR_ECE_BAD_KEYID_LENGTH",
  "ERR_ECE_TRUNCATED_RECORD",
  "ERR_ECE_INVALID_PUBLIC_KEY",
  "ERR_ECE_MULTIPLE_RECORDS",
  "ERR_ECE_AUTH_FAILED",
  "ERR_ECE_BAD_PADDING",
  "ERR_ECE_UNSUPPORTED_ENCODING",
  "ERR_ECE_BAD_CRYPTO_KEY_HEADER",
  "ERR_ECE_BAD_ENCRYPTION_HEADER",
  "ERR_ECE_BAD_SALT",
  "ERR_BASE64URL",
  "ERR_VAPID_SYNTAX",
  "ERR_VAPID_KEY",
  "ERR_VAPID_SIGNATURE",
  "ERR_VAPID_AUDIENCE",
  "ERR_VAPID_EXPIRED",
  "ERR_VAPID_EXPIRY_TOO_FAR",
  "ERR_VAPID_SUBJECT",
  "ERR_CBOR_MALFORMED",
  "ERR_CBOR_TOO_DEEP",
  "ERR_CBOR_TOO_MANY_ITEMS",
  "ERR_FRAME_TOO_LONG",
  "ERR_FRAME_UNKNOWN_TYPE",
  "ERR_FRAME_FIELD",
  "ERR_JSON_MALFORMED",
  "ERR_CHANNEL_ID",
  "ERR_NAVIGATION_REFUSED",
  "ERR_TOKEN_REFUSED",
  "ERR_SERVICE_REPORT",
  "ERR_SEAL_MALFORMED",
  "ERR_SEAL_FOREIGN",
  "ERR_SEAL_FORGED",
  "ERR_APP_BUSY",
  "ERR_STORE_FENCED",
  "ERR_TRACE",
] as const;

/** Our caller, or our own configuration, asked for something it must not. */
export const LOCAL_CODES = [
  "ERR_ECE_BAD_SUBSCRIPTION_KEYS",
  "ERR_ECE_PLAINTEXT_TOO_LARGE",
  "ERR_CBOR_VALUE",
  "ERR_SUBSCRIBE_PERMISSION",
  "ERR_SUBSCRIBE_KEY_CHARACTERS",
  "ERR_SUBSCRIBE_KEY_POINT",
  "ERR_SUBSCRIBE_CONFLICT",
  "ERR_SUBSCRIBE_LIMIT",
  "ERR_NOTIFICATION",
  "ERR_APP_HANDLER",
  "ERR_APP_AUTH",
  "ERR_EVENT_OVER",
  "ERR_APP_START",
  "ERR_OWNER",
  "ERR_OPTION",
  "ERR_CONFIG",
  "ERR_KEYRING",
  "ERR_STORE_CLOSED",
] as const;

/** Disk, network or time did not play along; the same call may succeed later. */
export const ENVIRONMENT_CODES = [
  "ERR_DISPLAY",
  "ERR_JOURNAL_RECORD",
  "ERR_JOURNAL_SEAL",
  "ERR_JOURNAL_FULL",
  "ERR_JOURNAL_IO",
  "ERR_JOURNAL_LOCKED",
  "ERR_JOURNAL_IN_USE",
  "ERR_SUBSCRIBE_ABORTED",
  "ERR_SHUTDOWN",
  "ERR_APP_CONNECTION",
  "ERR_SERVICE_UNREACHABLE",
  "ERR_NETWORK_MONITOR",
  "ERR_STORE",
] as const;

export type ErrorCode =
  | (typeof REMOTE_CODES)[number]
  | (typeof LOCAL_CODES)[number]
  | (typeof ENVIRONMENT_CODES)[number];

/** A failure with a stable {@link ErrorCode}, a plain sentence, and whose fault it is. The message never holds a secret. */
export class GodwitError extends Error {
  readonly code: ErrorCode;
  readonly fault: Fault;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.name = "GodwitError";
    this.code = code;
    this.fault = faultOf(code);
  }
}

function faultOf(code: ErrorCode): Fault {
  if ((LOCAL_CODES as readonly string[]).includes(code)) return "local";
  return (ENVIRONMENT_CODES as readonly string[]).includes(code) ? "environment" : "remote";
}
