// SPDX-License-Identifier: MIT
/**
 * Keys of the LMDB store: one prefix byte, then fixed-width fields, big-endian, so that the order of bytes is the order
 * of devices, channels, ids and times.
 */

import { concatBytes, utf8Encode } from "../../bytes.ts";

const PREFIX = {
  meta: 0x01,
  device: 0x10,
  due: 0x11,
  channel: 0x20,
  registration: 0x21,
  message: 0x30,
  topic: 0x31,
  expiry: 0x32,
} as const;

/** First key of a range and the first one behind it. */
export interface KeyRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

export const metaKey = (): Uint8Array => Uint8Array.of(PREFIX.meta);
export const deviceKey = (uaid: Uint8Array): Uint8Array => key(PREFIX.device, uaid);
export const dueKey = (dueMs: number, uaid: Uint8Array): Uint8Array => key(PREFIX.due, uint64(dueMs), uaid);
export const channelKey = (uaid: Uint8Array, channel: number): Uint8Array =>
  key(PREFIX.channel, uaid, uint32(channel));
export const registrationKey = (uaid: Uint8Array, registrationId: Uint8Array): Uint8Array =>
  key(PREFIX.registration, uaid, registrationId);
export const messageKey = (uaid: Uint8Array, id: number): Uint8Array => key(PREFIX.message, uaid, uint64(id));
export const topicKey = (uaid: Uint8Array, channel: number, topic: string): Uint8Array =>
  key(PREFIX.topic, uaid, uint32(channel), utf8Encode(topic));
export const expiryKey = (expiresMs: number, uaid: Uint8Array, id: number): Uint8Array =>
  key(PREFIX.expiry, uint64(expiresMs), uaid, uint64(id));

/** Channels of one device. */
export const channelKeys = (uaid: Uint8Array): KeyRange => under(PREFIX.channel, uaid);
/** Messages of one device with ids in [first, last]. */
export const messageKeys = (uaid: Uint8Array, first: number, last: number): KeyRange => ({
  start: messageKey(uaid, first),
  // A key is below any longer one that starts with it.
  end: concatBytes(messageKey(uaid, last), Uint8Array.of(0)),
});
/** Messages of all devices. */
export const allMessageKeys = (): KeyRange => ({
  start: Uint8Array.of(PREFIX.message),
  end: Uint8Array.of(PREFIX.message + 1),
});
/** Messages that expire up to and including `nowMs`. */
export const expiryKeysUntil = (nowMs: number): KeyRange => ({
  start: Uint8Array.of(PREFIX.expiry),
  end: key(PREFIX.expiry, uint64(nowMs + 1)),
});
/** All devices. */
export const deviceKeys = (): KeyRange => ({
  start: Uint8Array.of(PREFIX.device),
  end: Uint8Array.of(PREFIX.device + 1),
});
/** Devices to be looked at up to and including `nowMs`. */
export const dueKeysUntil = (nowMs: number): KeyRange => ({
  start: Uint8Array.of(PREFIX.due),
  end: key(PREFIX.due, uint64(nowMs + 1)),
});

/** Message id at the end of a message key. */
export function idOfMessageKey(bytes: Uint8Array): number {
  return readUint64(bytes, 17);
}

/** Parts of an expiry key. */
export function partsOfExpiryKey(bytes: Uint8Array): { uaid: Uint8Array; id: number } {
  return { uaid: bytes.slice(9, 25), id: readUint64(bytes, 25) };
}

/** The device of a due key. */
export function uaidOfDueKey(bytes: Uint8Array): Uint8Array {
  // A Buffer's slice would be a view of it.
  return Uint8Array.from(bytes.subarray(9, 25));
}

/** Channel number at the end of a channel key. */
export function channelOfChannelKey(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(17);
}

function under(prefix: number, uaid: Uint8Array): KeyRange {
  return { start: key(prefix, uaid), end: key(prefix, uaid, new Uint8Array(5).fill(0xff)) };
}

function key(prefix: number, ...parts: Uint8Array[]): Uint8Array {
  return concatBytes(Uint8Array.of(prefix), ...parts);
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function uint64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

function readUint64(bytes: Uint8Array, at: number): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(at));
}
