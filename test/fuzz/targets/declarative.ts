// SPDX-License-Identifier: MIT
/**
 * Plaintexts of push messages, judged in every mode: nothing is ever thrown, modes agree where SPEC.md says so, what is shown is fit
 * for a screen, and links are the same with the engine's URL and without. No tests here.
 */

import { utf8Decode, utf8DecodePortable, utf8Encode } from "../../../src/bytes.ts";
import { activate } from "../../../src/declarative/activation.ts";
import { badgeText } from "../../../src/declarative/badge.ts";
import { displayedText } from "../../../src/declarative/display.ts";
import { type DeclarativeMode, type Disposition, decide } from "../../../src/declarative/disposition.ts";
import { parseDeclarative } from "../../../src/declarative/message.ts";
import type { GodwitNotification } from "../../../src/declarative/notification.ts";
import { resolveUrl, schemeOf } from "../../../src/declarative/url.ts";
import { resolvePortable } from "../../../src/declarative/url-portable.ts";
import {
  BODY_CODE_POINTS_MAX,
  MESSAGE_PLAINTEXT_BYTES_MAX,
  NOTIFICATION_ACTIONS_MAX,
  TITLE_CODE_POINTS_MAX,
  VIBRATE_ENTRIES_MAX,
  VIBRATE_ENTRY_MS_MAX,
} from "../../../src/limits.ts";
import { mutateJson } from "../json.ts";
import { holds, same, type Target } from "../target.ts";

const MODES: readonly DeclarativeMode[] = ["auto", "auto+explainer", "only", "never"];
const SCOPE = "https://news.example/app/";
/** Marks that fence off, put around by us: two at most. */
const FENCES = 2;

export const target: Target = {
  name: "declarative",
  covers: ["src/declarative/", "src/json.ts"],
  inputBytesMax: MESSAGE_PLAINTEXT_BYTES_MAX,
  inputMsMax: 100,
  words: [
    ...[
      "web_push",
      "8030",
      "notification",
      "title",
      "navigate",
      "url",
      "body",
      "dir",
      "rtl",
      "ltr",
      "auto",
      "lang",
      "tag",
    ],
    ...[
      "icon",
      "image",
      "badge",
      "vibrate",
      "timestamp",
      "renotify",
      "requireInteraction",
      "silent",
      "data",
      "actions",
    ],
    ...[
      "action",
      "mutable",
      "app_badge",
      "default_action_url",
      "options",
      "https://",
      "http:",
      "//",
      "../",
      "?",
      "#",
      "@",
    ],
    ...[
      "javascript:",
      "data:",
      "file:",
      "mailto:a@b",
      "blob:",
      "xn--",
      "%2e%2e",
      "[::1]",
      "0x7f.1",
      "127.1",
      ":443",
      "\\",
    ],
    ...["\u202e", "\u2066", "\u05d0", "ß", "\u3002", "\u0430", "true", "null"],
  ],
  seeds: () => SEEDS.map((seed) => utf8Encode(JSON.stringify(seed))),
  mutate(input, random) {
    return mutateJson(input, this.words, random);
  },
  run(input) {
    same("UTF-8 read without the engine's decoder", utf8DecodePortable(input), utf8Decode(input));
    const outcomes = [SCOPE, null].map((baseUrl) => {
      const results = MODES.map((mode) => {
        const [plain, said] = [null, "application/notification+json"].map((contentType) =>
          decide(input, { mode, contentType, baseUrl, maxActions: NOTIFICATION_ACTIONS_MAX, epochMs: 1 }),
        );
        return checkMode(mode, plain as Disposition, said as Disposition, baseUrl);
      });
      return results.join(" ");
    });
    return outcomes.join(" ") + checkUrl(input);
  },
};

function checkMode(
  mode: DeclarativeMode,
  plain: Disposition,
  said: Disposition,
  baseUrl: string | null,
): string {
  if (mode !== "auto+explainer") same(`the header in mode ${mode}`, said, plain);
  if (mode === "never") same("a message in mode never", plain.kind, "legacy");
  if (mode === "only") holds("a mistake or a notification in mode only", plain.kind !== "legacy");
  if (mode === "auto" || mode === "never") holds("no mistakes in this mode", plain.kind !== "error");
  if (said.notification !== null) checkNotification(said.notification, baseUrl);
  if (mode === "auto" && plain.notification !== null) checkAgain(plain.notification);
  if (said.appBadge !== null) holds("a badge is short", badgeText(said.appBadge).length <= 3);
  return `${said.kind}/${said.reason}`;
}

