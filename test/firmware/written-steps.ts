// SPDX-License-Identifier: MIT
/**
 * What a program wrote into one directory, step by step, as firmware-bridge/test/power_cut.c noted it, and what a disk would hold
 * had the power gone in between. No tests here.
 */

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SURVIVALS, type Survival } from "../user-agent/crash-file-system.ts";

export { SURVIVALS, type Survival };

/** As in `enum power_cut_operation`. */
const OPERATIONS = [
  "",
  "create",
  "write",
  "truncate",
  "sync",
  "syncDirectory",
  "rename",
  "unlink",
  "symlink",
  "writeThrough",
] as const;
const HEADER_BYTES = 32;

export interface Step {
  readonly operation: (typeof OPERATIONS)[number];
  /** Of a file; they are used again after one was removed. */
  readonly inode: bigint;
  readonly offset: number;
  /** Within the directory. */
  readonly path: string;
  /** New name, or what a link says. */
  readonly other: string;
  readonly data: Uint8Array;
}

/** The steps in the log so far; one that is being written does not count yet. */
export function readSteps(logPath: string): Step[] {
  const log = readFileSync(logPath);
  const steps: Step[] = [];
  for (let at = 0; at + HEADER_BYTES <= log.length; ) {
    const operation = OPERATIONS[log.readUInt32LE(at)];
    if (operation === undefined || operation === "") throw new Error(`no step at ${at}`);
    const pathEnd = at + HEADER_BYTES + log.readUInt32LE(at + 4);
    const otherEnd = pathEnd + log.readUInt32LE(at + 8);
    const end = otherEnd + log.readUInt32LE(at + 12);
    if (end > log.length) break;
    steps.push({
      operation,
      inode: log.readBigUInt64LE(at + 16),
      offset: Number(log.readBigUInt64LE(at + 24)),
      path: log.toString("utf8", at + HEADER_BYTES, pathEnd),
      other: log.toString("utf8", pathEnd, otherEnd),
      data: new Uint8Array(log.subarray(otherEnd, end)),
    });
    at = end;
  }
  return steps;
}

/** A link is there or not: it has no content that could be half written. */
type Entry = { readonly type: "link"; readonly target: string } | File;

interface File {
  readonly type: "file";
  content: Uint8Array;
  durable: Uint8Array;
}

/** Name and content of everything in the directory; a text is where a link points. */
export type Image = ReadonlyMap<string, Uint8Array | string>;

/** The directory, empty at first, and what of it is on the disk. */
export class Disk {
  readonly #files = new Map<bigint, File>();
  readonly #names = new Map<string, Entry>();
  #durableNames = new Map<string, Entry>();

  perform(step: Step): void {
    const { operation, inode, offset, path, other, data } = step;
    switch (operation) {
      case "create": {
        const file: File = { type: "file", content: new Uint8Array(0), durable: new Uint8Array(0) };
        this.#files.set(inode, file);
        this.#names.set(path, file);
        return;
      }
      case "write": {
        const file = this.#file(inode);
        const longer = new Uint8Array(Math.max(file.content.length, offset + data.length));
        longer.set(file.content);
        longer.set(data, offset);
        file.content = longer;
        return;
      }
      case "truncate": {
        const file = this.#file(inode);
        file.content = file.content.slice(0, offset);
        return;
      }
      case "sync": {
        const file = this.#file(inode);
        file.durable = file.content.slice();
        return;
      }
      case "syncDirectory":
        this.#durableNames = new Map(this.#names);
        return;
      case "rename":
        this.#names.set(other, this.#entry(path));
        this.#names.delete(path);
        return;
      case "unlink":
        this.#entry(path);
        this.#names.delete(path);
        return;
      case "symlink":
        this.#names.set(path, { type: "link", target: other });
        return;
      default:
        throw new Error(`a step ${operation}`);
    }
  }

  /** What the machine finds when the power is back. */
  afterPowerCut(survival: Survival): Image {
    const image = new Map<string, Uint8Array | string>();
    for (const [name, entry] of this.#survivingNames(survival)) {
      image.set(name, entry.type === "link" ? entry.target : survivingContent(entry, survival));
    }
    return image;
  }

  /** Every byte that is on the disk under some name. */
  durableContents(): Uint8Array[] {
    return [...this.#durableNames.values()].flatMap((entry) =>
      entry.type === "file" ? [entry.durable] : [],
    );
  }

  #survivingNames(survival: Survival): ReadonlyMap<string, Entry> {
    if (survival === "everything" || survival === "names only") return this.#names;
    if (survival !== "removals only") return this.#durableNames;
    return new Map([...this.#durableNames].filter(([name]) => this.#names.has(name)));
  }

  #file(inode: bigint): File {
    const file = this.#files.get(inode);
    if (file === undefined) throw new Error(`a file ${inode} nobody made`);
    return file;
  }

  #entry(name: string): Entry {
    const entry = this.#names.get(name);
    if (entry === undefined) throw new Error(`there is no ${name}`);
    return entry;
  }
}

/** Makes `directory`, with what is in `image`. */
export function layOut(image: Image, directory: string): void {
  mkdirSync(directory, { mode: 0o700 });
  for (const [name, content] of image) {
    const path = join(directory, name);
    if (typeof content === "string") symlinkSync(content, path);
    else writeFileSync(path, content, { mode: 0o600 });
  }
}

/** As real file systems do it: the length may be there before the data, which then reads as zeros. */
function survivingContent({ content, durable }: File, survival: Survival): Uint8Array {
  if (survival === "everything" || survival === "data only") return content;
  if (survival === "nothing" || survival === "removals only") return durable;
  const mixed = new Uint8Array(content.length);
  mixed.set(durable.subarray(0, content.length));
  if (survival === "half the data") {
    const half = durable.length + Math.floor((content.length - durable.length) / 2);
    mixed.set(content.subarray(0, Math.max(0, half)));
  }
  return mixed;
}
