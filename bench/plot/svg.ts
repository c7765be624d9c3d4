// SPDX-License-Identifier: MIT
/** What every plot is made of: colours for light and dark, elements, marks, text whose width is estimated, scales and their ticks. */

/** What a mark stands for; each has a shape of its own besides its colour. */
export const ROLES = ["ours", "peer", "floor", "other"] as const;
export type Role = (typeof ROLES)[number];

export interface Theme {
  readonly paper: string;
  readonly text: string;
  readonly note: string;
  readonly grid: string;
  readonly roles: Readonly<Record<Role, string>>;
}

/** Text has a contrast of 4.5 to the paper and more, marks of 3 (WCAG 2.2, 1.4.3 and 1.4.11); a test says so. */
export const THEMES: Readonly<Record<"light" | "dark", Theme>> = {
  light: {
    paper: "#ffffff",
    text: "#1b1f24",
    note: "#57606a",
    grid: "#d8dee4",
    roles: { ours: "#00795c", peer: "#b34700", floor: "#57606a", other: "#1f5fbf" },
  },
  dark: {
    paper: "#14181c",
    text: "#e6e9ec",
    note: "#a3adb8",
    grid: "#343b43",
    roles: { ours: "#2fc79e", peer: "#ff9d5c", floor: "#a3adb8", other: "#7ab2ff" },
  },
};

const variables = ({ paper, text: ink, note, grid, roles }: Theme): string =>
  [
    ...[`--paper:${paper}`, `--text:${ink}`, `--note:${note}`, `--grid:${grid}`],
    ...ROLES.map((role) => `--${role}:${roles[role]}`),
  ].join(";");

export const STYLE = [
  `svg{${variables(THEMES.light)};font:12px system-ui,sans-serif}`,
  `@media(prefers-color-scheme:dark){svg{${variables(THEMES.dark)}}}`,
  "text{fill:var(--text)}.paper{fill:var(--paper)}.title{font-size:15px;font-weight:600}.note{font-size:11px;fill:var(--note)}",
  ".group{font-weight:600}.end{text-anchor:end}.middle{text-anchor:middle}",
  ".grid{stroke:var(--grid);stroke-width:1}.lead{stroke:var(--note);stroke-width:.7}",
  ...ROLES.map((role) => `.${role}{fill:var(--${role});stroke:var(--${role})}`),
  ".line{fill:none;stroke-width:2}.whisker{stroke-width:1.5}.over{stroke:var(--text);stroke-width:1.5}",
].join("\n");

export type Attributes = Readonly<Record<string, string | number>>;

export function escapeXml(raw: string): string {
  return raw
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

export function element(name: string, attributes: Attributes, content?: string): string {
  const written = Object.entries(attributes).map(([key, value]) => {
    const plain = typeof value === "number" ? String(Math.round(value * 10) / 10) : escapeXml(value);
    return ` ${key}="${plain}"`;
  });
  return `<${name}${written.join("")}${content === undefined ? "/>" : `>${content}</${name}>`}`;
}

export function text(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element("text", { x, y, ...attributes }, escapeXml(content));
}

export function line(x1: number, y1: number, x2: number, y2: number, name: string): string {
  return element("line", { x1, y1, x2, y2, class: name });
}

/** A disc, a square, a diamond or a triangle, some 10 px high. */
export function mark(x: number, y: number, role: Role): string {
  const r = 5;
  if (role === "ours") return element("circle", { cx: x, cy: y, r, class: role });
  if (role === "peer")
    return element("rect", { x: x - r + 0.5, y: y - r + 0.5, width: 9, height: 9, class: role });
  const round = (value: number) => Math.round(value * 10) / 10;
  const corners =
    role === "floor" ? [0, -r - 1, r + 1, 0, 0, r + 1, -r - 1, 0] : [0, -r, r, r - 1, -r, r - 1];
  const points = corners.map((by, i) => round((i % 2 === 0 ? x : y) + by)).join(" ");
  return element("polygon", { points, class: role });
}

/** Estimated: wider than most fonts have it. */
export function textWidth(content: string, sizePx = 12): number {
  return content.length * sizePx * 0.56;
}

export interface Scale {
  at(value: number): number;
  readonly ticks: readonly number[];
}

/** Logarithmic, from a 1, 2 or 5 of a power of ten to another. */
export function logScale(values: readonly number[], fromPx: number, toPx: number): Scale {
  const low = roundTo125(Math.min(...values), -1);
  const high = Math.max(roundTo125(Math.max(...values), 1), roundTo125(low * 1.01, 1));
  const decades = Math.log10(high / low);
  const steps = decades > 3 ? [1] : decades > 1.6 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const step of steps) ticks.push(Number((step * 10 ** power).toPrecision(1)));
  return {
    at: (value) => fromPx + (Math.log10(value / low) / decades) * (toPx - fromPx),
    ticks: ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001),
  };
}

/** From zero. */
export function linearScale(values: readonly number[], fromPx: number, toPx: number): Scale {
  const step = roundTo125(Math.max(...values) / 5, 1);
  const count = Math.max(1, Math.ceil(Math.max(...values) / step - 1e-9));
  return {
    at: (value) => fromPx + (value / (count * step)) * (toPx - fromPx),
    ticks: Array.from({ length: count + 1 }, (_, i) => Number((i * step).toPrecision(6))),
  };
}

/** The next 1, 2 or 5 of a power of ten below (-1) or above (1), or `value` itself. */
function roundTo125(value: number, towards: -1 | 1): number {
  const power = 10 ** Math.floor(Math.log10(value) + 1e-9);
  const steps = [1, 2, 5, 10].map((step) => Number((step * power).toPrecision(1)));
  const fits = steps.filter((step) => (towards > 0 ? step >= value * 0.9999 : step <= value * 1.0001));
  return (towards > 0 ? fits[0] : fits.at(-1)) ?? value;
}

/** Three digits that mean something, thousands apart. */
export function short(value: number): string {
  if (value === 0) return "0";
  const digits = Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
  return digits.toLocaleString("en", { maximumFractionDigits: 6 });
}
