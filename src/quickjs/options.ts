// SPDX-License-Identifier: MIT
/**
 * What the embedding program configured, as the JSON of `bridge.options`: read strictly, since an option that silently does
 * nothing costs somebody an evening. Scripts with more options add readers of their own.
 */

import { GodwitError } from "../errors.ts";
import {
  DEVICE_ID_CHARS_MAX,
  ENDPOINT_CHARS_MAX,
  HEARTBEAT_MS_MAX,
  HEARTBEAT_MS_MIN,
  LOW_URGENCY_WINDOW_S_MAX,
  MQTT_URLS_MAX,
  POLICY_ORIGINS_MAX,
  STATE_PATH_CHARS_MAX,
} from "../limits.ts";
import type { StartOptions } from "../user-agent/start.ts";
import { URGENCIES, type Urgency } from "../wire/dialect.ts";
import type { Bridge } from "./bridge.d.ts";
import { bridgeMachineId } from "./files.ts";

/** Who may subscribe of those nobody has decided about. */
export const PERMISSIONS = ["granted", "denied", "ask"] as const;

export const NETWORKS = ["follow", "told", "ignored"] as const;

/** Options of an agent. A member that is missing, or null, has its default. */
export interface ScriptOptions {
  /** https URL without path. */
  readonly serviceUrl: string;
  /** Absolute path. */
  readonly stateDirectory: string;
  /** Names the device; null: the machine's own id. */
  readonly deviceId: string | null;
  /** Null: those usual for the service. */
  readonly mqttUrls: readonly string[] | null;
  /** Null: learned. */
  readonly heartbeatMs: number | null;
  readonly windowS: number;
  readonly leastUrgency: Urgency;
  readonly portalProbeUrl: string | null;
  readonly keepConnected: boolean;
  readonly httpAllowed: boolean;
  readonly originsAllowed: readonly string[];
  readonly permission: (typeof PERMISSIONS)[number];
  /** Who tells of the network: the system, the program, nobody. */
  readonly network: (typeof NETWORKS)[number];
}

/** Reads one member. */
export interface Reader<Value> {
  /** Its default; undefined: it has to be there. */
  readonly fallback: Value | undefined;
  /** What it must be, for the message. */
  readonly expected: string;
  readonly isGood: (value: unknown) => value is Value;
}

export type Readers<Options> = { readonly [Name in keyof Options]: Reader<Options[Name]> };

export const SCRIPT_OPTIONS: Readers<ScriptOptions> = {
  serviceUrl: text(undefined, ENDPOINT_CHARS_MAX),
  stateDirectory: absolutePath(),
  deviceId: orNull(text("", DEVICE_ID_CHARS_MAX)),
  mqttUrls: orNull(texts([], MQTT_URLS_MAX)),
  heartbeatMs: orNull(whole(0, HEARTBEAT_MS_MIN, HEARTBEAT_MS_MAX)),
  windowS: whole(0, 0, LOW_URGENCY_WINDOW_S_MAX),
  leastUrgency: oneOf("very-low", URGENCIES),
  portalProbeUrl: orNull(text("", ENDPOINT_CHARS_MAX)),
  keepConnected: flag(false),
  httpAllowed: flag(false),
  originsAllowed: texts([], POLICY_ORIGINS_MAX),
  permission: oneOf("denied", PERMISSIONS),
  network: oneOf("follow", NETWORKS),
};

/**
 * The options in `json`, an object with members that `readers` name and no others.
 *
 * @throws {GodwitError} ERR_CONFIG, naming the member that is wrong
 */
export function readScriptOptions<Options extends object>(json: string, readers: Readers<Options>): Options {
  const given = parseObject(json);
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(readers, name));
  if (unknown !== undefined) throw configError(`there is no option ${unknown}`);
  const entries = Object.entries<Reader<unknown>>(readers).map(([name, { fallback, expected, isGood }]) => {
    const value = given[name] ?? fallback;
    if (value === undefined) throw configError(`${name} is missing`);
    if (value !== fallback && !isGood(value)) throw configError(`${name} must be ${expected}`);
    return [name, value];
  });
  return Object.fromEntries(entries) as Options;
}

/** How {@link startUserAgent} is to be called. A program that decides about permissions or reports itself adds that. */
export function startOptionsOf(options: ScriptOptions, bridge: Bridge): StartOptions {
  const {
    stateDirectory: _stateDirectory,
    deviceId,
    mqttUrls,
    heartbeatMs,
    portalProbeUrl,
    network,
    ...same
  } = options;
  return {
    ...same,
    deviceId: deviceId ?? bridgeMachineId(bridge),
    deviceKey: bridge.deviceKey,
    permission: () => options.permission,
    watchNetwork: network !== "ignored",
    ...(mqttUrls === null ? {} : { mqttUrls }),
    ...(heartbeatMs === null ? {} : { heartbeatMs }),
    ...(portalProbeUrl === null ? {} : { portalProbeUrl }),
  };
}

export function text(fallback: string | undefined, charsMax: number): Reader<string> {
  return {
    fallback,
    expected: `a text of at most ${charsMax} characters`,
    isGood: (value): value is string =>
      typeof value === "string" && value !== "" && value.length <= charsMax && !value.includes("\0"),
  };
}

export function texts(fallback: readonly string[], countMax: number): Reader<readonly string[]> {
  const { isGood } = text(undefined, ENDPOINT_CHARS_MAX);
  return {
    fallback,
    expected: `a list of at most ${countMax} texts`,
    isGood: (value): value is readonly string[] =>
      Array.isArray(value) && value.length <= countMax && value.every(isGood),
  };
}

export function whole(fallback: number, min: number, max: number): Reader<number> {
  return {
    fallback,
    expected: `a whole number from ${min} to ${max}`,
    isGood: (value): value is number =>
      Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
  };
}

export function flag(fallback: boolean): Reader<boolean> {
  return {
    fallback,
    expected: "true or false",
    isGood: (value): value is boolean => typeof value === "boolean",
  };
}

export function oneOf<Word extends string>(fallback: Word, words: readonly Word[]): Reader<Word> {
  return {
    fallback,
    expected: `one of ${words.join(", ")}`,
    isGood: (value): value is Word => words.some((word) => word === value),
  };
}

/** The same, with null as default. */
export function orNull<Value>({ expected, isGood }: Reader<Value>): Reader<Value | null> {
  return { fallback: null, expected, isGood: (value): value is Value => isGood(value) };
}

function absolutePath(): Reader<string> {
  const { isGood } = text(undefined, STATE_PATH_CHARS_MAX);
  return {
    fallback: undefined,
    expected: "an absolute path",
    isGood: (value): value is string => isGood(value) && value.startsWith("/"),
  };
}

function parseObject(json: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw configError("the options are no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw configError("the options are no object");
  return value as Readonly<Record<string, unknown>>;
}

function configError(message: string): GodwitError {
  return new GodwitError("ERR_CONFIG", message);
}
