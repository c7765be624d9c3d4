// SPDX-License-Identifier: MIT
/** What commands print: results on stdout, logs on stderr, colours only on a terminal that wants them. */

import type { Report } from "../agent/events.ts";
import { EXIT } from "./exit.ts";

export interface Output {
  readonly isJson: boolean;
  /** One line of the result. */
  line(text: string): void;
  /** One JSON object on a line of its own. */
  json(value: unknown): void;
  /** One line for whoever watches. */
  log(text: string): void;
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

/** A report as one line for people. Reports hold no secret, so every member may be printed. */
export function describeReport(report: Report): string {
  const { type, ...members } = report;
  const details = Object.entries(members)
    .filter(([, value]) => value !== null)
    .map(
      ([name, value]) =>
        `${name}=${typeof value === "string" && /\s/.test(value) ? JSON.stringify(value) : value}`,
    );
  return [type, ...details].join(" ");
}

/** Text from elsewhere must not write to the terminal by itself: one line, without control and format characters. */
export function plain(text: string): string {
  return text.replace(/\p{C}/gu, "?");
}
