// SPDX-License-Identifier: MIT
// Goal: a host name from a message costs no more than its length. Method: count the labels that are encoded, which takes the
// square of theirs. Needs vitest's module mocks, so it runs on Node only.

import { beforeEach, expect, test, vi } from "vitest";
import * as punycode from "../../src/declarative/punycode.ts";
import { resolvePortable } from "../../src/declarative/url-portable.ts";

vi.mock("../../src/declarative/punycode.ts", async (original) => {
  const actual = await original<typeof import("../../src/declarative/punycode.ts")>();
  return { ...actual, encodePunycode: vi.fn(actual.encodePunycode) };
});
beforeEach(() => {
  vi.mocked(punycode.encodePunycode).mockClear();
});

const ideographs = (count: number) =>
  Array.from({ length: count }, (_, i) => String.fromCodePoint(0x4e00 + i)).join("");

test("a label over 63 characters is refused without being encoded", () => {
  expect(resolvePortable(`https://${ideographs(1300)}/`, null)).toEqual({ href: null, why: "refused" });
  expect(punycode.encodePunycode).not.toHaveBeenCalled();
});

test("a short label is encoded once", () => {
  expect(resolvePortable(`https://${ideographs(2)}/`, null).why).toBeNull();
  expect(punycode.encodePunycode).toHaveBeenCalledTimes(1);
});
