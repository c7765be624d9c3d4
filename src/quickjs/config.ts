// SPDX-License-Identifier: MIT
/**
 * The configuration script of godwitd: reads flags, `GODWIT_*` and files as `godwit agent` does, in an engine that is gone before
 * the agent's starts. Takes what it reads from `host`, and leaves what it found as `configuration` on globalThis.
 * C side: firmware-bridge/src/daemon/config.c.
 */

import { AGENT_OPTIONS, readAgentSettings } from "../configuration/agent-options.ts";
import { DAEMON_OPTIONS } from "../configuration/daemon-options.ts";
import { CommandError, EXIT, exitCodeOf } from "../configuration/exit.ts";
import {
  COMMON,
  defaultStateDirectory,
  kebab,
  type OptionSpecs,
  type Options,
  readOptions,
  readTextFile,
  type Surroundings,
} from "../configuration/options.ts";
import { checkConfiguredFiles } from "../doctor/configured-files.ts";
import { type Finding, fail, ok } from "../doctor/finding.ts";
import type { DeviceDialect } from "../wire/dialect.ts";
import { daemonOptionsJson } from "./daemon-options.ts";
import type { DoctorOptions } from "./doctor-options.ts";

/** What config.c lends. */
interface ConfigHost extends Pick<Surroundings, "readFile" | "exists" | "isCertificate"> {
  readonly args: readonly string[];
  /** `NAME=value` each. */
  readonly environment: readonly string[];
  /** The working directory: relative paths are seen from there. */
  readonly directory: string;
  readonly hasScreen: boolean;
}

/** What config.c takes. */
interface Configuration {
  /** What to end with, with what is written before; null: run. */
  readonly exitCode: number | null;
  readonly stdout: string | null;
  readonly stderr: string | null;
  /** JSON, as daemon.ts reads it. */
  readonly options: string | null;
  readonly stateDirectory: string | null;
  /** 32 bytes. */
  readonly deviceKey: Uint8Array | null;
  /** PEM certificates trusted besides. */
  readonly caPem: string | null;
  /** File trusted instead of the system's. */
  readonly caBundle: string | null;
  readonly quotaBytes: number | null;
  /** Not the agent is to run, but the doctor. */
  readonly isDoctor: boolean;
}

declare const __GODWIT_KNOWN_OPTIONS__: OptionSpecs;

const NOTHING: Configuration = {
  ...{ exitCode: null, stdout: null, stderr: null, options: null, stateDirectory: null },
  ...{ deviceKey: null, caPem: null, caBundle: null, quotaBytes: null },
  isDoctor: false,
};
/** The one command; without one the agent runs. */
const DOCTOR = "doctor";
const SPECS: OptionSpecs = { ...AGENT_OPTIONS, ...DAEMON_OPTIONS };

const { host } = globalThis as unknown as { readonly host: ConfigHost };
(globalThis as { configuration?: Configuration }).configuration = configure(host);

function configure(host: ConfigHost): Configuration {
  const { args } = host;
  // Behind "--" nothing is ours.
  const ours = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  if (ours.includes("--help") || ours.includes("-h"))
    return { ...NOTHING, exitCode: EXIT.ok, stdout: help() };
  try {
    return args[0] === DOCTOR ? readForDoctor(host) : read(host);
  } catch (error) {
    const message = error instanceof Error ? error.message : "failed";
    const line = ours.includes("--json")
      ? JSON.stringify({ error: { code: null, message } })
      : `godwitd: ${message}`;
    return { ...NOTHING, exitCode: exitCodeOf(error), stderr: `${line}\n` };
  }
}

function read(host: ConfigHost): Configuration {
  const surroundings = surroundingsOf(host);
  const options = readOptions(host.args, SPECS, __GODWIT_KNOWN_OPTIONS__, surroundings);
  const [extra] = options.positionals;
  if (extra !== undefined) throw new CommandError(EXIT.usage, `unexpected argument "${extra}"`);
  const settings = readAgentSettings(options, surroundings);
  const stateDirectory = absolute(settings.stateDirectory, host.directory);
  return {
    ...NOTHING,
    options: daemonOptionsJson({
      ...settings,
      stateDirectory,
      dashboardDirectory: pathOf(options, "dashboardFiles", host.directory),
      helper: pathOf(options, "helper", host.directory),
      isJson: options.flag("json"),
      hasScreen: host.hasScreen,
    }),
    stateDirectory,
    deviceKey: settings.deviceKey,
    caPem: settings.ca,
    caBundle: caBundleOf(options, host, surroundings),
    quotaBytes: options.number("stateQuota"),
  };
}

