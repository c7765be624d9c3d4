// SPDX-License-Identifier: MIT
// What processes take while they run, and whether that grows. No tests here.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { memoryOf } from "../../bench/footprint/memory.ts";
import { median } from "../../bench/harness.ts";

export interface Sample {
  readonly rssBytes: number;
  readonly anonymousBytes: number;
  readonly descriptors: number;
  /** Blocks on the disk. */
  readonly storedBytes: number;
}
export type Gauge = keyof Sample;
export type Whose = "agent" | "service";

const MEMORY = { shareMax: 0.1, moreMax: 2 * 1024 * 1024 };
/** Apps that are away for the moment, links that are being replaced. */
const DESCRIPTORS = { shareMax: 0, moreMax: 4 };
const PROCESS = { rssBytes: MEMORY, anonymousBytes: MEMORY, descriptors: DESCRIPTORS };
/** How much more of it the last third of a run may have than the second, by medians. */
const BOUNDS: Readonly<Record<Whose, Readonly<Record<Gauge, typeof MEMORY>>>> = {
  // A journal grows up to its next checkpoint.
  agent: { ...PROCESS, storedBytes: { shareMax: 0.1, moreMax: 96 * 1024 } },
  // LMDB keeps the pages of its largest backlog; what is stored in half an hour would take 90 MB.
  service: { ...PROCESS, storedBytes: { shareMax: 0.1, moreMax: 1024 * 1024 } },
};
const NAMES = Object.keys(PROCESS).concat("storedBytes") as Gauge[];

const GONE = ["ESRCH", "ENOENT"];

/** Null for a process that has just ended. @param isStored whether a file of `directory` counts */
export function sampleOf(
  pid: number | undefined,
  directory: string,
  isStored: (name: string) => boolean,
): Sample | null {
  try {
    const { rss, anon } = memoryOf(pid ?? 0);
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    const files = readdirSync(directory, { recursive: true }).map(String).filter(isStored);
    const storedBytes = files.reduce((sum, name) => sum + bytesOf(join(directory, name)), 0);
    return { rssBytes: rss, anonymousBytes: anon, descriptors, storedBytes };
  } catch (error) {
    if (GONE.includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}

/** By gauge, medians of the second and the last third. */
export function trend(
  samples: readonly Sample[],
): Record<Gauge, { readonly second: number; readonly last: number }> {
  const third = Math.floor(samples.length / 3);
  const medians = (name: Gauge) => {
    const of = (part: readonly Sample[]): number => median(part.map((sample) => sample[name]));
    return { second: of(samples.slice(third, 2 * third)), last: of(samples.slice(2 * third)) };
  };
  return Object.fromEntries(NAMES.map((name) => [name, medians(name)])) as ReturnType<typeof trend>;
}

/** The most the last third may have when the second had `second`. */
export function mostOf(whose: Whose, name: Gauge, second: number): number {
  const { shareMax, moreMax } = BOUNDS[whose][name];
  return second * (1 + shareMax) + moreMax;
}

/** One sentence for each gauge that grew. */
export function growth(whose: Whose, samples: readonly Sample[]): string[] {
  const found = trend(samples);
  return NAMES.flatMap((name) => {
    const { second, last } = found[name];
    // Written so that NaN is growth.
    if (last <= mostOf(whose, name, second)) return [];
    return [`${whose}: ${name} grew from ${second} to ${last}`];
  });
}

/** 0 for what has just gone. */
function bytesOf(path: string): number {
  return (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
}
