// SPDX-License-Identifier: MIT
/** Values with names, one a line, each with its quartiles: bars from zero, or marks on a logarithmic axis. */

import { element, line, linearScale, logScale, mark, type Role, short, text, textWidth } from "./svg.ts";

export interface Entry {
  readonly name: string;
  readonly role: Role;
  readonly value: number;
  /** Quartiles; the same as `value` when it is not known how they are. */
  readonly low: number;
  readonly high: number;
}

export interface RangePlot {
  readonly kind: "ranges";
  readonly unit: string;
  readonly scale: "linear" | "log";
  readonly groups: readonly { readonly name: string; readonly entries: readonly Entry[] }[];
}

/** Below this a name stands above its mark, not beside it. */
const WIDE_PX = 560;
const NAMES_PX = 270;
const VALUE_PX = 96;
const BAR_PX = 12;

export function drawRanges({ unit, scale, groups }: RangePlot, widthPx: number) {
  const isWide = widthPx >= WIDE_PX;
  const left = isWide ? NAMES_PX : 8;
  const right = widthPx - (isWide ? VALUE_PX : 8);
  const entries = groups.flatMap((group) => group.entries);
  const axis = (scale === "log" ? logScale : linearScale)(
    entries.flatMap(({ value, low, high }) =>
      scale === "log" ? [value, low, high].filter((one) => one > 0) : [value, high],
    ),
    left,
    right,
  );
  const elements: string[] = [];
  let y = 0;
  const draw = ({ name, role, value, low, high }: Entry): void => {
    const said = `${short(value)} ${unit}`;
    if (isWide) {
      elements.push(text(0, y + 14, name), text(widthPx, y + 14, said, { class: "end" }));
    } else {
      elements.push(text(0, y + 12, name), text(widthPx, y + 12, said, { class: "end" }));
      y += 17;
    }
    const middle = y + 10;
    if (scale === "linear")
      elements.push(
        element("rect", {
          ...{ x: left, y: middle - BAR_PX / 2, height: BAR_PX, class: role },
          width: Math.max(1, axis.at(value) - left),
        }),
      );
    if (high > low) {
      const name = scale === "linear" ? "over" : `${role} whisker`;
      elements.push(line(axis.at(low), middle, axis.at(high), middle, name));
      for (const end of [low, high])
        elements.push(line(axis.at(end), middle - 4, axis.at(end), middle + 4, name));
    }
    if (scale === "log") elements.push(mark(axis.at(value), middle, role));
    y += isWide ? 22 : 24;
  };
  for (const group of groups) {
    if (group.name !== "") {
      y += 6;
      elements.push(text(0, y + 12, group.name, { class: "group" }));
      y += 19;
    }
    for (const entry of group.entries) draw(entry);
  }
  // Where there is little room powers of ten will do, or every other number; of two that touch the first one.
  const isTight = axis.ticks.length > (right - left) / 52;
  const isTold = (tick: number, i: number) =>
    !isTight || (scale === "log" ? Number.isInteger(Math.log10(tick)) : i % 2 === 0);
  let freeFrom = 0;
  const grid = axis.ticks.flatMap((tick, i) => {
    const x = axis.at(tick);
    const told = short(tick);
    const place = anchor(x, textWidth(told), widthPx);
    const fits = isTold(tick, i) && place.left >= freeFrom;
    if (fits) freeFrom = place.left + textWidth(told) + 6;
    return [line(x, 0, x, y + 2, "grid"), ...(fits ? [text(x, y + 17, told, { class: place.name })] : [])];
  });
  return {
    heightPx: y + 36,
    elements: [...grid, text(widthPx, y + 33, unit, { class: "note end" }), ...elements],
  };
}

/** Numbers at the edges stay inside. */
function anchor(x: number, width: number, widthPx: number): { name: string; left: number } {
  if (x < width / 2) return { name: "start", left: x };
  return x + width / 2 > widthPx ? { name: "end", left: x - width } : { name: "middle", left: x - width / 2 };
}
