// SPDX-License-Identifier: MIT
/**
 * What the parse benchmark does on every runtime: messages of the measured sizes, parsing them, and the bare primitives no
 * parser can do without. Pure, so that it also runs inside QuickJS; timing is the caller's.
 */

import { utf8Decode, utf8Encode } from "../src/bytes.ts";
import { type NotificationContext, parseDeclarative } from "../src/declarative/index.ts";

/** Largest plaintext of a push message. */
const LARGE_BYTES = 3993;

const context: NotificationContext = { baseUrl: "https://app.example/", maxActions: 2, epochMs: 1.8e12 };

/** One message and the URLs in it. */
export interface ParseWork {
  readonly bytes: Uint8Array;
  readonly urls: readonly string[];
}

/** How the runtime parses one URL. */
export type UrlPrimitive = (text: string, base: string) => unknown;

const typical = {
  title: "Anna Kowalska sent you a message",
  navigate: "https://app.example/chats/8f14e45f/messages/1679091c?from=push",
  body: "Are we still meeting at the station at seven? The train is late again, so take your time.",
  icon: "https://cdn.example/avatars/45c48cce2e2d7fbdea1afc51c7c6ad26.png",
  tag: "chat-8f14e45f",
  lang: "en",
  dir: "ltr",
  timestamp: 1_800_000_000_123,
  data: { chat: "8f14e45f", message: 1679091, unread: 3 },
  actions: [
    { action: "reply", title: "Reply", navigate: "https://app.example/chats/8f14e45f/reply" },
    { action: "mute", title: "Mute for an hour", navigate: "/chats/8f14e45f/mute?hours=1" },
  ],
};

export const PARSE_WORK: Readonly<Record<"small" | "typical" | "large", ParseWork>> = {
  small: work({ title: "Hi", navigate: "https://app.example/x" }),
  typical: work(typical),
  large: large(),
};

/** One whole parse per call. */
export function parsing({ bytes, urls }: ParseWork): () => unknown {
  return () => {
    const result = parseDeclarative(bytes, context);
    if (!result.ok || (urls.length > 1 && result.notification.actions.length !== 2))
      throw new Error("not parsed");
    return result;
  };
}

/** UTF-8, JSON and each URL, with nothing read from the result. */
export function primitives({ bytes, urls }: ParseWork, parseUrl: UrlPrimitive): () => unknown {
  return () => {
    const value = JSON.parse(utf8Decode(bytes));
    for (const url of urls) parseUrl(url, "https://app.example/");
    return value;
  };
}

/** JSON.parse of the prepared text: what an engine without UTF-8 decoder and URL class has of its own. */
export function jsonOnly({ bytes }: ParseWork): () => unknown {
  const text = utf8Decode(bytes);
  return () => JSON.parse(text);
}

function work(notification: object): ParseWork {
  const message = { web_push: 8030, notification, mutable: true, app_badge: 3 };
  const text = JSON.stringify(
    Object.keys(notification).length > 2 ? message : { web_push: 8030, notification },
  );
  const members = notification as typeof typical;
  const links = [members.navigate, members.icon, ...(members.actions ?? []).map(({ navigate }) => navigate)];
  return { bytes: utf8Encode(text), urls: links.filter((link) => link !== undefined) };
}

/** The typical message with a long body and a list of records as data, as large as a push can be. */
function large(): ParseWork {
  const records = Array.from({ length: 24 }, (_, i) => ({
    id: i,
    from: `user-${i}`,
    unread: i % 3,
    muted: false,
  }));
  const withBody = (body: string) => work({ ...typical, body, data: { records } });
  return withBody(
    "All of this fits into one message. ".repeat(60).slice(0, LARGE_BYTES - withBody("").bytes.length),
  );
}
