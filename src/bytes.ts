// SPDX-License-Identifier: MIT
/**
 * Byte helpers every pure folder shares: compare, join, hex, UTF-8. Uses the engine's text codecs where there are any
 * (QuickJS has none) and gives the same result without them.
 */

/** True when both have the same bytes. Not constant-time: never for secrets. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A new array holding `parts` one after the other. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Lower-case hex, two characters a byte. */
export function hexEncode(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Bytes of a hex string, or null when it is not one. */
export function hexDecode(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** The engine's text codecs, which QuickJS lacks and the pure tsconfig does not know. */
interface TextCodecs {
  readonly TextEncoder?: new () => { encode(text: string): Uint8Array };
  readonly TextDecoder?: new () => { decode(bytes: Uint8Array): string };
}

/** UTF-8 of `text` in a new array; a lone surrogate becomes U+FFFD, as with TextEncoder. */
export function utf8Encode(text: string): Uint8Array {
  const { TextEncoder } = globalThis as unknown as TextCodecs;
  return TextEncoder === undefined ? utf8EncodePortable(text) : new TextEncoder().encode(text);
}

/** {@link utf8Encode} without the engine's help. */
export function utf8EncodePortable(text: string): Uint8Array {
  // Three bytes per UTF-16 unit is the most there can be: a pair makes four.
  const bytes = new Uint8Array(3 * text.length);
  let at = 0;
  for (const character of text) {
    let point = character.codePointAt(0) ?? 0;
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd;
    if (point < 0x80) {
      bytes[at++] = point;
      continue;
    }
    const continuations = point < 0x800 ? 1 : point < 0x1_0000 ? 2 : 3;
    // 0xc0, 0xe0, 0xf0: the lead byte says how many follow.
    bytes[at++] = ((0xf00 >> (continuations + 1)) & 0xff) | (point >> (6 * continuations));
    for (let left = continuations - 1; left >= 0; left--) bytes[at++] = 0x80 | ((point >> (6 * left)) & 0x3f);
  }
  return bytes.slice(0, at);
}

/** Kept: making one costs more than decoding a message with it, and without `stream` it has no state. */
const decoder = /* @__PURE__ */ newDecoder();

function newDecoder(): { decode(bytes: Uint8Array): string } | null {
  const { TextDecoder } = globalThis as unknown as TextCodecs;
  return TextDecoder === undefined ? null : new TextDecoder();
}

/**
 * Text of UTF-8 `bytes` (borrowed), decoded the WHATWG way: one leading byte order mark is dropped, each maximal
 * malformed subpart becomes U+FFFD. Never throws.
 */
export function utf8Decode(bytes: Uint8Array): string {
  return decoder === null ? utf8DecodePortable(bytes) : decoder.decode(bytes);
}

/** Code units handed to one `fromCharCode` call: a call per character is 30 times slower on QuickJS. */
const CODE_UNITS_PER_CALL = 512;

/** {@link utf8Decode} without the engine's help: what QuickJS runs, exported so that tests compare the two. */
export function utf8DecodePortable(bytes: Uint8Array): string {
  let at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  let text = "";
  while (at < bytes.length) {
    const chunk = textOfCodeUnits(bytes.subarray(at, at + CODE_UNITS_PER_CALL));
    if (/[\u0080-\u00ff]/.test(chunk)) return text + decodeMultibyte(bytes, at);
    text += chunk;
    at += CODE_UNITS_PER_CALL;
  }
  return text;
}

/** Decodes from `at` to the end, byte by byte (WHATWG Encoding, UTF-8 decoder). */
function decodeMultibyte(bytes: Uint8Array, at: number): string {
  const units = new Uint16Array(CODE_UNITS_PER_CALL);
  let used = 0;
  let text = "";
  while (at < bytes.length) {
    const lead = bytes[at++] ?? 0;
    let point = lead;
    if (lead >= 0x80) {
      let missing = continuationBytes(lead);
      // Only the first continuation byte has a narrower range: it excludes overlong forms, surrogates and > U+10FFFF.
      let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
      let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
      point = missing === 0 ? 0xfffd : lead & (0x3f >> missing);
      for (; missing > 0; missing--) {
        const next = bytes[at] ?? 0;
        if (next < low || next > high) {
          point = 0xfffd;
          break;
        }
        point = (point << 6) | (next & 0x3f);
        at++;
        low = 0x80;
        high = 0xbf;
      }
    }
    if (point > 0xffff) {
      units[used++] = 0xd7c0 + (point >> 10);
      point = 0xdc00 | (point & 0x3ff);
    }
    units[used++] = point;
    if (used > CODE_UNITS_PER_CALL - 2) {
      text += textOfCodeUnits(units.subarray(0, used));
      used = 0;
    }
  }
  return text + textOfCodeUnits(units.subarray(0, used));
}

/** Continuation bytes a lead byte of 0x80 or more announces; 0 when it can start nothing. */
function continuationBytes(lead: number): number {
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
}

function textOfCodeUnits(units: Uint8Array | Uint16Array): string {
  return String.fromCharCode.apply(null, units as unknown as number[]);
}
