// SPDX-License-Identifier: MIT
/**
 * The user agent: `handle` an event, then `poll` its effects. Passes events to its parts, which parts.ts
 * puts together; holds no logic of its own. Pure: reads no clock, opens nothing, awaits nothing.
 */

import type { JournalRecord } from "../journal/index.ts";
import { JOURNAL_DEFERRED_RECORDS_MAX } from "../limits.ts";
import type { Downstream } from "../wire/dialect.ts";
import { STATUS } from "../wire/dialect.ts";
import { deviceEpoch, deviceName } from "../wire/digest.ts";
import type { AgentOptions } from "./agent-options.ts";
import { DEVICE_SECRET_BYTES } from "./choices.ts";
import { foldDeadlines } from "./deadlines.ts";
import type { AgentEvent, Alarm, Effect, Instant, NotificationView } from "./events.ts";
import { createParts, type Parts } from "./parts.ts";
import { reported, Troubles } from "./report.ts";
import type { Answer } from "./requests.ts";
import { type AgentStatus, statusOf } from "./status.ts";

export type { AgentOptions } from "./agent-options.ts";

type EventOf<Type extends AgentEvent["type"]> = Extract<AgentEvent, { type: Type }>;

export class Agent {
  readonly #options: AgentOptions;
  readonly #parts: Parts;
  readonly #effects: Effect[] = [];
  #alarm: Alarm | null = null;
  readonly #troubles = new Troubles();
  #isRunning = false;
  #mustResynchronise: boolean;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#mustResynchronise = options.recovery.report.damaged;
    this.#parts = createParts(options, (effect) => this.#emit(effect));
  }

  /** Takes one event. Afterwards drain {@link poll}. */
  handle(event: AgentEvent, now: Instant): void {
    const parts = this.#parts;
    // What was in an app's hands at the end is on disk as such; nothing is handed out or taken back any more.
    const isOver = parts.link.state === "stopped";
    if (isOver && event.type !== "journalAppended" && event.type !== "journalFailed") return;
    parts.clock.handleNow(now);
    parts.meter.handleNow(now.monotonicMs);
    this.#route(event, now);
    if (!this.#isRunning) return;
    parts.heartbeat.setFreshness(parts.registry.freshnessMs);
    if (!isOver && event.type !== "shutdown") this.#tick(now);
    const isWanted = this.#wantsConnection();
    // Before the link is closed; else with what else is sent. Where a service waits for them, at once.
    parts.acks.flush(now, !isWanted || this.#options.dialect.isPlain === true);
    parts.link.setWanted(isWanted, now);
    parts.persistence.flush(now, parts.link.state === "stopped");
    this.#setAlarm();
  }

  /** The next effect, in order, or undefined when there is none. */
  poll(): Effect | undefined {
    return this.#effects.shift();
  }

  /** True after `shutdown`, once everything asked for is on disk or known to be impossible. */
  get isStopped(): boolean {
    return (
      this.#parts.link.state === "stopped" &&
      (this.#parts.persistence.isIdle || this.#parts.persistence.isFailing)
    );
  }

  /** A picture of the agent for people and programs; holds no secret. */
  status(now: Instant): AgentStatus {
    const { dialect, serviceUrl: origin } = this.#options;
    // As a configuration names it, which says what is spoken.
    const serviceUrl = dialect.isPlain === true ? origin.replace(/^http/, "ws") : origin;
    return statusOf({ ...this.#parts, ...this.#troubles.read, serviceUrl, now, alarm: this.#alarm });
  }

  /** What is shown or waits for a screen, oldest first: for a screen that comes late. */
  notifications(): NotificationView[] {
    return this.#parts.notifications.all();
  }

  #emit(effect: Effect): void {
    this.#effects.push(effect);
    this.#troubles.handleEffect(effect);
  }

  #route(event: AgentEvent, now: Instant): void {
    const parts = this.#parts;
    if ("linkId" in event && parts.heartbeat.handleCanary(event, now.monotonicMs)) return;
    switch (event.type) {
      case "start":
        return this.#start(now);
      case "shutdown":
        return this.#shutdown(now);
      case "alarm":
        // The host keeps one alarm and it has gone off: whatever comes next has to be set anew.
        parts.meter.handleAlarm(this.#alarm);
        this.#alarm = null;
        return;
      case "linkOpened":
        return parts.link.handleOpened(event.linkId, now);
      case "linkMessage":
        return this.#handleFrame(event, now);
      case "linkPong":
        return parts.link.handlePong(event.linkId, now);
      case "linkClosed":
        return parts.link.handleClosed(event.linkId, event.cause, event.httpStatus, event.retryAfterS, now);
      case "networkChanged":
        parts.meter.handleNetwork(event.network);
        return parts.link.handleNetwork(event.network?.label ?? null, event.hasNewAddress === true, now);
      case "journalAppended":
        return parts.persistence.handleAppended(event.appendId);
      case "journalFailed":
        return parts.persistence.handleFailed(event.appendId, event.reason, now);
      case "httpResponse":
        if (parts.link.handleProbed(event.requestId, event.status, now)) return;
        return parts.identity.handleToken(event, now);
      case "appRequest":
        return parts.appRequests.handle(event.requestId, event.owner, event.request, now);
      case "appAttached":
        parts.inbox.handleAttached(event.owner, event.handlesPush);
        parts.deliveries.handleAttached(event.owner, event.handlesPush, now);
        parts.changes.handleAttached(event.owner);
        parts.usage.handleAttached(event.owner);
        return parts.activations.handleAttached(event.owner);
      case "appDetached":
        return parts.deliveries.handleDetached(event.owner, now);
      case "appHandled":
        return parts.deliveries.handleHandled(event.deliveryId, now);
      case "appFailed":
        return parts.deliveries.handleFailed(event.deliveryId, now);
      case "displayed":
        return parts.notifications.handleDisplayed(event.notificationId);
      case "displayFailed":
        return parts.notifications.handleDisplayFailed(event.notificationId);
      case "permissionAnswered":
        return parts.choices.handleAnswered(event.owner, event.permission, now);
      case "choice":
        return parts.choices.handle(event.requestId, event.choice, now);
      case "navigationAnswered": {
        const { notificationId, action, allowed } = event;
        return parts.activations.handleNavigationAnswered(notificationId, action, allowed);
      }
      case "notificationActivated":
        return parts.activations.handleActivated(event.notificationId, event.action, now);
      case "notificationClosed":
        // On one screen; it goes from all.
        return parts.notifications.close(event.notificationId);
      case "urgency":
        return parts.link.setLeastUrgency(event.leastUrgency);
    }
  }

  #start(now: Instant): void {
    const parts = this.#parts;
    const { recovery, randomFill } = this.#options;
    const { state, report } = recovery;
    this.#isRunning = true;
    if (report.damaged) {
      const text = "part of the journal was damaged; the rest is used";
      this.#emit(reported({ type: "fault", code: "ERR_JOURNAL_RECORD", text }));
    }
    if (state.device === null) {
      const deviceSecret = new Uint8Array(DEVICE_SECRET_BYTES);
      randomFill(deviceSecret);
      parts.persistence.note({ type: "device", deviceSecret });
    }
    if (!recovery.cleanStop) {
      parts.persistence.note({ type: "suspect", storeEpoch: null, idMax: 0 });
      // Notifications of the last minute may be on the screen and not in the journal: their numbers are not used again.
      const { subscriptionIdMax, notificationIdMax } = state;
      parts.persistence.note({
        type: "counters",
        subscriptionIdMax,
        notificationIdMax: notificationIdMax + 2 * JOURNAL_DEFERRED_RECORDS_MAX,
      });
    }
    // Written before anything is handed out: a stop without `clean` behind it was a crash. On a full disk it takes the
    // reserve, and is tried until it is there; meanwhile messages wait at the service.
    const run: JournalRecord = { type: "run", runId: (state.runId ?? 0) + 1 };
    parts.persistence.store([run], (failure) => {
      if (failure === null) parts.deliveries.open(now);
      else parts.persistence.erase([run], () => parts.deliveries.open(now));
    });
    parts.notifications.restore();
    parts.badges.restore();
    parts.deliveries.restore(now);
    parts.changes.startApps(now);
  }

  #shutdown(now: Instant): void {
    const parts = this.#parts;
    parts.acks.flush(now, true);
    parts.permissions.settleAll("ERR_SHUTDOWN", now);
    parts.subscriptions.handleShutdown();
    parts.deliveries.handleShutdown();
    parts.badges.handleShutdown();
    parts.notifications.handleShutdown();
    for (const record of parts.takeRiders()) parts.persistence.note(record);
    parts.link.handleShutdown(now);
    parts.persistence.store([{ type: "clean" }], () => {});
  }

  /** Every event is an occasion to do what is due: nothing waits for the alarm when the device is awake anyway. */
  #tick(now: Instant): void {
    const parts = this.#parts;
    parts.link.handleAlarm(now);
    parts.requests.handleAlarm(now);
    parts.departure.sync(now);
    parts.subscriptions.handleAlarm(now);
    parts.deliveries.handleAlarm(now);
    parts.notifications.handleAlarm(now);
    parts.badges.handleAlarm(now);
  }

  #handleFrame(event: EventOf<"linkMessage">, now: Instant): void {
    const message = this.#parts.link.handleFrame(event.linkId, event.frame, now);
    if (message) this.#handleMessage(message, now);
  }

  #handleMessage(message: Downstream, now: Instant): void {
    const parts = this.#parts;
    // Before Registered nobody knows which store the ids are of; what comes too early comes again.
    if (!parts.link.isOnline && message.type !== "registered" && message.type !== "bye") return;
    if (!parts.departure.admits(message)) return;
    switch (message.type) {
      case "registered":
        return this.#handleRegistered(message, now);
      case "notification":
        return parts.inbox.handleNotification(message, now);
      case "waRegistered":
      case "waUnregistered":
      case "drained":
        parts.requests.handleAnswer(message, now);
        return;
      case "error": {
        if (parts.requests.handleAnswer(message, now)) return;
        const text = `the push service reports ${message.status}`;
        this.#emit(reported({ type: "fault", code: "ERR_SERVICE_REPORT", text }));
        return;
      }
      case "revoked":
        return parts.subscriptions.handleRevoked(message.channel, now);
      case "bye":
        parts.departure.handleBye(message);
        return parts.link.handleBye(message.retryAfterS, now);
      case "probeReply":
        return parts.link.handleProbeReply(message.nonce, now);
    }
  }

  #handleRegistered(message: Extract<Downstream, { type: "registered" }>, now: Instant): void {
    const parts = this.#parts;
    if (message.status === STATUS.badToken) return parts.link.handleTokenRefused(now);
    if (message.status !== STATUS.ok || parts.link.state !== "greeting") return;
    parts.clock.handleServiceTime(message.epochMs);
    parts.link.handleRegistered(message, now);
    parts.departure.handleOnline();
    if (parts.departure.isPending) return;
    parts.identity.handleRegistered(message, now);
    parts.inbox.handleStoreEpoch(deviceEpoch(message.uaid, message.storeEpoch), message.lastId);
    this.#emit(reported({ type: "registered", device: deviceName(message.uaid) }));
    parts.subscriptions.handleOnline(message.channels, now);
    parts.deliveries.handleOnline(now);
    parts.notifications.expire();
    this.#resynchronise(now);
    parts.acks.flush(now, true);
  }

  /** After journal damage nobody knows what was acknowledged from it: everything the service still has comes again. */
  #resynchronise(now: Instant): void {
    if (!this.#mustResynchronise) return;
    const answered = ({ type }: Answer): void => {
      // An error is no answer: it is asked again on the next link.
      if (type === "drained") this.#mustResynchronise = false;
    };
    this.#parts.requests.send({ type: "getAllMessages" }, answered, now);
  }

  /** A connection exists while somebody waits for messages or something is to be asked, or the admin says so; otherwise none. */
  #wantsConnection(): boolean {
    const { registry, subscriptions, departure } = this.#parts;
    return (
      this.#options.keepConnected || registry.isAwaiting || subscriptions.needsService || departure.isPending
    );
  }

  #setAlarm(): void {
    const parts = this.#parts;
    const alarm = foldDeadlines([
      parts.link.nextDeadline(),
      parts.requests.nextDeadline(),
      parts.acks.nextDeadline(),
      parts.subscriptions.nextDeadline(),
      parts.deliveries.nextDeadline(),
      parts.notifications.nextDeadline(),
      parts.badges.nextDeadline(),
      parts.persistence.nextDeadline(),
    ]);
    if (alarm?.atMs === this.#alarm?.atMs && alarm?.windowMs === this.#alarm?.windowMs) return;
    this.#alarm = alarm;
    this.#emit({ type: "setAlarm", alarm });
  }
}
