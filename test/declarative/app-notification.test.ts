// Goal: a notification made by an app passes the same checks as a declared one, and inherits the declared link.
// Method: single calls of createAppNotification.

import { describe, expect, test } from "vitest";
import { createAppNotification } from "../../src/declarative/index.ts";
import { context, message, parsed } from "./support.ts";

const declared = parsed(message({ body: "declared" }));

describe("notifications made by an app", () => {
  test("links are optional", () => {
    const options = { actions: [{ action: "a", title: "A" }], icon: "i.png" };
    const result = createAppNotification("T", options, null, context);
    expect(result).toMatchObject({
      ok: true,
      notification: {
        title: "T",
        navigate: null,
        icon: "https://app.example/i.png",
        actions: [{ action: "a", title: "A", navigate: null, icon: null }],
      },
    });
  });

  test("a replacement without link keeps the declared one, and nothing else", () => {
    const result = createAppNotification("New", {}, declared, context);
    expect(result).toMatchObject({ ok: true, notification: { navigate: "https://app.example/x", body: "" } });
    const other = createAppNotification("New", { navigate: "/y" }, declared, context);
    expect(other).toMatchObject({ ok: true, notification: { navigate: "https://app.example/y" } });
  });

  test.each([
    [{ dir: "up" }, "wrong-type"],
    [{ body: 7 }, "wrong-type"],
    [{ actions: [{ action: "a" }] }, "wrong-type"],
    [{ vibrate: 200 }, "wrong-type"],
    [{ silent: null, data: undefined }, null],
    [{ silent: true, vibrate: [1] }, "silent-vibrate"],
    [{ renotify: true }, "renotify-tag"],
    [{ navigate: "https://[" }, "navigate-url"],
    [{ unknown: {} }, null],
  ] as const)("%j: %s", (options, reason) => {
    const result = createAppNotification("T", options, null, context);
    expect(result.ok ? null : result.reason).toBe(reason);
  });

  test("a title in the options does not replace the argument", () => {
    const result = createAppNotification("T", { title: "other" }, null, context);
    expect(result).toMatchObject({ ok: true, notification: { title: "T" } });
  });
});
