// SPDX-License-Identifier: MIT
// Goal: bars are as tall as what they stand for, and hours without figures stay empty. Method: figures in, geometry out; a
// property over any figures.

import { describe, expect, test } from "vitest";
import type { AgentStatus } from "../../src/agent/status.ts";
import { barsOf, niceMax, plotHours, timeoutShare } from "../../src/dashboard/plot.ts";
import { METER_HOURS_MAX } from "../../src/limits.ts";
import { fc } from "../properties.ts";

const HOUR_MS = 3_600_000;

describe("niceMax", () => {
  test.each([
    [0, 1],
    [Number.MIN_VALUE, 1e-300],
    [0.13, 0.2],
    [0.2, 0.2],
    [1, 1],
    [3, 5],
    [5.01, 10],
    [11, 20],
    [100, 100],
    [101, 200],
  ])("%f stands under %f", (value, max) => expect(niceMax(value)).toBe(max));
});

test("whatever the figures, bars stay in the plot, in order, and none looks like nothing", () => {
  const figures = fc.array(fc.option(fc.double({ min: 0, max: 1e9, noNaN: true }), { nil: null }), {
    minLength: 1,
    maxLength: METER_HOURS_MAX,
  });
  fc.assert(
    fc.property(figures, (values) => {
      const { max, bars } = barsOf(values, 240, 72);
      expect(bars).toHaveLength(values.length);
      for (const [index, bar] of bars.entries()) {
        const value = values[index] ?? null;
        expect(bar === null).toBe(value === null);
        if (bar === null || value === null) continue;
        expect(value).toBeLessThanOrEqual(max * (1 + 1e-9));
        expect(bar.height > 0).toBe(value > 0);
        expect(bar.y).toBeGreaterThanOrEqual(-1e-6);
        expect(bar.y + bar.height).toBeCloseTo(72);
        expect(bar.x).toBeGreaterThanOrEqual((240 / values.length) * index);
        expect(bar.x + bar.width).toBeLessThanOrEqual((240 / values.length) * (index + 1));
      }
    }),
  );
});

test("a bar of half the top is half as tall", () => {
  expect(barsOf([5, 10], 100, 60).bars.map((bar) => bar?.height)).toEqual([30, 60]);
});

test("the present hour is the last one, and hours before the start have no figures", () => {
  const cellular = { wakeUps: 2, piggybacked: 0, busyMs: 1_000 };
  const meter = {
    countedMs: 1.25 * HOUR_MS,
    wakeUpsByHour: [7, 2],
    hours: [
      { resumes: 7, radios: {} },
      { resumes: 2, radios: { cellular } },
    ],
  };
  const hours = plotHours({ status: { meter } as unknown as AgentStatus, atEpochMs: 100 * HOUR_MS }, null);
  expect(hours).toHaveLength(METER_HOURS_MAX);
  expect(hours.map(({ wakeUps }) => wakeUps)).toEqual([...Array(22).fill(null), 7, 2]);
  expect(hours.at(-1)?.fromEpochMs).toBe(99.75 * HOUR_MS);
  expect(hours.at(-2)?.fromEpochMs).toBe(98.75 * HOUR_MS);
  // Seven resumes without radio cost less than two with it.
  expect(hours.at(-1)?.joules).toBeGreaterThan(hours.at(-2)?.joules ?? Number.POSITIVE_INFINITY);
});

test("time-outs lie between 30 s and an hour by ratio", () => {
  expect([0, 30_000, 328_634, HOUR_MS, 2 * HOUR_MS].map((ms) => Number(timeoutShare(ms).toFixed(3)))).toEqual(
    [0, 0, 0.5, 1, 1],
  );
});
