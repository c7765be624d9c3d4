// SPDX-License-Identifier: MIT
/**
 * JSON of untrusted plaintext: nesting is bounded before the engine's parser sees it, members are looked up as own
 * properties only. Pure; it validates nothing.
 */

import { JSON_DEPTH_MAX } from "../limits.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

/** What {@link parseJson} found: the value, or why there is none. */
export type JsonResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: "not-json" | "json-too-deep" };

/** JSON value of `text`; failure when it is not JSON or nests deeper than `JSON_DEPTH_MAX`. Never throws. */
export function parseJson(text: string): JsonResult {
  if (isDeeperThan(text, JSON_DEPTH_MAX)) return { ok: false, reason: "json-too-deep" };
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

/** True when objects and arrays of `text` stand more than `levels` inside each other. */
function isDeeperThan(text: string, levels: number): boolean {
  // Nesting cannot exceed the number of brackets, and counting those takes native searches only.
  return occurrences(text, "[") + occurrences(text, "{") > levels && nesting(text) > levels;
}

function occurrences(text: string, character: string): number {
  let count = 0;
  for (let at = text.indexOf(character); at !== -1; at = text.indexOf(character, at + 1)) count++;
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
