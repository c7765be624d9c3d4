// SPDX-License-Identifier: MIT
/** Programs started by the agent, on Node. */

import { spawn } from "node:child_process";
import type { Child, ChildEnd, Processes } from "../user-agent/platform.ts";

export const nodeProcesses: Processes = {
  start([program = "", ...args], environment, ended) {
    let pid: number | undefined;
    let isOver = false;
    const end = (how: ChildEnd): void => {
      if (isOver) return;
      isOver = true;
      ended(how);
    };
    try {
      const child = spawn(program, args, {
        // The agent's stdout may be for programs (--json), its stderr is for people.
        stdio: ["ignore", "ignore", "inherit"],
        env: { ...inheritedEnvironment(), ...environment },
        // In a process group of its own: Ctrl-C at the agent's terminal is for the agent, and what the app starts ends with it.
        detached: true,
      });
      pid = child.pid;
      child.on("error", (error: NodeJS.ErrnoException) => {
        if (child.pid === undefined) end({ type: "notStarted", code: error.code ?? "unknown error" });
      });
      child.on("exit", (code, signal) =>
        end(signal === null ? { type: "exit", code: code ?? 0 } : { type: "signal", name: signal }),
      );
    } catch {
      // A text that no program can be given, such as one with a zero byte.
      setImmediate(() => end({ type: "notStarted", code: "ERR_INVALID_ARG_VALUE" }));
    }
    const child: Child = {
      signal(name) {
        try {
          if (pid !== undefined && !isOver) process.kill(-pid, name);
        } catch {
          // It ended just now.
        }
      },
    };
    return child;
  },
};

/** Ours, without the variables that configure the agent. */
function inheritedEnvironment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("GODWIT_")));
}
