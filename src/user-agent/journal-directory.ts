// SPDX-License-Identifier: MIT
/**
 * The journal in the state directory: keeps it on disk so that what is confirmed survives a power cut.
 * It knows segments only by their generation; what is inside them is the agent's.
 *
 * ```
 * journal-0 journal-1   the segment of even and of odd generation; usually one of them exists
 * journal.new           a segment being written
 * reserve               room for a segment when the disk is full
 * lock                  a symbolic link naming the process that uses the directory
 * ```
 */
import { concatBytes } from "../bytes.ts";
import { GodwitError } from "../errors.ts";
import { segmentGeneration } from "../journal/segment.ts";
import { JOURNAL_RESERVE_BYTES, JOURNAL_SEGMENT_BYTES_MAX } from "../limits.ts";
import type { RandomFill } from "../webpush/crypto.ts";
import { lockDirectory, type ProcessTable, type Unlock } from "./directory-lock.ts";
import {
  type FileHandle,
  type FileSystem,
  isFull,
  makePrivateDirectory,
  storageError,
  syncDirectory,
  systemCode,
  unlinkIfThere,
  writeAll,
} from "./file-system.ts";

/** Where a host keeps the agent's journal. Everything is done in the order it was asked for. */
export interface JournalStorage {
  /** The segments as found, at most two, in any order. To be called before the first write. */
  read(): Promise<Uint8Array[]>;
  /**
   * Adds `bytes` to the active segment; resolves once they survive a power cut. After any failed write, appends are
   * refused until a checkpoint succeeds, since nobody knows how the segment ends.
   *
   * @throws {GodwitError} ERR_JOURNAL_FULL, else ERR_JOURNAL_IO
   */
  append(bytes: Uint8Array): Promise<void>;
  /**
   * Makes `bytes` the one segment; resolves once that survives a power cut and the old one is removed. When it fails, the
   * old one or the new one is what a restart finds.
   *
   * @param options.urgent may use the reserve: for removals, which have to work on a full disk
   * @throws {GodwitError} ERR_JOURNAL_FULL, else ERR_JOURNAL_IO
   */
  checkpoint(bytes: Uint8Array, options: { readonly urgent: boolean }): Promise<void>;
  /** Waits for what was asked for, then lets go of the directory. Later writes are refused. */
  close(): Promise<void>;
}

export interface JournalDirectoryOptions {
  /** Absolute. Made, with mode 0700, when it is not there. */
  readonly directory: string;
  readonly fileSystem: FileSystem;
  readonly processes: ProcessTable;
  readonly randomFill: RandomFill;
}

const FILE_MODE = 0o600;

type Outcome = { readonly resolve: () => void; readonly reject: (error: GodwitError) => void };
type Job =
  | ({ readonly type: "append"; readonly bytes: Uint8Array } & Outcome)
  | ({ readonly type: "checkpoint"; readonly bytes: Uint8Array; readonly urgent: boolean } & Outcome);

export class JournalDirectory implements JournalStorage {
  readonly #fileSystem: FileSystem;
  readonly #randomFill: RandomFill;
  readonly #directory: string;
  readonly #unlock: Unlock;
  readonly #jobs: Job[] = [];
  #worker: Promise<void> | null = null;
  /** Where appends go; null when only a checkpoint may be written. */
  #active: { readonly handle: FileHandle; readonly position: number } | null = null;
  #checkpointBytes = 0;
  #reserveBytes = 0;
  #isClosed = false;

  private constructor({ fileSystem, randomFill, directory }: JournalDirectoryOptions, unlock: Unlock) {
    this.#fileSystem = fileSystem;
    this.#randomFill = randomFill;
    this.#directory = directory;
    this.#unlock = unlock;
  }

