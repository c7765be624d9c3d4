// SPDX-License-Identifier: MIT
/**
 * What a daemon is told: arguments, environment, configuration file, policy file, device key. An input is a JSON object of these. Whatever
 * it is, the settings or a CommandError with one line comes out; flags win over the environment, that over the file. No tests here.
 */

import { isOwner } from "../../../src/agent/owner.ts";
import { utf8Decode, utf8Encode } from "../../../src/bytes.ts";
import {
  AGENT_OPTIONS,
  type AgentSettings,
  readAgentSettings,
} from "../../../src/configuration/agent-options.ts";
import { parseArguments } from "../../../src/configuration/arguments.ts";
import { DAEMON_OPTIONS } from "../../../src/configuration/daemon-options.ts";
import { CommandError, EXIT } from "../../../src/configuration/exit.ts";
import {
  kebab,
  type OptionSpec,
  type OptionSpecs,
  readOptions,
  type Surroundings,
} from "../../../src/configuration/options.ts";
import { POLICY_ORIGINS_MAX, POLICY_OWNERS_MAX } from "../../../src/limits.ts";
import { mutateJson } from "../json.ts";
import { holds, same, type Target } from "../target.ts";

const SPECS: OptionSpecs = { ...AGENT_OPTIONS, ...DAEMON_OPTIONS };
const KEY = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8";

interface Given {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Texts of files by path. */
  readonly files: ReadonlyMap<string, string>;
}

export const target: Target = {
  name: "configuration",
  covers: ["src/configuration/", "src/agent/owner.ts"],
  inputBytesMax: 8192,
  inputMsMax: 200,
  words: [
    ...[
      "args",
      "environment",
      "file",
      "policy",
      "key",
      "--config",
      "/c",
      "--policy",
      "/p",
      "--",
      "--service=",
      "-h",
    ],
    ...Object.keys(SPECS).flatMap((name) => [
      name,
      `--${kebab(name)}`,
      `GODWIT_${kebab(name).replaceAll("-", "_").toUpperCase()}`,
    ]),
    ...[
      "https://push.example",
      "wss://push.example",
      "mqtts://h:1",
      "none",
      "granted",
      "ask",
      "permission",
      "silentPushes",
    ],
    ...[
      "owners",
      "pageOrigins",
      "shellOrigins",
      "linkOrigins",
      "httpAllowed",
      "http://localhost:80",
      "http://[::1]:3000",
    ],
    ...[
      "https://news.example",
      "kiosk.clock",
      "true",
      "0",
      "15",
      "1e3",
      "0x10",
      " 5",
      "STATE_DIRECTORY",
      "XDG_CONFIG_HOME",
    ],
  ],
  seeds: () => SEEDS.map((seed) => utf8Encode(JSON.stringify(seed))),
  mutate(input, random) {
    return mutateJson(input, this.words, random);
  },
  run(input) {
    const given = givenBy(input);
    const settings = settingsOf(given);
    if (typeof settings === "string") return settings;
    checkSettings(settings);
    checkPrecedence(given);
    return Object.entries(settings)
      .filter(([, value]) => value !== null && value !== false)
      .map(([name]) => name)
      .join(" ");
  },
};

/** Whatever JSON there is, as what a program is started with. */
function givenBy(input: Uint8Array): Given {
  let json: unknown;
  try {
    json = JSON.parse(utf8Decode(input));
  } catch {
    // The bytes themselves, as a configuration file.
    return {
      args: ["--service", "https://push.example", "--config", "/c"],
      environment: {},
      files: new Map([["/c", utf8Decode(input)]]),
    };
  }
  const { args, environment, file, policy, key } = Object(json) as Record<string, unknown>;
  const text = (value: unknown): string =>
    typeof value === "string" ? value : JSON.stringify(value ?? null);
  return {
    args: (Array.isArray(args) ? args : []).map((arg) => (typeof arg === "string" ? arg : text(arg))),
    environment: Object.fromEntries(
      Object.entries(Object(environment)).map(([name, value]) => [name, text(value)]),
    ),
    files: new Map([
      ["/c", text(file)],
      ["/p", text(policy)],
      ["/k", text(key)],
    ]),
  };
}

