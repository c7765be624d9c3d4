// SPDX-License-Identifier: MIT
/** The few file-system calls the state directory needs, which each runtime has, and tests that cut the power. */

import { GodwitError } from "../errors.ts";

/** An open file or directory. */
export interface FileHandle {
  /** Writes `length` bytes of `bytes` from `offset` on; may write fewer. */
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  /** fdatasync: content and length survive a power cut. */
  datasync(): Promise<void>;
  /** fsync; of a directory, its entries. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** What there is to know of a file or directory. */
export interface FileStatus {
  /** Length in bytes. */
  readonly size: number;
  /** Permission bits at least. */
  readonly mode: number;
  /** User it belongs to. */
  readonly uid: number;
}

/** Paths are absolute. Failures carry the system's `code`, such as ENOENT or ENOSPC. */
export interface FileSystem {
  /** The user we are; null where the system has none. */
  readonly uid: number | null;
  open(path: string, flags: "r" | "r+" | "w", mode: number): Promise<FileHandle>;
  readFile(path: string): Promise<Uint8Array>;
  stat(path: string): Promise<FileStatus>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Fails with EEXIST when there is something at `path`. */
  symlink(target: string, path: string): Promise<void>;
  readlink(path: string): Promise<string>;
  /** Makes it with `mode`, and those above it. False when it was there already, and is left as it is. */
  makeDirectory(path: string, mode: number): Promise<boolean>;
}

/**
 * Makes a directory for us alone; one that was there before must be ours, and nobody else may write into it.
 *
 * @throws {GodwitError} ERR_CONFIG
 */
export async function makePrivateDirectory(fileSystem: FileSystem, path: string): Promise<void> {
  if (await fileSystem.makeDirectory(path, 0o700)) return;
  const { uid, mode } = await fileSystem.stat(path);
  const us = fileSystem.uid ?? uid;
  if (uid !== us)
    throw new GodwitError(
      "ERR_CONFIG",
      `${path} belongs to user ${uid}, and this is user ${us}: name another`,
    );
  if ((mode & 0o022) !== 0)
    throw new GodwitError("ERR_CONFIG", `others may write into ${path}: name another, or chmod 700 it`);
}

/** The system's error code, such as "ENOSPC"; "" when `error` has none. */
export function systemCode(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

/** The disk, or our part of it, is full. */
export function isFull(error: unknown): boolean {
  return systemCode(error) === "ENOSPC" || systemCode(error) === "EDQUOT";
}

/** ERR_JOURNAL_FULL or ERR_JOURNAL_IO for what the system said, which is named and not quoted. One of ours stays as it is. */
export function storageError(doing: string, error: unknown): GodwitError {
  if (error instanceof GodwitError) return error;
  const code = isFull(error) ? "ERR_JOURNAL_FULL" : "ERR_JOURNAL_IO";
  const said = systemCode(error) || "unknown error";
  return new GodwitError(code, `${doing}: ${said}${said === "EDQUOT" ? ", over its quota" : ""}`);
}

/** Writes all of `bytes` at `position`, however few a single call takes. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    // A call that writes nothing and says nothing would loop for ever.
    if (bytesWritten <= 0) throw Object.assign(new Error("nothing was written"), { code: "EIO" });
    done += bytesWritten;
  }
}

/** Removes a file that may not be there. */
export async function unlinkIfThere(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.unlink(path);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
  }
}

/** What was made, renamed and removed in it survives a power cut. */
export async function syncDirectory(fileSystem: FileSystem, path: string): Promise<void> {
  const handle = await fileSystem.open(path, "r", 0);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
