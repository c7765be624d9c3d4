// SPDX-License-Identifier: MIT
/** What commands print: results on stdout, logs on stderr, colours only on a terminal that wants them. */

import type { ProgramOutput } from "../configuration/agent-program.ts";
import { EXIT } from "../configuration/exit.ts";

export interface Output extends ProgramOutput {
  /** Resolves when nobody reads the results any more. */
  readonly closed: Promise<void>;
}

export function createOutput(isJson: boolean): Output {
  // Whoever read our output has seen enough (`| head`), or the disk it goes to is full: an agent has more to do than to tell of
  // it, and everything else is to be cleaned up.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  process.stdout.once("error", ({ code }: NodeJS.ErrnoException) => {
    if (code !== "EPIPE") process.once("exit", failUnlessFailed);
  });
  const closed = new Promise<void>((resolve) => process.stdout.once("error", () => resolve()));
  return {
    isJson,
    closed,
    line: (text) => void process.stdout.write(`${text}\n`),
    json: (value) => void process.stdout.write(`${JSON.stringify(value)}\n`),
    log: (text) => void process.stderr.write(`${text}\n`),
  };
}

/** Results that are lost are a failure, however well everything else went. */
function failUnlessFailed(): void {
  process.exitCode ||= EXIT.failure;
}

/** True when `stream` is a terminal and nobody asked for plain text (no-color.org). */
export function wantsColour(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && (process.env.NO_COLOR ?? "") === "";
}
