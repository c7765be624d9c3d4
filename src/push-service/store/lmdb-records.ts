// SPDX-License-Identifier: MIT
/**
 * Values of the LMDB store: arrays in a fixed order, so that a later version may append fields. Encoded by lmdb's own
 * msgpack.
 */

import { DEVICE_DIALECTS, type DeviceDialect, REVOKE_REASONS, URGENCIES } from "../../wire/dialect.ts";
import { quotaBytes } from "./rules.ts";
import type { ChannelRecord, NewMessage, StoredMessage } from "./store.ts";

/** Layout version, first element of the meta record. */
export const FORMAT_VERSION = 1;
export type MetaValue = [version: number, epoch: number];

export interface DeviceState {
  createdMs: number;
  dialect: DeviceDialect;
  tokenGeneration: number;
  lastMessageId: number;
  lastChannel: number;
  /** Channels there are, revoked ones included. */
  channels: number;
  messages: number;
  messageBytes: number;
  seenMs: number;
  /** When the sweep looks at it next, by the index of due devices. */
  dueMs: number;
}
/** The last three came later: `dialect` is an index into DEVICE_DIALECTS. */
export type DeviceValue = [
  ...counts: [number, number, number, number, number, number, number],
  dialect?: number,
  seenMs?: number,
  dueMs?: number,
];

export function deviceState(value: unknown): DeviceState {
  const [
    createdMs,
    tokenGeneration,
    lastMessageId,
    lastChannel,
    channels,
    messages,
    messageBytes,
    dialect = 0,
    seenMs = createdMs,
    dueMs = 0,
  ] = value as DeviceValue;
  const counts = { lastMessageId, lastChannel, channels, messages, messageBytes };
  const known = DEVICE_DIALECTS[dialect] ?? "godwit.v1";
  return { createdMs, seenMs, dueMs, dialect: known, tokenGeneration, ...counts };
}

export function deviceValue(state: DeviceState): DeviceValue {
  const { createdMs, tokenGeneration, lastMessageId, lastChannel, channels, messages, messageBytes } = state;
  const { seenMs, dueMs } = state;
  const dialect = DEVICE_DIALECTS.indexOf(state.dialect);
  const counts = [lastMessageId, lastChannel, channels, messages, messageBytes] as const;
  return [createdMs, tokenGeneration, ...counts, dialect, seenMs, dueMs];
}

/** `revoked` is an index into REVOKE_REASONS, or -1. */
export type ChannelValue = [
  registrationId: Uint8Array,
  key: Uint8Array | null,
  createdMs: number,
  revoked: number,
];

export function channelRecord(channel: number, value: unknown): ChannelRecord {
  const [registrationId, key, createdMs, revoked] = value as ChannelValue;
  return {
    channel,
    registrationId: plain(registrationId),
    applicationServerKey: key === null ? null : plain(key),
    createdMs,
    revoked: REVOKE_REASONS[revoked] ?? null,
  };
}

/** True for a channel whose record is there and takes messages. */
export function isLiveChannel(value: unknown): boolean {
  return value !== undefined && REVOKE_REASONS[(value as ChannelValue)[3]] === undefined;
}

export function channelValue(record: Omit<ChannelRecord, "channel">): ChannelValue {
  const revoked = record.revoked === null ? -1 : REVOKE_REASONS.indexOf(record.revoked);
  return [record.registrationId, record.applicationServerKey, record.createdMs, revoked];
}

export type MessageValue = [
  channel: number,
  receivedMs: number,
  expiresMs: number,
  urgency: number,
  saysNotification: boolean,
  topic: string | null,
  instance: number,
  body: Uint8Array | null,
  aesgcm?: [encryption: string, cryptoKey: string],
];

/** `instance` is the run of the service that reads: a message of another run may have been sent by that. */
export function storedMessage(id: number, value: unknown, instance: number): StoredMessage {
  const [channel, receivedMs, expiresMs, urgency, saysNotification, topic, writer, body, aesgcm] =
    value as MessageValue;
  return {
    id,
    channel,
    receivedMs,
    expiresMs,
    urgency: URGENCIES[urgency] ?? "normal",
    topic,
    saysNotification,
    // The decoder hands out views of a buffer it may use again.
    body: body === null ? null : new Uint8Array(body),
    ...aesgcmMember(aesgcm),
    mayHaveBeenSent: writer !== instance,
  };
}

/** What else is stored for a message, and goes with it. */
export interface MessagePlace {
  readonly id: number;
  readonly channel: number;
  readonly expiresMs: number;
  readonly topic: string | null;
  /** Of the device's quota. */
  readonly quotaBytes: number;
}

/** Of a message that nobody reads any more. */
export function messagePlace(id: number, value: unknown): MessagePlace {
  const [channel, , expiresMs, , , topic, , body, aesgcm] = value as MessageValue;
  return { id, channel, expiresMs, topic, quotaBytes: quotaBytes({ body, ...aesgcmMember(aesgcm) }) };
}

export function messageValue(channel: number, message: NewMessage, instance: number): MessageValue {
  const { receivedMs, ttlS, urgency, saysNotification, topic, body, aesgcm } = message;
  const expiresMs = receivedMs + ttlS * 1000;
  const saying = [URGENCIES.indexOf(urgency), saysNotification, topic, instance, body] as const;
  return aesgcm === undefined
    ? [channel, receivedMs, expiresMs, ...saying]
    : [channel, receivedMs, expiresMs, ...saying, [aesgcm.encryption, aesgcm.cryptoKey]];
}

function aesgcmMember(aesgcm: MessageValue[8]): Pick<NewMessage, "aesgcm"> {
  return aesgcm === undefined ? {} : { aesgcm: { encryption: aesgcm[0], cryptoKey: aesgcm[1] } };
}

/** A copy that is a plain Uint8Array, not the decoder's Buffer. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}
