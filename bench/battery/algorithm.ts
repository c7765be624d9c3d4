// SPDX-License-Identifier: MIT
/** What a published keep-alive algorithm has to tell; one small file in algorithms/ implements it and index.ts lists it. */

import type { Stretch } from "./scenario.ts";

export interface Policy {
  /** Seconds to the next ping on this network; infinite for none. */
  intervalS(network: Stretch): number;
  /** A ping was answered after the link had been idle for `idleS`. */
  answered?(network: Stretch, idleS: number): void;
  /** A ping planned for `plannedS` was not answered, or with a reset. */
  unanswered?(network: Stretch, plannedS: number): void;
  connected?(network: Stretch): void;
  /** Seconds until an unanswered ping is a verdict. */
  readonly verdictS: number;
  /** Seconds before try number `attempt`, from 0. */
  backoffS(attempt: number): number;
  /** Seconds between looks behind a portal; without it a portal is a failed try like any other. */
  portalS?(attempt: number): number;
  /** Round trips of a connect; default 5. */
  readonly roundTrips?: number;
  readonly resumes?: boolean;
  /** Only pings put the next ping off; default: any traffic does. */
  readonly ignoresTraffic?: boolean;
  /** The server pings this often, s. */
  readonly serverPingS?: number;
  /** The server forgets a client that does not answer its ping. */
  readonly serverForgets?: boolean;
}

export interface Algorithm {
  readonly name: string;
  /** One run's state. */
  create(): Policy;
}

/** The nth delay of a list, the last for ever. */
export function steps(...delaysS: readonly number[]): (attempt: number) => number {
  return (attempt) => delaysS[Math.min(attempt, delaysS.length - 1)] ?? 0;
}

/** Doubling from `baseS` up to `capS`. */
export function doubling(baseS: number, capS: number): (attempt: number) => number {
  return (attempt) => Math.min(capS, baseS * 2 ** attempt);
}

const COMMON_BACKOFF = steps(5, 10, 15, 20, 30, 45, 60, 120);

/** One interval for everything. */
export function fixed(name: string, intervalS: number, more: Partial<Policy> = {}): Algorithm {
  return {
    name,
    create: () => ({ intervalS: () => intervalS, verdictS: 15, backoffS: COMMON_BACKOFF, ...more }),
  };
}
