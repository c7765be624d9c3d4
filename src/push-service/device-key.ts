// SPDX-License-Identifier: MIT
/** What stands for a device in Maps. */

/**
 * The uaid in hex as one flat string, in half the time `hexEncode` takes; a Map would keep the chain of thirty pieces that one makes, which is
 * 500 bytes.
 *
 * @param uaid 16 bytes
 */
export function deviceKey(uaid: Uint8Array): string {
  return Buffer.from(uaid).toString("hex");
}
