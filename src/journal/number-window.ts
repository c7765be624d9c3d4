// SPDX-License-Identifier: MIT
/** The numbers met last, in memory that is taken once: an agent does not grow by receiving. Pure. */

import { DEDUPE_IDS_MAX } from "../limits.ts";

/** At most so many integers, 0 or above, as it was made for, 8 bytes each; one more takes the place of the oldest. */
export class NumberWindow {
  /** Oldest first, behind -1 where none is yet. */
  readonly #numbers: Float64Array;

  constructor(length = DEDUPE_IDS_MAX) {
    this.#numbers = new Float64Array(length).fill(-1);
  }

  has(number: number): boolean {
    return this.#numbers.includes(number);
  }

  /** One that is there already stays where it is. */
  add(number: number): void {
    if (!this.has(number)) this.#numbers.copyWithin(0, 1).fill(number, -1);
  }

  /** Oldest first. */
  list(): number[] {
    return [...this.#numbers].filter((number) => number >= 0);
  }
}
