// SPDX-License-Identifier: MIT
// Goal: a measurement takes each side once a round, in an order of its own each time, and throws the warm-up away. Method: sides
// that count.

import { expect, test } from "vitest";
import { type BenchCase, Measurement, median, quantile, rowOf } from "../../bench/harness.ts";

test("every side once a round, in changing order, one a step", () => {
  const taken: string[] = [];
  const side = (name: string, value: number) => () => {
    taken.push(name);
    return value + taken.length / 1e6;
  };
  const cases: BenchCase[] = [
    { name: "a", runtime: "node", unit: "us", ours: side("a", 6), peer: "A", theirs: side("A", 3) },
    { name: "b", runtime: "node", unit: "us", ours: side("b", 5), peer: null },
  ];
  const measurement = new Measurement("suite", cases, { rounds: 40, warmUpRounds: 2 });
  let steps = 0;
  while (measurement.step()) {
    steps++;
    expect(taken.length).toBe(steps);
  }
  expect(steps).toBe(3 * 42);
  expect(measurement.step()).toBe(false);
  const rounds = Array.from({ length: 42 }, (_, i) => taken.slice(3 * i, 3 * i + 3));
  for (const round of rounds) expect(round.toSorted()).toEqual(["A", "a", "b"]);
  expect(new Set(rounds.map((round) => round.join(""))).size).toBeGreaterThan(1);
  const [a, b] = measurement.rows();
  expect(a).toMatchObject({ suite: "suite", case: "a", peer: "A", runtime: "node", unit: "us" });
  expect(a?.ratio).toBeCloseTo(2, 3);
  expect(a?.value).toBeGreaterThan(6 + 6 / 1e6);
  expect(b).toMatchObject({ case: "b", peer: null, peerValue: null, ratio: null });
});

test("medians and quartiles, and spread as the median deviation", () => {
  expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([])]).toEqual([2, 2.5, Number.NaN]);
  const bench = { name: "a", runtime: "node", unit: "us", peer: "A" };
  expect([0, 0.25, 0.5, 0.75, 1].map((share) => quantile([8, 2, 4, 6], share))).toEqual([2, 3.5, 5, 6.5, 8]);
  const figures = { value: 3, spread: 1, low: 2, high: 4, rounds: 5, ratio: 0.5 };
  expect(rowOf("suite", bench, [1, 2, 3, 4, 100], [6])).toMatchObject(figures);
});