/**
 * The same for the doctor: what is wrong becomes a finding, and what does not depend on it is looked at all the same.
 *
 * @throws {CommandError} 2 for a command line that cannot be meant
 */
function readForDoctor(host: ConfigHost): Configuration {
  const surroundings = surroundingsOf(host);
  const findings: Finding[] = [];
  const args = host.args.slice(1);
  const specs = __GODWIT_KNOWN_OPTIONS__;
  let options: Options;
  try {
    options = readOptions(args, SPECS, specs, surroundings);
    if (options.file !== null) findings.push(ok("config", options.file));
  } catch (error) {
    if (!(error instanceof CommandError) || error.exitCode !== EXIT.config) throw error;
    findings.push(fail("config", EXIT.config, error.message, "correct it: godwit config names every option"));
    // What is left without flags, environment and files.
    options = readOptions([], SPECS, specs, { ...surroundings, environment: {}, exists: () => false });
  }
  const [extra] = options.positionals;
  if (extra !== undefined) throw new CommandError(EXIT.usage, `unexpected argument "${extra}"`);
  const { ca, deviceKey, findings: ofFiles } = checkConfiguredFiles(options, surroundings);
  const given = options.text("state") ?? defaultStateDirectory(surroundings, "agent");
  const stateDirectory = absolute(given, host.directory);
  const doctorOptions: DoctorOptions = {
    findings: [...findings, ...ofFiles],
    stateDirectory,
    serviceUrl: options.text("service"),
    dialect: options.text("dialect") as DeviceDialect | null,
    caBundle: pathOf(options, "caBundle", host.directory),
    quotaBytes: options.number("stateQuota"),
    helper: pathOf(options, "helper", host.directory),
    isOnDesktop: options.flag("desktop"),
    watchNetwork: !options.flag("ignoreNetwork"),
    isJson: args.includes("--json"),
  };
  return {
    ...NOTHING,
    isDoctor: true,
    options: JSON.stringify(doctorOptions),
    stateDirectory,
    deviceKey,
    caPem: ca,
    caBundle: doctorOptions.caBundle,
  };
}

function surroundingsOf({ environment, readFile, exists, isCertificate }: ConfigHost): Surroundings {
  const variables = Object.fromEntries(
    environment.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  return { environment: variables, home: variables.HOME ?? "/", readFile, exists, isCertificate };
}

/** Looked at now, so that a mistake is told and not met at the first connection. */
function caBundleOf(options: Options, { directory }: ConfigHost, surroundings: Surroundings): string | null {
  const path = pathOf(options, "caBundle", directory);
  if (path !== null && !surroundings.isCertificate(readTextFile(path, surroundings)))
    throw new CommandError(EXIT.config, `${path} does not hold PEM certificates`);
  return path;
}

function pathOf(options: Options, name: string, directory: string): string | null {
  const path = options.text(name);
  return path === null ? null : absolute(path, directory);
}

function absolute(path: string, directory: string): string {
  return path.startsWith("/") ? path : `${directory}/${path}`;
}

function help(): string {
  const lines = Object.entries({ ...SPECS, ...COMMON }).map(([option, spec]) => {
    const flag = `--${kebab(option)}${spec.value === undefined ? "" : ` ${spec.value}`}`;
    const fallback = spec.fallback === undefined ? "" : ` (default ${spec.fallback})`;
    const words = spec.oneOf === undefined ? "" : ` (${spec.oneOf.join(" | ")})`;
    return `  ${flag.padEnd(32)} ${spec.help}${fallback}${words}`;
  });
  return `usage: godwitd [OPTIONS]\n       godwitd doctor [OPTIONS]\n       godwitd bench [--rounds N] [SUITE]\n       godwitd --version\n\nrun the user agent; doctor: check everything it needs with these options, and say what to do;\nbench: measure this machine (decrypt, parse, wire, journal, startup; 40 to 10000 rounds), as JSON lines\n\n${lines.join("\n")}\n`;
}
