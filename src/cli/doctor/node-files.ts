// SPDX-License-Identifier: MIT
/** What `godwit doctor` sees of the state directory, and of whom it is, on Node. */

import { lstatSync, readdirSync, readFileSync, statfsSync } from "node:fs";
import type { DoctorFiles, StateSurroundings } from "../../doctor/state-directory.ts";
import { nodeProvider } from "../../node/crypto.ts";
import { systemRandomFill } from "../../node/platform.ts";
import { machineId } from "../../node/user-agent.ts";

export const nodeFiles: DoctorFiles = {
  uid: process.getuid?.() ?? null,
  look(path) {
    const found = lstatOf(path);
    if (found === null) return null;
    const kind = found.isDirectory() ? "directory" : found.isFile() ? "file" : "other";
    return { kind, mode: found.mode & 0o7777, uid: found.uid, size: found.size };
  },
  list: (path) => readdirSync(path),
  read: (path) => new Uint8Array(readFileSync(path)),
  freeBytes(path) {
    const { bavail, bsize } = statfsSync(path);
    return Number(bavail) * Number(bsize);
  },
};

export function nodeState(): StateSurroundings {
  return {
    files: nodeFiles,
    deviceId: machineId(),
    provider: nodeProvider,
    randomFill: systemRandomFill,
  };
}

/** Null also where the way to it is closed. */
function lstatOf(path: string) {
  try {
    return lstatSync(path);
  } catch {
    return null;
  }
}
