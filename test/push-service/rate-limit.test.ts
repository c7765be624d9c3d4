// SPDX-License-Identifier: MIT
// Goal: token buckets refill by time, charge by weight, and forget the name longest unused. Method: times as arguments.

import { expect, test } from "vitest";
import { RateLimit } from "../../src/push-service/rate-limit.ts";

test("allows the burst, then what time has refilled", () => {
  const rate = new RateLimit({ burstMax: 2, perMinute: 60 });
  expect([0, 0, 0, 1000].map((nowMs) => rate.take("a", nowMs))).toEqual([0, 0, 1, 0]);
});

test("charges by weight, and nothing when it refuses", () => {
  const rate = new RateLimit({ burstMax: 50, perMinute: 60 });
  expect([20, 20, 20, 10].map((weight) => rate.take("a", 0, weight))).toEqual([0, 0, 10, 0]);
});

test("names do not share", () => {
  const rate = new RateLimit({ burstMax: 1, perMinute: 60 });
  expect(["a", "b", "a"].map((name) => rate.take(name, 0))).toEqual([0, 0, 1]);
});

test("tells the time to wait without taking", () => {
  const rate = new RateLimit({ burstMax: 1, perMinute: 60 });
  const waits = [
    rate.waitS("a", 0),
    rate.waitS("a", 0),
    rate.take("a", 0),
    rate.waitS("a", 0),
    rate.waitS("a", 1000),
  ];
  expect(waits).toEqual([0, 0, 0, 1, 0]);
});

test("forgets the name longest unused", () => {
  const rate = new RateLimit({ burstMax: 1, perMinute: 60, namesMax: 2 });
  expect(["a", "b", "c", "a", "c"].map((name) => rate.take(name, 0))).toEqual([0, 0, 0, 0, 1]);
});
