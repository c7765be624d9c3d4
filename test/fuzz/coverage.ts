// SPDX-License-Identifier: MIT
/**
 * Which code was reached, as V8 counts it block by block. Asking takes about a millisecond whatever ran, so a loop asks
 * for many inputs at once, and for each of them only when something was new. No tests here.
 */

import { readFileSync } from "node:fs";
import { type Profiler, Session } from "node:inspector";
import { fileURLToPath } from "node:url";

/** Different sets of blocks that are remembered of one function; of more each is looked at anew. */
const PATHS_REMEMBERED_MAX = 4096;

/** One function of the script. */
interface Reach {
  readonly start: number;
  readonly end: number;
  /** One for each character of it that was reached, also those of functions in it. */
  readonly reached: Uint8Array;
  /** Sets of blocks seen, as text. */
  readonly paths: Set<string>;
}

/** What one function reached for the first time. */
interface News {
  readonly known: Reach;
  readonly path: string;
  readonly offsets: readonly number[];
}

/** Lines of one source file, reached and in all. */
export interface LinesReached {
  readonly file: string;
  readonly reached: number;
  readonly lines: number;
  /** Those that were not. */
  readonly missed: readonly string[];
}

export class Coverage {
  readonly #session = new Session();
  readonly #url: string;
  readonly #functions = new Map<string, Reach>();
  /** Of the last look. */
  #news: News[] = [];

  /** @param url of the one script that counts, which is not loaded yet */
  constructor(url: string) {
    this.#url = url;
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Characters of code that were reached since the last call and never before. */
  take(): number {
    const { result } = this.#post("Profiler.takePreciseCoverage") as Profiler.TakePreciseCoverageReturnType;
    this.#news = [];
    for (const script of result)
      if (script.url === this.#url) for (const { ranges } of script.functions) this.#note(ranges);
    return this.#news.reduce((sum, { offsets }) => sum + offsets.length, 0);
  }

  /** Makes what the last {@link take} found new again; how much that is. */
  takeBack(): number {
    let characters = 0;
    for (const { known, path, offsets } of this.#news) {
      for (const offset of offsets) known.reached[offset] = 0;
      known.paths.delete(path);
      characters += offsets.length;
    }
    this.#news = [];
    return characters;
  }

  /** Forgets what was reached. */
  reset(): void {
    this.take();
    for (const { reached, paths } of this.#functions.values()) {
      reached.fill(0);
      paths.clear();
    }
  }

  /** Of the source files whose paths begin with one of `covers`. */
  lines(covers: readonly string[]): readonly LinesReached[] {
    const text = readFileSync(fileURLToPath(this.#url), "utf8");
    const reached = new Uint8Array(text.length);
    // Outer functions first, so that inner ones have the last word about themselves.
    const functions = [...this.#functions.values()].sort((a, b) => a.start - b.start || b.end - a.end);
    for (const each of functions) reached.set(each.reached.subarray(0, text.length - each.start), each.start);
    const files = new Map<string, { reached: number; lines: number; missed: string[] }>();
    let file = "";
    let at = 0;
    for (const line of text.split("\n")) {
      // esbuild names the source in front of what it took from it.
      file = /^ {0,2}\/\/ (\S+\.ts)$/.exec(line)?.[1] ?? file;
      const begin = at + line.search(/\S|$/);
      const isCode = /\w/.test(line) && !/^\s*(?:\/[/*]|\*)/.test(line);
      if (isCode && covers.some((path) => file.startsWith(path))) {
        const counts = files.get(file) ?? { reached: 0, lines: 0, missed: [] };
        counts.lines++;
        if (reached[begin] === 1) counts.reached++;
        else counts.missed.push(line);
        files.set(file, counts);
      }
      at += line.length + 1;
    }
    return [...files].map(([name, counts]) => ({ file: name, ...counts }));
  }

  /** @param ranges of one function, outer ones first; counts of inner ones stand for themselves */
  #note(ranges: readonly Profiler.CoverageRange[]): void {
    const [whole] = ranges;
    if (whole === undefined) return;
    const { startOffset: start, endOffset: end } = whole;
    const key = `${start}-${end}`;
    let known = this.#functions.get(key);
    if (known === undefined) {
      known = { start, end, reached: new Uint8Array(end - start), paths: new Set() };
      this.#functions.set(key, known);
    }
    if (whole.count === 0) return;
    // Whether, not how often.
    const path = ranges
      .map((range) => `${range.startOffset}${range.count > 0 ? "+" : "-"}${range.endOffset}`)
      .join(" ");
    if (known.paths.has(path)) return;
    if (known.paths.size < PATHS_REMEMBERED_MAX) known.paths.add(path);
    const now = new Uint8Array(end - start);
    for (const range of ranges)
      now.fill(range.count > 0 ? 1 : 0, range.startOffset - start, range.endOffset - start);
    const offsets: number[] = [];
    for (let offset = 0; offset < now.length; offset++) {
      if (now[offset] === 0 || known.reached[offset] === 1) continue;
      known.reached[offset] = 1;
      offsets.push(offset);
    }
    if (offsets.length > 0) this.#news.push({ known, path, offsets });
  }

  #post(method: string, params: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, params, (error, result) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }
}
