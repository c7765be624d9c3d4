// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";

/**
 * Runs Node on `command` and ends as it ends. Signals are passed on, so that it can clean up after itself; what a terminal sends
 * to the whole group reaches it twice then, which src/cli/signals.ts takes as one.
 */
export function runNode(command) {
  const child = spawn(process.execPath, command, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 128)));
}
