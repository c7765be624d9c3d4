// SPDX-License-Identifier: MIT
/** Values of the Redis store: channels with fixed offsets, which scripts read too, and messages in CBOR, which they do not. */

import { concatBytes } from "../../bytes.ts";
import { decodeCbor, encodeCbor } from "../../wire/cbor.ts";
import { DEVICE_DIALECTS, REVOKE_REASONS, type RevokeReason, URGENCIES } from "../../wire/dialect.ts";
import { CHANNEL_LIVE } from "./redis-scripts.ts";
import type { ChannelRecord, DeviceRecord, NewMessage, StoredMessage } from "./store.ts";

/** Layout version, first word of the meta value. */
export const FORMAT_VERSION = 1;

/** Fields of a device's hash that make its record, in the order of {@link deviceRecord}. */
export const DEVICE_FIELDS = [
  "created",
  "seen",
  "dialect",
  "generation",
  "last",
  "messages",
  "bytes",
] as const;

/** Values of {@link DEVICE_FIELDS}; null for a device that is not there. */
export function deviceRecord(values: readonly (Buffer | null)[]): DeviceRecord | null {
  if (values[0] === null) return null;
  const [createdMs = 0, seenMs = 0, dialect = 0, tokenGeneration = 0, lastMessageId = 0, ...counts] =
    values.map(Number);
  const [messages = 0, messageBytes = 0] = counts;
  const known = DEVICE_DIALECTS[dialect] ?? "godwit.v1";
  return { createdMs, seenMs, dialect: known, tokenGeneration, lastMessageId, messages, messageBytes };
}

/** Of a live channel: a byte, registration id (16), ms since 1970 (8), key (65) or nothing. */
export function channelValue(
  registrationId: Uint8Array,
  applicationServerKey: Uint8Array | null,
  createdMs: number,
): Buffer {
  const created = Buffer.alloc(8);
  created.writeBigUInt64BE(BigInt(createdMs));
  const key = applicationServerKey ?? new Uint8Array(0);
  return Buffer.from(concatBytes(Buffer.from(CHANNEL_LIVE), registrationId, created, key));
}

/** First byte of a revoked channel's value. */
export function revokedMark(reason: RevokeReason): string {
  return String(REVOKE_REASONS.indexOf(reason));
}

export function channelRecord(channel: number, value: Buffer): ChannelRecord {
  const mark = value.toString("latin1", 0, 1);
  const key = new Uint8Array(value.subarray(25));
  return {
    channel,
    registrationId: new Uint8Array(value.subarray(1, 17)),
    applicationServerKey: key.length === 0 ? null : key,
    createdMs: Number(value.readBigUInt64BE(17)),
    revoked: mark === CHANNEL_LIVE ? null : (REVOKE_REASONS[Number(mark)] ?? "expired"),
  };
}

type MessageValue = [
  channel: number,
  receivedMs: number,
  expiresMs: number,
  urgency: number,
  saysNotification: boolean,
  topic: string | null,
  body: Uint8Array | null,
  aesgcm: readonly [encryption: string, cryptoKey: string] | null,
];

export function messageValue(channel: number, message: NewMessage): Uint8Array {
  const { receivedMs, ttlS, urgency, saysNotification, topic, body, aesgcm } = message;
  const headers = aesgcm === undefined ? null : ([aesgcm.encryption, aesgcm.cryptoKey] as const);
  const value: MessageValue = [
    channel,
    receivedMs,
    receivedMs + ttlS * 1000,
    URGENCIES.indexOf(urgency),
    saysNotification,
    topic,
    body,
    headers,
  ];
  return encodeCbor(value);
}

/** @throws {GodwitError} ERR_CBOR_* when something else than this store wrote it */
export function storedMessage(id: number, value: Uint8Array, mayHaveBeenSent: boolean): StoredMessage {
  const fields = decodeCbor(value, { depthMax: 2, itemsMax: 12 }) as MessageValue;
  const [channel, receivedMs, expiresMs, urgency, saysNotification, topic, body, aesgcm] = fields;
  return {
    id,
    channel,
    receivedMs,
    expiresMs,
    urgency: URGENCIES[urgency] ?? "normal",
    topic,
    saysNotification,
    // A view of what was received from Redis, which holds a whole page.
    body: body === null ? null : body.slice(),
    ...(aesgcm === null ? {} : { aesgcm: { encryption: aesgcm[0], cryptoKey: aesgcm[1] } }),
    mayHaveBeenSent,
  };
}
