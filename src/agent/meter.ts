// SPDX-License-Identifier: MIT
/**
 * Counts what the connection costs: wake-ups by cause, bytes, losses, deaf time, and the last signs of life. Rates and joules
 * are made of it in ../stats.ts, outside of the core. Pure.
 */

import { DIAL_REPEATS_MS, METER_HOURS_MAX, PROCESSOR_AWAKE_MS, RADIO_TAIL_MS } from "../limits.ts";
import type { Alarm, Emit, LinkCause, Network } from "./events.ts";
import type { LinkInput, LinkState } from "./link-states.ts";

/** "message": any frame that came unasked. "request": any frame of ours. "connect": a dial, or the token before it. */
export type WakeCause = "ping" | "connect" | "probe" | "message" | "request";
type Causes = Record<WakeCause, number>;

/** What went over radios of one kind. */
export interface RadioUse {
  wakeUps: number;
  /** Actions and frames that found it on. */
  piggybacked: number;
  /** How long traffic behind a wake-up kept it on, without the tail behind the last of it. */
  busyMs: number;
}

/** What one hour since the start had. */
export interface HourReading {
  resumes: number;
  readonly radios: Partial<Record<Network["kind"], RadioUse>>;
}

export interface MeterReading {
  /** What all of this was counted in; null before the first event. */
  readonly countedMs: number | null;
  /** Own actions and incoming frames after {@link RADIO_TAIL_MS} of silence. */
  readonly wakeUps: Readonly<Causes>;
  /** Those within it. */
  readonly piggybacked: Readonly<Causes>;
  /** Wake-ups in each of the last hours since the start, the present one last. */
  readonly wakeUpsByHour: readonly number[];
  /** The same hours by kind of network, with what an estimate of their energy needs. */
  readonly hours: readonly Readonly<HourReading>[];
  /** Of the present network, or the last one. */
  readonly networkKind: Network["kind"];
  readonly radios: Readonly<Partial<Record<Network["kind"], Readonly<RadioUse>>>>;
  /** Side links opened to learn from; they ride along and wake nothing. */
  readonly canariesOpened: number;
  /** Times an event came after {@link PROCESSOR_AWAKE_MS} without one. */
  readonly resumes: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly framesSent: number;
  readonly framesReceived: number;
  /** Registered links. "network": the device went elsewhere. */
  readonly linksLost: Readonly<Partial<Record<LinkCause | "network", number>>>;
  /** Tries that came to no registered link. "captive": they met a portal. */
  readonly triesFailed: Readonly<Partial<Record<LinkCause | "captive", number>>>;
  /** Time without a registered link although one was wanted and there was a network, with that between a link's last sign of
   * life and the moment it was found dead. */
  readonly deafMs: number;
  readonly messages: Readonly<Record<"received" | "delivered" | "shown" | "dropped", number>>;
  /** Alarms by how late they came: up to 1 s, 10 s, 60 s, and more. */
  readonly alarmsLate: readonly number[];
  readonly alarmLateMsMax: number;
  /** Time since the last frame that came in, or null before the first. */
  readonly receivedAgoMs: number | null;
  readonly sentAgoMs: number | null;
  /** Time since the last push message. */
  readonly messageAgoMs: number | null;
}

const HOUR_MS = 3_600_000;
const LATE_MS = [1_000, 10_000, 60_000];
const DEAF_STATES: readonly LinkState[] = ["token", "dialing", "greeting", "waiting"];

