// SPDX-License-Identifier: MIT
/**
 * The legacy `aesgcm` coding (draft-ietf-webpush-encryption-04 on draft-ietf-httpbis-encryption-encoding-03), receiving
 * only: salt and sender key come in headers, padding leads. Off unless a subscription's option allows it.
 */
import { GodwitError } from "../errors.ts";
import { ENCRYPTION_HEADER_CHARS_MAX } from "../limits.ts";
import { base64urlDecode } from "./base64url.ts";
import { checkBodyLimit, checkSingleRecord, SALT_BYTES, truncatedRecord } from "./content-coding.ts";
import {
  type CryptoProvider,
  GCM_TAG_BYTES,
  type ImportedKeys,
  PUBLIC_KEY_BYTES,
  type SubscriptionKeys,
} from "./crypto.ts";
import { hkdfInfo } from "./key-derivation.ts";
import { authFailed } from "./keys.ts";
import { parseParameterLists } from "./parameters.ts";

/** Octets that hold the padding's length. */
const PAD_LENGTH_BYTES = 2;
const RECORD_BYTES_DEFAULT = 4096;

/** The two headers of an `aesgcm` message, as received. */
export interface AesgcmHeaders {
  readonly encryption?: string | null | undefined;
  readonly cryptoKey?: string | null | undefined;
}

/** What the headers of an `aesgcm` message say. */
export interface AesgcmParameters {
  /** 16 bytes. */
  readonly salt: Uint8Array;
  /** Record size without the tag, 3 or more. */
  readonly recordBytes: number;
  /** Any length; not validated here. */
  readonly senderPublicKey: Uint8Array;
}

/**
 * Reads `Encryption` and `Crypto-Key`. Errors in this order:
 *
 * @throws {GodwitError} ERR_ECE_BAD_ENCRYPTION_HEADER missing, malformed, over the limit, several lists, or without salt
 * @throws {GodwitError} ERR_ECE_BAD_SALT not unpadded base64url of 16 bytes
 * @throws {GodwitError} ERR_ECE_BAD_RECORD_SIZE `rs` not a number above 2
 * @throws {GodwitError} ERR_ECE_BAD_CRYPTO_KEY_HEADER missing, malformed, over the limit, or without the one fitting `dh`
 */
export function parseAesgcmHeaders(headers: AesgcmHeaders): AesgcmParameters {
  const lists = parseBounded(headers.encryption);
  const encryption = lists?.length === 1 ? lists[0] : undefined;
  const saltText = encryption?.get("salt");
  if (encryption === undefined || saltText === undefined) {
    throw new GodwitError("ERR_ECE_BAD_ENCRYPTION_HEADER", "no single Encryption header with a salt");
  }
  const salt = decodeOrNull(saltText);
  if (salt?.length !== SALT_BYTES) {
    throw new GodwitError("ERR_ECE_BAD_SALT", `the salt is not unpadded base64url of ${SALT_BYTES} bytes`);
  }
  const recordBytes = parseRecordSize(encryption.get("rs"));
  const senderPublicKey = senderKey(headers.cryptoKey, encryption.get("keyid"));
  return { salt, recordBytes, senderPublicKey };
}

/**
 * Decrypts one `aesgcm` body of one record; like `decrypt`, whose errors it shares, plus those of
 * {@link parseAesgcmHeaders}, which come after ERR_ECE_TOO_LARGE and before the body's.
 */
export function decryptAesgcm(
  body: Uint8Array,
  keys: SubscriptionKeys,
  own: ImportedKeys,
  provider: CryptoProvider,
  limitBytes: number,
  headers: AesgcmHeaders,
): Uint8Array {
  const { scratch } = provider;
  checkBodyLimit(body, limitBytes);
  const { salt, recordBytes, senderPublicKey } = parseAesgcmHeaders(headers);
  // The last record is always the shorter one, so a body of whole records was cut at a record boundary.
  if (body.length <= GCM_TAG_BYTES || body.length % (recordBytes + GCM_TAG_BYTES) === 0) {
    throw truncatedRecord(body.length);
  }
  if (!own.agree(senderPublicKey, scratch.ecdhSecret)) {
    throw new GodwitError("ERR_ECE_INVALID_PUBLIC_KEY", "the sender's key is not a point on P-256");
  }
  checkSingleRecord(body.length, recordBytes + GCM_TAG_BYTES);
  deriveAesgcmKey(provider, own, keys.publicKey, senderPublicKey, salt);
  const padded = provider.gcmOpen(scratch.cek, scratch.nonce, body);
  if (padded === null) throw authFailed(own);
  return unpadLeading(padded);
}

