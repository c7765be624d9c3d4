// SPDX-License-Identifier: MIT
/**
 * What a start may find after a power cut: one state while nothing is being written; while something is, that state and each beginning
 * of what is written; after a failed write all of these, until a checkpoint has succeeded. No tests here.
 */

import type { JournalRecord } from "../../src/journal/index.ts";
import { Knowledge } from "./knowledge.ts";

type Write =
  | {
      readonly type: "append";
      readonly noted: readonly JournalRecord[];
      readonly stored: readonly JournalRecord[];
    }
  | { readonly type: "checkpoint"; readonly noted: readonly JournalRecord[]; readonly is: Knowledge };

export class Expectation {
  /** What the agent knows. */
  memory: Knowledge;
  /** Any of these. */
  #possible: readonly Knowledge[];
  #noted: JournalRecord[] = [];
  #storing: JournalRecord[] = [];
  #write: Write | null = null;
  readonly #durable = new WeakSet<JournalRecord>();

  constructor(found: Knowledge) {
    this.memory = found;
    this.#possible = [found];
  }

  get possible(): readonly Knowledge[] {
    return this.#possible;
  }

  /** To be in memory when it is durable. */
  store(records: readonly JournalRecord[]): void {
    this.#storing.push(...records);
  }

  /** In memory from now on, and some day on disk. */
  note(record: JournalRecord): void {
    this.memory = this.memory.after([record]);
    this.#noted.push(record);
  }

  /** In memory from now on, and with the next checkpoint on disk. */
  erase(records: readonly JournalRecord[]): void {
    this.memory = this.memory.after(records);
    this.#noted.push(...records);
  }

  appending(): void {
    const [before = new Knowledge()] = this.#possible;
    const noted = this.#noted;
    const stored = this.#storing;
    const possible = [before];
    for (const record of [...noted, ...stored]) possible.push((possible.at(-1) ?? before).after([record]));
    this.#possible = possible;
    this.#write = { type: "append", noted, stored };
    this.#noted = [];
    this.#storing = [];
  }

  checkpointing(): void {
    const is = this.memory.asCheckpoint();
    this.#possible = [...this.#possible, is];
    this.#write = { type: "checkpoint", noted: this.#noted, is };
    this.#noted = [];
  }

  written(): void {
    const write = this.#write;
    if (write === null) throw new Error("nothing was being written");
    for (const record of write.noted) this.#durable.add(record);
    if (write.type === "append") {
      this.#possible = this.#possible.slice(-1);
      this.memory = this.memory.after(write.stored);
      for (const record of write.stored) this.#durable.add(record);
    } else this.#possible = [write.is];
    this.#write = null;
  }

  failed(): void {
    // Behind a failed checkpoint nobody waits any longer; what was in memory goes with the next one.
    if (this.#write?.type === "checkpoint") this.#storing = [];
    this.#noted.unshift(...(this.#write?.noted ?? []));
    this.#write = null;
  }

  /**
   * Somebody is told that these are durable.
   *
   * @throws {Error} when they are not
   */
  promised(records: readonly JournalRecord[]): void {
    for (const record of records)
      if (!this.#durable.has(record)) throw new Error(`promised before it was durable: ${record.type}`);
  }
}
