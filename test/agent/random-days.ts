// SPDX-License-Identifier: MIT
/**
 * Random days of the real agent in a hostile world, in virtual time: networks that come and go, middleboxes that forget,
 * services, brokers, tokens and portals that answer anything, alarms that come hours late. A check of the
 * spec's runs after every event. All of it follows from the seed. Pure, so the same specs run in QuickJS.
 */

import { seededRandom } from "../../bench/battery/seeded-random.ts";
import type { AgentEvent, Effect, LinkCause } from "../../src/agent/events.ts";
import type { EffectOf } from "../../src/host/host.ts";
import type { Downstream } from "../../src/wire/dialect.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { HOUR, MINUTE, MQTT_URLS, NEWS } from "./online.ts";
import { Device, STORE_EPOCH, UAID } from "./world.ts";

const PROBE_URL = "http://probe.example/204";

/** How a dial ends: with a status of the upgrade, a cause, or a link whose service then behaves like this. */
type Answer = number | "welcome" | "silent" | "junk" | "bye" | "refused" | "unreachable" | "tls" | "reset";
const SERVICE_ANSWERS: readonly Answer[] = [
  ...(["welcome", "welcome", "welcome", "welcome", "silent", "junk", "bye"] as const),
  ...(["refused", "unreachable", "tls", "reset", 302, 401, 403, 503, 503] as const),
];
const CANARY_ANSWERS: readonly Answer[] = ["silent", "silent", "silent", 404, 503, "unreachable", "reset"];
/** Statuses of the token request and causes for there being none. */
const TOKEN_ANSWERS: readonly (number | LinkCause)[] = [200, 200, 500, 403, 302, "unreachable", "tls"];
/** How every registration of an app is answered. */
const GRANTED = {
  status: 200,
  channel: 1,
  endpoint: "https://push.example/p/1",
  expirationTime: null,
} as const;

interface Link {
  readonly id: number;
  readonly kind: "websocket" | "mqtt" | "canary";
  isOpen: boolean;
  /** Its other end takes what comes and never says anything. */
  isSilent: boolean;
  /** When the middlebox last saw a packet of it. */
  usedMs: number;
}

type Pick = <Item>(...items: readonly Item[]) => Item;
type Weather = ReturnType<typeof drawWeather>;

/** What the world is like for a while. */
function drawWeather(random: () => number, pick: Pick) {
  const isSane = random() < 0.55;
  return {
    websocket: isSane ? "welcome" : pick(...SERVICE_ANSWERS),
    mqtt: isSane ? "welcome" : pick(...SERVICE_ANSWERS),
    canary: pick(...CANARY_ANSWERS),
    token: isSane ? 200 : pick(...TOKEN_ANSWERS),
    probe: pick<number | LinkCause>(204, 302, 404, 511, "unreachable"),
    /** A flow idle for this long is forgotten by the middlebox, */
    natMs: pick(40_000, 100_000, 150_000, 250_000, 600_000, 1_900_000, Number.POSITIVE_INFINITY),
    /** which resets it at once, or at its next packet, or says nothing. */
    tells: random() < 0.3,
    resets: random() < 0.5,
    rttMs: pick(50, 100, 800, 4000),
    /** Share of the packets whose answer is lost. */
    loss: pick(0, 0, 0, 0.05, 0.5, 1),
    alarmLatenessMsMax: pick(0, 0, 0, 0, 30_000, 120_000, 1_500_000, 8 * HOUR),
    /** The service closes every link this long after it has registered; null: it does not. */
    linkLifeMs: random() < 0.1 ? pick(5_000, 30_000, 70_000) : null,
  };
}

export class RandomDays {
  /** The links that neither side has closed. */
  readonly links = new Map<number, Link>();
  /** When the agent woke the device of its own accord, and when its alarms rang, oldest first. */
  readonly wakeUpsMs: number[] = [];
  readonly alarmsMs: number[] = [];
  requestsOpen = 0;
  onlineMs = 0;
  readonly device: Device;
  readonly #random: () => number;
  /** What the world will do, earliest first. */
  readonly #plans: { readonly atMs: number; readonly act: () => void }[] = [];
  #weather: Weather;
  #label: string | null = "wifi";
  #broken: string | null = null;
  readonly #findBroken: (days: RandomDays) => string | null;

