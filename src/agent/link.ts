// SPDX-License-Identifier: MIT
/**
 * The one connection: when it is to exist, open, greet, keep alive, close. Its states are the table below, from which
 * the diagram in ARCHITECTURE.md is printed. Pure; what travels over the link is the business of the other parts.
 */

import { GodwitError } from "../errors.ts";
import { ALARM_AHEAD_MS_MAX, HELLO_TIMEOUT_MS, OPEN_TIMEOUT_MS, RETRY_AFTER_S_MAX } from "../limits.ts";
import { base64urlEncode } from "../webpush/base64url.ts";
import type { Conditions, Dialect, Downstream, Upstream } from "../wire/dialect.ts";
import type { Backoff } from "./backoff.ts";
import { earlier } from "./deadlines.ts";
import type { Alarm, Emit, Instant, LinkCause } from "./events.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Meter } from "./meter.ts";

export type LinkState =
  | "idle"
  | "offline"
  | "token"
  | "dialing"
  | "greeting"
  | "online"
  | "waiting"
  | "stopped";
export type LinkInput =
  | "fetchToken"
  | "dial"
  | "tokenReady"
  | "opened"
  | "registered"
  | "tokenRefused"
  | "lost"
  | "retry"
  | "networkUp"
  | "networkDown"
  | "unneeded"
  | "shutdown";

/** State → input → next state. An input without an entry is ignored in that state. */
export const LINK_TRANSITIONS: Readonly<Record<LinkState, Readonly<Partial<Record<LinkInput, LinkState>>>>> =
  {
    idle: { fetchToken: "token", dial: "dialing", networkDown: "offline", shutdown: "stopped" },
    offline: { networkUp: "idle", shutdown: "stopped" },
    token: {
      tokenReady: "idle",
      lost: "waiting",
      networkDown: "offline",
      unneeded: "idle",
      shutdown: "stopped",
    },
    dialing: {
      opened: "greeting",
      tokenRefused: "token",
      lost: "waiting",
      networkUp: "idle",
      networkDown: "offline",
      unneeded: "idle",
      shutdown: "stopped",
    },
    greeting: {
      registered: "online",
      tokenRefused: "token",
      lost: "waiting",
      networkUp: "idle",
      networkDown: "offline",
      unneeded: "idle",
      shutdown: "stopped",
    },
    online: {
      lost: "waiting",
      networkUp: "idle",
      networkDown: "offline",
      unneeded: "idle",
      shutdown: "stopped",
    },
    waiting: {
      retry: "idle",
      networkUp: "idle",
      networkDown: "offline",
      unneeded: "idle",
      shutdown: "stopped",
    },
    stopped: {},
  };

/** What the link tells the rest of the agent. */
export interface LinkListener {
  /** A UA token is needed; the refused one, if any, goes along to be renewed. Answered by `tokenReady`/`tokenFailed`. */
  fetchToken(now: Instant): void;
  /** The token asked for is not needed any more. */
  abandonToken(): void;
  /** The link ended; what was in flight on it is void. */
  linkLost(now: Instant): void;
}

export interface LinkOptions {
  /** https URL of the push service, without path. */
  readonly serviceUrl: string;
  readonly dialect: Dialect;
  readonly heartbeat: Heartbeat;
  readonly backoff: Backoff;
  readonly meter: Meter;
  readonly emit: Emit;
  readonly listener: LinkListener;
  readonly conditions: Omit<Conditions, "heartbeatS">;
  /** The UA token to present, or null when there is none. */
  readonly uaToken: () => string | null;
  /** 8 bytes. */
  readonly channelsDigest: () => Uint8Array;
}

export class Link {
  readonly #options: LinkOptions;
  #state: LinkState = "idle";
  #wanted = false;
  /** Rises with each dial, so that late events of an earlier link are recognised. */
  #linkId = 0;
  /** When the current state gives up: dialing, greeting. */
  #timeoutAtMs: number | null = null;
  #retryAtMs: number | null = null;
  /** Asked for by Bye; used when the link then closes. */
  #byeRetryAfterS: number | null = null;
  #sinceEpochMs: number | null = null;
  /** Tokens refused since the link was last registered. The first is renewed at once, later ones with back-off. */
  #tokenRefusals = 0;
  #mustRenewToken = false;
  #networkLabel: string | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** Wall clock of the last change of state, or null before the first. */
  get sinceEpochMs(): number | null {
    return this.#sinceEpochMs;
  }

  get isOnline(): boolean {
    return this.#state === "online";
  }

  /** Monotonic time of the next try while waiting, else null. */
  get retryAtMs(): number | null {
    return this.#retryAtMs;
  }

