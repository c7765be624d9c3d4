#!/usr/bin/env node

// SPDX-License-Identifier: MIT
/** `godwit`: finds the command, reads its options, runs it, and turns what went wrong into an exit code. */

import { CommandError, EXIT, exitCodeOf } from "../configuration/exit.ts";
import { COMMON, kebab, readOptions } from "../configuration/options.ts";
import { plain } from "../configuration/plain.ts";
import { GodwitError } from "../errors.ts";
import type { Command } from "./command.ts";
import { COMMANDS } from "./commands.ts";
import { findCommand, knownOptions } from "./find-command.ts";
import { createOutput } from "./output.ts";
import { nodeSurroundings } from "./surroundings.ts";

declare const __GODWIT_VERSION__: string;

async function main(args: readonly string[]): Promise<number> {
  const [name] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    process.stdout.write(overview());
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  if (name === "--version") {
    process.stdout.write(`${__GODWIT_VERSION__}\n`);
    return EXIT.ok;
  }
  const found = findCommand(COMMANDS, args);
  if (found === null) {
    process.stderr.write(`godwit: unknown command "${name}"; try godwit help\n`);
    return EXIT.usage;
  }
  const { words, command, rest } = found;
  // Behind "--" nothing is ours.
  const ours = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  try {
    if (ours.includes("--help") || ours.includes("-h")) {
      process.stdout.write(help(words, command));
      return EXIT.ok;
    }
    const options = readOptions(rest, command.options, knownOptions(COMMANDS), nodeSurroundings());
    refuseExtra(command, options.positionals);
    await command.run(options, createOutput(options.flag("json")));
    return EXIT.ok;
  } catch (error) {
    process.stderr.write(`${describeError(words, error, ours.includes("--json"))}\n`);
    return exitCodeOf(error);
  }
}

/** One line; for programs with the code, which is stable, where there is one. */
function describeError(words: string, error: unknown, isJson: boolean): string {
  const message = error instanceof Error ? error.message : "failed";
  // Some of it may be a push service's words.
  if (!isJson) return `godwit ${words}: ${plain(message)}`;
  return JSON.stringify({ error: { code: error instanceof GodwitError ? error.code : null, message } });
}

function refuseExtra({ positionals, verbs = {} }: Command, given: readonly string[]): void {
  const extra = given[positionalsMax(positionals)];
  if (extra === undefined) return;
  const known = Object.keys(verbs);
  const hint = known.length > 0 && given.length === 1 ? `; there is ${known.join(", ")}` : "";
  throw new CommandError(EXIT.usage, `unexpected argument "${extra}"${hint}`);
}

function positionalsMax(positionals: string): number {
  if (positionals.endsWith("…]")) return Number.POSITIVE_INFINITY;
  return positionals.split(" ").filter((word) => word !== "").length;
}

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, command]) => `  ${name.padEnd(15)}${command.summary}`);
  return `usage: godwit COMMAND [OPTIONS]\n\n${lines.join("\n")}\n\ngodwit COMMAND --help tells the options of one, godwit --version the version.\n`;
}

function help(words: string, command: Command): string {
  const specs = Object.entries({ ...command.options, ...COMMON });
  const lines = specs.map(([option, spec]) => {
    const flag = `--${kebab(option)}${spec.value === undefined ? "" : ` ${spec.value}`}`;
    const fallback = spec.fallback === undefined ? "" : ` (default ${spec.fallback})`;
    return `  ${flag.padEnd(32)} ${spec.help}${fallback}${spec.oneOf === undefined ? "" : ` (${spec.oneOf.join(" | ")})`}`;
  });
  const usage = (name: string, { positionals }: Command): string =>
    ["godwit", name, "[OPTIONS]", positionals].filter((part) => part !== "").join(" ");
  const verbs = Object.entries(command.verbs ?? {}).map(
    ([verb, inner]) => `       ${usage(`${words} ${verb}`, inner)}\n           ${inner.summary}\n`,
  );
  return `usage: ${usage(words, command)}\n${verbs.join("")}\n${command.summary}\n\n${lines.join("\n")}\n`;
}

process.exitCode = await main(process.argv.slice(2));
