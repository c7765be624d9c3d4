// SPDX-License-Identifier: MIT
/** Small files of the state directory that hold secrets: mode 0600, replaced as a whole, there after a power cut. */

import { open, readFile, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { GodwitError } from "../errors.ts";
import { systemCode } from "./file-system.ts";

const FILE_MODE = 0o600;

/**
 * The text of the file, or null when there is none.
 *
 * @throws {GodwitError} ERR_CONFIG when others may read or write it, ERR_JOURNAL_IO
 */
export async function readPrivateFile(path: string): Promise<string | null> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0)
      throw new GodwitError("ERR_CONFIG", `${path} holds a secret and must have mode 0600`);
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return null;
    throw fileError(error);
  }
}

/**
 * Replaces the file, or makes it. The state directory is ours alone, so the name beside it is free.
 *
 * @throws {GodwitError} ERR_JOURNAL_FULL, else ERR_JOURNAL_IO
 */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  try {
    const file = await open(`${path}.new`, "w", FILE_MODE);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    const directory = await open(dirname(path), "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    throw fileError(error);
  }
}

function fileError(error: unknown): GodwitError {
  if (error instanceof GodwitError) return error;
  const code = ["ENOSPC", "EDQUOT"].includes(systemCode(error)) ? "ERR_JOURNAL_FULL" : "ERR_JOURNAL_IO";
  return new GodwitError(code, `a file of the state directory: ${systemCode(error) || "unknown error"}`);
}
