// SPDX-License-Identifier: MIT
/**
 * What is known of one network's idle timeout: what a success and a failure teach, what is still worth trying, and what a
 * trial may cost. When to try is heartbeat.ts. Pure.
 */

import type { NetworkRecord } from "../journal/index.ts";
import { BRACKET_MS_MIN, HEARTBEAT_START_MS, HELD_LOSSES_MAX } from "../limits.ts";

const CONFIDENCE_MAX = 255;
/** Share of the shortest idleness known to fail that a first interval keeps clear of. */
const START_SHARE = 0.9;
/** Shortest step worth a trial while no failure is known. */
const GROWTH_FACTOR_MIN = 1.25;
/** A bracket wider than this share of what is proven is narrowed at the price of a ping; a narrower one when it pays. */
const BRACKET_SHARE = 0.15;
/** After so many pings without news a canary tries more than what fails. It costs the bytes of five. */
const PINGS_BEFORE_HOPE = 24;
/** The same where too many links were lost: two weeks of a ping every 240 s. */
const PINGS_BEFORE_LAST_HOPE = 5_000;
/** Trials stay this share of the bracket away from its ends. */
const BRACKET_EDGE_SHARE = 0.25;

/** One network. {@link NetworkRecord} says what its fields mean. */
export class Knowledge {
  record: NetworkRecord;
  /** Set while a single failure has put `record.loMs` in doubt: what was seen to survive since. */
  provenSinceMs: number | null = null;
  /** Pings a narrower bracket would have spared so far: what a trial may cost. */
  #credit = 0;
  /** Since a canary was last older than what fails. */
  #pings = 0;

  constructor(record: NetworkRecord) {
    this.record = record;
  }

  /** Longest idleness that is safe for the main link, 0 when none was seen. */
  get provenMs(): number {
    return this.provenSinceMs ?? this.record.loMs;
  }

  /** The interval to begin with: unproven, so it is halved once it failed. */
  get startMs(): number {
    const { loMs, hiMs, losses } = this.record;
    // What is in doubt was more than it seemed, and what survived since says little at first.
    const isDoubted = this.provenSinceMs !== null;
    // After a loss nothing unproven is tried twice.
    if (!isDoubted && hiMs === null && losses > 0 && loMs > 0) return 0;
    const limitMs = isDoubted ? loMs : (hiMs ?? Number.POSITIVE_INFINITY);
    return HEARTBEAT_START_MS.find((ms) => ms < limitMs * START_SHARE) ?? Math.floor(limitMs / 2);
  }

  /** True when the next step is up: no failure is known above what is proven, or what was proven is to be proved again. */
  get isGrowing(): boolean {
    return this.record.hiMs === null || this.provenSinceMs !== null;
  }

