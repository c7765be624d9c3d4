// SPDX-License-Identifier: MIT
/**
 * Side links that age in place of the main one: opened, pinged and closed through the host's link
 * calls, only while the radio is on anyway. Which age is worth a ping is decided in heartbeat.ts. Pure.
 */

import type { Effect, Emit } from "./events.ts";

export interface Canary {
  readonly linkId: number;
  /** Monotonic ms since which nothing went over it; null until it is open. */
  idleSinceMs: number | null;
  /** The ping that is out, and the idleness it tries. */
  trial: { readonly sentMs: number; readonly idleMs: number; isReset: boolean } | null;
}

/** Everything needed to open one. */
export type CanaryRequest = Omit<Extract<Effect, { type: "openLink" }>, "type" | "linkId" | "headers">;

export class Canaries {
  readonly #emit: Emit;
  /** Oldest first. */
  readonly #links: Canary[] = [];

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  /** Those open and without a trial, oldest first. */
  get idle(): readonly Canary[] {
    return this.#links.filter(({ idleSinceMs, trial }) => idleSinceMs !== null && trial === null);
  }

  get size(): number {
    return this.#links.length;
  }

  /** The one whose answer is awaited, or undefined. */
  get onTrial(): Canary | undefined {
    return this.#links.find(({ trial }) => trial !== null);
  }

  find(linkId: number): Canary | undefined {
    return this.#links.find((canary) => canary.linkId === linkId);
  }

  open(linkId: number, request: CanaryRequest): void {
    this.#links.push({ linkId, idleSinceMs: null, trial: null });
    this.#emit({ type: "openLink", linkId, headers: {}, ...request });
  }

  /** Pings it: does it answer after having been idle for so long? */
  try(canary: Canary, monotonicMs: number): void {
    const idleMs = monotonicMs - (canary.idleSinceMs ?? monotonicMs);
    canary.trial = { sentMs: monotonicMs, idleMs, isReset: false };
    this.#emit({ type: "ping", linkId: canary.linkId });
  }

  /** It is gone, or of no more use. */
  drop(canary: Canary, mustClose: boolean): void {
    this.#links.splice(this.#links.indexOf(canary), 1);
    if (mustClose) this.#emit({ type: "closeLink", linkId: canary.linkId });
  }

  dropAll(): void {
    for (const canary of [...this.#links]) this.drop(canary, true);
  }
}
