// SPDX-License-Identifier: MIT
/**
 * Runs the real agent, through its driver, and the real session of the push service through a scenario: a simulated host
 * whose radio costs energy, a middlebox that forgets flows, a service that restarts.
 */

import { Agent } from "../../src/agent/agent.ts";
import type { AgentEvent, Network } from "../../src/agent/events.ts";
import type { AgentStatus } from "../../src/agent/status.ts";
import { concatBytes } from "../../src/bytes.ts";
import { Driver } from "../../src/host/driver.ts";
import type { EffectOf, Host } from "../../src/host/host.ts";
import { plainSealer, recoverJournal } from "../../src/journal/index.ts";
import { nodeProvider } from "../../src/node/crypto.ts";
import { encrypt, type RecipientKeys } from "../../src/webpush/encrypt.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { EnergyMeter } from "./model.ts";
import type { GodwitResult } from "./result.ts";
import { clockErrorS, PLAIN_STRETCH, type Scenario, type Stretch } from "./scenario.ts";
import { seededRandom } from "./seeded-random.ts";
import { PORTAL_PROBE_URL, SimulatedNetwork } from "./simulated-network.ts";
import { NetworkTally } from "./tally.ts";
import { alarmS, Timeline } from "./timeline.ts";

/** From the network's change to the system's word about it. */
const NETWORK_EVENT_S = 0.2;
/** Before the scenario the device gets its token and subscribes, on a network of its own. */
const SETUP_S = 600;
/** Alarms come this much late, so that rounding never makes one early. */
const CLOCK_STEP_S = 1e-6;
const OWNER = "https://news.example";
const PLAINTEXT_BYTES = 200;

