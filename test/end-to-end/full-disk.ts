// SPDX-License-Identifier: MIT
/** The real file system on a disk that can be full: writes fail with ENOSPC, removed files give their room back. */

import { statSync } from "node:fs";
import { nodeFileSystem } from "../../src/node/file-system.ts";
import type { FileHandle, FileStatus, FileSystem } from "../../src/user-agent/file-system.ts";

export class FullDisk implements FileSystem {
  readonly uid = nodeFileSystem.uid;
  /** Bytes that can still be written. */
  freeBytes = Number.POSITIVE_INFINITY;

  async open(path: string, flags: "r" | "r+" | "w", mode: number): Promise<FileHandle> {
    if (flags === "w") this.freeBytes += sizeOf(path);
    const handle = await nodeFileSystem.open(path, flags, mode);
    return {
      write: (bytes, offset, length, position) => {
        const room = Math.min(length, this.freeBytes);
        if (room <= 0) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
        this.freeBytes -= room;
        return handle.write(bytes, offset, room, position);
      },
      datasync: () => handle.datasync(),
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  }

  readFile(path: string): Promise<Uint8Array> {
    return nodeFileSystem.readFile(path);
  }

  stat(path: string): Promise<FileStatus> {
    return nodeFileSystem.stat(path);
  }

  async rename(from: string, to: string): Promise<void> {
    const replacedBytes = sizeOf(to);
    await nodeFileSystem.rename(from, to);
    this.freeBytes += replacedBytes;
  }

  async unlink(path: string): Promise<void> {
    const bytes = sizeOf(path);
    await nodeFileSystem.unlink(path);
    this.freeBytes += bytes;
  }

  symlink(target: string, path: string): Promise<void> {
    return nodeFileSystem.symlink(target, path);
  }

  readlink(path: string): Promise<string> {
    return nodeFileSystem.readlink(path);
  }

  makeDirectory(path: string, mode: number): Promise<boolean> {
    return nodeFileSystem.makeDirectory(path, mode);
  }
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
