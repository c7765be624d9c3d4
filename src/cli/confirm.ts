// SPDX-License-Identifier: MIT
/** Asking the person at the terminal. */

import { createInterface } from "node:readline/promises";
import { CommandError, EXIT } from "../configuration/exit.ts";

/** True when there is somebody to ask. */
export function isSomebodyThere(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** The person's yes or no; asked on stderr, since stdout is for results. The end of the input is a no. */
export async function askYesNo(question: string): Promise<boolean> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const over = new Promise<string>((resolve) => reader.once("close", () => resolve("")));
    const answer = await Promise.race([reader.question(`${question} [y/N] `), over]);
    return /^\s*y(es)?\s*$/i.test(answer);
  } finally {
    reader.close();
  }
}

/**
 * Goes on only after a yes.
 *
 * @throws {CommandError} 2 when nobody can be asked, 1 after a no
 */
export async function confirm(question: string): Promise<void> {
  if (!isSomebodyThere())
    throw new CommandError(EXIT.usage, "there is nobody to ask whether it is meant: give --yes");
  if (!(await askYesNo(question))) throw new CommandError(EXIT.failure, "not done");
}
