// SPDX-License-Identifier: MIT
/**
 * A suite measured in a process of its own: no suite finds what another left in the heap, none can hang for longer than it is given,
 * and one that fails takes no other's rows along.
 */

import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { type Recording, readRecordings } from "./reporting/recording.ts";

/** What is asked to end has this long for it. */
const END_MS_MAX = 5_000;

/**
 * The rows that `node ARGS` prints as JSON lines; what it says on stderr is passed on. It and everything it started is ended when it
 * takes longer than `msMax`, and when this process is.
 *
 * @throws {Error} with one sentence when it fails, prints something else or takes too long
 */
export async function recordIn(args: readonly string[], msMax: number): Promise<Recording[]> {
  // A group of its own, so that what it started can be ended with it.
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], detached: true });
  const end = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-(child.pid ?? 0), signal);
    } catch {
      // All of it has ended.
    }
  };
  let isLate = false;
  const timers = [
    setTimeout(() => {
      isLate = true;
      end("SIGTERM");
    }, msMax),
    setTimeout(() => end("SIGKILL"), msMax + END_MS_MAX),
  ];
  const interrupted = (): void => {
    end("SIGKILL");
    process.exit(130);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  try {
    const [output, status] = await Promise.all([text(child.stdout), closed]);
    if (isLate) throw new Error(`took longer than ${Math.round(msMax / 1000)} s and was ended`);
    if (status !== 0) throw new Error(`ended with ${status ?? "a signal"}`);
    return readRecordings(output);
  } finally {
    for (const timer of timers) clearTimeout(timer);
    end("SIGKILL");
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
  }
}
