// SPDX-License-Identifier: MIT
/**
 * The user agent: `handle` an event, then `poll` its effects. Composes the parts and passes events to
 * them; holds no logic of its own. Pure: reads no clock, opens nothing, awaits nothing.
 */

import type { ActivationPolicy } from "../declarative/index.ts";
import { type JournalRecord, type JournalRecovery, JournalWriter, type Sealer } from "../journal/index.ts";
import { JOURNAL_DEFERRED_RECORDS_MAX } from "../limits.ts";
import type { CryptoProvider, RandomFill } from "../webpush/crypto.ts";
import type { Dialect, Downstream, Urgency } from "../wire/dialect.ts";
import { STATUS } from "../wire/dialect.ts";
import { deviceEpoch, deviceName } from "../wire/digest.ts";
import { Acks } from "./acks.ts";
import { Activations } from "./activations.ts";
import { AppRequests } from "./app-requests.ts";
import { Backoff, type Jitter } from "./backoff.ts";
import { Badges } from "./badges.ts";
import { Clock } from "./clock.ts";
import { foldDeadlines } from "./deadlines.ts";
import { Deliveries } from "./deliveries.ts";
import { Dialer } from "./dialer.ts";
import type { AgentEvent, Alarm, Effect, Instant, NotificationView } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Identity } from "./identity.ts";
import { Inbox } from "./inbox.ts";
import { Link } from "./link.ts";
import { Meter } from "./meter.ts";
import { NetworkMemory } from "./network-memory.ts";
import { Notifications } from "./notifications.ts";
import { Persistence } from "./persistence.ts";
import { Registry } from "./registry.ts";
import { reported, Troubles } from "./report.ts";
import { type Answer, Requests } from "./requests.ts";
import { defaultSilentPushMax, SilentBudget } from "./silent-budget.ts";
import { type AgentStatus, type StatusSources, statusOf } from "./status.ts";
import { Subscriptions } from "./subscriptions.ts";
import { Transports } from "./transports.ts";
import { WakeBudget } from "./wake-budget.ts";

export interface AgentOptions {
  /** https URL of the push service, without path. */
  readonly serviceUrl: string;
  /** Where MQTT is to be had when WebSocket is not, in the order to try them: mqtts or mqtt, with host and port. */
  readonly mqttUrls: readonly string[];
  readonly dialect: Dialect;
  /** What the host's journal held; must not be locked. The agent owns its state from here on. */
  readonly recovery: JournalRecovery;
  readonly sealer: Sealer;
  /** 16 bytes: a hash of the host's device id. */
  readonly deviceBinding: Uint8Array;
  readonly provider: CryptoProvider;
  /** CSPRNG, for keys and tokens. */
  readonly randomFill: RandomFill;
  /** Seedable, for delays. */
  readonly jitter: Jitter;
  /** Ms between signs of life on an idle connection; null: learned from each network. */
  readonly heartbeatMs: number | null;
  /** Low-urgency messages may wait this long at the service, s. */
  readonly windowS: number;
  readonly leastUrgency: Urgency;
  /** Plain http URL that answers 204 unless a captive portal is in between; null: a dial finds out. */
  readonly portalProbeUrl: string | null;
  /** Keep a connection even without a subscription. */
  readonly keepConnected: boolean;
  readonly navigation: Omit<ActivationPolicy, "baseUrl">;
  /** Messages of an owner that may show nothing (SILENT_PUSHES_MAX for web origins by default); null: any number. */
  readonly silentPushMax?: (owner: string) => number | null;
}

type EventOf<Type extends AgentEvent["type"]> = Extract<AgentEvent, { type: Type }>;

export class Agent {
  readonly #options: AgentOptions;
  readonly #effects: Effect[] = [];
  readonly #clock = new Clock();
  readonly #meter = new Meter();
  readonly #registry: Registry;
  readonly #persistence: Persistence;
  readonly #identity: Identity;
  readonly #heartbeat: Heartbeat;
  readonly #memory: NetworkMemory;
  readonly #link: Link;
  readonly #requests: Requests;
  readonly #acks: Acks;
  readonly #subscriptions: Subscriptions;
  readonly #notifications: Notifications;
  readonly #activations: Activations;
  readonly #badges: Badges;
  readonly #inbox: Inbox;
  readonly #deliveries: Deliveries;
  readonly #appRequests: AppRequests;
  readonly #sources: StatusSources;
  #alarm: Alarm | null = null;
  readonly #troubles = new Troubles();
  #isRunning = false;
  #mustResynchronise: boolean;

