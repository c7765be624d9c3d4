// SPDX-License-Identifier: MIT
/** Which command the words of a command line mean, and which options there are at all. */

import { DAEMON_OPTIONS } from "../configuration/daemon-options.ts";
import type { OptionSpecs } from "../configuration/options.ts";
import type { Command } from "./command.ts";

export type Commands = Readonly<Record<string, Command>>;

export interface FoundCommand {
  /** `apps install` */
  readonly words: string;
  readonly command: Command;
  /** What stands behind them. */
  readonly rest: readonly string[];
}

/** The command that `args` begins with, verbs included; null when there is none of that name. */
export function findCommand(commands: Commands, args: readonly string[]): FoundCommand | null {
  const [name = "", ...rest] = args;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return null;
  const inner = findCommand(command.verbs ?? {}, rest);
  return inner === null ? { words: name, command, rest } : { ...inner, words: `${name} ${inner.words}` };
}

/** Options of all commands, and of godwitd: a shared configuration file, and the environment, may hold any of them. */
export function knownOptions(commands: Commands): OptionSpecs {
  return { ...DAEMON_OPTIONS, ...optionsOf(commands) };
}

function optionsOf(commands: Commands): OptionSpecs {
  const specs = Object.values(commands).map((command) => ({
    ...command.options,
    ...optionsOf(command.verbs ?? {}),
  }));
  return Object.assign({}, ...specs);
}
