// SPDX-License-Identifier: MIT
/**
 * The one connection: when it is to exist, open, greet, keep alive, close. Its states are
 * in link-states.ts. Pure; what travels over the link is the business of the other parts.
 */

import { ALARM_AHEAD_MS_MAX, HELLO_TIMEOUT_MS, OPEN_TIMEOUT_MS, RETRY_AFTER_S_MAX } from "../limits.ts";
import type { Conditions, Downstream, Upstream, Urgency } from "../wire/dialect.ts";
import { Channel } from "./channel.ts";
import { earlier } from "./deadlines.ts";
import type { Alarm, Instant, LinkCause } from "./events.ts";
import type { LinkOptions, TokenFailure } from "./link-options.ts";
import { isConnected, LINK_TRANSITIONS, type LinkInput, type LinkState } from "./link-states.ts";
import { isPortalLike, Portal } from "./portal.ts";
import { reported } from "./report.ts";
import { Spare } from "./spare.ts";
import { isFromService } from "./transports.ts";

export class Link {
  readonly #options: LinkOptions;
  readonly #portal: Portal;
  readonly #channel: Channel;
  readonly #spare: Spare;
  #state: LinkState = "idle";
  #wanted = false;
  /** The heartbeat the service was told last; 0 when it is to be told, with the other conditions. */
  #declaredMs = 0;
  #demands: LinkOptions["conditions"];
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
    this.#demands = options.conditions;
    this.#portal = new Portal({ ...options, probeUrl: options.portalProbeUrl });
    this.#channel = new Channel(options);
    this.#spare = new Spare(options.emit);
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

  get isBehindPortal(): boolean {
    return this.#portal.isMet;
  }