  /** `findBroken` is asked after every event for a promise that does not hold. */
  constructor(seed: number, findBroken: (days: RandomDays) => string | null) {
    this.#findBroken = findBroken;
    this.#random = seededRandom(seed * 7919 + 13);
    const mqttUrls = this.#random() < 0.7 ? MQTT_URLS : [];
    const portal = this.#random() < 0.6 ? { portalProbeUrl: PROBE_URL } : {};
    this.device = new Device({ seed, keepConnected: true, heartbeatMs: null, mqttUrls, ...portal });
    // The first connection gets a chance, so that there is something to lose.
    this.#weather = { ...drawWeather(this.#random, this.#pick), websocket: "welcome", token: 200 };
    this.#setNetwork("wifi");
    this.#dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    this.device.subscribe(NEWS);
    this.#repeat([1, 5, 20, 60, 180, 600], () => this.#changeWeather());
    this.#repeat([0.01, 1, 30, 120, 600, 2000], () => this.#move());
    this.#repeat([0.5, 5, 20, 100], () => this.#serve());
    this.#repeat([0.2], () => this.#forgetAloud());
  }

  /** Lets `hours` pass. Returns the first broken promise, with state and hour, or null. An exception is one. */
  run(hours: number): string | null {
    const endMs = this.device.nowMs + hours * HOUR;
    try {
      while (this.#broken === null && this.device.nowMs < endMs) this.#step();
    } catch (error) {
      this.#broken = `${error}\n${error instanceof Error ? error.stack : ""}`;
    }
    const { nowMs, status } = this.device;
    return this.#broken && `after ${(nowMs / HOUR).toFixed(3)} h, ${status.link}: ${this.#broken}`;
  }

  #step(): void {
    const alarmMs = this.#alarmMs();
    const plan = this.#plans[0];
    const isPlan = plan !== undefined && plan.atMs <= alarmMs;
    const toMs = isPlan ? plan.atMs : alarmMs;
    if (this.device.status.link === "online") this.onlineMs += toMs - this.device.nowMs;
    this.device.nowMs = toMs;
    if (isPlan) {
      this.#plans.shift();
      return plan.act();
    }
    this.device.alarm = null;
    this.alarmsMs.push(alarmMs);
    this.#dispatch({ type: "alarm" });
  }

  /** When the alarm rings. A device that sleeps until then may sleep longer, unless something else wakes it. */
  #alarmMs(): number {
    const { alarm, nowMs } = this.device;
    if (alarm === null) return Number.POSITIVE_INFINITY;
    const dueMs = Math.ceil(Math.max(nowMs, alarm.atMs + alarm.windowMs));
    // Taken from the alarm, not drawn: the same alarm is asked about before each step.
    const lateness = (Math.floor(alarm.atMs) % 97) / 97;
    return dueMs - nowMs <= 5_000 ? dueMs : dueMs + Math.round(this.#weather.alarmLatenessMsMax * lateness);
  }

