// SPDX-License-Identifier: MIT
/** How long an event lives: until every promise given to `waitUntil` is settled (Service Workers, `ExtendableEvent`). */

import { appError } from "./errors.ts";

export class Lifetime {
  readonly #promises: Promise<unknown>[] = [];
  readonly #controller = new AbortController();
  #isOver = false;

  /** Aborted when the user agent waits no longer. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** @throws {AppError} InvalidStateError when everything is settled already */
  extend(promise: unknown): void {
    if (this.#isOver) throw appError("ERR_EVENT_OVER", "the event is over");
    const settled = Promise.resolve(promise);
    // settled() looks at them one after another: a rejection nobody looks at yet would end the process.
    settled.catch(() => {});
    this.#promises.push(settled);
  }

  /** Whatever the app still does is ignored. */
  cancel(): void {
    this.#controller.abort();
  }

  /** Resolves when all are settled, those added meanwhile too; rejects with the first failure then. */
  async settled(): Promise<void> {
    const failures: unknown[] = [];
    for (let at = 0; at < this.#promises.length; at++) {
      await this.#promises[at]?.catch((error: unknown) => failures.push(error));
    }
    this.#isOver = true;
    if (failures.length > 0) throw failures[0];
  }
}
