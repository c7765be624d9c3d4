// SPDX-License-Identifier: MIT
/** The simulation as a program of its own, for tests: time and randomness of its process are its own. No tests here. */

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { bundleSimulation, type Mutation } from "../../scripts/simulation.mjs";

export interface Run {
  readonly status: number | null;
  readonly output: string;
}

/** Path of a bundle, with a defect or none; removed behind the tests of the file. */
export async function bundled(mutation: Mutation | null = null): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "godwit-simulation-"));
  afterAll(() => rmSync(directory, { recursive: true }));
  const program = join(directory, "simulation.mjs");
  await bundleSimulation(program, mutation);
  return program;
}

export function run(program: string, ...args: readonly string[]): Promise<Run> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.on("close", (status) => resolve({ status, output: Buffer.concat(chunks).toString() }));
  });
}