  #later(delayMs: number, act: () => void): void {
    const atMs = this.device.nowMs + Math.round(delayMs);
    const index = this.#plans.findIndex((plan) => plan.atMs > atMs);
    this.#plans.splice(index === -1 ? this.#plans.length : index, 0, { atMs, act });
  }

  /** Does it again and again, after about one of `minutes` each time. */
  #repeat(minutes: readonly number[], act: () => void): void {
    this.#later(this.#pick(...minutes) * MINUTE * (0.5 + this.#random()), () => {
      act();
      this.#repeat(minutes, act);
    });
  }

  readonly #pick: Pick = (...items) => items[Math.floor(this.#random() * items.length)] as (typeof items)[0];

  // --- what the world does of its own accord ---

  #changeWeather(): void {
    this.#weather = drawWeather(this.#random, this.#pick);
  }

  #setNetwork(label: string | null): void {
    this.#label = label;
    const network = label === null ? null : ({ label, kind: "wifi", metered: false } as const);
    this.#dispatch({ type: "networkChanged", network });
    if (label === null)
      this.#later(this.#random() * 20 * MINUTE, () => this.#setNetwork(this.#pick("wifi", "lte")));
  }

  #move(): void {
    const label = this.#label;
    if (label === null || this.#random() < 0.6)
      return this.#setNetwork(this.#pick("wifi", "lte", "office", null));
    const network = { label, kind: "wifi", metered: false } as const;
    this.#dispatch({ type: "networkChanged", network, hasNewAddress: true });
  }

  /** The service says something on its links, closes them, or does nothing. */
  #serve(): void {
    for (const link of [...this.links.values()]) {
      if (!link.isOpen || link.kind === "canary" || link.isSilent || !this.#isReachable(link)) continue;
      const draw = this.#random();
      // An answer nobody asked for stands for any frame.
      if (draw < 0.7) this.#say(link, { type: "probeReply", nonce: 4_000_000 });
      else if (draw < 0.75) this.#sayBye(link);
      else if (draw < 0.8) this.#close(link, this.#pick("closed", "reset", "unreachable", "protocol"));
    }
  }

  #forgetAloud(): void {
    if (!this.#weather.tells || this.#label === null) return;
    for (const link of [...this.links.values()])
      if (link.isOpen && !this.#isReachable(link)) this.#close(link, "reset");
  }

  // --- links and requests ---

  /** Its flow is not forgotten and there is a network. */
  #isReachable(link: Link): boolean {
    return this.#label !== null && this.device.nowMs - link.usedMs < this.#weather.natMs;
  }

  #close(link: Link, cause: LinkCause, httpStatus: number | null = null): void {
    if (!this.links.delete(link.id)) return;
    const retryAfterS = httpStatus === 503 ? this.#pick(null, 10, 600, 7200) : null;
    this.#dispatch({ type: "linkClosed", linkId: link.id, cause, httpStatus, retryAfterS });
  }

  #say(link: Link, message: Downstream): void {
    this.#sayBytes(link, godwitDialect.encodeDownstream(message));
  }

  #sayBytes(link: Link, frame: Uint8Array): void {
    if (!this.links.has(link.id)) return;
    link.usedMs = this.device.nowMs;
    this.#dispatch({ type: "linkMessage", linkId: link.id, frame });
  }

  #sayBye(link: Link): void {
    this.#say(link, { type: "bye", reason: "shutdown", retryAfterS: this.#pick(0, 60, 3600) });
  }

  #register(link: Link): void {
    this.#say(link, {
      type: "registered",
      status: this.#pick(200, 200, 200, 200, 200, 200, 401),
      uaid: UAID,
      freshUaToken: null,
      idleLimitS: this.#pick(null, null, 600, 100),
      reconnectSpreadS: this.#pick(0, 120),
      canary: link.kind === "websocket" && this.#random() < 0.8 ? "/v1/canary" : null,
      epochMs: this.device.epochMs,
      storeEpoch: STORE_EPOCH,
      channels: null,
      lastId: 0,
    });
    const { linkLifeMs } = this.#weather;
    if (linkLifeMs !== null) this.#later(linkLifeMs, () => this.#close(link, this.#pick("closed", "reset")));
    if (link.kind !== "websocket") return;
    // A service may tell the MQTT link that the WebSocket has taken its place.
    for (const other of this.links.values())
      if (other.kind === "mqtt" && this.#random() < 0.5)
        this.#later(50, () => this.#say(other, { type: "bye", reason: "replaced", retryAfterS: 0 }));
  }

  #dial(effect: EffectOf<"openLink">): void {
    const kind = effect.url.endsWith("/v1/canary") ? "canary" : effect.mqtt === null ? "websocket" : "mqtt";
    const usedMs = this.device.nowMs;
    const link: Link = { id: effect.linkId, kind, isOpen: false, isSilent: false, usedMs };
    this.links.set(link.id, link);
    const { rttMs, [kind]: chosen } = this.#weather;
    // Trouble comes in clusters: what breaks one link often breaks the network while the next is being made.
    if (this.#random() < 0.05) this.#later(this.#random() * rttMs * 3, () => this.#move());
    const answer = this.#label === null ? "unreachable" : chosen;
    if (answer === "unreachable") this.#later(this.#pick(2_000, 20_000), () => this.#close(link, answer));
    else if (answer === "refused" || answer === "tls" || answer === "reset")
      this.#later(rttMs, () => this.#close(link, answer));
    else if (typeof answer === "number") this.#later(rttMs * 2, () => this.#close(link, "refused", answer));
    else this.#later(rttMs * 2, () => this.#open(link, answer, rttMs));
  }

  #open(link: Link, answer: "welcome" | "silent" | "junk" | "bye", rttMs: number): void {
    if (!this.links.has(link.id)) return;
    link.isOpen = true;
    link.isSilent = answer === "silent" && link.kind !== "canary";
    link.usedMs = this.device.nowMs;
    this.#dispatch({ type: "linkOpened", linkId: link.id });
    if (answer === "junk") this.#later(rttMs, () => this.#sayBytes(link, new Uint8Array([255, 1, 2])));
    if (answer === "bye") this.#later(rttMs, () => this.#sayBye(link));
    if (answer === "bye" && link.kind === "websocket")
      this.#later(rttMs * 2, () => this.#close(link, "closed"));
    // Over MQTT the device speaks first. Some services take too long.
    if (answer === "welcome" && link.kind === "websocket")
      this.#later(this.#random() < 0.1 ? 12_000 : rttMs, () => this.#register(link));
  }

  /** A packet of the device; `respond` is what it gets for it, unless something on the way is against it. */
  #carry(link: Link, respond: () => void = () => {}): void {
    const { resets, rttMs, loss } = this.#weather;
    if (link.isSilent || this.#label === null) return;
    if (!this.#isReachable(link)) {
      if (resets) this.#later(rttMs, () => this.#close(link, "reset"));
      return;
    }
    link.usedMs = this.device.nowMs;
    if (this.#random() >= loss) this.#later(rttMs, respond);
  }

  #request({ requestId, url }: EffectOf<"httpRequest">): void {
    this.requestsOpen++;
    const { rttMs, token, probe } = this.#weather;
    const chosen = url === PROBE_URL ? probe : token;
    this.#later(this.#label === null ? 10_000 : rttMs * 2, () => {
      this.requestsOpen--;
      const answer = this.#label === null ? "unreachable" : chosen;
      const [status, cause] = typeof answer === "number" ? [answer, null] : [0, answer];
      const uaToken = `token-${Math.floor(this.#random() * 1e6)}`;
      const body = status === 200 ? JSON.stringify({ uaToken, uaid: "07".repeat(16) }) : null;
      this.#dispatch({ type: "httpResponse", requestId, status, cause, retryAfterS: null, body });
    });
  }

  // --- what the device does ---

  #dispatch(event: AgentEvent): void {
    this.device.dispatch(event);
    const { effects, upstream, reports } = this.device;
    upstream.length = 0;
    reports.length = 0;
    for (const effect of effects.splice(0)) this.#perform(effect, event.type === "linkMessage");
    this.#broken ??= this.#findBroken(this);
  }

  /** `isAwake`: a frame has just woken the device, so that a ping beside it costs no wake-up. */
  #perform(effect: Effect, isAwake: boolean): void {
    if (effect.type === "closeLink") this.links.delete(effect.linkId);
    else if (effect.type === "httpRequest") {
      if (effect.url === PROBE_URL) this.wakeUpsMs.push(this.device.nowMs);
      this.#request(effect);
    } else if (effect.type === "openLink") {
      this.#dial(effect);
      // Spare links, made beside one that is online, are left out: how many there may be is checked on its own.
      if (this.links.get(effect.linkId)?.kind !== "canary" && this.device.status.link !== "online")
        this.wakeUpsMs.push(this.device.nowMs);
    } else if (effect.type === "ping" || effect.type === "send") {
      const link = this.links.get(effect.linkId);
      if (link === undefined) throw new Error(`${effect.type} on a closed link`);
      if (effect.type === "send") this.#receive(link, effect.frame, isAwake);
      else {
        if (link.kind !== "canary" && !isAwake) this.wakeUpsMs.push(this.device.nowMs);
        this.#carry(link, () => {
          if (this.links.has(link.id)) this.#dispatch({ type: "linkPong", linkId: link.id });
        });
      }
    }
  }

  /** The service gets a frame. */
  #receive(link: Link, frame: Uint8Array, isAwake: boolean): void {
    const message = godwitDialect.parseUpstream(frame);
    if (message.type === "probe") {
      if (!isAwake) this.wakeUpsMs.push(this.device.nowMs);
      this.#carry(link, () => this.#say(link, { type: "probeReply", nonce: message.nonce }));
    } else if (message.type === "registerUa") {
      if (this.#weather.mqtt === "welcome") this.#carry(link, () => this.#register(link));
    } else if (message.type === "registerWa") {
      this.#carry(link, () => this.#say(link, { type: "waRegistered", ref: message.ref, ...GRANTED }));
    } else this.#carry(link);
  }
}
