// SPDX-License-Identifier: MIT
/**
 * Reads and writes the framing of one encrypted message: the `aes128gcm` header (RFC 8188 §2.1) and the padding of its
 * single record (RFC 8291 §4). Knows no keys and checks no curve; the legacy `aesgcm` framing is in aesgcm.ts.
 */
import { GodwitError } from "../errors.ts";
import { GCM_TAG_BYTES, PUBLIC_KEY_BYTES } from "./crypto.ts";

export const SALT_BYTES = 16;
/** RFC 8188 §2.1: salt (16), record size (4), key id length (1). */
export const HEADER_FIXED_BYTES = 21;
/** The header of a Web Push message, whose key id is the sender's public key (RFC 8291 §4). */
export const HEADER_BYTES = HEADER_FIXED_BYTES + PUBLIC_KEY_BYTES;
/** RFC 8188 §2: the 16-byte tag, one delimiter and one octet. */
export const RECORD_BYTES_MIN = 18;
/** Delimiter of the last record (RFC 8188 §2). */
export const LAST_RECORD_DELIMITER = 2;
/** The shortest record with anything in it: an empty plaintext's delimiter and the tag. */
const CIPHERTEXT_BYTES_MIN = GCM_TAG_BYTES + 1;

/** The parts of one `aes128gcm` body; every array views the body. */
export interface Aes128GcmMessage {
  /** 16 bytes. */
  readonly salt: Uint8Array;
  /** Unsigned 32 bits; authenticated by nothing, so it limits and allocates nothing. */
  readonly recordBytes: number;
  /** 65 bytes that should be the sender's public key; not validated here. */
  readonly senderPublicKey: Uint8Array;
  /** The one record, 17 bytes or more, tag included. */
  readonly sealed: Uint8Array;
}

/**
 * Parses an `aes128gcm` body in place (RFC 8188 §2.1, RFC 8291 §4). Errors in this order:
 *
 * @throws {GodwitError} ERR_ECE_TOO_LARGE over `limitBytes`
 * @throws {GodwitError} ERR_ECE_TRUNCATED_HEADER shorter than 21 bytes
 * @throws {GodwitError} ERR_ECE_BAD_RECORD_SIZE record size below 18
 * @throws {GodwitError} ERR_ECE_BAD_KEYID_LENGTH key id not 65 bytes
 * @throws {GodwitError} ERR_ECE_TRUNCATED_HEADER shorter than 86 bytes
 * @throws {GodwitError} ERR_ECE_TRUNCATED_RECORD record shorter than 17 bytes
 */
export function parseAes128Gcm(body: Uint8Array, limitBytes: number): Aes128GcmMessage {
  checkBodyLimit(body, limitBytes);
  if (body.length < HEADER_FIXED_BYTES) throw truncatedHeader(body, HEADER_FIXED_BYTES);
  const recordBytes = uint32At(body, SALT_BYTES);
  if (recordBytes < RECORD_BYTES_MIN) {
    throw new GodwitError(
      "ERR_ECE_BAD_RECORD_SIZE",
      `record size ${recordBytes} is below ${RECORD_BYTES_MIN}`,
    );
  }
  const keyIdBytes = body[HEADER_FIXED_BYTES - 1];
  if (keyIdBytes !== PUBLIC_KEY_BYTES) {
    throw new GodwitError(
      "ERR_ECE_BAD_KEYID_LENGTH",
      `key id of ${keyIdBytes} bytes, not ${PUBLIC_KEY_BYTES}`,
    );
  }
  if (body.length < HEADER_BYTES) throw truncatedHeader(body, HEADER_BYTES);
  if (body.length < HEADER_BYTES + CIPHERTEXT_BYTES_MIN) throw truncatedRecord(body.length - HEADER_BYTES);
  return {
    salt: body.subarray(0, SALT_BYTES),
    recordBytes,
    senderPublicKey: body.subarray(HEADER_FIXED_BYTES, HEADER_BYTES),
    sealed: body.subarray(HEADER_BYTES),
  };
}

/**
 * Writes the 86-byte header (RFC 8188 §2.1) to the start of `into`.
 *
 * @param salt 16 bytes
 * @param senderPublicKey 65 bytes
 */
export function writeAes128GcmHeader(
  into: Uint8Array,
  salt: Uint8Array,
  recordBytes: number,
  senderPublicKey: Uint8Array,
): void {
  into.set(salt);
  for (let i = 0; i < 4; i++) into[SALT_BYTES + i] = recordBytes >>> (24 - 8 * i);
  into[HEADER_FIXED_BYTES - 1] = senderPublicKey.length;
  into.set(senderPublicKey, HEADER_FIXED_BYTES);
}

/**
 * The plaintext before the delimiter, as a plain Uint8Array viewing `padded` (RFC 8188 §2). The delimiter must be 2: that
 * is the truncation check RFC 8291 §4 demands of a receiver that takes one record only.
 *
 * @throws {GodwitError} ERR_ECE_BAD_PADDING when the last non-zero octet is not 2, or there is none
 */
export function unpadLastRecord(padded: Uint8Array): Uint8Array {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end--;
  if (end < 0 || padded[end] !== LAST_RECORD_DELIMITER) {
    throw new GodwitError(
      "ERR_ECE_BAD_PADDING",
      "the record does not end in the last-record delimiter and zeros",
    );
  }
  // Not subarray(): a native provider may have returned a subclass such as Buffer.
  return new Uint8Array(padded.buffer, padded.byteOffset, end);
}

/** @throws {GodwitError} ERR_ECE_TOO_LARGE when `body` is longer than `limitBytes` */
export function checkBodyLimit(body: Uint8Array, limitBytes: number): void {
  if (body.length <= limitBytes) return;
  throw new GodwitError("ERR_ECE_TOO_LARGE", `body of ${body.length} bytes, limit ${limitBytes}`);
}

/** @throws {GodwitError} ERR_ECE_MULTIPLE_RECORDS when `sealedBytes` do not fit one record of `recordBytesMax` */
export function checkSingleRecord(sealedBytes: number, recordBytesMax: number): void {
  if (sealedBytes <= recordBytesMax) return;
  throw new GodwitError("ERR_ECE_MULTIPLE_RECORDS", `${sealedBytes} bytes in records of ${recordBytesMax}`);
}

/** ERR_ECE_TRUNCATED_RECORD for a record of `bytes`. */
export function truncatedRecord(bytes: number): GodwitError {
  return new GodwitError("ERR_ECE_TRUNCATED_RECORD", `the record was cut off after ${bytes} bytes`);
}

function truncatedHeader(body: Uint8Array, neededBytes: number): GodwitError {
  return new GodwitError("ERR_ECE_TRUNCATED_HEADER", `header needs ${neededBytes} bytes, got ${body.length}`);
}

/** Big-endian and unsigned: shifts alone would make record sizes from 2^31 negative. */
function uint32At(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let i = 0; i < 4; i++) value = (value << 8) | (bytes[at + i] ?? 0);
  return value >>> 0;
}
