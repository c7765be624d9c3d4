// SPDX-License-Identifier: MIT
/**
 * A file system in memory that knows what is on disk and what is only in the cache, cuts the power at any step, runs
 * full, writes short and fails on demand.
 */
import type { FileHandle, FileStatus, FileSystem } from "../../src/user-agent/file-system.ts";

/** What of the unsynced survives a power cut. Real file systems do any of these. */
export const SURVIVALS = [
  "nothing",
  "everything",
  "names only",
  "removals only",
  "data only",
  "half the data",
  "some sectors",
] as const;
export type Survival = (typeof SURVIVALS)[number];

/** What a disk writes as a whole. */
export const SECTOR_BYTES = 512;

/** Neither array is ever changed in place: a write makes another one, so that disks can share them. */
interface Inode {
  content: Uint8Array;
  durable: Uint8Array;
}

/** A file, and the same array twice where all of it is on disk. */
export interface CachedFile {
  readonly path: string;
  /** What is on disk, and what the process sees. Borrowed. */
  readonly durable: Uint8Array;
  readonly content: Uint8Array;
}

/** What a power cut leaves, name by name and file by file. */
export interface Remains {
  /** The name is as it is now, there or not; else as it was when the directory was last synced. */
  isNameNew(path: string): boolean;
  bytes(file: CachedFile): Uint8Array;
}

/** Thrown by each call from the power cut on. */
export class PowerCut extends Error {}

/** Called before each step; returns a system error code to fail with, or null. */
export type FaultHook = (operation: string, path: string) => string | null;

export class CrashFileSystem implements FileSystem {
  readonly uid = 1000;
  /** Steps done so far, and the step at which the power goes. */
  steps = 0;
  powerCutAt = Number.POSITIVE_INFINITY;
  fault: FaultHook = () => null;
  /** What a step takes; null: nothing. */
  wait: (operation: string) => Promise<void> | null = () => null;
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Most bytes one call writes to a segment. */
  writeBytesMax = Number.POSITIVE_INFINITY;
  readonly log: string[] = [];
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();

  makeDirectory(path: string): Promise<boolean> {
    return this.#step("makeDirectory", path, () => true);
  }

