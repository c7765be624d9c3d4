// SPDX-License-Identifier: MIT
/**
 * Punycode (RFC 3492), for the host names of the portable URL resolver. Pure.
 */

const BASE = 36;
const T_MIN = 1;
const T_MAX = 26;
const SKEW = 38;
const DAMP = 700;
const BIAS_INITIAL = 72;
const CODE_POINT_INITIAL = 128;
const DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Encodes a label (without the `xn--`). ASCII stays first, as it is. */
export function encodePunycode(label: string): string {
  const points = Array.from(label, (character) => character.codePointAt(0) ?? 0);
  const basic = points.filter((point) => point < CODE_POINT_INITIAL);
  let text = basic.length === 0 ? "" : `${String.fromCodePoint(...basic)}-`;
  let handled = basic.length;
  let delta = 0;
  let bias = BIAS_INITIAL;
  for (let next = CODE_POINT_INITIAL; handled < points.length; next++, delta++) {
    // Straight to the smallest code point not handled yet; the skipped ones still count in delta.
    const smallest = Math.min(...points.filter((point) => point >= next));
    delta += (smallest - next) * (handled + 1);
    next = smallest;
    for (const point of points) {
      if (point < next) delta++;
      if (point !== next) continue;
      text += encodeNumber(delta, bias);
      bias = adaptBias(delta, handled + 1, handled === basic.length);
      delta = 0;
      handled++;
    }
  }
  return text;
}

/** The label `text` (without the `xn--`, in lower case) stands for, or null when it is not Punycode. */
export function decodePunycode(text: string): string | null {
  const hyphen = text.lastIndexOf("-");
  const points = hyphen <= 0 ? [] : Array.from(text.slice(0, hyphen), (character) => character.charCodeAt(0));
  let point = CODE_POINT_INITIAL;
  let bias = BIAS_INITIAL;
  let index = 0;
  let at = hyphen <= 0 ? 0 : hyphen + 1;
  while (at < text.length) {
    const start = index;
    for (let weight = 1, k = BASE; ; k += BASE) {
      const digit = DIGITS.indexOf(text[at++] ?? " ");
      index += digit * weight;
      if (digit === -1 || index > 0x7fff_ffff) return null;
      const threshold = thresholdOf(k, bias);
      if (digit < threshold) break;
      weight *= BASE - threshold;
    }
    const length = points.length + 1;
    bias = adaptBias(index - start, length, start === 0);
    point += Math.floor(index / length);
    index %= length;
    if (point > 0x10_ffff) return null;
    points.splice(index++, 0, point);
  }
  return String.fromCodePoint(...points);
}

/** Generalised variable-length integer (RFC 3492 §3.3). */
function encodeNumber(number: number, bias: number): string {
  let text = "";
  let rest = number;
  for (let k = BASE; ; k += BASE) {
    const threshold = thresholdOf(k, bias);
    if (rest < threshold) return text + DIGITS.charAt(rest);
    text += DIGITS.charAt(threshold + ((rest - threshold) % (BASE - threshold)));
    rest = Math.floor((rest - threshold) / (BASE - threshold));
  }
}

function thresholdOf(k: number, bias: number): number {
  return Math.min(T_MAX, Math.max(T_MIN, k - bias));
}

/** RFC 3492 §6.1. */
function adaptBias(delta: number, length: number, isFirst: boolean): number {
  let rest = Math.floor(delta / (isFirst ? DAMP : 2));
  rest += Math.floor(rest / length);
  let k = 0;
  for (; rest > ((BASE - T_MIN) * T_MAX) / 2; k += BASE) rest = Math.floor(rest / (BASE - T_MIN));
  return k + Math.floor(((BASE - T_MIN + 1) * rest) / (rest + SKEW));
}
