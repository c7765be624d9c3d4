// SPDX-License-Identifier: MIT
/**
 * The messages between user agent and push service, independent of their bytes, and the interface that turns them into
 * bytes. Nothing outside `wire/` knows which dialect is spoken. Pure.
 */

/** RFC 8030 §5.3, ascending. On the wire of `godwit.v1` the index is sent. */
export const URGENCIES = ["very-low", "low", "normal", "high"] as const;
export type Urgency = (typeof URGENCIES)[number];

/** Outcome of a message as told to the push service. On the wire of `godwit.v1` the index is sent. */
export const ACK_CODES = ["ok", "undecryptable", "rejected"] as const;
export type AckCode = (typeof ACK_CODES)[number];

/** Status of a reply. On the wire of `godwit.v1` the number is sent (SPEC.md lists them). */
export const STATUS = {
  ok: 200,
  badRequest: 400,
  badToken: 401,
  notFound: 404,
  conflict: 409,
  gone: 410,
  tooLong: 413,
  tooMany: 429,
  unknownType: 501,
  unavailable: 503,
} as const;
export type Status = (typeof STATUS)[keyof typeof STATUS];

/** Why the service says goodbye. On the wire of `godwit.v1` the index is sent. */
export const BYE_REASONS = ["shutdown", "replaced", "idle", "unregistered", "protocol", "overload"] as const;
export type ByeReason = (typeof BYE_REASONS)[number];

/** Why a channel ended. On the wire of `godwit.v1` the index is sent. */
export const REVOKE_REASONS = ["application-server", "expired", "administrator"] as const;
export type RevokeReason = (typeof REVOKE_REASONS)[number];

/** What the device promises and wants while it is connected. */
export interface Conditions {
  /** The device sends something at least this often; 0 when it does not say. */
  readonly heartbeatS: number;
  /** Low-urgency messages may wait for other traffic this long. */
  readonly windowS: number;
  /** Messages below this stay at the service. */
  readonly leastUrgency: Urgency;
}

/** Inclusive range of message ids. */
export type IdRange = readonly [first: number, last: number];

/** Device to service. `ref` is chosen by the device and comes back in the reply. */
export type Upstream =
  | {
      readonly type: "registerUa";
      readonly uaToken: string;
      readonly conditions: Conditions /** 8 bytes, see {@link channelsDigest}. */;
      readonly channelsDigest: Uint8Array;
    }
  | {
      readonly type: "registerWa";
      readonly ref: number;
      /** 16 bytes: HMAC of owner and WAToken under a device secret. */
      readonly registrationId: Uint8Array;
      /** 65 bytes, uncompressed P-256 point, or null. */
      readonly applicationServerKey: Uint8Array | null;
    }
  | { readonly type: "unregisterWa"; readonly ref: number; readonly channel: number }
  | { readonly type: "unregisterUa"; readonly ref: number }
  | { readonly type: "getAllMessages"; readonly ref: number }
  | { readonly type: "ack"; readonly code: AckCode; readonly ranges: readonly IdRange[] }
  | { readonly type: "hold"; readonly channel: number }
  | { readonly type: "resume"; readonly channel: number }
  | { readonly type: "conditions"; readonly conditions: Conditions }
  | { readonly type: "probe"; readonly nonce: number };

/** What a device speaks, from its first word on; its endpoints and messages are of that kind for good. */
export const DEVICE_DIALECTS = ["godwit.v1", "autopush"] as const;
export type DeviceDialect = (typeof DEVICE_DIALECTS)[number];

/** Headers of a message in the `aesgcm` coding (draft-ietf-webpush-encryption-04), which only dialect autopush carries. */
export interface AesgcmHeaders {
  /** `Encryption`, as the sender wrote it. */
  readonly encryption: string;
  /** `Crypto-Key`, as the sender wrote it. */
  readonly cryptoKey: string;
}

