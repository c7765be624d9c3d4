// SPDX-License-Identifier: MIT
/**
 * The bytes of a segment: its header, its frames, and finding frames again behind damage (SPEC.md, "Journal"). Pure; what
 * is inside the frames is in record-codec.ts.
 *
 * ```
 * segment = header header frame*
 * header  = "GODWIT" version(1) flags(1) generation(4) deviceBinding(16) salt(8) crc32c(4)            40 bytes
 * frame   = sync(2) crc32c(4) continues(1 bit) clearBytes(15 bits) sealedBytes(2) clear sealed
 * ```
 *
 * All numbers are big-endian. The header stands twice, so that no single damaged byte costs the segment. `sync` is the
 * beginning of the salt, and a frame's CRC starts from the salt: neither a stale block of an older segment nor bytes
 * somebody put into a push message can pass for a frame, because the salt is random and never leaves the device.
 */
import { bytesEqual } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { JOURNAL_RECORD_BYTES_MAX } from "../limits.ts";
import { crc32c } from "./crc32c.ts";
import type { EncodedRecord } from "./record-codec.ts";

export const DEVICE_BINDING_BYTES = 16;
export const SALT_BYTES = 8;
/** Both copies of the header; the first frame begins here. */
export const SEGMENT_HEADER_BYTES = 80;
/** What a frame adds to its record. */
export const FRAME_OVERHEAD_BYTES = 10;
/** Format version this code writes and reads. */
export const SEGMENT_VERSION = 1;

const COPY_BYTES = SEGMENT_HEADER_BYTES / 2;
const MAGIC = Uint8Array.of(0x47, 0x4f, 0x44, 0x57, 0x49, 0x54);
const VERSION_AT = 6;
const FLAGS_AT = 7;
const GENERATION_AT = 8;
const BINDING_AT = 12;
const SALT_AT = 28;
const HEADER_CRC_AT = 36;
const FLAG_SEALED = 1;
/** In `clearBytes`, whose highest bit no record needs. */
const CONTINUES = 0x8000;

/** What a segment says about itself. */
export interface SegmentHeader {
  /** Rises with every checkpoint. */
  readonly generation: number;
  /** 16 bytes: a hash of the host's device id. */
  readonly deviceBinding: Uint8Array;
  /** 8 bytes, see {@link makeSalt}. */
  readonly salt: Uint8Array;
  /** True when the secrets in it are sealed under a device key. */
  readonly isSealed: boolean;
}

/** Why there is no header: no intact copy, or one of a later format. */
export type HeaderFault = "unreadable" | "newerVersion";

/** 8 random bytes for one segment. The first is neither 0x00 nor 0xff: those fill erased or unwritten flash. */
export function makeSalt(randomFill: (target: Uint8Array) => void): Uint8Array {
  const salt = new Uint8Array(SALT_BYTES);
  randomFill(salt);
  salt[0] = 1 + ((salt[0] ?? 0) % 254);
  return salt;
}

/** Both copies of `header`, {@link SEGMENT_HEADER_BYTES} bytes. */
export function encodeHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint8(VERSION_AT, SEGMENT_VERSION);
  view.setUint8(FLAGS_AT, header.isSealed ? FLAG_SEALED : 0);
  view.setUint32(GENERATION_AT, header.generation);
  bytes.set(header.deviceBinding.subarray(0, DEVICE_BINDING_BYTES), BINDING_AT);
  bytes.set(header.salt.subarray(0, SALT_BYTES), SALT_AT);
  view.setUint32(HEADER_CRC_AT, crc32c(bytes, 0, HEADER_CRC_AT));
  bytes.copyWithin(COPY_BYTES, 0, COPY_BYTES);
  return bytes;
}

/** The header of `image`, from whichever copy is intact, or why there is none. Its arrays are copies. */
export function parseHeader(image: Uint8Array): SegmentHeader | HeaderFault {
  const first = parseCopy(image, 0);
  return first === "unreadable" ? parseCopy(image, COPY_BYTES) : first;
}

/** Generation of `image`, or null when it is not a segment this version reads. Hosts pick the active slot by it. */
export function segmentGeneration(image: Uint8Array): number | null {
  const header = parseHeader(image);
  return typeof header === "string" ? null : header.generation;
}

/**
 * The frame of `record` for the segment with this `salt`; the caller owns it.
 *
 * @param continues the record before it is written together with it
 * @throws {GodwitError} ERR_JOURNAL_RECORD when it is longer than {@link JOURNAL_RECORD_BYTES_MAX}, framed
 */
