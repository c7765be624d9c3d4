// SPDX-License-Identifier: MIT
/**
 * How each network's idle timeout is learned without risking the main link: canaries that nobody needs grow older than the
 * main link may. They are opened, and pinged beside main pings, while the radio is on anyway. Pure.
 */

import { CANARIES_FAILED_MAX, CANARIES_MAX, HEARTBEAT_VISIT_MS, VISITED_LOSSES_MAX } from "../limits.ts";
import { Canaries, type Canary, type CanaryRequest } from "./canaries.ts";
import type { AgentEvent, Emit } from "./events.ts";
import type { Knowledge } from "./knowledge.ts";
import type { NetworkMemory } from "./network-memory.ts";
import type { WakeBudget } from "./wake-budget.ts";

export interface TrialsOptions {
  readonly memory: NetworkMemory;
  readonly budget: WakeBudget;
  readonly emit: Emit;
  /** A number no link has had. */
  readonly nextLinkId: () => number;
}

/** The link that is not risked, as its heartbeat sees it; ms. */
export interface MainLink {
  readonly known: Knowledge;
  readonly isHeld: boolean;
  readonly intervalMs: number;
  /** Longest it may be idle without being risked. */
  readonly safeMs: number;
  /** The idleness that is worth proving. */
  readonly targetMs: number;
  readonly verdictMs: number;
  /** It owes an answer, which will tell whether it is well. */
  readonly isPinging: boolean;
  handleSurvived(idleMs: number): void;
}

/** Canaries that cannot be opened within this failed for one reason. */
const CANARY_FAILURE_MS = 60_000;
/** What a trial in a narrow bracket costs, in pings. */
const HATCH_COST = 0.9;

export class Trials {
  readonly #options: TrialsOptions;
  readonly #main: MainLink;
  readonly #canaries: Canaries;
  /** How canaries are opened on this link; null when they are not. */
  #canaryRequest: CanaryRequest | null = null;
  #isBlind = false;
  /** Canaries in a row that could not be opened. */
  #canariesFailed = 0;
  /** When the last of them failed. */
  #failedMs = Number.NEGATIVE_INFINITY;

  constructor(options: TrialsOptions, main: MainLink) {
    this.#options = options;
    this.#main = main;
    this.#canaries = new Canaries(options.emit);
  }

  /** The service answers no canaries: the main link itself has to try. */
  get isBlind(): boolean {
    return this.#isBlind;
  }

  handleRegistered(canaryRequest: CanaryRequest | null, monotonicMs: number): void {
    const { known, targetMs, intervalMs } = this.#main;
    this.#canaryRequest = canaryRequest;
    this.#isBlind = canaryRequest === null;
    this.#canariesFailed = 0;
    // While growing, main pings double in distance: so many ages are to be tried.
    this.#hatch(known.isGrowing ? Math.ceil(Math.log2(targetMs / intervalMs)) : 1, monotonicMs);
  }

  /** What they learned is meaningless without the main link, and the next one may be of another kind. */
  handleLinkClosed(): void {
    this.#canaries.dropAll();
    this.#canaryRequest = null;
  }

