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
}

export interface Restart {
  readonly atS: number;
  /** "close": connections are closed in order; "crash": they are reset when used; "silent": they are forgotten. */
  readonly mode: "close" | "crash" | "silent";
  readonly downS: number;
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
  /** What the service tells as reconnect spread. */
  readonly spreadS: number;
  /** Counting begins here. */
  readonly measureFromS: number;
}

/** Every restart a clean close. */
export function graceful(scenario: Scenario): Scenario {
  return { ...scenario, restarts: scenario.restarts.map((restart) => ({ ...restart, mode: "close" })) };
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
    restarts: list(raw.restarts ?? [], "restarts").map((item, i) => {
      const restart = object(item, `restarts[${i}]`);
      const mode = restart.mode ?? "close";
      if (mode !== "close" && mode !== "crash" && mode !== "silent")
        throw new Error(`restarts[${i}].mode: close, crash or silent`);
      return {
        atS: number(restart.atS, `restarts[${i}].atS`),
        mode,
        downS: number(restart.downS ?? 0, `restarts[${i}].downS`),
      };
    }),
    messages: list(raw.messages ?? [], "messages").map((item, i) => {
      const message = object(item, `messages[${i}]`);
      const urgency = message.urgency ?? "normal";
      if (urgency !== "low" && urgency !== "normal" && urgency !== "high")
        throw new Error(`messages[${i}].urgency: low, normal or high`);
      return {
        atS: number(message.atS, `messages[${i}].atS`),
        ttlS: number(message.ttlS ?? 3600, `messages[${i}].ttlS`),
        urgency,
      };
    }),
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
  };
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
