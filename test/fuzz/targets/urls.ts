// SPDX-License-Identifier: MIT
/**
 * Links, and where they lead: without the engine's URL the result is the same or refused, and scheme, origin and host are read off
 * it as the engine reads them. An input is two lines, the link and what it is relative to. No tests here.
 */

import { utf8Decode, utf8Encode } from "../../../src/bytes.ts";
import { hostOf, originOf, resolveUrl, schemeOf } from "../../../src/declarative/url.ts";
import { resolvePortable } from "../../../src/declarative/url-portable.ts";
import { NASTY_URLS, REFUSED_URLS } from "../../declarative/nasty-urls.ts";
import { same, type Target } from "../target.ts";

const SCHEMES = ["http", "https", "ws", "ftp", "mailto", "file", "blob", "foo"];
/** Those with origins that are no texts of scheme, host and port. */
const NESTING = ["blob"];

export const target: Target = {
  name: "urls",
  covers: ["src/declarative/url", "src/declarative/punycode.ts"],
  inputBytesMax: 1024,
  inputMsMax: 50,
  words: [
    ...[
      "http:",
      "https:",
      "HTTP:",
      "ws:",
      "foo:",
      "mailto:",
      "file:",
      "ftp:",
      "blob:",
      "//",
      "/",
      "\\",
      "///",
      "@",
      ":",
    ],
    ...[
      "user:pw@",
      "?",
      "#",
      "a.example",
      "1.2.3.4",
      "0x7f.1",
      "0300.1",
      "4294967295",
      "4294967296",
      "256",
      "09",
      "0x",
    ],
    ...[
      "[::1]",
      "[1:2:3:4:5:6:7:8]",
      "[::ffff:1.2.3.4]",
      "[1::",
      "]",
      ":80",
      ":443",
      ":65536",
      "..",
      ".",
      "%2e",
      "%2E%2e",
    ],
    ...[
      "%41",
      "%zz",
      "%C3%BC",
      "%00",
      "%2F",
      "\u00fc",
      "\u65e5\u672c",
      "\u03c2",
      "xn--bcher-kva",
      "xn--",
      "\u00ad",
      "\u3002",
    ],
    ...["\u{1f600}", "^", "|", "`", "{", "'", '"', "<", " ", "\t", "\n", "https://app.example/mail/x?y#z"],
  ],
  seeds: () => SEEDS,
  run(input) {
    const [text = "", base = ""] = utf8Decode(input).split("\n", 2);
    const absolute = base === "" ? null : resolveUrl(base, null);
    const full = resolveUrl(text, absolute);
    const { href, why } = resolvePortable(text, absolute);
    if (why !== "refused") same(`the link without the engine's URL, from ${absolute}`, href, full);
    if (full !== null) checkParts(full);
    const scheme = full === null ? "" : schemeOf(full);
    return `${why} ${SCHEMES.includes(scheme) ? scheme : ""}`;
  },
};

function checkParts(href: string): void {
  const { protocol, origin, host } = new URL(href);
  same("scheme", `${schemeOf(href)}:`, protocol);
  if (!NESTING.includes(schemeOf(href))) same("origin", originOf(href) ?? "null", origin);
  same("host", hostOf(href) ?? "", host);
}

const SEEDS: readonly Uint8Array[] = [...NASTY_URLS, ...REFUSED_URLS].map(([text, base]) =>
  utf8Encode(`${text.replaceAll("\n", "")}\n${base ?? ""}`),
);
