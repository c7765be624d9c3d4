// SPDX-License-Identifier: MIT
/** Which process is which, as Linux shows them in /proc; elsewhere as far as process numbers tell. */

import type { ProcessTable } from "./directory-lock.ts";

/** What a runtime can say. */
export interface ProcessFacts {
  readonly pid: number;
  /** False when there is no process of that number, whoever's. */
  isThere(pid: number): boolean;
  /** Of a file of /proc, "" when it cannot be read. */
  readText(path: string): string;
}

export function processTable({ pid, isThere, readText }: ProcessFacts): ProcessTable {
  const bootId = () => readText("/proc/sys/kernel/random/boot_id").trim();
  const statOf = (other: number) => statusOf(readText(`/proc/${other}/stat`));
  return {
    self: () => ({ pid, startTicks: statOf(pid).startTicks, bootId: bootId() }),
    isRunning(identity) {
      if (identity.bootId !== bootId() || !isThere(identity.pid)) return false;
      const { startTicks, isDead } = statOf(identity.pid);
      if (isDead) return false;
      // It runs, but who it is cannot be seen: better to refuse than to share.
      return startTicks === "" || startTicks === identity.startTicks;
    },
  };
}

/** @param stat the line of /proc/PID/stat, or "" */
function statusOf(stat: string) {
  // The command name, in parentheses, may hold spaces and parentheses; the state is the field behind it, the start time the 20th.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state = ""] = fields;
  return {
    startTicks: fields[19] ?? "",
    /** Ended, and only waiting for a parent that may never ask (a container whose first process does not reap). */
    isDead: state === "Z" || state === "X",
  };
}
