// SPDX-License-Identifier: MIT
/** `--runtime quickjs`: the firmware's own benchmark, `godwitd bench` of `npm run firmware`, one suite a run. */

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Board, circumstances } from "../scripts/board.mjs";
import type { Row } from "./harness.ts";
import { repositoryRoot } from "./quickjs.ts";
import type { FirmwareSuite } from "./usage.ts";

/** @throws {Error} with one sentence when there is no such program, or it failed */
export async function runFirmwareBench(
  suite: FirmwareSuite,
  rounds: number,
): Promise<{ readonly board: Board; readonly rows: readonly Row[] }> {
  const program = join(repositoryRoot(), "build", "firmware", "godwitd");
  if (!existsSync(program)) throw new Error("there is no build/firmware/godwitd: npm run firmware makes it");
  const child = spawn(program, ["bench", "--rounds", String(rounds), suite], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  const [output, status] = await Promise.all([text(child.stdout), ended]);
  if (status !== 0) throw new Error(`godwitd bench ${suite} ended with ${status}`);
  const [board, ...rows] = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
  const how = circumstances(`npm run bench -- --runtime quickjs ${suite}`);
  return { board: { ...(board as Board), ...how }, rows: rows as Row[] };
}

/** One line for people. */
export function describeBoard(board: Board): string {
  const facts = Object.entries(board).filter(([name, value]) => name !== "schema" && value !== null);
  return facts.map(([name, value]) => `${name} ${value}`).join(", ");
}
