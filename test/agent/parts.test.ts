// SPDX-License-Identifier: MIT
// Goal: the small parts of the agent keep their promises on their own. Method: direct calls with made-up times, and
// fast-check where a rule holds for all inputs.

import { describe, expect, test } from "vitest";
import { toRanges } from "../../src/agent/acks.ts";
import { Backoff } from "../../src/agent/backoff.ts";
import { Clock } from "../../src/agent/clock.ts";
import { foldDeadlines } from "../../src/agent/deadlines.ts";
import { LINK_TRANSITIONS, type LinkState } from "../../src/agent/link-states.ts";
import { baseUrlOf, isOwner } from "../../src/agent/owner.ts";
import { Rates } from "../../src/agent/rates.ts";
import { WakeBudget } from "../../src/agent/wake-budget.ts";
import {
  BACKOFF_CAP_MS,
  CLOCKS_APART_MS_MAX,
  HEARTBEAT_HELD_MS_MIN,
  HEARTBEAT_VISIT_MS,
  LINK_STABLE_MS,
} from "../../src/limits.ts";
import { fc, numRuns } from "../properties.ts";

describe("link states", () => {
  test("every state but the last can be left, and every state can be reached", () => {
    const reached = new Set<LinkState>(["idle"]);
    for (const [state, inputs] of Object.entries(LINK_TRANSITIONS)) {
      expect(Object.keys(inputs).length > 0 || state === "stopped").toBe(true);
      for (const next of Object.values(inputs)) reached.add(next);
    }
    expect([...reached].sort()).toEqual(Object.keys(LINK_TRANSITIONS).sort());
  });

  test("shutdown ends every state for good", () => {
    for (const [state, inputs] of Object.entries(LINK_TRANSITIONS)) {
      expect(inputs.shutdown).toBe(state === "stopped" ? undefined : "stopped");
    }
  });
});

describe("back-off", () => {
  test("full jitter: between 0 and a ceiling that grows up to the cap", () => {
    const backoff = new Backoff(() => 0.999_999);
    const delays = Array.from({ length: 24 }, () => backoff.handleLost(0, null));
    expect(delays.slice(0, 4)).toEqual([1999, 2999, 4499, 6749]);
    expect(Math.max(...delays)).toBeLessThanOrEqual(BACKOFF_CAP_MS);
    expect(delays[23]).toBe(delays[22]);
  });

  test("a link that was not up for long does not reset it", () => {
    const backoff = new Backoff(() => 0.5);
    for (let i = 0; i < 5; i++) backoff.handleLost(0, null);
    backoff.handleOpened(1000);
    expect(backoff.handleLost(1000 + LINK_STABLE_MS - 1, null)).toBe(Math.floor(1000 * 1.5 ** 5));
  });

  test("a stable link resets it and is worth one immediate try", () => {
    const backoff = new Backoff(() => 0.5);
    for (let i = 0; i < 5; i++) backoff.handleLost(0, null);
    backoff.handleOpened(1000);
    expect(backoff.handleLost(1000 + LINK_STABLE_MS, null)).toBe(0);
    expect(backoff.handleLost(1000 + LINK_STABLE_MS, null)).toBe(1500);
  });

  test("after the service was lost: one immediate try, a place within its spread, then twice the room each time", () => {
    const backoff = new Backoff(() => 0.5);
    backoff.handleOpened(0, 120_000);
    const delays = Array.from({ length: 5 }, () => backoff.handleLost(LINK_STABLE_MS, null));
    expect(delays).toEqual([0, 60_000, 120_000, 240_000, BACKOFF_CAP_MS / 2]);
  });

  test("a new network is not the service's doing: no spread", () => {
    const backoff = new Backoff(() => 0.5);
    backoff.handleOpened(0, 120_000);
    backoff.handleNetworkChanged();
    expect(backoff.handleLost(LINK_STABLE_MS, null)).toBe(1000);
  });

  test("slow networks begin with twelve round trips", () => {
    expect(new Backoff(() => 0.5).handleLost(0, null, 1600)).toBe(9600);
  });

  test("retry-after is a lower bound with jitter behind it", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 86_400 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (s, jitter) => {
          const delayMs = new Backoff(() => jitter).handleLost(0, s);
          expect(delayMs).toBeGreaterThanOrEqual(s * 1000);
          expect(delayMs).toBeLessThanOrEqual(2 * s * 1000);
        },
      ),
      { numRuns: numRuns(200) },
    );
  });
});

