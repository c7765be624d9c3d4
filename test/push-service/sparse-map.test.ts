// SPDX-License-Identifier: MIT
// Goal: a SparseMap is a Map, but for the memory it takes while nothing is in it. Method: both through the same random calls.

import { describe, expect, test } from "vitest";
import { SparseMap } from "../../src/push-service/sparse-map.ts";
import { fc, numRuns } from "../properties.ts";

const key = fc.nat(4);
const call = fc.oneof(
  fc.record({ do: fc.constant("set" as const), key, value: fc.nat() }),
  fc.record({ do: fc.constant("delete" as const), key }),
  fc.record({ do: fc.constant("clear" as const) }),
);

describe("a SparseMap", () => {
  test("holds what a Map holds after the same calls, in the same order", () => {
    fc.assert(
      fc.property(fc.array(call), (calls) => {
        const sparse = new SparseMap<number, number>();
        const map = new Map<number, number>();
        for (const step of calls) {
          if (step.do === "set") {
            sparse.set(step.key, step.value);
            map.set(step.key, step.value);
          } else if (step.do === "delete") expect(sparse.delete(step.key)).toBe(map.delete(step.key));
          else {
            sparse.clear();
            map.clear();
          }
          expect(seen(sparse)).toBe(seen(map));
        }
      }),
      { numRuns: numRuns(200) },
    );
  });

  test("may be emptied by whoever iterates it", () => {
    const sparse = new SparseMap<number, string>();
    for (const at of [1, 2, 3]) sparse.set(at, "");
    const met: number[] = [];
    for (const [at] of sparse) {
      met.push(at);
      sparse.delete(at);
      sparse.delete(2);
    }
    expect([met, sparse.size]).toEqual([[1, 3], 0]);
  });
});

/** All that can be asked of it. */
function seen(map: SparseMap<number, number> | Map<number, number>): string {
  const each = [0, 1, 2, 3, 4].map((at) => [map.has(at), map.get(at) ?? null]);
  return JSON.stringify([map.size, [...map], [...map.keys()], [...map.values()], each]);
}
