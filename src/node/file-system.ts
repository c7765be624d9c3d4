// SPDX-License-Identifier: MIT
/**
 * The few file-system calls the state directory needs, so that tests can stand in for them and cut the power.
 */
import * as fs from "node:fs/promises";
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

/** Subset of `node:fs/promises`. Failures carry the usual `code`, such as ENOENT or ENOSPC. */
export interface FileSystem {
  open(path: string, flags: "r" | "r+" | "w", mode: number): Promise<FileHandle>;
  readFile(path: string): Promise<Uint8Array>;
  /** Length of a file in bytes. */
  size(path: string): Promise<number>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** Fails with EEXIST when there is something at `path`. */
  symlink(target: string, path: string): Promise<void>;
  readlink(path: string): Promise<string>;
  /** Made with `mode`, and those above it, or, when it is there already, left as it is and refused when others may write into it. */
  makeDirectory(path: string, mode: number): Promise<void>;
}

/** The real one. */
export const nodeFileSystem: FileSystem = {
  open: (path, flags, mode) => fs.open(path, flags, mode),
  readFile: (path) => fs.readFile(path),
  size: async (path) => (await fs.stat(path)).size,
  rename: (from, to) => fs.rename(from, to),
  unlink: (path) => fs.unlink(path),
  symlink: (target, path) => fs.symlink(target, path),
  readlink: (path) => fs.readlink(path),
  makeDirectory: async (path, mode) => {
    const made = await fs.mkdir(path, { recursive: true, mode });
    if (made === undefined) await checkPrivate(path);
  },
};

/**
 * A directory that was there before must be ours, and nobody else may write into it.
 *
 * @throws {GodwitError} ERR_CONFIG
 */
async function checkPrivate(path: string): Promise<void> {
  const { uid, mode } = await fs.stat(path);
  const us = process.getuid?.() ?? uid;
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
