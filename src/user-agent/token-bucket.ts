// SPDX-License-Identifier: MIT
/** How fast one peer's requests are taken. Time is an argument. */

export class TokenBucket {
  readonly #burstMax: number;
  readonly #perSecond: number;
  #left: number;
  #atMs: number;

  /** @param nowMs monotonic */
  constructor(burstMax: number, perSecond: number, nowMs: number) {
    this.#burstMax = burstMax;
    this.#perSecond = perSecond;
    this.#left = burstMax;
    this.#atMs = nowMs;
  }

  /** Takes one: 0 when there was one, else the ms until there is; then nothing was taken. */
  take(nowMs: number): number {
    const refilled = ((nowMs - this.#atMs) * this.#perSecond) / 1_000;
    this.#left = Math.min(this.#burstMax, this.#left + refilled);
    this.#atMs = nowMs;
    if (this.#left < 1) return Math.ceil(((1 - this.#left) * 1_000) / this.#perSecond);
    this.#left -= 1;
    return 0;
  }
}
