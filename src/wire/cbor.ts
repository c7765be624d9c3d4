// SPDX-License-Identifier: MIT
/**
 * CBOR (RFC 8949) as frames and journal records use it: a strict scan that bounds everything, then cbor-x. Pure.
 *
 * The profile: definite lengths, no tags, map keys are text and unique, integers exact in a double, of the simple
 * values only false, true and null, text in valid UTF-8 that does not begin with a byte order mark.
 */
import { Encoder } from "cbor-x/encode";
import { GodwitError } from "../errors.ts";

/** What one encoded value may hold. */
export interface CborLimits {
  /** Arrays and maps inside each other; 1 allows an array of plain items. */
  readonly depthMax: number;
  /** Data items, counting containers, map keys and map values. */
  readonly itemsMax: number;
}

/**
 * Bytes of `value`, which is null, a boolean, a number, a string, a `Uint8Array`, or an array or plain object of such. The
 * result is a fresh plain `Uint8Array` the caller owns; nothing else keeps a copy.
 *
 * Integers take the shortest form, 64-bit ones included; text is made well-formed (a lone surrogate becomes U+FFFD)
 * and loses a leading byte order mark, so that {@link decodeCbor} accepts whatever this returns.
 *
 * @throws {GodwitError} ERR_CBOR_VALUE when `value` holds anything else
 */
export function encodeCbor(value: unknown): Uint8Array {
  try {
    const scratch: Uint8Array = codec.encode(prepare(value));
    const bytes = new Uint8Array(scratch.length);
    bytes.set(scratch);
    // cbor-x writes into a buffer it uses again, and what passes through here includes keys and tokens.
    scratch.fill(0);
    return bytes;
  } catch (error) {
    if (error instanceof GodwitError) throw error;
    throw new GodwitError("ERR_CBOR_VALUE", "the value cannot be encoded");
  }
}

/**
 * The one value in `bytes`. Byte strings in it are plain `Uint8Array` views of `bytes`: copy what outlives the frame.
 *
 * The structure is checked before anything is allocated, so memory stays proportional to `bytes.length`.
 *
 * @throws {GodwitError} ERR_CBOR_TOO_DEEP, ERR_CBOR_TOO_MANY_ITEMS, else ERR_CBOR_MALFORMED; nothing but these
 */
