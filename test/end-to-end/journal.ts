// SPDX-License-Identifier: MIT
/** Looks into the journal an agent left behind, and damages it. No tests here. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type JournalState, plainSealer, recoverJournal } from "../../src/journal/index.ts";
import { decodeRecord } from "../../src/journal/record-codec.ts";
import type { JournalRecord } from "../../src/journal/records.ts";
import { FrameReader, parseHeader, SEGMENT_HEADER_BYTES } from "../../src/journal/segment.ts";

/** Offsets of the first byte of a frame and of the byte behind it. */
export interface Place {
  readonly start: number;
  readonly end: number;
}

/** The journal file in use. */
export function journalPath(stateDirectory: string): string {
  const paths = ["journal-0", "journal-1"].map((name) => join(stateDirectory, name)).filter(existsSync);
  const [path] = paths;
  if (path === undefined || paths.length > 1) throw new Error(`${paths.length} journals`);
  return path;
}

/** The state an agent without device key left. */
export function journalState(stateDirectory: string): JournalState {
  const image = new Uint8Array(readFileSync(journalPath(stateDirectory)));
  const header = parseHeader(image);
  if (typeof header === "string") throw new Error(header);
  return recoverJournal([image], { deviceBinding: header.deviceBinding, sealer: plainSealer() }).state;
}

/** Flips one bit in the middle of each record that `isIt` takes. */
export function flip(path: string, isIt: (record: JournalRecord) => boolean): void {
  const places = findRecords(new Uint8Array(readFileSync(path)), isIt);
  for (const { start, end } of places) flipAt(path, Math.floor((start + end) / 2));
}

/** Flips one bit of the byte at that offset. */
export function flipAt(path: string, at: number): void {
  const image = readFileSync(path);
  image[at] = (image[at] ?? 0) ^ 0x10;
  writeFileSync(path, image);
}

/** Where the records that `isIt` takes lie in `image`: at least one. */
export function findRecords(image: Uint8Array, isIt: (record: JournalRecord) => boolean): Place[] {
  const header = parseHeader(image);
  if (typeof header === "string") throw new Error(header);
  const frames = new FrameReader(image, header.salt);
  const found: Place[] = [];
  let start = SEGMENT_HEADER_BYTES;
  for (let frame = frames.next(); frame !== null; frame = frames.next()) {
    const record = decodeRecord(frame.record, plainSealer());
    if (record !== null && isIt(record)) found.push({ start, end: frame.end });
    start = frame.end;
  }
  if (found.length === 0) throw new Error("no such record");
  return found;
}
