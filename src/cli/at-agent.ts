// SPDX-License-Identifier: MIT
/** What the commands at a running agent have in common: `--state`, the owner, and how an owner is printed. */

import { isOwner } from "../agent/owner.ts";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { defaultStateDirectory, type Options } from "../configuration/options.ts";
import { nodeSurroundings } from "./surroundings.ts";

export const STATE = { kind: "text", value: "DIR", help: "state directory of the agent" } as const;

export function stateOf(options: Options): string {
  return options.text("state") ?? defaultStateDirectory(nodeSurroundings(), "agent");
}

/** The owner at this place of the arguments. */
export function ownerOf(options: Options, at = 0): string {
  const owner = options.positionals[at];
  if (owner === undefined)
    throw new CommandError(
      EXIT.usage,
      "an owner is needed: an origin like https://news.example, or an app id",
    );
  if (!isOwner(owner))
    throw new CommandError(
      EXIT.usage,
      `"${owner}" is no owner: neither a web origin like https://news.example nor an app id in lower case`,
    );
  return owner;
}

/** The number at this place of the arguments. */
export function idOf(options: Options, what: string, at = 0): number {
  const text = options.positionals[at];
  if (text === undefined || !/^[1-9]\d{0,14}$/.test(text))
    throw new CommandError(EXIT.usage, `${what} is needed: the number in the list`);
  return Number(text);
}

/** One of `words` at this place of the arguments. */
export function wordOf<Word extends string>(options: Options, words: readonly Word[], at: number): Word {
  const given = options.positionals[at];
  const word = words.find((candidate) => candidate === given);
  if (word === undefined)
    throw new CommandError(
      EXIT.usage,
      `${given === undefined ? "a word is" : `"${given}" is none of the words`} needed: ${words.join(", ")}`,
    );
  return word;
}
