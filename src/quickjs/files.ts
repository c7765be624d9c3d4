// SPDX-License-Identifier: MIT
/**
 * The files of the state directory over the bridge, and the processes its lock asks about. On disk all of it is as the Node host
 * leaves it: either takes over the other's directory, and refuses one that the other uses.
 */

import { utf8Decode } from "../bytes.ts";
import { JOURNAL_SEGMENT_BYTES_MAX, PROC_FILE_BYTES_MAX } from "../limits.ts";
import type { ProcessTable } from "../user-agent/directory-lock.ts";
import type { FileHandle, FileSystem } from "../user-agent/file-system.ts";
import { processTable } from "../user-agent/process-table.ts";
import type { Bridge, BridgeFiles } from "./bridge.d.ts";

/** Every call is done when it returns; what it throws rejects the promise. */
export function bridgeFileSystem(fs: BridgeFiles): FileSystem {
  return {
    uid: fs.uid(),
    open: async (path, flags, mode) => handleOf(fs, fs.open(path, flags, mode)),
    readFile: async (path) => fs.readFile(path, JOURNAL_SEGMENT_BYTES_MAX),
    stat: async (path) => fs.stat(path),
    rename: async (from, to) => fs.rename(from, to),
    unlink: async (path) => fs.unlink(path),
    symlink: async (target, path) => fs.symlink(target, path),
    readlink: async (path) => fs.readlink(path),
    makeDirectory: async (path, mode) => fs.makeDirectory(path, mode),
  };
}

function handleOf(fs: BridgeFiles, fd: number): FileHandle {
  return {
    write: async (bytes, offset, length, position) => ({
      bytesWritten: fs.write(fd, bytes, offset, length, position),
    }),
    datasync: async () => fs.datasync(fd),
    sync: async () => fs.sync(fd),
    close: async () => fs.close(fd),
  };
}

export function bridgeProcesses({ fs, pid }: Bridge): ProcessTable {
  return processTable({
    pid,
    isThere: (other) => fs.isRunning(other),
    readText: (path) => readText(fs, path),
  });
}

/** What names the machine where nobody names the device: systemd's machine id where there is one, else the host name. */
export function bridgeMachineId({ fs }: Bridge): string {
  return readText(fs, "/etc/machine-id").trim() || readText(fs, "/proc/sys/kernel/hostname").trim();
}

/** Changes with each boot; "" where the system has none. */
export function bridgeBootId({ fs }: Bridge): string {
  return readText(fs, "/proc/sys/kernel/random/boot_id").trim();
}

/** Of a small file of the system; "" when it cannot be read. */
function readText(fs: BridgeFiles, path: string): string {
  try {
    return utf8Decode(fs.readFile(path, PROC_FILE_BYTES_MAX));
  } catch {
    return "";
  }
}
