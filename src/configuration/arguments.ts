// SPDX-License-Identifier: MIT
/** The arguments of a command line, and what the file system says, in our words. The same on every runtime. */

export type ArgumentSpecs = Readonly<Record<string, { readonly type: "string" | "boolean" }>>;

export interface ParsedArguments {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

/**
 * Options by their names without dashes, and what is left. `--name value`, `--name=value`, `--flag`; of one given twice the last
 * counts, and behind `--` there are no options.
 *
 * @throws {Error} with one short sentence
 */
export function parseArguments(args: readonly string[], options: ArgumentSpecs): ParsedArguments {
  const values: Record<string, unknown> = {};
  const positionals: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--") {
      positionals.push(...args.slice(at + 1));
      break;
    }
    if (!isLikeOption(arg)) {
      positionals.push(arg);
      continue;
    }
    const [, given = "", value] = /^(--?[^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    const name = given.slice(2);
    const spec = given.startsWith("--") && Object.hasOwn(options, name) ? options[name] : undefined;
    if (spec === undefined)
      throw new Error(`unknown option ${given.startsWith("--") ? given : arg.slice(0, 2)}`);
    if (spec.type === "boolean") {
      if (value !== undefined) throw new Error(`${given} takes no value`);
      values[name] = true;
    } else if (value !== undefined) values[name] = value;
    else values[name] = valueBehind(given, args[++at]);
  }
  return { values, positionals };
}

/** A value that starts with a dash is more likely an option whose own value was forgotten. */
function valueBehind(option: string, next: string | undefined): string {
  if (next === undefined) throw new Error(`${option} needs a value`);
  if (isLikeOption(next))
    throw new Error(`${option} needs a value; one that starts with a dash: ${option}=VALUE`);
  return next;
}

/** A dash alone is none. */
function isLikeOption(arg: string): boolean {
  return arg.length > 1 && arg.startsWith("-");
}

/** Why a file could not be read, as the end of a sentence that begins with its path. */
export function whyUnreadable(error: unknown): string {
  const { code } = error as { readonly code?: string };
  if (code === "ENOENT" || code === "ENOTDIR") return "is not there";
  if (code === "EACCES" || code === "EPERM") return "may not be read";
  if (code === "EISDIR") return "is a directory";
  return `cannot be read${code === undefined ? "" : ` (${code})`}`;
}

/** Likewise for one that could not be written. */
export function whyUnwritable(error: unknown): string {
  const { code } = error as { readonly code?: string };
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") return "may not be written";
  if (code === "ENOSPC" || code === "EDQUOT") return "cannot be written: the disk is full";
  return `cannot be written${code === undefined ? "" : ` (${code})`}`;
}