  /** What carries the present link, or would carry the next one. */
  get transport(): "websocket" | "mqtt" {
    return (isConnected(this.#state) ? this.#channel : this.#options.transports).isMqtt
      ? "mqtt"
      : "websocket";
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

  /** The service is told at the end of this event, or by the next link. */
  setLeastUrgency(leastUrgency: Urgency): void {
    this.#demands = { ...this.#demands, leastUrgency };
    this.#declaredMs = 0;
  }

  handleTokenReady(now: Instant): void {
    this.#step("tokenReady", now);
    this.#proceed(now);
  }

  handleTokenFailed(answer: TokenFailure, retryAfterS: number | null, now: Instant): void {
    if (this.#state !== "token") return;
    this.#lose(answer.cause ?? "refused", answer.status || null, retryAfterS, now);
  }

  handleOpened(linkId: number, now: Instant): void {
    if (this.#spare.is(linkId)) {
      this.#spare.handleOpened();
      // A trial has to carry something before it takes the place of a link that works.
      if (!this.#spare.isTrial) this.#replace("reset", now);
    } else if (linkId === this.#channel.linkId && this.#state === "dialing") this.#greet(now);
  }

  #greet(now: Instant): void {
    const { heartbeat, dialer } = this.#options;
    this.#step("opened", now);
    this.#timeoutAtMs = now.monotonicMs + HELLO_TIMEOUT_MS;
    heartbeat.handleOpened(now.monotonicMs);
    if (this.#channel.isMqtt || dialer.isPlain) this.#channel.send(dialer.registration(this.#conditions));
  }

  /**
   * Bytes came in. Returns the message for the other parts, or none when the frame was stale, bad or without one; a bad one is
   * reported and costs the link only when it happens before Registered.
   */
  handleFrame(linkId: number, frame: Uint8Array, now: Instant): Downstream | null | undefined {
    if (this.#spare.is(linkId) && this.#spare.isTrial) {
      // What is no frame is no push service.
      if (this.#channel.read(frame) === null) this.#spare.drop();
      else this.#replace(null, now);
    }
    if (linkId !== this.#channel.linkId || (this.#state !== "greeting" && this.#state !== "online"))
      return null;
    this.#options.meter.countReceived(frame.length);
    if (this.#options.heartbeat.handleReceived(now.monotonicMs)) this.#channel.ping();
    const message = this.#channel.read(frame);
    if (message === null && this.#state === "greeting") this.#closeAndLose("protocol", now);
    return message;
  }

  handlePong(linkId: number, now: Instant): void {
    if (linkId !== this.#channel.linkId) return;
    this.#options.meter.countPong();
    this.#options.heartbeat.handlePong(now.monotonicMs);
    if (!this.#spare.isTrial) this.#spare.drop();
  }

  /** The answer to a Probe, which is the ping of links that have no other. */
  handleProbeReply(nonce: number, now: Instant): void {
    if (this.#channel.isPong(nonce)) this.handlePong(this.#channel.linkId, now);
  }

  /**
   * Registered arrived with status ok.
   *
   * @param canary path of the canary responder, or null
   */
  handleRegistered(
    registered: { idleLimitS: number | null; reconnectSpreadS: number; canary: string | null },
    now: Instant,
  ): void {
    if (!this.#step("registered", now)) return;
    const { idleLimitS, reconnectSpreadS, canary } = registered;
    const { heartbeat, backoff, transports, dialer } = this.#options;
    this.#timeoutAtMs = null;
    this.#tokenRefusals = 0;
    this.#portal.handleGone();
    transports.handleOnline(now.monotonicMs);
    heartbeat.handleRegistered(idleLimitS === null ? null : idleLimitS * 1000, dialer.canaryRequest(canary));
    backoff.handleOpened(now.monotonicMs, reconnectSpreadS * 1000);
    this.#tryWebSocket(now);
  }

  /** The service does not take the token: at the upgrade, or in Registered. */
  handleTokenRefused(now: Instant): void {
    if (this.#state !== "dialing" && this.#state !== "greeting") return;
    if (++this.#tokenRefusals > 1) {
      // A service that refuses what it has just issued must not make a loop of us.
      this.#mustRenewToken = true;
      this.#channel.close();
      return this.#lose("refused", 401, this.#byeRetryAfterS, now);
    }
    const before = this.#state;
    this.#step("tokenRefused", now);
    this.#abandon(before, now);
    this.#options.listener.fetchToken(now);
  }

  handleBye(retryAfterS: number, now: Instant): void {
    this.#byeRetryAfterS = Math.min(retryAfterS, RETRY_AFTER_S_MAX);
    // Behind a broker the service has no connection of ours that it could close.
    if (!this.#channel.isMqtt || !isConnected(this.#state)) return;
    // While WebSocket is tried, a Bye that asks for no wait says that this is open, or about to be.
    if (this.#spare.isThere && retryAfterS === 0) this.#replace(this.#spare.isTrial ? null : "closed", now);
    else this.#closeAndLose("closed", now);
  }

  handleClosed(
    linkId: number,
    cause: LinkCause,
    httpStatus: number | null,
    retryAfterS: number | null,
    now: Instant,
  ): void {
    if (this.#spare.is(linkId)) this.#spare.handleClosed();
    if (linkId !== this.#channel.linkId || !isConnected(this.#state)) return;
    if (this.#spare.isThere) this.#replace(cause, now);
    else if (httpStatus === 401 && !this.#options.dialer.isPlain) this.handleTokenRefused(now);
    else this.#lose(cause, httpStatus, retryAfterS ?? this.#byeRetryAfterS, now);
  }

  /**
   * @param label of the network, null for none; the one we are on already is no news
   * @param hasNewAddress unless the device's address on it is another
   */
  handleNetwork(label: string | null, hasNewAddress: boolean, now: Instant): void {
    const { heartbeat, backoff, transports } = this.#options;
    if (label !== null && label === this.#networkLabel) {
      if (hasNewAddress) heartbeat.handleDoubted();
      return;
    }
    this.#networkLabel = label;
    const before = this.#state;
    if (label !== null) backoff.handleNetworkChanged();
    this.#portal.handleGone();
    if (this.#step(label === null ? "networkDown" : "networkUp", now)) this.#abandon(before, now);
    heartbeat.handleNetwork(label);
    if (label !== null) transports.handleNetwork(label);
    this.#proceed(now);
  }

  /** The answer to a portal probe; false when it is somebody else's. */
  handleProbed(requestId: number, status: number, now: Instant): boolean {
    if (!this.#portal.takeAnswer(requestId)) return false;
    if (this.#state !== "waiting") return true;
    // 204 is what was asked for; silence is no portal's way either.
    if (status === 204 || status === 0) this.#retry(now);
    else this.#retryAtMs = now.monotonicMs + this.#portal.handleMet(now.monotonicMs);
    return true;
  }

  handleAlarm(now: Instant): void {
    if (this.#timeoutAtMs !== null && now.monotonicMs >= this.#timeoutAtMs)
      this.#closeAndLose("unreachable", now);
    if (this.#retryAtMs !== null && now.monotonicMs >= this.#retryAtMs) {
      this.#retryAtMs = null;
      if (this.#portal.isProbed(now.monotonicMs)) this.#probe(now);
      else this.#retry(now);
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
    if (this.#channel.send(message)) {
      this.#options.heartbeat.handleSent(now.monotonicMs);
      this.#options.meter.countWakeUp("request");
    }
    return true;
  }

  nextDeadline(): Alarm | null {
    let next: Alarm | null = this.#state === "online" ? this.#options.heartbeat.nextDeadline() : null;
    if (this.#timeoutAtMs !== null) next = earlier(next, { atMs: this.#timeoutAtMs, windowMs: 0 });
    if (this.#retryAtMs !== null) next = earlier(next, { atMs: this.#retryAtMs, windowMs: 0 });
    return next;
  }

  #checkHeartbeat(now: Instant): void {
    const { heartbeat, budget } = this.#options;
    if (heartbeat.declaredMs !== this.#declaredMs) this.#sendConditions(now);
    this.#spare.handleTime(now.monotonicMs);
    let verdict = heartbeat.check(now.monotonicMs);
    if (verdict === "ping") {
      this.#channel.ping();
      // The radio is on: the moment to see whether WebSocket is to be had again.
      this.#tryWebSocket(now);
      // On a network that cannot be held the answer is doubted at once.
      verdict = heartbeat.check(now.monotonicMs);
    }
    // Where links are not held the dial shares the ping's wake-up, else it may be one of its own.
    if (verdict === "doubt" && !this.#spare.isThere && (!heartbeat.isHeld || budget.take(now.monotonicMs))) {
      this.#spare.handleDialed(this.#dial(now), false, now.monotonicMs);
    } else if (verdict === "dead") {
      if (this.#spare.isThere) this.#replace("reset", now);
      else this.#closeAndLose("reset", now);
    }
  }

  /** Beside an MQTT link, when it is time. */
  #tryWebSocket({ monotonicMs }: Instant): void {
    const { heartbeat, meter, transports, dialer } = this.#options;
    if (!this.#channel.isMqtt || this.#spare.isThere || !transports.startTrial(monotonicMs)) return;
    meter.countWakeUp("connect");
    heartbeat.handleDialed(monotonicMs);
    const linkId = dialer.dialWebSocket(transports.webSocketUrl, this.#conditions);
    this.#spare.handleDialed(linkId, true, monotonicMs);
  }

  /** The promise to the service changed while the link is open. */
  #sendConditions(now: Instant): void {
    this.#declaredMs = this.#options.heartbeat.declaredMs;
    this.send({ type: "conditions", conditions: this.#conditions }, now);
  }

  get #conditions(): Conditions {
    return { ...this.#demands, heartbeatS: Math.ceil(this.#options.heartbeat.declaredMs / 1000) };
  }

  /** From idle, the next step towards a connection. */
  #proceed(now: Instant): void {
    if (this.#state !== "idle" || !this.#wanted) return;
    const { budget } = this.#options;
    if (!budget.take(now.monotonicMs)) {
      this.#step("postponed", now);
      this.#retryAtMs = budget.freeAtMs;
      return;
    }
    if (!this.#options.dialer.hasToken || this.#mustRenewToken) {
      this.#mustRenewToken = false;
      this.#step("fetchToken", now);
      this.#options.listener.fetchToken(now);
      return;
    }
    this.#step("dial", now);
    this.#byeRetryAfterS = null;
    this.#timeoutAtMs = now.monotonicMs + OPEN_TIMEOUT_MS;
    this.#options.transports.handleDial(now.monotonicMs);
    this.#channel.use(this.#dial(now), this.#options.transports.isMqtt);
  }

  /** Opens a link and returns its id. */
  #dial(now: Instant): number {
    const { heartbeat, meter, dialer } = this.#options;
    meter.countWakeUp("connect");
    heartbeat.handleDialed(now.monotonicMs);
    this.#declaredMs = heartbeat.declaredMs;
    return dialer.dial(this.#conditions);
  }

  #retry(now: Instant): void {
    this.#step("retry", now);
    this.#proceed(now);
  }

  #probe({ monotonicMs }: Instant): void {
    const { budget, meter } = this.#options;
    if (!budget.take(monotonicMs)) {
      this.#retryAtMs = budget.freeAtMs;
      return;
    }
    meter.countWakeUp("probe");
    this.#portal.probe();
  }

  /**
   * The spare, open or still being dialed, takes the place of the present link.
   *
   * @param cause null when nothing was wrong with that
   */
  #replace(cause: LinkCause | null, now: Instant): void {
    const { emit, meter, transports } = this.#options;
    if (!this.#step("replaced", now)) return;
    this.#channel.close();
    if (cause !== null) emit(reported({ type: "linkClosed", cause, httpStatus: null, retryInMs: 0 }));
    meter.countLost(cause);
    if (this.#spare.isTrial) transports.handleTrialOpened();
    const { linkId, timeoutAtMs, isOpen } = this.#spare.take();
    this.#channel.use(linkId, transports.isMqtt);
    this.#forget(cause, now);
    this.#timeoutAtMs = timeoutAtMs;
    this.#byeRetryAfterS = null;
    if (isOpen) this.#greet(now);
  }

  #closeAndLose(cause: LinkCause, now: Instant): void {
    this.#channel.close();
    this.#lose(cause, null, this.#byeRetryAfterS, now);
  }

  #lose(cause: LinkCause, httpStatus: number | null, retryAfterS: number | null, now: Instant): void {
    const before = this.#state;
    const wasConnected = isConnected(before);
    if (!this.#step("lost", now)) return;
    const wantedMs = this.#retryDelayMs(before, cause, httpStatus, retryAfterS, now);
    const delayMs = Math.min(wantedMs, ALARM_AHEAD_MS_MAX);
    this.#retryAtMs = now.monotonicMs + delayMs;
    this.#options.emit(reported({ type: "linkClosed", cause, httpStatus, retryInMs: delayMs }));
    this.#options.meter.countLost(isPortalLike(cause, httpStatus) ? "captive" : cause);
    if (wasConnected) this.#forget(cause, now);
  }

  #retryDelayMs(
    before: LinkState,
    cause: LinkCause,
    httpStatus: number | null,
    retryAfterS: number | null,
    { monotonicMs }: Instant,
  ): number {
    const { backoff, transports, heartbeat } = this.#options;
    let isPortal = before === "token" && isPortalLike(cause, httpStatus);
    if (before === "online") transports.handleLost(monotonicMs);
    else if (before !== "token") {
      const verdict = transports.handleFailed(cause, httpStatus, monotonicMs);
      if (verdict === "next") return 0;
      isPortal = verdict === "portal";
    }
    // Whoever stood between has let us through.
    if (isFromService(httpStatus)) this.#portal.handleGone();
    // Also a dial into a portal that nobody answers is no reason to be less patient.
    if (isPortal || this.#portal.isMet) return this.#portal.handleMet(monotonicMs);
    return backoff.handleLost(monotonicMs, retryAfterS, heartbeat.rttMs);
  }

  /** Leaves a state that may hold a link or a timer, on our own wish. */
  #abandon(before: LinkState, now: Instant): void {
    this.#retryAtMs = null;
    if (before === "token") this.#options.listener.abandonToken();
    if (!isConnected(before)) return;
    this.#channel.close();
    this.#forget(null, now);
  }

  /** @param cause null: on our own wish */
  #forget(cause: LinkCause | null, now: Instant): void {
    this.#timeoutAtMs = null;
    this.#spare.drop();
    this.#options.heartbeat.handleClosed(cause, now.monotonicMs);
    this.#options.listener.linkLost(now);
  }

  #step(input: LinkInput, now: Instant): boolean {
    const next = LINK_TRANSITIONS[this.#state][input];
    if (next === undefined) return false;
    this.#state = next;
    this.#sinceEpochMs = now.epochMs;
    this.#options.meter.handleStep(input, next);
    this.#options.emit(reported({ type: "state", state: next }));
    return true;
  }
}
