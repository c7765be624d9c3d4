// SPDX-License-Identifier: MIT
// Ends a program that a test started. No tests here.

import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Kills `child` by SIGKILL, unless it has ended by itself or by a signal. Resolves when it is gone. */
export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
}
