// SPDX-License-Identifier: MIT
/** What a power cut may leave of what was not synced: every way that makes a difference, or one that is drawn. No tests here. */

import { createHash } from "node:crypto";
import type { Chance } from "../simulation/chance.ts";
import {
  type CachedFile,
  type CrashFileSystem,
  type Remains,
  SECTOR_BYTES,
} from "../user-agent/crash-file-system.ts";

/** The bytes of one file as a cut leaves them. */
type Bytes = (file: CachedFile) => Uint8Array;

const old: Bytes = ({ durable }) => durable;
const all: Bytes = ({ content }) => content;

/**
 * Each set of names that were changed, with each of these for a file that was written: nothing, everything, up to each sector's end, up to
 * the middle of each sector, both also with the length there before the bytes, all sectors but one, one sector alone.
 */
export function* everyRemains(disk: CrashFileSystem): Generator<Remains> {
  const names = disk.unsyncedNames();
  for (let set = 0; set < 2 ** names.length; set++) {
    const isNameNew = (path: string): boolean => ((set >> Math.max(0, names.indexOf(path))) & 1) === 1;
    for (const bytes of [old, all, ...disk.unsyncedFiles().flatMap(everyTear)]) yield { isNameNew, bytes };
  }
}

/** The same for names and files as a whole, and with the bytes drawn. */
export function* fewRemains(chance: Chance): Generator<Remains> {
  for (const bytes of [old, all, (file: CachedFile) => drawnBytes(file, chance)])
    for (const isNew of [false, true]) yield { isNameNew: () => isNew, bytes };
}

/** Each name and each sector for itself, in any order: new, old, torn, or not there though the file is long enough. */
export function drawnRemains(chance: Chance): Remains {
  return { isNameNew: () => chance.is(0.5), bytes: (file) => drawnBytes(file, chance) };
}

/** Tells disks apart by what is on them. */
export class SeenDisks {
  readonly #hashes = new WeakMap<Uint8Array, string>();
  #seen = new Set<string>();
  #context: readonly unknown[] = [];

  /** @param context what a start is to find on it: when that is another, so is every disk */
  isNew(disk: CrashFileSystem, ...context: readonly unknown[]): boolean {
    if (context.some((part, at) => part !== this.#context[at])) this.#seen = new Set();
    this.#context = context;
    const parts = disk.durableFiles().map(([path, bytes]) => `${path} ${this.#hash(bytes)}`);
    const key = parts.sort().join("\n");
    if (this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }

  #hash(bytes: Uint8Array): string {
    const hash = this.#hashes.get(bytes) ?? createHash("sha1").update(bytes).digest("base64");
    this.#hashes.set(bytes, hash);
    return hash;
  }
}

function everyTear({ path, durable, content }: CachedFile): Bytes[] {
  // Nobody reads the reserve.
  if (path.endsWith("/reserve")) return [];
  const left: Uint8Array[] = [];
  for (let from = sectorOf(firstDifference(durable, content)); from < content.length; from += SECTOR_BYTES) {
    const to = Math.min(from + SECTOR_BYTES, content.length);
    const middle = from + Math.ceil((to - from) / 2);
    for (const end of [middle, to]) {
      left.push(joined(durable, content, (at) => at < end, Math.max(end, durable.length)));
      left.push(joined(durable, content, (at) => at < end));
    }
    left.push(joined(durable, content, (at) => at < from || at >= to));
    left.push(joined(durable, content, (at) => at >= from && at < to));
  }
  return left.map((bytes) => (file) => (file.content === content ? bytes : file.durable));
}

function drawnBytes({ durable, content }: CachedFile, chance: Chance): Uint8Array {
  if (content === durable || chance.is(0.1)) return durable;
  if (chance.is(0.1)) return content;
  const from = sectorOf(firstDifference(durable, content));
  const sectors = Array.from({ length: Math.ceil((content.length - from) / SECTOR_BYTES) }, () =>
    chance.pick(0, SECTOR_BYTES, SECTOR_BYTES, chance.integer(0, SECTOR_BYTES)),
  );
  const isWritten = (at: number): boolean =>
    at < from || (at - from) % SECTOR_BYTES < (sectors[Math.floor((at - from) / SECTOR_BYTES)] ?? 0);
  const bytes = chance.pick(
    content.length,
    chance.integer(Math.min(durable.length, content.length), content.length),
  );
  return joined(durable, content, isWritten, bytes);
}

/** Bytes that are written where `isWritten`, else those that were there, else zeros. */
function joined(
  durable: Uint8Array,
  content: Uint8Array,
  isWritten: (at: number) => boolean,
  length = content.length,
): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at++) bytes[at] = (isWritten(at) ? content[at] : durable[at]) ?? 0;
  return bytes;
}

function firstDifference(durable: Uint8Array, content: Uint8Array): number {
  let at = 0;
  while (at < durable.length && durable[at] === content[at]) at++;
  return at;
}

/** Where the sector begins. */
function sectorOf(at: number): number {
  return at - (at % SECTOR_BYTES);
}
