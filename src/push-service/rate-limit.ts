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

/** One bucket, for what has no name among others, such as a link. */
export class TokenBucket {
  readonly #options: Pick<RateOptions, "burstMax" | "perMinute">;
  #left: number;
  #atMs: number | null = null;

  constructor(options: Pick<RateOptions, "burstMax" | "perMinute">) {
    this.#options = options;
    this.#left = options.burstMax;
  }

  /** As {@link RateLimit.take}. */
  take(nowMs: number, weight = 1): number {
    const { burstMax, perMinute } = this.#options;
    this.#left = Math.min(burstMax, this.#left + ((nowMs - (this.#atMs ?? nowMs)) * perMinute) / 60_000);
    this.#atMs = nowMs;
    if (this.#left < weight) return Math.max(1, Math.ceil(((weight - this.#left) * 60) / perMinute));
    this.#left -= weight;
    return 0;
  }

  /** What {@link take} of 1 would return; takes nothing. */
  waitS(nowMs: number): number {
    const waitS = this.take(nowMs);
    if (waitS === 0) this.#left++;
    return waitS;
  }
}

export class RateLimit {
  readonly #options: RateOptions;
  /** The one longest unused comes first. */
  readonly #buckets = new Map<string, TokenBucket>();

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
    const bucket = this.#buckets.get(name) ?? new TokenBucket(this.#options);
    this.#buckets.delete(name);
    this.#buckets.set(name, bucket);
    if (this.#buckets.size > (this.#options.namesMax ?? RATES_REMEMBERED_MAX)) this.#forgetOldest();
    return bucket.take(nowMs, weight);
  }

  /** What {@link take} of 1 would return; takes nothing. */
  waitS(name: string, nowMs: number): number {
    return this.#buckets.get(name)?.waitS(nowMs) ?? 0;
  }

  #forgetOldest(): void {
    for (const name of this.#buckets.keys()) {
      this.#buckets.delete(name);
      return;
    }
  }
}
