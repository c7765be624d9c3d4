// SPDX-License-Identifier: MIT
/** Prints a state table (state → input → next state) as a Mermaid diagram. */

/** @param {Readonly<Record<string, Readonly<Record<string, string>>>>} table @param {string} first */
export function mermaid(table, first) {
  const lines = ["```mermaid", "stateDiagram-v2", `  [*] --> ${first}`];
  for (const [state, inputs] of Object.entries(table)) {
    /** @type {Map<string, string[]>} */
    const byTarget = new Map();
    for (const [input, next] of Object.entries(inputs))
      byTarget.set(next, [...(byTarget.get(next) ?? []), input]);
    for (const [next, names] of byTarget) lines.push(`  ${state} --> ${next}: ${names.join(", ")}`);
    if (byTarget.size === 0) lines.push(`  ${state} --> [*]`);
  }
  lines.push("```");
  return lines.join("\n");
}

/** `document` with what stands between the marks of `name` replaced. Throws when the marks are not there. */
export function replaceBetween(document, name, text) {
  const pattern = new RegExp(`(<!-- begin ${name} -->\\n)[\\s\\S]*?(\\n<!-- end ${name} -->)`);
  if (!pattern.test(document)) throw new Error(`no marks for ${name}`);
  return document.replace(pattern, (_all, begin, end) => `${begin}${text}${end}`);
}
