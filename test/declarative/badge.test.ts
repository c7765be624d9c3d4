// Goal: badges mean what W3C Badging and PR 402 say; a flag never clears, a handler's value wins.
// Method: tables.

import { describe, expect, test } from "vitest";
import { badgeText, badgeValue, mergeBadge, readAppBadge } from "../../src/declarative/index.ts";

describe("reading", () => {
  test.each([
    [0, 0],
    [7, 7],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
    [true, true],
    [false, false],
    [2 ** 53, null],
    [-1, null],
    [1.5, null],
    [Number.NaN, null],
    ["5", null],
    [null, null],
    [undefined, null],
    [{}, null],
  ])("%j asks for %j", (given, expected) => {
    expect(readAppBadge(given)).toBe(expected);
  });
});

describe("merging", () => {
  test.each([
    [12, null, 12],
    [12, 1024, 1024],
    [12, 0, 0],
    [12, false, false],
    [null, true, true],
    [null, null, null],
    [false, null, false],
  ])("declared %j, set by the handler %j: %j", (declared, set, expected) => {
    expect(mergeBadge(declared, set)).toBe(expected);
  });
});

describe("showing", () => {
  test.each([
    [0, "nothing", ""],
    [false, "nothing", ""],
    [true, "flag", "\u2022"],
    [1, 1, "1"],
    [99, 99, "99"],
    [100, 100, "99+"],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER, "99+"],
  ])("%j is %j, shown as %j", (badge, value, text) => {
    expect(badgeValue(badge)).toBe(value);
    expect(badgeText(badge)).toBe(text);
  });
});
