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
  const raw = object(JSON.parse(text), "scenario");
  const stretches = list(raw.stretches, "stretches").map((item, i) => parseStretch(item, `stretches[${i}]`));
  const last = stretches.at(-1);
  if (last === undefined) throw new Error("stretches: at least one is needed");
  return {
    name: typeof raw.name === "string" ? raw.name : "file",
    durationS: last.toS,
    stretches,
    restarts: list(raw.restarts ?? [], "restarts").map((item, i) => parseRestart(item, `restarts[${i}]`)),
    messages: list(raw.messages ?? [], "messages").map((item, i) => parseMessage(item, `messages[${i}]`)),
    clockJumps: list(raw.clockJumps ?? [], "clockJumps").map((item, i) =>
      parseClockJump(item, `clockJumps[${i}]`),
    ),
    spreadS: number(raw.spreadS ?? 0, "spreadS"),
    measureFromS: number(raw.measureFromS ?? 0, "measureFromS"),
  };
}

function parseStretch(item: unknown, name: string): Stretch {
  const raw = object(item, name);
  const radio = raw.radio ?? null;
  if (radio !== null && !(typeof radio === "string" && radio in RADIOS))
    throw new Error(`${name}.radio: null or one of ${Object.keys(RADIOS).join(", ")}`);
  return {
    fromS: number(raw.fromS, `${name}.fromS`),
    toS: number(raw.toS, `${name}.toS`),
    radio: radio as RadioName | null,
    network: radio === null ? null : String(raw.network ?? radio),
    idleTimeoutS: radio === null ? 0 : number(raw.idleTimeoutS, `${name}.idleTimeoutS`),
    resets: raw.resets === true,
    portalUntilS: raw.portalUntilS === undefined ? null : number(raw.portalUntilS, `${name}.portalUntilS`),
    isSilent: raw.isSilent === true,
    isUplinkDead: raw.isUplinkDead === true,
    alarmFloorS: number(raw.alarmFloorS ?? 0, `${name}.alarmFloorS`),
  };
}

function parseRestart(item: unknown, name: string): Restart {
  const raw = object(item, name);
  const mode = raw.mode ?? "close";
  if (mode !== "close" && mode !== "crash" && mode !== "silent" && mode !== "unreachable")
    throw new Error(`${name}.mode: close, crash, silent or unreachable`);
  return { atS: number(raw.atS, `${name}.atS`), mode, downS: number(raw.downS ?? 0, `${name}.downS`) };
}

function parseMessage(item: unknown, name: string): PushMessage {
  const raw = object(item, name);
  const urgency = raw.urgency ?? "normal";
  if (urgency !== "low" && urgency !== "normal" && urgency !== "high")
    throw new Error(`${name}.urgency: low, normal or high`);
  return { atS: number(raw.atS, `${name}.atS`), ttlS: number(raw.ttlS ?? 3600, `${name}.ttlS`), urgency };
}

function parseClockJump(item: unknown, name: string): ClockJump {
  const raw = object(item, name);
  if (typeof raw.byS !== "number" || !Number.isFinite(raw.byS))
    throw new Error(`${name}.byS: must be a number`);
  return { atS: number(raw.atS, `${name}.atS`), byS: raw.byS };
}

function object(value: unknown, name: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new Error(`${name}: must be an object`);
}

function list(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`${name}: must be an array`);
}

function number(value: unknown, name: string): number {
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw new Error(`${name}: must be a number from 0`);
}