  open(path: string, flags: string): Promise<FileHandle> {
    return this.#step(`open ${flags}`, path, () => {
      if (path === "/state") return this.#directoryHandle();
      let inode = this.#names.get(path);
      if (inode === undefined) {
        if (flags.startsWith("r")) throw systemError("ENOENT");
        inode = { content: new Uint8Array(0), durable: new Uint8Array(0) };
        this.#names.set(path, inode);
      }
      if (flags === "w") inode.content = new Uint8Array(0);
      return this.#fileHandle(path, inode);
    });
  }

  readFile(path: string): Promise<Uint8Array> {
    return this.#step("readFile", path, () => Buffer.from(this.#inode(path).content));
  }

  stat(path: string): Promise<FileStatus> {
    return this.#step("stat", path, () => {
      const { content } = this.#inode(path);
      return { size: content.length, mode: 0o600, uid: this.uid };
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step("rename", from, () => {
      this.#names.set(to, this.#inode(from));
      this.#names.delete(from);
    });
  }

  unlink(path: string): Promise<void> {
    return this.#step("unlink", path, () => {
      this.#inode(path);
      this.#names.delete(path);
    });
  }

  symlink(target: string, path: string): Promise<void> {
    return this.#step("symlink", path, () => {
      if (this.#names.has(path)) throw systemError("EEXIST");
      const content = new TextEncoder().encode(target);
      this.#names.set(path, { content, durable: content });
    });
  }

  readlink(path: string): Promise<string> {
    return this.#step("readlink", path, () => new TextDecoder().decode(this.#inode(path).content));
  }

  /**
   * What the machine finds when the power is back.
   *
   * @param isSectorWritten for "some sectors": whether the next one that was not synced is on disk
   */
  afterPowerCut(survival: Survival, isSectorWritten: () => boolean = everySecond()): CrashFileSystem {
    return this.remaining({
      isNameNew: (path) => isNameNew(survival, this.#names.has(path)),
      bytes: (file) => survivingContent(file, survival, isSectorWritten),
    });
  }

  /** Likewise, as `remains` has it. */
  remaining(remains: Remains): CrashFileSystem {
    const next = new CrashFileSystem();
    for (const path of new Set([...this.#durableNames.keys(), ...this.#names.keys()])) {
      const inode = (remains.isNameNew(path) ? this.#names : this.#durableNames).get(path);
      if (inode === undefined) continue;
      next.put(path, remains.bytes({ path, content: inode.content, durable: inode.durable }));
    }
    return next;
  }

  /** Names that are there or gone, or mean another file, since the directory was last synced. */
  unsyncedNames(): string[] {
    const paths = new Set([...this.#durableNames.keys(), ...this.#names.keys()]);
    return [...paths].filter((path) => this.#names.get(path) !== this.#durableNames.get(path));
  }

  /** Under each name, new or old, where there is more to it than what is on disk. */
  unsyncedFiles(): CachedFile[] {
    const files: CachedFile[] = [];
    for (const [path, { content, durable }] of [...this.#durableNames, ...this.#names]) {
      if (content !== durable && !files.some((file) => file.path === path && file.content === content))
        files.push({ path, content, durable });
    }
    return files;
  }

  /** Each name on disk with its bytes. */
  durableFiles(): [path: string, bytes: Uint8Array][] {
    return [...this.#durableNames].map(([path, { durable }]) => [path, durable]);
  }

  /** Every byte that is on disk under some name. */
  durableContents(): Uint8Array[] {
    return [...this.#durableNames.values()].map((inode) => inode.durable);
  }

  /** What is on disk under `path`, or null. */
  durable(path: string): Uint8Array | null {
    return this.#durableNames.get(path)?.durable ?? null;
  }

  /** One bit of a file is another one from now on. */
  rot(path: string, bit: number): void {
    const inode = this.#inode(path);
    const { content, durable } = inode;
    inode.content = flipped(content, bit);
    inode.durable = content === durable ? inode.content : flipped(durable, bit);
  }

  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  put(path: string, content: Uint8Array): void {
    const inode = { content, durable: content };
    this.#names.set(path, inode);
    this.#durableNames.set(path, inode);
  }

  async #step<T>(operation: string, path: string, perform: () => T): Promise<T> {
    const waited = this.wait(operation);
    if (waited !== null) await waited;
    if (this.steps >= this.powerCutAt) throw new PowerCut("the power is cut");
    this.steps++;
    this.log.push(`${operation} ${path}`);
    const code = this.fault(operation, path);
    if (code !== null) throw systemError(code);
    return perform();
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw systemError("ENOENT");
    return inode;
  }

  usedBytes(): number {
    let used = 0;
    for (const inode of new Set([...this.#names.values(), ...this.#durableNames.values()])) {
      used += Math.max(inode.content.length, inode.durable.length);
    }
    return used;
  }

  #directoryHandle(): FileHandle {
    const sync = (): Promise<void> =>
      this.#step("sync", "/state", () => {
        this.#durableNames = new Map(this.#names);
      });
    return {
      write: () => Promise.reject(systemError("EISDIR")),
      datasync: sync,
      sync,
      close: async () => {},
    };
  }

  #fileHandle(path: string, inode: Inode): FileHandle {
    let isOpen = true;
    const step = <T>(operation: string, perform: () => T): Promise<T> => {
      if (!isOpen) throw new Error(`${operation} on a closed file`);
      return this.#step(operation, path, perform);
    };
    const sync = (operation: string): Promise<void> =>
      step(operation, () => {
        // Shared: a write makes new content, it changes none.
        inode.durable = inode.content;
      });
    return {
      write: (bytes, offset, length, position) =>
        step("write", () => {
          const room = this.capacityBytes - this.usedBytes() + Math.max(0, inode.content.length - position);
          const shortBytes = path.endsWith("reserve") ? length : this.writeBytesMax;
          const bytesWritten = Math.min(length, shortBytes, room);
          if (bytesWritten <= 0) throw systemError("ENOSPC");
          const content = new Uint8Array(Math.max(inode.content.length, position + bytesWritten));
          content.set(inode.content);
          content.set(bytes.subarray(offset, offset + bytesWritten), position);
          inode.content = content;
          return { bytesWritten };
        }),
      datasync: () => sync("datasync"),
      sync: () => sync("sync"),
      close: async () => {
        isOpen = false;
        this.log.push(`close ${path}`);
      },
    };
  }
}

function everySecond(): () => boolean {
  let isWritten = false;
  return () => {
    isWritten = !isWritten;
    return isWritten;
  };
}

function isNameNew(survival: Survival, isThere: boolean): boolean {
  if (survival === "everything" || survival === "names only") return true;
  return survival === "removals only" && !isThere;
}

function survivingContent(
  { content, durable }: CachedFile,
  survival: Survival,
  isSectorWritten: () => boolean,
): Uint8Array {
  if (survival === "everything" || survival === "data only") return content;
  if (survival === "nothing" || survival === "removals only") return durable;
  // The length may be on disk before the data: zeros then.
  const mixed = new Uint8Array(content.length);
  mixed.set(durable.subarray(0, content.length));
  if (survival === "some sectors") {
    for (let at = 0; at < content.length; at += SECTOR_BYTES) {
      const sector = content.subarray(at, at + SECTOR_BYTES);
      if (isSectorWritten()) mixed.set(sector, at);
    }
  }
  if (survival === "half the data") {
    const half = durable.length + Math.floor((content.length - durable.length) / 2);
    mixed.set(content.subarray(0, Math.max(0, half)));
  }
  return mixed;
}

/** Without it in place: other disks may have these bytes too. */
function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const rotten = bytes.slice();
  const at = (bit >> 3) % Math.max(1, bytes.length);
  rotten[at] = (rotten[at] ?? 0) ^ (1 << (bit & 7));
  return rotten;
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code });
}
