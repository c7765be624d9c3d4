// SPDX-License-Identifier: MIT
/**
 * Members of a notification, read from untrusted JSON into a typed record (Push API, declarative message parser, step
 * 7): one that is absent or has the wrong type counts as unset. URLs stay text here.
 */

import { isJsonObject, type JsonObject, ownMember } from "./json.ts";

export type Direction = "auto" | "ltr" | "rtl";

export interface ActionInit {
  readonly action: string;
  readonly title: string;
  /** Null only where {@link MemberRules.actionUrlOptional}. */
  readonly navigate: string | null;
  readonly icon: string | null;
}

/** Typed members with URLs unresolved; null means unset. */
export interface NotificationInit {
  title: string | null;
  navigate: string | null;
  dir: Direction;
  lang: string;
  body: string;
  tag: string;
  image: string | null;
  icon: string | null;
  badge: string | null;
  vibrate: readonly number[] | null;
  timestamp: number | null;
  renotify: boolean;
  requireInteraction: boolean;
  silent: boolean | null;
  data: unknown;
  actions: readonly ActionInit[];
  /** First member that was dropped for its type, or null. The parser does not mind; an app's own call does. */
  wrongType: string | null;
}

/** How the formats differ about the URL of an action. */
export interface MemberRules {
  /** Its name: `navigate` in the standard, `url` in the explainer. */
  readonly actionUrl: "navigate" | "url";
  /** Whether an action may go without: true for notifications made by an app. */
  readonly actionUrlOptional: boolean;
}

/** Shared: nothing changes it. */
const NO_ACTIONS: readonly ActionInit[] = [];

/** Members of `source`, which is borrowed; `data` is handed on by reference. */
export function readMembers(source: JsonObject, rules: MemberRules): NotificationInit {
  const init: NotificationInit = {
    title: null,
    navigate: null,
    dir: "auto",
    lang: "",
    body: "",
    tag: "",
    image: null,
    icon: null,
    badge: null,
    vibrate: null,
    timestamp: null,
    renotify: false,
    requireInteraction: false,
    silent: null,
    data: null,
    actions: NO_ACTIONS,
    wrongType: null,
  };
  // Walking the own names, not asking for each known one: a small message costs little, a prototype has no say.
  for (const name of Object.keys(source)) {
    if (!readMember(init, name, source[name], rules)) init.wrongType ??= name;
  }
  return init;
}

/** Whole number a double holds exactly; PR 402 and `timestamp` allow 64 bits, JSON.parse does not. */
export function isUnsignedInteger(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Takes one member over; false when its type is wrong. Unknown members are nobody's mistake. */
function readMember(init: NotificationInit, name: string, value: unknown, rules: MemberRules): boolean {
  if (value === undefined || (name === "silent" && value === null)) return true;
  switch (name) {
    case "title":
    case "navigate":
    case "lang":
    case "body":
    case "tag":
    case "image":
    case "icon":
    case "badge":
      if (typeof value !== "string") return false;
      init[name] = value;
      return true;
    case "silent":
    case "renotify":
    case "requireInteraction":
      if (typeof value !== "boolean") return false;
      init[name] = value;
      return true;
    case "dir":
      if (value !== "auto" && value !== "ltr" && value !== "rtl") return false;
      init.dir = value;
      return true;
    case "timestamp":
      if (!isUnsignedInteger(value)) return false;
      // -0 is a legal literal of 0, and would come back different from a JSON round trip.
      init.timestamp = value + 0;
      return true;
    case "vibrate":
      if (!Array.isArray(value) || !value.every(isVibrateEntry)) return false;
      init.vibrate = value;
      return true;
    case "data":
      init.data = value;
      return true;
    case "actions":
      return readActions(init, value, rules);
    default:
      return true;
  }
}

function isVibrateEntry(value: unknown): boolean {
  return isUnsignedInteger(value) && value <= 0xffff_ffff;
}

/** Keeps the well-typed items; false when one was skipped. */
function readActions(init: NotificationInit, value: unknown, rules: MemberRules): boolean {
  if (!Array.isArray(value)) return false;
  const actions: ActionInit[] = [];
  for (const item of value) {
    const action = isJsonObject(item) ? readAction(item, rules) : null;
    if (action !== null) actions.push(action);
  }
  init.actions = actions;
  return actions.length === value.length;
}

function readAction(item: JsonObject, rules: MemberRules): ActionInit | null {
  const action = ownMember(item, "action");
  const title = ownMember(item, "title");
  const url = ownMember(item, rules.actionUrl);
  const icon = ownMember(item, "icon");
  if (typeof action !== "string" || typeof title !== "string") return null;
  if (typeof url !== "string" && !(rules.actionUrlOptional && url === undefined)) return null;
  return { action, title, navigate: url ?? null, icon: typeof icon === "string" ? icon : null };
}
