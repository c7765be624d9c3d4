// SPDX-License-Identifier: MIT
/**
 * How a value is written into a recorded trace and read back: what a shape does not name is not written, and what could be secret
 * becomes a number and the form that the agent's doings depend on (SPEC.md, "Recorded trace"). What goes in where is in vocabulary.ts.
 */

import { isOwner } from "../../agent/owner.ts";
import { utf8Encode } from "../../bytes.ts";
import { GodwitError } from "../../errors.ts";
import { TRACE_VALUE_BYTES_MAX } from "../../limits.ts";
import { HEADER_FIXED_BYTES } from "../../webpush/content-coding.ts";
import { generateKeyPair } from "../../webpush/keys.ts";
import { formatUuid, parseUuid } from "../../wire/autopush.ts";
import { nodeProvider } from "../crypto.ts";
import { bytesFrom, type Kind, type Names, type Values } from "./names.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Both ways of one kind of value. `restore` takes nothing for granted. @throws {GodwitError} ERR_TRACE */
export interface Shape<T> {
  strip(value: T, names: Names): Json;
  restore(json: Json, values: Values): T;
  /** May be left out of its object. */
  readonly isOptional?: true;
}

export function malformed(what: string): GodwitError {
  return new GodwitError("ERR_TRACE", `not ${what}`);
}

/** A number, a flag or null: as it is. */
export function number<T extends number | boolean | null>(): Shape<T> {
  return {
    strip: (value) => value,
    restore(json) {
      if (json === null || typeof json === "number" || typeof json === "boolean") return json as T;
      throw malformed("a number, a flag or null");
    },
  };
}

