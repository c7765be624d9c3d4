// SPDX-License-Identifier: MIT
/**
 * Runs the real agent, through its driver, and the real session of the push service through a scenario: a simulated host
 * whose radio costs energy, a middlebox that forgets flows, a service that restarts.
 */

import { Agent } from "../../src/agent/agent.ts";
import type { AgentEvent, LinkCause, Network } from "../../src/agent/events.ts";
import { concatBytes } from "../../src/bytes.ts";
import { Driver } from "../../src/host/driver.ts";
import type { EffectOf, Host } from "../../src/host/host.ts";
import { plainSealer, recoverJournal } from "../../src/journal/index.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { EnergyMeter, RADIOS, WIRE_BYTES } from "./model.ts";
import type { GodwitResult } from "./result.ts";
import {
  clockErrorS,
  PLAIN_STRETCH,
  type PushMessage,
  type Restart,
  type Scenario,
  type Stretch,
} from "./scenario.ts";
import { seededRandom } from "./seeded-random.ts";
import { SimulatedService } from "./simulated-service.ts";
import { NetworkTally, WakeTally } from "./tally.ts";
import { alarmS, Timeline } from "./timeline.ts";

/** From the network's change to the system's word about it. */
const NETWORK_EVENT_S = 0.2;
/** TCP sends again what was lost after these times from the first. */
const RETRANSMISSIONS_S = [1, 3, 7, 15, 31, 63];
const DIAL_PACKET_BYTES = 60;
/** So often for the first packet of a connection, which the agent gives up after 20 s. */
const DIAL_RETRANSMISSIONS = 4;
/** Before the scenario the device gets its token and subscribes, on a network of its own. */
const SETUP_S = 600;
/** Alarms come this much late, so that rounding never makes one early. */
const CLOCK_STEP_S = 1e-6;
const OWNER = "https://news.example";
const PORTAL_PROBE_URL = "http://portal.example/204";
const PLAINTEXT_BYTES = 200;

const WAKING_EVENTS: ReadonlySet<AgentEvent["type"]> = new Set([
  "alarm",
  "linkMessage",
  "linkClosed",
  "networkChanged",
]);

interface Flow {
  readonly linkId: number;
  readonly network: string | null;
  readonly isCanary: boolean;
  /** The middlebox forgets it then. */
  expiresS: number;
  isOpen: boolean;
  /** What the server does with its packets once it has lost the connection. */
  servedBy: "service" | "reset" | "nobody";
  lostSinceS: number;
}

export interface GodwitOptions {
  /** Low-urgency messages may wait this long, s. */
  readonly windowS: number;
  readonly seed: number;
}

export class GodwitWorld {
  readonly #scenario: Scenario;
  readonly #meter = new EnergyMeter(true);
  readonly #time: Timeline;
  readonly #random: () => number;
  readonly #agent: Agent;
  readonly #driver: Driver;
  readonly #service: SimulatedService;
  readonly #flows = new Map<number, Flow>();
  readonly #delivered = new Map<number, number>();
  readonly #natLosses: Record<string, { idleTimeoutS: number; count: number }> = {};
  readonly #clientWakes = new WakeTally();
  readonly #probes = new WakeTally();
  readonly #networks = new NetworkTally();
  #body: Uint8Array | null = null;
  #stretch: Stretch | null = null;
  /** The network the system spoke of last, and whether it is still there as far as the system knows. */
  #lastNetwork: string | null = null;
  #isTold = false;
  #hasHeardOfGap = false;
  #segment: Uint8Array = new Uint8Array(0);
  #cancelAlarm: () => void = () => {};
  /** The agent asked not to be suspended before. */
  #awakeUntilS = Number.NEGATIVE_INFINITY;
  #unreachableUntilS = Number.NEGATIVE_INFINITY;
  #journalWrites = 0;
  #setUpJournalWrites = 0;
  #isMeasured = false;
  #isUpgrading = false;
  #bytes = 0;
  #pings = 0;
  #connects = 0;
  #deafS = 0;
  #wakesWithoutNetwork = 0;
  #hasSession = false;
  #learnedAfterS: number | null = null;