export class Meter {
  #nowMs = Number.NEGATIVE_INFINITY;
  #startMs: number | null = null;
  #kind: Network["kind"] = "unknown";
  #label: string | null = null;
  #state: LinkState = "idle";
  #stateMs = 0;
  /** Last proof that the registered link worked; null while there is none. */
  #aliveMs: number | null = null;
  #trafficMs = Number.NEGATIVE_INFINITY;
  #lastReceivedMs: number | null = null;
  #lastSentMs: number | null = null;
  #lastMessageMs: number | null = null;
  readonly #wakeUps = noCauses();
  readonly #piggybacked = noCauses();
  /** The last hours, and the one of all before them. */
  readonly #hours: HourReading[] = [];
  readonly #past = newHour();
  #present = newHour();
  #hour = 0;
  readonly #linksLost: Partial<Record<LinkCause | "network", number>> = {};
  readonly #triesFailed: Partial<Record<LinkCause | "captive", number>> = {};
  readonly #messages = { received: 0, delivered: 0, shown: 0, dropped: 0 };
  readonly #alarmsLate = [0, 0, 0, 0];
  readonly #sums = {
    canariesOpened: 0,
    bytesSent: 0,
    bytesReceived: 0,
    framesSent: 0,
    framesReceived: 0,
    deafMs: 0,
    alarmLateMsMax: 0,
  };

  /** Call at the beginning of every event. */
  handleNow(monotonicMs: number): void {
    this.#startMs ??= monotonicMs;
    const hour = this.#hourOf(monotonicMs);
    for (let i = Math.min(hour - this.#hour, METER_HOURS_MAX); i > 0; i--) this.#endHour();
    this.#hour = hour;
    if (monotonicMs - this.#nowMs >= PROCESSOR_AWAKE_MS) this.#present.resumes++;
    this.#nowMs = monotonicMs;
  }

  /** @param network the device is on now, null for none; the same one again is no news */
  handleNetwork(network: Network | null): void {
    if (network !== null && network.label === this.#label) return;
    this.#label = network?.label ?? null;
    this.#kind = network?.kind ?? this.#kind;
    // Another radio has to be woken.
    this.#trafficMs = Number.NEGATIVE_INFINITY;
  }

  /** It went off. */
  handleAlarm(alarm: Alarm | null): void {
    if (alarm === null) return;
    const lateMs = this.#nowMs - alarm.atMs - alarm.windowMs;
    const bucket = LATE_MS.filter((ms) => lateMs > ms).length;
    this.#alarmsLate[bucket] = (this.#alarmsLate[bucket] ?? 0) + 1;
    this.#sums.alarmLateMsMax = Math.max(this.#sums.alarmLateMsMax, lateMs);
  }

  /** The link went into `state`. */
  handleStep(input: LinkInput, state: LinkState): void {
    this.#sums.deafMs += this.#deafNowMs(this.#nowMs);
    this.#state = state;
    this.#stateMs = this.#nowMs;
    if (state === "online") this.#aliveMs = this.#nowMs;
    // Whoever is lost says so in countLost; in these states a link went on our own wish.
    if (state !== "idle" && state !== "offline") return;
    if (this.#aliveMs !== null && input !== "unneeded") add(this.#linksLost, "network");
    this.#aliveMs = null;
  }

  countWakeUp(cause: WakeCause): void {
    const isOn = this.#nowMs - this.#trafficMs < RADIO_TAIL_MS;
    const radio = this.#keepOn();
    if (isOn) {
      this.#piggybacked[cause]++;
      radio.piggybacked++;
    } else {
      this.#wakeUps[cause]++;
      radio.wakeUps++;
    }
  }

  /** Its cause is counted apart: a frame may be a ping. */
  countSent(bytes: number): void {
    this.#sums.bytesSent += bytes;
    this.#sums.framesSent++;
    this.#lastSentMs = this.#nowMs;
  }

  countReceived(bytes: number): void {
    this.countWakeUp("message");
    this.#sums.bytesReceived += bytes;
    this.#sums.framesReceived++;
    this.#handleAlive();
  }

  /** The main link answered a ping. */
  countPong(): void {
    this.#keepOn();
    this.#handleAlive();
  }

  /** Returns an `emit` for whoever emits canaries only. */
  countCanaries(emit: Emit): Emit {
    return (effect) => {
      if (effect.type === "openLink") this.#sums.canariesOpened++;
      emit(effect);
    };
  }

  /** A link ended, or a try to get one; after {@link handleStep}. null: another took its place, and it was well. */
  countLost(cause: LinkCause | "captive" | null): void {
    const aliveMs = this.#aliveMs;
    this.#aliveMs = null;
    if (cause === null) return;
    // Nobody answered: the first packet went again and again, and kept the radio on.
    const silentMs = this.#nowMs - this.#trafficMs;
    if (aliveMs === null && cause === "unreachable" && silentMs >= RADIO_TAIL_MS)
      this.#keepOn().busyMs += Math.min(silentMs, DIAL_REPEATS_MS);
    if (aliveMs === null || cause === "captive") return add(this.#triesFailed, cause);
    add(this.#linksLost, cause);
    // Other causes are told by a peer, or found by us, on a link that works.
    if (cause === "reset" || cause === "unreachable") this.#sums.deafMs += this.#nowMs - aliveMs;
  }

  countMessage(what: keyof MeterReading["messages"]): void {
    this.#messages[what]++;
    if (what === "received") this.#lastMessageMs = this.#nowMs;
  }

  read(monotonicMs: number): MeterReading {
    const agoMs = (atMs: number | null) => (atMs === null ? null : monotonicMs - atMs);
    const all = [this.#past, ...this.#hours, this.#present];
    // Hours without any event have not ended yet.
    const silent = this.#hourOf(monotonicMs) - this.#hour;
    const hours = [...all.slice(1), ...Array.from({ length: Math.min(silent, METER_HOURS_MAX) }, newHour)]
      .slice(-METER_HOURS_MAX)
      .map((hour) => addHour(newHour(), hour));
    return {
      ...this.#sums,
      ...all.reduce(addHour, newHour()),
      countedMs: agoMs(this.#startMs),
      wakeUps: { ...this.#wakeUps },
      piggybacked: { ...this.#piggybacked },
      wakeUpsByHour: hours.map(({ radios }) =>
        Object.values(radios).reduce((sum, { wakeUps }) => sum + wakeUps, 0),
      ),
      hours,
      networkKind: this.#kind,
      linksLost: { ...this.#linksLost },
      triesFailed: { ...this.#triesFailed },
      deafMs: this.#sums.deafMs + this.#deafNowMs(monotonicMs),
      messages: { ...this.#messages },
      alarmsLate: [...this.#alarmsLate],
      receivedAgoMs: agoMs(this.#lastReceivedMs),
      sentAgoMs: agoMs(this.#lastSentMs),
      messageAgoMs: agoMs(this.#lastMessageMs),
    };
  }

  /** Hours since the start that have ended. */
  #hourOf(monotonicMs: number): number {
    return Math.floor((monotonicMs - (this.#startMs ?? monotonicMs)) / HOUR_MS);
  }

  #endHour(): void {
    this.#hours.push(this.#present);
    this.#present = newHour();
    if (this.#hours.length < METER_HOURS_MAX) return;
    const oldest = this.#hours.shift();
    if (oldest !== undefined) addHour(this.#past, oldest);
  }

  /** Deaf time of the present state. */
  #deafNowMs(monotonicMs: number): number {
    return DEAF_STATES.includes(this.#state) ? monotonicMs - this.#stateMs : 0;
  }

  #handleAlive(): void {
    this.#lastReceivedMs = this.#nowMs;
    if (this.#aliveMs !== null) this.#aliveMs = this.#nowMs;
  }

  /** Something goes over the radio now. */
  #keepOn(): RadioUse {
    const radio = radioOf(this.#present, this.#kind);
    const idleMs = this.#nowMs - this.#trafficMs;
    if (idleMs < RADIO_TAIL_MS) radio.busyMs += idleMs;
    this.#trafficMs = this.#nowMs;
    return radio;
  }
}

function noCauses(): Causes {
  return { ping: 0, connect: 0, probe: 0, message: 0, request: 0 };
}

function newHour(): HourReading {
  return { resumes: 0, radios: {} };
}

function radioOf({ radios }: HourReading, kind: Network["kind"]): RadioUse {
  const radio = radios[kind] ?? { wakeUps: 0, piggybacked: 0, busyMs: 0 };
  radios[kind] = radio;
  return radio;
}

/** Adds `hour` to `sum` and returns it. */
function addHour(sum: HourReading, hour: HourReading): HourReading {
  sum.resumes += hour.resumes;
  for (const [kind, use] of Object.entries(hour.radios)) {
    const radio = radioOf(sum, kind as Network["kind"]);
    radio.wakeUps += use.wakeUps;
    radio.piggybacked += use.piggybacked;
    radio.busyMs += use.busyMs;
  }
  return sum;
}

function add<Key extends string>(counts: Partial<Record<Key, number>>, key: Key): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
