// SPDX-License-Identifier: MIT
/** A scenario: where a device is, what its push service does, what is sent to it; and the form it has in a JSON file. */

import { RADIOS, type RadioName } from "../../src/energy.ts";

/** Time spent on one network, or on none. */
export interface Stretch {
  readonly fromS: number;
  readonly toS: number;
  /** null: no network. */
  readonly radio: RadioName | null;
  /** The label the host reports; null without a network. */
  readonly network: string | null;
  /** A middlebox forgets a flow idle this long. */
  readonly idleTimeoutS: number;
  /** It answers a forgotten flow with a reset; else with silence. */
  readonly resets: boolean;
  /** A captive portal stands in between until then. */
  readonly portalUntilS: number | null;
  /** A gap the system does not notice. */
  readonly isSilent: boolean;
  /** What the device sends is lost; what is sent to it arrives. */
  readonly isUplinkDead: boolean;
  /** The device is suspended and its alarms come at multiples of this only, s; 0: when they are due. */
  readonly alarmFloorS: number;
}

/** A stretch without anything unusual. */
export const PLAIN_STRETCH = {
  resets: false,
  portalUntilS: null,
  isSilent: false,
  isUplinkDead: false,
  alarmFloorS: 0,
} as const;

export interface Restart {
  readonly atS: number;
  /**
   * "close": connections are closed in order; "crash": they are reset when used; "silent": they are forgotten;
   * "unreachable": no restart, but for so long nothing reaches the service, dials neither, and connections do not survive it.
   */
  readonly mode: "close" | "crash" | "silent" | "unreachable";
  readonly downS: number;
}

/** The device's wall clock jumps; the monotonic one does not. */
export interface ClockJump {
  readonly atS: number;
  /** Negative: backwards. */
  readonly byS: number;
}

export interface PushMessage {
  readonly atS: number;
  readonly ttlS: number;
  readonly urgency: "low" | "normal" | "high";
}

export interface Scenario {
  readonly name: string;
  readonly durationS: number;
  readonly stretches: readonly Stretch[];
  readonly restarts: readonly Restart[];
  readonly messages: readonly PushMessage[];
  readonly clockJumps: readonly ClockJump[];
  /** What the service tells as reconnect spread. */
  readonly spreadS: number;
  /** Counting begins here. */
  readonly measureFromS: number;
}

/** Every restart a clean close; a service that cannot be reached stays so. */
export function graceful(scenario: Scenario): Scenario {
  const restarts = scenario.restarts.map(
    (restart): Restart => (restart.mode === "unreachable" ? restart : { ...restart, mode: "close" }),
  );
  return { ...scenario, restarts };
}

/** How far the device's wall clock is off then, s. */
export function clockErrorS({ clockJumps }: Scenario, atS: number): number {
  return clockJumps.reduce((sum, jump) => (atS >= jump.atS ? sum + jump.byS : sum), 0);
}

/**
 * A scenario from the JSON form of SPEC.md.
 *
 * @throws {Error} naming the member that is wrong
 */
export function parseScenario(text: string): Scenario {
  const raw = object(parseJson(text), "scenario", SCENARIO_MEMBERS);
  const stretches = list(raw.stretches, "stretches").map((item, i) => parseStretch(item, `stretches[${i}]`));
  stretches.forEach((stretch, i) => {
    checkJoin(stretches[i - 1] ?? null, stretch, `stretches[${i}]`);
  });
  const durationS = stretches.at(-1)?.toS;
  if (durationS === undefined) throw new Error("stretches: at least one is needed");
  const { name = "file" } = raw;
  if (typeof name !== "string" || name === "") throw new Error("name: must be a text");
  const inTime = <T extends { readonly atS: number }>(
    member: string,
    parse: (item: unknown, where: string) => T,
  ): T[] =>
    list(raw[member] ?? [], member).map((item, i) => {
      const parsed = parse(item, `${member}[${i}]`);
      if (parsed.atS >= durationS)
        throw new Error(`${member}[${i}].atS: is not before the end, ${durationS}`);
      return parsed;
    });
  const spreadS = number(raw.spreadS ?? 0, "spreadS");
  if (!Number.isInteger(spreadS) || spreadS > SPREAD_S_MAX)
    throw new Error(`spreadS: must be whole seconds, at most ${SPREAD_S_MAX}`);
  const measureFromS = number(raw.measureFromS ?? 0, "measureFromS");
  if (measureFromS >= durationS) throw new Error(`measureFromS: is not before the end, ${durationS}`);
  return {
    name,
    durationS,
    stretches,
    restarts: inTime("restarts", parseRestart),
    messages: inTime("messages", parseMessage),
    clockJumps: inTime("clockJumps", parseClockJump),
    spreadS,
    measureFromS,
  };
}

