// SPDX-License-Identifier: MIT
/** The short digest by which device and service see whether they know the same channels. Pure. */

import { sha256 } from "@noble/hashes/sha2.js";

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
