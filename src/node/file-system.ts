// SPDX-License-Identifier: MIT
/** The file system of Node. */

import * as fs from "node:fs/promises";
import type { FileSystem } from "../user-agent/file-system.ts";

export const nodeFileSystem: FileSystem = {
  uid: process.getuid?.() ?? null,
  open: (path, flags, mode) => fs.open(path, flags, mode),
  readFile: (path) => fs.readFile(path),
  stat: (path) => fs.stat(path),
  rename: (from, to) => fs.rename(from, to),
  unlink: (path) => fs.unlink(path),
  symlink: (target, path) => fs.symlink(target, path),
  readlink: (path) => fs.readlink(path),
  makeDirectory: async (path, mode) => (await fs.mkdir(path, { recursive: true, mode })) !== undefined,
};
