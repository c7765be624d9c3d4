// SPDX-License-Identifier: MIT
/** Geometry of the dashboard's bar plots, and the hours they show. Pure: numbers in, numbers out. */

import type { RadioName } from "../energy.ts";
import { METER_HOURS_MAX } from "../limits.ts";
import { joulesOf } from "../stats.ts";
import type { StatusAt } from "./words.ts";

const HOUR_MS = 3_600_000;

/** One hour of the plots; figures are null for hours before the agent started, or before what it remembers. */
export interface PlotHour {
  readonly fromEpochMs: number;
  readonly wakeUps: number | null;
  /** An estimate. */
  readonly joules: number | null;
}

/** {@link METER_HOURS_MAX} hours, the present one last. They are hours since the agent's start, not of the clock. */
export function plotHours({ status, atEpochMs }: StatusAt, radio: RadioName | null): readonly PlotHour[] {
  const { meter } = status;
  const countedMs = meter.countedMs ?? 0;
  const presentMs = atEpochMs - (countedMs % HOUR_MS);
  const counted = meter.countedMs === null ? [] : meter.hours;
  return Array.from({ length: METER_HOURS_MAX }, (_, index) => {
    const at = index - (METER_HOURS_MAX - counted.length);
    const hour = counted[at];
    return {
      fromEpochMs: presentMs - (METER_HOURS_MAX - 1 - index) * HOUR_MS,
      wakeUps: hour === undefined ? null : (meter.wakeUpsByHour[at] ?? 0),
      joules: hour === undefined ? null : joulesOf(hour, radio),
    };
  });
}

/** Least top of a plot: powers of ten near the least number there is come out as 0. */
const NICE_MIN = 1e-300;

/** The least of 1, 2, 5, 10, 20, 50, … (and 0.1, 0.2, … down to {@link NICE_MIN}) that is not below `value`; 1 for nothing at all. */
export function niceMax(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(Math.max(NICE_MIN, value)));
  // Powers below 1 are not exact: 0.2 is to fit under 0.2.
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value * (1 - 1e-9)) ?? 10;
  return Number((step * power).toPrecision(1));
}

export interface Bar {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Bars {
  /** What the full height stands for. */
  readonly max: number;
  /** One for each value; null where that is null. */
  readonly bars: readonly (Bar | null)[];
}

/** Shortest bar of a value above 0: seen, but never taken for more. */
const BAR_HEIGHT_MIN = 1.5;

/** Bars over a baseline at `height`, `width` shared evenly, a fifth of each share left free. */
export function barsOf(values: readonly (number | null)[], width: number, height: number): Bars {
  const max = niceMax(Math.max(0, ...values.map((value) => value ?? 0)));
  const share = width / values.length;
  const bars = values.map((value, index) => {
    if (value === null) return null;
    const tall = value <= 0 ? 0 : Math.max(BAR_HEIGHT_MIN, (height * value) / max);
    return { x: (index + 0.1) * share, y: height - tall, width: 0.8 * share, height: tall };
  });
  return { max, bars };
}

/** Where `ms` lies between 30 s and an hour, 0 to 1, on a scale of ratios. */
export function timeoutShare(ms: number): number {
  const [fromMs, toMs] = [30_000, HOUR_MS];
  const share = Math.log(Math.max(ms, fromMs) / fromMs) / Math.log(toMs / fromMs);
  return Math.min(1, share);
}