/** Of our own vocabulary, which a closed type or our own code chooses. */
const WORD = /^[\w ,.'+=-]{0,80}$/;

/** A word of our own, or null: as it is. What does not look like one is not written. */
export function word<T extends string | boolean | null>(): Shape<T> {
  return {
    strip: (value) => (typeof value !== "string" || WORD.test(value) ? value : ""),
    restore(json) {
      if (json === null || typeof json === "boolean" || (typeof json === "string" && WORD.test(json)))
        return json as T;
      throw malformed("a word");
    },
  };
}

/** Said, but neither written nor compared. */
export function unsaid<T>(instead: T): Shape<T> {
  return { strip: () => "", restore: () => instead };
}

export function maybe<T>(shape: Shape<T>): Shape<T | null> {
  return {
    strip: (value, names) => (value === null ? null : shape.strip(value, names)),
    restore: (json, values) => (json === null ? null : shape.restore(json, values)),
  };
}

export function optional<T>(shape: Shape<T>): Shape<T> {
  return { strip: shape.strip, restore: shape.restore, isOptional: true };
}

export function list<T>(shape: Shape<T>): Shape<readonly T[]> {
  return {
    strip: (value, names) => value.map((each) => shape.strip(each, names)),
    restore: (json, values) => arrayOf(json).map((each) => shape.restore(each, values)),
  };
}

type ShapesOf<T> = { readonly [Name in keyof T]-?: Shape<Exclude<T[Name], undefined>> };

/** An object with exactly these members: what the type gets is to be listed here before it compiles. */
export function object<T extends object>(shapes: ShapesOf<T>): Shape<T> {
  const members = Object.entries(shapes) as [string, Shape<unknown>][];
  return {
    strip(value, names) {
      const stripped: Record<string, Json> = {};
      for (const [name, shape] of members) {
        const member = (value as Record<string, unknown>)[name];
        if (member !== undefined) stripped[name] = shape.strip(member, names);
      }
      return stripped;
    },
    restore(json, values) {
      const source = objectOf(json);
      const restored: Record<string, unknown> = {};
      for (const [name, shape] of members) {
        const member = source[name];
        if (member !== undefined) restored[name] = shape.restore(member, values);
        else if (shape.isOptional !== true) throw malformed(`an object with ${name}`);
      }
      return restored as T;
    },
  };
}

type Typed = { readonly type: string };
type MembersOf<T extends Typed> = {
  readonly [Type in T["type"]]: Shape<Omit<Extract<T, { readonly type: Type }>, "type">>;
};

/** One of several by its `type`. */
export function union<T extends Typed>(shapes: MembersOf<T>): Shape<T> {
  const byType = shapes as unknown as Record<string, Shape<object>>;
  return {
    strip(value, names) {
      const shape = byType[value.type];
      if (shape === undefined) throw new TypeError("no such type");
      return { type: value.type, ...(shape.strip(value, names) as object) };
    },
    restore(json, values) {
      const { type } = objectOf(json);
      const shape = typeof type === "string" && Object.hasOwn(byType, type) ? byType[type] : undefined;
      if (shape === undefined) throw malformed("of a known type");
      return { type, ...shape.restore(json, values) } as unknown as T;
    },
  };
}

/** `["b", number, length]`: bytes of that length; `["p", number]`: a point on the curve, and of a key pair. */
export const bytes: Shape<Uint8Array> = {
  strip(value, names) {
    if (value.length === 0) return "";
    if (value.length === 65 && nodeProvider.isPublicKey(value)) return ["p", names.of("bytes", value)];
    return ["b", names.of("bytes", value), value.length];
  },
  restore(json, values) {
    if (json === "") return new Uint8Array(0);
    const [tag, at, length] = arrayOf(json);
    if (tag === "p")
      return values.value(countOf(at), "bytes", (attempt) => publicKey(countOf(at), attempt, values));
    if (tag !== "b") throw malformed("bytes");
    return values.value(countOf(at), "bytes", (attempt) => filler(countOf(at), attempt, sizeOf(length)));
  },
};

function publicKey(at: number, attempt: number, values: Values): Uint8Array {
  const pair = generateKeyPair(
    (target) => target.set(bytesFrom(`pair ${at} ${attempt}`, target.length)),
    nodeProvider,
  );
  values.keepPair(pair);
  return pair.publicKey;
}

/** Begins with what begins neither UTF-8 nor, so, JSON. */
function filler(at: number, attempt: number, length: number): Uint8Array {
  const made = bytesFrom(`bytes ${at} ${attempt}`, length);
  if (length > 1) made[0] = 0x80 | ((made[0] ?? 0) & 0x3f);
  return made;
}

/** `["t", number, chars, bytes]`: a text of so many UTF-16 units and UTF-8 bytes. */
export const text: Shape<string> = textOf("text", "");

/** A text of a kind of its own that begins with `prefix`. */
function textOf(kind: Kind, prefix: string): Shape<string> {
  return {
    strip(value, names) {
      if (value === "") return "";
      return ["t", names.of(kind, value), value.length, utf8Encode(value).length];
    },
    restore(json, values) {
      if (json === "") return "";
      const [tag, at, chars, size] = arrayOf(json);
      if (tag !== "t") throw malformed("a text");
      const make = (attempt: number) =>
        prefix + letters(countOf(at), attempt, sizeOf(chars) - prefix.length, sizeOf(size) - prefix.length);
      return values.value(countOf(at), kind, make);
    },
  };
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LOWER_CASE = "abcdefghijklmnopqrstuvwxyz";

/** Letters, of which as many take two and three bytes as it needs to come to `size`. */
function letters(at: number, attempt: number, chars: number, size: number, alphabet = LETTERS): string {
  const extra = Math.min(Math.max(0, size - chars), 2 * Math.max(0, chars));
  const long = Math.max(0, extra - chars);
  const middle = extra - 2 * long;
  let made = "";
  bytesFrom(`text ${at} ${attempt}`, Math.max(0, chars)).forEach((byte, i) => {
    if (i < long) made += String.fromCharCode(0x4e00 + byte);
    else if (i < long + middle) made += String.fromCharCode(0x100 + byte);
    // The few texts of one letter may need them all.
    else made += attempt > 200 ? String.fromCharCode(0x21 + (byte % 94)) : alphabet[byte % alphabet.length];
  });
  return made;
}

/** What a name on the network may be that says nothing about anybody. */
const OWN_HOSTS = ["localhost", "127.0.0.1", "[::1]"];

/** `["h", number, lengths…]`: a name with labels of these lengths; `["4", number, digits…]`: an address; or one that says nothing. */
const host: Shape<string> = {
  strip(value, names) {
    const name = value.toLowerCase();
    if (OWN_HOSTS.includes(name)) return name;
    const isAddress = /^\d{1,3}(\.\d{1,3}){3}$/.test(name);
    return [isAddress ? "4" : "h", names.of("host", name), ...name.split(".").map((label) => label.length)];
  },
  restore(json, values) {
    if (typeof json === "string" && OWN_HOSTS.includes(json)) return json;
    const [tag, at, ...lengths] = arrayOf(json);
    if (tag !== "h" && tag !== "4") throw malformed("a host");
    const label = (attempt: number, length: Json, i: number): string => {
      const size = sizeOf(length);
      const made = letters(countOf(at) * 64 + i, attempt % 200, size, size, LOWER_CASE);
      if (tag === "h") return made;
      // At most 199, and no zero in front.
      return made.replace(/[a-z]/g, (letter, place) =>
        size === 3 && place === 0 ? "1" : String(1 + (letter.charCodeAt(0) % 9)),
      );
    };
    return values.value(countOf(at), "host", (attempt) =>
      lengths.map((length, i) => label(attempt, length, i)).join("."),
    );
  },
};

const SCHEMES = ["https", "http", "wss", "ws", "mqtts", "mqtt"];
/** Paths of our own protocol. */
const OWN_RESTS = ["", "/", "/v1/ws", "/v1/token"];
/** Scheme, host, port, and what follows. */
const URL_FORM = /^([a-z]+):\/\/([^/?#:@[\]\s]+|\[::1\])(:\d{1,5})?((?:[/?#].*)?)$/s;

/** What follows a host. */
export const rest: Shape<string> = {
  strip(value, names) {
    if (OWN_RESTS.includes(value)) return value;
    const first = value.slice(0, 1);
    return [first, (RESTS[first] ?? text).strip(value, names)];
  },
  restore(json, values) {
    if (typeof json === "string" && OWN_RESTS.includes(json)) return json;
    const [first, named = null] = arrayOf(json);
    const shape = typeof first === "string" && Object.hasOwn(RESTS, first) ? RESTS[first] : undefined;
    return (shape ?? text).restore(named, values);
  },
};
const RESTS: Readonly<Record<string, Shape<string>>> = {
  "/": textOf("rest", "/"),
  "?": textOf("rest", "?"),
  "#": textOf("rest", "#"),
};

/** `[scheme, host, port, rest]`; anything else is a text. */
export const url: Shape<string> = {
  strip(value, names) {
    const [, scheme = "", name = "", port = "", tail = ""] = URL_FORM.exec(value) ?? [];
    if (!SCHEMES.includes(scheme)) return text.strip(value, names);
    return [scheme, host.strip(name, names), port, rest.strip(tail, names)];
  },
  restore(json, values) {
    if (!Array.isArray(json) || json[0] === "t") return text.restore(json, values);
    const [scheme, name = null, port, tail = null] = arrayOf(json);
    if (typeof scheme !== "string" || !SCHEMES.includes(scheme)) throw malformed("a URL");
    if (typeof port !== "string" || !/^(:\d{1,5})?$/.test(port)) throw malformed("a port");
    return `${scheme}://${host.restore(name, values)}${port}${rest.restore(tail, values)}`;
  },
};

/** A URL that an app or a sender chose, where one is written: what follows its host is left out, since a link may be written in many ways. */
export const link: Shape<string> = {
  strip(value, names) {
    const [, scheme = "", name = "", port = ""] = URL_FORM.exec(value) ?? [];
    return SCHEMES.includes(scheme) ? [scheme, host.strip(name, names), port] : "";
  },
  restore: () => {
    throw malformed("something to be read");
  },
};

/** A web origin like a URL; `["a", number, chars]`: an app id; `["x", number, chars]`: neither. */
export const owner: Shape<string> = {
  strip(value, names) {
    if (!isOwner(value)) return ["x", names.of("app", value), value.length];
    return value.includes("://") ? url.strip(value, names) : ["a", names.of("app", value), value.length];
  },
  restore(json, values) {
    const [tag, at, chars] = arrayOf(json);
    if (tag !== "a" && tag !== "x") return url.restore(json, values);
    const length = sizeOf(chars) - (tag === "x" ? 1 : 0);
    const make = (attempt: number) =>
      (tag === "x" ? "!" : "") + letters(countOf(at), attempt % 200, length, length, LOWER_CASE);
    return values.value(countOf(at), "app", make);
  },
};

/** `["u", bytes, chars]`: a UUID, which names the same as its bytes do; else a text. */
export const token: Shape<string> = {
  strip(value, names) {
    const uuid = parseUuid(value);
    return uuid === null ? text.strip(value, names) : ["u", bytes.strip(uuid, names), value.length];
  },
  restore(json, values) {
    if (!Array.isArray(json) || json[0] !== "u") return text.restore(json, values);
    const made = formatUuid(bytes.restore(json[1] ?? null, values).subarray(0, 16));
    return json[2] === 32 ? made.replaceAll("-", "") : made;
  },
};

/** `["n", number, length]`: a number that means nothing by itself, of that length in CBOR. 0 says nothing. */
export const numeral: Shape<number> = {
  strip(value, names) {
    return value === 0
      ? 0
      : ["n", names.of("number", value), CBOR_STARTS.findLastIndex((start) => value >= start)];
  },
  restore(json, values) {
    if (json === 0) return 0;
    const [tag, at, size] = arrayOf(json);
    const start = CBOR_STARTS[countOf(size)];
    if (tag !== "n" || start === undefined) throw malformed("a number");
    const end = CBOR_STARTS[countOf(size) + 1] ?? 2 ** 48;
    return values.value(
      countOf(at),
      "number",
      (attempt) => start + ((countOf(at) + attempt) % (end - start)),
    );
  },
};
/** Least numbers of each length. */
const CBOR_STARTS = [1, 24, 0x100, 0x1_0000, 0x1_0000_0000];

/** `["i", number, digits]`: a whole number that somebody chose, of so many digits; 0 and flags say little. */
export const count: Shape<number | boolean> = {
  strip(value, names) {
    if (typeof value === "boolean" || value === 0) return value;
    return ["i", names.of("count", value), String(value).length];
  },
  restore(json, values) {
    if (typeof json === "boolean" || json === 0) return json;
    const [tag, at, digits] = arrayOf(json);
    if (tag !== "i") throw malformed("a number");
    const start = 10 ** (Math.min(15, Math.max(1, countOf(digits))) - 1);
    return values.value(countOf(at), "count", (attempt) => start + ((countOf(at) + attempt) % (9 * start)));
  },
};

/** `["m", number, length, recordBytes, keyIdBytes]`: a body in the `aes128gcm` coding. */
export const body: Shape<Uint8Array> = {
  strip(value, names) {
    if (value.length < HEADER_FIXED_BYTES) return bytes.strip(value, names);
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    return ["m", names.of("bytes", value), value.length, view.getUint32(16), view.getUint8(20)];
  },
  restore(json, values) {
    if (!Array.isArray(json) || json[0] !== "m") return bytes.restore(json, values);
    const [, at, length, recordBytes, keyIdBytes] = json;
    const make = (attempt: number): Uint8Array => {
      const made = bytesFrom(`body ${countOf(at)} ${attempt}`, Math.max(HEADER_FIXED_BYTES, sizeOf(length)));
      const view = new DataView(made.buffer);
      view.setUint32(16, countOf(recordBytes));
      view.setUint8(20, countOf(keyIdBytes));
      return made;
    };
    return values.value(countOf(at), "bytes", make);
  },
};

export function arrayOf(json: Json | undefined): readonly Json[] {
  if (Array.isArray(json)) return json;
  throw malformed("a list");
}

export function objectOf(json: Json | undefined): { readonly [name: string]: Json | undefined } {
  if (typeof json === "object" && json !== null && !Array.isArray(json))
    return json as { readonly [name: string]: Json | undefined };
  throw malformed("an object");
}

/** A whole number from 0 to 2^32 - 1. */
export function countOf(json: Json | undefined): number {
  if (typeof json === "number" && Number.isInteger(json) && json >= 0 && json < 2 ** 32) return json;
  throw malformed("a whole number");
}

/** The length of a value that is made. */
export function sizeOf(json: Json | undefined): number {
  const size = countOf(json);
  if (size <= TRACE_VALUE_BYTES_MAX) return size;
  throw malformed(`at most ${TRACE_VALUE_BYTES_MAX} bytes`);
}
