// SPDX-License-Identifier: MIT
/**
 * CRC32C (Castagnoli, RFC 3720 §12.1) over part of an array. Pure; it finds damage, not forgery.
 */

/** Reflected form of the polynomial 0x1EDC6F41. */
const POLYNOMIAL = 0x82f63b78;
const TABLE = makeTable();

/**
 * CRC32C of `bytes` from `start` up to `end`, as an unsigned 32-bit number. `previous` is the CRC of what came before,
 * so a checksum can run over several arrays.
 */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length, previous = 0): number {
  let crc = ~previous;
  for (let at = start; at < end; at++) {
    crc = (TABLE[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

function makeTable(): Int32Array {
  const table = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    table[byte] = crc;
  }
  return table;
}
