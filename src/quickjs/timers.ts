// SPDX-License-Identifier: MIT
/** Any number of waits over the bridge's one timer: a binary heap by time, from which a wait taken back is gone at once. */

import type { Bridge } from "./bridge.d.ts";

interface Wait {
  readonly atMs: number;
  /** Of waits due at the same time the older goes first. */
  readonly order: number;
  readonly action: () => void;
  /** Its place in the heap, or {@link OUT}. */
  index: number;
}

const OUT = -1;

export class Timers {
  readonly #bridge: Pick<Bridge, "monotonicMs" | "setTimer">;
  readonly #heap: Wait[] = [];
  #lastOrder = 0;
  /** What the bridge's timer is set to. */
  #setMs: number | null = null;
  #isRunning = false;

  constructor(bridge: Pick<Bridge, "monotonicMs" | "setTimer">) {
    this.#bridge = bridge;
  }

  /** As Platform.after. */
  after(delayMs: number, action: () => void): () => void {
    const atMs = this.#bridge.monotonicMs() + Math.max(0, delayMs);
    const wait: Wait = { atMs, order: ++this.#lastOrder, action, index: OUT };
    this.#place(wait, this.#heap.length);
    this.#settle(wait);
    this.#arm();
    return () => {
      if (wait.index === OUT) return;
      this.#remove(wait);
      this.#arm();
    };
  }

  /**
   * Does what is due; what that adds waits for a later turn. To be called when the bridge's timer fired, and whenever time may
   * have passed unseen.
   */
  handleTimer(): void {
    const nowMs = this.#bridge.monotonicMs();
    const newest = this.#lastOrder;
    // It fires once.
    if (this.#setMs !== null && this.#setMs <= nowMs) this.#setMs = null;
    this.#isRunning = true;
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.atMs > nowMs || first.order > newest) break;
      this.#remove(first);
      first.action();
    }
    this.#isRunning = false;
    this.#arm();
  }

  /** Only when the first wait is another one: a call into the system each. */
  #arm(): void {
    if (this.#isRunning) return;
    const first = this.#heap[0];
    const wantedMs = first === undefined ? null : first.atMs;
    if (wantedMs === this.#setMs) return;
    this.#setMs = wantedMs;
    this.#bridge.setTimer(wantedMs);
  }

  #remove(wait: Wait): void {
    const last = this.#heap.pop();
    if (last !== undefined && last !== wait) {
      this.#place(last, wait.index);
      this.#settle(last);
    }
    wait.index = OUT;
  }

  /** Moves a wait to where it belongs: up past later ones, else down past earlier ones. */
  #settle(wait: Wait): void {
    for (;;) {
      const above = this.#heap[(wait.index - 1) >> 1];
      if (wait.index === 0 || above === undefined || isBefore(above, wait)) break;
      this.#swap(above, wait);
    }
    for (;;) {
      const left = this.#heap[2 * wait.index + 1];
      const right = this.#heap[2 * wait.index + 2];
      if (left === undefined) break;
      const below = right !== undefined && isBefore(right, left) ? right : left;
      if (isBefore(wait, below)) break;
      this.#swap(wait, below);
    }
  }

  #swap(a: Wait, b: Wait): void {
    const { index } = a;
    this.#place(a, b.index);
    this.#place(b, index);
  }

  #place(wait: Wait, index: number): void {
    this.#heap[index] = wait;
    wait.index = index;
  }
}

function isBefore(a: Wait, b: Wait): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
