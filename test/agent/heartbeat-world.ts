// SPDX-License-Identifier: MIT
/**
 * A heartbeat on a made-up network with virtual time: a middlebox that forgets idle flows, the main link's and canaries'
 * alike, silently or with a reset. Pure, so the same specs run in QuickJS.
 */

import { Clock } from "../../src/agent/clock.ts";
import type { Effect, LinkCause } from "../../src/agent/events.ts";
import { Heartbeat } from "../../src/agent/heartbeat.ts";
import { NetworkMemory } from "../../src/agent/network-memory.ts";
import { WakeBudget } from "../../src/agent/wake-budget.ts";
import { JournalState } from "../../src/journal/index.ts";

const RTT_MS = 70;

export interface NetworkOptions {
  /** A flow idle for this long or longer is gone. */
  readonly natMs: number;
  readonly resets?: boolean;
  /** It sends a reset when it forgets a flow, without waiting for a packet. */
  readonly tells?: boolean;
  readonly canaries?: boolean;
  readonly fixedMs?: number;
  readonly label?: string;
  readonly state?: JournalState;
  readonly idleLimitMs?: number;
}

export class HeartbeatWorld {
  readonly state: JournalState;
  readonly clock = new Clock();
  readonly memory: NetworkMemory;
  readonly budget = new WakeBudget();
  readonly heartbeat: Heartbeat;
  readonly options: NetworkOptions;
  natMs: number;
  nowMs = 0;
  /** When main pings were sent. */
  pings: number[] = [];
  /** Main links lost to the middlebox where the network counts as one that can be held. */
  losses: number[] = [];
  /** Links made anew where it does not. */
  visits = 0;
  canariesOpened = 0;
  canaryPings = 0;
  /** Wake-ups by a middlebox that tells. */
  resets = 0;
  /** Ms by which an alarm due then comes late. */
  lateMs: (dueMs: number) => number = () => 0;
  readonly #flows = new Map<number, number>();
  readonly #effects: Effect[] = [];
  #awakeUntilMs = 0;
  #mainMs = 0;
  #linkId = 0;

  constructor(options: NetworkOptions) {
    this.options = options;
    this.natMs = options.natMs;
    this.state = options.state ?? new JournalState();
    this.#tell();
    this.memory = new NetworkMemory(this.state, this.clock);
    this.heartbeat = new Heartbeat({
      fixedMs: options.fixedMs ?? null,
      memory: this.memory,
      budget: this.budget,
      emit: (effect) => this.#effects.push(effect),
      nextLinkId: () => ++this.#linkId,
    });
    this.heartbeat.handleNetwork(options.label ?? "wifi");
    this.connect();
  }

  get known() {
    return this.heartbeat.status;
  }

  connect(): void {
    this.heartbeat.handleDialed(this.nowMs);
    this.#advance(2 * RTT_MS);
    this.heartbeat.handleOpened(this.nowMs);
    this.#mainMs = this.nowMs;
    const request = {
      url: "wss://push.example/v1/canary",
      subprotocol: "godwit.v1",
      bearer: "t",
      mqtt: null,
    };
    const { canaries = true, idleLimitMs = null } = this.options;
    this.heartbeat.handleReceived(this.nowMs);
    this.heartbeat.handleRegistered(idleLimitMs, canaries ? request : null);
    this.#perform();
  }

