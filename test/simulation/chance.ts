// SPDX-License-Identifier: MIT
/** Randomness by name: what one part of the world draws leaves what another part draws as it is, so that a run can be shrunk. */

import { seededRandom } from "../../bench/battery/seeded-random.ts";

export class Chance {
  /** In [0, 1). */
  readonly next: () => number;

  constructor(seed: number, name: string) {
    // FNV-1a over the name, begun at the seed.
    let hash = (seed ^ 0x811c9dc5) >>> 0;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
    this.next = seededRandom(hash);
  }

  /** An integer from `min` to `max`. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  is(probability: number): boolean {
    return this.next() < probability;
  }

  pick<Item>(...items: readonly Item[]): Item {
    return items[Math.floor(this.next() * items.length)] as Item;
  }

  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i++) target[i] = Math.floor(this.next() * 256);
  }
}
