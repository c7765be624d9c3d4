// SPDX-License-Identifier: MIT
/** What a process takes, as the kernel counts it, and what lies in a program and its libraries on the disk. */

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

export interface Memory {
  /** Pages of its own that no file stands behind: heap, stack, changed data. Bytes. */
  readonly anon: number;
  /** All that is in memory, shared libraries as a whole. Bytes. */
  readonly rss: number;
}

export function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const bytes = (name: string): number => {
    const kib = new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(text)?.[1];
    if (kib === undefined) throw new Error(`smaps_rollup says nothing of ${name}`);
    return Number(kib) * 1024;
  };
  return { anon: bytes("Anonymous"), rss: bytes("Rss") };
}

export interface Sections {
  readonly name: string;
  /** Code and constants. Bytes. */
  readonly text: number;
  /** Variables with a first value, which each process has of its own once written. Bytes. */
  readonly data: number;
}

/** The program of `pid` and every library it has mapped, as `size` counts them. */
export function sectionsOf(pid: number): Sections[] {
  const paths = readFileSync(`/proc/${pid}/maps`, "utf8")
    .split("\n")
    .flatMap((line) => /r-xp .* (\/.*)$/.exec(line)?.[1] ?? []);
  const { status, stdout } = spawnSync("size", [...new Set(paths)], { encoding: "utf8" });
  if (status !== 0) throw new Error("`size` of binutils is missing, or failed");
  return stdout
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => {
      const [text, data, , , , path = ""] = line.trim().split(/\s+/);
      return { name: basename(path), text: Number(text), data: Number(data) };
    });
}

/** Bytes of a program without what only debuggers read. */
export function strippedBytes(program: string): number {
  const scratch = mkdtempSync(join(tmpdir(), "godwit-bench-"));
  try {
    const copy = join(scratch, "stripped");
    copyFileSync(program, copy);
    const { status } = spawnSync("strip", ["--strip-all", copy]);
    if (status !== 0) throw new Error("`strip` of binutils is missing, or failed");
    return statSync(copy).size;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
