// SPDX-License-Identifier: MIT
/**
 * Messages of the D-Bus protocol (version 1) as bytes: what a client of the session bus needs that calls methods and takes
 * signals. Writes little-endian, reads both byte orders, and few types.
 */

import { GodwitError } from "../errors.ts";
import { DBUS_MESSAGE_BYTES_MAX } from "../limits.ts";
import type { DBusCall, DBusNews, DBusValue } from "../user-agent/message-bus.ts";

/** Type of a message. */
export const DBUS_CALL = 1;
export const DBUS_RETURN = 2;
export const DBUS_ERROR = 3;
export const DBUS_SIGNAL = 4;

/** Length of the fixed part, which tells the length of the rest. */
export const DBUS_FIXED_BYTES = 16;

const LITTLE_ENDIAN = "l".charCodeAt(0);
const BIG_ENDIAN = "B".charCodeAt(0);
const VERSION = 1;
/** Signature of a body that can be read. */
const READABLE = /^(?:[ybiusog]|as)*$/;
const FIELDS = [
  "",
  "path",
  "interface",
  "member",
  "errorName",
  "replySerial",
  "destination",
  "sender",
  "signature",
] as const;

export interface DBusMessage extends DBusNews {
  readonly type: number;
  readonly serial: number;
  readonly path: string;
  readonly interface: string;
  readonly errorName: string;
  readonly replySerial: number;
}

/** A method call as bytes. `serial` is not 0. */
export function encodeCall(call: DBusCall, serial: number): Buffer {
  const body = new Writer();
  for (const value of call.body) body.value(value);
  const signature = call.body.map(([type]) => type).join("");
  const writer = new Writer();
  for (const byte of [LITTLE_ENDIAN, DBUS_CALL, 0, VERSION]) writer.byte(byte);
  writer.uint32(body.length);
  writer.uint32(serial);
  writer.array(8, () => {
    writer.field(1, ["o", call.path]);
    writer.field(2, ["s", call.interface]);
    writer.field(3, ["s", call.member]);
    writer.field(6, ["s", call.destination]);
    if (signature !== "") writer.field(8, ["g", signature]);
  });
  writer.align(8);
  return Buffer.concat([writer.bytes(), body.bytes()]);
}

/**
 * How long the message is that begins with these {@link DBUS_FIXED_BYTES}.
 *
 * @throws {GodwitError} ERR_DISPLAY when that is no message, or one over DBUS_MESSAGE_BYTES_MAX
 */
export function messageBytes(fixed: Buffer): number {
  const reader = new Reader(fixed);
  if (fixed[3] !== VERSION) throw malformed("its version is unknown");
  const bodyBytes = reader.uint32At(4);
  const fieldBytes = reader.uint32At(12);
  const bytes = aligned(DBUS_FIXED_BYTES + fieldBytes, 8) + bodyBytes;
  if (bytes > DBUS_MESSAGE_BYTES_MAX) throw malformed("it is too long");
  return bytes;
}

/**
 * Reads one whole message.
 *
 * @throws {GodwitError} ERR_DISPLAY when it is malformed
 */
export function decodeMessage(bytes: Buffer): DBusMessage {
  const reader = new Reader(bytes);
  const bodyBytes = reader.uint32At(4);
  reader.offset = 12;
  const fields: Record<string, string | number> = {};
  const end = reader.uint32() + DBUS_FIXED_BYTES;
  while (reader.offset < end) {
    reader.align(8);
    const name = FIELDS[reader.byte()];
    const value = reader.value(reader.signature());
    if (name !== undefined && typeof value !== "object") fields[name] = value;
  }
  reader.align(8);
  if (reader.offset !== bytes.length - bodyBytes) throw malformed("its fields have another length");
  const signature = textOf(fields.signature);
  const types = READABLE.test(signature) ? signature.match(/a?./g) : null;
  const body = (types ?? []).map((type) => reader.value(type));
  return {
    type: bytes[1] ?? 0,
    serial: reader.uint32At(8),
    path: textOf(fields.path),
    interface: textOf(fields.interface),
    member: textOf(fields.member),
    errorName: textOf(fields.errorName),
    replySerial: typeof fields.replySerial === "number" ? fields.replySerial : 0,
    sender: textOf(fields.sender),
    body,
  };
}

