// SPDX-License-Identifier: MIT
/**
 * A store's file gets its name when it is whole: lmdb dies of one that a power cut left half begun. lmdb syncs its file, but not the
 * file's name.
 */

import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { nodeFileSystem } from "../../node/file-system.ts";
import { syncDirectory } from "../../user-agent/file-system.ts";
import type { Store } from "./store.ts";

/** As lmdb names it. */
const DATA_FILE = "data.mdb";

/** Makes the file of the store in `directory` unless it is there; `openIn` opens a new store in another directory. */
export async function makeDataFile(
  directory: string,
  openIn: (unfinished: string) => Promise<Store>,
): Promise<void> {
  if (existsSync(join(directory, DATA_FILE))) return;
  const unfinished = join(directory, "new");
  rmSync(unfinished, { recursive: true, force: true });
  await (await openIn(unfinished)).close();
  renameSync(join(unfinished, DATA_FILE), join(directory, DATA_FILE));
  await syncDirectory(nodeFileSystem, directory);
  rmSync(unfinished, { recursive: true });
}