  constructor(scenario: Scenario, options: GodwitOptions) {
    this.#scenario = scenario;
    this.#random = seededRandom(options.seed * 7919 + 17);
    this.#time = new Timeline(-SETUP_S, (nextS) => this.#countDeaf(nextS));
    const fill = (target: Uint8Array): void => {
      for (let i = 0; i < target.length; i++) target[i] = Math.floor(this.#random() * 256);
    };
    this.#service = new SimulatedService(this.#time, scenario.spreadS, this.#random, {
      send: (linkId, frame) => this.#sendDown(linkId, frame),
      close: (linkId) => this.#closeFromService(linkId),
    });
    const sealer = plainSealer();
    const deviceBinding = new Uint8Array(16);
    this.#agent = new Agent({
      serviceUrl: "https://push.example",
      dialect: godwitDialect,
      recovery: recoverJournal([], { deviceBinding, sealer }),
      sealer,
      deviceBinding,
      provider: nodeProvider,
      randomFill: fill,
      jitter: this.#random,
      heartbeatMs: null,
      portalProbeUrl: PORTAL_PROBE_URL,
      windowS: options.windowS,
      leastUrgency: "very-low",
      keepConnected: false,
      navigation: { httpAllowed: false },
    });
    this.#driver = new Driver(this.#agent, this.#host(fill));
    this.#plan();
  }

  run(): GodwitResult {
    const { durationS, measureFromS, messages } = this.#scenario;
    this.#setUp();
    this.#time.runUntil(0);
    this.#beginMeasure();
    if (measureFromS > 0) this.#time.at(measureFromS, () => this.#beginMeasure());
    this.#time.runUntil(durationS);
    this.#leave();
    const hours = (durationS - measureFromS) / 3600;
    let lost = 0;
    let late60 = 0;
    messages.forEach(({ atS, ttlS }, i) => {
      const deliveredS = this.#delivered.get(i);
      if (deliveredS !== undefined && deliveredS - atS > 60) late60++;
      if (deliveredS === undefined && durationS - atS > ttlS) lost++;
    });
    return {
      wakeH: this.#meter.radioWakes / hours,
      pingH: this.#pings / hours,
      bytesH: this.#bytes / hours,
      joulesDay: this.#meter.joules / (hours / 24),
      connsDay: this.#connects / (hours / 24),
      deafMinDay: this.#deafS / 60 / (hours / 24),
      lost,
      late60,
      natLosses: this.#natLosses,
      networks: this.#networks.shares,
      journalWrites: this.#journalWrites,
      setUpJournalWrites: this.#setUpJournalWrites,
      clientWakesHourMax: this.#clientWakes.most(3600),
      probes12hMax: this.#probes.most(12 * 3600),
      wakesWithoutNetwork: this.#wakesWithoutNetwork,
      learnedAfterS: this.#learnedAfterS,
    };
  }

  // --- the course of things --------------------------------------------------------------------------------------------

  #plan(): void {
    const { stretches, restarts, messages } = this.#scenario;
    for (const stretch of stretches) this.#time.at(stretch.fromS, () => this.#enter(stretch));
    for (const restart of restarts) this.#time.at(restart.atS, () => this.#restart(restart));
    messages.forEach((message, i) => {
      this.#time.at(message.atS, () => this.#post(message, i));
    });
  }

  #setUp(): void {
    const fromS = -SETUP_S;
    const [radio, network] = ["ethernet", "set-up"] as const;
    this.#stretch = { ...PLAIN_STRETCH, fromS, toS: 0, radio, network, idleTimeoutS: 1e9 };
    this.#dispatch({ type: "start" });
    this.#dispatch({ type: "networkChanged", network: networkOf(this.#stretch) });
    this.#dispatch({ type: "appAttached", owner: OWNER, handlesPush: true });
    this.#dispatch({
      type: "appRequest",
      requestId: 1,
      owner: OWNER,
      request: {
        type: "subscribe",
        applicationServerKey: null,
        userVisibleOnly: false,
        waToken: null,
        declarative: "auto",
        allowAesgcm: false,
      },
    });
  }

  #beginMeasure(): void {
    this.#meter.reset();
    this.#isMeasured = true;
    this.#bytes = this.#pings = this.#connects = this.#deafS = 0;
    if (this.#nowS === 0) this.#setUpJournalWrites = this.#journalWrites;
    this.#journalWrites = 0;
    this.#networks.reset();
    if (this.#nowS === 0) this.#hasSession = false;
  }

  #leave(): void {
    const { isHeld } = this.#agent.status(this.#instant()).network;
    this.#networks.leave(this.#stretch?.network ?? null, this.#meter.joules, this.#deafS, isHeld);
  }

  #enter(stretch: Stretch): void {
    const before = this.#stretch;
    this.#leave();
    this.#stretch = stretch;
    if (stretch.isSilent) return;
    const isSame = before?.radio !== null || before.isSilent ? this.#lastNetwork === stretch.network : false;
    if (stretch.radio !== null && isSame && this.#isTold) return;
    if (stretch.radio !== null) this.#lastNetwork = stretch.network;
    this.#isTold = stretch.radio !== null;
    this.#time.at(this.#nowS + NETWORK_EVENT_S, () => {
      if (this.#stretch !== stretch) return;
      this.#hasHeardOfGap = stretch.radio === null;
      this.#dispatch({ type: "networkChanged", network: networkOf(stretch) });
    });
  }

  #restart({ mode, downS }: Restart): void {
    if (mode === "unreachable") this.#unreachableUntilS = this.#nowS + downS;
    this.#service.stop(this.#nowS + downS, mode === "close" ? (linkId) => this.#isReachable(linkId) : null);
    for (const flow of this.#flows.values()) {
      if (mode === "close" && flow.isCanary && flow.isOpen && this.#isReachable(flow.linkId)) {
        this.#closed(flow.linkId, "closed");
      } else if (flow.servedBy === "service") {
        flow.servedBy = mode === "close" || mode === "crash" ? "reset" : "nobody";
        flow.lostSinceS = this.#nowS;
      }
    }
  }

  #post(message: PushMessage, index: number): void {
    this.#service.post(message, index, this.#body);
  }

  // --- the network -----------------------------------------------------------------------------------------------------

  get #nowS(): number {
    return this.#time.nowS;
  }

  get #isBehindPortal(): boolean {
    return this.#stretch?.portalUntilS != null && this.#nowS < this.#stretch.portalUntilS;
  }

  #rttS(): number {
    const radio = this.#stretch?.radio;
    return radio ? RADIOS[radio].rttS : 0;
  }

  #touch(durationS: number): void {
    const radio = this.#stretch?.radio;
    if (radio) this.#meter.touch(radio, this.#nowS, durationS);
  }

  /** The flow's packets pass: there is a network, the same one, and the middlebox remembers. */
  #passes(flow: Flow): boolean {
    return (
      this.#stretch !== null &&
      this.#stretch.radio !== null &&
      flow.network === this.#stretch.network &&
      this.#nowS < flow.expiresS
    );
  }

  #isReachable(linkId: number): boolean {
    const flow = this.#flows.get(linkId);
    return flow !== undefined && flow.servedBy === "service" && this.#passes(flow);
  }

  #refresh(flow: Flow, durationS: number): void {
    flow.expiresS = this.#nowS + durationS + (this.#stretch?.idleTimeoutS ?? 0);
  }

  /** A packet on its way up. True when it reaches the service. */
  #sendUp(flow: Flow, durationS: number): boolean {
    this.#touch(durationS);
    const stretch = this.#stretch;
    if (stretch === null || stretch.radio === null || flow.network !== stretch.network) return false;
    if (stretch.isUplinkDead) return false;
    const isForgotten = this.#nowS >= flow.expiresS;
    if (isForgotten ? stretch.resets : flow.servedBy === "reset") {
      this.#time.at(this.#nowS + this.#rttS(), () => this.#closed(flow.linkId, "reset", isForgotten));
      return false;
    }
    if (isForgotten || flow.servedBy === "nobody") return false;
    this.#refresh(flow, durationS);
    return true;
  }

  #sendDown(linkId: number, frame: Uint8Array, attempt = 0, firstS = this.#nowS): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    const radio = this.#stretch?.radio;
    if (!radio || !this.#passes(flow) || flow.servedBy !== "service") {
      const againS = RETRANSMISSIONS_S[attempt];
      if (againS !== undefined)
        this.#time.at(firstS + againS, () => this.#sendDown(linkId, frame, attempt + 1, firstS));
      return;
    }
    if (this.#isUpgrading) {
      // Right behind the 101, in the same flight.
      this.#bytes += frame.length + WIRE_BYTES.frameDown;
      this.#dispatch({ type: "linkMessage", linkId, frame });
      return;
    }
    const pageS = this.#meter.isOn(radio, this.#nowS) ? 0 : RADIOS[radio].pageS;
    this.#time.at(this.#nowS + pageS, () => {
      if (!this.#passes(flow)) return this.#sendDown(linkId, frame, attempt, firstS);
      const halfS = this.#rttS() / 2;
      this.#touch(halfS);
      this.#refresh(flow, halfS);
      this.#bytes += frame.length + WIRE_BYTES.frameDown;
      this.#time.at(this.#nowS + halfS, () => {
        if (this.#flows.get(linkId)?.isOpen) this.#dispatch({ type: "linkMessage", linkId, frame });
      });
    });
  }

  /** The service closes in order, behind what it sent. */
  #closeFromService(linkId: number): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined || !this.#isReachable(linkId)) return;
    this.#time.at(this.#nowS + this.#rttS(), () => this.#closed(linkId, "closed"));
  }

  #closed(linkId: number, cause: LinkCause, isForgotten = false): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    if (isForgotten) this.#countLoss(flow);
    this.#flows.delete(linkId);
    this.#service.linkClosed(linkId);
    this.#dispatch({ type: "linkClosed", linkId, cause, httpStatus: null, retryAfterS: null });
  }

  /** A main link that the middlebox forgot, where it was meant to be held. */
  #countLoss(flow: Flow): void {
    if (flow.isCanary || !flow.isOpen || !this.#isMeasured) return;
    if (!this.#agent.status(this.#instant()).network.isHeld) return;
    const name = flow.network ?? "";
    const before = this.#natLosses[name];
    const idleTimeoutS = Math.max(before?.idleTimeoutS ?? 0, this.#stretch?.idleTimeoutS ?? 0);
    this.#natLosses[name] = { idleTimeoutS, count: (before?.count ?? 0) + 1 };
  }

  /** As in model-world.ts: from event to event, and not while a portal stands where the time began. */
  #countDeaf(nextS: number): void {
    if (!this.#isMeasured || this.#stretch === null || this.#stretch.radio === null || this.#isBehindPortal)
      return;
    let aliveS = Number.NEGATIVE_INFINITY;
    for (const flow of this.#flows.values()) {
      if (flow.isCanary || !flow.isOpen || flow.network !== this.#stretch.network) continue;
      aliveS = Math.max(aliveS, Math.min(flow.expiresS, flow.lostSinceS));
    }
    if (aliveS < nextS) this.#deafS += nextS - Math.max(aliveS, this.#nowS);
  }

  // --- the host --------------------------------------------------------------------------------------------------------

  #dispatch(event: AgentEvent): void {
    // The model's resume for a ping or a dial includes the answer, for every algorithm; messages and alarms have their own.
    if (WAKING_EVENTS.has(event.type) && !this.#isUpgrading) this.#meter.wakeCpu(this.#nowS);
    this.#driver.dispatch(event);
    if (!this.#isMeasured || this.#learnedAfterS !== null || event.type !== "linkPong") return;
    if (this.#agent.status(this.#instant()).network.isLearned) this.#learnedAfterS = this.#nowS;
  }

  #instant() {
    const monotonicMs = (this.#nowS + SETUP_S + 1) * 1000;
    const epochMs = 1_700_000_000_000 + monotonicMs + clockErrorS(this.#scenario, this.#nowS) * 1000;
    return { monotonicMs, epochMs, epochTrusted: true };
  }

  /** Pings, dials and probes at one time are one wake-up. */
  #countClientWake(): void {
    this.#clientWakes.count(this.#nowS);
    if (this.#isBehindPortal) this.#probes.count(this.#nowS);
  }

  /** The agent wants the radio. It is not on the air where there is no network it knows to be gone. */
  #wantRadio(): void {
    if (this.#hasHeardOfGap && this.#isMeasured) this.#wakesWithoutNetwork++;
  }

  #open({ linkId, url }: EffectOf<"openLink">, headers: Readonly<Record<string, string>>): void {
    this.#wantRadio();
    const stretch = this.#stretch;
    const isCanary = url.endsWith("/v1/canary");
    const rttS = this.#rttS();
    const flow: Flow = {
      linkId,
      network: stretch?.network ?? null,
      isCanary,
      expiresS: Number.POSITIVE_INFINITY,
      isOpen: false,
      servedBy: "service",
      lostSinceS: Number.POSITIVE_INFINITY,
    };
    this.#flows.set(linkId, flow);
    if (!isCanary) this.#countClientWake();
    if (stretch === null || stretch.radio === null) {
      this.#touch(0);
      this.#time.at(this.#nowS + 20, () => this.#closed(linkId, "unreachable"));
      return;
    }
    if (stretch.isUplinkDead || this.#nowS < this.#unreachableUntilS) {
      // Nothing answers; the agent gives up.
      for (const afterS of [0, ...RETRANSMISSIONS_S.slice(0, DIAL_RETRANSMISSIONS)])
        this.#time.at(this.#nowS + afterS, () => {
          if (this.#flows.get(linkId) !== flow) return;
          this.#bytes += DIAL_PACKET_BYTES;
          this.#touch(0);
        });
      return;
    }
    if (this.#isBehindPortal || !this.#service.isUp) {
      this.#bytes += WIRE_BYTES.refused;
      this.#touch(this.#isBehindPortal ? 3 * rttS : 1);
      const cause = this.#isBehindPortal ? "tls" : "refused";
      this.#time.at(this.#nowS + (this.#isBehindPortal ? 3 : 1) * rttS, () => this.#closed(linkId, cause));
      return;
    }
    this.#bytes += this.#hasSession ? WIRE_BYTES.resume : WIRE_BYTES.connect;
    this.#hasSession = true;
    if (!isCanary) this.#connects++;
    const durationS = 2 * rttS;
    this.#touch(durationS);
    this.#time.at(this.#nowS + durationS, () => {
      if (this.#flows.get(linkId) !== flow) return;
      if (this.#stretch?.network !== flow.network || !this.#service.isUp)
        return this.#closed(linkId, this.#service.isUp ? "unreachable" : "refused");
      flow.isOpen = true;
      this.#refresh(flow, 0);
      this.#dispatch({ type: "linkOpened", linkId });
      if (isCanary || this.#flows.get(linkId) !== flow) return;
      this.#isUpgrading = true;
      this.#service.open(linkId, headers);
      this.#isUpgrading = false;
    });
  }

  #ping(linkId: number): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    this.#wantRadio();
    const rttS = this.#rttS();
    this.#bytes += WIRE_BYTES.ping;
    if (!flow.isCanary) {
      this.#pings++;
      this.#countClientWake();
    }
    if (!this.#sendUp(flow, rttS)) {
      if (this.#nowS >= flow.expiresS && !this.#stretch?.resets) this.#countLoss(flow);
      return;
    }
    if (!flow.isCanary) this.#service.activity(linkId);
    this.#time.at(this.#nowS + rttS, () => {
      if (this.#flows.get(linkId) === flow) this.#dispatch({ type: "linkPong", linkId });
    });
  }

  #send({ linkId, frame }: EffectOf<"send">): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    this.#bytes += frame.length + WIRE_BYTES.frameUp;
    if (this.#sendUp(flow, this.#rttS() / 2)) this.#service.receive(linkId, frame);
  }

  #close(linkId: number): void {
    const flow = this.#flows.get(linkId);
    if (flow === undefined) return;
    // The host sends its FIN when it can; it is a packet like any other.
    if (flow.isOpen && this.#sendUp(flow, 0)) this.#bytes += 104;
    this.#flows.delete(linkId);
    this.#service.linkClosed(linkId);
  }

  #answer({ requestId, url, timeoutMs }: EffectOf<"httpRequest">): void {
    this.#wantRadio();
    const isProbe = url === PORTAL_PROBE_URL;
    const rttS = this.#rttS();
    this.#countClientWake();
    this.#bytes += isProbe ? WIRE_BYTES.probe : WIRE_BYTES.connect;
    this.#touch(3 * rttS);
    const body = isProbe ? null : JSON.stringify({ uaToken: "token", uaid: "07".repeat(16) });
    const isLost = this.#stretch?.isUplinkDead === true;
    const status = isLost ? 0 : isProbe ? (this.#isBehindPortal ? 302 : 204) : 200;
    this.#time.at(this.#nowS + (isLost ? timeoutMs / 1000 : 3 * rttS), () =>
      this.#dispatch({ type: "httpResponse", requestId, status, cause: null, retryAfterS: null, body }),
    );
  }

  #subscribed({ reply }: EffectOf<"appReply">, fill: (target: Uint8Array) => void): void {
    if (reply.type !== "subscription" || reply.subscription === null) throw new Error("not subscribed");
    const recipient = { publicKey: reply.subscription.p256dh, authSecret: reply.subscription.auth };
    this.#body = encrypt(new Uint8Array(PLAINTEXT_BYTES).fill(0x61), recipient, { randomFill: fill });
  }

  #deliver({ delivery }: EffectOf<"deliver">): void {
    const index = this.#service.indexOf(delivery.messageId);
    if (index !== undefined && !this.#delivered.has(index)) this.#delivered.set(index, this.#nowS);
    this.#dispatch({ type: "appHandled", deliveryId: delivery.deliveryId });
  }

  #setAlarm({ alarm }: EffectOf<"setAlarm">): void {
    this.#cancelAlarm();
    if (alarm === null) return;
    // At the end of the window, as the Node host does.
    const atS = (alarm.atMs + alarm.windowMs) / 1000 - SETUP_S - 1 + CLOCK_STEP_S;
    const floorS = atS <= this.#awakeUntilS ? 0 : (this.#stretch?.alarmFloorS ?? 0);
    this.#cancelAlarm = this.#time.at(alarmS(atS, this.#nowS, floorS), () =>
      this.#dispatch({ type: "alarm" }),
    );
  }

  #host(fill: (target: Uint8Array) => void): Host {
    const ignore = (): void => {};
    return {
      now: () => this.#instant(),
      openLink: (effect) => this.#open(effect, effect.headers),
      send: (effect) => this.#send(effect),
      ping: ({ linkId }) => this.#ping(linkId),
      closeLink: ({ linkId }) => this.#close(linkId),
      setAlarm: (effect) => this.#setAlarm(effect),
      stayAwake: ({ untilMs }) => {
        this.#awakeUntilS = Math.max(this.#awakeUntilS, untilMs / 1000 - SETUP_S - 1 + 2 * CLOCK_STEP_S);
      },
      append: ({ appendId, bytes }) => {
        this.#journalWrites++;
        this.#segment = concatBytes(this.#segment, bytes);
        this.#driver.dispatch({ type: "journalAppended", appendId });
      },
      checkpoint: ({ appendId, bytes }) => {
        this.#journalWrites++;
        this.#segment = bytes;
        this.#driver.dispatch({ type: "journalAppended", appendId });
      },
      httpRequest: (effect) => this.#answer(effect),
      startApp: ignore,
      deliver: (effect) => this.#deliver(effect),
      cancelDelivery: ignore,
      appReply: (effect) => this.#subscribed(effect, fill),
      subscriptionChange: ignore,
      show: ignore,
      closeNotification: ignore,
      notificationClick: ignore,
      setBadge: ignore,
      openUrl: ignore,
      askPermission: ({ owner }) =>
        this.#dispatch({ type: "permissionAnswered", owner, permission: "granted" }),
      report: ignore,
    };
  }
}

function networkOf({ radio, network }: Stretch): Network | null {
  if (radio === null) return null;
  const kind = radio === "wifi" ? "wifi" : radio === "ethernet" ? "ethernet" : "cellular";
  return { label: network ?? "", kind, metered: kind === "cellular" };
}
