// SPDX-License-Identifier: MIT
/**
 * Simulated time: acts in order of their time, equal times in the order they were planned. Behind each act every promise it
 * settled has had its turn before the next one begins, so that a run depends on nothing but its seed.
 */

/** Where the clock of every run begins, ms. */
const START_MS = 1_000;

interface Planned {
  readonly atMs: number;
  readonly order: number;
  act: (() => void) | null;
}

export class Clockwork {
  #nowMs = START_MS;
  #order = 0;
  /** A binary heap: the next one first. */
  readonly #planned: Planned[] = [];
  #acts = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Acts done so far. */
  get acts(): number {
    return this.#acts;
  }

  /** Plans `act`; the function returned takes it back. */
  after(delayMs: number, act: () => void): () => void {
    const planned: Planned = {
      atMs: this.#nowMs + Math.max(0, Math.ceil(delayMs)),
      order: ++this.#order,
      act,
    };
    this.#add(planned);
    return () => {
      planned.act = null;
    };
  }

  /** Resolves that much later. */
  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** Lets time pass until `endMs`, or until `isOver` says so behind an act. */
  async runUntil(endMs: number, isOver: () => boolean): Promise<void> {
    await settle();
    while (!isOver()) {
      const next = this.#planned[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#take();
      if (next.act === null) continue;
      this.#nowMs = next.atMs;
      this.#acts++;
      next.act();
      await settle();
    }
    this.#nowMs = Math.max(this.#nowMs, isOver() ? this.#nowMs : endMs);
  }

  #add(planned: Planned): void {
    const heap = this.#planned;
    let at = heap.push(planned) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!isBefore(planned, heap[above] as Planned)) break;
      heap[at] = heap[above] as Planned;
      at = above;
    }
    heap[at] = planned;
  }

  #take(): void {
    const heap = this.#planned;
    const last = heap.pop() as Planned;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Planned, heap[below] as Planned)) below++;
      if (!isBefore(heap[below] as Planned, last)) break;
      heap[at] = heap[below] as Planned;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** All promises that can go on have gone on: a macrotask comes behind every microtask. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