  /**
   * Makes the directory if need be, locks it, clears away an interrupted checkpoint and lays in the reserve.
   *
   * @throws {GodwitError} ERR_CONFIG for a directory that is not ours alone, ERR_JOURNAL_IN_USE, ERR_JOURNAL_IO
   */
  static async open(options: JournalDirectoryOptions): Promise<JournalDirectory> {
    const { directory, fileSystem, processes } = options;
    try {
      await makePrivateDirectory(fileSystem, directory);
      const unlock = await lockDirectory(directory, fileSystem, processes);
      const files = new JournalDirectory(options, unlock);
      try {
        await unlinkIfThere(fileSystem, files.#path("journal.new"));
        await files.#layInReserve();
      } catch (error) {
        await unlock();
        throw error;
      }
      return files;
    } catch (error) {
      throw storageError("opening the state directory failed", error);
    }
  }

  async read(): Promise<Uint8Array[]> {
    const images: Uint8Array[] = [];
    let newest: { readonly slot: 0 | 1; readonly generation: number; readonly bytes: number } | null = null;
    for (const slot of [0, 1] as const) {
      const image = await this.#readSlot(slot);
      if (image === null) continue;
      images.push(image);
      const generation = segmentGeneration(image);
      if (generation === null || (newest !== null && generation < newest.generation)) continue;
      newest = { slot, generation, bytes: image.length };
    }
    await this.#abandon();
    if (newest !== null) await this.#activate(newest.slot, newest.bytes);
    return images;
  }

  append(bytes: Uint8Array): Promise<void> {
    return this.#enqueue((outcome) => ({ type: "append", bytes, ...outcome }));
  }

  checkpoint(bytes: Uint8Array, options: { readonly urgent: boolean }): Promise<void> {
    return this.#enqueue((outcome) => ({ type: "checkpoint", bytes, urgent: options.urgent, ...outcome }));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#worker;
    await this.#abandon();
    await this.#unlock().catch((error: unknown) => {
      throw storageError("unlocking failed", error);
    });
  }

  #enqueue(makeJob: (outcome: Outcome) => Job): Promise<void> {
    if (this.#isClosed) return Promise.reject(new GodwitError("ERR_JOURNAL_IO", "the journal is closed"));
    return new Promise((resolve, reject) => {
      this.#jobs.push(makeJob({ resolve, reject }));
      this.#worker ??= this.#work();
    });
  }

  async #work(): Promise<void> {
    // Writes asked for in the same turn go into one group.
    await Promise.resolve();
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      const group = [job];
      if (job.type === "append") {
        while (this.#jobs[0]?.type === "append") group.push(this.#jobs.shift() as Job);
      }
      const failure = await this.#perform(group).then(
        () => null,
        (error: unknown) => storageError(`${job.type} failed`, error),
      );
      if (failure !== null) await this.#abandon();
      for (const { resolve, reject } of group) {
        if (failure === null) resolve();
        else reject(failure);
      }
      if (failure === null && job.type === "checkpoint") await this.#layInReserve().catch(() => {});
    }
    this.#worker = null;
  }

  async #perform(group: readonly Job[]): Promise<void> {
    const first = group[0];
    if (first?.type === "checkpoint") await this.#checkpoint(first.bytes, first.urgent);
    else await this.#append(concatBytes(...group.map((job) => job.bytes)));
  }

  /** One write and one fdatasync for the whole group. */
  async #append(bytes: Uint8Array): Promise<void> {
    const active = this.#active;
    if (active === null)
      throw new GodwitError("ERR_JOURNAL_IO", "no active segment: a checkpoint is needed first");
    await writeAll(active.handle, bytes, active.position);
    await active.handle.datasync();
    this.#active = { handle: active.handle, position: active.position + bytes.length };
  }

  async #checkpoint(bytes: Uint8Array, urgent: boolean): Promise<void> {
    const generation = segmentGeneration(bytes);
    if (generation === null) throw new GodwitError("ERR_JOURNAL_RECORD", "not a journal segment");
    // The agent's next appends are for the new segment, whether it comes to be or not.
    await this.#abandon();
    const slot = generation % 2 === 0 ? 0 : 1;
    try {
      await this.#replace(bytes, slot);
    } catch (error) {
      if (!urgent || this.#reserveBytes === 0 || !isFull(error)) throw error;
      await this.#releaseReserve();
      await this.#replace(bytes, slot);
    }
  }

  /** Write new, fsync, rename, fsync directory; then the old segment may go. */
  async #replace(bytes: Uint8Array, slot: 0 | 1): Promise<void> {
    const path = this.#path("journal.new");
    const handle = await this.#fileSystem.open(path, "w", FILE_MODE);
    try {
      await writeAll(handle, bytes, 0);
      await handle.sync();
      await this.#fileSystem.rename(path, this.#slotPath(slot));
      await this.#syncDirectory();
      await unlinkIfThere(this.#fileSystem, this.#slotPath(slot === 0 ? 1 : 0));
      // What was removed must not come back with the power.
      await this.#syncDirectory();
    } catch (error) {
      await handle.close().catch(() => {});
      await unlinkIfThere(this.#fileSystem, path).catch(() => {});
      throw error;
    }
    this.#checkpointBytes = bytes.length;
    this.#active = { handle, position: bytes.length };
  }

  async #readSlot(slot: 0 | 1): Promise<Uint8Array | null> {
    const path = this.#slotPath(slot);
    try {
      // An image without bytes counts as damaged: so does a file that is not ours or cannot be read.
      if ((await this.#fileSystem.stat(path)).size > JOURNAL_SEGMENT_BYTES_MAX) return new Uint8Array(0);
      const content = await this.#fileSystem.readFile(path);
      return new Uint8Array(content.buffer, content.byteOffset, content.byteLength);
    } catch (error) {
      return systemCode(error) === "ENOENT" ? null : new Uint8Array(0);
    }
  }

  /** Best effort: without it the first append is refused, and the agent writes a checkpoint. */
  async #activate(slot: 0 | 1, position: number): Promise<void> {
    this.#checkpointBytes = position;
    try {
      this.#active = { handle: await this.#fileSystem.open(this.#slotPath(slot), "r+", FILE_MODE), position };
      // What a process wrote or renamed that was killed before its fsync was read here and may be on no disk yet.
      await this.#active.handle.datasync();
      await this.#syncDirectory();
    } catch {
      await this.#abandon();
    }
  }

  /** A descriptor whose fsync failed may claim success the next time: it is closed and never written again. */
  async #abandon(): Promise<void> {
    const active = this.#active;
    this.#active = null;
    await active?.handle.close().catch(() => {});
  }

  #syncDirectory(): Promise<void> {
    return syncDirectory(this.#fileSystem, this.#directory);
  }

  async #releaseReserve(): Promise<void> {
    this.#reserveBytes = 0;
    await unlinkIfThere(this.#fileSystem, this.#path("reserve"));
    // Some file systems hand out freed blocks only once their removal is on disk.
    await this.#syncDirectory();
  }

  /** Room for the next checkpoint, in whole steps. Random bytes, since file systems compress and skip zeros. */
  async #layInReserve(): Promise<void> {
    const steps = Math.max(1, Math.ceil(this.#checkpointBytes / JOURNAL_RESERVE_BYTES));
    const wantedBytes = steps * JOURNAL_RESERVE_BYTES;
    const path = this.#path("reserve");
    if (this.#reserveBytes === 0) this.#reserveBytes = await this.#sizeOf(path);
    if (this.#reserveBytes >= wantedBytes) return;
    const haveBytes = this.#reserveBytes;
    try {
      const handle = await this.#fileSystem.open(path, haveBytes === 0 ? "w" : "r+", FILE_MODE);
      try {
        const bytes = new Uint8Array(wantedBytes - haveBytes);
        this.#randomFill(bytes);
        await writeAll(handle, bytes, haveBytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      this.#reserveBytes = wantedBytes;
    } catch (error) {
      // A full disk is no reason not to start. What fitted stays.
      this.#reserveBytes = await this.#sizeOf(path);
      if (!isFull(error)) throw error;
    }
  }

  /** 0 for what is not there. */
  async #sizeOf(path: string): Promise<number> {
    return this.#fileSystem.stat(path).then(
      ({ size }) => size,
      () => 0,
    );
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }

  #slotPath(slot: 0 | 1): string {
    return this.#path(`journal-${slot}`);
  }
}
