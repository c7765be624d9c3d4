// SPDX-License-Identifier: MIT
/**
 * Host parsing of the portable URL resolver (URL §3.5): domain names, IPv4 in all its spellings, IPv6. Of international
 * names it does those whose mapping has been the same in every version of the tables, and refuses the rest.
 */

import { decodePunycode, encodePunycode } from "./punycode.ts";

/** A serialised host, or why there is none. */
export type HostResult =
  | { readonly text: string; readonly why: null }
  | { readonly text: null; readonly why: "invalid" | "refused" };

const INVALID: HostResult = { text: null, why: "invalid" };
const REFUSED: HostResult = { text: null, why: "refused" };

/** The host of a special URL: a domain name in ASCII, a dotted IPv4 address, or a bracketed IPv6 one. */
export function parseHost(text: string): HostResult {
  if (text.startsWith("[")) return parseIpv6Host(text);
  const decoded = percentDecode(text);
  if (decoded === null) return INVALID;
  const domain = domainToAscii(decoded);
  if (domain === null) return REFUSED;
  // Forbidden domain code points. The sets are written as what they allow.
  if (domain === "" || /[^!-~]|[#%/:<>?@[\\\]^|]/.test(domain)) return INVALID;
  if (!/(?:^|\.)(?:\d+|0x[0-9a-f]*)\.?$/.test(domain)) return { text: domain, why: null };
  const address = parseIpv4(domain);
  return address === null ? INVALID : { text: address, why: null };
}

/** The host of any other URL: kept as it is, but for what must not stand in a host. May be empty. */
export function parseOpaqueHost(text: string): HostResult {
  if (text.startsWith("[")) return parseIpv6Host(text);
  if (/[\0\t\n\r #/:<>?@[\\\]^|]/.test(text)) return INVALID;
  return { text: text.replace(/[^ -~]/gu, encodeURIComponent), why: null };
}

/** Null when an escape is not UTF-8: the replacement character it would become is not allowed in a host. */
function percentDecode(text: string): string | null {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/**
 * Letters of international names that are valid and case-mapped one to one in every version of UTS 46, never combine,
 * and run left to right: Latin-1, Latin Extended-A, Greek, Cyrillic, kana, unified ideographs, Hangul syllables.
 */
const IDN_LABEL =
  /^[-0-9A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u012f\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03ce\u0400-\u045f\u3041-\u3096\u30a1-\u30fa\u30fc\u4e00-\u9fef\uac00-\ud7a3]+$/;
/** Longer labels and names are for the full implementation: engines differ in what they let pass. */
const IDN_LABEL_CHARS_MAX = 63;

/** "Domain to ASCII" (UTS 46, not strict), or null where that needs the full tables. */
function domainToAscii(domain: string): string | null {
  const lower = domain.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  if (/^[\0-\x7f]*$/.test(lower) && !/(?:^|\.)xn--/.test(lower)) return lower;
  const labels: string[] = [];
  for (const label of lower.split(".")) {
    const ascii = labelToAscii(label);
    if (ascii === null) return null;
    labels.push(ascii);
  }
  return labels.join(".");
}

/** `label` is lower case as far as it is ASCII. */
function labelToAscii(label: string): string | null {
  if (/^[-0-9a-z_]*$/.test(label) && !label.startsWith("xn--")) return label;
  if (!label.startsWith("xn--")) return encodeLabel(label);
  // A label that is encoded already must be what encoding its own text gives.
  const decoded = decodePunycode(label.slice(4));
  return decoded !== null && encodeLabel(decoded) === label ? label : null;
}

function encodeLabel(label: string): string | null {
  // Encoding only makes it longer, and takes the square of its length.
  if (label.length > IDN_LABEL_CHARS_MAX) return null;
  if (!IDN_LABEL.test(label) || /^[-0-9a-z_]*$/.test(label) || label.startsWith("xn--")) return null;
  // Letter by letter: a sigma at the end of a word has another lower case than one in the middle.
  const lower = Array.from(label, (letter) => letter.toLowerCase()).join("");
  const encoded = `xn--${encodePunycode(lower)}`;
  return encoded.length > IDN_LABEL_CHARS_MAX ? null : encoded;
}

/** Dotted form of a host whose last label is a number (URL §3.5, "IPv4 parser"), or null when it is none. */
function parseIpv4(host: string): string | null {
  const parts = host.replace(/\.$/, "").split(".");
  if (parts.length > 4) return null;
  let address = 0;
  for (const [index, part] of parts.entries()) {
    const value = parseIpv4Number(part);
    const isLast = index === parts.length - 1;
    // The last part fills all bytes that are left.
    if (value === null || value >= (isLast ? 256 ** (4 - index) : 256)) return null;
    address += isLast ? value : value * 256 ** (3 - index);
  }
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** Decimal, octal with a leading 0, hexadecimal with 0x; "0x" alone is 0. */
function parseIpv4Number(text: string): number | null {
  if (/^0x[0-9a-f]*$/.test(text)) return text === "0x" ? 0 : Number(text);
  if (/^0[0-7]*$/.test(text)) return text === "0" ? 0 : Number(`0o${text.slice(1)}`);
  return /^[1-9]\d*$/.test(text) ? Number(text) : null;
}

function parseIpv6Host(text: string): HostResult {
  // An IPv4 address written inside an IPv6 one is too rare for the code it takes.
  if (text.includes(".")) return REFUSED;
  const pieces = text.endsWith("]") ? parseIpv6(text.slice(1, -1)) : null;
  return pieces === null ? INVALID : { text: `[${serialiseIpv6(pieces)}]`, why: null };
}

/** The eight 16-bit pieces of an IPv6 address, or null (URL §3.5, "IPv6 parser"). */
function parseIpv6(text: string): number[] | null {
  const halves = text.split("::");
  const [before, after] = halves.map((half) => (half === "" ? [] : half.split(":")));
  if (before === undefined || halves.length > 2) return null;
  const zeros = 8 - before.length - (after?.length ?? 0);
  if (after === undefined ? zeros !== 0 : zeros < 1) return null;
  const pieces = [...before, ...new Array<string>(zeros).fill("0"), ...(after ?? [])];
  if (!pieces.every((piece) => /^[0-9a-f]{1,4}$/i.test(piece))) return null;
  return pieces.map((piece) => Number.parseInt(piece, 16));
}

/** Lower-case hex with the first longest run of zeros written as `::` (URL §3.5, "IPv6 serializer"). */
function serialiseIpv6(pieces: readonly number[]): string {
  const hex = pieces.map((piece) => piece.toString(16));
  let start = -1;
  let longest = 1;
  for (let at = 0; at < pieces.length; at++) {
    let length = 0;
    while (pieces[at + length] === 0) length++;
    if (length <= longest) continue;
    start = at;
    longest = length;
  }
  if (start === -1) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + longest).join(":")}`;
}
