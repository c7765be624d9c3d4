// Goal: the portable URL resolver never gives another result than a full WHATWG implementation, and rarely refuses.
// Method: Node's URL on the checked-in corpus, on every BMP character in a host and a path, and on 150,000 URLs put
// together from fragments of the grammar; then plain ASCII http(s) URLs, whose refusals are counted.

import { describe, expect, test } from "vitest";
import { originOf, resolveUrl } from "../../src/declarative/index.ts";
import { resolvePortable } from "../../src/declarative/url-portable.ts";
import { NASTY_URLS, REFUSED_URLS } from "../declarative/nasty-urls.ts";
import { fc, numRuns } from "../properties.ts";

function platformHref(text: string, base: string | null): string | null {
  try {
    return (base === null ? new URL(text) : new URL(text, base)).href;
  } catch {
    return null;
  }
}

/** Differences found, as lines for the test's output; refusals are none. */
function difference(text: string, base: string | null): string | null {
  const result = resolvePortable(text, base);
  const expected = platformHref(text, base);
  if (result.why === "refused" || result.href === expected) return null;
  return `${JSON.stringify(text)} on ${base}: ${JSON.stringify(result)}, not ${expected}`;
}

const BASES = [
  "https://app.example/",
  "https://app.example/mail/",
  "https://app.example/mail/x?y#z",
  "http://u:p@h:8080/a/b",
  "ws://h/",
  "foo://host/a/b",
  "mailto:x",
  null,
];

/** Pieces that mean something somewhere in a URL, or are encoded in one place and not in another. */
const PIECES = [
  ...["http:", "https:", "HTTP:", "ws:", "foo:", "mailto:", "file:", "ftp:", "blob:", "c:", "C|"],
  ...["//", "/", "\\", "\\\\", "///", "@", ":", "user", "pw:", "?", "#", "?q=1&b='x'", "#f<r>"],
  ...["a.example", "EXAMPLE.com", "1.2.3.4", "0x7f.1", "0300.1", "4294967295", "4294967296", "256", "1e3"],
  ...["0", "09", "0x", "0xg", "[::1]", "[1:2:3:4:5:6:7:8]", "[::ffff:1.2.3.4]", "[1::", "[", "]"],
  ...[":80", ":443", ":8080", ":65536", ":00080", "a", "b", "..", ".", "/..", "/./", "/a/b/c", "/.b", "/..b"],
  ...["%2e", "%2E%2e", ".%2e", "%41", "%zz", "%", "%C3%BC", "%00", "%20", "%2F", "%5c", "%25"],
  ...[
    "\u00fc",
    "b\u00fccher",
    "\u00c4rger",
    "\u65e5\u672c",
    "\u03a3\u03c2",
    "xn--bcher-kva",
    "xn--a",
    "xn--",
  ],
  ...[
    "\ud83d\ude00",
    "\ud83d",
    "\udc00",
    "\u3002",
    "\u00ad",
    "\u0080",
    "\0",
    "\x1f",
    "\x7f",
    " ",
    "\t",
    "\n",
  ],
  ...[
    "|",
    "^",
    "`",
    "{",
    "}",
    "<",
    ">",
    '"',
    "'",
    ";",
    "=",
    "&",
    "+",
    "$",
    ",",
    "!",
    "*",
    "(",
    ")",
    "~",
    "_",
    "-",
  ],
];

describe("corpus", () => {
  test.each(NASTY_URLS)("%j on %j", (text, base, href) => {
    expect(platformHref(text, base)).toBe(href);
  });

  test("the refused ones are no differences", () => {
    expect(
      REFUSED_URLS.map(([text, base]) => difference(text, base)).filter((line) => line !== null),
    ).toEqual([]);
  });
});

describe("comparison", () => {
  test("every BMP character, in a host and in a path", () => {
    const differences: (string | null)[] = [];
    for (let unit = 0; unit <= 0xffff; unit++) {
      const character = String.fromCharCode(unit);
      differences.push(difference(`https://a${character}b.example/`, null));
      differences.push(difference(`https://${character}/${character}?${character}#${character}`, null));
    }
    expect(differences.filter((line) => line !== null)).toEqual([]);
  });

  test("URLs put together from fragments", () => {
    const pieces = fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(pieces, fc.constantFrom(...BASES), (parts, base) => {
        const text = parts.join("");
        for (const candidate of [text, `https://${text}`, `https://h/${text}`]) {
          const found = difference(candidate, base);
          if (found !== null) throw new Error(found);
        }
      }),
      { numRuns: numRuns(50_000) },
    );
  });

  test("plain http(s) URLs are not refused", () => {
    let refused = 0;
    let compared = 0;
    const path = fc.stringMatching(/^[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,30}$/);
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), path, (url, tail) => {
        for (const [text, base] of [
          [url, null],
          [tail, url],
          [`/${tail}?${tail}#${tail}`, url],
        ] as const) {
          const result = resolvePortable(text, base);
          compared++;
          if (result.why === "refused") refused++;
          else expect(result.href).toBe(platformHref(text, base));
        }
      }),
      { numRuns: numRuns(5_000) },
    );
    // What is left are names that start with a dot in one path with dot segments.
    expect(refused / compared).toBeLessThan(0.01);
  });
});

describe("origins", () => {
  test("originOf equals the platform's origin", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 9 }), (parts) => {
        const href = resolveUrl(`https://${parts.join("")}`, null);
        if (href !== null) expect(originOf(href)).toBe(new URL(href).origin);
      }),
      { numRuns: numRuns(5_000) },
    );
  });
});
