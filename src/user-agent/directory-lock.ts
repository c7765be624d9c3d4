// SPDX-License-Identifier: MIT
/**
 * One agent per state directory: a symbolic link, made or found in one step, whose target names the process that holds
 * it. A lock whose process is gone, also by a crash or a restart of the machine, is taken over. Not for directories
 * shared between machines or containers.
 */

import { GodwitError } from "../errors.ts";
import { type FileSystem, systemCode, unlinkIfThere } from "./file-system.ts";

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
  const path = `${directory}/lock`;
  const self = formatIdentity(processes.self());
  for (let attempt = 0; attempt < 3; attempt++) {
    if (await create(fileSystem, path, self)) return () => release(fileSystem, path, self);
    if (await isHeld(fileSystem, path, processes)) break;
    // Of several processes that find the same lock left over only one may remove it, or one of them would remove the
    // new lock of another.
    const takeover = `${directory}/lock.takeover`;
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

/** True when the link was made, false when there is one. */
async function create(fileSystem: FileSystem, path: string, content: string): Promise<boolean> {
  try {
    await fileSystem.symlink(content, path);
    return true;
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
}

/** A link appears with its content, so one that says nothing proper was left by a power cut, or is not ours. */
async function isHeld(fileSystem: FileSystem, path: string, processes: ProcessTable): Promise<boolean> {
  const holder = parseIdentity(await fileSystem.readlink(path).catch(() => ""));
  return holder !== null && processes.isRunning(holder);
}

function formatIdentity({ pid, startTicks, bootId }: ProcessIdentity): string {
  return `${pid}.${startTicks}.${bootId}`;
}

/** Null for what is no target of a lock. */
export function parseIdentity(text: string): ProcessIdentity | null {
  const match = /^([1-9]\d{0,9})\.(\d*)\.([\w-]*)$/.exec(text);
  if (match === null) return null;
  const [, pid = "", startTicks = "", bootId = ""] = match;
  return { pid: Number(pid), startTicks, bootId };
}

/** The process that a lock's target names, or null where it says nothing proper. */
export function holderOf(
  target: string,
  processes: ProcessTable,
): (ProcessIdentity & { readonly isRunning: boolean }) | null {
  const holder = parseIdentity(target);
  return holder === null ? null : { ...holder, isRunning: processes.isRunning(holder) };
}

/** Only our own lock: it may have been taken over while this process was thought dead. */
async function release(fileSystem: FileSystem, path: string, self: string): Promise<void> {
  if ((await fileSystem.readlink(path).catch(() => "")) === self) await unlinkIfThere(fileSystem, path);
}
