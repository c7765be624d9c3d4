// SPDX-License-Identifier: MIT
/**
 * Text of a notification made fit for a screen: no control characters, no way to reorder its surroundings, a bounded
 * length. For display only; what is stored and handed to apps stays as sent.
 */

import { BODY_CODE_POINTS_MAX, TITLE_CODE_POINTS_MAX } from "../limits.ts";
import type { Direction } from "./members.ts";
import type { GodwitNotification } from "./notification.ts";

export interface DisplayedText {
  readonly title: string;
  readonly body: string;
  readonly actions: readonly { readonly action: string; readonly title: string }[];
}

/** Title, body and action titles as a person may see them. */
export function displayedText(notification: GodwitNotification): DisplayedText {
  const { dir } = notification;
  return {
    title: displayLine(notification.title, dir, TITLE_CODE_POINTS_MAX),
    body: displayLines(notification.body, dir, BODY_CODE_POINTS_MAX),
    actions: notification.actions.map(({ action, title }) => ({
      action,
      title: displayLine(title, dir, TITLE_CODE_POINTS_MAX),
    })),
  };
}

/** `text` on one line: line breaks and tabs become spaces. At most `codePointsMax`, isolating marks not counted. */
export function displayLine(text: string, dir: Direction, codePointsMax: number): string {
  return isolate(clip(clean(text.replace(/[\t\n\v\f\r\u0085\u2028\u2029]+/g, " ")), codePointsMax), dir);
}

/** `text` with its line breaks, each a single U+000A. At most `codePointsMax`, isolating marks not counted. */
export function displayLines(text: string, dir: Direction, codePointsMax: number): string {
  const lines = text.replace(/\r\n?|[\v\f\u0085\u2028\u2029]/g, "\n").replace(/\t/g, " ");
  return isolate(clip(clean(lines), codePointsMax), dir);
}

/** `text` with each lone surrogate replaced by U+FFFD, so that it has a UTF-8 form. */
export function wellFormed(text: string): string {
  return text.replace(/[\ud800-\udfff]/gu, "\ufffd");
}

/** Without C0, DEL and C1 but for U+000A, and without bidirectional embeddings, overrides and isolates. */
function clean(text: string): string {
  return wellFormed(text).replace(/(?!\n)\p{Cc}|[\u202a-\u202e\u2066-\u2069]/gu, "");
}

/** At most `codePointsMax` code points, the last one an ellipsis when something was cut off. */
function clip(text: string, codePointsMax: number): string {
  if (text.length <= codePointsMax) return text;
  const points = [...text];
  return points.length <= codePointsMax ? text : `${points.slice(0, codePointsMax - 1).join("")}\u2026`;
}

/** Letters written right to left: Hebrew to Arabic Extended, presentation forms, and the planes of old scripts. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/**
 * Fences `text` off so that it cannot reorder what stands beside it. Text that runs left to right anyway is left as it
 * is: logs and tests then see the plain string.
 */
function isolate(text: string, dir: Direction): string {
  if (dir !== "rtl" && !RIGHT_TO_LEFT.test(text)) return text;
  const opening = dir === "ltr" ? "\u2066" : dir === "rtl" ? "\u2067" : "\u2068";
  return `${opening}${text}\u2069`;
}
