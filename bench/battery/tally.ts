// SPDX-License-Identifier: MIT
/** Counts what a run comes to, network by network, and in the worst hour. */

import type { NetworkShare } from "./result.ts";

/** What each network had of the energy and of the deafness. */
export class NetworkTally {
  readonly #sums = new Map<string, { joules: number; deafS: number; isHeld: boolean }>();
  #joules = 0;
  #deafS = 0;

  /** The device leaves the network; null for none. The sums are those of the run so far. */
  leave(network: string | null, joules: number, deafS: number, isHeld: boolean): void {
    if (network !== null) {
      const before = this.#sums.get(network);
      this.#sums.set(network, {
        joules: (before?.joules ?? 0) + joules - this.#joules,
        deafS: (before?.deafS ?? 0) + deafS - this.#deafS,
        isHeld,
      });
    }
    this.#joules = joules;
    this.#deafS = deafS;
  }

  /** The sums begin anew. */
  reset(): void {
    this.#joules = this.#deafS = 0;
    this.#sums.clear();
  }

  shares(hours: number): Record<string, NetworkShare> {
    const days = hours / 24;
    return Object.fromEntries(
      [...this.#sums].map(([name, { joules, deafS, isHeld }]) => [
        name,
        { joulesDay: joules / days, deafMinDay: deafS / 60 / days, isHeld },
      ]),
    );
  }
}

/** Wake-ups, of which those within a second are one. */
export class WakeTally {
  readonly #timesS: number[] = [];

  count(atS: number): void {
    if (atS > (this.#timesS.at(-1) ?? Number.NEGATIVE_INFINITY) + 1) this.#timesS.push(atS);
  }

  /** The most in any `lengthS`. */
  most(lengthS: number): number {
    let most = 0;
    let first = 0;
    this.#timesS.forEach((atS, i) => {
      while ((this.#timesS[first] ?? 0) <= atS - lengthS) first++;
      most = Math.max(most, i - first + 1);
    });
    return most;
  }
}
