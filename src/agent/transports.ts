// SPDX-License-Identifier: MIT
/**
 * Which transport next: WebSocket, and MQTT where that cannot be had. Remembers per network what worked, and
 * looks ever more seldom whether WebSocket is back. Pure; the link dials what this says.
 */

import {
  LINK_STABLE_MS,
  SHORT_LINKS_MAX,
  TRANSPORT_PATIENCE_MS,
  TRANSPORT_TRIAL_MS,
  TRANSPORT_TRIAL_MS_MAX,
} from "../limits.ts";
import type { LinkCause } from "./events.ts";
import type { Knowledge } from "./knowledge.ts";
import type { NetworkMemory } from "./network-memory.ts";
import { isPortalLike } from "./portal.ts";

/** After a dial that failed: dial the next transport at once, wait, or wait for a captive portal to let us through. */
export type FailureVerdict = "next" | "wait" | "portal";

/** When WebSocket is worth another try, and how long to wait after that. */
interface Trial {
  atMs: number;
  delayMs: number;
}

export class Transports {
  /** The first is the WebSocket one, the others MQTT's in the order they are tried. */
  readonly #urls: readonly string[];
  readonly #memory: NetworkMemory;
  readonly #trials = new WeakMap<Knowledge, Trial>();
  /** Networks on which a WebSocket was registered in this run. */
  readonly #worked = new WeakSet<Knowledge>();
  #known: Knowledge;
  #index = 0;
  /** Dials of this round, which ends when each transport has failed once. */
  #failures = 0;
  /** In this round somebody else than the push service answered; and it looked like a portal. */
  #isBlocked = false;
  #isPortal = false;
  /** The first dial that failed since a link was registered, and whether one of them was blocked. */
  #failingSinceMs: number | null = null;
  #wasBlocked = false;
  /** WebSocket links in a row that died young. */
  #shortLinks = 0;
  #onlineMs = 0;

  /**
   * @param webSocketUrl ws or wss, without path
   * @param mqttUrls mqtt or mqtts with host and port
   */
  constructor(webSocketUrl: string, mqttUrls: readonly string[], memory: NetworkMemory) {
    this.#urls = [webSocketUrl, ...mqttUrls];
    this.#memory = memory;
    this.#known = memory.recall("");
  }

  get url(): string {
    return this.#urls[this.#index] ?? "";
  }

  get webSocketUrl(): string {
    return this.#urls[0] ?? "";
  }

  get isMqtt(): boolean {
    return this.#index > 0;
  }

  handleNetwork(label: string): void {
    this.#known = this.#memory.recall(label);
    this.#index = Math.max(0, this.#urls.indexOf(this.#known.record.transport));
    this.#startAnew();
    this.#shortLinks = 0;
  }

  /** Call before each dial: WebSocket again where it was put off for long enough. */
  handleDial(monotonicMs: number): void {
    if (this.#failures === 0 && this.startTrial(monotonicMs)) this.#index = 0;
  }

  /** True, and the next one put off, when WebSocket is worth a try beside or before MQTT. */
  startTrial(monotonicMs: number): boolean {
    const trial = this.#trials.get(this.#known);
    if (!this.isMqtt || trial === undefined || monotonicMs < trial.atMs) return false;
    this.#putOff(monotonicMs, trial.delayMs);
    return true;
  }

  /** A WebSocket that was tried beside an MQTT link works and takes its place. */
  handleTrialOpened(): void {
    this.#index = 0;
    this.#startAnew();
  }

  /** A link is registered. */
  handleOnline(monotonicMs: number): void {
    if (!this.isMqtt) this.#worked.add(this.#known);
    else if (!this.#trials.has(this.#known)) {
      // Where nobody refused WebSocket it was perhaps an outage that ended just now: it is tried at once.
      const isOutage = this.#failingSinceMs !== null && !this.#wasBlocked;
      this.#putOff(monotonicMs, isOutage ? 0 : TRANSPORT_TRIAL_MS);
    }
    this.#startAnew();
    this.#onlineMs = monotonicMs;
    const transport = this.isMqtt ? this.url : "";
    if (transport === this.#known.record.transport) return;
    this.#known.record = { ...this.#known.record, transport };
    this.#memory.keep(this.#known, true);
  }

  /** A registered link ended. WebSockets that die young one after the other count as not to be had. */
  handleLost(monotonicMs: number): void {
    const livedMs = monotonicMs - this.#onlineMs;
    if (this.isMqtt) return;
    if (livedMs >= TRANSPORT_TRIAL_MS) this.#trials.delete(this.#known);
    this.#shortLinks = livedMs < LINK_STABLE_MS ? this.#shortLinks + 1 : 0;
    if (this.#shortLinks < SHORT_LINKS_MAX || this.#urls.length === 1) return;
    this.#shortLinks = 0;
    this.#index = 1;
    if (!this.#trials.has(this.#known)) this.#putOff(monotonicMs, TRANSPORT_TRIAL_MS);
  }

  /** A dial failed before the link was registered. */
  handleFailed(cause: LinkCause, httpStatus: number | null, monotonicMs: number): FailureVerdict {
    this.#failingSinceMs ??= monotonicMs;
    if (isFromService(httpStatus)) {
      // Another transport would meet the same.
      this.#index = 0;
      this.#startRound();
      return "wait";
    }
    const isClosedPort = cause === "refused" && httpStatus === null && !this.isMqtt;
    // Where WebSocket worked, a closed port is a service that is down, and the next port would be closed too.
    if (
      isClosedPort &&
      this.#worked.has(this.#known) &&
      monotonicMs - this.#failingSinceMs < TRANSPORT_PATIENCE_MS
    )
      return "wait";
    this.#isPortal ||= isPortalLike(cause, httpStatus);
    this.#isBlocked ||= this.#isPortal || httpStatus !== null;
    this.#wasBlocked ||= this.#isBlocked;
    this.#index = (this.#index + 1) % this.#urls.length;
    if (++this.#failures % this.#urls.length !== 0) return this.#isBlocked ? "next" : "wait";
    const isPortal = this.#isPortal;
    this.#startRound();
    return isPortal ? "portal" : "wait";
  }

  #startAnew(): void {
    this.#startRound();
    this.#failingSinceMs = null;
    this.#wasBlocked = false;
  }

  #startRound(): void {
    this.#failures = 0;
    this.#isBlocked = this.#isPortal = false;
  }

  /** The next trial after `delayMs`, the one after that twice as much later. */
  #putOff(monotonicMs: number, delayMs: number): void {
    const nextMs = Math.min(Math.max(2 * delayMs, TRANSPORT_TRIAL_MS), TRANSPORT_TRIAL_MS_MAX);
    this.#trials.set(this.#known, { atMs: monotonicMs + delayMs, delayMs: nextMs });
  }
}

/** The push service itself, or a proxy that speaks for it. */
export function isFromService(httpStatus: number | null): boolean {
  if (httpStatus === 401 || httpStatus === 429) return true;
  return httpStatus !== null && httpStatus >= 500 && httpStatus !== 511;
}
