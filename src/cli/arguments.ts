// SPDX-License-Identifier: MIT
/** What Node's parser of arguments and the file system say, in our words. */

import { parseArgs } from "node:util";

export type ArgumentSpecs = Readonly<Record<string, { readonly type: "string" | "boolean" }>>;

export interface ParsedArguments {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

/**
 * Options by their names without dashes, and what is left.
 *
 * @throws {Error} with one short sentence
 */
export function parseArguments(args: readonly string[], options: ArgumentSpecs): ParsedArguments {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new Error(inOurWords(error));
  }
}

function inOurWords(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const option = /'([^' ]+)/.exec(message)?.[1] ?? "";
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") return `unknown option ${option}`;
  if (/does not take an argument/.test(message)) return `${option} takes no value`;
  if (/ambiguous/.test(message))
    return `${option} needs a value; one that starts with a dash: ${option}=VALUE`;
  return option === "" ? message : `${option} needs a value`;
}

/** Why a file could not be read, as the end of a sentence that begins with its path. */
export function whyUnreadable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ENOTDIR") return "is not there";
  if (code === "EACCES" || code === "EPERM") return "may not be read";
  if (code === "EISDIR") return "is a directory";
  return `cannot be read${code === undefined ? "" : ` (${code})`}`;
}

/** Likewise for one that could not be written. */
export function whyUnwritable(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") return "may not be written";
  if (code === "ENOSPC" || code === "EDQUOT") return "cannot be written: the disk is full";
  return `cannot be written${code === undefined ? "" : ` (${code})`}`;
}
