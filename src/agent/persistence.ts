// SPDX-License-Identifier: MIT
/**
 * The agent's way to its journal: one write at a time, everything asked for meanwhile goes together into the next. Pure.
 *
 * Three kinds of write: `store` (memory follows once it is durable), `note` (memory at once, disk with the next write;
 * within a minute at the latest; for
 * records whose loss costs little), `erase` (memory at once, and a checkpoint so that the bytes go).
 */

import type { JournalRecord, JournalState, JournalWriter } from "../journal/index.ts";
import {
  JOURNAL_DEFERRED_RECORDS_MAX,
  JOURNAL_RETRY_MS,
  JOURNAL_RETRY_MS_MAX,
  NOTE_DELAY_MS,
} from "../limits.ts";
import type { Alarm, Emit, Instant } from "./events.ts";
import { reported } from "./report.ts";

/** null: durable. Else why not. */
export type StoreOutcome = null | "ERR_JOURNAL_FULL" | "ERR_JOURNAL_IO";

interface Batch {
  readonly records: JournalRecord[];
  readonly done: ((failure: StoreOutcome) => void)[];
}

interface Erased {
  readonly done: () => void;
  readonly failed: ((failure: Exclude<StoreOutcome, null>) => void) | undefined;
}

type Write =
  | { readonly type: "append"; readonly batch: Batch }
  | { readonly type: "checkpoint"; readonly erased: Erased[]; readonly isErasing: boolean };

export interface PersistenceOptions {
  readonly state: JournalState;
  readonly writer: JournalWriter;
  readonly emit: Emit;
  /** Records that ride with any write, already in the state. */
  readonly riders: () => readonly JournalRecord[];
}

export class Persistence {
  readonly #options: PersistenceOptions;
  #lastAppendId = 0;
  #inFlight: Write | null = null;
  #next: Batch = { records: [], done: [] };
  /** Already in the state, not yet on disk. */
  #noted: JournalRecord[] = [];
  #erased: Erased[] = [];
  #isErasing = false;
  #isNoteUrgent = false;
  /** When the oldest note was taken. */
  #notedSinceMs: number | null = null;
  #retryAtMs: number | null = null;
  /** How long after the next failure. */
  #retryMs = JOURNAL_RETRY_MS;
  /**
   * What an earlier run wrote last may be there and not have been synced; a good write of this run takes it along. What waits for
   * that, by message; null behind it.
   */
  #waiting: Map<number, () => void> | null = new Map();
  /** Somebody asked since the last write began: worth a try even right after a failure. */
  #isAsked = false;

  constructor(options: PersistenceOptions) {
    this.#options = options;
  }

  /** True from a failed write to the next good one: the device cannot remember anything new. */
  get isFailing(): boolean {
    return this.#retryAtMs !== null;
  }

  /**
   * True while a power cut could bring back what memory has given up: something removed, or what a failed write, also of an earlier
   * run, may have left behind. The service is not to end meanwhile what would then be there again.
   */
  get isBehind(): boolean {
    const write = this.#inFlight;
    const isUnsure = this.isFailing || this.#waiting !== null;
    return isUnsure || this.#isErasing || (write?.type === "checkpoint" && write.isErasing);
  }

  /** When the next try is, 0 when none is needed. */
  get retryAtMs(): number {
    return this.#retryAtMs ?? 0;
  }

  /** True when everything asked for is on disk. */
  get isIdle(): boolean {
    return (
      this.#inFlight === null && this.#next.done.length === 0 && this.#noted.length === 0 && !this.#isErasing
    );
  }

  /**
   * Writes `records`; they join the state when they are durable, just before `done(null)`. With a failure nothing was
   * changed and nothing will be. Without records, `done` follows when all that was noted before is durable.
   */
  store(records: readonly JournalRecord[], done: (failure: StoreOutcome) => void): void {
    this.#isAsked = true;
    this.#next.records.push(...records);
    this.#next.done.push(done);
  }

  /** Takes `record` into the state now and to the disk with the next write, or, "soon", with one of its own. */
  note(record: JournalRecord, when: "withOthers" | "soon" = "withOthers"): void {
    this.#options.state.apply(record);
    this.#noted.push(record);
    if (when === "soon") this.#isNoteUrgent = true;
  }

  /**
   * Takes `records` into the state now and rewrites the journal so that what they removed is gone from the disk, if need
   * be on the flash reserve. `done` follows when it is; a failed write is tried again until then. With `failed`, that is
   * called instead after the first failure.
   */
  erase(records: readonly JournalRecord[], done: () => void, failed?: Erased["failed"]): void {
    for (const record of records) this.#options.state.apply(record);
    this.#isAsked = true;
    this.#isErasing = true;
    this.#erased.push({ done, failed });
  }