  /** The agent wants a connection or wants none (none without subscription or pending request). */
  setWanted(wanted: boolean, now: Instant): void {
    this.#wanted = wanted;
    if (!wanted && this.#state !== "idle") {
      const before = this.#state;
      if (this.#step("unneeded", now)) this.#abandon(before, now);
    }
    this.#proceed(now);
  }

  handleTokenReady(now: Instant): void {
    this.#step("tokenReady", now);
    this.#proceed(now);
  }

  handleTokenFailed(retryAfterS: number | null, now: Instant): void {
    if (this.#state === "token") this.#lose("unreachable", null, retryAfterS, now);
  }

  handleOpened(linkId: number, now: Instant): void {
    if (linkId !== this.#linkId || this.#state !== "dialing") return;
    this.#step("opened", now);
    this.#timeoutAtMs = now.monotonicMs + HELLO_TIMEOUT_MS;
    this.#options.heartbeat.handleOpened(now.monotonicMs);
  }

  /**
   * Bytes came in. Returns the message for the other parts, or null when the frame was stale or bad; a bad one is
   * reported and costs the link only when it happens before Registered.
   */
  handleFrame(linkId: number, frame: Uint8Array, now: Instant): Downstream | null {
    if (linkId !== this.#linkId || (this.#state !== "greeting" && this.#state !== "online")) return null;
    this.#options.heartbeat.handleReceived(now.monotonicMs);
    this.#options.meter.countReceived(frame.length, now.monotonicMs);
    try {
      return this.#options.dialect.parseDownstream(frame);
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      this.#options.emit({
        type: "report",
        report: { type: "fault", code: error.code, text: error.message },
      });
      if (this.#state === "greeting") this.#closeAndLose("protocol", now);
      return null;
    }
  }

  handlePong(linkId: number, now: Instant): void {
    if (linkId === this.#linkId) this.#options.heartbeat.handleReceived(now.monotonicMs);
  }

  /** Registered arrived with status ok. */
  handleRegistered(idleLimitS: number | null, now: Instant): void {
    if (!this.#step("registered", now)) return;
    this.#timeoutAtMs = null;
    this.#tokenRefusals = 0;
    this.#options.heartbeat.setIdleLimit(idleLimitS === null ? null : idleLimitS * 1000);
    this.#options.backoff.handleOpened(now.monotonicMs);
  }

  /** The service does not take the token: at the upgrade, or in Registered. */
  handleTokenRefused(now: Instant): void {
    if (this.#state !== "dialing" && this.#state !== "greeting") return;
    if (++this.#tokenRefusals > 1) {
      // A service that refuses what it has just issued must not make a loop of us.
      this.#mustRenewToken = true;
      return this.#closeAndLose("refused", now);
    }
    const before = this.#state;
    this.#step("tokenRefused", now);
    this.#abandon(before, now);
    this.#options.listener.fetchToken(now);
  }

  handleBye(retryAfterS: number): void {
    this.#byeRetryAfterS = Math.min(retryAfterS, RETRY_AFTER_S_MAX);
  }

  handleClosed(
    linkId: number,
    cause: LinkCause,
    httpStatus: number | null,
    retryAfterS: number | null,
    now: Instant,
  ): void {
    if (linkId !== this.#linkId || !isConnected(this.#state)) return;
    if (httpStatus === 401) this.handleTokenRefused(now);
    else this.#lose(cause, httpStatus, retryAfterS ?? this.#byeRetryAfterS, now);
  }

  /** @param label of the network, null for none; the one we are on already is no news */
  handleNetwork(label: string | null, now: Instant): void {
    if (label !== null && label === this.#networkLabel) return;
    this.#networkLabel = label;
    const isUp = label !== null;
    const before = this.#state;
    if (isUp) this.#options.backoff.handleNetworkChanged();
    if (this.#step(isUp ? "networkUp" : "networkDown", now)) this.#abandon(before, now);
    this.#proceed(now);
  }

  handleAlarm(now: Instant): void {
    if (this.#timeoutAtMs !== null && now.monotonicMs >= this.#timeoutAtMs)
      this.#closeAndLose("unreachable", now);
    if (this.#retryAtMs !== null && now.monotonicMs >= this.#retryAtMs) {
      this.#step("retry", now);
      this.#retryAtMs = null;
      this.#proceed(now);
    }
    if (this.#state === "online") this.#checkHeartbeat(now);
  }

  handleShutdown(now: Instant): void {
    const before = this.#state;
    if (this.#step("shutdown", now)) this.#abandon(before, now);
  }

  /** The part above found the peer beyond repair (a request never answered): drop the link and come back. */
  handleUnresponsive(now: Instant): void {
    if (this.#state === "online") this.#closeAndLose("local", now);
  }

  /** Sends one message; false when there is no registered link. */
  send(message: Upstream, now: Instant): boolean {
    if (this.#state !== "online") return false;
    const frame = this.#options.dialect.encodeUpstream(message);
    this.#options.heartbeat.handleSent(now.monotonicMs);
    this.#options.meter.countSent(frame.length, now.monotonicMs);
    this.#options.emit({ type: "send", linkId: this.#linkId, frame });
    return true;
  }

  nextDeadline(): Alarm | null {
    let next: Alarm | null = this.#state === "online" ? this.#options.heartbeat.nextDeadline() : null;
    if (this.#timeoutAtMs !== null) next = earlier(next, { atMs: this.#timeoutAtMs, windowMs: 0 });
    if (this.#retryAtMs !== null) next = earlier(next, { atMs: this.#retryAtMs, windowMs: 0 });
    return next;
  }

  #checkHeartbeat(now: Instant): void {
    const verdict = this.#options.heartbeat.check(now.monotonicMs);
    if (verdict === "ping") {
      this.#options.meter.countWakeUp("ping", now.monotonicMs);
      this.#options.emit({ type: "ping", linkId: this.#linkId });
    } else if (verdict === "dead") {
      this.#closeAndLose("reset", now);
    }
  }

  /** From idle, the next step towards a connection. */
  #proceed(now: Instant): void {
    if (this.#state !== "idle" || !this.#wanted) return;
    const uaToken = this.#options.uaToken();
    if (uaToken === null || this.#mustRenewToken) {
      this.#mustRenewToken = false;
      this.#step("fetchToken", now);
      this.#options.listener.fetchToken(now);
      return;
    }
    this.#step("dial", now);
    this.#linkId++;
    this.#byeRetryAfterS = null;
    this.#timeoutAtMs = now.monotonicMs + OPEN_TIMEOUT_MS;
    this.#options.meter.countWakeUp("connect", now.monotonicMs);
    this.#options.emit({
      type: "openLink",
      linkId: this.#linkId,
      url: `${this.#options.serviceUrl.replace(/^http/, "ws")}/v1/ws`,
      subprotocol: this.#options.dialect.name,
      bearer: uaToken,
      headers: this.#upgradeHeaders(),
    });
  }

  /** The conditions go into the upgrade, so that the right stored messages follow right behind the 101. */
  #upgradeHeaders(): Record<string, string> {
    const { windowS, leastUrgency } = this.#options.conditions;
    const heartbeatS = Math.ceil(this.#options.heartbeat.declaredMs / 1000);
    return {
      "Godwit-Conditions": `heartbeat=${heartbeatS}, window=${windowS}, urgency=${leastUrgency}`,
      "Godwit-Channels": base64urlEncode(this.#options.channelsDigest()),
    };
  }

  #closeAndLose(cause: LinkCause, now: Instant): void {
    this.#options.emit({ type: "closeLink", linkId: this.#linkId });
    this.#lose(cause, null, this.#byeRetryAfterS, now);
  }

  #lose(cause: LinkCause, httpStatus: number | null, retryAfterS: number | null, now: Instant): void {
    const wasConnected = isConnected(this.#state);
    if (!this.#step("lost", now)) return;
    const delayMs = Math.min(
      this.#options.backoff.handleLost(now.monotonicMs, retryAfterS),
      ALARM_AHEAD_MS_MAX,
    );
    this.#retryAtMs = now.monotonicMs + delayMs;
    this.#options.emit({
      type: "report",
      report: { type: "linkClosed", cause, httpStatus, retryInMs: delayMs },
    });
    this.#options.meter.countLost(cause);
    if (wasConnected) this.#forget(now);
  }

  /** Leaves a state that may hold a link or a timer, on our own wish. */
  #abandon(before: LinkState, now: Instant): void {
    this.#retryAtMs = null;
    if (before === "token") this.#options.listener.abandonToken();
    if (!isConnected(before)) return;
    this.#options.emit({ type: "closeLink", linkId: this.#linkId });
    this.#forget(now);
  }

  #forget(now: Instant): void {
    this.#timeoutAtMs = null;
    this.#options.heartbeat.handleClosed();
    this.#options.listener.linkLost(now);
  }

  #step(input: LinkInput, now: Instant): boolean {
    const next = LINK_TRANSITIONS[this.#state][input];
    if (next === undefined) return false;
    this.#state = next;
    this.#sinceEpochMs = now.epochMs;
    this.#options.emit({ type: "report", report: { type: "state", state: next } });
    return true;
  }
}

function isConnected(state: LinkState): boolean {
  return state === "dialing" || state === "greeting" || state === "online";
}
