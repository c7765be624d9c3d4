// SPDX-License-Identifier: MIT
/** Short digests both ends agree on: of a device's channels, and of its uaid for logs. Pure. */

import { sha256 } from "@noble/hashes/sha2.js";
import { hexEncode } from "../bytes.ts";

/**
 * Names the message ids of one device in one store: they start at 1 for every device, also for a new one of the same store.
 *
 * @param uaid 16 bytes
 * @returns an integer below 2^48
 */
export function deviceEpoch(uaid: Uint8Array, storeEpoch: number): number {
  const octets = new Uint8Array(24);
  octets.set(uaid);
  const view = new DataView(octets.buffer);
  view.setUint32(16, Math.floor(storeEpoch / 2 ** 32));
  view.setUint32(20, storeEpoch >>> 0);
  const digest = new DataView(sha256(octets).buffer);
  return digest.getUint16(0) * 2 ** 32 + digest.getUint32(2);
}

/** Length of {@link channelsDigest} in bytes. */
export const CHANNELS_DIGEST_BYTES = 8;

/**
 * First 8 bytes of SHA-256 over the channel numbers, ascending, 4 bytes each, big-endian.
 *
 * @param channels any order, each at most `CHANNEL_MAX`; not changed
 */
export function channelsDigest(channels: readonly number[]): Uint8Array {
  const sorted = [...channels].sort((a, b) => a - b);
  const octets = new Uint8Array(4 * sorted.length);
  const view = new DataView(octets.buffer);
  sorted.forEach((channel, index) => {
    view.setUint32(4 * index, channel);
  });
  return sha256(octets).slice(0, CHANNELS_DIGEST_BYTES);
}

/** First 8 hex digits of SHA-256 over the 16-byte uaid: tells devices apart in logs, on both ends, without naming them. */
export function deviceName(uaid: Uint8Array): string {
  return hexEncode(sha256(uaid).subarray(0, 4));
}
