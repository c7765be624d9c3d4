// SPDX-License-Identifier: MIT
/** `godwit config`: what a command would run with, and who says so. Values that are secret are files, and only named. */

import { accessSync, constants } from "node:fs";
import { whyUnreadable } from "../configuration/arguments.ts";
import { DAEMON_OPTIONS } from "../configuration/daemon-options.ts";
import { CommandError, EXIT } from "../configuration/exit.ts";
import {
  defaultStateDirectory,
  kebab,
  type OptionSpecs,
  type Options,
  readOptions,
  readSecretFile,
} from "../configuration/options.ts";
import { readPolicy } from "../configuration/policy.ts";
import type { Command } from "./command.ts";
import { type Commands, findCommand, knownOptions } from "./find-command.ts";
import { nodeSurroundings } from "./surroundings.ts";

/** Options that name a file to read, by whether it holds a secret. Those that a command makes itself are not here. */
const FILES: Readonly<Record<string, "secret" | "open">> = {
  ca: "open",
  tlsCert: "open",
  mqttCa: "open",
  tlsKey: "secret",
  deviceKeyFile: "secret",
  mqttPasswordFile: "secret",
  enrolmentFile: "secret",
  enrolmentCa: "open",
  adminTokenFile: "secret",
};

/** Whose state directory it is by default, of commands whose is not the agent's; null: a temporary one. */
const STATE_NAMES: Readonly<Record<string, string | null>> = {
  "push-service": "push-service",
  keyring: "push-service",
  demo: null,
};

/** @param commands all of them; called late, since this is one of them */
export function configCommand(commands: () => Commands): Command {
  return {
    summary: "what a command, or godwitd, would run with, and where each option comes from",
    positionals: "[COMMAND…]",
    options: {},
    verbs: { check: checkCommand(commands) },
    async run(options, output) {
      const { words, specs, effective } = optionsOf(commands(), options);
      if (output.isJson) {
        const entries = Object.keys(specs).map((name) => [name, shown(effective, name, words)]);
        return output.json({ command: words, file: effective.file, options: Object.fromEntries(entries) });
      }
      output.line(`godwit ${words}, file ${effective.file ?? "none"}`);
      for (const name of Object.keys(specs)) {
        const { value, from } = shown(effective, name, words);
        output.line(`  ${`--${kebab(name)}`.padEnd(24)} ${String(value ?? "-").padEnd(24)} ${from}`);
      }
    },
  };
}

function checkCommand(commands: () => Commands): Command {
  return {
    summary: "read the configuration file, the environment and the files they name; say what is wrong",
    positionals: "",
    options: {},
    async run(options, output) {
      // That all names are known and all values fit was seen when our own options were read.
      const known = knownOptions(commands());
      const effective = readOptions(configFlag(options), known, known, nodeSurroundings());
      const files: string[] = [];
      for (const [name, kind] of Object.entries(FILES)) {
        const path = effective.text(name);
        if (path === null) continue;
        if (kind === "secret") readSecretFile(path, nodeSurroundings());
        else checkReadable(path);
        files.push(path);
      }
      const policy = effective.text("policy");
      if (policy !== null) {
        readPolicy(policy, nodeSurroundings());
        files.push(policy);
      }
      if (output.isJson) return output.json({ file: effective.file, files });
      output.line(`${effective.file ?? "no configuration file"}: nothing wrong`);
      for (const path of files) output.line(`${path}: nothing wrong`);
    },
  };
}

/** The options of the command that `options.positionals` name, the agent without one; what stands behind `--` counts as given. */
function optionsOf(commands: Commands, options: Options) {
  const given = options.positionals.length === 0 ? ["agent"] : options.positionals;
  const { agent } = commands;
  const godwitd = agent && { ...agent, options: { ...agent.options, ...DAEMON_OPTIONS } };
  const found = findCommand(godwitd ? { ...commands, godwitd } : commands, given);
  if (found === null) throw new CommandError(EXIT.usage, `unknown command "${given[0]}"`);
  const { words, command, rest } = found;
  const specs: OptionSpecs = command.options;
  return {
    words,
    specs,
    effective: readOptions(
      [...configFlag(options), ...rest],
      specs,
      knownOptions(commands),
      nodeSurroundings(),
    ),
  };
}

function configFlag(options: Options): string[] {
  const path = options.text("config");
  return path === null ? [] : ["--config", path];
}

/** A URL may have a password in it, though none of ours should. A state directory that nobody names is named here. */
function shown(effective: Options, name: string, words: string) {
  const { value, from } = effective.sourced(name);
  const [command = ""] = words.split(" ");
  const stateName = Object.hasOwn(STATE_NAMES, command) ? (STATE_NAMES[command] ?? null) : "agent";
  if (name === "state" && value === null && stateName !== null) {
    const surroundings = nodeSurroundings();
    const { STATE_DIRECTORY } = surroundings.environment;
    const namedBy = STATE_DIRECTORY === undefined ? from : "STATE_DIRECTORY";
    return { value: defaultStateDirectory(surroundings, stateName), from: namedBy };
  }
  if (typeof value !== "string") return { value, from };
  return { value: value.replace(/(?<=:\/\/)[^/@\s]*@/g, "…@"), from };
}

function checkReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (error) {
    throw new CommandError(EXIT.config, `${path} ${whyUnreadable(error)}`);
  }
}
