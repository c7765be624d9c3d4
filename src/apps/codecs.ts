// SPDX-License-Identifier: MIT
/** base64url by the platform's codec: every runtime of an app has one, so a page need not load ours. */

/** Unpadded base64url of `bytes`. */
export function base64urlEncode(bytes: Uint8Array): string {
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * Bytes of unpadded base64url, in a new array.
 *
 * @throws {DOMException} InvalidCharacterError for any other text
 */
export function base64urlDecode(text: string): Uint8Array {
  // atob also takes padding and white space, which "*" is not among.
  const base64 = text.replace(/[^\w]/g, (character) => (character === "-" ? "+" : "*")).replaceAll("_", "/");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}
