// SPDX-License-Identifier: MIT
/**
 * A device for tests: the real agent and driver on a host with virtual time, a journal in memory and a push service
 * played by the test frame by frame. Pure, so the same specs run in QuickJS.
 */

import { seededRandom } from "../../bench/battery/seeded-random.ts";
import { Agent, type AgentOptions } from "../../src/agent/agent.ts";
import type {
  AgentEvent,
  Alarm,
  AppReply,
  AppRequest,
  Choice,
  Effect,
  Report,
} from "../../src/agent/events.ts";
import { concatBytes } from "../../src/bytes.ts";
import { Driver } from "../../src/host/driver.ts";
import type { EffectOf, Host } from "../../src/host/host.ts";
import { type JournalState, plainSealer, recoverJournal } from "../../src/journal/index.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";
import { nobleProvider } from "../../src/webpush/noble.ts";
import type { DeviceEnd, Downstream, Notification, Upstream } from "../../src/wire/dialect.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";

export const UAID = new Uint8Array(16).fill(7);
export const STORE_EPOCH = 4242;
const BINDING = new Uint8Array(16).fill(1);

export interface DeviceOptions {
  /** Segments an earlier device left behind. */
  readonly segments?: Uint8Array[];
  readonly keepConnected?: boolean;
  readonly serviceUrl?: string;
  /** Default 240 s; null: learned. */
  readonly heartbeatMs?: number | null;
  readonly portalProbeUrl?: string;
  readonly mqttUrls?: readonly string[];
  readonly epochTrusted?: boolean;
  readonly permission?: "granted" | "denied" | "prompt";
  readonly seed?: number;
  readonly journalFailure?: "full" | "io";
  /** Messages of an owner that may show nothing; default: any number, undefined: as on a device. */
  readonly silentPushMax?: ((owner: string) => number | null) | undefined;
  /** Virtual time of the start. */
  readonly atMs?: number;
  /** Another dialect, whose frames go to `take` instead of {@link Device.upstream}. */
  readonly dialect?: {
    readonly make: (state: JournalState) => DeviceEnd;
    readonly take: (frame: Uint8Array) => void;
  };
}

export class Device {
  readonly agent: Agent;
  readonly driver: Driver;
  readonly random: () => number;
  /** What the agent spreads its delays with. */
  jitter: () => number = () => this.random();
  /** Every effect in order, for tests that look at the order. */
  readonly effects: Effect[] = [];
  readonly reports: Report[] = [];
  readonly replies = new Map<number, AppReply>();
  readonly upstream: Upstream[] = [];
  readonly shown: EffectOf<"show">[] = [];
  readonly delivered: EffectOf<"deliver">["delivery"][] = [];
  nowMs: number;
  epochOffsetMs = 1_700_000_000_000;
  linkId = 0;
  /** What the played service has given out. */
  lastId = 0;
  isLinkOpen = false;
  alarm: Alarm | null = null;
  /** What is on flash: whole segments, durable. */
  segment: Uint8Array = new Uint8Array(0);
  journalFailure: "full" | "io" | null = null;
  /** On a full disk there is room for urgent checkpoints. */
  hasReserve = false;
  /** Written but not yet confirmed, when `holdJournal`. */
  holdJournal = false;
  readonly heldWrites: (() => void)[] = [];
  journalWrites = 0;
  screenFails = false;
  /** The test answers for the display itself. */
  holdDisplay = false;
  /** What apps do with a delivery; null leaves it in their hands. */
  onDeliver: ((delivery: EffectOf<"deliver">["delivery"]) => "handled" | "failed" | null) | null = () =>
    "handled";
  #lastRequestId = 0;

