// SPDX-License-Identifier: MIT
/** One process per store directory: two would each hand out ids and tell only their own devices. */

import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { GodwitError } from "../../errors.ts";
import { nodeFileSystem } from "../../node/file-system.ts";
import { systemProcesses } from "../../node/system-processes.ts";
import { lockDirectory, type Unlock } from "../../user-agent/directory-lock.ts";
import { syncDirectory } from "../../user-agent/file-system.ts";

/**
 * Takes the lock of `directory`, which is made when it is not there.
 *
 * @throws {GodwitError} ERR_JOURNAL_IN_USE another running process holds it
 */
export async function lockStore(directory: string): Promise<Unlock> {
  await makeDirectory(resolve(directory));
  try {
    return await lockDirectory(directory, nodeFileSystem, systemProcesses);
  } catch (error) {
    if (!(error instanceof GodwitError && error.code === "ERR_JOURNAL_IN_USE")) throw error;
    throw new GodwitError(error.code, `another push service uses ${directory}`);
  }
}

/** With all above it that is missing; the names survive a power cut. */
async function makeDirectory(directory: string): Promise<void> {
  const firstMade = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (firstMade === undefined) return;
  for (let made = directory; made.length >= firstMade.length; made = dirname(made))
    await syncDirectory(nodeFileSystem, dirname(made));
}
