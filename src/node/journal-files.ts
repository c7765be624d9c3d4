// SPDX-License-Identifier: MIT
/** The journal in files, on Node. */

import type { ProcessTable } from "../user-agent/directory-lock.ts";
import type { FileSystem } from "../user-agent/file-system.ts";
import { JournalDirectory, type JournalStorage } from "../user-agent/journal-directory.ts";
import { nodeFileSystem } from "./file-system.ts";
import { systemRandomFill } from "./platform.ts";
import { systemProcesses } from "./system-processes.ts";

export interface JournalFilesOptions {
  /** Made, with mode 0700, when it is not there. */
  readonly directory: string;
  readonly fileSystem?: FileSystem;
  readonly processes?: ProcessTable;
}

export class JournalFiles implements JournalStorage {
  readonly #files: JournalDirectory;

  private constructor(files: JournalDirectory) {
    this.#files = files;
  }

  /**
   * Makes the directory if need be, locks it, clears away an interrupted checkpoint and lays in the reserve.
   *
   * @throws {GodwitError} ERR_CONFIG for a directory that is not ours alone, ERR_JOURNAL_IN_USE, ERR_JOURNAL_IO
   */
  static async open(options: JournalFilesOptions): Promise<JournalFiles> {
    const { directory, fileSystem = nodeFileSystem, processes = systemProcesses } = options;
    const randomFill = systemRandomFill;
    return new JournalFiles(await JournalDirectory.open({ directory, fileSystem, processes, randomFill }));
  }

  read(): Promise<Uint8Array[]> {
    return this.#files.read();
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#files.append(bytes);
  }

  checkpoint(bytes: Uint8Array, options: { readonly urgent: boolean }): Promise<void> {
    return this.#files.checkpoint(bytes, options);
  }

  close(): Promise<void> {
    return this.#files.close();
  }
}