  /** An event of a link. False when it is no canary's. */
  handleEvent(event: Extract<AgentEvent, { linkId: number }>, monotonicMs: number): boolean {
    const canary = this.#canaries.find(event.linkId);
    if (canary === undefined) return false;
    const { trial, idleSinceMs } = canary;
    if (event.type === "linkClosed") {
      if (event.cause === "reset" && idleSinceMs !== null) {
        // A lesson only if the main link is well, which is known with its pong. A middlebox may also tell at once that it
        // has forgotten a flow, though nobody used it.
        canary.trial ??= { sentMs: monotonicMs, idleMs: monotonicMs - idleSinceMs, isReset: true };
        canary.trial.isReset = true;
        if (trial !== null && !this.#main.isPinging) this.settle(monotonicMs);
        return true;
      }
      // Closed without a ping of ours: a service that drains, which teaches nothing.
      this.#canaries.drop(canary, false);
      if (idleSinceMs === null) this.#handleNotOpened(event.httpStatus, monotonicMs);
      return true;
    }
    this.#canariesFailed = 0;
    canary.idleSinceMs = monotonicMs;
    canary.trial = null;
    if (trial !== null) this.#main.handleSurvived(trial.idleMs);
    this.#retire();
    return true;
  }

  /** When a canary has an age that is worth a main ping then, at `latestMs` or earlier; infinity for none. */
  nextAtMs(trafficMs: number, latestMs: number): number {
    // While one is on trial no other is tried.
    const ages = this.#canaries.onTrial === undefined ? this.#ages() : null;
    let atMs = Number.POSITIVE_INFINITY;
    if (ages === null) return atMs;
    const [fromMs, bestMs, toMs] = ages;
    for (const { idleSinceMs } of this.#canaries.idle) {
      const bornMs = idleSinceMs ?? 0;
      if (bornMs + toMs <= trafficMs || bornMs + fromMs > latestMs) continue;
      const trialMs = bornMs + toMs >= latestMs ? latestMs : Math.max(bornMs + bestMs, trafficMs + 1);
      if (trialMs === latestMs || this.#mayPay(trialMs, latestMs)) atMs = Math.min(atMs, trialMs);
    }
    return atMs;
  }

  /** The radio is on: a canary of a worthwhile age is pinged, one that is too old to teach anything replaced. */
  tryOne(monotonicMs: number): void {
    const ages = this.#ages();
    if (ages === null || this.#canaries.onTrial !== undefined) return;
    const [fromMs, bestMs, toMs] = ages;
    let chosen: Canary | null = null;
    let chosenMs = 0;
    for (const canary of this.#canaries.idle) {
      const ageMs = monotonicMs - (canary.idleSinceMs ?? monotonicMs);
      if (ageMs < fromMs) continue;
      // A second of grace for a wake-up that came late.
      if (ageMs > toMs + 1_000 && this.#main.known.record.hiMs !== null) {
        this.#canaries.drop(canary, true);
        continue;
      }
      if (chosen !== null && Math.abs(bestMs - ageMs) >= Math.abs(bestMs - chosenMs)) continue;
      chosen = canary;
      chosenMs = ageMs;
    }
    if (chosen === null) return this.#hatch(1, monotonicMs);
    this.#canaries.try(chosen, monotonicMs);
    // The successor is as old as the next ping needs it.
    if (!this.#main.known.isGrowing) this.#hatch(this.#canaries.size + 1, monotonicMs);
  }

  /** The main link is well: a canary that has not answered by now will not. */
  settle(monotonicMs: number): void {
    const canary = this.#canaries.onTrial;
    const trial = canary?.trial;
    if (canary === undefined || !trial) return;
    if (!trial.isReset && monotonicMs < trial.sentMs + this.#main.verdictMs) return;
    this.#canaries.drop(canary, !trial.isReset);
    this.#canaryFailed(trial.idleMs, monotonicMs);
  }

  #handleNotOpened(httpStatus: number | null, monotonicMs: number): void {
    // Refused for good, by a service or a proxy that knows no canaries: the main link itself has to try.
    this.#isBlind ||= httpStatus !== null && httpStatus !== 429 && httpStatus < 500;
    // Those opened together fail together, which is one failure.
    if (!this.#isBlind && monotonicMs - this.#failedMs < CANARY_FAILURE_MS) return;
    this.#failedMs = monotonicMs;
    if (!this.#isBlind && ++this.#canariesFailed < CANARIES_FAILED_MAX) return;
    this.#canaryRequest = null;
    this.#canaries.dropAll();
  }

  #ages(): readonly [number, number, number] | null {
    return this.#canaryRequest === null ? null : this.worthwhileAges();
  }

  /** Ages worth a trial as {@link Knowledge.ages} has them, whether or not canaries are to be had. */
  worthwhileAges(): readonly [number, number, number] | null {
    if (this.#main.isHeld) return this.#main.known.ages(this.#main.safeMs, this.#main.targetMs);
    // A link that lives from visit to visit may well live longer.
    if (this.#main.known.provenMs < HEARTBEAT_VISIT_MS) return null;
    return this.#main.known.hopefulAges(this.#main.targetMs, VISITED_LOSSES_MAX);
  }

  /** A trial that costs a ping has to be worth it, and to leave the budget those that keep the link. */
  #mayPay(trialMs: number, latestMs: number): boolean {
    const { intervalMs } = this.#main;
    return (
      this.#main.known.isAffordable((latestMs - trialMs) / intervalMs) &&
      this.#options.budget.canSpare(trialMs, intervalMs)
    );
  }

  /** Opens canaries until there are `count`, when there is something to learn. The radio is on. */
  #hatch(count: number, monotonicMs: number): void {
    const ages = this.#ages();
    if (this.#canaryRequest === null || ages === null || !this.#main.known.isAffordable(HATCH_COST)) return;
    const [, bestMs, toMs] = ages;
    // Where a trial costs a ping that the budget does not have, it would only grow too old.
    const isPaid = !this.#main.known.isGrowing && Number.isFinite(toMs);
    if (isPaid && !this.#options.budget.canSpare(monotonicMs + bestMs, this.#main.intervalMs, monotonicMs))
      return;
    const missing = Math.min(count, CANARIES_MAX) - this.#canaries.size;
    for (let i = 0; i < missing; i++) this.#canaries.open(this.#options.nextLinkId(), this.#canaryRequest);
  }

  #canaryFailed(idleMs: number, monotonicMs: number): void {
    const wasGrowing = this.#main.known.isGrowing;
    this.#main.known.canaryFailed(Math.floor(idleMs));
    this.#options.memory.keep(this.#main.known, true);
    // Its sisters are as old as it was.
    if (wasGrowing) {
      for (const canary of this.#canaries.idle)
        if (monotonicMs - (canary.idleSinceMs ?? 0) >= idleMs) this.#canaries.drop(canary, true);
    }
    this.#retire();
    this.#hatch(1, monotonicMs);
  }

  /** Nothing left to learn: canaries go while the radio is on. */
  #retire(): void {
    if (this.#ages() === null) this.#canaries.dropAll();
  }
}
