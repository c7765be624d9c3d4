// SPDX-License-Identifier: MIT
/** Processes as the kernel shows them to Node. */

import { readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { holderOf } from "../user-agent/directory-lock.ts";
import { systemCode } from "../user-agent/file-system.ts";
import { processTable } from "../user-agent/process-table.ts";

const readText = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

export const systemProcesses = processTable({
  pid: process.pid,
  isThere(pid) {
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      // EPERM: it runs, as another user.
      return systemCode(error) !== "ESRCH";
    }
  },
  readText,
});

/** Changes with each boot; "" where the system has none. */
export function systemBootId(): string {
  return readText("/proc/sys/kernel/random/boot_id").trim();
}

/** The process that the lock of `directory` names, or null when there is no lock that says something proper. */
export function lockHolder(directory: string): ReturnType<typeof holderOf> {
  let target = "";
  try {
    target = readlinkSync(join(directory, "lock"));
  } catch {
    return null;
  }
  return holderOf(target, systemProcesses);
}
