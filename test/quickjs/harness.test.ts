// Goal: the stand-in for vitest inside QuickJS means what vitest means, and never lets a failure pass.
// Method: every matcher on the same values in both; then a small suite of its own, whose reports are compared.

import { describe, expect, test } from "vitest";
import { type Expectation, expect as ours } from "./expect.ts";
import * as harness from "./vitest.ts";

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
}
class OtherPoint extends Point {}
const cycle: Record<string, unknown> = { name: "c" };
cycle.self = cycle;
const sameCycle: Record<string, unknown> = { name: "c" };
sameCycle.self = sameCycle;
const coded = Object.assign(new Error("boom"), { code: "E1" });

const values: readonly unknown[] = [
  ...[0, -0, 1, Number.NaN, 10n, "", "a", true, false, null, undefined],
  ...[
    [],
    [1],
    [1, 2],
    [1, undefined],
    new Array(2),
    {},
    { a: 1 },
    { a: 1, b: undefined },
    { a: { b: [1, { c: 2 }] } },
  ],
  ...[new Point(1), new OtherPoint(1), { x: 1 }, Object.create(null), new Date(0), new Date(1), /a/, /a/i],
  ...[new Map([[1, { a: 1 }]]), new Map([[1, { a: 2 }]]), new Set([1, [2]]), new Set([1]), cycle, sameCycle],
  ...[Uint8Array.of(1, 2), Uint8Array.of(1, 3), Uint16Array.of(1, 2), Uint8Array.of(1, 2).buffer],
  ...[new Error("boom"), new TypeError("boom"), coded, new Error("boom", { cause: 1 })],
];

type Side = (value: unknown) => Expectation;
type Matcher = Exclude<keyof Expectation, "not" | "resolves" | "rejects">;
const sides: readonly Side[] = [expect as unknown as Side, ours];

/** Whether the check passes, for vitest and for ours. */
function verdicts(
  received: unknown,
  matcher: Matcher,
  parameters: readonly unknown[],
  isNegated: boolean,
): boolean[] {
  return sides.map((side) => {
    try {
      const expectation = isNegated ? side(received).not : side(received);
      expectation[matcher](...parameters);
      return true;
    } catch {
      return false;
    }
  });
}

describe("equality", () => {
  test.each(["toBe", "toEqual", "toStrictEqual"] as const)("%s agrees on every pair of values", (matcher) => {
    const disagreements: unknown[] = [];
    for (const [i, received] of values.entries()) {
      for (const [j, expected] of values.entries()) {
        for (const isNegated of [false, true]) {
          const [theirs, own] = verdicts(received, matcher, [expected], isNegated);
          if (theirs !== own) disagreements.push([i, j, isNegated, theirs, received, expected]);
        }
      }
    }
    expect(disagreements).toEqual([]);
  });

  test("deep nesting needs no stack", () => {
    const nested = (levels: number): unknown => {
      let value: unknown = 1;
      for (let i = 0; i < levels; i++) value = [value];
      return value;
    };
    ours(nested(50_000)).toEqual(nested(50_000));
    expect(() => ours(nested(50_000)).toEqual(nested(49_999))).toThrow("toEqual");
  });
});

const throws = (value: unknown) => () => {
  throw value;
};

