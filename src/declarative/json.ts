// SPDX-License-Identifier: MIT
/**
 * JSON of untrusted plaintext: nesting is bounded before the engine's parser sees it, members are looked up as own
 * properties only. Pure; it validates nothing.
 */

import { utf8Decode } from "../bytes.ts";
import { JSON_DEPTH_MAX } from "../limits.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

const OPENING_BRACKET = 0x5b;
const OPENING_BRACE = 0x7b;

/** What {@link parseJson} found: the value, or why there is none. */
export type JsonResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: "not-json" | "json-too-deep" };

/**
 * JSON value of UTF-8 `bytes` (borrowed); failure when they are not JSON or nest deeper than `JSON_DEPTH_MAX`. Never
 * throws.
 */
export function parseJson(bytes: Uint8Array): JsonResult {
  const text = utf8Decode(bytes);
  if (mayNestDeeper(bytes, JSON_DEPTH_MAX) && nesting(text) > JSON_DEPTH_MAX) {
    return { ok: false, reason: "json-too-deep" };
  }
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false, reason: "not-json" };
  }
}

/** True for what JSON calls an object: not null, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Own member `name`, or undefined: what `Object.prototype` holds is not part of a message. */
export function ownMember(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/**
 * False when `bytes` hold too few brackets to nest more than `levels` deep. They are counted in the bytes, where a search
 * is 50 times faster than in a string of QuickJS.
 */
function mayNestDeeper(bytes: Uint8Array, levels: number): boolean {
  if (bytes.length <= levels) return false;
  return occurrences(bytes, OPENING_BRACKET) + occurrences(bytes, OPENING_BRACE) > levels;
}

function occurrences(bytes: Uint8Array, byte: number): number {
  let count = 0;
  for (let at = bytes.indexOf(byte); at !== -1; at = bytes.indexOf(byte, at + 1)) count++;
  return count;
}

/** Deepest nesting of JSON `text`; brackets inside strings do not count. Meaningless for what is not JSON. */
function nesting(text: string): number {
  let level = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (quoted) {
      if (character === "\\") i++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === "[" || character === "{") deepest = Math.max(deepest, ++level);
    else if (character === "]" || character === "}") level--;
  }
  return deepest;
}
