// SPDX-License-Identifier: MIT
/**
 * Keys of the LMDB store: one prefix byte, then fixed-width fields, big-endian, so that the order of bytes is the order
 * of devices, channels, ids and times.
 */

import { utf8Encode } from "../../bytes.ts";

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

/** A field: bytes as they are, or an integer in 4 or 8. */
type Field = Uint8Array | readonly [width: 4 | 8, value: number];

export const metaKey = (): Uint8Array => key(PREFIX.meta);
export const deviceKey = (uaid: Uint8Array): Uint8Array => key(PREFIX.device, uaid);
export const dueKey = (dueMs: number, uaid: Uint8Array): Uint8Array => key(PREFIX.due, [8, dueMs], uaid);
export const channelKey = (uaid: Uint8Array, channel: number): Uint8Array =>
  key(PREFIX.channel, uaid, [4, channel]);
export const registrationKey = (uaid: Uint8Array, registrationId: Uint8Array): Uint8Array =>
  key(PREFIX.registration, uaid, registrationId);
export const messageKey = (uaid: Uint8Array, id: number): Uint8Array => key(PREFIX.message, uaid, [8, id]);
export const topicKey = (uaid: Uint8Array, channel: number, topic: string): Uint8Array =>
  key(PREFIX.topic, uaid, [4, channel], utf8Encode(topic));
export const expiryKey = (expiresMs: number, uaid: Uint8Array, id: number): Uint8Array =>
  key(PREFIX.expiry, [8, expiresMs], uaid, [8, id]);

/** Channels of one device. */
export const channelKeys = (uaid: Uint8Array): KeyRange => under(PREFIX.channel, uaid);
/** Messages of one device with ids in [first, last]. */
export const messageKeys = (uaid: Uint8Array, first: number, last: number): KeyRange => ({
  start: messageKey(uaid, first),
  // A key is below any longer one that starts with it.
  end: key(PREFIX.message, uaid, [8, last], Uint8Array.of(0)),
});
/** Messages of all devices. */
export const allMessageKeys = (): KeyRange => ({
  start: key(PREFIX.message),
  end: key(PREFIX.message + 1),
});
/** Messages that expire up to and including `nowMs`. */
export const expiryKeysUntil = (nowMs: number): KeyRange => ({
  start: key(PREFIX.expiry),
  end: key(PREFIX.expiry, [8, nowMs + 1]),
});
/** All devices. */
export const deviceKeys = (): KeyRange => ({
  start: key(PREFIX.device),
  end: key(PREFIX.device + 1),
});
/** Devices to be looked at up to and including `nowMs`. */
export const dueKeysUntil = (nowMs: number): KeyRange => ({
  start: key(PREFIX.due),
  end: key(PREFIX.due, [8, nowMs + 1]),
});

/** Message id at the end of a message key. */
export function idOfMessageKey(bytes: Uint8Array): number {
  return readUint(bytes, 17, 8);
}

/** Parts of an expiry key. */
export function partsOfExpiryKey(bytes: Uint8Array): { uaid: Uint8Array; id: number } {
  // A Buffer's slice would be a view of it.
  return { uaid: Uint8Array.from(bytes.subarray(9, 25)), id: readUint(bytes, 25, 8) };
}

/** The device of a due key. */
export function uaidOfDueKey(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes.subarray(9, 25));
}

/** Channel number at the end of a channel key. */
export function channelOfChannelKey(bytes: Uint8Array): number {
  return readUint(bytes, 17, 4);
}

function under(prefix: number, uaid: Uint8Array): KeyRange {
  return { start: key(prefix, uaid), end: key(prefix, uaid, new Uint8Array(5).fill(0xff)) };
}

/** Digit by digit: a DataView and a BigInt for each key would be a twentieth of what a message costs. */
function key(prefix: number, ...fields: readonly Field[]): Uint8Array {
  let length = 1;
  for (const field of fields) length += field instanceof Uint8Array ? field.length : field[0];
  const bytes = new Uint8Array(length);
  bytes[0] = prefix;
  let at = 1;
  for (const field of fields) {
    if (field instanceof Uint8Array) {
      bytes.set(field, at);
      at += field.length;
      continue;
    }
    const [width, value] = field;
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no integer of a key`);
    let left = value;
    for (let digit = at + width - 1; digit >= at; digit--) {
      bytes[digit] = left % 256;
      left = Math.floor(left / 256);
    }
    at += width;
  }
  return bytes;
}

function readUint(bytes: Uint8Array, at: number, width: 4 | 8): number {
  let value = 0;
  for (let digit = at; digit < at + width; digit++) value = value * 256 + (bytes[digit] ?? 0);
  return value;
}
