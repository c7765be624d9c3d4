// SPDX-License-Identifier: MIT
/** Counts what a run comes to, network by network, and in the worst hour. */

import type { NetworkShare } from "./result.ts";

/** What each network had of the energy and of the deafness. */
export class NetworkTally {
  readonly #shares: Record<string, NetworkShare> = {};
  #joules = 0;
  #deafS = 0;

  /** The device leaves the network; null for none. The sums are those of the run so far. */
  leave(network: string | null, joules: number, deafS: number, isHeld: boolean): void {
    if (network !== null) {
      const before = this.#shares[network];
      this.#shares[network] = {
        joules: (before?.joules ?? 0) + joules - this.#joules,
        deafS: (before?.deafS ?? 0) + deafS - this.#deafS,
        isHeld,
      };
    }
    this.#joules = joules;
    this.#deafS = deafS;
  }

  /** The sums begin anew. */
  reset(): void {
    this.#joules = this.#deafS = 0;
    for (const name of Object.keys(this.#shares)) delete this.#shares[name];
  }

  get shares(): Readonly<Record<string, NetworkShare>> {
    return this.#shares;
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
