// Goal: text on a screen holds no control characters, cannot reorder its surroundings, and has a bounded length.
// Method: tables, then properties over arbitrary strings with surrogates and bidirectional controls.

import { describe, expect, test } from "vitest";
import { displayedText, displayLine, displayLines, wellFormed } from "../../src/declarative/index.ts";
import { BODY_CODE_POINTS_MAX, TITLE_CODE_POINTS_MAX } from "../../src/limits.ts";
import { fc, numRuns } from "../properties.ts";
import { message, parsed } from "./support.ts";

describe("cleaning", () => {
  test.each([
    ["plain", "plain"],
    ["a\u0000b\u001bc\u007fd\u009be", "abcde"],
    ["a\nb\tc\r\nd", "a b c d"],
    ["a\u202ec\u2066d\u2069", "acd"],
    ["a\ud83db\udc00", "a\ufffdb\ufffd"],
    ["\ud83d\ude00", "\ud83d\ude00"],
    ["a\u200eb", "a\u200eb"],
  ])("a title %j reads %j", (given, expected) => {
    expect(displayLine(given, "auto", 128)).toBe(expected);
  });

  test("a body keeps its lines", () => {
    expect(displayLines("a\r\nb\rc\nd\u2028e\tf\u0000", "auto", 128)).toBe("a\nb\nc\nd\ne f");
  });
});

describe("isolation", () => {
  test.each([
    ["\u05d0b", "auto", "\u2068\u05d0b\u2069"],
    ["\u0627", "ltr", "\u2066\u0627\u2069"],
    ["abc", "rtl", "\u2067abc\u2069"],
    ["abc", "auto", "abc"],
    ["abc", "ltr", "abc"],
    ["\ud83a\udd00", "auto", "\u2068\ud83a\udd00\u2069"],
  ] as const)("%j with dir %s is %j", (text, dir, expected) => {
    expect(displayLine(text, dir, 128)).toBe(expected);
  });
});

describe("length", () => {
  test("code points count, not code units, and a cut shows", () => {
    expect(displayLine("\ud83d\ude00".repeat(128), "auto", 128)).toBe("\ud83d\ude00".repeat(128));
    expect(displayLine("\ud83d\ude00".repeat(129), "auto", 128)).toBe(`${"\ud83d\ude00".repeat(127)}\u2026`);
  });

  test("title and body have their own bounds", () => {
    const notification = parsed(message({ title: "t".repeat(2000), body: "b".repeat(2000) }));
    const text = displayedText(notification);
    expect(text.title.length).toBe(TITLE_CODE_POINTS_MAX);
    expect(text.body.length).toBe(BODY_CODE_POINTS_MAX);
    expect(text.actions).toEqual([]);
  });
});

describe("properties", () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is the point
  const forbidden = /(?!\n)[\u0000-\u001f\u007f-\u009f]|[\u202a-\u202e]/;
  const units = fc.oneof(
    fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    fc.constantFrom("\u2066", "\u2067", "\u2069", "\u202e", "\u0007", "\n", "\u05d0", "a"),
  );

  test("any text becomes fit for a screen, and stays as it is the second time", () => {
    fc.assert(
      fc.property(fc.array(units, { maxLength: 60 }), fc.constantFrom("auto", "ltr", "rtl"), (parts, dir) => {
        const shown = displayLines(parts.join(""), dir, 20);
        expect(shown).not.toMatch(forbidden);
        expect(shown).toBe(wellFormed(shown));
        const inner = shown.replace(/^[\u2066-\u2068]|\u2069$/g, "");
        expect(inner).not.toMatch(/[\u2066-\u2069]/);
        expect([...inner].length).toBeLessThanOrEqual(20);
        expect(displayLines(shown, dir, 20)).toBe(shown);
      }),
      { numRuns: numRuns(1000) },
    );
  });
});
