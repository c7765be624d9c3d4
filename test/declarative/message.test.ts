// Goal: the parser reads members by the book, never throws, and takes nothing from prototypes or beyond its bounds.
// Method: single messages for the rules vectors do not reach, then properties over arbitrary bytes and messages.

import { describe, expect, test } from "vitest";
import { concatBytes, utf8Encode } from "../../src/bytes.ts";
import { decide, parseDeclarative } from "../../src/declarative/index.ts";
import { JSON_DEPTH_MAX } from "../../src/limits.ts";
import { fc, numRuns } from "../properties.ts";
import { context, EPOCH_MS, jsonBytes, message, parsed, reasonOf } from "./support.ts";

describe("members", () => {
  test("the smallest message gets every default", () => {
    expect(parseDeclarative(message(), context)).toStrictEqual({
      ok: true,
      notification: {
        title: "T",
        navigate: "https://app.example/x",
        body: "",
        dir: "auto",
        lang: "",
        tag: "",
        icon: null,
        image: null,
        badge: null,
        vibrate: [],
        timestamp: EPOCH_MS,
        renotify: false,
        requireInteraction: false,
        silent: null,
        data: null,
        actions: [],
      },
      mutable: false,
      appBadge: null,
    });
  });

  test("only own members count", () => {
    const text = '{"web_push":8030,"notification":{"__proto__":{"title":"T","navigate":"/x"}}}';
    expect(reasonOf(parseDeclarative(utf8Encode(text), context))).toBe("no-title");
    const top = '{"__proto__":{"web_push":8030,"notification":{"title":"T","navigate":"/x"}}}';
    expect(reasonOf(parseDeclarative(utf8Encode(top), context))).toBe("no-magic");
    const action =
      '{"web_push":8030,"notification":{"title":"T","navigate":"/x","actions":[{"__proto__":{}}]}}';
    expect(parsed(utf8Encode(action)).actions).toEqual([]);
  });

  test("a polluted Object.prototype adds nothing", () => {
    const prototype = Object.prototype as unknown as Record<string, unknown>;
    const polluted = { body: "p", silent: true, mutable: true, app_badge: 3, icon: "/p", web_push: 8030 };
    Object.assign(prototype, polluted);
    try {
      const bytes = utf8Encode(
        '{"web_push":8030,"notification":{"title":"T","navigate":"/x","actions":[{"action":"a","title":"A","navigate":"/a"}]}}',
      );
      const result = parseDeclarative(bytes, context);
      expect(result.ok && Object.hasOwn(result.notification, "body") && result.notification.body).toBe("");
      expect(result.ok && result.notification.silent).toBe(null);
      expect(result.ok && result.mutable).toBe(false);
      expect(result.ok && result.appBadge).toBe(null);
      expect(result.ok && result.notification.actions[0]?.icon).toBe(null);
      expect(reasonOf(parseDeclarative(utf8Encode('{"notification":{}}'), context))).toBe("no-magic");
    } finally {
      for (const name of Object.keys(polluted)) delete prototype[name];
    }
  });

  test("zero may be written as -0 and is 0 all the same", () => {
    const bytes = utf8Encode(
      '{"web_push":8030,"app_badge":-0,"notification":{"title":"T","navigate":"/x","timestamp":-0,"vibrate":[-0]}}',
    );
    const result = parseDeclarative(bytes, context);
    expect(result).toMatchObject({ ok: true, appBadge: 0, notification: { timestamp: 0, vibrate: [0] } });
    expect(result.ok && Object.is(result.appBadge, 0)).toBe(true);
  });

  test.each([
    [[], []],
    [[1, 2], [1]],
    [
      [1, 2, 3],
      [1, 2, 3],
    ],
    [[20_000], [10_000]],
    [
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
    ],
    [[4_294_967_296], []],
  ])("vibrate %j becomes %j", (given, expected) => {
    expect(parsed(message({ vibrate: given })).vibrate).toEqual(expected);
  });

  test("timestamps above 2^53-1 are ignored", () => {
    expect(parsed(message({ timestamp: Number.MAX_SAFE_INTEGER })).timestamp).toBe(Number.MAX_SAFE_INTEGER);
    expect(parsed(message({ timestamp: 2 ** 53 })).timestamp).toBe(EPOCH_MS);
  });

  test("mutable inside the notification is not read", () => {
    const result = parseDeclarative(message({ mutable: true }), context);
    expect(result.ok && result.mutable).toBe(false);
  });
});

describe("creation rules", () => {
  test.each([
    [{ silent: true, vibrate: [] }, "silent-vibrate"],
    [{ silent: true, vibrate: "x" }, null],
    [{ renotify: true }, "renotify-tag"],
    [{ renotify: true, tag: 7 }, "renotify-tag"],
    [{ renotify: true, tag: "t" }, null],
    [{ navigate: "https://[" }, "navigate-url"],
    [{ icon: "https://[" }, null],
    [{ actions: [{ action: "a", title: "A", navigate: "https://[" }] }, "action-url"],
    [{ actions: [{ action: "a", title: "A", navigate: "/a", icon: "https://[" }] }, null],
  ] as const)("%j: %s", (members, reason) => {
    expect(reasonOf(parseDeclarative(message(members), context))).toBe(reason);
  });

  test("actions beyond the maximum are not looked at", () => {
    const actions = [
      { action: "a", title: "A", navigate: "/a" },
      { action: "b", title: "B", navigate: "https://[" },
    ];
    expect(reasonOf(parseDeclarative(message({ actions }), context))).toBe("action-url");
    expect(parsed(message({ actions }), { maxActions: 1 }).actions).toEqual([
      { action: "a", title: "A", navigate: "https://app.example/a", icon: null },
    ]);
    expect(parsed(message({ actions }), { maxActions: 0 }).actions).toEqual([]);
  });

  test("without a base URL only absolute links resolve", () => {
    const noBase = { ...context, baseUrl: null };
    expect(reasonOf(parseDeclarative(message(), noBase))).toBe("navigate-url");
    const absolute = message({ navigate: "https://a.example/", icon: "i.png" });
    expect(parsed(absolute, { baseUrl: null })).toMatchObject({ navigate: "https://a.example/", icon: null });
  });
});

