// SPDX-License-Identifier: MIT
/** `godwit apps`: the apps that may connect to a running agent, the token each proves itself with, and how each is started. */

import { randomBytes } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { whyUnwritable } from "../configuration/arguments.ts";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { APP_TOKENS, type Options } from "../configuration/options.ts";
import { plain } from "../configuration/plain.ts";
import { withAgent } from "./agent-client.ts";
import { ownerOf, STATE, stateOf } from "./at-agent.ts";
import type { Command } from "./command.ts";

const STDOUT = "-";

const installCommand: Command = {
  summary:
    "let an app in: its token goes to a file (0600); with PROGRAM the agent starts it when something waits for it",
  positionals: "OWNER [-- PROGRAM…]",
  options: {
    state: STATE,
    tokenFile: {
      kind: "text",
      value: "FILE",
      help: `where its token goes, - for standard output (default: in ${APP_TOKENS} of the state directory)`,
    },
  },
  async run(options, output) {
    const owner = ownerOf(options);
    const [, program, ...args] = options.positionals;
    const start = program === undefined ? null : [findProgram(program), ...args];
    const tokenFile = tokenFileOf(options, owner);
    if (tokenFile === null && start !== null)
      throw new CommandError(EXIT.usage, "an app that the agent starts needs its token in a file");
    const install = () =>
      withAgent(stateOf(options), async (agent) => {
        return (await agent.ask("installApp", { owner, start, tokenFile })).token;
      });
    if (tokenFile === null) {
      const token = await install();
      return output.isJson ? output.json({ owner, token }) : output.line(token);
    }
    await replaceWith(tokenFile, install);
    if (output.isJson) return output.json({ owner, tokenFile, start });
    output.line(`${owner} is installed, its token is in ${tokenFile}`);
    if (start !== null) output.line(`started with: ${plain(start.join(" "))}`);
  },
};

const uninstallCommand: Command = {
  summary:
    "shut an app out and take away all that it left: subscriptions, messages, notifications, decisions",
  positionals: "OWNER",
  options: { state: STATE },
  async run(options, output) {
    const owner = ownerOf(options);
    const state = stateOf(options);
    const existed = await withAgent(state, async (agent) => {
      const [installed, { owners }] = await Promise.all([
        agent.ask("installed", {}),
        agent.ask("status", {}),
      ]);
      await agent.ask("uninstallApp", { owner });
      return [...installed, ...owners].some((known) => known.owner === owner);
    });
    rmSync(ownTokenFile(state, owner), { force: true });
    if (output.isJson) return output.json({ existed });
    output.line(existed ? `${owner} is uninstalled` : `nothing was known of ${owner}`);
  },
};

export const appsCommand: Command = {
  summary: "list the apps that may connect, install and uninstall them",
  positionals: "",
  options: { state: STATE },
  verbs: { install: installCommand, uninstall: uninstallCommand },
  async run(options, output) {
    const apps = await withAgent(stateOf(options), (agent) => agent.ask("installed", {}));
    if (output.isJson) return output.json(apps);
    if (apps.length === 0) return output.line("no apps; godwit apps install OWNER lets one in");
    for (const { owner, start, tokenFile } of apps)
      output.line(
        `${owner}\ttoken ${tokenFile ?? "printed"}\t${start === null ? "not started" : plain(start.join(" "))}`,
      );
  },
};

/** Absolute path of a program, since the agent's working directory is another one. */
function findProgram(program: string): string {
  const places = program.includes("/")
    ? [resolve(program)]
    : (process.env.PATH ?? "").split(delimiter).map((directory) => resolve(directory, program));
  const found = places.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new CommandError(EXIT.usage, `${program} is no program that can be run`);
  return found;
}

/** Absolute; null for standard output. */
function tokenFileOf(options: Options, owner: string): string | null {
  const given = options.text("tokenFile");
  if (given === STDOUT) return null;
  return resolve(given ?? ownTokenFile(stateOf(options), owner));
}

function ownTokenFile(stateDirectory: string, owner: string): string {
  return join(stateDirectory, APP_TOKENS, encodeURIComponent(owner));
}

/** Makes sure that it can be written before there is a token, and replaces it as a whole: an app may be reading it. */
async function replaceWith(path: string, secret: () => Promise<string>): Promise<void> {
  const temporary = `${path}.${randomBytes(8).toString("hex")}`;
  let file: number;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    file = openSync(temporary, "wx", 0o600);
  } catch (error) {
    throw new CommandError(EXIT.config, `${path} ${whyUnwritable(error)}`);
  }
  try {
    writeSync(file, `${await secret()}\n`);
    fsyncSync(file);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    if (error instanceof Error && "syscall" in error)
      throw new CommandError(EXIT.config, `${path} ${whyUnwritable(error)}: install the app again`);
    throw error;
  } finally {
    closeSync(file);
  }
}
