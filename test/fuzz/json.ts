// SPDX-License-Identifier: MIT
/** Changes of JSON texts where they mean something. No tests here. */

import type { Random } from "./random.ts";
import { mutateValue } from "./values.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** UTF-8 of a JSON text like `input`, or null where that is none. */
export function mutateJson(input: Uint8Array, words: readonly string[], random: Random): Uint8Array | null {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(input));
  } catch {
    return null;
  }
  const changed = mutateValue(value, { words, hasBytes: false, isJson: true }, random);
  return encoder.encode(spelled(JSON.stringify(changed), random));
}

/** The same value written in another way: white space, escapes, a name twice, numbers with an exponent. */
function spelled(text: string, random: Random): string {
  switch (random.below(8)) {
    case 0:
      return text.replaceAll(",", "\r\n\t, ");
    case 1:
      return text.replace(/[a-z]/, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
    case 2:
      return text.replace(/("\w+":)([^[{},]+),/, "$1$2,$1null,$1$2,");
    case 3:
      return text.replace(/\d+/, (digits) => `${digits}e${random.below(30) - 5}`);
    default:
      return text;
  }
}
