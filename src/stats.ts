// SPDX-License-Identifier: MIT
/**
 * `godwit stats`: rates, joules and the distance to the oracle, made of the agent's status. SPEC.md ("Stats") lists the
 * members. Pure, and not part of the agent's core.
 */

import type { LinkState } from "./agent/link-states.ts";
import type { HourReading, MeterReading, WakeCause } from "./agent/meter.ts";
import type { AgentStatus, KnownNetwork } from "./agent/status.ts";
import {
  PROCESSOR_RESUME_J,
  RADIO_NAMES,
  RADIO_OF_KIND,
  type RadioName,
  radioJoules,
  WIRE_BYTES,
} from "./energy.ts";
import { type ErrorCode, GodwitError } from "./errors.ts";
import { BATTERY_MAH_MAX, BATTERY_V_MAX, RATES_AFTER_MS } from "./limits.ts";

export interface StatsOptions {
  /** null: of each network's kind, LTE where that is unknown. */
  readonly radio: RadioName | null;
  readonly batteryMah: number;
  readonly batteryV: number;
}

export const STATS_DEFAULTS: StatsOptions = { radio: null, batteryMah: 1500, batteryV: 3.7 };

/** What keeps an oracle from fewer pings: the network's idle timeout, our own freshness, or the service's idle limit. */
export type OracleBound = "network" | "freshness" | "service";

export interface AgentStats {
  readonly link: LinkState;
  readonly transport: AgentStatus["transport"];
  readonly linkSinceEpochMs: number | null;
  readonly lastReceivedAgoMs: number | null;
  readonly lastMessageAgoMs: number | null;
  readonly retryInMs: number | null;
  readonly alarmInMs: number | null;
  readonly rttMs: number | null;
  readonly lastFault: { readonly code: ErrorCode; readonly text: string } | null;
  readonly countedMs: number | null;
  readonly wakeUps: Readonly<Record<WakeCause, number>>;
  readonly piggybacked: Readonly<Record<WakeCause, number>>;
  readonly wakeUpsPerHour: Readonly<Record<WakeCause | "all", number>> | null;
  readonly wakeUpsByHour: readonly number[];
  readonly wireBytes: number;
  readonly wireBytesPerHour: number | null;
  readonly energy: {
    /** Those the estimate is made with. */
    readonly radios: readonly RadioName[];
    readonly joules: number;
    /** Estimates for the hours of {@link wakeUpsByHour}. */
    readonly joulesByHour: readonly number[];
    readonly joulesPerDay: number | null;
    readonly batteryMah: number;
    readonly batteryV: number;
    readonly batteryPercentPerDay: number | null;
  };
  readonly deafMs: number;
  readonly deafMsPerDay: number | null;
  readonly linksLost: MeterReading["linksLost"];
  readonly triesFailed: MeterReading["triesFailed"];
  readonly alarmsLate: readonly number[];
  readonly alarmLateMsMax: number;
  readonly oracle: {
    /** What the present interval comes to when nothing else is sent. */
    readonly pingsPerHour: number;
    readonly oraclePingsPerHour: number;
    /** What a day of nothing but these pings costs on the present network. */
    readonly joulesPerDay: number;
    readonly oracleJoulesPerDay: number;
    readonly bound: OracleBound;
  };
  readonly network: AgentStatus["network"];
  readonly networks: readonly KnownNetwork[];
}

/**
 * Options of a request; what is missing has its default.
 *
 * @throws {GodwitError} ERR_OPTION
 */
export function parseStatsOptions(members: Readonly<Record<string, unknown>>): StatsOptions {
  const {
    radio = STATS_DEFAULTS.radio,
    batteryMah = STATS_DEFAULTS.batteryMah,
    batteryV = STATS_DEFAULTS.batteryV,
  } = members;
  if (radio !== null && !RADIO_NAMES.some((name) => name === radio))
    throw new GodwitError("ERR_OPTION", `radio must be one of ${RADIO_NAMES.join(", ")}`);
  if (!isWithin(batteryMah, BATTERY_MAH_MAX))
    throw new GodwitError("ERR_OPTION", `batteryMah must be above 0 and at most ${BATTERY_MAH_MAX}`);
  if (!isWithin(batteryV, BATTERY_V_MAX))
    throw new GodwitError("ERR_OPTION", `batteryV must be above 0 and at most ${BATTERY_V_MAX}`);
  return { radio: radio as RadioName | null, batteryMah, batteryV };
}

