// SPDX-License-Identifier: MIT
/**
 * When to ping, and when a link counts as dead. The main link is never left idle for longer than was seen to
 * survive; what canaries try beyond that is in trials.ts. Pure.
 */

import {
  FRESHNESS_MS,
  GROWTH_LOSSES_MAX,
  HEARTBEAT_GUARD_MS,
  HEARTBEAT_HELD_MS_MIN,
  HEARTBEAT_MS_MIN,
  HEARTBEAT_VISIT_MS,
  IDLE_MARGIN_MS,
  WAKE_UPS_PER_HOUR_MAX,
} from "../limits.ts";
import type { CanaryRequest } from "./canaries.ts";
import type { AgentEvent, Alarm, Emit, LinkCause } from "./events.ts";
import type { Knowledge } from "./knowledge.ts";
import { Lateness, ON_TIME_MS } from "./lateness.ts";
import type { NetworkMemory } from "./network-memory.ts";
import { RoundTrip } from "./round-trip.ts";
import type { NetworkStatus } from "./status.ts";
import { type MainLink, Trials } from "./trials.ts";
import type { WakeBudget } from "./wake-budget.ts";

/** What is to be done about a link's liveness now. "doubt": dial another one beside it, the answer is overdue. */
export type HeartbeatVerdict = "fine" | "ping" | "doubt" | "dead";

export interface HeartbeatOptions {
  /** A fixed interval instead of a learned one, or null. */
  readonly fixedMs: number | null;
  readonly memory: NetworkMemory;
  readonly budget: WakeBudget;
  readonly emit: Emit;
  /** A number no link has had. */
  readonly nextLinkId: () => number;
}

/** Share of the interval by which a ping may come early, to share another wake-up. */
const EARLY_SHARE = 0.1;
const HOUR_MS = 3_600_000;
/** Without canaries the interval grows by this. */
const BLIND_GROWTH_FACTOR = 1.5;
/** Without canaries the main link tries when the bracket is wider than this. */
const BLIND_BRACKET_FACTOR = 1.25;
/** Two links that were forgotten by the same rule differ in age by this share at most. */
const TOLD_SHARE = 0.1;
/** No middlebox forgets sooner. */
const TOLD_MS_MIN = 30_000;
/** What happens within this is one wake-up. */
const SAME_WAKE_UP_MS = 900;

interface Ping {
  readonly sentMs: number;
  /** How long the link had been idle. */
  readonly idleMs: number;
  /** Another link is being dialed beside it. */
  isDoubted: boolean;
}

