// SPDX-License-Identifier: MIT
/** The C host under test: script_driver of the firmware's build, with the contract suite's script inside. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Subject, subjectOf } from "../contract/subject.ts";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Where `npm run firmware` put its programs; another of its builds by name in GODWIT_FIRMWARE_BUILD. */
export const FIRMWARE_BUILD = join(ROOT, "build", process.env.GODWIT_FIRMWARE_BUILD ?? "firmware");
const DRIVER = join(FIRMWARE_BUILD, "test", "script_driver");

/** False where the firmware has not been built: its specs are skipped. */
export const isFirmwareBuilt = existsSync(DRIVER);

export interface DriverOptions {
  /** Options of script_driver.c. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Command and arguments to run it with, such as a tracer. */
  readonly under?: readonly string[];
}

export interface DriverSubject extends Subject {
  readonly pid: number;
  /** What it wrote to stderr so far. */
  readonly stderr: () => string;
}

/** Bundles the script that the driver evaluates into `directory`; returns its path. */
export async function buildContractScript(directory: string): Promise<string> {
  const outfile = join(directory, "contract.js");
  await build({
    entryPoints: [join(ROOT, "test", "firmware", "contract-script.ts")],
    outfile,
    bundle: true,
    platform: "neutral",
    format: "iife",
    target: "es2023",
    mainFields: ["module", "main"],
    logLevel: "error",
  });
  return outfile;
}

/** Starts a driver. Its end is checked: `end` rejects unless it left with 0, as a sanitizer's finding does not. */
export function startDriver(script: string, options: DriverOptions = {}): DriverSubject {
  const [command = DRIVER, ...before] = [...(options.under ?? []), DRIVER];
  const child = spawn(command, [...before, script, ...(options.args ?? [])], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => {});
  const ended = once(child, "close") as Promise<[number | null, string | null]>;
  const end = async (): Promise<void> => {
    child.stdin.end();
    const [code, signal] = await ended;
    if (code !== 0) throw new Error(`script_driver ended with ${code ?? signal}:\n${stderr}`);
  };
  const { subject, hear, lose } = subjectOf((line) => void child.stdin.write(`${line}\n`), end);
  createInterface({ input: child.stdout }).on("line", hear);
  ended.then(() => lose(`script_driver is gone:\n${stderr}`));
  return { ...subject, pid: child.pid ?? 0, stderr: () => stderr };
}
