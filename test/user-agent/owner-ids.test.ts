// SPDX-License-Identifier: MIT
// Goal: what an owner sees of ids tells it nothing of others, and means the same again and again. Method: the ids as they are.

import { expect, test } from "vitest";
import { nodeProvider } from "../../src/node/crypto.ts";
import { OwnerIds } from "../../src/user-agent/owner-ids.ts";
import { fc, numRuns } from "../properties.ts";

const KINDS = ["subscription", "notification", "delivery"] as const;
const ID_MAX = 2 ** 48 - 1;
const mine = new OwnerIds("a key", nodeProvider);

test("a hidden id is the one it was made of, and every number is the hidden one of another", () => {
  const id = fc.integer({ min: 0, max: ID_MAX });
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), id, (kind, number) => {
      expect(mine.reveal(kind, mine.hide(kind, number))).toBe(number);
      expect(mine.hide(kind, mine.reveal(kind, number))).toBe(number);
    }),
    { numRuns: numRuns(500) },
  );
});

test("numbers in a row are none any more, and others for each kind and owner; later they are the same", () => {
  const row = [1, 2, 3, 4];
  const hiddenBy = (ids: OwnerIds) => KINDS.flatMap((kind) => row.map((id) => ids.hide(kind, id)));
  const [hidden, others] = [hiddenBy(mine), hiddenBy(new OwnerIds("another key", nodeProvider))];
  expect(new Set([...hidden, ...others]).size).toBe(2 * KINDS.length * row.length);
  // By chance one in 2^24 would be.
  for (const [at, id] of hidden.entries())
    expect(Math.abs(id - (hidden[at + 1] ?? 0))).toBeGreaterThan(2 ** 24);
  expect(hiddenBy(new OwnerIds("a key", nodeProvider))).toEqual(hidden);
  expect(mine.hideMessage("1-7")).toMatch(/^[\w-]{22}$/);
  expect(mine.hideMessage("1-7")).not.toBe(mine.hideMessage("1-8"));
});

test("a number that was never given is that of nothing", () => {
  expect([2 ** 48, Number.MAX_SAFE_INTEGER].map((hidden) => mine.reveal("subscription", hidden))).toEqual([
    0, 0,
  ]);
});
