// SPDX-License-Identifier: MIT
// Goal: the one alarm fires within its window, and at the first occasion after a suspend, which timers do not count.
// Method: a clock and timers of the test's own; a suspend moves the clock and leaves the timers alone.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AlarmClock } from "../../src/node/alarm.ts";

let suspendedMs: number;
let firedAtMs: number[];
let alarm: AlarmClock;
const now = (): number => Date.now() + suspendedMs;

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
  suspendedMs = 0;
  firedAtMs = [];
  alarm = new AlarmClock(
    () => ({ monotonicMs: now(), epochMs: 0, epochTrusted: true }),
    () => void firedAtMs.push(now()),
  );
});
afterEach(() => vi.useRealTimers());

test("fires once, at the end of its window", () => {
  alarm.set({ atMs: 60_000, windowMs: 5_000 });
  vi.advanceTimersByTime(64_999);
  expect(firedAtMs).toEqual([]);
  vi.advanceTimersByTime(600_000);
  expect(firedAtMs).toEqual([65_010]);
  expect(vi.getTimerCount()).toBe(0);
});

test("a look before its time only aims anew", () => {
  alarm.set({ atMs: 60_000, windowMs: 0 });
  vi.advanceTimersByTime(30_000);
  alarm.look();
  expect(firedAtMs).toEqual([]);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(30_010);
  expect(firedAtMs).toEqual([60_010]);
});

test("a look inside the window fires: something else has the device awake", () => {
  alarm.set({ atMs: 60_000, windowMs: 60_000 });
  vi.advanceTimersByTime(70_000);
  alarm.look();
  alarm.look();
  expect(firedAtMs).toEqual([70_000]);
  expect(vi.getTimerCount()).toBe(0);
});

test("after a suspend over its time, the first look fires", () => {
  alarm.set({ atMs: 60_000, windowMs: 0 });
  vi.advanceTimersByTime(10_000);
  suspendedMs = 3_600_000;
  alarm.look();
  expect(firedAtMs).toEqual([3_610_000]);
});

test("after a suspend that ended before its time, the first look takes the suspend off the timer", () => {
  alarm.set({ atMs: 60_000, windowMs: 0 });
  vi.advanceTimersByTime(10_000);
  suspendedMs = 40_000;
  alarm.look();
  vi.advanceTimersByTime(10_010);
  expect(firedAtMs).toEqual([60_010]);
});

test("an alarm further off than a timer reaches is set again on the way", () => {
  const atMs = 60 * 24 * 3600 * 1000;
  alarm.set({ atMs, windowMs: 0 });
  vi.advanceTimersByTime(atMs);
  expect(firedAtMs).toEqual([]);
  vi.advanceTimersByTime(10);
  expect(firedAtMs).toEqual([atMs + 10]);
});

test("a cancelled alarm is gone, also for a look", () => {
  alarm.set({ atMs: 60_000, windowMs: 0 });
  alarm.set(null);
  vi.advanceTimersByTime(120_000);
  alarm.look();
  expect(firedAtMs).toEqual([]);
});