export function decodeCbor(bytes: Uint8Array, limits: CborLimits): unknown {
  const scan = new Scan(bytes, limits);
  scan.run();
  let value: unknown;
  try {
    // A new view: cbor-x hangs a DataView on its argument, and of a Buffer it would return Buffers.
    value = codec.decode(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    throw malformed("not decodable");
  }
  // cbor-x keeps the last of duplicate keys, so an entry is then missing.
  if (scan.mapEntries > 0 && countEntries(value) !== scan.mapEntries) throw malformed("duplicate map key");
  return value;
}

/** `int64AsNumber` is missing from the type definitions of cbor-x; the scan has refused what a number cannot hold. */
const OPTIONS = { useRecords: false, variableMapSize: true, tagUint8Array: false, int64AsNumber: true };
const codec = new Encoder(OPTIONS);

const MAJOR_UNSIGNED = 0;
const MAJOR_NEGATIVE = 1;
const MAJOR_BYTES = 2;
const MAJOR_TEXT = 3;
const MAJOR_ARRAY = 4;
const MAJOR_MAP = 5;
const MAJOR_SIMPLE = 7;

/** One pass over the structure without allocating anything. */
class Scan {
  mapEntries = 0;
  readonly #bytes: Uint8Array;
  readonly #limits: CborLimits;
  #at = 0;
  #items = 0;

  constructor(bytes: Uint8Array, limits: CborLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  run(): void {
    this.#item(0, false);
    if (this.#at !== this.#bytes.length) throw malformed("bytes behind the value");
  }

  #item(depth: number, isKey: boolean): void {
    this.#items++;
    if (this.#items > this.#limits.itemsMax) {
      throw new GodwitError("ERR_CBOR_TOO_MANY_ITEMS", `more than ${this.#limits.itemsMax} items`);
    }
    const head = this.#byte();
    const major = head >> 5;
    const low = head & 0x1f;
    if (isKey && major !== MAJOR_TEXT) throw malformed("map key is not text");
    if (major === MAJOR_SIMPLE) {
      this.#simple(low);
      return;
    }
    const argument = this.#argument(low);
    switch (major) {
      case MAJOR_UNSIGNED:
      case MAJOR_NEGATIVE:
        // -1 - argument has to be exact as well.
        if (argument > Number.MAX_SAFE_INTEGER - major) throw malformed("integer beyond 2^53");
        return;
      case MAJOR_BYTES:
        this.#skip(argument);
        return;
      case MAJOR_TEXT: {
        const start = this.#at;
        this.#skip(argument);
        checkText(this.#bytes, start, this.#at);
        return;
      }
      case MAJOR_ARRAY:
        this.#children(argument, argument, depth + 1, false);
        return;
      case MAJOR_MAP:
        this.#children(argument * 2, argument, depth + 1, true);
        return;
      default:
        throw malformed("tag");
    }
  }

  #children(count: number, entries: number, depth: number, isMap: boolean): void {
    if (depth > this.#limits.depthMax) {
      throw new GodwitError("ERR_CBOR_TOO_DEEP", `more than ${this.#limits.depthMax} levels`);
    }
    // Each item takes a byte at least, so a huge count ends here and not in a long loop.
    if (count > this.#bytes.length - this.#at) throw malformed("truncated");
    if (isMap) this.mapEntries += entries;
    for (let i = 0; i < count; i++) this.#item(depth, isMap && i % 2 === 0);
  }

  #simple(low: number): void {
    if (low === 20 || low === 21 || low === 22) return;
    if (low === 25) this.#skip(2);
    else if (low === 26) this.#skip(4);
    else if (low === 27) this.#skip(8);
    else throw malformed("simple value");
  }

  /** The argument of a head. Lengths beyond 2^53 come out inexact, yet far above any input. */
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

  #skip(length: number): void {
    if (length > this.#bytes.length - this.#at) throw malformed("truncated");
    this.#at += length;
  }
}

/** Refuses text that is not UTF-8 (RFC 3629) or begins with U+FEFF, which some engines would drop and others keep. */
function checkText(bytes: Uint8Array, start: number, end: number): void {
  if (end - start >= 3 && bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) {
    throw malformed("byte order mark");
  }
  let at = start;
  while (at < end) {
    const lead = bytes[at] ?? 0;
    at++;
    if (lead < 0x80) continue;
    const more = continuationBytes(lead);
    if (more === 0 || at + more > end) throw malformed("text is not UTF-8");
    const second = bytes[at] ?? 0;
    // The second byte decides about overlong forms, surrogates and code points above U+10FFFF.
    const secondMin = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const secondMax = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (second < secondMin || second > secondMax) throw malformed("text is not UTF-8");
    for (let i = 1; i < more; i++) {
      if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) throw malformed("text is not UTF-8");
    }
    at += more;
  }
}

/** Bytes that follow `lead` in UTF-8; 0 when it cannot begin a character of more than one byte. */
function continuationBytes(lead: number): number {
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (lead < 0xe0) return 1;
  return lead < 0xf0 ? 2 : 3;
}

/** Map entries of a decoded value, nested ones included. */
function countEntries(value: unknown): number {
  let count = 0;
  if (Array.isArray(value)) {
    for (const item of value) count += countEntries(item);
  } else if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
    for (const item of Object.values(value)) count += 1 + countEntries(item);
  }
  return count;
}

/** `value` as cbor-x should see it: big integers as integers (it would write doubles), well-formed text, nothing else. */
function prepare(value: unknown): unknown {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") return isWide(value) ? BigInt(value) : value;
  if (typeof value === "string") return wellFormed(value);
  if (value instanceof Uint8Array) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return value.map(prepare);
  if (typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype)
    return prepareMap(value);
  throw new GodwitError("ERR_CBOR_VALUE", `${typeof value} cannot be encoded`);
}

function prepareMap(value: object): Record<string, unknown> {
  const map: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    if (key === "__proto__") throw new GodwitError("ERR_CBOR_VALUE", "a map key cannot be __proto__");
    map[wellFormed(key)] = prepare(item);
  }
  return map;
}

function isWide(value: number): boolean {
  return Number.isSafeInteger(value) && (value > 0xffff_ffff || value < -0x1_0000_0000);
}

function wellFormed(text: string): string {
  const body = text.startsWith("\ufeff") ? text.replace(/^\ufeff+/, "") : text;
  return SURROGATE.test(body) ? body.replace(LONE_SURROGATES, "\ufffd") : body;
}

const SURROGATE = /[\ud800-\udfff]/;
const LONE_SURROGATES = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function malformed(what: string): GodwitError {
  return new GodwitError("ERR_CBOR_MALFORMED", `malformed CBOR: ${what}`);
}