  constructor(options: AgentOptions) {
    this.#options = options;
    const { recovery, provider, randomFill, jitter, dialect, serviceUrl } = options;
    const { state, cleanStop } = recovery;
    this.#mustResynchronise = recovery.report.damaged;
    const emit = (effect: Effect): void => this.#emit(effect);
    const meter = this.#meter;
    const clock = this.#clock;
    const registry = new Registry(state);
    const writer = new JournalWriter(recovery, options);
    const memory = new NetworkMemory(state, clock);
    const riders = () => [...this.#inbox.takeRiders(), ...memory.takeRiders()];
    const persistence = new Persistence({ state, writer, emit, riders });
    const budget = new WakeBudget();
    let lastLinkId = 0;
    const nextLinkId = () => ++lastLinkId;
    const fixedMs = options.heartbeatMs;
    const emitCanary = meter.countCanaries(emit);
    const heartbeat = new Heartbeat({ fixedMs, memory, budget, emit: emitCanary, nextLinkId });
    const transports = new Transports(serviceUrl.replace(/^http/, "ws"), options.mqttUrls, memory);
    const identity = () => state.userAgent;
    const dialer = new Dialer({ dialect, transports, emit, nextLinkId, identity, registry });
    const link = new Link({
      dialect,
      dialer,
      transports,
      heartbeat,
      backoff: new Backoff(jitter),
      budget,
      portalProbeUrl: options.portalProbeUrl,
      nextLinkId,
      meter,
      emit,
      listener: {
        fetchToken: () => this.#identity.fetchToken(),
        abandonToken: () => this.#identity.abandonToken(),
        linkLost: () => this.#handleLinkLost(),
      },
      conditions: { windowS: options.windowS, leastUrgency: options.leastUrgency },
      jitter,
    });
    const requests = new Requests(link);
    const acks = new Acks(link, emit);
    const shared = {
      state,
      registry,
      persistence,
      provider,
      emit,
      meter,
      clock,
      acks,
      link,
      requests,
      cleanStop,
      badges: new Badges({ state, registry, persistence, emit }),
      silent: new SilentBudget({ emit, maxOf: options.silentPushMax ?? defaultSilentPushMax }),
    };
    this.#registry = registry;
    this.#persistence = persistence;
    const handleForgotten = (now: Instant) => this.#subscriptions.handleForgotten(now);
    this.#identity = new Identity({ ...shared, serviceUrl, handleForgotten });
    this.#heartbeat = heartbeat;
    this.#memory = memory;
    this.#link = link;
    this.#requests = requests;
    this.#acks = acks;
    this.#subscriptions = new Subscriptions({
      ...shared,
      randomFill,
      jitter,
      handleRemoved: (subscriptionId, now) => this.#deliveries.handleRemoved(subscriptionId, now),
    });
    const notifications = new Notifications(shared);
    this.#notifications = notifications;
    this.#badges = shared.badges;
    const handleOrphan = (channel: number, now: Instant) => this.#subscriptions.handleOrphan(channel, now);
    const note = (record: JournalRecord) => persistence.note(record);
    this.#inbox = new Inbox({ ...shared, notifications, handleOrphan, note });
    this.#deliveries = new Deliveries({ ...shared, notifications, inbox: this.#inbox });
    this.#inbox.connect(this.#deliveries);
    const { navigation: policy } = options;
    this.#activations = new Activations({ notifications, deliveries: this.#deliveries, emit, policy });
    this.#appRequests = new AppRequests({
      ...shared,
      notifications,
      subscriptions: this.#subscriptions,
      deliveries: this.#deliveries,
    });
    this.#sources = { ...shared, serviceUrl, deliveries: this.#deliveries, heartbeat, memory };
  }

  /** Takes one event. Afterwards drain {@link poll}. */
  handle(event: AgentEvent, now: Instant): void {
    // What was in an app's hands at the end is on disk as such; nothing is handed out or taken back any more.
    const isOver = this.#link.state === "stopped";
    if (isOver && event.type !== "journalAppended" && event.type !== "journalFailed") return;
    this.#clock.handleNow(now);
    this.#meter.handleNow(now.monotonicMs);
    this.#route(event, now);
    if (!this.#isRunning) return;
    this.#heartbeat.setFreshness(this.#registry.freshnessMs);
    if (!isOver && event.type !== "shutdown") this.#tick(now);
    this.#link.setWanted(this.#wantsConnection(), now);
    this.#acks.flush(now);
    this.#persistence.flush(now, this.#link.state === "stopped");
    this.#setAlarm();
  }

  /** The next effect, in order, or undefined when there is none. */
  poll(): Effect | undefined {
    return this.#effects.shift();
  }

  /** True after `shutdown`, once everything asked for is on disk or known to be impossible. */
  get isStopped(): boolean {
    return this.#link.state === "stopped" && (this.#persistence.isIdle || this.#persistence.isFailing);
  }

  /** A picture of the agent for people and programs; holds no secret. */
  status(now: Instant): AgentStatus {
    return statusOf({ ...this.#sources, ...this.#troubles.read, now, alarm: this.#alarm });
  }

  /** What is shown or waits for a screen, oldest first: for a screen that comes late. */
  notifications(): NotificationView[] {
    return this.#notifications.all();
  }

  #emit(effect: Effect): void {
    this.#effects.push(effect);
    this.#troubles.handleEffect(effect);
  }

  #route(event: AgentEvent, now: Instant): void {
    if ("linkId" in event && this.#heartbeat.handleCanary(event, now.monotonicMs)) return;
    switch (event.type) {
      case "start":
        return this.#start(now);
      case "shutdown":
        return this.#shutdown(now);
      case "alarm":
        // The host keeps one alarm and it has gone off: whatever comes next has to be set anew.
        this.#meter.handleAlarm(this.#alarm);
        this.#alarm = null;
        return;
      case "linkOpened":
        return this.#link.handleOpened(event.linkId, now);
      case "linkMessage":
        return this.#handleFrame(event, now);
      case "linkPong":
        return this.#link.handlePong(event.linkId, now);
      case "linkClosed":
        return this.#link.handleClosed(event.linkId, event.cause, event.httpStatus, event.retryAfterS, now);
      case "networkChanged":
        this.#meter.handleNetwork(event.network);
        return this.#link.handleNetwork(event.network?.label ?? null, event.hasNewAddress === true, now);
      case "journalAppended":
        return this.#persistence.handleAppended(event.appendId);
      case "journalFailed":
        return this.#persistence.handleFailed(event.appendId, event.reason, now);
      case "httpResponse":
        if (this.#link.handleProbed(event.requestId, event.status, now)) return;
        return this.#identity.handleToken(event, now);
      case "appRequest":
        return this.#appRequests.handle(event.requestId, event.owner, event.request, now);
      case "appAttached":
        this.#inbox.handleAttached(event.owner, event.handlesPush);
        this.#deliveries.handleAttached(event.owner, event.handlesPush, now);
        return this.#activations.handleAttached(event.owner);
      case "appDetached":
        return this.#deliveries.handleDetached(event.owner, now);
      case "appHandled":
        return this.#deliveries.handleHandled(event.deliveryId, now);
      case "appFailed":
        return this.#deliveries.handleFailed(event.deliveryId, now);
      case "displayed":
        return this.#notifications.handleDisplayed(event.notificationId);
      case "displayFailed":
        return this.#notifications.handleDisplayFailed(event.notificationId);
      case "permissionAnswered":
        return this.#subscriptions.handlePermission(event.owner, event.permission, now);
      case "choice":
        return;
      case "navigationAnswered": {
        const { notificationId, action, allowed } = event;
        return this.#activations.handleNavigationAnswered(notificationId, action, allowed);
      }
      case "notificationActivated":
        return this.#activations.handleActivated(event.notificationId, event.action, now);
      case "notificationClosed":
        return this.#notifications.handleClosed(event.notificationId);
    }
  }

  #start(now: Instant): void {
    const { recovery, randomFill } = this.#options;
    const { state, report } = recovery;
    this.#isRunning = true;
    if (report.damaged) {
      const text = "part of the journal was damaged; the rest is used";
      this.#emit(reported({ type: "fault", code: "ERR_JOURNAL_RECORD", text }));
    }
    if (state.device === null) {
      const deviceSecret = new Uint8Array(32);
      randomFill(deviceSecret);
      this.#persistence.note({ type: "device", deviceSecret });
    }
    if (!recovery.cleanStop) {
      this.#persistence.note({ type: "suspect", storeEpoch: null, idMax: 0 });
      // Notifications of the last minute may be on the screen and not in the journal: their numbers are not used again.
      const { subscriptionIdMax, notificationIdMax } = state;
      this.#persistence.note({
        type: "counters",
        subscriptionIdMax,
        notificationIdMax: notificationIdMax + 2 * JOURNAL_DEFERRED_RECORDS_MAX,
      });
    }
    // Written before anything is handed out: a stop without `clean` behind it was a crash. On a full disk it takes the
    // reserve, and is tried until it is there; meanwhile messages wait at the service.
    const run: JournalRecord = { type: "run", runId: (state.runId ?? 0) + 1 };
    this.#persistence.store([run], (failure) => {
      if (failure === null) this.#deliveries.open(now);
      else this.#persistence.erase([run], () => this.#deliveries.open(now));
    });
    this.#notifications.restore();
    this.#badges.restore();
    this.#deliveries.restore(now);
  }

  #shutdown(now: Instant): void {
    this.#acks.flush(now, true);
    this.#subscriptions.handleShutdown();
    this.#deliveries.handleShutdown(now);
    this.#badges.handleShutdown();
    for (const record of [...this.#inbox.takeRiders(), ...this.#memory.takeRiders()])
      this.#persistence.note(record);
    this.#link.handleShutdown(now);
    this.#persistence.store([{ type: "clean" }], () => {});
  }

  /** Every event is an occasion to do what is due: nothing waits for the alarm when the device is awake anyway. */
  #tick(now: Instant): void {
    this.#link.handleAlarm(now);
    this.#requests.handleAlarm(now);
    this.#subscriptions.handleAlarm(now);
    this.#deliveries.handleAlarm(now);
    this.#notifications.handleAlarm(now);
    this.#badges.handleAlarm(now);
  }

  #handleFrame(event: EventOf<"linkMessage">, now: Instant): void {
    const message = this.#link.handleFrame(event.linkId, event.frame, now);
    if (message !== null) this.#handleMessage(message, now);
  }

  #handleMessage(message: Downstream, now: Instant): void {
    // Before Registered nobody knows which store the ids are of; what comes too early comes again.
    if (!this.#link.isOnline && message.type !== "registered" && message.type !== "bye") return;
    switch (message.type) {
      case "registered":
        return this.#handleRegistered(message, now);
      case "notification":
        return this.#inbox.handleNotification(message, now);
      case "waRegistered":
      case "waUnregistered":
      case "drained":
        this.#requests.handleAnswer(message, now);
        return;
      case "error": {
        if (this.#requests.handleAnswer(message, now)) return;
        const text = `the push service reports ${message.status}`;
        this.#emit(reported({ type: "fault", code: "ERR_SERVICE_REPORT", text }));
        return;
      }
      case "revoked":
        return this.#subscriptions.handleRevoked(message.channel, now);
      case "bye":
        return this.#link.handleBye(message.retryAfterS, now);
      case "probeReply":
        return this.#link.handleProbeReply(message.nonce, now);
    }
  }

  #handleRegistered(message: Extract<Downstream, { type: "registered" }>, now: Instant): void {
    if (message.status === STATUS.badToken) return this.#link.handleTokenRefused(now);
    if (message.status !== STATUS.ok || this.#link.state !== "greeting") return;
    this.#clock.handleServiceTime(message.epochMs);
    this.#link.handleRegistered(message, now);
    this.#identity.handleRegistered(message);
    this.#inbox.handleStoreEpoch(deviceEpoch(message.uaid, message.storeEpoch), message.lastId);
    this.#emit(reported({ type: "registered", device: deviceName(message.uaid) }));
    this.#subscriptions.handleOnline(message.channels, now);
    this.#deliveries.handleOnline(now);
    this.#resynchronise(now);
    this.#acks.flush(now, true);
  }

  /** After journal damage nobody knows what was acknowledged from it: everything the service still has comes again. */
  #resynchronise(now: Instant): void {
    if (!this.#mustResynchronise) return;
    const answered = ({ type }: Answer): void => {
      // An error is no answer: it is asked again on the next link.
      if (type === "drained") this.#mustResynchronise = false;
    };
    this.#requests.send({ type: "getAllMessages" }, answered, now);
  }

  #handleLinkLost(): void {
    this.#identity.abandonToken();
    this.#requests.handleLinkLost();
    this.#subscriptions.handleLinkLost();
  }

  /** A connection exists while there is a subscription or a pending request, or the admin says so; otherwise none. */
  #wantsConnection(): boolean {
    return this.#options.keepConnected || this.#registry.size > 0 || this.#subscriptions.needsService;
  }

  #setAlarm(): void {
    const alarm = foldDeadlines([
      this.#link.nextDeadline(),
      this.#requests.nextDeadline(),
      this.#acks.nextDeadline(),
      this.#subscriptions.nextDeadline(),
      this.#deliveries.nextDeadline(),
      this.#notifications.nextDeadline(),
      this.#badges.nextDeadline(),
      this.#persistence.nextDeadline(),
    ]);
    if (alarm?.atMs === this.#alarm?.atMs && alarm?.windowMs === this.#alarm?.windowMs) return;
    this.#alarm = alarm;
    this.#emit({ type: "setAlarm", alarm });
  }
}
