// SPDX-License-Identifier: MIT
/** How values grow with a number: lines of marks with their quartiles, both axes logarithmic, or both linear and from zero. */

import { element, line, linearScale, logScale, mark, type Role, short, text, textWidth } from "./svg.ts";

export interface LinePlot {
  readonly kind: "lines";
  readonly scale: "log" | "linear";
  readonly xLabel: string;
  readonly yLabel: string;
  readonly lines: readonly {
    readonly name: string;
    readonly role: Role;
    readonly points: readonly {
      readonly x: number;
      readonly value: number;
      readonly low: number;
      readonly high: number;
    }[];
  }[];
}

const LEFT = 52;
const BOTTOM = 40;

/** With more points than this a line goes without marks. */
const MARKS_MAX = 24;

export function drawLines({ scale, xLabel, yLabel, lines }: LinePlot, widthPx: number) {
  const legend = legendOf(lines, widthPx);
  const top = legend.heightPx + 24;
  const heightPx = top + Math.max(220, Math.min(300, widthPx * 0.42)) + BOTTOM;
  const floor = heightPx - BOTTOM;
  const points = lines.flatMap((one) => one.points);
  const scaleOf = scale === "log" ? logScale : linearScale;
  const xs = scaleOf(
    points.map(({ x }) => x),
    LEFT + 8,
    widthPx - 24,
  );
  const ys = scaleOf(
    points.flatMap(({ value, low, high }) =>
      [value, low, high].filter((one) => one > 0 || scale === "linear"),
    ),
    floor,
    top,
  );
  const decades = xs.ticks.filter((tick) => Number.isInteger(Math.log10(tick)));
  const last = Math.max(...points.map(({ x }) => x));
  const growing = decades.includes(last) ? decades : [...decades.filter((tick) => tick < last / 2), last];
  const ticks = scale === "log" ? growing : xs.ticks;
  return {
    heightPx,
    elements: [
      ...legend.elements,
      ...ticks.flatMap((tick) => [
        line(xs.at(tick), top, xs.at(tick), floor, "grid"),
        text(xs.at(tick), floor + 16, short(tick), { class: "middle" }),
      ]),
      ...ys.ticks.flatMap((tick) => [
        line(LEFT, ys.at(tick), widthPx, ys.at(tick), "grid"),
        text(LEFT - 6, ys.at(tick) + 4, short(tick), { class: "end" }),
      ]),
      text(0, top - 12, yLabel, { class: "note" }),
      text(widthPx, floor + 34, xLabel, { class: "note end" }),
      ...lines.flatMap(({ role, points: of }) => [
        element("polyline", {
          points: of.map(({ x, value }) => `${xs.at(x).toFixed(1)},${ys.at(value).toFixed(1)}`).join(" "),
          class: `${role} line`,
          style: "fill:none",
        }),
        ...of.flatMap(({ x, value, low, high }) => [
          ...(high > low && low > 0
            ? [line(xs.at(x), ys.at(low), xs.at(x), ys.at(high), `${role} whisker`)]
            : []),
          ...(of.length <= MARKS_MAX ? [mark(xs.at(x), ys.at(value), role)] : []),
        ]),
      ]),
    ],
  };
}

/** Marks and names of the lines, as many in a row as there is room for. */
function legendOf(lines: LinePlot["lines"], widthPx: number) {
  const elements: string[] = [];
  let x = 6;
  let y = 10;
  for (const { name, role } of lines) {
    const width = 16 + textWidth(name) + 22;
    if (x > 6 && x + width > widthPx) {
      x = 6;
      y += 18;
    }
    elements.push(mark(x, y - 4, role), text(x + 10, y, name));
    x += width;
  }
  return { heightPx: y + 8, elements };
}