export class Heartbeat implements MainLink {
  readonly #options: HeartbeatOptions;
  readonly #trials: Trials;
  #known: Knowledge;
  #freshnessMs: number = FRESHNESS_MS.normal;
  #idleLimitMs = Number.POSITIVE_INFINITY;
  /** A ping that was never answered, while it is open whether network or middlebox was to blame. */
  #unansweredMs: { readonly idleMs: number; readonly sinceMs: number } | null = null;
  /** Anything that went over the main link; null while there is none. */
  #trafficMs: number | null = null;
  #receivedMs = 0;
  /** Both ways of the link worked. */
  #provedMs = 0;
  #ping: Ping | null = null;
  /** The link is doubted, and not asked yet. */
  #mustAsk = false;
  /** Idleness after which the last link was reset though nobody used it. */
  #toldMs = Number.NEGATIVE_INFINITY;
  readonly #roundTrip = new RoundTrip();
  readonly #lateness = new Lateness();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#trials = new Trials(options, this);
    this.#known = options.memory.recall("");
  }

  /**
   * What the device promises the service: it sends something at least this often. Without the idle limit of the present
   * link, or the service would not repeat its limit on the next one.
   */
  get declaredMs(): number {
    return Math.max(HEARTBEAT_MS_MIN, this.#options.fixedMs ?? this.#freshnessMs);
  }

  /** Ms after which a ping is sent when nothing else is. */
  get intervalMs(): number {
    return this.isHeld ? this.safeMs : HEARTBEAT_VISIT_MS;
  }

  /** False where an idle link does not live long enough to be kept: it is proved, or made anew, every so often. */
  get isHeld(): boolean {
    return (
      this.#options.fixedMs !== null ||
      this.safeMs >= HEARTBEAT_HELD_MS_MIN ||
      this.#idleLimitMs < HEARTBEAT_HELD_MS_MIN
    );
  }

  get known(): Knowledge {
    return this.#known;
  }

  get isPinging(): boolean {
    return this.#ping !== null;
  }

  /** An unanswered ping is a verdict after this. */
  get verdictMs(): number {
    return this.#roundTrip.verdictMs;
  }

  /** An event of a link. False when it is no canary's. */
  handleCanary(event: Extract<AgentEvent, { linkId: number }>, monotonicMs: number): boolean {
    return this.#trials.handleEvent(event, monotonicMs);
  }

  /** Smoothed round trip on the last link, ms; 0 before the first. */
  get rttMs(): number {
    return this.#roundTrip.smoothedMs;
  }

  get status(): NetworkStatus {
    const { label, loMs, hiMs, confidence } = this.#known.record;
    const { intervalMs, isHeld, rttMs } = this;
    return {
      label,
      intervalMs,
      loMs,
      hiMs,
      confidence,
      isHeld,
      isLearned: this.#isLearned,
      rttMs,
      freshnessMs: this.#freshnessMs,
      idleLimitMs: Number.isFinite(this.#idleLimitMs) ? this.#idleLimitMs : null,
    };
  }

  /** Of the most urgent live subscription. */
  setFreshness(freshnessMs: number): void {
    this.#freshnessMs = freshnessMs;
  }

  /** @param label null: no network */
  handleNetwork(label: string | null): void {
    // What was lost on the way out of one network says nothing about the next one, nor about the same one later.
    this.#unansweredMs = null;
    this.#toldMs = Number.NEGATIVE_INFINITY;
    if (label !== null) this.#known = this.#options.memory.recall(label);
  }

  handleDialed(monotonicMs: number): void {
    this.#roundTrip.handleDialed(monotonicMs);
  }

  handleOpened(monotonicMs: number): void {
    const { verdictMs } = this;
    this.#roundTrip.handleOpened(monotonicMs);
    // A link at once: the network was well, it had forgotten the old one.
    const unanswered = this.#unansweredMs;
    if (unanswered !== null && monotonicMs <= unanswered.sinceMs + 2 * verdictMs)
      this.#failed(unanswered.idleMs);
    this.#unansweredMs = null;
    this.#trafficMs = this.#receivedMs = this.#provedMs = monotonicMs;
  }

  /** @param idleLimitMs the service (a balancer before it) drops links idle this long; null for no limit */
  handleRegistered(idleLimitMs: number | null, canaryRequest: CanaryRequest | null): void {
    this.#idleLimitMs = Math.max(
      HEARTBEAT_MS_MIN,
      (idleLimitMs ?? Number.POSITIVE_INFINITY) - IDLE_MARGIN_MS,
    );
    if (this.#options.fixedMs === null) this.#trials.handleRegistered(canaryRequest, this.#provedMs);
  }

  /** A frame came in. True when a ping should go along: nothing has proved our own way out for long. */
  handleReceived(monotonicMs: number): boolean {
    if (this.#trafficMs === null) return false;
    const idleMs = monotonicMs - this.#trafficMs;
    // One that comes when a ping was overdue was perhaps sent long ago, and held up by a device that slept.
    if (idleMs > this.#known.provenMs && idleMs <= this.intervalMs + ON_TIME_MS) this.handleSurvived(idleMs);
    this.#trafficMs = this.#receivedMs = monotonicMs;
    this.#trials.settle(monotonicMs);
    const isStale =
      this.#ping === null && monotonicMs - this.#provedMs >= 2 * Math.min(this.declaredMs, this.#idleLimitMs);
    if (isStale) this.#ping = { sentMs: monotonicMs, idleMs: 0, isDoubted: false };
    this.#trials.tryOne(monotonicMs);
    return isStale;
  }

  handlePong(monotonicMs: number): void {
    const ping = this.#ping;
    this.#provedMs = this.#trafficMs = this.#receivedMs = monotonicMs;
    this.#ping = null;
    if (ping === null) return;
    this.#roundTrip.handlePong(monotonicMs - ping.sentMs);
    this.#known.confirm();
    if (ping.idleMs > 0) this.handleSurvived(ping.idleMs);
    this.#trials.settle(monotonicMs);
  }

  /** Something happened that may have killed the link without a word: it is asked as soon as may be. */
  handleDoubted(): void {
    this.#unansweredMs = null;
    if (this.#ping === null) this.#mustAsk = this.#trafficMs !== null;
    else this.#ping = { ...this.#ping, idleMs: 0 };
  }

  /** A frame went out: middleboxes saw traffic, though nothing is proved. */
  handleSent(monotonicMs: number): void {
    // Sending alone may put a ping off by one interval and no more, or a dead uplink would never be noticed.
    if (this.#trafficMs !== null) this.#trafficMs = Math.min(monotonicMs, this.#receivedMs + this.intervalMs);
  }

  /** Judges the link; "ping" is answered by sending one. */
  check(monotonicMs: number): HeartbeatVerdict {
    const trafficMs = this.#trafficMs;
    if (trafficMs === null) return "fine";
    const ping = this.#ping;
    if (ping !== null) {
      // Frames on their way in may hold up the pong, but not for ever.
      const sinceMs = Math.min(Math.max(ping.sentMs, this.#receivedMs), ping.sentMs + 3 * this.verdictMs);
      if (monotonicMs >= sinceMs + this.verdictMs) return "dead";
      if (ping.isDoubted || monotonicMs < this.#doubtAtMs(ping)) return "fine";
      ping.isDoubted = true;
      return "doubt";
    }
    const due = this.#due(trafficMs);
    const { budget, emit } = this.#options;
    if (monotonicMs < due.atMs || !budget.take(monotonicMs)) return "fine";
    const isUnexpected = this.#lateness.handleWoken(monotonicMs);
    // A device that slept on would hear of a missing answer at its next alarm only.
    emit({ type: "stayAwake", untilMs: monotonicMs + this.verdictMs });
    this.#known.countPing();
    // A device that was off was idle for longer than anybody meant to try.
    const idleMs = isUnexpected || this.#mustAsk ? 0 : monotonicMs - trafficMs;
    this.#mustAsk = false;
    this.#ping = { sentMs: monotonicMs, idleMs, isDoubted: false };
    // The ping counts as traffic on its way out; what it proves is known with the pong.
    this.#trafficMs = monotonicMs;
    this.#trials.tryOne(monotonicMs);
    return "ping";
  }

  nextDeadline(): Alarm | null {
    const trafficMs = this.#trafficMs;
    if (trafficMs === null) return null;
    const ping = this.#ping;
    if (ping !== null) {
      const atMs = ping.isDoubted ? ping.sentMs + this.verdictMs : this.#doubtAtMs(ping);
      return {
        atMs: Math.max(atMs, ping.isDoubted ? this.#receivedMs + this.verdictMs : 0),
        windowMs: 0,
      };
    }
    const due = this.#due(trafficMs);
    const atMs = Math.max(due.atMs, this.#options.budget.freeAtMs);
    const latestMs = Math.max(due.atMs + due.windowMs, atMs);
    this.#lateness.handleAsked(latestMs);
    return { atMs, windowMs: latestMs - atMs };
  }

  /**
   * The main link ended. A flow a middlebox has forgotten answers a ping with a reset, or not at all; the latter is what a
   * lost network does too, so it counts only when the next link is there at once.
   *
   * @param cause null: on our own wish, which teaches nothing
   */
  handleClosed(cause: LinkCause | null, monotonicMs: number): void {
    const ping = this.#ping;
    const idleMs = monotonicMs - (this.#trafficMs ?? monotonicMs);
    // A device that slept through a ping says nothing.
    const isAwake = this.#trafficMs !== null && idleMs <= this.intervalMs + ON_TIME_MS;
    if (ping === null && cause === "reset" && this.isHeld && isAwake) this.#handleTold(idleMs);
    if (ping !== null && ping.idleMs > 0 && this.isHeld) {
      if (cause === "reset" && !ping.isDoubted) this.#failed(ping.idleMs);
      else if (cause === "reset") {
        // The next link cannot be there before the budget allows it.
        const sinceMs = Math.max(ping.sentMs, this.#options.budget.freeAtMs);
        this.#unansweredMs = { idleMs: ping.idleMs, sinceMs };
      }
    }
    this.#trials.handleLinkClosed();
    this.#trafficMs = this.#ping = null;
    this.#mustAsk = false;
  }

  // --- what is safe, and what is worth trying --------------------------------------------------------------------------

  /** The idleness that is worth proving: more would be too stale. */
  get targetMs(): number {
    return Math.min(this.#freshnessMs, this.#idleLimitMs) - HEARTBEAT_GUARD_MS;
  }

  /** Nothing more will be tried. */
  get #isLearned(): boolean {
    const isAtTarget = this.safeMs >= this.targetMs;
    if (this.#trials.isBlind)
      return isAtTarget || (this.#known.record.hiMs !== null && this.#blindMs() === 0);
    return this.#options.fixedMs !== null || this.#trials.worthwhileAges() === null;
  }

  #doubtAtMs(ping: Ping): number {
    if (this.isHeld) return ping.sentMs + this.verdictMs / 2;
    // The dial belongs to the ping's wake-up; it waits for an answer only where one has come from visit to visit.
    return this.#known.provenMs < HEARTBEAT_VISIT_MS ? ping.sentMs : ping.sentMs + SAME_WAKE_UP_MS;
  }

  /** Longest the main link may be idle without being risked. */
  get safeMs(): number {
    const { fixedMs } = this.#options;
    const { startMs, provenMs } = this.#known;
    const learnedMs = Math.max(startMs, provenMs, this.#blindMs()) - HEARTBEAT_GUARD_MS;
    const intervalMs = Math.min(fixedMs ?? learnedMs, fixedMs ?? this.#freshnessMs, this.#idleLimitMs);
    // Late alarms alone do not make a network one that cannot be held.
    const leastMs = Math.max(HEARTBEAT_MS_MIN, Math.min(intervalMs, HEARTBEAT_HELD_MS_MIN));
    return Math.max(leastMs, intervalMs - Math.min(this.#lateness.expectedMs, intervalMs / 2));
  }

  /** Growth without canaries: the main link itself tries, and may be lost {@link GROWTH_LOSSES_MAX} times. */
  #blindMs(): number {
    const { record, provenMs, provenSinceMs, startMs } = this.#known;
    const { losses, hiMs } = record;
    if (!this.#trials.isBlind || provenSinceMs !== null || losses >= GROWTH_LOSSES_MAX) return 0;
    if (hiMs === null) return provenMs * BLIND_GROWTH_FACTOR;
    return provenMs >= startMs && hiMs > provenMs * BLIND_BRACKET_FACTOR ? (provenMs + hiMs) / 2 : 0;
  }

  /** When to ping next: as late as is safe, or earlier where a canary then has an age worth more than the ping costs. */
  #due(trafficMs: number): Alarm {
    if (this.#mustAsk) return { atMs: trafficMs, windowMs: 0 };
    const intervalMs = this.intervalMs;
    const latestMs = trafficMs + intervalMs;
    const atMs = this.#trials.nextAtMs(trafficMs, latestMs);
    if (atMs <= latestMs) return { atMs, windowMs: 0 };
    // Not so early that the budget would run out for it.
    const spareMs = intervalMs - HOUR_MS / WAKE_UPS_PER_HOUR_MAX;
    const windowMs = Math.max(0, Math.floor(Math.min(intervalMs * EARLY_SHARE, spareMs)));
    return { atMs: latestMs - windowMs, windowMs };
  }

  /**
   * The link was reset though nobody used it. Some middleboxes tell when they forget a flow, but so does a service that
   * dies: it is a lesson when it comes twice after the same time, and more was never proven.
   */
  #handleTold(idleMs: number): void {
    const isAgain = idleMs >= TOLD_MS_MIN && Math.abs(idleMs - this.#toldMs) <= idleMs * TOLD_SHARE;
    this.#toldMs = idleMs;
    if (isAgain && idleMs > this.#known.provenMs) this.#failed(idleMs);
  }

  #failed(idleMs: number): void {
    this.#known.mainFailed(Math.floor(idleMs));
    this.#options.memory.keep(this.#known, true);
  }

  /** A flow that idle was still there. */
  handleSurvived(idleMs: number): void {
    const isNews = this.#known.survived(Math.floor(idleMs));
    this.#options.memory.keep(this.#known, isNews);
  }
}