  constructor(options: DeviceOptions = {}) {
    this.random = seededRandom(options.seed ?? 1);
    this.nowMs = options.atMs ?? 1000;
    this.journalFailure = options.journalFailure ?? null;
    const segments = options.segments ?? [];
    this.segment = segments[segments.length - 1]?.slice() ?? new Uint8Array(0);
    const sealer = plainSealer();
    const recovery = recoverJournal(segments, { deviceBinding: BINDING, sealer });
    this.agent = new Agent({
      serviceUrl: options.serviceUrl ?? "https://push.example",
      mqttUrls: options.mqttUrls ?? [],
      dialect: options.dialect?.make(recovery.state) ?? godwitDialect,
      recovery,
      sealer,
      deviceBinding: BINDING,
      provider: nobleProvider,
      randomFill: (target) => this.fill(target),
      jitter: () => this.jitter(),
      heartbeatMs: options.heartbeatMs === undefined ? 240_000 : options.heartbeatMs,
      portalProbeUrl: options.portalProbeUrl ?? null,
      windowS: 0,
      leastUrgency: "very-low",
      keepConnected: options.keepConnected ?? false,
      navigation: { httpAllowed: false },
      ...silentPushMaxOf(options),
    });
    this.driver = new Driver(this.agent, this.#host(options));
    this.dispatch({ type: "start" });
  }

  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i++) target[i] = Math.floor(this.random() * 256);
  }

  dispatch(event: AgentEvent): void {
    this.driver.dispatch(event);
  }

  /** Lets virtual time pass, firing the alarm at the end of each window. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const dueMs = this.alarm === null ? Number.POSITIVE_INFINITY : this.alarm.atMs + this.alarm.windowMs;
      if (dueMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.alarm = null;
      this.dispatch({ type: "alarm" });
    }
    this.nowMs = endMs;
  }

  /** Lets time pass in steps of 100 ms until `isDone`, or throws after `msMax`. */
  passUntil(msMax: number, isDone: () => boolean): void {
    for (let ms = 0; !isDone(); ms += 100) {
      if (ms > msMax) throw new Error(`nothing happened within ${msMax} ms`);
      this.pass(100);
    }
  }

  /** Asks as an app; the reply, when there is one at once. */
  ask(owner: string, request: AppRequest): number {
    const requestId = ++this.#lastRequestId;
    this.dispatch({ type: "appRequest", requestId, owner, request });
    return requestId;
  }

  /** Decides as a person; returns the request. */
  choose(choice: Choice): number {
    const requestId = ++this.#lastRequestId;
    this.dispatch({ type: "choice", requestId, choice });
    return requestId;
  }

  subscribe(owner: string, waToken: string | null = null, key: Uint8Array | null = null): number {
    return this.ask(owner, {
      type: "subscribe",
      applicationServerKey: key,
      userVisibleOnly: false,
      waToken,
      declarative: "auto",
      allowAesgcm: false,
    });
  }

  // --- the push service, played by the test ---

  answerToken(uaToken = "token-1", uaid: Uint8Array = UAID): void {
    const request = this.last("httpRequest");
    const hex = [...uaid].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const body = JSON.stringify({ uaToken, uaid: hex });
    this.dispatch({
      type: "httpResponse",
      requestId: request.requestId,
      status: 200,
      cause: null,
      retryAfterS: null,
      body,
    });
  }

  openLink(): void {
    this.isLinkOpen = true;
    this.dispatch({ type: "linkOpened", linkId: this.linkId });
  }

  registered(members: Partial<Extract<Downstream, { type: "registered" }>> = {}): void {
    this.send({
      type: "registered",
      status: 200,
      uaid: UAID,
      freshUaToken: null,
      idleLimitS: null,
      reconnectSpreadS: 0,
      canary: null,
      epochMs: this.epochMs,
      storeEpoch: STORE_EPOCH,
      channels: null,
      lastId: this.lastId,
      ...members,
    });
  }

  /** Token, link, Registered: from nothing to online. */
  connect(): void {
    if (this.agent.status(this.instant()).link === "token") this.answerToken();
    this.openLink();
    this.registered();
  }

  send(message: Downstream): void {
    this.dispatch({
      type: "linkMessage",
      linkId: this.linkId,
      frame: godwitDialect.encodeDownstream(message),
    });
  }

  /** Answers the newest RegisterWA. */
  grantRegistration(channel: number, endpoint = `https://push.example/p/${channel}`): void {
    const request = this.lastUpstream("registerWa");
    this.send({
      type: "waRegistered",
      ref: request.ref,
      status: 200,
      channel,
      endpoint,
      expirationTime: null,
    });
  }

  notify(id: number, channel: number, body: Uint8Array | null, members: Partial<Notification> = {}): void {
    this.send({
      type: "notification",
      id,
      attempt: 1,
      channel,
      ttlLeftS: 3600,
      urgency: "normal",
      saysNotification: false,
      topic: null,
      body,
      ...members,
    });
  }

  closeLink(httpStatus: number | null = null, retryAfterS: number | null = null): void {
    this.isLinkOpen = false;
    const { linkId } = this;
    this.dispatch({ type: "linkClosed", linkId, cause: "closed", httpStatus, retryAfterS });
  }

  /** A subscription of `owner` on `channel`, made through the whole exchange, with its handler attached. */
  withSubscription(
    owner: string,
    channel: number,
    handlesPush = true,
    waToken: string | null = null,
  ): Extract<AppReply, { type: "subscription" }> {
    this.dispatch({ type: "appAttached", owner, handlesPush });
    const requestId = this.subscribe(owner, waToken);
    if (!this.isLinkOpen) this.connect();
    this.grantRegistration(channel);
    const reply = this.replies.get(requestId);
    if (reply?.type !== "subscription") throw new Error(`not subscribed: ${JSON.stringify(reply)}`);
    return reply;
  }

  /** Encrypts `text` for a subscription, as any application server would. */
  seal(reply: Extract<AppReply, { type: "subscription" }>, text: string): Uint8Array {
    const view = reply.subscription;
    if (view === null) throw new Error("no subscription");
    const recipient = { publicKey: view.p256dh, authSecret: view.auth };
    const plaintext = Uint8Array.from(text, (char) => char.charCodeAt(0));
    return encrypt(plaintext, recipient, { randomFill: (target) => this.fill(target) });
  }

  // --- what can be asked ---

  instant() {
    return { monotonicMs: this.nowMs, epochMs: this.epochMs, epochTrusted: true };
  }

  get epochMs(): number {
    return this.nowMs + this.epochOffsetMs;
  }

  get status() {
    return this.agent.status(this.instant());
  }

  last<Type extends Effect["type"]>(type: Type): EffectOf<Type> {
    const found = this.effects.findLast((effect) => effect.type === type);
    if (found === undefined) throw new Error(`no effect ${type}`);
    return found as EffectOf<Type>;
  }

  count(type: Effect["type"]): number {
    return this.effects.filter((effect) => effect.type === type).length;
  }

  countUpstream(type: Upstream["type"]): number {
    return this.upstream.filter((message) => message.type === type).length;
  }

  lastUpstream<Type extends Upstream["type"]>(type: Type): Extract<Upstream, { type: Type }> {
    const found = this.upstream.findLast((message) => message.type === type);
    if (found === undefined) throw new Error(`nothing of type ${type} was sent`);
    return found as Extract<Upstream, { type: Type }>;
  }

  /** Every acknowledged id with its code, in order of sending. */
  acknowledged(): [number, string][] {
    const acks: [number, string][] = [];
    for (const message of this.upstream) {
      if (message.type !== "ack") continue;
      for (const [first, last] of message.ranges)
        for (let id = first; id <= last; id++) acks.push([id, message.code]);
    }
    return acks;
  }

  /** Power cut: the next device starts with what was durable. */
  restart(options: DeviceOptions = {}): Device {
    return new Device({ seed: 99, atMs: this.nowMs + 1000, ...options, segments: [this.segment] });
  }

  #write(appendId: number, isUrgent: boolean, apply: () => void): void {
    this.journalWrites++;
    const failure =
      isUrgent && this.hasReserve && this.journalFailure === "full" ? null : this.journalFailure;
    const confirm = (): void => {
      if (failure !== null) return this.dispatch({ type: "journalFailed", appendId, reason: failure });
      apply();
      this.dispatch({ type: "journalAppended", appendId });
    };
    if (this.holdJournal) this.heldWrites.push(confirm);
    else confirm();
  }

  #host(options: DeviceOptions): Host {
    const keep = (effect: Effect): void => {
      this.effects.push(effect);
    };
    return {
      now: () => ({ ...this.instant(), epochTrusted: options.epochTrusted ?? true }),
      openLink: (effect) => {
        if (!effect.url.endsWith("/v1/canary")) this.linkId = effect.linkId;
        keep(effect);
      },
      send: (effect) => {
        keep(effect);
        if (options.dialect !== undefined) options.dialect.take(effect.frame);
        else this.upstream.push(godwitDialect.parseUpstream(effect.frame));
      },
      ping: keep,
      closeLink: (effect) => {
        this.isLinkOpen = false;
        keep(effect);
      },
      setAlarm: ({ alarm }) => {
        this.alarm = alarm;
      },
      stayAwake: keep,
      append: (effect) => {
        keep(effect);
        this.#write(effect.appendId, false, () => {
          this.segment = concatBytes(this.segment, effect.bytes);
        });
      },
      checkpoint: (effect) => {
        keep(effect);
        this.#write(effect.appendId, effect.urgent, () => {
          this.segment = effect.bytes;
        });
      },
      httpRequest: keep,
      startApp: keep,
      deliver: (effect) => {
        keep(effect);
        const { delivery } = effect;
        this.delivered.push(delivery);
        const outcome = this.onDeliver?.(delivery) ?? null;
        const { deliveryId } = delivery;
        if (outcome !== null)
          this.dispatch({ type: outcome === "handled" ? "appHandled" : "appFailed", deliveryId });
      },
      cancelDelivery: keep,
      appReply: (effect) => {
        keep(effect);
        this.replies.set(effect.requestId, effect.reply);
      },
      subscriptionChange: keep,
      show: (effect) => {
        keep(effect);
        this.shown.push(effect);
        const { notificationId } = effect;
        if (!this.holdDisplay)
          this.dispatch({ type: this.screenFails ? "displayFailed" : "displayed", notificationId });
      },
      closeNotification: keep,
      notificationClick: keep,
      setBadge: keep,
      openUrl: keep,
      askPermission: (effect) => {
        keep(effect);
        const permission = options.permission ?? "granted";
        if (permission !== "prompt")
          this.dispatch({ type: "permissionAnswered", owner: effect.owner, permission });
      },
      permissionSettled: keep,
      askNavigation: keep,
      warnApp: keep,
      report: ({ report }) => {
        this.reports.push(report);
      },
    };
  }
}

function silentPushMaxOf(options: DeviceOptions): Pick<AgentOptions, "silentPushMax"> {
  const silentPushMax = "silentPushMax" in options ? options.silentPushMax : () => null;
  return silentPushMax === undefined ? {} : { silentPushMax };
}