export function encodeFrame(record: EncodedRecord, salt: Uint8Array, continues = false): Uint8Array {
  const length = FRAME_OVERHEAD_BYTES + record.clear.length + record.sealed.length;
  if (length > JOURNAL_RECORD_BYTES_MAX) {
    throw new GodwitError("ERR_JOURNAL_RECORD", `a record of ${length} bytes is too long for the journal`);
  }
  const frame = new Uint8Array(length);
  const view = new DataView(frame.buffer);
  frame.set(salt.subarray(0, 2));
  view.setUint16(6, record.clear.length | (continues ? CONTINUES : 0));
  view.setUint16(8, record.sealed.length);
  frame.set(record.clear, FRAME_OVERHEAD_BYTES);
  frame.set(record.sealed, FRAME_OVERHEAD_BYTES + record.clear.length);
  view.setUint32(2, crc32c(frame, 6, length, crc32c(salt)));
  return frame;
}

/** One intact frame; the parts of `record` view the image. */
export interface Frame {
  readonly record: EncodedRecord;
  /** It was written together with the record before it. */
  readonly continues: boolean;
  /** Offset of the byte behind it. */
  readonly end: number;
  /** Bytes passed over to find it: 0 when it begins where the frame before ended. */
  readonly skippedBytes: number;
}

/**
 * Reads the frames of one image in order. Behind damage it looks for the next intact frame; the work for that is bounded
 * by a few times the length of the image.
 */
export class FrameReader {
  readonly #image: Uint8Array;
  readonly #view: DataView;
  readonly #salt: Uint8Array;
  readonly #seed: number;
  #at = SEGMENT_HEADER_BYTES;
  #searchBytesLeft: number;

  constructor(image: Uint8Array, salt: Uint8Array) {
    this.#image = image;
    this.#view = new DataView(image.buffer, image.byteOffset, image.byteLength);
    this.#salt = salt;
    this.#seed = crc32c(salt);
    this.#searchBytesLeft = 4 * image.length + JOURNAL_RECORD_BYTES_MAX;
  }

  /** The next intact frame, or null when none is left. */
  next(): Frame | null {
    const start = this.#at;
    for (let at = start; at < this.#image.length && this.#searchBytesLeft > 0; at++) {
      const record = this.#frameAt(at);
      if (record === null) continue;
      const end = at + FRAME_OVERHEAD_BYTES + record.clear.length + record.sealed.length;
      this.#at = end;
      return { record, continues: this.#view.getUint16(at + 6) >= CONTINUES, end, skippedBytes: at - start };
    }
    return null;
  }

  /** True when the search was given up: there may be intact frames in what looks like a torn tail. */
  get isExhausted(): boolean {
    return this.#searchBytesLeft <= 0;
  }

  #frameAt(at: number): EncodedRecord | null {
    const image = this.#image;
    if (image[at] !== this.#salt[0] || image[at + 1] !== this.#salt[1]) return null;
    if (at + FRAME_OVERHEAD_BYTES > image.length) return null;
    const clearAt = at + FRAME_OVERHEAD_BYTES;
    const sealedAt = clearAt + (this.#view.getUint16(at + 6) & ~CONTINUES);
    const end = sealedAt + this.#view.getUint16(at + 8);
    if (end > image.length || end - at > JOURNAL_RECORD_BYTES_MAX) return null;
    if (at !== this.#at) this.#searchBytesLeft -= end - at;
    if (this.#view.getUint32(at + 2) !== crc32c(image, at + 6, end, this.#seed)) return null;
    return { clear: image.subarray(clearAt, sealedAt), sealed: image.subarray(sealedAt, end) };
  }
}

function parseCopy(image: Uint8Array, at: number): SegmentHeader | HeaderFault {
  if (image.length < at + COPY_BYTES) return "unreadable";
  const copy = image.subarray(at, at + COPY_BYTES);
  const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
  if (!bytesEqual(copy.subarray(0, MAGIC.length), MAGIC)) return "unreadable";
  if (view.getUint32(HEADER_CRC_AT) !== crc32c(copy, 0, HEADER_CRC_AT)) return "unreadable";
  if (view.getUint8(VERSION_AT) !== SEGMENT_VERSION) return "newerVersion";
  return {
    generation: view.getUint32(GENERATION_AT),
    deviceBinding: copy.slice(BINDING_AT, BINDING_AT + DEVICE_BINDING_BYTES),
    salt: copy.slice(SALT_AT, SALT_AT + SALT_BYTES),
    isSealed: (view.getUint8(FLAGS_AT) & FLAG_SEALED) !== 0,
  };
}
