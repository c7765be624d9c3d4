// SPDX-License-Identifier: MIT
// Goal: any number of waits share the bridge's one timer: each fires once, in order, not before its time, none that was taken
// back. Method: a clock of our own that fires that timer; then random waits beside a sorted list.

import { beforeEach, describe, expect, test } from "vitest";
import { Timers } from "../../src/quickjs/timers.ts";
import { fc } from "../properties.ts";

/** A bridge with nothing but a clock and a timer. */
class Clock {
  nowMs = 1000;
  /** What the timer is set to, and how often it was set. */
  setMs: number | null = null;
  sets = 0;

  monotonicMs(): number {
    return this.nowMs;
  }

  setTimer(atMs: number | null): void {
    this.setMs = atMs;
    this.sets++;
  }

  /** Time passes; the timer fires, as often as it is set to a time that has come. */
  passTo(nowMs: number, timers: Timers): void {
    while (this.setMs !== null && this.setMs <= nowMs) {
      this.nowMs = Math.max(this.nowMs, this.setMs);
      this.setMs = null;
      timers.handleTimer();
    }
    this.nowMs = nowMs;
  }
}

let clock: Clock;
let timers: Timers;
let done: string[];
const doing = (name: string) => () => void done.push(name);
beforeEach(() => {
  clock = new Clock();
  timers = new Timers(clock);
  done = [];
});

describe("timers over one timer", () => {
  test("fire in the order of their times, older first", () => {
    timers.after(30, doing("c"));
    timers.after(10, doing("a"));
    timers.after(30, doing("d"));
    timers.after(20, doing("b"));
    clock.passTo(1029, timers);
    expect(done).toEqual(["a", "b"]);
    clock.passTo(1030, timers);
    expect(done).toEqual(["a", "b", "c", "d"]);
    expect(clock.setMs).toBe(null);
  });

  test("the system is asked only when the first wait is another one", () => {
    timers.after(10, doing("a"));
    const takeBack = timers.after(20, doing("b"));
    takeBack();
    takeBack();
    expect([clock.setMs, clock.sets]).toEqual([1010, 1]);
    clock.passTo(1010, timers);
    expect([clock.setMs, clock.sets]).toEqual([null, 1]);
  });

  test("the last one taken back clears the timer", () => {
    timers.after(10, doing("a"))();
    expect(clock.setMs).toBe(null);
  });

  test("0, and what is behind, is done in a later turn", () => {
    timers.after(0, () => {
      doing("a")();
      timers.after(0, doing("b"));
      timers.after(-5, doing("c"));
    });
    expect(done).toEqual([]);
    timers.handleTimer();
    expect(done).toEqual(["a"]);
    expect(clock.setMs).toBe(1000);
    timers.handleTimer();
    expect(done).toEqual(["a", "b", "c"]);
  });

  test("one that is due takes another back that is due too", () => {
    let takeBack = () => {};
    timers.after(10, () => takeBack());
    takeBack = timers.after(10, doing("b"));
    clock.passTo(1010, timers);
    expect(done).toEqual([]);
  });

  test("a look at the clock after a suspend does what is due, and sets the timer for the rest", () => {
    timers.after(10, doing("a"));
    timers.after(5000, doing("b"));
    clock.nowMs = 2000;
    timers.handleTimer();
    expect(done).toEqual(["a"]);
    expect(clock.setMs).toBe(6000);
  });

  test("a timer that fires early is set again", () => {
    timers.after(10, doing("a"));
    clock.setMs = null;
    clock.nowMs = 1005;
    timers.handleTimer();
    expect(done).toEqual([]);
    clock.nowMs = 1010;
    timers.handleTimer();
    expect(done).toEqual(["a"]);
  });

  test("random waits, some taken back, fire as in a sorted list", () => {
    const step = fc.oneof(
      fc.record({ delayMs: fc.nat(50) }),
      fc.record({ takeBack: fc.nat(20) }),
      fc.record({ passMs: fc.nat(30) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const own = new Clock();
        const tested = new Timers(own);
        const fired: number[] = [];
        const expected: number[] = [];
        let model: { id: number; atMs: number }[] = [];
        const takeBacks: (() => void)[] = [];
        for (const step of steps) {
          if ("delayMs" in step) {
            const id = takeBacks.length;
            model.push({ id, atMs: own.nowMs + step.delayMs });
            takeBacks.push(tested.after(step.delayMs, () => void fired.push(id)));
          } else if ("takeBack" in step) {
            model = model.filter(({ id }) => id !== step.takeBack);
            takeBacks[step.takeBack]?.();
          } else {
            const nowMs = own.nowMs + step.passMs;
            const due = model.filter(({ atMs }) => atMs <= nowMs);
            expected.push(...due.sort((a, b) => a.atMs - b.atMs || a.id - b.id).map(({ id }) => id));
            model = model.filter(({ atMs }) => atMs > nowMs);
            own.passTo(nowMs, tested);
          }
          const nextMs = model.length === 0 ? null : Math.min(...model.map(({ atMs }) => atMs));
          expect([fired, own.setMs]).toEqual([expected, nextMs]);
        }
      }),
    );
  });
});
