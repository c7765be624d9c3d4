// SPDX-License-Identifier: MIT
/**
 * A small WHATWG URL parser for engines without `URL`. It gives exactly the standard's result or says that it refuses:
 * `file:` URLs, bases other than http(s), host names outside a safe part of IDNA, and the few spots where engines of
 * different age disagree.
 */

import { parseHost, parseOpaqueHost } from "./url-host.ts";

/** A serialised URL, or why there is none: `invalid` for every implementation, or `refused` by this one only. */
export type Resolution =
  | { readonly href: string; readonly why: null }
  | { readonly href: null; readonly why: Failure };
export type Failure = "invalid" | "refused";

interface UrlRecord {
  readonly scheme: string;
  /** User info, host and port as serialised; null when the URL has no host. */
  readonly authority: string | null;
  /** Segments, or one string that nothing resolves against (`mailto:x`). */
  readonly path: readonly string[] | string;
  readonly query: string | null;
  readonly fragment: string | null;
}

/** What the standard calls special schemes, but `file`, with their default ports. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, ws: 80, wss: 443, ftp: 21 };

// The standard's percent-encode sets (URL §1.3). Outside printable ASCII everything is encoded.
const FRAGMENT_SET = /[^!-~]|["<>`]/gu;
const QUERY_SET = /[^!-~]|["#<>]/gu;
const SPECIAL_QUERY_SET = /[^!-~]|["#<>']/gu;
const PATH_SET = /[^!-~]|["#<>?`{}]/gu;
const USER_INFO_SET = /[^!-~]|["#<>?`{}/:;=@[\\\]^|]/gu;
const CONTROL_SET = /[^ -~]/gu;

/** Resolves `text` against `base`, an absolute URL or null (URL §4.4, "basic URL parser"). Never throws. */
export function resolvePortable(text: string, base: string | null): Resolution {
  const url = parse(text, base);
  return typeof url === "string" ? { href: null, why: url } : { href: serialise(url), why: null };
}

function parse(input: string, base: string | null): UrlRecord | Failure {
  const text = trimControls(input.replace(/[\ud800-\udfff]/gu, "\ufffd")).replace(/[\t\n\r]/g, "");
  const scheme = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/.exec(text)?.[0].toLowerCase();
  const hash = text.indexOf("#");
  const fragment = hash === -1 ? null : encode(text.slice(hash + 1), FRAGMENT_SET);
  const beforeHash = hash === -1 ? text : text.slice(0, hash);
  const mark = beforeHash.indexOf("?");
  const query = mark === -1 ? null : beforeHash.slice(mark + 1);
  const rest = beforeHash.slice(scheme === undefined ? 0 : scheme.length + 1, mark === -1 ? undefined : mark);
  return scheme === undefined
    ? parseRelative(rest, query, fragment, base)
    : parseAbsolute(scheme, rest, query, fragment, base);
}

/** `rest` follows the scheme and its colon and ends before query and fragment. */
function parseAbsolute(
  scheme: string,
  rest: string,
  query: string | null,
  fragment: string | null,
  base: string | null,
): UrlRecord | Failure {
  if (scheme === "file") return "refused";
  const isSpecial = Object.hasOwn(DEFAULT_PORTS, scheme);
  // `https:path` is relative to a base of the same scheme: a leftover of RFC 1808.
  if (isSpecial && !rest.startsWith("//") && base !== null && schemeOfBase(base) === scheme) {
    return parseRelative(rest, query, fragment, base);
  }
  const url = { scheme, query: encodeQuery(query, isSpecial), fragment };
  if (isSpecial) return withAuthority(url, rest.replaceAll("\\", "/").replace(/^\/*/, ""));
  if (rest.startsWith("//")) return withAuthority(url, rest.slice(2));
  if (rest.startsWith("/")) return withPath(url, null, [], rest);
  // Engines disagree about white space before a query: it was once kept, then stripped, now encoded.
  if (rest.endsWith(" ") && (query !== null || fragment !== null)) return "refused";
  return { ...url, authority: null, path: encode(rest, CONTROL_SET) };
}

function parseRelative(
  text: string,
  query: string | null,
  fragment: string | null,
  baseText: string | null,
): UrlRecord | Failure {
  if (baseText === null) return "invalid";
  const base = parse(baseText, null);
  if (typeof base === "string") return base;
  // No scope is of another kind, and engines have bugs of their own there.
  if (typeof base.path === "string" || !Object.hasOwn(DEFAULT_PORTS, base.scheme)) return "refused";
  const rest = text.replaceAll("\\", "/");
  const url = { scheme: base.scheme, query: encodeQuery(query, true), fragment };
  if (rest.startsWith("//")) return withAuthority(url, rest.replace(/^\/*/, ""));
  if (rest.startsWith("/")) return withPath(url, base.authority, [], rest);
  if (rest !== "") return withPath(url, base.authority, base.path.slice(0, -1), `/${rest}`);
  // Some engines drop the question mark of an inherited query that is empty.
  if (url.query === null && base.query === "") return "refused";
  return { ...base, query: url.query ?? base.query, fragment };
}

