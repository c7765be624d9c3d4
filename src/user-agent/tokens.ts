// SPDX-License-Identifier: MIT
/** Tokens, their digests and message authentication as text, over any {@link CryptoProvider}. */

import { utf8Encode } from "../bytes.ts";
import { base64urlEncode } from "../webpush/base64url.ts";
import { type CryptoProvider, type RandomFill, SHA256_BYTES } from "../webpush/crypto.ts";

const TOKEN_BYTES = 32;

/** 256 random bits as base64url, 43 characters. */
export function newToken(randomFill: RandomFill): string {
  return randomText(randomFill, TOKEN_BYTES);
}

/** So many random bytes as base64url. */
export function randomText(randomFill: RandomFill, bytes: number): string {
  const random = new Uint8Array(bytes);
  randomFill(random);
  return base64urlEncode(random);
}

/** SHA-256 as base64url: all that is kept of a token. */
export function digestOf(provider: CryptoProvider, token: string): string {
  return base64urlEncode(provider.sha256(utf8Encode(token)));
}

/** base64url of HMAC-SHA-256 over `text`, keyed with the UTF-8 of `key`. */
export function hmacText(provider: CryptoProvider, key: string, text: string): string {
  const code = new Uint8Array(SHA256_BYTES);
  provider.hmac(utf8Encode(key)).mac(utf8Encode(text), code);
  return base64urlEncode(code);
}

/** Takes the same time whatever differs, and however long `given` is beyond hashing it. */
export function isSame(provider: CryptoProvider, given: string, known: string): boolean {
  const [one, other] = [given, known].map((text) => provider.sha256(utf8Encode(text)));
  let difference = 0;
  for (let at = 0; at < SHA256_BYTES; at++) difference |= (one?.[at] ?? 0) ^ (other?.[at] ?? 0);
  return difference === 0;
}