const WAKING_EVENTS: ReadonlySet<AgentEvent["type"]> = new Set([
  "alarm",
  "linkMessage",
  "linkClosed",
  "networkChanged",
]);

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
  readonly #network: SimulatedNetwork;
  readonly #delivered = new Map<number, number>();
  readonly #networks = new NetworkTally();
  #recipient: RecipientKeys | null = null;
  /** The senders' own, so that what they draw changes nothing for the device. */
  readonly #sendersRandom: () => number;
  /** The network the system spoke of last, and whether it is still there as far as the system knows. */
  #lastNetwork: string | null = null;
  #isTold = false;
  #segment: Uint8Array = new Uint8Array(0);
  #cancelAlarm: () => void = () => {};
  /** The agent asked not to be suspended before. */
  #awakeUntilS = Number.NEGATIVE_INFINITY;
  #journalWrites = 0;
  #setUpJournalWrites = 0;
  #learnedAfterS: number | null = null;

  constructor(scenario: Scenario, options: GodwitOptions) {
    this.#scenario = scenario;
    this.#random = seededRandom(options.seed * 7919 + 17);
    this.#sendersRandom = seededRandom(options.seed * 7919 + 18);
    this.#time = new Timeline(-SETUP_S, (nextS) => this.#network.countDeaf(nextS));
    const fill = filler(this.#random);
    this.#network = new SimulatedNetwork({
      time: this.#time,
      meter: this.#meter,
      random: this.#random,
      spreadS: scenario.spreadS,
      dispatch: (event) => this.#dispatch(event),
      isHeld: () => this.#isHeld,
    });
    const sealer = plainSealer();
    const deviceBinding = new Uint8Array(16);
    this.#agent = new Agent({
      serviceUrl: "https://push.example",
      mqttUrls: [],
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
      silentPushMax: () => null,
    });
    this.#driver = new Driver(this.#agent, this.#host());
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
    const network = this.#network;
    let lost = 0;
    let late60 = 0;
    messages.forEach(({ atS, ttlS }, i) => {
      const deliveredS = this.#delivered.get(i);
      if (deliveredS !== undefined && deliveredS - atS > 60) late60++;
      if (deliveredS === undefined && durationS - atS > ttlS) lost++;
    });
    return {
      wakeH: this.#meter.radioWakes / hours,
      pingH: network.pings / hours,
      bytesH: network.bytes / hours,
      joulesDay: this.#meter.joules / (hours / 24),
      connsDay: network.connects / (hours / 24),
      deafMinDay: network.deafS / 60 / (hours / 24),
      lost,
      late60,
      natLosses: network.natLosses,
      networks: this.#networks.shares(hours),
      journalWrites: this.#journalWrites,
      setUpJournalWrites: this.#setUpJournalWrites,
      clientWakesHourMax: network.clientWakes.most(3600),
      probes12hMax: network.probes.most(12 * 3600),
      wakesWithoutNetwork: network.wakesWithoutNetwork,
      learnedAfterS: this.#learnedAfterS,
    };
  }

  /** What the agent tells of itself. */
  get status(): AgentStatus {
    return this.#agent.status(this.#instant());
  }

  // --- the course of things --------------------------------------------------------------------------------------------

  #plan(): void {
    const { stretches, restarts, messages } = this.#scenario;
    for (const stretch of stretches) this.#time.at(stretch.fromS, () => this.#enter(stretch));
    for (const restart of restarts) this.#time.at(restart.atS, () => this.#network.restart(restart));
    messages.forEach((message, i) => {
      this.#time.at(message.atS, () => this.#network.service.post(message, i, this.#newBody()));
    });
  }

  #setUp(): void {
    const fromS = -SETUP_S;
    const [radio, network] = ["ethernet", "set-up"] as const;
    const stretch: Stretch = { ...PLAIN_STRETCH, fromS, toS: 0, radio, network, idleTimeoutS: 1e9 };
    this.#network.stretch = stretch;
    this.#dispatch({ type: "start" });
    this.#dispatch({ type: "networkChanged", network: networkOf(stretch) });
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
    this.#network.beginMeasure();
    this.#networks.reset();
    if (this.#nowS === 0) {
      this.#setUpJournalWrites = this.#journalWrites;
      this.#network.hasSession = false;
    }
    this.#journalWrites = 0;
  }

  get #nowS(): number {
    return this.#time.nowS;
  }

  get #isHeld(): boolean {
    return this.#agent.status(this.#instant()).network.isHeld;
  }

  #leave(): void {
    const { stretch, deafS } = this.#network;
    this.#networks.leave(stretch?.network ?? null, this.#meter.joules, deafS, this.#isHeld);
  }

  #enter(stretch: Stretch): void {
    const before = this.#network.stretch;
    this.#leave();
    this.#network.stretch = stretch;
    if (stretch.isSilent) return;
    const isSame = before?.radio !== null || before.isSilent ? this.#lastNetwork === stretch.network : false;
    if (stretch.radio !== null && isSame && this.#isTold) return;
    if (stretch.radio !== null) this.#lastNetwork = stretch.network;
    this.#isTold = stretch.radio !== null;
    this.#time.at(this.#nowS + NETWORK_EVENT_S, () => {
      if (this.#network.stretch !== stretch) return;
      this.#network.hasHeardOfGap = stretch.radio === null;
      this.#dispatch({ type: "networkChanged", network: networkOf(stretch) });
    });
  }

  // --- the host --------------------------------------------------------------------------------------------------------

  #dispatch(event: AgentEvent): void {
    // The model's resume for a ping or a dial includes the answer, for every algorithm; messages and alarms have their own.
    if (WAKING_EVENTS.has(event.type) && !this.#network.isUpgrading) this.#meter.wakeCpu(this.#nowS);
    this.#driver.dispatch(event);
    if (!this.#network.isMeasured || this.#learnedAfterS !== null || event.type !== "linkPong") return;
    if (this.#agent.status(this.#instant()).network.isLearned) this.#learnedAfterS = this.#nowS;
  }

  #instant() {
    const monotonicMs = (this.#nowS + SETUP_S + 1) * 1000;
    const epochMs = 1_700_000_000_000 + monotonicMs + clockErrorS(this.#scenario, this.#nowS) * 1000;
    return { monotonicMs, epochMs, epochTrusted: true };
  }

  #subscribed({ reply }: EffectOf<"appReply">): void {
    if (reply.type !== "subscription" || reply.subscription === null) throw new Error("not subscribed");
    this.#recipient = { publicKey: reply.subscription.p256dh, authSecret: reply.subscription.auth };
  }

  /** Each message is encrypted anew, as by any sender: the same ciphertext again would count as a repeat. */
  #newBody(): Uint8Array {
    if (this.#recipient === null) throw new Error("not subscribed");
    const plaintext = new Uint8Array(PLAINTEXT_BYTES).fill(0x61);
    return encrypt(plaintext, this.#recipient, {
      randomFill: filler(this.#sendersRandom),
      provider: nodeProvider,
    });
  }

  #deliver({ delivery }: EffectOf<"deliver">): void {
    const index = this.#network.service.indexOf(delivery.messageId);
    if (index !== undefined && !this.#delivered.has(index)) this.#delivered.set(index, this.#nowS);
    this.#dispatch({ type: "appHandled", deliveryId: delivery.deliveryId });
  }

  #setAlarm({ alarm }: EffectOf<"setAlarm">): void {
    this.#cancelAlarm();
    if (alarm === null) return;
    // At the end of the window, as the Node host does.
    const atS = (alarm.atMs + alarm.windowMs) / 1000 - SETUP_S - 1 + CLOCK_STEP_S;
    const floorS = atS <= this.#awakeUntilS ? 0 : (this.#network.stretch?.alarmFloorS ?? 0);
    this.#cancelAlarm = this.#time.at(alarmS(atS, this.#nowS, floorS), () =>
      this.#dispatch({ type: "alarm" }),
    );
  }

  #host(): Host {
    const ignore = (): void => {};
    return {
      now: () => this.#instant(),
      openLink: (effect) => this.#network.open(effect, effect.headers),
      send: (effect) => this.#network.send(effect),
      ping: ({ linkId }) => this.#network.ping(linkId),
      closeLink: ({ linkId }) => this.#network.close(linkId),
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
      httpRequest: (effect) => this.#network.answer(effect),
      startApp: ignore,
      deliver: (effect) => this.#deliver(effect),
      cancelDelivery: ignore,
      appReply: (effect) => this.#subscribed(effect),
      subscriptionChange: ignore,
      show: ignore,
      closeNotification: ignore,
      notificationClick: ignore,
      setBadge: ignore,
      openUrl: ignore,
      askPermission: ({ owner }) =>
        this.#dispatch({ type: "permissionAnswered", owner, permission: "granted" }),
      permissionSettled: ignore,
      askNavigation: ignore,
      warnApp: ignore,
      report: ignore,
    };
  }
}

function networkOf({ radio, network }: Stretch): Network | null {
  if (radio === null) return null;
  const kind = radio === "wifi" ? "wifi" : radio === "ethernet" ? "ethernet" : "cellular";
  return { label: network ?? "", kind, metered: kind === "cellular" };
}

function filler(random: () => number): (target: Uint8Array) => void {
  return (target) => {
    for (let i = 0; i < target.length; i++) target[i] = Math.floor(random() * 256);
  };
}
