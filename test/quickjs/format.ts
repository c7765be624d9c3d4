// SPDX-License-Identifier: MIT
/** Values as text: in failure messages and in the names of `test.each`. Test code only. */

const CHARACTERS_MAX = 400;

/** `value` on one line, cut when long. Never throws. */
export function show(value: unknown): string {
  let text: string | undefined;
  try {
    text = showValue(value);
  } catch (error) {
    text = `<${String(error)}>`;
  }
  return text.length > CHARACTERS_MAX ? `${text.slice(0, CHARACTERS_MAX)}\u2026` : text;
}

function showValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return `${value.constructor.name}[${Array.from(value as Uint8Array).join(",")}]`;
  }
  if (value instanceof Map || value instanceof Set)
    return `${value.constructor.name}${JSON.stringify([...value])}`;
  return (
    JSON.stringify(value, (_name, item) => (typeof item === "bigint" ? `${item}n` : item)) ?? String(value)
  );
}

/** The name of one case of `test.each`: printf marks take the arguments in turn, `$member` one of an object. */
export function caseName(template: string, parameters: readonly unknown[], index: number): string {
  let next = 0;
  const printed = template.replace(/%[sdifjoO#$%]/g, (mark) => {
    if (mark === "%%") return "%";
    if (mark === "%#") return String(index);
    if (mark === "%$") return String(index + 1);
    if (next >= parameters.length) return mark;
    const value = parameters[next++];
    if (mark === "%s") return typeof value === "object" && value !== null ? show(value) : String(value);
    if (mark === "%d" || mark === "%f") return String(Number(value));
    if (mark === "%i") return String(Math.trunc(Number(value)));
    return show(value);
  });
  const [first] = parameters;
  if (typeof first !== "object" || first === null) return printed;
  return printed.replace(/\$([A-Za-z_][\w.]*)/g, (mark, path: string) => {
    let value: unknown = first;
    for (const name of path.split(".")) value = (value as Record<string, unknown> | undefined)?.[name];
    return value === undefined ? mark : typeof value === "string" ? value : show(value);
  });
}
