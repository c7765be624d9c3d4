// SPDX-License-Identifier: MIT
/** The messages of one device in memory, by id and in order of id, so that a page costs no more than it holds. */

import { SparseMap } from "../sparse-map.ts";
import type { StoredMessage } from "./store.ts";

/** Ids of messages that were removed stay in the order until there are this many more of them than messages. */
const REMOVED_MAX = 64;

export class MessageQueue {
  readonly #messages = new SparseMap<number, StoredMessage>();
  /** Rising; holds every id of `#messages`. */
  #order: number[] = [];

  get size(): number {
    return this.#messages.size;
  }

  get(id: number): StoredMessage | undefined {
    return this.#messages.get(id);
  }

  /** `message` has the highest id so far. */
  add(message: StoredMessage): void {
    this.#messages.set(message.id, message);
    this.#order.push(message.id);
  }

  /** True when it was there. */
  remove(id: number): boolean {
    const wasThere = this.#messages.delete(id);
    if (this.#order.length > 2 * this.#messages.size + REMOVED_MAX) this.#order = [...this.#messages.keys()];
    return wasThere;
  }

  /** Messages with an id in [first, last], ascending. Removing while iterating is allowed. */
  *range(first = 0, last = Number.POSITIVE_INFINITY): Generator<StoredMessage> {
    const order = this.#order;
    for (let at = this.#indexOf(first); at < order.length; at++) {
      const id = order[at] ?? 0;
      if (id > last) return;
      const message = this.#messages.get(id);
      if (message !== undefined) yield message;
    }
  }

  /** Index of the first id that is not below `id`. */
  #indexOf(id: number): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#order[middle] ?? 0) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