const SPREAD_S_MAX = 86_400;
/** Thirty years. */
const NUMBER_MAX = 1_000_000_000;
const SCENARIO_MEMBERS = [
  "name",
  "stretches",
  "restarts",
  "messages",
  "clockJumps",
  "spreadS",
  "measureFromS",
];
/** Of a stretch on a network only; else they must say nothing: missing, null, false or 0. */
const ONLINE_MEMBERS = ["network", "idleTimeoutS", "resets", "portalUntilS", "isUplinkDead"];
const STRETCH_MEMBERS = ["fromS", "toS", "radio", "alarmFloorS", "isSilent", ...ONLINE_MEMBERS];

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`is not JSON: ${(error as Error).message}`);
  }
}

/** A device is always in exactly one stretch. */
function checkJoin(before: Stretch | null, { fromS, toS }: Stretch, name: string): void {
  if (toS <= fromS) throw new Error(`${name}.toS: must be above fromS, ${fromS}`);
  if (before === null) {
    if (fromS !== 0) throw new Error(`${name}.fromS: the first stretch must start at 0`);
    return;
  }
  if (fromS === before.toS) return;
  const what = fromS < before.toS ? "overlaps the one before" : "leaves a gap behind the one before";
  throw new Error(`${name}.fromS: ${what}, which ends at ${before.toS}`);
}

function parseStretch(item: unknown, name: string): Stretch {
  const raw = object(item, name, STRETCH_MEMBERS);
  const times = {
    fromS: number(raw.fromS, `${name}.fromS`),
    toS: number(raw.toS, `${name}.toS`),
    alarmFloorS: number(raw.alarmFloorS ?? 0, `${name}.alarmFloorS`),
  };
  const isSilent = flag(raw.isSilent, `${name}.isSilent`);
  if (raw.radio === null) {
    const useless = ONLINE_MEMBERS.find((member) => Boolean(raw[member]));
    if (useless !== undefined) throw new Error(`${name}.${useless}: means nothing without a radio`);
    return { ...PLAIN_STRETCH, ...times, radio: null, network: null, idleTimeoutS: 0, isSilent };
  }
  if (isSilent) throw new Error(`${name}.isSilent: is for a stretch without a radio`);
  const { radio, network, portalUntilS = null } = raw;
  if (typeof radio !== "string" || !Object.hasOwn(RADIOS, radio))
    throw new Error(`${name}.radio: must be null or one of ${Object.keys(RADIOS).join(", ")}`);
  if (typeof network !== "string" || network === "")
    throw new Error(`${name}.network: a stretch with a radio needs the name of a network`);
  const idleTimeoutS = number(raw.idleTimeoutS, `${name}.idleTimeoutS`);
  if (idleTimeoutS === 0) throw new Error(`${name}.idleTimeoutS: must be above 0`);
  return {
    ...PLAIN_STRETCH,
    ...times,
    radio: radio as RadioName,
    network,
    idleTimeoutS,
    resets: flag(raw.resets, `${name}.resets`),
    portalUntilS: portalUntilS === null ? null : number(portalUntilS, `${name}.portalUntilS`),
    isUplinkDead: flag(raw.isUplinkDead, `${name}.isUplinkDead`),
  };
}

function parseRestart(item: unknown, name: string): Restart {
  const raw = object(item, name, ["atS", "mode", "downS"]);
  const { mode = "close" } = raw;
  if (mode !== "close" && mode !== "crash" && mode !== "silent" && mode !== "unreachable")
    throw new Error(`${name}.mode: must be close, crash, silent or unreachable`);
  return { atS: number(raw.atS, `${name}.atS`), mode, downS: number(raw.downS ?? 0, `${name}.downS`) };
}

function parseMessage(item: unknown, name: string): PushMessage {
  const raw = object(item, name, ["atS", "ttlS", "urgency"]);
  const { urgency = "normal" } = raw;
  if (urgency !== "low" && urgency !== "normal" && urgency !== "high")
    throw new Error(`${name}.urgency: must be low, normal or high`);
  return { atS: number(raw.atS, `${name}.atS`), ttlS: number(raw.ttlS ?? 3600, `${name}.ttlS`), urgency };
}

function parseClockJump(item: unknown, name: string): ClockJump {
  const raw = object(item, name, ["atS", "byS"]);
  if (typeof raw.byS !== "number" || !Number.isFinite(raw.byS))
    throw new Error(`${name}.byS: must be a number`);
  return { atS: number(raw.atS, `${name}.atS`), byS: raw.byS };
}

/** An object without other members than `members`: a misspelt one would silently do nothing. */
function object(value: unknown, name: string, members: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Error(`${name}: must be an object`);
  const unknown = Object.keys(value).find((key) => !members.includes(key));
  if (unknown !== undefined)
    throw new Error(`${name}.${unknown}: is not known here; there are ${members.join(", ")}`);
  return value as Record<string, unknown>;
}

function list(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`${name}: must be an array`);
}

function number(value: unknown, name: string): number {
  if (typeof value === "number" && value >= 0 && value <= NUMBER_MAX) return value;
  throw new Error(`${name}: must be a number from 0 to ${NUMBER_MAX}`);
}

function flag(value: unknown, name: string): boolean {
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  throw new Error(`${name}: must be true or false`);
}