function surroundingsOf({ environment, files }: Given): Surroundings {
  return {
    environment,
    home: "/home/somebody",
    readFile(path) {
      const text = files.get(path);
      if (text === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
      return { text, mode: 0o600 };
    },
    exists: (path) => files.has(path),
    isCertificate: (pem) => pem.includes("-----BEGIN CERTIFICATE-----"),
  };
}

/** The settings, or how they were refused. */
function settingsOf(given: Given): AgentSettings | string {
  const surroundings = surroundingsOf(given);
  try {
    const options = readOptions(given.args, SPECS, SPECS, surroundings);
    return readAgentSettings(options, surroundings);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    holds(
      "it is wrong usage, or a wrong configuration",
      error.exitCode === EXIT.usage || error.exitCode === EXIT.config,
    );
    holds("that is said", error.message.length > 0);
    holds("and quotes no key", !error.message.includes(KEY));
    return `${error.exitCode} ${error.message
      .replace(/"[^"]*"|'[^']*'|\d+|[^ -~]/g, "")
      .split(" ")
      .slice(-4)
      .join(" ")}`;
  }
}

function checkSettings({ policy, heartbeatMs, appPort, windowS, deviceKey }: AgentSettings): void {
  holds("owners are owners", [...policy.owners.keys()].every(isOwner));
  holds("and bounded", policy.owners.size <= POLICY_OWNERS_MAX);
  for (const origins of [policy.pageOrigins, policy.shellOrigins, policy.linkOrigins]) {
    holds("origins are bounded", origins.length <= POLICY_ORIGINS_MAX);
    for (const origin of origins) same("an origin is one", new URL(origin).origin, origin);
  }
  holds(
    "a heartbeat is within its bounds",
    heartbeatMs === null || (heartbeatMs >= 15_000 && heartbeatMs <= 86_400_000),
  );
  holds(
    "a port is one",
    appPort === null || (Number.isInteger(appPort) && appPort >= 0 && appPort <= 65_535),
  );
  holds("a wait is within its bounds", Number.isInteger(windowS) && windowS >= 0 && windowS <= 86_400);
  holds("a key has its length", deviceKey === null || deviceKey.length === 32);
}

/** A flag in front of everything else decides. */
function checkPrecedence(given: Given): void {
  // Behind "--" there are no options.
  const split = given.args.indexOf("--");
  const own = split < 0 ? given.args : given.args.slice(0, split);
  const args = [...own, "--window", "77", ...given.args.slice(own.length)];
  const settings = settingsOf({ ...given, args });
  holds("a good flag more changes nothing else", typeof settings !== "string");
  if (typeof settings !== "string") same("the last flag", settings.windowS, 77);
  const kinds = Object.entries(SPECS as Record<string, OptionSpec>).map(([name, { kind }]) => [
    kebab(name),
    { type: kind === "flag" ? ("boolean" as const) : ("string" as const) },
  ]);
  const { positionals } = parseArguments(given.args, {
    ...Object.fromEntries(kinds),
    ...{ config: { type: "string" }, json: { type: "boolean" }, help: { type: "boolean" } },
  });
  holds(
    "what is no option is left, unchanged",
    positionals.every((text) => given.args.includes(text)),
  );
}

const policy = {
  ...{ permission: "ask", silentPushes: 5, httpAllowed: false, pageOrigins: ["http://localhost:8000"] },
  ...{ shellOrigins: ["http://127.0.0.1:3000"], linkOrigins: ["https://news.example"] },
  owners: { "https://news.example": { permission: "granted", silentPushes: null }, "kiosk.clock": {} },
};
const SEEDS: readonly object[] = [
  { args: ["--service", "https://push.example"] },
  { args: ["--service=wss://push.example", "--dialect", "autopush", "--heartbeat", "60", "--quiet"] },
  {
    environment: {
      GODWIT_SERVICE: "https://push.example",
      GODWIT_QUIET: "1",
      GODWIT_APP_PORT: "0",
      HOME: "/",
    },
  },
  {
    args: ["--config", "/c"],
    file: { service: "https://push.example", window: 5, keepConnected: true, mqtt: "mqtts://a,mqtts://b" },
  },
  { args: ["--service", "https://push.example", "--policy", "/p"], policy },
  {
    args: ["--service", "https://push.example", "--device-key-file", "/k", "--ca", "/p"],
    key: KEY,
    policy: "-----BEGIN CERTIFICATE-----",
  },
  {
    args: ["--config", "/c", "--", "x"],
    file: { service: "https://push.example", leastUrgency: "high", stateQuota: 200000, policy: "/p" },
    policy: {},
  },
];
