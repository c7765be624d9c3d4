// Goal: what a message is follows from its plaintext and the subscription's mode; the header can only narrow.
// Method: the table of modes, every row with each header; then the matching of the header itself.

import { describe, expect, test } from "vitest";
import { type DeclarativeMode, decide, isNotificationContentType } from "../../src/declarative/index.ts";
import { context, jsonBytes, message } from "./support.ts";

const HEADER = "application/notification+json";
const plaintexts = {
  w3c: message(),
  explainer: jsonBytes({ title: "T", default_action_url: "/x" }),
  both: message({}, { title: "E", default_action_url: "/e" }),
  neither: jsonBytes({ hello: "world" }),
  text: new Uint8Array([0x68, 0x69]),
} as const;
type Plaintext = keyof typeof plaintexts;

const table: readonly (readonly [DeclarativeMode, Plaintext, withHeader: string, withoutHeader: string])[] = [
  ["never", "w3c", "legacy", "legacy"],
  ["never", "explainer", "legacy", "legacy"],
  ["never", "neither", "legacy", "legacy"],
  ["auto", "w3c", "declarative", "declarative"],
  ["auto", "both", "declarative", "declarative"],
  ["auto", "explainer", "legacy", "legacy"],
  ["auto", "neither", "legacy", "legacy"],
  ["auto", "text", "legacy", "legacy"],
  ["auto+explainer", "w3c", "declarative", "declarative"],
  ["auto+explainer", "both", "declarative", "declarative"],
  ["auto+explainer", "explainer", "declarative", "legacy"],
  ["auto+explainer", "neither", "error", "legacy"],
  ["auto+explainer", "text", "error", "legacy"],
  ["only", "w3c", "declarative", "declarative"],
  ["only", "both", "declarative", "declarative"],
  ["only", "explainer", "declarative", "declarative"],
  ["only", "neither", "error", "error"],
  ["only", "text", "error", "error"],
];

describe("modes", () => {
  test.each(table)(
    "%s: %s is %s with the header, %s without",
    (mode, plaintext, withHeader, withoutHeader) => {
      const bytes = plaintexts[plaintext];
      expect(decide(bytes, { ...context, mode, contentType: HEADER }).kind).toBe(withHeader);
      expect(decide(bytes, { ...context, mode, contentType: null }).kind).toBe(withoutHeader);
      expect(decide(bytes, { ...context, mode, contentType: "application/json" }).kind).toBe(withoutHeader);
    },
  );

  test("with both forms in one message the standard one counts", () => {
    const result = decide(plaintexts.both, { ...context, mode: "only", contentType: HEADER });
    expect(result.notification?.title).toBe("T");
  });

  test("the reason is about the form the sender meant", () => {
    const broken = jsonBytes({ web_push: 8030, notification: { title: "T" } });
    expect(decide(broken, { ...context, mode: "only", contentType: null }).reason).toBe("no-navigate");
    expect(decide(plaintexts.neither, { ...context, mode: "only", contentType: null }).reason).toBe(
      "no-title",
    );
  });

  test.each([
    ["auto", "legacy"],
    ["auto+explainer", "legacy"],
    ["only", "error"],
    ["never", "legacy"],
  ] as const)("a push without body under %s is %s", (mode, kind) => {
    expect(decide(null, { ...context, mode, contentType: HEADER })).toStrictEqual({
      kind,
      notification: null,
      mutable: false,
      appBadge: null,
      reason: "no-body",
    });
  });

  test("an empty body is not a missing one", () => {
    const empty = new Uint8Array(0);
    expect(decide(empty, { ...context, mode: "auto", contentType: null }).reason).toBe("not-json");
    expect(decide(empty, { ...context, mode: "only", contentType: null }).kind).toBe("error");
  });
});

describe("content type", () => {
  test.each([
    HEADER,
    "Application/Notification+JSON",
    " application/notification+json\t",
    "application/notification+json;charset=utf-8",
    'application/notification+json ; profile="x"',
  ])("%j matches", (contentType) => {
    expect(isNotificationContentType(contentType)).toBe(true);
  });

  test.each([
    null,
    "",
    "application/json",
    "application/notification+jsonx",
    "xapplication/notification+json",
    "application/notification",
    "text/plain, application/notification+json",
    "application/notification+json, text/plain",
    "application/notification+json; q=1, text/plain",
    "application/ notification+json",
  ])("%j does not", (contentType) => {
    expect(isNotificationContentType(contentType)).toBe(false);
  });
});
