// SPDX-License-Identifier: MIT
/**
 * Group commit for LMDB: operations of one turn of the event loop become one transaction and one flush. Knows nothing
 * of what the operations store.
 */

import { statfs } from "node:fs/promises";
import { GodwitError } from "../../errors.ts";
import { GROUP_COMMIT_OPERATIONS_MAX, STORE_FREE_BYTES_MIN, STORE_FREE_CHECK_MS } from "../../limits.ts";

/** One queued operation and what to tell whoever waits for it. */
interface Operation {
  readonly run: () => unknown;
  readonly isFreeing: boolean;
  readonly resolve: (value: never) => void;
  readonly reject: (error: GodwitError) => void;
}

export interface GroupCommitOptions {
  /** A transaction that returned is on disk; of one that throws nothing stays. */
  readonly database: { transactionSync<T>(run: () => T): T };
  /** Directory whose free space is watched. */
  readonly directory: string;
  /** Default `STORE_FREE_BYTES_MIN`. */
  readonly freeBytesMin?: number;
}

/**
 * Runs operations inside synchronous transactions.
 *
 * Not LMDB's `transaction()`: in lmdb 3.5.6 its callback never comes on some systems (Node 20 among them). A
 * synchronous transaction holds the event loop for one flush; meanwhile requests gather, so the group grows as the disk
 * gets slower.
 *
 * After a failed commit nothing is written any more until the process starts again: lmdb corrupts its heap when a page
 * cannot be written, which may end the process. What is on the disk then is as it was (test/simulation/lmdb-power-cut).
 * The common cause, a full disk, is seen before it comes to that: then only operations that free space still pass, with the
 * room that is kept for them. An operation that fails for a reason of its own is taken out of its group and hurts nobody else.
 */
export class GroupCommit {
  readonly #database: GroupCommitOptions["database"];
  readonly #directory: string;
  readonly #freeBytesMin: number;
  #queue: Operation[] = [];
  #scheduled: Promise<void> | null = null;
  #failure: GodwitError | null = null;
  #freeCheckedMs = Number.NEGATIVE_INFINITY;
  #isRoomy = true;

  constructor(options: GroupCommitOptions) {
    this.#database = options.database;
    this.#directory = options.directory;
    this.#freeBytesMin = options.freeBytesMin ?? STORE_FREE_BYTES_MIN;
  }

  /**
   * Queues `operation`, which reads and writes the database synchronously, and may be called again when another one of its
   * group failed. Resolves to its result once that survives a power cut.
   *
   * @throws {GodwitError} ERR_STORE the disk is full, the operation threw, or the commit failed; nothing was changed
   * @throws {GodwitError} ERR_STORE_CLOSED after {@link close}
   */
  run<T>(operation: () => T): Promise<T> {
    return this.#enqueue(operation, false);
  }

  /** As {@link run}, for an operation that in the end leaves less on disk: it passes when the disk is full. */
  runFreeing<T>(operation: () => T): Promise<T> {
    return this.#enqueue(operation, true);
  }

  /** Commits what is queued; everything after it is refused. */
  async close(): Promise<void> {
    while (this.#scheduled !== null) await this.#scheduled;
    this.#failure ??= new GodwitError("ERR_STORE_CLOSED", "the store is closed");
  }

  #enqueue<T>(run: () => T, isFreeing: boolean): Promise<T> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const result = new Promise<T>((resolve, reject) => {
      this.#queue.push({ run, isFreeing, resolve, reject });
    });
    this.#schedule();
    return result;
  }

  #schedule(): void {
    this.#scheduled ??= new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#watchSpace())
      .then(() => {
        this.#commit(this.#queue.splice(0, GROUP_COMMIT_OPERATIONS_MAX));
        this.#scheduled = null;
        if (this.#queue.length > 0) this.#schedule();
      });
  }

  #commit(group: readonly Operation[]): void {
    const isAllowed = ({ isFreeing }: Operation) => this.#isRoomy || isFreeing;
    for (const operation of group) {
      if (!isAllowed(operation)) operation.reject(storeError("the disk is full"));
    }
    let left = group.filter(isAllowed);
    while (left.length > 0) {
      const culprit = this.#tryCommit(left);
      if (culprit === null) return;
      left = left.filter((operation) => operation !== culprit);
    }
  }

  /** Commits all of `group` or nothing. Returns the operation that stood in the way and was refused, or null. */
  #tryCommit(group: readonly Operation[]): Operation | null {
    let current: Operation | null = null;
    try {
      if (this.#failure !== null) throw this.#failure;
      const results = this.#database.transactionSync(() =>
        group.map((operation) => {
          current = operation;
          const result = operation.run();
          current = null;
          return result;
        }),
      );
      group.forEach((operation, index) => {
        operation.resolve(results[index] as never);
      });
      return null;
    } catch (error) {
      const culprit = current as Operation | null;
      if (culprit !== null && !isDatabaseError(error)) {
        culprit.reject(storeError(`an operation failed: ${String(error)}`));
        return culprit;
      }
      this.#failure ??= storeError(`commit failed: ${String(error)}`);
      for (const operation of group) operation.reject(this.#failure);
      return null;
    }
  }

  async #watchSpace(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs < this.#freeCheckedMs + STORE_FREE_CHECK_MS) return;
    this.#freeCheckedMs = nowMs;
    try {
      const { bavail, bsize } = await statfs(this.#directory);
      this.#isRoomy = bavail * bsize >= this.#freeBytesMin;
    } catch {
      // A file system that cannot tell is no reason to refuse messages.
      this.#isRoomy = true;
    }
  }
}

/** LMDB's own errors carry its numeric code; what is thrown before LMDB is asked does not. */
function isDatabaseError(error: unknown): boolean {
  return typeof (error as { code?: unknown } | null)?.code === "number";
}

function storeError(message: string): GodwitError {
  return new GodwitError("ERR_STORE", message);
}
