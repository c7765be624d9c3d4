// SPDX-License-Identifier: MIT
/**
 * base64url without padding (RFC 4648 §5, RFC 7515 §2), strict by default. Uses the engine's codec where there is one
 * (QuickJS-ng, newer Node) and a table elsewhere; both accept and refuse the same texts.
 */
import { GodwitError } from "../errors.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NOT_A_DIGIT = 64;
const DIGITS = /* @__PURE__ */ digitTable();

/** The codec of ECMAScript 2026, as far as it is used here. */
interface NativeDecoder {
  readonly fromBase64?: (
    text: string,
    options: { alphabet: "base64url"; lastChunkHandling: "loose" },
  ) => Uint8Array;
}
interface NativeEncoder {
  readonly toBase64?: (options: { alphabet: "base64url"; omitPadding: true }) => string;
}

/** Unpadded base64url of `bytes`: `ceil(4 * bytes.length / 3)` characters. */
export function base64urlEncode(bytes: Uint8Array): string {
  const native = bytes as NativeEncoder;
  if (native.toBase64 === undefined) return base64urlEncodePortable(bytes);
  return native.toBase64({ alphabet: "base64url", omitPadding: true });
}

/**
 * Bytes of unpadded base64url in a new array. Exactly one text stands for each array: padding, whitespace, the characters
 * `+` and `/`, a lone last digit and non-zero bits after the last byte are all refused.
 *
 * @throws {GodwitError} ERR_BASE64URL
 */
export function base64urlDecode(text: string): Uint8Array {
  const remainder = text.length % 4;
  // A digit is 6 bits, so after the last whole byte there are 4 unused bits, or 2: they must be zero.
  const unusedBits = remainder === 2 ? 0b1111 : remainder === 3 ? 0b11 : 0;
  const last = text.length === 0 ? 0 : digitAt(text, text.length - 1);
  if (remainder === 1 || last === NOT_A_DIGIT || (last & unusedBits) !== 0) throw malformed();
  const native = Uint8Array as unknown as NativeDecoder;
  if (native.fromBase64 === undefined) return base64urlDecodePortable(text);
  const bytes = nativeDecode(text);
  // The native decoder skips whitespace, so the length tells whether there was any.
  if (bytes === null || bytes.length !== bytesIn(text)) throw malformed();
  return bytes;
}

/**
 * Like {@link base64urlDecode}, for keys that senders spell carelessly (RFC 8292 `k`): also takes the standard alphabet and `=`
 * padding. Still refuses whitespace and a lone last digit.
 *
 * @throws {GodwitError} ERR_BASE64URL
 */
export function base64urlDecodeLenient(text: string): Uint8Array {
  let end = text.length;
  while (end > 0 && text.length - end < 2 && text[end - 1] === "=") end--;
  return base64urlDecode(text.slice(0, end).replaceAll("+", "-").replaceAll("/", "_"));
}

/** {@link base64urlEncode} without the engine's codec. */
export function base64urlEncodePortable(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    text += ALPHABET.charAt(group >> 18) + ALPHABET.charAt((group >> 12) & 63);
    if (left > 1) text += ALPHABET.charAt((group >> 6) & 63);
    if (left > 2) text += ALPHABET.charAt(group & 63);
  }
  return text;
}

/** The table decoder behind {@link base64urlDecode}, which has already checked the length and the unused bits. */
export function base64urlDecodePortable(text: string): Uint8Array {
  const bytes = new Uint8Array(bytesIn(text));
  let pending = 0;
  let pendingBits = 0;
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = digitAt(text, i);
    if (digit === NOT_A_DIGIT) throw malformed();
    pending = ((pending << 6) | digit) & 0xfff;
    pendingBits += 6;
    if (pendingBits < 8) continue;
    pendingBits -= 8;
    bytes[at++] = pending >> pendingBits;
  }
  return bytes;
}

function nativeDecode(text: string): Uint8Array | null {
  const native = Uint8Array as unknown as NativeDecoder;
  try {
    return native.fromBase64?.(text, { alphabet: "base64url", lastChunkHandling: "loose" }) ?? null;
  } catch {
    return null;
  }
}

function bytesIn(text: string): number {
  return Math.floor((text.length * 3) / 4);
}

function digitAt(text: string, index: number): number {
  return DIGITS[text.charCodeAt(index)] ?? NOT_A_DIGIT;
}

function digitTable(): Uint8Array {
  const digits = new Uint8Array(128).fill(NOT_A_DIGIT);
  for (let i = 0; i < ALPHABET.length; i++) digits[ALPHABET.charCodeAt(i)] = i;
  return digits;
}

/** The text itself may be a key, so it stays out of the message. */
function malformed(): GodwitError {
  return new GodwitError("ERR_BASE64URL", "not unpadded base64url");
}