  /** Calls `act` once what was found in the journal of the message is durable: behind the first good write, which every start asks for. */
  whenFoundIsDurable(id: number, act: () => void): void {
    if (this.#waiting === null) act();
    else this.#waiting.set(id, act);
  }

  /** What {@link store} has not finished comes to nothing: nothing of it will join the state. */
  cancelStores(): void {
    const waiting = this.#next.done;
    this.#next = { records: [], done: [] };
    if (this.#inFlight?.type === "append") {
      waiting.unshift(...this.#inFlight.batch.done);
      this.#inFlight = { type: "append", batch: { records: [], done: [] } };
    }
    for (const done of waiting) done("ERR_JOURNAL_IO");
  }

  handleAppended(appendId: number): void {
    const write = this.#take(appendId);
    if (write === null) return;
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#retryAtMs = null;
    this.#retryMs = JOURNAL_RETRY_MS;
    for (const act of waiting?.values() ?? []) act();
    if (write.type === "checkpoint") {
      for (const { done } of write.erased) done();
      return;
    }
    for (const record of write.batch.records) this.#options.state.apply(record);
    for (const done of write.batch.done) done(null);
  }

  handleFailed(appendId: number, reason: "full" | "io", now: Instant): void {
    const write = this.#take(appendId);
    if (write === null) return;
    // What a failed fsync left behind is unknown, so nothing is appended to that segment any more.
    this.#options.writer.abandonSegment();
    // A disk stays full for days. A try that somebody asked for in between puts nothing off.
    if (now.monotonicMs >= this.retryAtMs) {
      this.#retryAtMs = now.monotonicMs + this.#retryMs;
      this.#retryMs = Math.min(2 * this.#retryMs, JOURNAL_RETRY_MS_MAX);
    }
    const code = reason === "full" ? "ERR_JOURNAL_FULL" : "ERR_JOURNAL_IO";
    const text = reason === "full" ? "the state directory is full" : "the state directory cannot be written";
    this.#options.emit(reported({ type: "fault", code, text }));
    if (write.type === "checkpoint") {
      this.#isErasing ||= write.isErasing;
      this.#erased.unshift(...write.erased.filter(({ failed }) => failed === undefined));
      for (const { failed } of write.erased) failed?.(code);
      // Nothing else can be written without a checkpoint, so whoever waits is told now.
      const waiting = this.#next;
      this.#next = { records: [], done: [] };
      for (const done of waiting.done) done(code);
    } else {
      for (const done of write.batch.done) done(code);
    }
  }

  /** Starts the next write when there is one and none is under way. Call after every event; `isLast` waits for nothing. */
  flush(now: Instant, isLast = false): void {
    if (this.#noted.length > 0) this.#notedSinceMs ??= now.monotonicMs;
    if (this.#inFlight !== null) return;
    const hasBatch = this.#next.done.length > 0;
    if (this.#retryAtMs !== null && now.monotonicMs < this.#retryAtMs && !this.#isAsked) return;
    const hasNotes = isLast ? this.#noted.length > 0 : this.#areNotesDue(now);
    const { writer } = this.#options;
    if (!hasBatch && !hasNotes && !this.#isErasing && this.#retryAtMs === null) return;
    this.#isAsked = false;
    if (this.#isErasing || writer.isCheckpointDue) this.#checkpoint();
    else this.#append();
  }

  /** The next attempt after a failed write, or the end of the notes' patience. */
  nextDeadline(): Alarm | null {
    if (this.#inFlight !== null) return null;
    if (this.#retryAtMs !== null) return { atMs: this.#retryAtMs, windowMs: this.#retryMs / 2 };
    if (this.#notedSinceMs === null) return null;
    return { atMs: this.#notedSinceMs + NOTE_DELAY_MS, windowMs: NOTE_DELAY_MS };
  }

  #areNotesDue(now: Instant): boolean {
    if (this.#notedSinceMs === null) return false;
    const isLate = now.monotonicMs >= this.#notedSinceMs + NOTE_DELAY_MS;
    return this.#isNoteUrgent || isLate || this.#noted.length >= JOURNAL_DEFERRED_RECORDS_MAX;
  }

  /** What was noted is in the write that is being built. */
  #clearNotes(): void {
    this.#noted = [];
    this.#notedSinceMs = null;
    this.#isNoteUrgent = false;
  }

  #checkpoint(): void {
    const { state, writer, emit, riders } = this.#options;
    for (const record of riders()) state.apply(record);
    // The state holds every note, so the checkpoint writes them too.
    this.#clearNotes();
    const urgent = this.#isErasing;
    this.#isErasing = false;
    this.#inFlight = { type: "checkpoint", erased: this.#erased, isErasing: urgent };
    this.#erased = [];
    emit({
      type: "checkpoint",
      appendId: ++this.#lastAppendId,
      bytes: writer.checkpointBytes(state),
      urgent,
    });
  }

  #append(): void {
    const { writer, emit, riders, state } = this.#options;
    const ridden = riders();
    for (const record of ridden) state.apply(record);
    const batch: Batch = { records: this.#next.records, done: this.#next.done };
    const bytes = writer.appendBytes([...this.#noted, ...ridden, ...batch.records]);
    this.#clearNotes();
    this.#next = { records: [], done: [] };
    this.#inFlight = { type: "append", batch };
    emit({ type: "append", appendId: ++this.#lastAppendId, bytes });
  }

  #take(appendId: number): Write | null {
    if (this.#inFlight === null || appendId !== this.#lastAppendId) return null;
    const write = this.#inFlight;
    this.#inFlight = null;
    return write;
  }
}