describe("wake budget", () => {
  const HOUR = 3_600_000;

  test("no hour holds more than 30, whenever they are asked for", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 300 }), (waits) => {
        const budget = new WakeBudget();
        const taken: number[] = [];
        let nowMs = 0;
        for (const waitMs of waits) {
          nowMs += waitMs;
          if (budget.take(nowMs)) taken.push(nowMs);
        }
        taken.forEach((fromMs, i) => {
          const end = taken.findIndex((ms) => ms >= fromMs + HOUR);
          expect((end < 0 ? taken.length : end) - i).toBeLessThanOrEqual(30);
        });
      }),
      { numRuns: numRuns(300) },
    );
  });

  test("twenty at once, then one at a time until the first comes back: never silent for more than a tenth", () => {
    const budget = new WakeBudget();
    const taken: number[] = [];
    for (let nowMs = 0; nowMs < HOUR; nowMs += 1000) if (budget.take(nowMs)) taken.push(nowMs);
    expect(taken).toHaveLength(30);
    expect(taken[20]).toBe(20_000);
    const gaps = taken.slice(20).map((ms, i) => (taken[21 + i] ?? HOUR) - ms);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(HOUR / 9);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(HOUR / 12);
  });

  test("a taker that is always told when the next is free gets it then", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 100 }), (waits) => {
        const budget = new WakeBudget();
        let nowMs = 0;
        for (const waitMs of waits) {
          nowMs = Math.max(nowMs + waitMs, budget.freeAtMs);
          expect(budget.take(nowMs)).toBe(true);
          expect(budget.freeAtMs).toBeLessThanOrEqual(nowMs + HOUR);
        }
      }),
      { numRuns: numRuns(300) },
    );
  });

  test("what it says it can spare makes no later ping wait", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 60 }),
        fc.integer({ min: HEARTBEAT_HELD_MS_MIN, max: 1_740_000 }),
        (waits, intervalMs) => {
          const budget = new WakeBudget();
          let nowMs = 0;
          for (const waitMs of waits) {
            nowMs += waitMs;
            budget.take(nowMs);
          }
          nowMs = Math.max(nowMs, budget.freeAtMs);
          fc.pre(budget.canSpare(nowMs, intervalMs));
          for (const endMs = nowMs + 3 * HOUR; nowMs < endMs; nowMs += intervalMs)
            expect(budget.take(nowMs)).toBe(true);
        },
      ),
      { numRuns: numRuns(300) },
    );
  });

  test.each([134_000, HEARTBEAT_VISIT_MS])("a ping every %d ms is never slowed", (intervalMs) => {
    const budget = new WakeBudget();
    for (let nowMs = 0; nowMs < 12 * HOUR; nowMs += intervalMs) expect(budget.take(nowMs)).toBe(true);
  });
});

describe("deadlines", () => {
  const alarm = fc.record({ atMs: fc.nat(10_000), windowMs: fc.nat(5_000) });

  test("one alarm opens no window too late, and not before the first deadline", () => {
    fc.assert(
      fc.property(fc.array(fc.option(alarm), { minLength: 1 }), (deadlines) => {
        const folded = foldDeadlines(deadlines);
        const set = deadlines.filter((deadline) => deadline !== null);
        if (folded === null) {
          expect(set).toEqual([]);
          return;
        }
        for (const { atMs, windowMs } of set)
          expect(folded.atMs + folded.windowMs).toBeLessThanOrEqual(atMs + windowMs);
        expect(folded.atMs).toBeGreaterThanOrEqual(Math.min(...set.map(({ atMs }) => atMs)));
        expect(folded.windowMs).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: numRuns(500) },
    );
  });

  test("two deadlines whose windows meet share one wake-up", () => {
    const folded = foldDeadlines([{ atMs: 100, windowMs: 50 }, { atMs: 140, windowMs: 100 }, null]);
    expect(folded).toEqual({ atMs: 140, windowMs: 10 });
  });
});

describe("acknowledged ranges", () => {
  test("hold exactly the ids, as few ranges as there are gaps", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 60 })), (ids) => {
        const ranges = toRanges(ids);
        const held = ranges.flatMap(([first, last]) =>
          Array.from({ length: last - first + 1 }, (_, i) => first + i),
        );
        expect(held).toEqual([...ids].sort((a, b) => a - b));
        for (let i = 1; i < ranges.length; i++) {
          expect((ranges[i]?.[0] ?? 0) - (ranges[i - 1]?.[1] ?? 0)).toBeGreaterThan(1);
        }
      }),
      { numRuns: numRuns(500) },
    );
  });
});