class Writer {
  readonly #chunks: Buffer[] = [];
  length = 0;

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  align(to: number): void {
    const missing = aligned(this.length, to) - this.length;
    if (missing > 0) this.#put(Buffer.alloc(missing));
  }

  byte(value: number): void {
    this.#put(Buffer.of(value));
  }

  /** @returns where it was written, for {@link array} to put in the length later */
  uint32(value: number): Buffer {
    this.align(4);
    const chunk = Buffer.alloc(4);
    chunk.writeUInt32LE(value >>> 0);
    this.#put(chunk);
    return chunk;
  }

  /** The length of what `elements` writes stands before it, without the padding up to the first element. */
  array(alignment: number, elements: () => void): void {
    const length = this.uint32(0);
    this.align(alignment);
    const start = this.length;
    elements();
    length.writeUInt32LE(this.length - start);
  }

  field(code: number, value: DBusValue): void {
    this.align(8);
    this.byte(code);
    this.#variant(value);
  }

  value(value: DBusValue): void {
    switch (value[0]) {
      case "y":
        return this.byte(value[1]);
      case "b":
        return void this.uint32(value[1] ? 1 : 0);
      case "i":
      case "u":
        return void this.uint32(value[1]);
      case "s":
      case "o":
        return this.#text(value[1]);
      case "g":
        return this.#signature(value[1]);
      case "as":
        return this.array(4, () => {
          for (const text of value[1]) this.#text(text);
        });
      case "a{sv}":
        return this.array(8, () => {
          for (const [key, entry] of Object.entries(value[1])) {
            this.align(8);
            this.#text(key);
            this.#variant(entry);
          }
        });
    }
  }

  #variant(value: DBusValue): void {
    this.#signature(value[0]);
    this.value(value);
  }

  #text(text: string): void {
    // The protocol has no text with a zero in it; the bus would cut the connection.
    const bytes = Buffer.from(text.replaceAll("\0", ""), "utf8");
    this.uint32(bytes.length);
    this.#put(bytes);
    this.byte(0);
  }

  #signature(signature: string): void {
    this.byte(signature.length);
    this.#put(Buffer.from(signature, "ascii"));
    this.byte(0);
  }

  #put(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.length += chunk.length;
  }
}

class Reader {
  offset = 0;
  readonly #bytes: Buffer;
  readonly #isLittle: boolean;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#isLittle = bytes[0] === LITTLE_ENDIAN;
    if (!this.#isLittle && bytes[0] !== BIG_ENDIAN) throw malformed("its byte order is unknown");
  }

  uint32At(offset: number): number {
    if (offset + 4 > this.#bytes.length) throw malformed("it ends too early");
    return this.#isLittle ? this.#bytes.readUInt32LE(offset) : this.#bytes.readUInt32BE(offset);
  }

  align(to: number): void {
    this.offset = aligned(this.offset, to);
  }

  byte(): number {
    const byte = this.#bytes[this.offset++];
    if (byte === undefined) throw malformed("it ends too early");
    return byte;
  }

  uint32(): number {
    this.align(4);
    this.offset += 4;
    return this.uint32At(this.offset - 4);
  }

  signature(): string {
    return this.#characters(this.byte());
  }

  value(type: string): number | string | readonly string[] {
    switch (type) {
      case "y":
        return this.byte();
      case "u":
      case "b":
        return this.uint32();
      case "i":
        return this.uint32() | 0;
      case "s":
      case "o":
        return this.#characters(this.uint32());
      case "g":
        return this.signature();
      case "as":
        return this.#texts();
      default:
        throw malformed("it has a value of an unknown type");
    }
  }

  #texts(): string[] {
    const end = this.uint32() + this.offset;
    const texts: string[] = [];
    while (this.offset < end) texts.push(this.#characters(this.uint32()));
    return texts;
  }

  #characters(length: number): string {
    const end = this.offset + length;
    if (end >= this.#bytes.length) throw malformed("it ends too early");
    const text = this.#bytes.toString("utf8", this.offset, end);
    this.offset = end + 1;
    return text;
  }
}

function aligned(offset: number, to: number): number {
  return Math.ceil(offset / to) * to;
}

function textOf(value: string | number | undefined): string {
  return typeof value === "string" ? value : "";
}

function malformed(why: string): GodwitError {
  return new GodwitError("ERR_DISPLAY", `a message of the session bus cannot be read: ${why}`);
}
