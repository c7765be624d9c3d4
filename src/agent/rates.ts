// SPDX-License-Identifier: MIT
/** Allowances that refill over time, one for each owner (token buckets). In memory: a restart fills them. Pure. */

/** So many owners are looked through for full allowances when one more is used. */
const SWEEP_SIZE_MIN = 64;

export class Rates {
  readonly #max: (owner: string) => number;
  readonly #refillMs: number;
  /** When the allowance will be full again; who is not here has a full one. */
  readonly #fullAtMs = new Map<string, number>();

  /**
   * @param max how many may be used at once, at least 1
   * @param refillMs one comes back after this
   */
  constructor(max: (owner: string) => number, refillMs: number) {
    this.#max = max;
    this.#refillMs = refillMs;
  }

  /** How many are left. */
  left(owner: string, nowMs: number): number {
    const fullAtMs = this.#fullAtMs.get(owner) ?? 0;
    return Math.max(0, this.#max(owner) - Math.ceil(Math.max(0, fullAtMs - nowMs) / this.#refillMs));
  }

  /** Uses one; false when none is left. */
  take(owner: string, nowMs: number): boolean {
    if (this.left(owner, nowMs) === 0) return false;
    this.#sweep(nowMs);
    this.#fullAtMs.set(owner, Math.max(this.#fullAtMs.get(owner) ?? 0, nowMs) + this.#refillMs);
    return true;
  }

  /** When one is left, in the past if one is. */
  nextAtMs(owner: string): number {
    return (this.#fullAtMs.get(owner) ?? 0) - (this.#max(owner) - 1) * this.#refillMs;
  }

  refill(owner: string): void {
    this.#fullAtMs.delete(owner);
  }

  #sweep(nowMs: number): void {
    if (this.#fullAtMs.size < SWEEP_SIZE_MIN) return;
    for (const [owner, fullAtMs] of this.#fullAtMs) if (fullAtMs <= nowMs) this.#fullAtMs.delete(owner);
  }
}