function isWithin(value: unknown, max: number): value is number {
  return typeof value === "number" && value > 0 && value <= max;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export function statsOf(status: AgentStatus, options: StatsOptions = STATS_DEFAULTS): AgentStats {
  const { meter, network } = status;
  const { countedMs, wakeUps } = meter;
  // A single dial in the first seconds is no 3600 an hour.
  const rate = (count: number, perMs: number) =>
    countedMs === null || countedMs < RATES_AFTER_MS ? null : (count * perMs) / countedMs;
  const all = Object.values(wakeUps).reduce((sum, count) => sum + count, 0);
  const rates = Object.entries({ ...wakeUps, all }).map(([cause, count]) => [cause, rate(count, HOUR_MS)]);
  const { radio, batteryMah, batteryV } = options;
  const joules = joulesOf(meter, radio);
  const joulesPerDay = rate(joules, DAY_MS);
  const batteryJ = (batteryMah / 1000) * 3600 * batteryV;
  const wireBytes = wireBytesOf(meter);
  return {
    link: status.link,
    transport: status.transport,
    linkSinceEpochMs: status.linkSinceEpochMs,
    lastReceivedAgoMs: meter.receivedAgoMs,
    lastMessageAgoMs: meter.messageAgoMs,
    retryInMs: status.retryInMs,
    alarmInMs: status.alarmInMs,
    rttMs: network.rttMs === 0 ? null : network.rttMs,
    lastFault: status.lastFault,
    countedMs,
    wakeUps,
    piggybacked: meter.piggybacked,
    wakeUpsPerHour: rate(0, HOUR_MS) === null ? null : Object.fromEntries(rates),
    wakeUpsByHour: meter.wakeUpsByHour,
    wireBytes,
    wireBytesPerHour: rate(wireBytes, HOUR_MS),
    energy: {
      radios: radio === null ? radiosOf(meter) : [radio],
      joules,
      joulesByHour: meter.hours.map((hour) => joulesOf(hour, radio)),
      joulesPerDay,
      batteryMah,
      batteryV,
      batteryPercentPerDay: joulesPerDay === null ? null : (100 * joulesPerDay) / batteryJ,
    },
    deafMs: meter.deafMs,
    deafMsPerDay: rate(meter.deafMs, DAY_MS),
    linksLost: meter.linksLost,
    triesFailed: meter.triesFailed,
    alarmsLate: meter.alarmsLate,
    alarmLateMsMax: meter.alarmLateMsMax,
    oracle: oracleOf(network, radio ?? RADIO_OF_KIND[meter.networkKind]),
    network,
    networks: status.networks,
  };
}

/** Joules of everything counted, or of one hour, as {@link radioJoules} has it, and of the processor's resumes. */
export function joulesOf({ resumes, radios }: HourReading, radio: RadioName | null): number {
  let joules = resumes * PROCESSOR_RESUME_J;
  for (const [kind, use] of Object.entries(radios))
    joules += radioJoules(radio ?? RADIO_OF_KIND[kind as keyof HourReading["radios"]], use);
  return joules;
}

function radiosOf({ radios, networkKind }: MeterReading): RadioName[] {
  const kinds = [...Object.keys(radios), networkKind] as MeterReading["networkKind"][];
  return [...new Set(kinds.map((kind) => RADIO_OF_KIND[kind]))];
}

/** Frames with what carries them, and what pings, handshakes, probes and canaries take. The first handshake is a full one. */
function wireBytesOf(meter: MeterReading): number {
  const { wakeUps, piggybacked, triesFailed, canariesOpened } = meter;
  const failed = Object.values(triesFailed).reduce((sum, count) => sum + count, 0);
  const opened = Math.max(0, wakeUps.connect + piggybacked.connect + canariesOpened - failed);
  return (
    meter.bytesSent +
    meter.framesSent * WIRE_BYTES.frameUp +
    meter.bytesReceived +
    meter.framesReceived * WIRE_BYTES.frameDown +
    (wakeUps.ping + piggybacked.ping + canariesOpened) * WIRE_BYTES.ping +
    (wakeUps.probe + piggybacked.probe) * WIRE_BYTES.probe +
    failed * WIRE_BYTES.refused +
    opened * WIRE_BYTES.resume +
    (opened > 0 ? WIRE_BYTES.connect - WIRE_BYTES.resume : 0)
  );
}

/** One who knew the idle timeout would ping just before it, or as late as freshness and service allow. */
function oracleOf(network: AgentStatus["network"], radio: RadioName): AgentStats["oracle"] {
  const { intervalMs, hiMs, freshnessMs, idleLimitMs, rttMs } = network;
  // What is known to fail is the most that the timeout can be; with no failure known, it is no bound.
  const bounds: readonly (readonly [OracleBound, number])[] = [
    ["freshness", freshnessMs],
    ["service", idleLimitMs ?? Number.POSITIVE_INFINITY],
    ["network", hiMs ?? Number.POSITIVE_INFINITY],
  ];
  const [bound, limitMs] = bounds.reduce((least, one) => (one[1] < least[1] ? one : least));
  const pingJ = radioJoules(radio, { wakeUps: 1, piggybacked: 0, busyMs: rttMs }) + PROCESSOR_RESUME_J;
  return {
    pingsPerHour: HOUR_MS / intervalMs,
    oraclePingsPerHour: HOUR_MS / limitMs,
    joulesPerDay: (pingJ * DAY_MS) / intervalMs,
    oracleJoulesPerDay: (pingJ * DAY_MS) / limitMs,
    bound,
  };
}
