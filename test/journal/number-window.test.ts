// SPDX-License-Identifier: MIT
import { expect, test } from "vitest";
import { NumberWindow } from "../../src/journal/number-window.ts";

test("the oldest number makes room, and one that is there keeps its place", () => {
  const window = new NumberWindow(3);
  expect(window.list()).toEqual([]);
  for (const number of [0, 2 ** 53 - 1, 0, 7]) window.add(number);
  expect(window.list()).toEqual([0, 2 ** 53 - 1, 7]);
  window.add(8);
  expect(window.list()).toEqual([2 ** 53 - 1, 7, 8]);
  expect([0, 2 ** 53 - 1, 7, 8].map((number) => window.has(number))).toEqual([false, true, true, true]);
});

test("no number is in an empty window", () => {
  const window = new NumberWindow(2);
  expect([0, 1, Number.NaN].some((number) => window.has(number))).toBe(false);
});
