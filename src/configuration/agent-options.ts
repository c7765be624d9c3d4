// SPDX-License-Identifier: MIT
/** What a user agent as a daemon is told, `godwit agent` and godwitd alike: its options, and what they come to. */

import { DEVICE_KEY_BYTES } from "../journal/index.ts";
import { base64urlDecode } from "../webpush/base64url.ts";
import { DEVICE_DIALECTS, type DeviceDialect, URGENCIES, type Urgency } from "../wire/dialect.ts";
import { CommandError, EXIT } from "./exit.ts";
import {
  defaultStateDirectory,
  type OptionSpecs,
  type Options,
  readCertificates,
  readSecretFile,
  type Surroundings,
} from "./options.ts";
import { type Policy, PRESETS, type Preset, policyOf, readPolicy } from "./policy.ts";

export const AGENT_OPTIONS = {
  service: {
    kind: "text",
    value: "URL",
    help: "push service, for example https://push.example, or wss://push.services.mozilla.com for Mozilla's (needed)",
  },
  dialect: {
    kind: "text",
    value: "WORD",
    oneOf: DEVICE_DIALECTS,
    help: "what the push service speaks (default: autopush for a wss URL, else godwit.v1)",
  },
  state: {
    kind: "text",
    value: "DIR",
    help: "where the journal lives (default: STATE_DIRECTORY, as systemd sets it, else ~/.local/state/godwit/agent)",
  },
  ca: { kind: "text", value: "FILE", help: "PEM certificates to trust besides the system's" },
  deviceKeyFile: {
    kind: "text",
    value: "FILE",
    help: "32 bytes, base64url, that seal the journal's secrets (mode 0600)",
  },
  mqtt: {
    kind: "text",
    value: "URLS",
    help: 'where MQTT is, for networks without WebSocket: mqtts://push.example:8883, comma between several; "none" (default for a service on port 443: its ports 8883 and 443)',
  },
  heartbeat: {
    kind: "number",
    value: "S",
    min: 15,
    max: 86_400,
    help: "seconds between signs of life when idle, instead of learning them",
  },
  window: {
    kind: "number",
    value: "S",
    max: 86_400,
    fallback: 0,
    help: "seconds low-urgency messages may wait for others",
  },
  leastUrgency: {
    kind: "text",
    value: "WORD",
    oneOf: URGENCIES,
    fallback: "very-low",
    help: "messages below this stay at the service",
  },
  portalProbe: {
    kind: "text",
    value: "URL",
    help: "plain http URL that answers 204 unless a captive portal is in between (default: a dial finds out)",
  },
  permission: {
    kind: "text",
    value: "WORD",
    oneOf: PRESETS,
    help: "who may subscribe of those nobody has decided about (default ask: a person says, with a shell, the dashboard or godwit permission)",
  },
  policy: {
    kind: "text",
    value: "FILE",
    help: "JSON file of a kiosk: permissions, budgets and trusted origins, set at every start (SPEC.md)",
  },
  appPort: {
    kind: "number",
    value: "N",
    max: 65_535,
    help: "port of loopback where pages and the dashboard reach the agent, 0 for a free one (default: none)",
  },
  desktop: { kind: "flag", help: "notifications on this session's desktop too (Linux, D-Bus)" },
  keepConnected: { kind: "flag", help: "hold a connection even without a subscription" },
  ignoreNetwork: { kind: "flag", help: "do not follow the system's networks" },
  quiet: { kind: "flag", help: "no log on stderr" },
} satisfies OptionSpecs;

/** The options, read and checked as far as that goes without starting. */
export interface AgentSettings {
  readonly serviceUrl: string;
  /** Null: what the scheme of its URL says. */
  readonly dialect: DeviceDialect | null;
  readonly stateDirectory: string;
  /** Its directory as it was named; null: the default one, which the commands find by themselves. */
  readonly state: string | null;
  /** PEM certificates to trust besides the system's, or null. */
  readonly ca: string | null;
  /** 32 bytes, or null. */
  readonly deviceKey: Uint8Array | null;
  readonly policy: Policy;
  /** Null: those usual for the service. */
  readonly mqttUrls: readonly string[] | null;
  /** Null: learned. */
  readonly heartbeatMs: number | null;
  readonly windowS: number;
  readonly leastUrgency: Urgency;
  readonly portalProbeUrl: string | null;
  /** Of loopback, 0 for a free one, null for none. */
  readonly appPort: number | null;
  readonly isOnDesktop: boolean;
  readonly keepConnected: boolean;
  readonly watchNetwork: boolean;
  readonly isQuiet: boolean;
}

/** @throws {CommandError} 2 for what is missing, 78 for files that do not hold what they should */
export function readAgentSettings(options: Options, surroundings: Surroundings): AgentSettings {
  const caFile = options.text("ca");
  const keyFile = options.text("deviceKeyFile");
  const heartbeatS = options.number("heartbeat");
  const mqtt = options.text("mqtt");
  return {
    stateDirectory: options.text("state") ?? defaultStateDirectory(surroundings, "agent"),
    state: options.text("state"),
    ca: caFile === null ? null : readCertificates(caFile, surroundings),
    deviceKey: keyFile === null ? null : readDeviceKey(keyFile, surroundings),
    policy: readPermissions(options, surroundings),
    serviceUrl: options.required("service"),
    dialect: options.text("dialect") as DeviceDialect | null,
    mqttUrls: mqtt === null ? null : mqtt === "none" ? [] : mqtt.split(",").map((url) => url.trim()),
    heartbeatMs: heartbeatS === null ? null : heartbeatS * 1000,
    windowS: options.requiredNumber("window"),
    leastUrgency: options.required("leastUrgency") as Urgency,
    portalProbeUrl: options.text("portalProbe"),
    appPort: options.number("appPort"),
    isOnDesktop: options.flag("desktop"),
    keepConnected: options.flag("keepConnected"),
    watchNetwork: !options.flag("ignoreNetwork"),
    isQuiet: options.flag("quiet"),
  };
}

function readPermissions(options: Options, surroundings: Surroundings): Policy {
  const path = options.text("policy");
  const permission = options.text("permission") as Preset | null;
  if (path === null) return policyOf(permission ?? "ask");
  if (permission !== null)
    throw new CommandError(EXIT.config, "--permission and --policy exclude each other: the file says both");
  return readPolicy(path, surroundings);
}

/** The device key in a file of mode 0600; 78 when it holds none. */
export function readDeviceKey(path: string, surroundings: Surroundings): Uint8Array {
  const text = readSecretFile(path, surroundings).trim();
  try {
    const key = base64urlDecode(text);
    if (key.length === DEVICE_KEY_BYTES) return key;
  } catch {
    // Said below, without quoting it.
  }
  throw new CommandError(EXIT.config, `${path} does not hold ${DEVICE_KEY_BYTES} bytes as base64url`);
}
