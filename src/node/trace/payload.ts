// SPDX-License-Identifier: MIT
/**
 * Plaintexts and notifications in a recorded trace: JSON keeps its structure, the members' names the agent knows and the flags; texts,
 * links and numbers become others of the same form. Anything else becomes bytes that mean nothing.
 */

import { utf8Encode } from "../../bytes.ts";
import type { GodwitNotification } from "../../declarative/index.ts";
import { parseJson } from "../../declarative/json.ts";
import { resolveUrl } from "../../declarative/url.ts";
import type { Names, Values } from "./names.ts";
import {
  arrayOf,
  bytes,
  count,
  countOf,
  type Json,
  link,
  list,
  malformed,
  maybe,
  number,
  object,
  rest,
  type Shape,
  sizeOf,
  text,
  url,
  word,
} from "./shapes.ts";

/** Members that say what a message is and how it is shown; any other name is the sender's. */
const KNOWN_MEMBERS = new Set(
  `web_push notification title navigate url dir lang body tag image icon badge vibrate timestamp renotify requireInteraction
   silent data actions action mutable app_badge default_action_url options`.split(/\s+/),
);
const LINK_MEMBERS = new Set(["navigate", "url", "image", "icon", "badge", "default_action_url"]);
/** What relative links resolve against, to see that they do. */
const NOWHERE = "https://nowhere.invalid";
/** Marks a declarative message. */
const MAGIC = 8030;
/** Of a link that is none, wherever it stands. */
const NO_LINK = "https://[";

/** A JSON value; objects are `{"o": [[name, value], …]}`, where a name that is not known is a text. */
export const json: Shape<unknown> = {
  strip: (value, names) => stripJson(value, "", names),
  restore: (value, values) => restoreJson(value, "", values),
};

function stripJson(value: unknown, member: string, names: Names): Json {
  if (typeof value === "boolean") return value;
  if (typeof value === "number") return stripNumber(value, member, names);
  if (typeof value === "string") {
    if (LINK_MEMBERS.has(member)) return stripLink(value, names);
    return member === "dir" && ["auto", "ltr", "rtl"].includes(value) ? value : text.strip(value, names);
  }
  if (Array.isArray(value)) return ["l", ...value.map((each) => stripJson(each, member, names))];
  if (typeof value !== "object" || value === null) return null;
  return {
    o: Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .map(([name, each]) => [
        KNOWN_MEMBERS.has(name) ? name : text.strip(name, names),
        stripJson(each, KNOWN_MEMBERS.has(name) ? name : "", names),
      ]),
  };
}

function restoreJson(value: Json, member: string, values: Values): unknown {
  if (value === null || typeof value === "boolean" || value === 0) return value;
  if (typeof value === "string") return value === "" || member === "dir" ? value : malformedJson();
  if (value === MAGIC && member === "web_push") return value;
  if (Array.isArray(value)) return restoreTagged(value, member, values);
  const entries = arrayOf((value as { readonly o?: Json }).o).map((entry): [string, unknown] => {
    const [name = null, each = null] = arrayOf(entry);
    if (typeof name === "string" && KNOWN_MEMBERS.has(name)) return [name, restoreJson(each, name, values)];
    return [text.restore(name, values), restoreJson(each, "", values)];
  });
  return Object.fromEntries(entries);
}

function restoreTagged(value: readonly Json[], member: string, values: Values): unknown {
  const [tag, inner = null] = value;
  switch (tag) {
    case "l":
      return value.slice(1).map((each) => restoreJson(each, member, values));
    case "i":
      return count.restore(value, values);
    case "f": {
      const size = (attempt: number) => countOf(inner) + attempt;
      return values.value(countOf(inner), "count", (attempt) =>
        value[2] === true ? -1 - size(attempt) : size(attempt) + 0.5,
      );
    }
    case "link":
      return url.restore(inner, values);
    case "path":
      return rest.restore(inner, values);
    case "none":
      return NO_LINK;
    case "t":
      return text.restore(value, values);
    default:
      return malformedJson();
  }
}

function malformedJson(): never {
  throw malformed("a JSON value");
}

