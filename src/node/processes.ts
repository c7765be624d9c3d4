// SPDX-License-Identifier: MIT
/** Programs started by the agent, on Node. */

import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import type { ChildEnd, Processes } from "../user-agent/platform.ts";

export const nodeProcesses: Processes = {
  start(argv, environment, ended) {
    let isOver = false;
    // The agent's stdout may be for programs (--json), its stderr is for people.
    const stdio: SpawnOptions["stdio"] = ["ignore", "ignore", "inherit"];
    const env = { ...inheritedEnvironment(), ...environment };
    const child = startProgram(argv, { stdio, env }, (how) => {
      isOver = true;
      ended(how);
    });
    return {
      signal(name) {
        try {
          if (child?.pid !== undefined && !isOver) process.kill(-child.pid, name);
        } catch {
          // It ended just now.
        }
      },
    };
  },
};

/**
 * Starts a program in a process group of its own: Ctrl-C at the agent's terminal is for the agent, and what it starts ends with it.
 *
 * @param ended called once, in a later turn
 * @returns null when not even that can be tried
 */
export function startProgram(
  [program = "", ...args]: readonly string[],
  options: Pick<SpawnOptions, "stdio" | "env">,
  ended: (how: ChildEnd) => void,
): ChildProcess | null {
  let isOver = false;
  const end = (how: ChildEnd): void => {
    // "exit" may or may not come after "error".
    if (!isOver) ended(how);
    isOver = true;
  };
  try {
    const child = spawn(program, args, { ...options, detached: true });
    child.on("error", (error: NodeJS.ErrnoException) => {
      if (child.pid === undefined) end({ type: "notStarted", code: error.code ?? "unknown error" });
    });
    child.on("exit", (code, signal) =>
      end(signal === null ? { type: "exit", code: code ?? 0 } : { type: "signal", name: signal }),
    );
    return child;
  } catch {
    // A text that no program can be given, such as one with a zero byte.
    setImmediate(() => end({ type: "notStarted", code: "ERR_INVALID_ARG_VALUE" }));
    return null;
  }
}

/** Ours, without the variables that configure the agent. */
function inheritedEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("GODWIT_")));
}
