// SPDX-License-Identifier: MIT
/** Text of others on a terminal: what a push service, a certificate or a network is called by whoever made it. Pure. */

/** Text from elsewhere must not write to the terminal by itself: one line, without control and format characters. */
export function plain(text: string): string {
  return text.replace(/\p{C}/gu, "?");
}
