// SPDX-License-Identifier: MIT
/**
 * Options of the commands: flags over `GODWIT_*` over a JSON file over defaults. Unknown names are
 * errors everywhere, since an option that silently does nothing costs somebody an evening.
 */

import { type ParsedArguments, parseArguments, whyUnreadable } from "./arguments.ts";
import { CommandError, EXIT } from "./exit.ts";

export interface OptionSpec {
  readonly kind: "text" | "number" | "flag";
  /** Placeholder in the help. */
  readonly value?: string;
  readonly help: string;
  /** Bounds of a number. */
  readonly min?: number;
  readonly max?: number;
  /** A number that need not be whole. */
  readonly isFraction?: boolean;
  /** Words a text may be. */
  readonly oneOf?: readonly string[];
  /** What counts when nobody says anything. */
  readonly fallback?: string | number;
  /** Neither a variable nor a key of the file: what a person wants once, and with an eye on it. */
  readonly isFlagOnly?: boolean;
}

type Environment = Surroundings["environment"];
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;
export type OptionValue = string | number | boolean;

/** What options are read from, on any runtime. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Home directory, absolute. */
  readonly home: string;
  /** Text and permission bits of a file. @throws {Error} with the system's `code` */
  readFile(path: string): { readonly text: string; readonly mode: number };
  exists(path: string): boolean;
  /** True for a text that begins with a PEM certificate, or has one behind other text. */
  isCertificate(pem: string): boolean;
}

/** Options every command has. */
export const COMMON: OptionSpecs = {
  config: { kind: "text", value: "FILE", help: "JSON configuration file" },
  json: { kind: "flag", help: "results as JSON" },
  help: { kind: "flag", help: "this text", isFlagOnly: true },
};

/** An option's value and who said it: a flag, a variable, a file by its path, or nobody. */
export interface Sourced {
  readonly value: OptionValue | null;
  readonly from: string;
}

export interface Options {
  text(name: string): string | null;
  number(name: string): number | null;
  flag(name: string): boolean;
  /** The text, or a usage error saying which option is missing. */
  required(name: string): string;
  requiredNumber(name: string): number;
  sourced(name: string): Sourced;
  /** The configuration file that was read, or null. */
  readonly file: string | null;
  readonly positionals: readonly string[];
}

/**
 * Options of one command.
 *
 * @param known names of all commands: a shared configuration file may hold any of them
 * @throws {CommandError} usage (2) for flags, configuration (78) for environment and file
 */
export function readOptions(
  args: readonly string[],
  specs: OptionSpecs,
  known: OptionSpecs,
  surroundings: Surroundings,
): Options {
  const { environment } = surroundings;
  const all = { ...COMMON, ...specs };
  const { flags, positionals } = readFlags(args, all);
  refuseUnknownVariables({ ...COMMON, ...known }, environment);
  const fromEnvironment = readEnvironment(all, environment);
  const path = (flags.get("config") ?? fromEnvironment.get("config") ?? defaultConfigPath(surroundings)) as
    | string
    | null;
  const fromFile =
    path === null ? new Map<string, OptionValue>() : readFile(path, { ...COMMON, ...known }, surroundings);
  const value = (name: string): OptionValue | undefined =>
    flags.get(name) ?? fromEnvironment.get(name) ?? fromFile.get(name) ?? all[name]?.fallback;
  const text = (name: string): string | null => {
    const found = value(name);
    return found === undefined ? null : String(found);
  };
  const number = (name: string): number | null => {
    const found = value(name);
    return typeof found === "number" ? found : null;
  };
  const given = <T>(name: string, found: T | null): T => {
    if (found === null) throw new CommandError(EXIT.usage, `--${kebab(name)} is needed`);
    return found;
  };
  return {
    text,
    number,
    flag: (name) => value(name) === true,
    required: (name) => given(name, text(name)),
    requiredNumber: (name) => given(name, number(name)),
    sourced: (name) => ({
      value: value(name) ?? null,
      from: flags.has(name)
        ? `--${kebab(name)}`
        : fromEnvironment.has(name)
          ? variableOf(name)
          : fromFile.has(name)
            ? String(path)
            : "default",
    }),
    file: path,
    positionals,
  };
}

/** `caFile` → `ca-file`. */
export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The text of a file, or a configuration error that names it. */
export function readTextFile(path: string, { readFile }: Pick<Surroundings, "readFile">): string {
  return readWhole(path, readFile).text;
}

/** PEM certificates to trust. What is none would be ignored without a word, and then nothing could be reached. */
export function readCertificates(path: string, surroundings: Surroundings): string {
  const pem = readTextFile(path, surroundings);
  if (!surroundings.isCertificate(pem))
    throw new CommandError(EXIT.config, `${path} does not hold PEM certificates`);
  return pem;
}

/** Like {@link readTextFile}; refuses a file that others may read, since it holds a secret. */
export function readSecretFile(path: string, { readFile }: Pick<Surroundings, "readFile">): string {
  const { text, mode } = readWhole(path, readFile);
  if ((mode & 0o077) !== 0)
    throw new CommandError(EXIT.config, `${path} holds a secret and must have mode 0600`);
  return text;
}

function readWhole(path: string, readFile: Surroundings["readFile"]) {
  try {
    return readFile(path);
  } catch (error) {
    throw new CommandError(EXIT.config, `${path} ${whyUnreadable(error)}`);
  }
}