/** `["f", number, isNegative]` for what is no whole number from 0. */
function stripNumber(value: number, member: string, names: Names): Json {
  if (value === MAGIC && member === "web_push") return value;
  if (Number.isSafeInteger(value) && value >= 0) return count.strip(value, names);
  return ["f", names.of("count", value), value < 0];
}

/** As it resolves: many ways to write a link are one link. */
function stripLink(value: string, names: Names): Json {
  const resolved = resolveUrl(value, NOWHERE);
  if (value === "" || resolved === null) return value === "" ? "" : ["none"];
  if (resolved.startsWith(`${NOWHERE}/`)) return ["path", rest.strip(resolved.slice(NOWHERE.length), names)];
  return ["link", url.strip(resolved, names)];
}

/**
 * What a message decrypts to: its content, with `["o", content, delimiter, zeros]` behind the padding of `aes128gcm`, with
 * `["l", padding, content]` behind that of `aesgcm`; null when it does not decrypt.
 */
export const opened = {
  strip(padded: Uint8Array | null, isAesgcm: boolean, names: Names): Json {
    if (padded === null) return null;
    if (isAesgcm) {
      const padding = Math.min(padded.length, 2 + (((padded[0] ?? 0) << 8) | (padded[1] ?? 0)));
      return ["l", padding, content.strip(padded.subarray(padding), names)];
    }
    const end = padded.findLastIndex((octet) => octet !== 0);
    const delimiter = padded[end] ?? 0;
    // Of a wrong one only that it is wrong.
    return [
      "o",
      content.strip(padded.subarray(0, Math.max(0, end)), names),
      delimiter === 1 || delimiter === 2 ? delimiter : 3,
      padded.length - 1 - end,
    ];
  },
  restore(value: Json, values: Values): Uint8Array | null {
    if (value === null) return null;
    const [tag, first = null, second = null, third] = arrayOf(value);
    if (tag === "l") {
      const padding = sizeOf(first);
      const inner = content.restore(second, values);
      const padded = new Uint8Array(padding + inner.length);
      if (padding >= 2) padded.set([(padding - 2) >> 8, (padding - 2) & 0xff]);
      padded.set(inner, padding);
      return padded;
    }
    if (tag !== "o") throw malformed("a plaintext");
    const inner = content.restore(first, values);
    const padded = new Uint8Array(inner.length + 1 + sizeOf(third));
    padded.set(inner);
    padded[inner.length] = countOf(second) & 3;
    return padded;
  },
};

/** `["j", length, value]` for JSON, padded with spaces to its length; `["d", length]` for what nests too deep; else bytes. */
const content: Shape<Uint8Array> = {
  strip(value, names) {
    const parsed = parseJson(value);
    if (parsed.ok) return ["j", value.length, json.strip(parsed.value, names)];
    return parsed.reason === "json-too-deep" ? ["d", value.length] : bytes.strip(value, names);
  },
  restore(value, values) {
    if (Array.isArray(value) && value[0] === "d") return utf8Encode("[".repeat(sizeOf(value[1])));
    if (!Array.isArray(value) || value[0] !== "j") return bytes.restore(value, values);
    const made = JSON.stringify(json.restore(value[2] ?? null, values));
    return utf8Encode(made + " ".repeat(Math.max(0, sizeOf(value[1]) - utf8Encode(made).length)));
  },
};

/** A notification in an effect: compared, and never read back. */
export const notification: Shape<GodwitNotification> = object({
  title: text,
  navigate: maybe(link),
  body: text,
  dir: word(),
  lang: text,
  tag: text,
  icon: maybe(link),
  image: maybe(link),
  badge: maybe(link),
  vibrate: { strip: (value) => value.length, restore: () => [] },
  timestamp: count as Shape<number>,
  renotify: number(),
  requireInteraction: number(),
  silent: number(),
  data: json,
  actions: list(object({ action: text, title: text, navigate: maybe(link), icon: maybe(link) })),
});

/** A notification as the journal holds it. */
export const notificationJson: Shape<string> = {
  strip: (value, names) => json.strip(JSON.parse(value), names),
  restore: (value, values) => JSON.stringify(json.restore(value, values)),
};
