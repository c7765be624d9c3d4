// SPDX-License-Identifier: MIT
/**
 * CBOR (RFC 8949) as frames and journal records use it, read and written with every bound checked on the way. Pure.
 *
 * The profile: arrays, byte strings, text, integers exact in a double, false, true and null; definite lengths, no tags,
 * text in valid UTF-8 that does not begin with a byte order mark. Such bytes are ordinary CBOR to everybody else.
 *
 * Ours rather than a library's: one that reads all of CBOR has to be fenced in by a scan over the same bytes first, and
 * the two together are eight times this file in a firmware image (30.3 KB of cbor-x). The tests hold it against cbor-x.
 */
import { bytesEqual, utf8Decode, utf8Encode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";

/** What one encoded value may hold. */
export interface CborLimits {
  /** Arrays inside each other; 1 allows an array of plain items. */
  readonly depthMax: number;
  /** Data items, counting arrays. */
  readonly itemsMax: number;
}

const MAJOR_UNSIGNED = 0;
const MAJOR_NEGATIVE = 1;
const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_ARRAY = 4;
const MAJOR_SIMPLE = 7;

/** Head bytes of the simple values. */
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;

const UINT32_COUNT = 0x1_0000_0000;
/** Nothing of ours nests deeper, and a loop ends here. */
const ENCODED_DEPTH_MAX = 16;
const SCRATCH_BYTES = 256;

/**
 * Bytes of `value`, which is null, a boolean, an integer, a string, a `Uint8Array`, or an array of such. The result is a
 * fresh array the caller owns; what was needed to build it is zeroed, since keys and tokens pass through here.
 *
 * Integers take the shortest form; text is made well-formed (a lone surrogate becomes U+FFFD) and loses leading byte
 * order marks, so that {@link decodeCbor} accepts whatever this returns.
 *
 * @throws {GodwitError} ERR_CBOR_VALUE when `value` holds anything else
 */
export function encodeCbor(value: unknown): Uint8Array {
  const writer = new Writer();
  try {
    writer.item(value, 0);
    return writer.bytes();
  } finally {
    writer.wipe();
  }
}

/**
 * The one value in `bytes`. Byte strings in it are views of `bytes`: copy what outlives the frame.
 *
 * A length is believed only as far as there are bytes, so memory stays proportional to `bytes.length`.
 *
 * @throws {GodwitError} ERR_CBOR_TOO_DEEP, ERR_CBOR_TOO_MANY_ITEMS, else ERR_CBOR_MALFORMED; nothing but these
 */
export function decodeCbor(bytes: Uint8Array, limits: CborLimits): unknown {
  // A new view, so that the views in the result are plain even where a Buffer comes in.
  const reader = new Reader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), limits);
  const value = reader.item(0);
  reader.end();
  return value;
}

class Writer {
  #scratch = new Uint8Array(SCRATCH_BYTES);
  #at = 0;

  bytes(): Uint8Array {
    return this.#scratch.slice(0, this.#at);
  }

  wipe(): void {
    this.#scratch.fill(0);
  }

  item(value: unknown, depth: number): void {
    if (value === null) this.#byte(NULL);
    else if (typeof value === "boolean") this.#byte(value ? TRUE : FALSE);
    else if (Number.isSafeInteger(value)) this.#integer(value as number);
    else if (typeof value === "string") this.#string(MAJOR_TEXT, utf8Encode(value.replace(/^\ufeff+/, "")));
    else if (value instanceof Uint8Array) this.#string(MAJOR_BYTES, value);
    else if (Array.isArray(value) && depth < ENCODED_DEPTH_MAX) {
      this.#head(MAJOR_ARRAY, value.length);
      for (const element of value) this.item(element, depth + 1);
    } else throw new GodwitError("ERR_CBOR_VALUE", `a value of type ${typeof value} cannot be encoded`);
  }