  /**
   * Ages worth a trial, [from, best, to] in ms, or null when there is nothing to learn: "best" when it costs a ping,
   * anything between when it is free.
   *
   * @param safeMs what the main link may be idle anyway
   * @param targetMs longest interval worth having
   */
  ages(safeMs: number, targetMs: number): readonly [number, number, number] | null {
    const { loMs, isHiSure } = this.record;
    const hiMs = this.record.hiMs ?? Number.POSITIVE_INFINITY;
    const provenMs = Math.max(this.provenMs, safeMs);
    if (provenMs >= targetMs - 100) return null;
    if (this.isGrowing) {
      const toMs = this.provenSinceMs === null ? targetMs : Math.min(loMs, targetMs);
      return [Math.min(provenMs * GROWTH_FACTOR_MIN, toMs), toMs, toMs];
    }
    // A loss of the main link may have had other causes: is it really the limit?
    if (!isHiSure) return [hiMs, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    const hopeful = this.hopefulAges(targetMs, HELD_LOSSES_MAX);
    if (hopeful !== null) return hopeful;
    const widthMs = hiMs - provenMs;
    if (widthMs <= BRACKET_MS_MIN) return null;
    const edgeMs = widthMs * BRACKET_EDGE_SHARE;
    const toMs = Math.min(hiMs - edgeMs, targetMs);
    return [Math.min(provenMs + edgeMs, toMs), Math.min(provenMs + widthMs / 2, toMs), toMs];
  }

  /**
   * A network may change its mind for the better, or was misjudged: now and then, and for nothing, a canary grows older than
   * the shortest idleness known to fail. Ages as above, or null when it is not the time. Where `lossesMax` links were lost
   * that is seldom: a network that keeps changing its mind costs another each time.
   */
  hopefulAges(targetMs: number, lossesMax: number): readonly [number, number, number] | null {
    const { hiMs, losses } = this.record;
    const fromMs = (hiMs ?? this.provenMs) * GROWTH_FACTOR_MIN;
    const pings = losses < lossesMax ? PINGS_BEFORE_HOPE : PINGS_BEFORE_LAST_HOPE;
    if (this.#pings < pings || fromMs >= targetMs) return null;
    return [fromMs, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  }

  /** A ping was sent at the interval known: a narrower bracket might have spared a share of it. */
  countPing(): void {
    const { hiMs } = this.record;
    this.#pings++;
    const { provenMs } = this;
    if (hiMs !== null && provenMs > 0) this.#credit += (hiMs - provenMs) / (4 * provenMs);
  }

  /** True when a trial that costs this share of a ping is worth it. */
  isAffordable(cost: number): boolean {
    const { hiMs, isHiSure } = this.record;
    const isWide = (hiMs ?? Number.POSITIVE_INFINITY) > this.provenMs * (1 + BRACKET_SHARE);
    const isHopeful = this.#pings >= PINGS_BEFORE_HOPE;
    return this.isGrowing || !isHiSure || isWide || isHopeful || this.#credit >= cost;
  }

  /** An idle link was still there after `idleMs`. True when that is news. */
  survived(idleMs: number): boolean {
    const { loMs, hiMs } = this.record;
    if (this.provenSinceMs !== null) {
      this.provenSinceMs = Math.max(this.provenSinceMs, idleMs);
      // What was in doubt held again; a tenth of a second is the rounding of clocks.
      if (this.provenSinceMs >= loMs - 100) this.provenSinceMs = null;
    }
    const isNews = this.provenSinceMs === null && idleMs > loMs;
    const isWiderThanThought = hiMs !== null && idleMs >= hiMs;
    if (isNews) this.#change({ loMs: idleMs });
    if (isWiderThanThought) this.#change({ hiMs: null, isHiSure: false });
    return isNews || isWiderThanThought;
  }

  /** A canary did not survive `idleMs`, and the main link was well. */
  canaryFailed(idleMs: number): void {
    const { hiMs, isHiSure } = this.record;
    if (idleMs <= this.provenMs) return;
    this.#pings = 0;
    if (isHiSure && hiMs !== null && idleMs > hiMs && this.provenSinceMs === null) return;
    const loMs = this.provenMs;
    this.provenSinceMs = null;
    this.#change({ loMs, hiMs: Math.min(hiMs ?? idleMs, idleMs), isHiSure: true });
  }

  /**
   * The main link did not survive `idleMs`. What was proven is not given up for one failure, which may have been the
   * service's: it is in doubt until canaries have proved it again, and gone with a second failure before that.
   */
  mainFailed(idleMs: number): void {
    const { loMs, losses, hiMs } = this.record;
    if (this.provenSinceMs === null && idleMs <= loMs) {
      this.provenSinceMs = 0;
      this.#change({ losses: losses + 1 });
      return;
    }
    const provenMs = this.provenMs < idleMs ? this.provenMs : 0;
    this.provenSinceMs = null;
    this.#change({
      loMs: provenMs,
      hiMs: Math.min(hiMs ?? idleMs, idleMs),
      isHiSure: false,
      losses: losses + 1,
    });
  }

  confirm(): void {
    const { confidence } = this.record;
    if (confidence < CONFIDENCE_MAX) this.record = { ...this.record, confidence: confidence + 1 };
  }

  #change(members: Partial<NetworkRecord>): void {
    this.record = { ...this.record, confidence: 0, ...members };
    this.#credit = this.#pings = 0;
  }
}
