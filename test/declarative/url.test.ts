// Goal: the portable resolver gives the standard's result or refuses, without any URL class to lean on.
// Method: a table of nasty inputs with the hrefs the standard gives. test/node/url.test.ts compares the same inputs, and
// many more, with a full implementation.

import { describe, expect, test } from "vitest";
import { hostOf, originOf, resolveUrl } from "../../src/declarative/index.ts";
import { resolvePortable } from "../../src/declarative/url-portable.ts";
import { NASTY_URLS, REFUSED_URLS } from "./nasty-urls.ts";

describe("portable resolver", () => {
  test.each(NASTY_URLS)("%j on %j is %j", (text, base, href) => {
    expect(resolvePortable(text, base).href).toBe(href);
  });

  test.each(REFUSED_URLS)("%j on %j is refused", (text, base) => {
    expect(resolvePortable(text, base)).toEqual({ href: null, why: "refused" });
  });

  test("what does not parse is told from what is refused", () => {
    expect(resolvePortable("https://[", null)).toEqual({ href: null, why: "invalid" });
  });

  test("a refusal is a failure to its callers", () => {
    expect(resolveUrl("file:///etc/passwd", null, { platform: null })).toBe(null);
    expect(resolveUrl("/x", "https://app.example/", { platform: null })).toBe("https://app.example/x");
  });
});

describe("origin and host", () => {
  test.each([
    ["https://app.example/x", "https://app.example", "app.example"],
    ["https://u:p@app.example:8443/@b", "https://app.example:8443", "app.example:8443"],
    ["https://app.example?x@y", "https://app.example", "app.example"],
    ["http://[::1]:8080/", "http://[::1]:8080", "[::1]:8080"],
    ["tel:+1", null, null],
    ["blob:https://app.example/0", null, null],
    ["myapp://open/x", null, "open"],
    ["about:blank", null, null],
  ])("%s", (url, origin, host) => {
    expect(originOf(url)).toBe(origin);
    expect(hostOf(url)).toBe(host);
  });
});
