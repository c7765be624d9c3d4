// SPDX-License-Identifier: MIT
/** Things that happen at a time, in order; those at the same time in the order they were planned. A binary heap. */

interface Entry {
  readonly atS: number;
  readonly order: number;
  readonly run: () => void;
  isCancelled: boolean;
}

export class Timeline {
  nowS: number;
  readonly #heap: Entry[] = [];
  #order = 0;
  /** Told the time before each step, while `nowS` is still the last one. */
  readonly #beforeStep: (nextS: number) => void;

  constructor(startS: number, beforeStep: (nextS: number) => void) {
    this.nowS = startS;
    this.#beforeStep = beforeStep;
  }

  /** Returns what cancels it. */
  at(atS: number, run: () => void): () => void {
    const entry: Entry = { atS: Math.max(atS, this.nowS), order: this.#order++, run, isCancelled: false };
    this.#push(entry);
    return () => {
      entry.isCancelled = true;
    };
  }

  runUntil(endS: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.atS <= endS; next = this.#heap[0]) {
      this.#pop();
      if (next.isCancelled) continue;
      this.#beforeStep(next.atS);
      this.nowS = next.atS;
      next.run();
    }
    this.#beforeStep(endS);
    this.nowS = endS;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, entry)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (left === undefined) break;
      let least = left;
      if (right !== undefined && isBefore(right, left)) {
        least = right;
        child++;
      }
      if (isBefore(last, least)) break;
      heap[i] = least;
      i = child;
    }
    heap[i] = last;
  }
}

/** Linux does not suspend for an alarm that is due within this. */
const SUSPEND_AHEAD_S_MIN = 2;

/** When an alarm comes that is set now: a suspended device has them at multiples of `floorS` only. */
export function alarmS(atS: number, nowS: number, floorS: number): number {
  return floorS === 0 || atS <= nowS + SUSPEND_AHEAD_S_MIN ? atS : Math.ceil(atS / floorS) * floorS;
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atS < b.atS || (a.atS === b.atS && a.order < b.order);
}