function checkNotification(notification: GodwitNotification, baseUrl: string | null): void {
  const { navigate, actions, vibrate, timestamp, icon, image, badge } = notification;
  holds("a declared notification leads somewhere", navigate !== null);
  holds(
    "so do its actions",
    actions.every((action) => action.navigate !== null),
  );
  holds("actions are bounded", actions.length <= NOTIFICATION_ACTIONS_MAX);
  holds("a pattern of vibration is bounded", vibrate.length <= VIBRATE_ENTRIES_MAX);
  holds(
    "so are its entries",
    vibrate.every((entryMs) => entryMs >= 0 && entryMs <= VIBRATE_ENTRY_MS_MAX),
  );
  holds("a timestamp is exact", Number.isSafeInteger(timestamp) && timestamp >= 0);
  const links = [
    navigate,
    icon,
    image,
    badge,
    ...actions.flatMap((action) => [action.navigate, action.icon]),
  ];
  for (const url of links) if (url !== null) same("a link resolved again", resolveUrl(url, null), url);
  checkText(notification);
  for (const action of ["", ...actions.map((each) => each.action)]) {
    const activation = activate(notification, action, { baseUrl, httpAllowed: false });
    if (activation.kind !== "navigate") continue;
    holds("what opens is https", schemeOf(activation.url) === "https");
    same("without asking only what is of the same origin", activation.ask, activation.crossOrigin);
    holds("a person sees a host", activation.host !== "");
    same("which is the link's", new URL(activation.url).host, activation.host);
  }
}

function checkText(notification: GodwitNotification): void {
  const { title, body, actions } = displayedText(notification);
  for (const line of [title, ...actions.map((action) => action.title)]) {
    holds("a title is one line", !/[\n\r\u2028\u2029]/.test(line));
    holds("and bounded", [...line].length <= TITLE_CODE_POINTS_MAX + FENCES);
  }
  holds("a body is bounded", [...body].length <= BODY_CODE_POINTS_MAX + FENCES);
  for (const text of [title, body, ...actions.map((action) => action.title)]) {
    holds("what is shown has a UTF-8 form", !/[\ud800-\udfff]/u.test(text));
    holds("what is shown has no control characters", !/(?!\n)\p{Cc}/u.test(text));
    const inside = text.replace(/^[\u2066-\u2068](.*)\u2069$/su, "$1");
    holds("and reorders nothing beside it", !/[\u202a-\u202e\u2066-\u2069]/.test(inside));
  }
}

/** What was read, written as a message again, is read as the same. */
function checkAgain(notification: GodwitNotification): void {
  const { timestamp, actions, vibrate, ...members } = notification;
  const set = Object.entries(members).filter(([, value]) => value !== null);
  const declared = {
    ...Object.fromEntries(set),
    ...{
      timestamp,
      actions: actions.map(({ icon, ...action }) => (icon === null ? action : { ...action, icon })),
    },
    // No pattern and an empty one are the same in the end, but only one goes with silence.
    ...(vibrate.length === 0 ? {} : { vibrate }),
  };
  const again = parseDeclarative(utf8Encode(JSON.stringify({ web_push: 8030, notification: declared })), {
    ...{ baseUrl: null, maxActions: NOTIFICATION_ACTIONS_MAX, epochMs: 2 },
  });
  // As JSON, which has no -0: data may.
  const [got, expected] = [again.ok ? again.notification : again.reason, notification].map((each) =>
    JSON.stringify(each),
  );
  same("the notification written and read again", got, expected);
}

/** The input itself as a link. */
function checkUrl(input: Uint8Array): string {
  const text = utf8Decode(input.subarray(0, 300));
  return [null, SCOPE]
    .map((base) => {
      const full = resolveUrl(text, base);
      const { href, why } = resolvePortable(text, base);
      if (why === "refused") return "refused";
      same(`the link without the engine's URL, from ${base}`, href, full);
      return why ?? schemeOf(href ?? "").slice(0, 5);
    })
    .join(" ");
}

const notification = {
  ...{
    title: "News",
    navigate: "/story",
    body: "It\nhappened",
    dir: "rtl",
    lang: "he",
    tag: "t",
    icon: "i.png",
  },
  ...{
    image: "https://img.example/a.png",
    badge: "b.png",
    vibrate: [100, 50, 100],
    timestamp: 1_700_000_000_000,
  },
  ...{ renotify: true, requireInteraction: true, data: { a: [1, null] } },
  actions: [
    { action: "read", title: "Read", navigate: "https://news.example/read?x=1#y", icon: "r.png" },
    { action: "later", title: "Later", navigate: "later" },
    { action: "third", title: "Third", navigate: "third" },
  ],
};
const SEEDS: readonly unknown[] = [
  { web_push: 8030, notification, mutable: true, app_badge: 12 },
  {
    web_push: 8030,
    notification: { title: "Silent", navigate: "https://other.example:8443/", silent: true },
    app_badge: true,
  },
  {
    title: "Explainer",
    default_action_url: "/x",
    options: { body: "b", actions: [{ action: "a", title: "A", url: "/a" }] },
    mutable: false,
  },
  { web_push: 8030, notification: { title: "", navigate: "mailto:a@b.example" } },
  { plain: "data" },
  "https://user:pw@münchen.example:8443/a/../b/%2e?q=ü#f",
  "http://[2001:db8::1]:80//x\\y",
  "//0x7f.1/",
  "?query only",
  [[[[[]]]]],
];
