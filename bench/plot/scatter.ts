// SPDX-License-Identifier: MIT
/** Points with names, both axes logarithmic. Names stand beside their points, and make way for each other. */

import { line, logScale, mark, type Role, short, text, textWidth } from "./svg.ts";

export interface Point {
  readonly name: string;
  readonly role: Role;
  readonly x: number;
  readonly y: number;
  /** Quartiles. */
  readonly xRange: readonly [number, number];
  readonly yRange: readonly [number, number];
}

export interface ScatterPlot {
  readonly kind: "scatter";
  readonly xLabel: string;
  readonly yLabel: string;
  /** Less is drawn as this. */
  readonly xMin: number;
  readonly points: readonly Point[];
}

interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

const LEFT = 46;
const BOTTOM = 40;
const LABEL_PX = 13;
/** How far a name may be moved from its point. */
const MOVED_PX_MAX = 200;

export function drawScatter({ xLabel, yLabel, xMin, points }: ScatterPlot, widthPx: number) {
  const heightPx = Math.max(380, Math.min(480, widthPx * 0.7));
  const floor = heightPx - BOTTOM;
  const isWide = widthPx > 500;
  const xs = logScale(
    points.flatMap(({ x, xRange }) => [x, ...xRange].map((one) => Math.max(one, xMin))),
    LEFT + 12,
    widthPx - (isWide ? 110 : 12),
  );
  const ys = logScale(
    points.flatMap(({ y, yRange }) => [y, ...yRange]),
    floor,
    24,
  );
  const placed = points
    .map((point) => ({ ...point, px: xs.at(Math.max(point.x, xMin)), py: ys.at(point.y) }))
    .sort((a, b) => a.py - b.py || a.px - b.px);
  const taken: Box[] = placed.map(({ px, py }) => ({
    left: px - 6,
    right: px + 6,
    top: py - 6,
    bottom: py + 6,
  }));
  const names = placed.flatMap(({ name, px, py }) => {
    const { x, y, box } = placeOf(name, px, py, taken, {
      left: LEFT,
      right: widthPx,
      top: 12,
      bottom: floor,
    });
    taken.push(box);
    const lead = Math.abs(y - py) > 10 ? [line(px, py, x < px ? box.right : box.left, y, "lead")] : [];
    return [...lead, text(x, y + 4, name)];
  });
  const isCut = points.some(({ x }) => x < xMin);
  return {
    heightPx,
    elements: [
      ...xs.ticks.flatMap((tick) => [
        line(xs.at(tick), 20, xs.at(tick), floor, "grid"),
        text(xs.at(tick), floor + 16, `${isCut && tick === xMin ? "≤ " : ""}${short(tick)}`, {
          class: "middle",
        }),
      ]),
      ...ys.ticks.flatMap((tick) => [
        line(LEFT, ys.at(tick), widthPx, ys.at(tick), "grid"),
        text(LEFT - 6, ys.at(tick) + 4, short(tick), { class: "end" }),
      ]),
      text(0, 10, yLabel, { class: "note" }),
      text(widthPx, floor + 34, xLabel, { class: "note end" }),
      ...names,
      ...placed.flatMap(({ px, py, role, xRange, yRange }) => {
        const [left = px, right = px] = xRange.map((one) => xs.at(Math.max(one, xMin)));
        const [low = py, high = py] = yRange.map((one) => ys.at(one));
        return [line(left, py, right, py, `${role} whisker`), line(px, low, px, high, `${role} whisker`)];
      }),
      ...placed.map(({ px, py, role }) => mark(px, py, role)),
    ],
  };
}

/** The free place nearest to the point: right of it or left, higher or lower. */
function placeOf(name: string, px: number, py: number, taken: readonly Box[], room: Box) {
  const width = textWidth(name);
  const boxAt = (left: number, y: number): Box => ({
    left,
    right: left + width,
    top: y - LABEL_PX / 2,
    bottom: y + LABEL_PX / 2,
  });
  for (let by = 0; by <= MOVED_PX_MAX; by += 3) {
    for (const y of by === 0 ? [py] : [py + by, py - by]) {
      const away = by > 10 ? 22 : 9;
      for (const left of [px + away, px - away - width]) {
        const box = boxAt(left, y);
        const isInside =
          box.left >= room.left &&
          box.right <= room.right &&
          box.top >= room.top &&
          box.bottom <= room.bottom;
        if (isInside && !taken.some((other) => overlap(box, other))) return { x: left, y, box };
      }
    }
  }
  return { x: px + 9, y: py, box: boxAt(px + 9, py) };
}

function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