  /** Lets time pass; a message comes in at each of `messages`. */
  pass(ms: number, messages: readonly number[] = []): void {
    const endMs = this.nowMs + ms;
    const coming = messages.map((at) => this.nowMs + at).sort((a, b) => a - b);
    for (;;) {
      const alarm = this.heartbeat.nextDeadline();
      const askedMs = alarm === null ? Number.POSITIVE_INFINITY : alarm.atMs + alarm.windowMs;
      // A device does not go to sleep for an alarm that is due at once.
      const isAwake = askedMs <= Math.max(this.nowMs + 2_000, this.#awakeUntilMs);
      const dueMs = isAwake || alarm === null ? askedMs : askedMs + this.lateMs(askedMs);
      const messageMs = coming[0] ?? Number.POSITIVE_INFINITY;
      const forgottenMs = this.#nextForgottenMs();
      if (Math.min(dueMs, messageMs, forgottenMs) > endMs) break;
      if (forgottenMs < Math.min(dueMs, messageMs)) {
        this.#advance(forgottenMs - this.nowMs);
        this.#reset();
        this.#perform();
        continue;
      }
      if (messageMs < dueMs) {
        coming.shift();
        this.#advance(messageMs - this.nowMs);
        if (this.nowMs - this.#mainMs < this.natMs) {
          this.#mainMs = this.nowMs;
          if (this.heartbeat.handleReceived(this.nowMs)) this.#answer();
        }
      } else {
        this.#advance(Math.max(0, dueMs - this.nowMs));
        this.#check();
      }
      this.#perform();
    }
    this.#advance(endMs - this.nowMs);
  }

  closeCanary(linkId: number, cause: LinkCause): void {
    const event = { type: "linkClosed", linkId, cause, httpStatus: null, retryAfterS: null } as const;
    this.heartbeat.handleCanary(event, this.nowMs);
  }

  /** The most pings in any one hour. */
  get pingsInAnHourMax(): number {
    return Math.max(
      0,
      ...this.pings.map(
        (fromMs) => this.pings.filter((ms) => ms >= fromMs && ms < fromMs + 3_600_000).length,
      ),
    );
  }

  #nextForgottenMs(): number {
    if (this.options.tells !== true) return Number.POSITIVE_INFINITY;
    return Math.min(this.#mainMs, ...this.#flows.values()) + this.natMs;
  }

  /** To all flows that are forgotten by now. */
  #reset(): void {
    this.resets++;
    for (const [linkId, usedMs] of this.#flows) {
      if (usedMs + this.natMs > this.nowMs) continue;
      this.#flows.delete(linkId);
      this.closeCanary(linkId, "reset");
    }
    if (this.#mainMs + this.natMs <= this.nowMs) this.#lose();
  }

  #check(): void {
    const verdict = this.heartbeat.check(this.nowMs);
    if (verdict === "ping") {
      this.pings.push(this.nowMs);
      this.#perform();
      this.#answer();
    } else if (verdict === "dead" || verdict === "doubt") {
      this.#lose();
    }
  }

  #answer(): void {
    if (this.nowMs - this.#mainMs < this.natMs) {
      this.#advance(RTT_MS);
      this.#mainMs = this.nowMs;
      this.heartbeat.handlePong(this.nowMs);
    } else if (this.options.resets) {
      this.#advance(RTT_MS);
      this.#lose();
    }
  }

  #lose(): void {
    if (this.heartbeat.isHeld) this.losses.push(this.nowMs);
    else this.visits++;
    this.heartbeat.handleClosed("reset", this.nowMs);
    this.#perform();
    this.connect();
  }

  #perform(): void {
    for (let effect = this.#effects.shift(); effect !== undefined; effect = this.#effects.shift()) {
      if (effect.type === "openLink") {
        this.canariesOpened++;
        this.#flows.set(effect.linkId, this.nowMs);
        this.heartbeat.handleCanary({ type: "linkOpened", linkId: effect.linkId }, this.nowMs);
      } else if (effect.type === "closeLink") {
        this.#flows.delete(effect.linkId);
      } else if (effect.type === "ping") {
        this.#answerCanary(effect.linkId);
      } else if (effect.type === "stayAwake") {
        this.#awakeUntilMs = effect.untilMs;
      }
    }
  }

  #answerCanary(linkId: number): void {
    const usedMs = this.#flows.get(linkId);
    if (usedMs === undefined) return;
    this.canaryPings++;
    if (this.nowMs - usedMs < this.natMs) {
      this.#flows.set(linkId, this.nowMs);
      this.heartbeat.handleCanary({ type: "linkPong", linkId }, this.nowMs);
    } else if (this.options.resets) {
      this.#flows.delete(linkId);
      this.closeCanary(linkId, "reset");
    }
  }

  #advance(ms: number): void {
    this.nowMs += ms;
    this.#tell();
  }

  #tell(): void {
    const epochMs = 1_700_000_000_000 + this.nowMs;
    this.clock.handleNow({ monotonicMs: this.nowMs, epochMs, epochTrusted: true });
  }
}
