// SPDX-License-Identifier: MIT
/**
 * The file of a recorded trace: lines are handed over at once and written behind the agent's back, at most so many, and so much of
 * them. A file that is half full is put aside at the next start.
 */

import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  write as writeAt,
  writeSync,
} from "node:fs";
import { GodwitError } from "../../errors.ts";
import { TRACE_BYTES_MAX, TRACE_WAITING_BYTES_MAX } from "../../limits.ts";
import type { TraceSink } from "./recorder.ts";

/** What every trace begins with. */
const BEGINNING = '{"trace":';
const ENDS = {
  full: "there is too much of it",
  slow: "the disk does not keep up",
  error: "something happened that has no form there",
};

export interface TraceLimits {
  /** Of the file; a line about the end comes on top. */
  readonly bytesMax: number;
  /** Of what is not written yet. */
  readonly waitingBytesMax: number;
}

const LIMITS: TraceLimits = { bytesMax: TRACE_BYTES_MAX, waitingBytesMax: TRACE_WAITING_BYTES_MAX };

export class TraceFile implements TraceSink {
  readonly #file: number;
  readonly #onEnd: (why: string) => void;
  readonly #limits: TraceLimits;
  /** Where the next write goes. */
  #offset: number;
  /** Being written at {@link #offset}. */
  #writing: Buffer | null = null;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #isOver = false;
  #drained: (() => void)[] = [];

  /**
   * Goes on behind what an earlier run wrote, or makes the file, of mode 0600.
   *
   * @param onEnd told once when the recording ends before it is closed
   * @throws {GodwitError} ERR_CONFIG when it holds something else or cannot be opened
   */
  constructor(path: string, onEnd: (why: string) => void, limits: TraceLimits = LIMITS) {
    this.#onEnd = onEnd;
    this.#limits = limits;
    try {
      this.#file = openTrace(path);
      if (fstatSync(this.#file).size > limits.bytesMax / 2) {
        closeSync(this.#file);
        renameSync(path, `${path}.1`);
        this.#file = openTrace(path);
      }
      this.#offset = fstatSync(this.#file).size;
    } catch (error) {
      if (error instanceof GodwitError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      throw new GodwitError("ERR_CONFIG", `the trace cannot be written to ${path}: ${code}`);
    }
    // What a run that was killed had begun to write.
    if (this.#offset > 0 && lastByte(this.#file, this.#offset) !== "\n") this.#push("");
  }

  write(line: string): boolean {
    if (this.#isOver) return false;
    const size = Buffer.byteLength(line) + 1;
    const waits = this.#waitingBytes + (this.#writing?.length ?? 0);
    if (this.#offset + waits + size > this.#limits.bytesMax) this.end("full");
    else if (waits + size > this.#limits.waitingBytesMax) this.end("slow");
    else this.#push(line);
    return !this.#isOver;
  }

  writeLast(line: string): void {
    if (!this.write(line)) return;
    this.#isOver = true;
    const rest = Buffer.from(this.#waiting.join(""));
    try {
      // What is being written is written again: whether it was is not known here.
      const parts = this.#writing === null ? [rest] : [this.#writing, rest];
      writeSync(this.#file, Buffer.concat(parts), 0, null, this.#offset);
    } catch {
      // The agent's own error is what counts.
    }
  }

  end(why: keyof typeof ENDS): void {
    if (this.#isOver) return;
    this.#push(JSON.stringify({ end: why }));
    this.#isOver = true;
    this.#onEnd(ENDS[why]);
  }

  /** Resolves when everything is written; the last line says that nothing is missing. */
  async close(): Promise<void> {
    if (!this.#isOver) this.#push(JSON.stringify({ end: "closed" }));
    this.#isOver = true;
    if (this.#writing !== null) await new Promise<void>((resolve) => this.#drained.push(resolve));
    closeSync(this.#file);
  }

  #push(line: string): void {
    this.#waiting.push(`${line}\n`);
    this.#waitingBytes += Buffer.byteLength(line) + 1;
    if (this.#writing === null) this.#write(Buffer.alloc(0));
  }

  /** Writes on: what is left of a write that took a part, and what came meanwhile. */
  #write(left: Buffer): void {
    const next = Buffer.concat([left, Buffer.from(this.#waiting.join(""))]);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#writing = next.length === 0 ? null : next;
    if (next.length === 0) return this.#settle();
    writeAt(this.#file, next, 0, next.length, this.#offset, (error, written) => {
      if (error !== null) return this.#fail(error);
      this.#offset += written;
      this.#write(next.subarray(written));
    });
  }

  #fail({ code }: NodeJS.ErrnoException): void {
    if (!this.#isOver) this.#onEnd(`${code}`);
    this.#isOver = true;
    this.#writing = null;
    this.#settle();
  }

  #settle(): void {
    for (const drained of this.#drained) drained();
    this.#drained = [];
  }
}

/** @throws {GodwitError} ERR_CONFIG when there is something else */
function openTrace(path: string): number {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  const start = Buffer.alloc(BEGINNING.length);
  const stat = fstatSync(file);
  if (stat.isFile() && (readSync(file, start, 0, start.length, 0) === 0 || start.toString() === BEGINNING))
    return file;
  closeSync(file);
  throw new GodwitError("ERR_CONFIG", `${path} holds something else than a recorded trace`);
}

function lastByte(file: number, size: number): string {
  const last = Buffer.alloc(1);
  readSync(file, last, 0, 1, size - 1);
  return last.toString();
}