/** As `deriveContentKey`, with the draft's context block in the infos. Allocates: this path is rare. */
function deriveAesgcmKey(
  provider: CryptoProvider,
  own: ImportedKeys,
  uaPublicKey: Uint8Array,
  asPublicKey: Uint8Array,
  salt: Uint8Array,
): void {
  const { scratch } = provider;
  const { chain } = scratch;
  const context = new Uint8Array(6 + 2 + PUBLIC_KEY_BYTES + 2 + PUBLIC_KEY_BYTES);
  context.set([0x50, 0x2d, 0x32, 0x35, 0x36, 0, 0, PUBLIC_KEY_BYTES]); // "P-256", 0, 16-bit length
  context.set(uaPublicKey, 8);
  context[8 + PUBLIC_KEY_BYTES + 1] = PUBLIC_KEY_BYTES;
  context.set(asPublicKey, 8 + PUBLIC_KEY_BYTES + 2);
  own.authHmac.mac(scratch.ecdhSecret, chain);
  provider.hmac(chain).mac(hkdfInfo("Content-Encoding: auth"), chain);
  provider.hmac(salt).mac(chain, chain);
  const prk = provider.hmac(chain);
  prk.mac(hkdfInfo("Content-Encoding: aesgcm", context), scratch.cekBlock);
  prk.mac(hkdfInfo("Content-Encoding: nonce", context), scratch.nonceBlock);
}

function unpadLeading(padded: Uint8Array): Uint8Array {
  const padBytes = ((padded[0] ?? 0) << 8) | (padded[1] ?? 0);
  const start = PAD_LENGTH_BYTES + padBytes;
  let isZero = start <= padded.length;
  for (let i = PAD_LENGTH_BYTES; isZero && i < start; i++) isZero = padded[i] === 0;
  if (!isZero) throw new GodwitError("ERR_ECE_BAD_PADDING", "the declared padding is not there or not zero");
  return new Uint8Array(padded.buffer, padded.byteOffset + start, padded.length - start);
}

function parseRecordSize(text: string | undefined): number {
  if (text === undefined) return RECORD_BYTES_DEFAULT;
  const recordBytes = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (recordBytes > PAD_LENGTH_BYTES) return recordBytes;
  throw new GodwitError("ERR_ECE_BAD_RECORD_SIZE", `rs is not a number above ${PAD_LENGTH_BYTES}`);
}

/** The `dh` with the Encryption header's key id; without one, the only `dh` there is. */
function senderKey(cryptoKey: string | null | undefined, keyId: string | undefined): Uint8Array {
  const withKey = (parseBounded(cryptoKey) ?? []).filter((list) => list.has("dh"));
  const fitting = keyId === undefined ? withKey : withKey.filter((list) => list.get("keyid") === keyId);
  const key = fitting.length === 1 ? decodeOrNull(fitting[0]?.get("dh") ?? "") : null;
  if (key !== null) return key;
  throw new GodwitError("ERR_ECE_BAD_CRYPTO_KEY_HEADER", "no single readable dh for the message's key id");
}

function parseBounded(header: string | null | undefined): readonly ReadonlyMap<string, string>[] | null {
  if (header === undefined || header === null || header.length > ENCRYPTION_HEADER_CHARS_MAX) return null;
  return parseParameterLists(header);
}

function decodeOrNull(text: string): Uint8Array | null {
  try {
    return base64urlDecode(text);
  } catch {
    return null;
  }
}