describe("bytes", () => {
  test("one byte order mark is dropped, a second one is not JSON", () => {
    const mark = Uint8Array.of(0xef, 0xbb, 0xbf);
    expect(parsed(concatBytes(mark, message())).title).toBe("T");
    expect(reasonOf(parseDeclarative(concatBytes(mark, mark, message()), context))).toBe("not-json");
  });

  test("malformed UTF-8 inside a string becomes U+FFFD", () => {
    const bytes = message({ title: "a?b" });
    bytes[bytes.indexOf(0x3f)] = 0xff;
    expect(parsed(bytes).title).toBe("a\ufffdb");
  });

  test("nesting up to the limit parses, one level more does not", () => {
    const data = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
    const wrapped = (levels: number): Uint8Array =>
      utf8Encode(`{"web_push":8030,"notification":{"title":"T","navigate":"/x","data":${data(levels)}}}`);
    expect(reasonOf(parseDeclarative(wrapped(JSON_DEPTH_MAX - 2), context))).toBe(null);
    expect(reasonOf(parseDeclarative(wrapped(JSON_DEPTH_MAX - 1), context))).toBe("json-too-deep");
    expect(reasonOf(parseDeclarative(utf8Encode("[".repeat(100_000)), context))).toBe("json-too-deep");
  });

  test("brackets in strings and side by side are not nesting", () => {
    const text = `${'\\"['.repeat(200)}${"{".repeat(200)}`;
    const bytes = utf8Encode(`{"web_push":8030,"notification":{"title":"${text}","navigate":"/x"}}`);
    expect(parsed(bytes).title).toBe(text.replaceAll("\\", ""));
    const data = new Array(1000).fill([]);
    expect(parsed(message({ data })).data).toEqual(data);
  });
});

describe("properties", () => {
  const modes = ["auto", "auto+explainer", "only", "never"] as const;

  test("no bytes make decide throw", () => {
    const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.json().map(utf8Encode));
    fc.assert(
      fc.property(anyBytes, fc.constantFrom(...modes), fc.boolean(), (bytes, mode, header) => {
        const contentType = header ? "application/notification+json" : null;
        const result = decide(bytes, { ...context, mode, contentType });
        expect(result.kind === "declarative").toBe(result.notification !== null);
        expect(result.kind === "declarative").toBe(result.reason === null);
      }),
      { numRuns: numRuns(2000) },
    );
  });

  test("what was parsed parses to itself", () => {
    const members = {
      dir: fc.constantFrom("auto", "ltr", "rtl", "up"),
      lang: fc.string(),
      body: fc.oneof(fc.string({ unit: "binary" }), fc.integer()),
      tag: fc.string(),
      icon: fc.webPath(),
      image: fc.oneof(fc.webUrl(), fc.string()),
      vibrate: fc.array(fc.oneof(fc.nat(), fc.constant(-0)), { maxLength: 12 }),
      timestamp: fc.oneof(fc.maxSafeInteger(), fc.double()),
      renotify: fc.boolean(),
      requireInteraction: fc.boolean(),
      silent: fc.constantFrom(true, false, null),
      data: fc.jsonValue(),
      actions: fc.array(
        fc.record({ action: fc.string(), title: fc.string(), navigate: fc.webUrl(), icon: fc.webPath() }),
      ),
    };
    const anyNotification = fc.record(
      { title: fc.string(), navigate: fc.webUrl(), ...members },
      { requiredKeys: ["title", "navigate"] },
    );
    const anyBadge = fc.oneof(fc.nat(), fc.boolean(), fc.constant("1"));
    fc.assert(
      fc.property(anyNotification, fc.boolean(), anyBadge, (notification, mutable, app_badge) => {
        const first = parseDeclarative(
          jsonBytes({ web_push: 8030, notification, mutable, app_badge }),
          context,
        );
        if (!first.ok) return;
        // A resolved vibration pattern that is empty was perhaps unset; beside `silent` only that is legal.
        const { vibrate, icon, ...rest } = first.notification;
        const again: Record<string, unknown> = { ...rest, ...(icon === null ? {} : { icon }) };
        if (vibrate.length > 0) again.vibrate = vibrate;
        const { appBadge } = first;
        const bytes = jsonBytes({
          web_push: 8030,
          notification: again,
          mutable: first.mutable,
          app_badge: appBadge,
        });
        expect(parseDeclarative(bytes, context)).toStrictEqual(first);
      }),
      { numRuns: numRuns(1000) },
    );
  });
});
