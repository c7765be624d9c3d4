// SPDX-License-Identifier: MIT
/** Token buckets by name, bounded in number. Time is an argument. */

import { RATES_REMEMBERED_MAX } from "../limits.ts";

export interface RateOptions {
  /** Takes allowed at once. */
  readonly burstMax: number;
  readonly perMinute: number;
  /** Default `RATES_REMEMBERED_MAX`. */
  readonly namesMax?: number;
}

interface Bucket {
  left: number;
  atMs: number;
}

export class RateLimit {
  readonly #options: RateOptions;
  /** The one longest unused comes first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateOptions) {
    this.#options = options;
  }

  /**
   * Takes `weight` for `name`: 0 when allowed, else the whole seconds until it would be; then nothing is taken.
   *
   * @param nowMs monotonic
   * @param weight at most `burstMax`
   */
  take(name: string, nowMs: number, weight = 1): number {
    const { burstMax, perMinute, namesMax = RATES_REMEMBERED_MAX } = this.#options;
    const bucket = this.#buckets.get(name) ?? { left: burstMax, atMs: nowMs };
    bucket.left = Math.min(burstMax, bucket.left + ((nowMs - bucket.atMs) * perMinute) / 60_000);
    bucket.atMs = nowMs;
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > namesMax) this.#forgetOldest();
    if (bucket.left < weight) return Math.max(1, Math.ceil(((weight - bucket.left) * 60) / perMinute));
    bucket.left -= weight;
    return 0;
  }

  #forgetOldest(): void {
    for (const name of this.#buckets.keys()) {
      this.#buckets.delete(name);
      return;
    }
  }
}
