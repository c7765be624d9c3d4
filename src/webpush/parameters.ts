// SPDX-License-Identifier: MIT
/**
 * Splits the `name=value` lists of the `Encryption`, `Crypto-Key` and `Authorization` headers (RFC 8292 §3, legacy
 * content coding drafts). Gives no meaning to any name.
 */

/**
 * Lists separated by commas, each with parameters separated by semicolons. Names are lower-cased; a value is quoted
 * (without escapes) or runs to the next separator or space. Null when the text is anything else, is empty or has a name
 * twice in one list.
 */
export function parseParameterLists(text: string): readonly ReadonlyMap<string, string>[] | null {
  // Sticky, and every part ends where the next cannot begin: one pass, no backtracking.
  const parameter = /[ \t]*([\w-]+)[ \t]*=[ \t]*(?:"([^"\\]*)"|([^\s",;]+))[ \t]*([,;]|$)/y;
  const lists: Map<string, string>[] = [new Map()];
  let list = lists[0];
  while (parameter.lastIndex < text.length) {
    const match = parameter.exec(text);
    const name = match?.[1]?.toLowerCase();
    if (match === null || name === undefined || list?.has(name)) return null;
    list?.set(name, match[2] ?? match[3] ?? "");
    if (match[4] === "," && parameter.lastIndex < text.length) {
      list = new Map();
      lists.push(list);
    }
  }
  return lists[0]?.size === 0 ? null : lists;
}
