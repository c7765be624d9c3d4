// SPDX-License-Identifier: MIT
/**
 * One agent per state directory: a lock file naming the process that holds it. A lock whose process is gone, also by a
 * crash or a restart of the machine, is taken over. Not for directories shared between machines or containers.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GodwitError } from "../errors.ts";
import { type FileSystem, systemCode, unlinkIfThere, writeAll } from "./file-system.ts";

/** Names one process among all that ever ran on the machine. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after boot, from /proc; "" where there is none. Tells a process from a later one with the same pid. */
  readonly startTicks: string;
  /** Changes with each boot; "" where unknown. */
  readonly bootId: string;
}

/** What the lock has to know about processes. */
export interface ProcessTable {
  self(): ProcessIdentity;
  isRunning(identity: ProcessIdentity): boolean;
}

/** Gives the lock back. */
export type Unlock = () => Promise<void>;

/** A lock file that cannot be read yet is being written; after this it counts as left over. */
const HALF_WRITTEN_WAIT_MS = 500;
const LOCK_MODE = 0o600;

/**
 * Takes the lock of `directory`.
 *
 * @throws {GodwitError} ERR_JOURNAL_IN_USE when a running process holds it
 */
export async function lockDirectory(
  directory: string,
  fileSystem: FileSystem,
  processes: ProcessTable,
): Promise<Unlock> {
  const path = join(directory, "lock");
  const self = JSON.stringify(processes.self());
  for (let attempt = 0; attempt < 3; attempt++) {
    if (await create(fileSystem, path, self)) return () => release(fileSystem, path, self);
    if (await isHeld(fileSystem, path, processes)) break;
    // Of several processes that find the same lock left over only one may remove it, or one of them would remove the
    // new lock of another.
    const takeover = join(directory, "lock.takeover");
    if (!(await create(fileSystem, takeover, self))) {
      if (await isHeld(fileSystem, takeover, processes)) break;
      await unlinkIfThere(fileSystem, takeover);
      continue;
    }
    try {
      if (!(await isHeld(fileSystem, path, processes))) await unlinkIfThere(fileSystem, path);
    } finally {
      await unlinkIfThere(fileSystem, takeover);
    }
  }
  throw new GodwitError("ERR_JOURNAL_IN_USE", `another process uses ${directory}`);
}

/** Processes as the kernel shows them. */
export const systemProcesses: ProcessTable = {
  self: () => ({ pid: process.pid, startTicks: startTicks(process.pid), bootId: bootId() }),
  isRunning(identity) {
    if (identity.bootId !== bootId()) return false;
    try {
      process.kill(identity.pid, 0);
    } catch (error) {
      // EPERM: it runs, as another user.
      if (systemCode(error) === "ESRCH") return false;
    }
    return startTicks(identity.pid) === identity.startTicks;
  },
};

/** True when the file was made, false when there is one. */
async function create(fileSystem: FileSystem, path: string, content: string): Promise<boolean> {
  try {
    const handle = await fileSystem.open(path, "wx", LOCK_MODE);
    try {
      await writeAll(handle, new TextEncoder().encode(content), 0);
    } catch (error) {
      await unlinkIfThere(fileSystem, path);
      throw error;
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

async function isHeld(fileSystem: FileSystem, path: string, processes: ProcessTable): Promise<boolean> {
  for (let waitedMs = 0; ; waitedMs += 50) {
    const holder = await readHolder(fileSystem, path);
    if (holder === "gone") return false;
    if (holder !== "unreadable") return processes.isRunning(holder);
    if (waitedMs >= HALF_WRITTEN_WAIT_MS) return false;
    await sleep(50);
  }
}

async function readHolder(
  fileSystem: FileSystem,
  path: string,
): Promise<ProcessIdentity | "gone" | "unreadable"> {
  let content: Uint8Array;
  try {
    content = await fileSystem.readFile(path);
  } catch (error) {
    return systemCode(error) === "ENOENT" ? "gone" : "unreadable";
  }
  return parseHolder(new TextDecoder().decode(content)) ?? "unreadable";
}

function parseHolder(text: string): ProcessIdentity | null {
  try {
    const { pid, startTicks, bootId } = JSON.parse(text) as Record<string, unknown>;
    if (typeof pid !== "number" || !Number.isInteger(pid) || pid <= 0) return null;
    if (typeof startTicks !== "string" || typeof bootId !== "string") return null;
    return { pid, startTicks, bootId };
  } catch {
    return null;
  }
}

/** Only our own lock: it may have been taken over while this process was thought dead. */
async function release(fileSystem: FileSystem, path: string, self: string): Promise<void> {
  const content = new TextDecoder().decode(await fileSystem.readFile(path).catch(() => new Uint8Array(0)));
  if (content === self) await unlinkIfThere(fileSystem, path);
}

function startTicks(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`);
  // The command name, in parentheses, may hold spaces; the start time is the 20th field behind it.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

function bootId(): string {
  return readText("/proc/sys/kernel/random/boot_id").trim();
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
