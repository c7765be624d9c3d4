#!/usr/bin/env node
// SPDX-License-Identifier: MIT
/** `godwit`: finds the command, reads its options, runs it, and turns what went wrong into an exit code. */

import { agentCommand } from "./agent.ts";
import type { Command } from "./command.ts";
import { demoCommand } from "./demo.ts";
import { CommandError, EXIT, exitCodeOf } from "./exit.ts";
import { COMMON, kebab, type OptionSpecs, readOptions } from "./options.ts";
import { createOutput } from "./output.ts";
import { pushServiceCommand } from "./push-service.ts";
import { sendCommand } from "./send.ts";
import { statsCommand } from "./stats.ts";
import { statusCommand } from "./status.ts";
import { subscribeCommand, subscriptionsCommand, unsubscribeCommand } from "./subscriptions.ts";

declare const __GODWIT_VERSION__: string;

const COMMANDS: Readonly<Record<string, Command>> = {
  demo: demoCommand,
  agent: agentCommand,
  "push-service": pushServiceCommand,
  send: sendCommand,
  status: statusCommand,
  stats: statsCommand,
  subscriptions: subscriptionsCommand,
  subscribe: subscribeCommand,
  unsubscribe: unsubscribeCommand,
};

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    process.stdout.write(overview());
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  if (name === "--version") {
    process.stdout.write(`${__GODWIT_VERSION__}\n`);
    return EXIT.ok;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    process.stderr.write(`godwit: unknown command "${name}"; try godwit help\n`);
    return EXIT.usage;
  }
  try {
    if (rest.includes("--help") || rest.includes("-h")) {
      process.stdout.write(help(name, command));
      return EXIT.ok;
    }
    const options = readOptions(rest, command.options, allOptions(), process.env);
    const extra = options.positionals[positionalsMax(command)];
    if (extra !== undefined) throw new CommandError(EXIT.usage, `unexpected argument "${extra}"`);
    await command.run(options, createOutput(options.flag("json")));
    return EXIT.ok;
  } catch (error) {
    const message = error instanceof Error ? error.message : "failed";
    process.stderr.write(`godwit ${name}: ${message}\n`);
    return exitCodeOf(error);
  }
}

function positionalsMax({ positionals }: Command): number {
  if (positionals === "") return 0;
  return positionals.endsWith("…]") ? Number.POSITIVE_INFINITY : 1;
}

function allOptions(): OptionSpecs {
  return Object.assign({}, ...Object.values(COMMANDS).map((command) => command.options));
}

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, command]) => `  ${name.padEnd(15)}${command.summary}`);
  return `usage: godwit COMMAND [OPTIONS]\n\n${lines.join("\n")}\n\ngodwit COMMAND --help tells the options of one, godwit --version the version.\n`;
}

function help(name: string, command: Command): string {
  const specs = Object.entries({ ...command.options, ...COMMON });
  const lines = specs.map(([option, spec]) => {
    const flag = `--${kebab(option)}${spec.value === undefined ? "" : ` ${spec.value}`}`;
    return `  ${flag.padEnd(32)} ${spec.help}${spec.oneOf === undefined ? "" : ` (${spec.oneOf.join(" | ")})`}`;
  });
  const usage = ["usage: godwit", name, "[OPTIONS]", command.positionals]
    .filter((part) => part !== "")
    .join(" ");
  return `${usage}\n\n${command.summary}\n\n${lines.join("\n")}\n`;
}

process.exitCode = await main(process.argv.slice(2));