/** One push message as the service hands it to the device. */
export interface Notification {
  readonly type: "notification";
  /** Rises per device within a store epoch; names the message in acknowledgements. */
  readonly id: number;
  /** 1 for the first time it is sent; more when it may have been seen before. */
  readonly attempt: number;
  readonly channel: number;
  readonly ttlLeftS: number;
  readonly urgency: Urgency;
  /** True when the sender said `Content-Type: application/notification+json`. Unauthenticated. */
  readonly saysNotification: boolean;
  readonly topic: string | null;
  /** Encrypted body as POSTed, or null for none. Views the frame. */
  readonly body: Uint8Array | null;
  /** Absent when the body is in the `aes128gcm` coding, or there is none. */
  readonly aesgcm?: AesgcmHeaders;
}

/** Service to device. */
export type Downstream =
  | {
      readonly type: "registered";
      readonly status: Status;
      /** 16 bytes. */
      readonly uaid: Uint8Array;
      /** Use this from the next connection on; null when the present one stays. */
      readonly freshUaToken: string | null;
      /** The service lets a silent link live this long; null when it has no limit below the declared heartbeat. */
      readonly idleLimitS: number | null;
      /** After a lost service the device spreads its reconnect over this long. */
      readonly reconnectSpreadS: number;
      /** Path of the canary responder on the same host, or null. */
      readonly canary: string | null;
      /** Wall clock of the service, ms since 1970; 0 when it does not say. */
      readonly epochMs: number;
      /** Message ids are comparable only within one store epoch. */
      readonly storeEpoch: number;
      /** All channels of this device; null when the device's digest was right. */
      readonly channels: readonly number[] | null;
      /** Highest message id given out so far, 0 for none: what came before this link is not above it. */
      readonly lastId: number;
    }
  | {
      readonly type: "waRegistered";
      readonly ref: number;
      readonly status: Status;
      readonly channel: number;
      readonly endpoint: string;
      /** ms since 1970, or null for none. */
      readonly expirationTime: number | null;
    }
  | {
      readonly type: "waUnregistered";
      readonly ref: number;
      readonly status: Status;
      readonly channel: number;
    }
  | Notification
  | { readonly type: "drained"; readonly ref: number }
  | { readonly type: "revoked"; readonly channel: number; readonly reason: RevokeReason }
  | { readonly type: "bye"; readonly reason: ByeReason; readonly retryAfterS: number }
  | { readonly type: "probeReply"; readonly nonce: number }
  | { readonly type: "error"; readonly ref: number | null; readonly status: Status; readonly text: string };

/**
 * The device's end of a dialect: what the agent says over its links, one after the other, and what it makes of what comes.
 *
 * `parse*` throws {@link GodwitError}: ERR_FRAME_TOO_LONG, ERR_CBOR_* , ERR_JSON_MALFORMED, ERR_FRAME_UNKNOWN_TYPE,
 * ERR_FRAME_FIELD; and nothing else, whatever the bytes. Byte fields of a parsed message view the frame.
 */
export interface DeviceEnd {
  /** WebSocket subprotocol that is offered. */
  readonly name: string;
  /**
   * There for a service that knows neither tokens nor conditions nor holds: who the device is goes into the first frame, frames
   * are text, and a message is acknowledged as soon as it is safe, whoever it waits for.
   */
  readonly isPlain?: true;
  /** One frame, or as many as it takes, or none where the dialect has no word for it. */
  encodeUpstream(message: Upstream): Uint8Array | readonly Uint8Array[];
  /** Undefined for a frame that is good and holds nothing for the agent. */
  parseDownstream(frame: Uint8Array): Downstream | undefined;
}

/** Both ends, of a dialect that needs no memory to turn messages into frames and back. */
export interface Dialect extends DeviceEnd {
  encodeUpstream(message: Upstream): Uint8Array;
  parseUpstream(frame: Uint8Array): Upstream;
  encodeDownstream(message: Downstream): Uint8Array;
  parseDownstream(frame: Uint8Array): Downstream;
}