  #integer(value: number): void {
    if (value < 0) this.#head(MAJOR_NEGATIVE, -1 - value);
    else this.#head(MAJOR_UNSIGNED, value);
  }

  #string(major: number, bytes: Uint8Array): void {
    this.#head(major, bytes.length);
    this.#reserve(bytes.length);
    this.#scratch.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** RFC 8949 §3: the argument in the head itself, or in the 1, 2, 4 or 8 bytes behind it. */
  #head(major: number, argument: number): void {
    const lead = major << 5;
    if (argument < 24) return this.#byte(lead | argument);
    const width = argument < 0x100 ? 0 : argument < 0x1_0000 ? 1 : argument < UINT32_COUNT ? 2 : 3;
    this.#byte(lead | (24 + width));
    for (let shift = 8 * (1 << width) - 8; shift >= 0; shift -= 8)
      this.#byte(Math.floor(argument / 2 ** shift) & 0xff);
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#scratch[this.#at++] = byte;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#scratch.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#scratch.length, this.#at + bytes));
    larger.set(this.#scratch);
    this.wipe();
    this.#scratch = larger;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #limits: CborLimits;
  #at = 0;
  #items = 0;

  constructor(bytes: Uint8Array, limits: CborLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed("bytes behind the value");
  }

  item(depth: number): unknown {
    if (++this.#items > this.#limits.itemsMax) {
      throw new GodwitError("ERR_CBOR_TOO_MANY_ITEMS", `more than ${this.#limits.itemsMax} items`);
    }
    const head = this.#byte();
    const major = head >> 5;
    if (major === MAJOR_SIMPLE) return simpleValue(head);
    const argument = this.#argument(head & 0x1f);
    switch (major) {
      case MAJOR_UNSIGNED:
      case MAJOR_NEGATIVE:
        // -1 - argument has to be exact as well.
        if (argument > Number.MAX_SAFE_INTEGER - major) throw malformed("integer beyond 2^53");
        return major === MAJOR_UNSIGNED ? argument : -1 - argument;
      case MAJOR_BYTES:
        return this.#take(argument);
      case MAJOR_TEXT:
        return text(this.#take(argument));
      case MAJOR_ARRAY:
        return this.#array(argument, depth + 1);
      default:
        throw malformed("a map or a tag");
    }
  }

  #array(length: number, depth: number): unknown[] {
    if (depth > this.#limits.depthMax) {
      throw new GodwitError("ERR_CBOR_TOO_DEEP", `more than ${this.#limits.depthMax} levels`);
    }
    // Each item takes a byte at least, so a huge length ends here and not in a long loop.
    if (length > this.#bytes.length - this.#at) throw malformed("truncated");
    const items: unknown[] = [];
    for (let i = 0; i < length; i++) items.push(this.item(depth));
    return items;
  }

  /** Arguments beyond 2^53 come out inexact, yet far above any input. */
  #argument(low: number): number {
    if (low < 24) return low;
    if (low > 27) throw malformed("indefinite or reserved length");
    let value = 0;
    for (let left = 1 << (low - 24); left > 0; left--) value = value * 256 + this.#byte();
    return value;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw malformed("truncated");
    this.#at++;
    return byte;
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw malformed("truncated");
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function simpleValue(head: number): boolean | null {
  if (head === NULL) return null;
  if (head === TRUE || head === FALSE) return head === TRUE;
  throw malformed("a float or an unknown simple value");
}

/** Refuses what is not UTF-8 (RFC 3629) or begins with U+FEFF, which a decoder would repair or drop. */
function text(bytes: Uint8Array): string {
  const decoded = utf8Decode(bytes);
  // A lossy decoder leaves U+FFFD for what it repaired; only then is a second look worth its time.
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) throw malformed("byte order mark");
  if (decoded.includes("\ufffd") && !bytesEqual(utf8Encode(decoded), bytes))
    throw malformed("text is not UTF-8");
  return decoded;
}

function malformed(what: string): GodwitError {
  return new GodwitError("ERR_CBOR_MALFORMED", `malformed CBOR: ${what}`);
}