/** Reads user info, host and port off `rest`, then its path. Backslashes of special URLs are slashes already. */
function withAuthority(
  url: Pick<UrlRecord, "scheme" | "query" | "fragment">,
  rest: string,
): UrlRecord | Failure {
  const slash = rest.indexOf("/");
  const authority = slash === -1 ? rest : rest.slice(0, slash);
  const at = authority.lastIndexOf("@");
  const [, hostText = "", portText] = /^(\[.*?\]|[^:]*)(?::(.*))?$/s.exec(authority.slice(at + 1)) ?? [];
  const defaultPort = Object.hasOwn(DEFAULT_PORTS, url.scheme) ? DEFAULT_PORTS[url.scheme] : undefined;
  const isHostNeeded = defaultPort !== undefined || at !== -1 || portText !== undefined;
  if (hostText === "" && (isHostNeeded || authority !== "")) return "invalid";
  const host = defaultPort === undefined ? parseOpaqueHost(hostText) : parseHost(hostText);
  if (host.text === null) return host.why;
  const port = Number(portText ?? "");
  if (!/^\d*$/.test(portText ?? "") || port > 65_535) return "invalid";
  const portPart = portText === undefined || portText === "" || port === defaultPort ? "" : `:${port}`;
  const userInfo = at === -1 ? "" : encodeUserInfo(authority.slice(0, at));
  return withPath(url, userInfo + host.text + portPart, [], slash === -1 ? "" : rest.slice(slash));
}

/** Appends the segments of `text`, empty or starting with a slash, to those of `start` (URL §4.4, "path state"). */
function withPath(
  url: Pick<UrlRecord, "scheme" | "query" | "fragment">,
  authority: string | null,
  start: readonly string[],
  text: string,
): UrlRecord | Failure {
  // The standard began to encode it in 2023; engines that are still in use do not.
  if (text.includes("^")) return "refused";
  const isSpecial = Object.hasOwn(DEFAULT_PORTS, url.scheme);
  if (text === "") return { ...url, authority, path: isSpecial ? [""] : [] };
  const path = [...start];
  const segments = encode(text.slice(1), PATH_SET).split("/");
  let hasDots = false;
  for (const [index, segment] of segments.entries()) {
    const dots =
      segment.length <= 6 ? /^(?:\.|%2e){1,2}$/i.exec(segment)?.[0].replace(/%2e/gi, ".") : undefined;
    if (dots === "..") path.pop();
    if (dots === undefined) path.push(segment);
    else if (index === segments.length - 1) path.push("");
    hasDots ||= dots !== undefined;
  }
  // Some engines keep dot segments after a name that starts with a dot, or lose the last slash of `foo:/..`.
  if (hasDots && (!isSpecial || segments.some((segment) => /^\.(?:[^.]|\..)/.test(segment))))
    return "refused";
  return { ...url, authority, path };
}

function serialise(url: UrlRecord): string {
  const { authority, path } = url;
  let text = `${url.scheme}:`;
  if (authority !== null) text += `//${authority}`;
  // Without it, a path that starts with two slashes would read as a host.
  else if (typeof path !== "string" && path.length > 1 && path[0] === "") text += "/.";
  if (typeof path === "string") text += path;
  else if (path.length > 0) text += `/${path.join("/")}`;
  if (url.query !== null) text += `?${url.query}`;
  if (url.fragment !== null) text += `#${url.fragment}`;
  return text;
}

function schemeOfBase(base: string): string {
  return base.slice(0, Math.max(0, base.indexOf(":"))).toLowerCase();
}

function encodeQuery(query: string | null, isSpecial: boolean): string | null {
  return query === null ? null : encode(query, isSpecial ? SPECIAL_QUERY_SET : QUERY_SET);
}

/** `user:password@`, or nothing when both are empty. */
function encodeUserInfo(text: string): string {
  const colon = text.indexOf(":");
  const user = encode(colon === -1 ? text : text.slice(0, colon), USER_INFO_SET);
  const password = colon === -1 ? "" : encode(text.slice(colon + 1), USER_INFO_SET);
  if (password !== "") return `${user}:${password}@`;
  return user === "" ? "" : `${user}@`;
}

function encode(text: string, set: RegExp): string {
  return text.replace(set, percentEncode);
}

/** `encodeURIComponent` leaves the apostrophe alone; everything else in the sets it encodes. */
function percentEncode(character: string): string {
  return character === "'" ? "%27" : encodeURIComponent(character);
}

/** Without C0 controls and spaces at both ends. */
function trimControls(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) <= 0x20) start++;
  while (end > start && text.charCodeAt(end - 1) <= 0x20) end--;
  return text.slice(start, end);
}