describe("matchers", () => {
  test.each([
    ["toMatchObject", { a: 1, b: 2 }, { a: 1 }],
    ["toMatchObject", { a: 1 }, { a: 1, b: 2 }],
    ["toMatchObject", { a: 1 }, { b: undefined }],
    ["toMatchObject", { a: [{ b: 1, c: 2 }] }, { a: [{ b: 1 }] }],
    ["toMatchObject", { a: [1, 2] }, { a: [1] }],
    ["toMatchObject", coded, { code: "E1" }],
    ["toMatchObject", coded, { code: "E2" }],
    ["toMatchObject", [{ a: 1, b: 2 }], [{ a: 1 }]],
    ["toMatchObject", { a: new Map([[1, 2]]) }, { a: new Map([[1, 3]]) }],
    ["toMatchObject", { a: Uint8Array.of(1) }, { a: Uint8Array.of(1) }],
    ["toMatchObject", { a: Uint8Array.of(1) }, { a: Uint8Array.of(2) }],
    ["toMatchObject", new Point(1), { x: 1 }],
    ["toMatchObject", { x: 1 }, new Point(1)],
    ["toBeNull", null],
    ["toBeNull", undefined],
    ["toBeUndefined", undefined],
    ["toBeUndefined", null],
    ["toBeDefined", undefined],
    ["toBeTruthy", "a"],
    ["toBeTruthy", ""],
    ["toBeFalsy", 0],
    ["toBeNaN", Number.NaN],
    ["toBeTypeOf", "a", "string"],
    ["toBeInstanceOf", new Point(1), Point],
    ["toBeInstanceOf", {}, Point],
    ["toBeGreaterThan", 2, 1],
    ["toBeGreaterThan", 1, 1],
    ["toBeGreaterThan", "2", 1],
    ["toBeGreaterThanOrEqual", 1, 1],
    ["toBeLessThan", 1, 2],
    ["toBeLessThan", 2n, 1n],
    ["toBeLessThanOrEqual", 3, 2],
    ["toBeCloseTo", 0.1 + 0.2, 0.3],
    ["toBeCloseTo", 1, 1.01],
    ["toContain", "abc", "b"],
    ["toContain", [1, 2], 2],
    ["toContain", [[1]], [1]],
    ["toContain", new Set([1]), 1],
    ["toContainEqual", [[1]], [1]],
    ["toHaveLength", [1], 1],
    ["toHaveLength", "ab", 1],
    ["toHaveProperty", { a: { b: 1 } }, "a.b"],
    ["toHaveProperty", { a: { b: 1 } }, "a.b", 2],
    ["toHaveProperty", { a: { b: 1 } }, ["a", "c"]],
    ["toMatch", "abc", /b/],
    ["toMatch", "abc", "d"],
    ["toSatisfy", 2, (value: unknown) => value === 2],
    ["toThrow", throws(new Error("boom"))],
    ["toThrow", () => 1],
    ["toThrow", throws(new Error("boom")), "oo"],
    ["toThrow", throws(new Error("boom")), "x"],
    ["toThrow", throws(new Error("boom")), /^boom$/],
    ["toThrow", throws(new TypeError("boom")), TypeError],
    ["toThrow", throws(new Error("boom")), TypeError],
    [
      "toThrow",
      throws(coded),
      expect.objectContaining({ code: "E1" }),
      ours.objectContaining({ code: "E1" }),
    ],
  ] as readonly (readonly [Matcher, unknown, ...unknown[]])[])("%s", (...row) => {
    const [matcher, received, ...parameters] = row as [Matcher, ...unknown[]];
    // Asymmetric matchers belong to one side each: the last parameter is ours, the one before vitest's.
    const isPaired = matcher === "toThrow" && parameters.length === 2;
    for (const isNegated of [false, true]) {
      const [theirs] = verdicts(received, matcher, isPaired ? parameters.slice(0, 1) : parameters, isNegated);
      const [, own] = verdicts(received, matcher, isPaired ? parameters.slice(1) : parameters, isNegated);
      expect([isNegated, own]).toEqual([isNegated, theirs]);
    }
  });

  test("asymmetric matchers judge by themselves", () => {
    ours({ a: 1, b: "x", c: [1, 2] }).toEqual({
      a: ours.any(Number),
      b: ours.stringMatching(/x/),
      c: ours.arrayContaining([2]),
    });
    expect(() => ours({ a: 1 }).toEqual({ a: ours.any(String) })).toThrow();
    expect(() => ours({ a: null }).toEqual({ a: ours.anything() })).toThrow();
  });

  test("promises are waited for", async () => {
    await ours(Promise.resolve(1)).resolves.toBe(1);
    await ours(Promise.reject(new Error("boom"))).rejects.toThrow("boom");
    await expect(ours(Promise.resolve(1)).rejects.toThrow()).rejects.toThrow("instead of rejecting");
    await expect(ours(Promise.resolve(1)).resolves.toBe(2)).rejects.toThrow("toBe 2");
  });

  test("what it does not know is an error", () => {
    expect(() => (ours(1) as unknown as Record<string, () => void>).toMatchSnapshot?.()).toThrow(
      "unknown to the QuickJS harness",
    );
    expect(() => (ours as unknown as Record<string, unknown>).soft).toThrow("unknown to the QuickJS harness");
    expect(() => (harness.vi as Record<string, unknown>).fn).toThrow("unknown to the QuickJS harness");
  });
});

test("suites run in order, with hooks, cases and skips, and report failures", async () => {
  const log: string[] = [];
  harness.describe("outer", () => {
    harness.beforeAll(() => log.push("beforeAll"));
    harness.beforeEach(() => log.push("before"));
    harness.afterEach(async () => log.push("after"));
    harness.test("passes later", async () => {
      await Promise.resolve();
      log.push("one");
    });
    harness.describe("inner", () => {
      harness.beforeEach(() => log.push("inner before"));
      harness.test("fails", () => {
        throw new Error("boom");
      });
      harness.test.skip("skipped", () => log.push("never"));
      harness.test.skipIf(true)("skipped by condition", () => log.push("never"));
    });
    harness.test.each([
      [1, "a"],
      [2, "b"],
    ])("case %i %s", (number: number, text: string) => log.push(`${number}${text}`));
    harness.test.each([{ name: "n" }])("case $name", ({ name }: { name: string }) => log.push(name));
  });
  const reports = await harness.runAll();
  expect(reports.map(({ name, outcome }) => `${outcome} ${name}`)).toEqual([
    "passed outer > passes later",
    "failed outer > inner > fails",
    "skipped outer > inner > skipped",
    "skipped outer > inner > skipped by condition",
    "passed outer > case 1 a",
    "passed outer > case 2 b",
    "passed outer > case n",
  ]);
  expect(reports[1]?.error).toContain("Error: boom");
  const around = (...inner: string[]) => ["before", ...inner, "after"];
  expect(log).toEqual([
    "beforeAll",
    ...around("one"),
    ...around("inner before"),
    ...around("1a"),
    ...around("2b"),
    ...around("n"),
  ]);
});
