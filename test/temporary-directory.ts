// SPDX-License-Identifier: MIT
/**
 * Gives a run of vitest one temporary directory of its own, so that nothing stays in the system's when tests fail, time out or
 * are killed. A run whose tests did not clean up after themselves fails. No tests here.
 */

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

const PREFIX = "godwit-tests-";

export default function setUp(): () => void {
  const before = process.env.TMPDIR;
  // Each project sets up: the first for all.
  if (before !== undefined && basename(before).startsWith(`${PREFIX}${process.pid}-`)) return () => {};
  removeAbandoned();
  const directory = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  // Workers are started after this and inherit it.
  process.env.TMPDIR = directory;
  return () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    const left = readdirSync(directory).filter((name) => name.startsWith("godwit-"));
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    if (left.length === 0) return;
    console.error(`tests left behind: ${left.join(", ")}`);
    process.exitCode = 1;
  };
}

/** What runs that were killed left: nobody has their process number any more. */
function removeAbandoned(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(/^godwit-tests-(\d+)-/.exec(name)?.[1]);
    if (pid > 0 && !isRunning(pid)) remove(join(tmpdir(), name));
  }
}

/** A soak that was killed leaves a file system mounted, which is nothing to fail for. */
function remove(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
    console.error(`still mounted: ${directory}`);
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
