// SPDX-License-Identifier: MIT
/** Small files of the state directory that hold secrets, over any {@link FileSystem}. */

import { utf8Decode, utf8Encode } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { type FileSystem, storageError, syncDirectory, systemCode, writeAll } from "./file-system.ts";
import type { PrivateFiles } from "./platform.ts";

const FILE_MODE = 0o600;
/** Anybody else's right to do anything. */
const OTHERS = 0o077;

/** @param directory absolute, there already and ours alone, so that a name beside each file is free */
export function privateFilesIn(directory: string, fileSystem: FileSystem): PrivateFiles {
  const pathOf = (name: string) => `${directory}/${name}`;
  return {
    path: pathOf,

    async read(name) {
      const path = pathOf(name);
      try {
        const { mode } = await fileSystem.stat(path);
        if ((mode & OTHERS) !== 0)
          throw new GodwitError("ERR_CONFIG", `${path} holds a secret and must have mode 0600`);
        return utf8Decode(await fileSystem.readFile(path));
      } catch (error) {
        if (systemCode(error) === "ENOENT") return null;
        throw fileError(error);
      }
    },

    async write(name, text) {
      const path = pathOf(name);
      try {
        const file = await fileSystem.open(`${path}.new`, "w", FILE_MODE);
        try {
          await writeAll(file, utf8Encode(text), 0);
          await file.sync();
        } finally {
          await file.close();
        }
        await fileSystem.rename(`${path}.new`, path);
        await syncDirectory(fileSystem, directory);
      } catch (error) {
        throw fileError(error);
      }
    },
  };
}

function fileError(error: unknown): GodwitError {
  return storageError("a file of the state directory", error);
}
