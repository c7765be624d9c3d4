// SPDX-License-Identifier: MIT
/**
 * Random days of the real agent in a hostile world, in virtual time: networks that come and go, middleboxes that forget,
 * services, brokers, tokens and portals that answer anything, alarms that come hours late. After every event the
 * promises of the connection are checked. All of it follows from the seed. Pure, so the same specs run in QuickJS.
 */

import { seededRandom } from "../../bench/battery/seeded-random.ts";
import type { AgentEvent, Effect, LinkCause } from "../../src/agent/events.ts";
import type { EffectOf } from "../../src/host/host.ts";
import { CANARIES_MAX, WAKE_UPS_PER_HOUR_MAX } from "../../src/limits.ts";
import type { Downstream } from "../../src/wire/dialect.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { HOUR, MINUTE, MQTT_URLS, NEWS } from "./online.ts";
import { Device, STORE_EPOCH, UAID } from "./world.ts";

const PROBE_URL = "http://probe.example/204";
/** This many alarms within a second are a loop. */
const STORM_ALARMS = 50;

/** How a dial ends: with a status of the upgrade, a cause, or a link whose service then behaves like this. */
type Answer = number | "welcome" | "silent" | "junk" | "bye" | "refused" | "unreachable" | "tls" | "reset";
const SERVICE_ANSWERS: readonly Answer[] = [
  ...(["welcome", "welcome", "welcome", "welcome", "silent", "junk", "bye"] as const),
  ...(["refused", "unreachable", "tls", "reset", 302, 401, 403, 503, 503] as const),
];
const CANARY_ANSWERS: readonly Answer[] = ["silent", "silent", "silent", 404, 503, "unreachable", "reset"];
/** Statuses of the token request and causes for there being none. */
const TOKEN_ANSWERS: readonly (number | LinkCause)[] = [200, 200, 500, 403, 302, "unreachable", "tls"];

interface Link {
  readonly id: number;
  readonly kind: "websocket" | "mqtt" | "canary";
  isOpen: boolean;
  /** Its other end takes what comes and never says anything. */
  isSilent: boolean;
  /** When the middlebox last saw a packet of it. */
  usedMs: number;
}

/** What the world is like for a while. */
interface Weather {
  readonly websocket: Answer;
  readonly mqtt: Answer;
  readonly canary: Answer;
  readonly token: number | LinkCause;
  /** Status of the portal probe; 0: no answer. */
  readonly probe: number;
  /** A flow idle for this long is forgotten by the middlebox. */
  readonly natMs: number;
  /** The middlebox resets a forgotten flow: at once, or at its next packet. */
  readonly tells: boolean;
  readonly resets: boolean;
  readonly rttMs: number;
  /** Share of the packets whose answer is lost. */
  readonly loss: number;
  readonly latenessMsMax: number;
  /** The service closes every link this long after it has registered; null: it does not. */
  readonly linkLifeMs: number | null;
}

export class RandomDays {
  /** The first broken promise, with hour and state; null while there is none. */
  violation: string | null = null;
  /** What happened, so that a spec can see that the days were neither dead nor peaceful. */
  readonly tally = { onlineMs: 0, websockets: 0, mqttLinks: 0, canaries: 0, probes: 0, wakeUpsInAnHour: 0 };
  readonly #device: Device;
  readonly #random: () => number;
  readonly #links = new Map<number, Link>();
  /** What the world will do, earliest first. */
  readonly #plans: { readonly atMs: number; readonly act: () => void }[] = [];
  #weather: Weather;
  #label: string | null = "wifi";
  #requestsOpen = 0;
  /** Budgeted wake-ups of the last hour, and the last alarms. */
  #wakeUpsMs: number[] = [];
  #alarmsMs: number[] = [];

