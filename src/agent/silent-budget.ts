// SPDX-License-Identifier: MIT
/**
 * What messages that show nothing may cost: each that its app handled without showing a notification spends one, time
 * gives one back, a person's interest all. A spent budget makes such messages wait; no subscription ends for it. Pure.
 */

import { SILENT_PUSH_REFILL_MS, SILENT_PUSHES_MAX } from "../limits.ts";
import type { AppWarning, Emit } from "./events.ts";
import { baseUrlOf } from "./owner.ts";
import { Rates } from "./rates.ts";

export interface SilentStatus {
  /** Messages that may still show nothing. */
  readonly left: number;
  readonly max: number;
  /** Those that did, since the start. */
  readonly spent: number;
}

interface Account {
  spent: number;
  /** Its developer was told that half of it, or all of it, is gone; not again before more than half is there. */
  isLowTold: boolean;
  isSpentTold: boolean;
}

export interface SilentBudgetOptions {
  readonly emit: Emit;
  /** At least 1; null: as many as it likes. */
  readonly maxOf: (owner: string) => number | null;
}

/** Web origins are anybody's and have a budget; app ids were put on the device by whoever made it and have none. */
export function defaultSilentPushMax(owner: string): number | null {
  return baseUrlOf(owner) === null ? null : SILENT_PUSHES_MAX;
}

export class SilentBudget {
  readonly #options: SilentBudgetOptions;
  readonly #rates: Rates;
  readonly #accounts = new Map<string, Account>();

  constructor(options: SilentBudgetOptions) {
    this.#options = options;
    const max = (owner: string): number => this.#max(owner) ?? Number.POSITIVE_INFINITY;
    this.#rates = new Rates(max, SILENT_PUSH_REFILL_MS);
  }

  /** A message was handled and showed nothing. */
  spend(owner: string, nowMs: number): void {
    const max = this.#max(owner);
    if (max === null) return;
    const account = this.#accounts.get(owner) ?? { spent: 0, isLowTold: false, isSpentTold: false };
    this.#accounts.set(owner, account);
    if (this.#rates.left(owner, nowMs) * 2 > max) account.isLowTold = account.isSpentTold = false;
    this.#rates.take(owner, nowMs);
    account.spent++;
    const left = this.#rates.left(owner, nowMs);
    if (left === 0 && !account.isSpentTold) {
      account.isLowTold = account.isSpentTold = true;
      const text = "messages that show no notification wait until there is budget again";
      this.#warn(owner, "silent-budget-spent", text);
    } else if (left * 2 <= max && !account.isLowTold) {
      account.isLowTold = true;
      this.#warn(owner, "silent-budget-low", `${left} of ${max} messages that show no notification are left`);
    }
  }

  /** When the next message may show nothing; null: now. */
  waitsUntilMs(owner: string, nowMs: number): number | null {
    if (this.#max(owner) === null || this.#rates.left(owner, nowMs) > 0) return null;
    return this.#rates.nextAtMs(owner);
  }

  refill(owner: string): void {
    this.#rates.refill(owner);
  }

  /** Null for an owner without budget. */
  status(owner: string, nowMs: number): SilentStatus | null {
    const max = this.#max(owner);
    if (max === null) return null;
    return { left: this.#rates.left(owner, nowMs), max, spent: this.#accounts.get(owner)?.spent ?? 0 };
  }

  #max(owner: string): number | null {
    const max = this.#options.maxOf(owner);
    return max === null ? null : Math.max(1, Math.floor(max));
  }

  #warn(owner: string, code: AppWarning, text: string): void {
    this.#options.emit({ type: "warnApp", owner, code, text });
  }
}