describe("clock", () => {
  test("an untrusted clock judges nothing until the service told the time, and then counts from there", () => {
    const clock = new Clock();
    clock.handleNow({ monotonicMs: 1000, epochMs: 5, epochTrusted: false });
    expect(clock.isTrusted).toBe(false);
    clock.handleServiceTime(1_700_000_000_000);
    clock.handleNow({ monotonicMs: 3000, epochMs: 6, epochTrusted: false });
    expect(clock.isTrusted).toBe(true);
    expect(clock.epochMs).toBe(1_700_000_002_000);
  });
});

describe("owners", () => {
  test.each([
    ["https://a.example", "https://a.example/"],
    ["https://a.example:8443", "https://a.example:8443/"],
    ["http://127.0.0.1:3000", "http://127.0.0.1:3000/"],
    ["https://a.example:4430", "https://a.example:4430/"],
    ["https://a.example:80", "https://a.example:80/"],
    ["com.example.mail", null],
  ])("%s is one", (owner, baseUrl) => {
    expect(isOwner(owner)).toBe(true);
    expect(baseUrlOf(owner)).toBe(baseUrl);
  });

  test.each([
    "",
    "A",
    "https://a.example/",
    "http://a.example",
    "https://user@a.example",
    "https://a.example:443",
    "https://a.example:08443",
    "https://a.example:",
    "http://localhost:80",
    "-x",
    "a b",
    "a".repeat(300),
  ])("%s is none", (owner) => {
    expect(isOwner(owner)).toBe(false);
  });
});

describe("allowances", () => {
  test("of very many owners are each their own, full again in time and not before", () => {
    const rates = new Rates(() => 2, 1000);
    const owners = Array.from({ length: 200 }, (_, n) => `app${n}`);
    for (const owner of owners)
      for (let times = 0; times < 2; times++) expect(rates.take(owner, 0)).toBe(true);
    expect(owners.map((owner) => rates.left(owner, 999))).toEqual(owners.map(() => 0));
    expect(owners.map((owner) => rates.take(owner, 1000))).toEqual(owners.map(() => true));
    expect(owners.map((owner) => rates.take(owner, 1000))).toEqual(owners.map(() => false));
    expect(rates.nextAtMs("app0")).toBe(2000);
    expect(rates.left("app0", 3000)).toBe(2);
  });
});

describe("confirmed time", () => {
  const at = (monotonicMs: number, epochMs: number, epochTrusted: boolean) => ({
    monotonicMs,
    epochMs,
    epochTrusted,
  });

  test("is what device and service agree on, or the service's for a device without clock", () => {
    const clock = new Clock();
    clock.handleNow(at(1000, 1_700_000_000_000, true));
    expect(clock.isConfirmed).toBe(false);
    expect(clock.stamp(500)).toBe(0);
    clock.handleServiceTime(1_700_000_060_000);
    expect(clock.isConfirmed).toBe(true);
    expect(clock.stamp(500)).toBe(1_699_999_999_500);
    clock.handleNow(at(2000, 1_700_000_001_000 + CLOCKS_APART_MS_MAX + 60_000, true));
    expect(clock.isConfirmed).toBe(false);
    expect(clock.stamp(2000)).toBe(0);
    clock.handleNow(at(2000, 5, false));
    expect(clock.stamp(2000)).toBe(1_700_000_061_000);
  });
});
