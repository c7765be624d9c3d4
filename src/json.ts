// SPDX-License-Identifier: MIT
/** How deep JSON nests, told before a parser, which may recurse, sees it. Pure. */

/**
 * Deepest nesting of JSON `text`; brackets inside strings do not count. Meaningless for what is not JSON, but takes one look
 * at each character whatever it is.
 */
export function jsonNesting(text: string): number {
  let level = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (quoted) {
      if (character === "\\") i++;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === "[" || character === "{") deepest = Math.max(deepest, ++level);
    else if (character === "]" || character === "}") level--;
  }
  return deepest;
}
