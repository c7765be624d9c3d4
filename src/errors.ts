// SPDX-License-Identifier: MIT
/**
 * The one error type of Godwit and every code it can carry. Pure; SPEC.md lists the same codes.
 */

/** Who has to act: our caller, the other side of a connection, or the surroundings (disk, network, clock). */
export type Fault = "local" | "remote" | "environment";

/** Every stable error code and whose fault it is. Codes are never renamed or reused. */
export const ERROR_CODES = {
  // Message encryption (RFC 8188, RFC 8291); order of checks as in decrypt().
  ERR_ECE_NO_PAYLOAD: "remote",
  ERR_ECE_TOO_LARGE: "remote",
  ERR_ECE_TRUNCATED_HEADER: "remote",
  ERR_ECE_BAD_RECORD_SIZE: "remote",
  ERR_ECE_BAD_KEYID_LENGTH: "remote",
  ERR_ECE_TRUNCATED_RECORD: "remote",
  ERR_ECE_INVALID_PUBLIC_KEY: "remote",
  ERR_ECE_MULTIPLE_RECORDS: "remote",
  ERR_ECE_AUTH_FAILED: "remote",
  ERR_ECE_BAD_PADDING: "remote",
  ERR_ECE_UNSUPPORTED_ENCODING: "remote",
  ERR_ECE_BAD_CRYPTO_KEY_HEADER: "remote",
  ERR_ECE_BAD_ENCRYPTION_HEADER: "remote",
  ERR_ECE_BAD_SALT: "remote",
  ERR_ECE_BAD_SUBSCRIPTION_KEYS: "local",
  ERR_ECE_PLAINTEXT_TOO_LARGE: "local",
  ERR_BASE64URL: "remote",
  // VAPID (RFC 8292)
  ERR_VAPID_SYNTAX: "remote",
  ERR_VAPID_KEY: "remote",
  ERR_VAPID_SIGNATURE: "remote",
  ERR_VAPID_AUDIENCE: "remote",
  ERR_VAPID_EXPIRED: "remote",
  ERR_VAPID_EXPIRY_TOO_FAR: "remote",
  ERR_VAPID_SUBJECT: "remote",
  // Wire
  ERR_CBOR_MALFORMED: "remote",
  ERR_CBOR_TOO_DEEP: "remote",
  ERR_CBOR_TOO_MANY_ITEMS: "remote",
  ERR_CBOR_VALUE: "local",
  ERR_FRAME_TOO_LONG: "remote",
  ERR_FRAME_UNKNOWN_TYPE: "remote",
  ERR_FRAME_FIELD: "remote",
  // Journal
  ERR_JOURNAL_RECORD: "environment",
  ERR_JOURNAL_SEAL: "environment",
  ERR_JOURNAL_FULL: "environment",
  ERR_JOURNAL_IO: "environment",
  ERR_JOURNAL_LOCKED: "environment",
  ERR_JOURNAL_IN_USE: "environment",
  // User agent, app side: names of the W3C API are in DOM_NAMES
  ERR_SUBSCRIBE_PERMISSION: "local",
  ERR_SUBSCRIBE_KEY_REQUIRED: "local",
  ERR_SUBSCRIBE_KEY_CHARACTERS: "local",
  ERR_SUBSCRIBE_KEY_POINT: "local",
  ERR_SUBSCRIBE_CONFLICT: "local",
  ERR_SUBSCRIBE_LIMIT: "local",
  ERR_SUBSCRIBE_ABORTED: "environment",
  ERR_NOTIFICATION: "local",
  ERR_APP_HANDLER: "local",
  ERR_NAVIGATION_REFUSED: "remote",
  ERR_OWNER: "local",
  ERR_OPTION: "local",
  ERR_BUSY: "environment",
  ERR_SHUTDOWN: "environment",
  // Push service as seen by the user agent
  ERR_TOKEN_REFUSED: "remote",
  ERR_SERVICE_REPORT: "remote",
  ERR_SERVICE_UNREACHABLE: "environment",
  ERR_CONFIG: "local",
  // Push service: what it sealed (uaToken, endpoint, Location) and its store
  ERR_SEAL_MALFORMED: "remote",
  ERR_SEAL_FOREIGN: "remote",
  ERR_SEAL_FORGED: "remote",
  ERR_KEYRING: "local",
  ERR_STORE: "environment",
  ERR_STORE_CLOSED: "local",
} as const satisfies Record<string, Fault>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** A failure with a stable {@link ErrorCode}, a plain sentence, and whose fault it is. The message never holds a secret. */
export class GodwitError extends Error {
  readonly code: ErrorCode;
  readonly fault: Fault;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.name = "GodwitError";
    this.code = code;
    this.fault = ERROR_CODES[code];
  }
}