  constructor(seed: number) {
    this.#random = seededRandom(seed * 7919 + 13);
    const mqttUrls = this.#chance(0.7) ? MQTT_URLS : [];
    const portal = this.#chance(0.6) ? { portalProbeUrl: PROBE_URL } : {};
    this.#device = new Device({ seed, keepConnected: true, heartbeatMs: null, mqttUrls, ...portal });
    // The first connection gets a chance, so that there is something to lose.
    this.#weather = { ...this.#newWeather(), websocket: "welcome", token: 200 };
    this.#setNetwork("wifi");
    this.#dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    this.#device.subscribe(NEWS);
    this.#observe(null);
    this.#repeat(
      () => this.#pick([1, 5, 20, 60, 180, 600]) * MINUTE * (0.5 + this.#random()),
      this.#changeWeather,
    );
    this.#repeat(
      () => this.#pick([0.01, 1, 30, 120, 600, 2000]) * MINUTE * (0.5 + this.#random()),
      this.#move,
    );
    this.#repeat(() => this.#pick([1, 10, 40, 200]) * MINUTE * this.#random(), this.#serve);
    this.#repeat(() => 10_000, this.#forgetAloud);
  }

  /** Lets `hours` pass, or what comes before the first violation. An exception is one. */
  run(hours: number): void {
    const endMs = this.#device.nowMs + hours * HOUR;
    try {
      while (this.violation === null && this.#device.nowMs < endMs) this.#step();
    } catch (error) {
      this.#blame(`threw ${String(error)}\n${error instanceof Error ? error.stack : ""}`);
    }
  }

  // --- time ---

  #step(): void {
    const alarmMs = this.#alarmMs();
    const plan = this.#plans[0];
    if (plan !== undefined && plan.atMs <= alarmMs) {
      this.#plans.shift();
      this.#advance(plan.atMs);
      return plan.act();
    }
    this.#advance(alarmMs);
    this.#device.alarm = null;
    this.#alarmsMs = [...this.#alarmsMs.slice(-STORM_ALARMS), alarmMs];
    const [firstMs = 0] = this.#alarmsMs;
    if (this.#alarmsMs.length > STORM_ALARMS && alarmMs - firstMs < 1000) this.#blame("alarm storm");
    this.#dispatch({ type: "alarm" });
  }

  #advance(toMs: number): void {
    const { nowMs, status } = this.#device;
    if (status.link === "online") this.tally.onlineMs += toMs - nowMs;
    this.#device.nowMs = toMs;
  }

  /** When the alarm rings. A device that sleeps until then may sleep longer; anything else that wakes it lets it ring. */
  #alarmMs(): number {
    const { alarm, nowMs } = this.#device;
    if (alarm === null) return Number.POSITIVE_INFINITY;
    const dueMs = Math.ceil(Math.max(nowMs, alarm.atMs + alarm.windowMs));
    // Taken from the alarm, not drawn: the same alarm is asked about before each step.
    const lateness = (Math.floor(alarm.atMs) % 97) / 97;
    return dueMs - nowMs <= 5_000 ? dueMs : dueMs + Math.round(this.#weather.latenessMsMax * lateness);
  }

  #later(delayMs: number, act: () => void): void {
    const atMs = this.#device.nowMs + Math.round(delayMs);
    const index = this.#plans.findIndex((plan) => plan.atMs > atMs);
    this.#plans.splice(index === -1 ? this.#plans.length : index, 0, { atMs, act });
  }

  #repeat(delayMs: () => number, act: () => void): void {
    this.#later(delayMs(), () => {
      act.call(this);
      this.#repeat(delayMs, act);
    });
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.#random() * items.length)] as Item;
  }

  // --- what the world does of its own accord ---

  #newWeather(): Weather {
    const isSane = this.#chance(0.55);
    return {
      websocket: isSane ? "welcome" : this.#pick(SERVICE_ANSWERS),
      mqtt: isSane ? "welcome" : this.#pick(SERVICE_ANSWERS),
      canary: this.#pick(CANARY_ANSWERS),
      token: isSane ? 200 : this.#pick(TOKEN_ANSWERS),
      probe: this.#pick([204, 302, 0, 404, 511]),
      natMs: this.#pick([40_000, 100_000, 150_000, 250_000, 600_000, 1_900_000, Number.POSITIVE_INFINITY]),
      tells: this.#chance(0.3),
      resets: this.#chance(0.5),
      rttMs: this.#pick([50, 100, 800, 4000]),
      loss: this.#pick([0, 0, 0, 0.05, 0.5, 1]),
      latenessMsMax: this.#pick([0, 0, 0, 0, 30_000, 120_000, 1_500_000, 8 * HOUR]),
      linkLifeMs: this.#chance(0.1) ? this.#pick([5_000, 30_000, 70_000]) : null,
    };
  }

  #changeWeather(): void {
    this.#weather = this.#newWeather();
  }

  #setNetwork(label: string | null): void {
    this.#label = label;
    const network = label === null ? null : ({ label, kind: "wifi", metered: false } as const);
    this.#dispatch({ type: "networkChanged", network });
    if (label === null)
      this.#later(this.#random() * 20 * MINUTE, () => this.#setNetwork(this.#pick(["wifi", "lte"])));
  }

  #move(): void {
    const label = this.#label;
    if (label === null || this.#chance(0.6))
      return this.#setNetwork(this.#pick(["wifi", "lte", "office", null]));
    const network = { label, kind: "wifi", metered: false } as const;
    this.#dispatch({ type: "networkChanged", network, hasNewAddress: true });
  }

  /** The service says something on its links, closes them, or does nothing. */
  #serve(): void {
    for (const link of [...this.#links.values()]) {
      if (!link.isOpen || link.kind === "canary" || link.isSilent || !this.#isReachable(link)) continue;
      const draw = this.#random();
      // An answer nobody asked for stands for any frame.
      if (draw < 0.7) this.#say(link, { type: "probeReply", nonce: 4_000_000 });
      else if (draw < 0.75) this.#sayBye(link);
      else if (draw < 0.8)
        this.#close(link, this.#pick(["closed", "reset", "unreachable", "protocol"] as const));
    }
  }

  #forgetAloud(): void {
    if (!this.#weather.tells || this.#label === null) return;
    for (const link of [...this.#links.values()])
      if (link.isOpen && !this.#isReachable(link)) this.#close(link, "reset");
  }

  // --- links and requests ---

  /** Its flow is not forgotten and there is a network. */
  #isReachable(link: Link): boolean {
    return this.#label !== null && this.#device.nowMs - link.usedMs < this.#weather.natMs;
  }

  #close(
    link: Link,
    cause: LinkCause,
    httpStatus: number | null = null,
    retryAfterS: number | null = null,
  ): void {
    if (!this.#links.delete(link.id)) return;
    this.#dispatch({ type: "linkClosed", linkId: link.id, cause, httpStatus, retryAfterS });
  }

  #say(link: Link, message: Downstream): void {
    this.#sayBytes(link, godwitDialect.encodeDownstream(message));
  }

  #sayBytes(link: Link, frame: Uint8Array): void {
    if (!this.#links.has(link.id)) return;
    link.usedMs = this.#device.nowMs;
    this.#dispatch({ type: "linkMessage", linkId: link.id, frame });
  }

  #sayBye(link: Link): void {
    this.#say(link, { type: "bye", reason: "shutdown", retryAfterS: this.#pick([0, 60, 3600]) });
  }

  #register(link: Link): void {
    this.#say(link, {
      type: "registered",
      status: this.#pick([200, 200, 200, 200, 200, 200, 401] as const),
      uaid: UAID,
      freshUaToken: null,
      idleLimitS: this.#pick([null, null, 600, 100]),
      reconnectSpreadS: this.#pick([0, 120]),
      canary: link.kind === "websocket" && this.#chance(0.8) ? "/v1/canary" : null,
      epochMs: this.#device.epochMs,
      storeEpoch: STORE_EPOCH,
      channels: null,
      lastId: 0,
    });
    const { linkLifeMs } = this.#weather;
    if (linkLifeMs !== null)
      this.#later(linkLifeMs, () => this.#close(link, this.#pick(["closed", "reset"] as const)));
    if (link.kind !== "websocket") return;
    // A service may tell the MQTT link that the WebSocket has taken its place.
    for (const other of this.#links.values())
      if (other.kind === "mqtt" && this.#chance(0.5))
        this.#later(50, () => this.#say(other, { type: "bye", reason: "replaced", retryAfterS: 0 }));
  }

  #dial(effect: EffectOf<"openLink">): void {
    const kind = effect.url.endsWith("/v1/canary") ? "canary" : effect.mqtt === null ? "websocket" : "mqtt";
    const link: Link = {
      id: effect.linkId,
      kind,
      isOpen: false,
      isSilent: false,
      usedMs: this.#device.nowMs,
    };
    this.#links.set(link.id, link);
    this.tally[kind === "canary" ? "canaries" : kind === "mqtt" ? "mqttLinks" : "websockets"]++;
    const { rttMs, [kind]: chosen } = this.#weather;
    const answer = this.#label === null ? "unreachable" : chosen;
    if (answer === "unreachable") this.#later(this.#pick([2_000, 20_000]), () => this.#close(link, answer));
    else if (answer === "refused" || answer === "tls" || answer === "reset")
      this.#later(rttMs, () => this.#close(link, answer));
    else if (typeof answer === "number") {
      const retryAfterS = answer === 503 ? this.#pick([null, 10, 600, 7200]) : null;
      this.#later(rttMs * 2, () => this.#close(link, "refused", answer, retryAfterS));
    } else this.#later(rttMs * 2, () => this.#open(link, answer, rttMs));
  }

  #open(link: Link, answer: "welcome" | "silent" | "junk" | "bye", rttMs: number): void {
    if (!this.#links.has(link.id)) return;
    link.isOpen = true;
    link.isSilent = answer === "silent" && link.kind !== "canary";
    link.usedMs = this.#device.nowMs;
    this.#dispatch({ type: "linkOpened", linkId: link.id });
    if (answer === "junk") this.#later(rttMs, () => this.#sayBytes(link, new Uint8Array([255, 1, 2])));
    if (answer === "bye") this.#later(rttMs, () => this.#sayBye(link));
    if (answer === "bye" && link.kind === "websocket")
      this.#later(rttMs * 2, () => this.#close(link, "closed"));
    // Over MQTT the device speaks first. Some services take too long.
    if (answer === "welcome" && link.kind === "websocket")
      this.#later(this.#chance(0.1) ? 12_000 : rttMs, () => this.#register(link));
  }

  /** A packet of the device; `respond` is what it gets for it, unless something on the way is against it. */
  #carry(link: Link, respond: () => void = () => {}): void {
    const { resets, rttMs, loss } = this.#weather;
    if (link.isSilent || this.#label === null) return;
    if (!this.#isReachable(link)) {
      if (resets) this.#later(rttMs, () => this.#close(link, "reset"));
      return;
    }
    link.usedMs = this.#device.nowMs;
    if (!this.#chance(loss)) this.#later(rttMs, respond);
  }

  #request({ requestId, url }: EffectOf<"httpRequest">): void {
    this.#requestsOpen++;
    const { rttMs, token, probe } = this.#weather;
    if (url === PROBE_URL) this.tally.probes++;
    const chosen = url === PROBE_URL ? probe || "unreachable" : token;
    this.#later(this.#label === null ? 10_000 : rttMs * 2, () => {
      this.#requestsOpen--;
      const answer = this.#label === null ? "unreachable" : chosen;
      const [status, cause] = typeof answer === "number" ? [answer, null] : [0, answer];
      const uaToken = `token-${Math.floor(this.#random() * 1e6)}`;
      const body = status === 200 ? JSON.stringify({ uaToken, uaid: "07".repeat(16) }) : null;
      this.#dispatch({ type: "httpResponse", requestId, status, cause, retryAfterS: null, body });
    });
  }

  // --- the device and what it has promised ---

  #dispatch(event: AgentEvent): void {
    this.#device.dispatch(event);
    this.#observe(event);
  }

  #observe(event: AgentEvent | null): void {
    const { effects, upstream, reports } = this.#device;
    upstream.length = 0;
    reports.length = 0;
    for (const effect of effects.splice(0)) this.#perform(effect, event?.type === "linkMessage");
    this.#checkLinks();
    this.#checkProgress();
  }

  /** `isAwake`: a frame has just woken the device, so that a ping beside it costs no wake-up. */
  #perform(effect: Effect, isAwake: boolean): void {
    if (effect.type === "closeLink") this.#links.delete(effect.linkId);
    else if (effect.type === "httpRequest") {
      if (effect.url === PROBE_URL) this.#countWakeUp();
      this.#request(effect);
    } else if (effect.type === "openLink") {
      this.#dial(effect);
      // The spare link that is made while the other still serves is no sign of trouble and costs no budget.
      if (this.#links.get(effect.linkId)?.kind !== "canary" && this.#device.status.link !== "online")
        this.#countWakeUp();
    } else if (effect.type === "ping" || effect.type === "send") {
      const link = this.#links.get(effect.linkId);
      if (link === undefined) return this.#blame(`${effect.type} on a closed link`);
      if (effect.type === "send") this.#receive(link, effect.frame, isAwake);
      else {
        if (link.kind !== "canary" && !isAwake) this.#countWakeUp();
        this.#carry(link, () => {
          if (this.#links.has(link.id)) this.#dispatch({ type: "linkPong", linkId: link.id });
        });
      }
    }
  }

  /** The service gets a frame. */
  #receive(link: Link, frame: Uint8Array, isAwake: boolean): void {
    const message = godwitDialect.parseUpstream(frame);
    if (message.type === "probe") {
      if (!isAwake) this.#countWakeUp();
      this.#carry(link, () => this.#say(link, { type: "probeReply", nonce: message.nonce }));
    } else if (message.type === "registerUa") {
      if (this.#weather.mqtt === "welcome") this.#carry(link, () => this.#register(link));
    } else if (message.type === "registerWa") {
      const granted = {
        status: 200,
        channel: 1,
        endpoint: "https://push.example/p/1",
        expirationTime: null,
      } as const;
      this.#carry(link, () => this.#say(link, { type: "waRegistered", ref: message.ref, ...granted }));
    } else this.#carry(link);
  }

  #countWakeUp(): void {
    const { nowMs } = this.#device;
    this.#wakeUpsMs = [...this.#wakeUpsMs.filter((ms) => nowMs - ms < HOUR), nowMs];
    const { length } = this.#wakeUpsMs;
    this.tally.wakeUpsInAnHour = Math.max(this.tally.wakeUpsInAnHour, length);
    if (length > WAKE_UPS_PER_HOUR_MAX) this.#blame(`${length} budgeted wake-ups in an hour`);
  }

  #checkLinks(): void {
    const state = this.#device.status.link;
    const links = [...this.#links.values()];
    const canaries = links.filter((link) => link.kind === "canary").length;
    const mains = links.length - canaries;
    const mainsMax = state === "online" ? 2 : state === "dialing" || state === "greeting" ? 1 : 0;
    if (mains > mainsMax) this.#blame(`${mains} main links`);
    if (canaries > (state === "online" ? CANARIES_MAX : 0)) this.#blame(`${canaries} canaries`);
  }

  /** Every state has something that ends it. The device is to stay connected, so it never idles. */
  #checkProgress(): void {
    const { status, alarm } = this.#device;
    const hasRequest = this.#requestsOpen > 0;
    if (status.link === "idle" || status.link === "stopped") this.#blame("gave up");
    if (status.link === "token" && !hasRequest) this.#blame("no token request");
    if (status.link === "waiting" && alarm === null && !hasRequest) this.#blame("nothing to wait for");
    const isConnecting = status.link === "dialing" || status.link === "greeting";
    if ((isConnecting || status.link === "online") && alarm === null) this.#blame("no alarm");
  }

  #blame(what: string): void {
    const { nowMs, status } = this.#device;
    this.violation ??= `${what}, ${status.link}, after ${(nowMs / HOUR).toFixed(3)} h`;
  }
}