function readFlags(args: readonly string[], specs: OptionSpecs) {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [
      kebab(name),
      { type: spec.kind === "flag" ? ("boolean" as const) : ("string" as const) },
    ]),
  );
  let parsed: ParsedArguments;
  try {
    parsed = parseArguments(args, options);
  } catch (error) {
    throw new CommandError(EXIT.usage, (error as Error).message);
  }
  const flags = new Map<string, OptionValue>();
  for (const [name, spec] of Object.entries(specs)) {
    const given = parsed.values[kebab(name)];
    if (given !== undefined) flags.set(name, readValue(`--${kebab(name)}`, spec, given, EXIT.usage));
  }
  return { flags, positionals: parsed.positionals };
}

/** What an app finds in its environment (`godwit/apps/process`), and every command it runs with it. */
const VARIABLES_OF_APPS: readonly string[] = ["GODWIT_OWNER", "GODWIT_SOCKET", "GODWIT_TOKEN_FILE"];

/** A misspelt variable that silently does nothing costs somebody an evening, like any other option. */
function refuseUnknownVariables(known: OptionSpecs, environment: Environment): void {
  const names = new Set(
    Object.entries(known)
      .filter(([, spec]) => spec.isFlagOnly !== true)
      .map(([name]) => variableOf(name)),
  );
  const unknown = Object.keys(environment).find(
    (name) => name.startsWith("GODWIT_") && !names.has(name) && !VARIABLES_OF_APPS.includes(name),
  );
  if (unknown !== undefined) throw new CommandError(EXIT.config, `unknown environment variable ${unknown}`);
}

/** `caFile` → `GODWIT_CA_FILE`. */
function variableOf(name: string): string {
  return `GODWIT_${kebab(name).replaceAll("-", "_").toUpperCase()}`;
}

/** What a flag may be in the environment. */
const FLAG_WORDS: Readonly<Record<string, boolean>> = {
  1: true,
  true: true,
  0: false,
  false: false,
  "": false,
};

function readEnvironment(specs: OptionSpecs, environment: Environment): Map<string, OptionValue> {
  const values = new Map<string, OptionValue>();
  for (const [name, spec] of Object.entries(specs)) {
    if (spec.isFlagOnly === true) continue;
    const variable = variableOf(name);
    const given = environment[variable];
    if (given === undefined) continue;
    const typed = spec.kind === "flag" ? FLAG_WORDS[given] : given;
    values.set(name, readValue(variable, spec, typed, EXIT.config));
  }
  return values;
}

function readFile(path: string, specs: OptionSpecs, surroundings: Surroundings): Map<string, OptionValue> {
  const text = readTextFile(path, surroundings);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new CommandError(EXIT.config, `${path}: ${(error as Error).message}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new CommandError(EXIT.config, `${path} must hold a JSON object`);
  }
  const values = new Map<string, OptionValue>();
  for (const [name, given] of Object.entries(parsed)) {
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (spec === undefined || spec.isFlagOnly === true || name === "config") {
      throw new CommandError(EXIT.config, `${path}: unknown key "${name}"`);
    }
    // JSON has numbers: a text is no number here, as a flag is none.
    const typed = spec.kind === "number" && typeof given === "string" ? Number.NaN : given;
    values.set(name, readValue(`${path}: ${name}`, spec, typed, EXIT.config));
  }
  return values;
}

function readValue(where: string, spec: OptionSpec, given: unknown, exitCode: 2 | 78): OptionValue {
  if (spec.kind === "flag") {
    if (typeof given === "boolean") return given;
    throw new CommandError(exitCode, `${where} must be true or false`);
  }
  if (spec.kind === "number") {
    const number =
      typeof given === "number"
        ? given
        : typeof given === "string" && given !== ""
          ? Number(given)
          : Number.NaN;
    const { min = 0, max = Number.MAX_SAFE_INTEGER } = spec;
    const isFit = spec.isFraction === true ? Number.isFinite(number) : Number.isInteger(number);
    if (!isFit || number < min || number > max) {
      const what = spec.isFraction === true ? "number" : "whole number";
      throw new CommandError(exitCode, `${where} must be a ${what} from ${min} to ${max}`);
    }
    return number;
  }
  if (typeof given !== "string") throw new CommandError(exitCode, `${where} must be a text`);
  if (spec.oneOf !== undefined && !spec.oneOf.includes(given)) {
    throw new CommandError(exitCode, `${where} must be one of ${spec.oneOf.join(", ")}`);
  }
  return given;
}

function defaultConfigPath({ environment, home, exists }: Surroundings): string | null {
  const directory = baseDirectory(environment.XDG_CONFIG_HOME, `${home}/.config`);
  return [`${directory}/godwit/config.json`, "/etc/godwit/config.json"].find(exists) ?? null;
}

/** Directory of the state directory that holds a file for each installed app, with its token. */
export const APP_TOKENS = "app-tokens";

/** Where state goes without `--state`: systemd's choice, else XDG's. */
export function defaultStateDirectory(
  { environment, home }: Pick<Surroundings, "environment" | "home">,
  name: string,
): string {
  const systemd = environment.STATE_DIRECTORY;
  if (systemd !== undefined) return systemd;
  return `${baseDirectory(environment.XDG_STATE_HOME, `${home}/.local/state`)}/godwit/${name}`;
}

/** Empty and relative ones count as not set (XDG Base Directory Specification). */
function baseDirectory(named: string | undefined, usual: string): string {
  return named?.startsWith("/") === true ? named : usual;
}
