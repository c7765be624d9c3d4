// SPDX-License-Identifier: MIT
/**
 * JSON of untrusted plaintext: nesting is bounded before the engine's parser sees it, members are looked up as own
 * properties only. Pure; it validates nothing.
 */

import { utf8Decode } from "../bytes.ts";
import { jsonNesting } from "../json.ts";
import { JSON_DEPTH_MAX } from "../limits.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

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
  if (mayNestDeeper(text, bytes, JSON_DEPTH_MAX) && jsonNesting(text) > JSON_DEPTH_MAX) {
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

/** True when there are more than `levels` brackets, without which nothing nests so deep. */
function mayNestDeeper(text: string, bytes: Uint8Array, levels: number): boolean {
  return bytes.length > levels && occurrences(text, bytes, "[") + occurrences(text, bytes, "{") > levels;
}

/** QuickJS, which has no TextDecoder, searches bytes 50 times faster than strings; for V8 it is 10 times slower. */
const SEARCHES_BYTES = !("TextDecoder" in globalThis);

function occurrences(text: string, bytes: Uint8Array, character: string): number {
  const byte = character.charCodeAt(0);
  const next = (from: number) => (SEARCHES_BYTES ? bytes.indexOf(byte, from) : text.indexOf(character, from));
  let count = 0;
  for (let at = next(0); at !== -1; at = next(at + 1)) count++;
  return count;
}
