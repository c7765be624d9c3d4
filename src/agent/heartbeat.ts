// SPDX-License-Identifier: MIT
/**
 * When to ping. {@link Heartbeat} is what the link asks; {@link PlainHeartbeat} answers with a fixed interval and a pong
 * time-out. Pure.
 */

import { HEARTBEAT_DEFAULT_MS, HEARTBEAT_MS_MIN, PONG_TIMEOUT_MS } from "../limits.ts";
import type { Alarm } from "./events.ts";

/** What is to be done about a link's liveness now. */
export type HeartbeatVerdict = "fine" | "ping" | "dead";

export interface Heartbeat {
  /** What the device promises the service: it sends something at least this often. */
  readonly intervalMs: number;
  /** Without the idle limit of the present link: what the next one declares, or the service would not repeat its limit. */
  readonly declaredMs: number;
  /** The service (a load balancer before it) drops links idle this long; null for no limit. */
  setIdleLimit(idleLimitMs: number | null): void;
  handleOpened(monotonicMs: number): void;
  /** Any frame or pong came in: the link is valid. */
  handleReceived(monotonicMs: number): void;
  /** Any frame went out: middleboxes saw traffic, though nothing is proved. */
  handleSent(monotonicMs: number): void;
  /** Judges the link; "ping" is answered by sending one and counts as sent. */
  check(monotonicMs: number): HeartbeatVerdict;
  nextDeadline(): Alarm | null;
  handleClosed(): void;
}

/** Share of the interval by which a ping may come early, to share another wake-up. */
const EARLY_SHARE = 0.1;
/** Kept clear of the service's idle limit: two lost segments' worth of retransmission. */
const IDLE_MARGIN_MS = 5_000;

/** Pings after a fixed time without traffic; dead when the pong stays out. */
export class PlainHeartbeat implements Heartbeat {
  readonly #configuredMs: number;
  #intervalMs: number;
  #lastTrafficMs: number | null = null;
  #lastReceivedMs = 0;
  #pingSentMs: number | null = null;

  constructor(intervalMs: number = HEARTBEAT_DEFAULT_MS) {
    this.#configuredMs = Math.max(HEARTBEAT_MS_MIN, intervalMs);
    this.#intervalMs = this.#configuredMs;
  }

  get declaredMs(): number {
    return this.#configuredMs;
  }

  get intervalMs(): number {
    return this.#intervalMs;
  }

  setIdleLimit(idleLimitMs: number | null): void {
    const limitMs = idleLimitMs === null ? Number.POSITIVE_INFINITY : idleLimitMs - IDLE_MARGIN_MS;
    this.#intervalMs = Math.max(HEARTBEAT_MS_MIN, Math.min(this.#configuredMs, limitMs));
  }

  handleOpened(monotonicMs: number): void {
    this.handleReceived(monotonicMs);
  }

  handleReceived(monotonicMs: number): void {
    this.#lastTrafficMs = monotonicMs;
    this.#lastReceivedMs = monotonicMs;
    this.#pingSentMs = null;
  }

  handleSent(monotonicMs: number): void {
    if (this.#lastTrafficMs === null) return;
    // Sending alone may put a ping off by one interval and no more, or a dead uplink would never be noticed.
    this.#lastTrafficMs = Math.min(monotonicMs, this.#lastReceivedMs + this.#intervalMs);
  }

  check(monotonicMs: number): HeartbeatVerdict {
    if (this.#lastTrafficMs === null) return "fine";
    if (this.#pingSentMs !== null) {
      return monotonicMs - this.#pingSentMs >= PONG_TIMEOUT_MS ? "dead" : "fine";
    }
    if (monotonicMs < this.#lastTrafficMs + this.#earliestMs()) return "fine";
    this.#pingSentMs = monotonicMs;
    return "ping";
  }

  nextDeadline(): Alarm | null {
    if (this.#lastTrafficMs === null) return null;
    if (this.#pingSentMs !== null) return { atMs: this.#pingSentMs + PONG_TIMEOUT_MS, windowMs: 0 };
    const earliestMs = this.#earliestMs();
    return { atMs: this.#lastTrafficMs + earliestMs, windowMs: this.#intervalMs - earliestMs };
  }

  handleClosed(): void {
    this.#lastTrafficMs = null;
    this.#pingSentMs = null;
  }

  #earliestMs(): number {
    return Math.floor(this.#intervalMs * (1 - EARLY_SHARE));
  }
}
