// SPDX-License-Identifier: MIT
/** Acknowledgements on their way: gathered for a moment, then sent as few ranges as possible. Pure. */

import {
  ACK_GATHER_MESSAGES_MAX,
  ACK_GATHER_MS,
  ACK_GATHER_WINDOW_MS,
  ACK_RANGES_MAX,
  DEDUPE_IDS_MAX,
} from "../limits.ts";
import { ACK_CODES, type AckCode, type IdRange } from "../wire/dialect.ts";
import type { Alarm, Emit, Instant } from "./events.ts";
import type { Link } from "./link.ts";
import { reported } from "./report.ts";

export class Acks {
  readonly #link: Link;
  readonly #emit: Emit;
  readonly #ids: Record<AckCode, number[]> = { ok: [], undecryptable: [], rejected: [] };
  #count = 0;
  /** When they were sent last. */
  #sentMs = Number.NEGATIVE_INFINITY;

  constructor(link: Link, emit: Emit) {
    this.#link = link;
    this.#emit = emit;
  }

  add(id: number, code: AckCode): void {
    const ids = this.#ids[code];
    ids.push(id);
    this.#count++;
    // Without a link they pile up; the service sends again whatever it misses, and the inbox acknowledges it again.
    if (ids.length > DEDUPE_IDS_MAX) {
      ids.shift();
      this.#count--;
    }
  }

  /**
   * Sends when enough gathered, none went just before, or something else is being sent anyway. The first of a burst, and
   * a lone one, goes at once: the radio is on, and would be on longer for one that waited.
   */
  flush(now: Instant, isOtherTraffic = false): void {
    if (this.#count === 0 || !this.#link.isOnline) return;
    const isDue = this.#count >= ACK_GATHER_MESSAGES_MAX || now.monotonicMs >= this.#sentMs + ACK_GATHER_MS;
    if (!isDue && !isOtherTraffic) return;
    for (const code of ACK_CODES) this.#send(code, now);
    this.#count = 0;
    this.#sentMs = now.monotonicMs;
  }

  /** Ids are of a store that is gone. */
  clear(): void {
    for (const code of ACK_CODES) this.#ids[code] = [];
    this.#count = 0;
  }

  nextDeadline(): Alarm | null {
    if (this.#count === 0 || !this.#link.isOnline) return null;
    return { atMs: this.#sentMs + ACK_GATHER_MS, windowMs: ACK_GATHER_WINDOW_MS };
  }

  #send(code: AckCode, now: Instant): void {
    const ids = this.#ids[code];
    if (ids.length === 0) return;
    this.#ids[code] = [];
    const ranges = toRanges(ids);
    for (let at = 0; at < ranges.length; at += ACK_RANGES_MAX) {
      this.#link.send({ type: "ack", code, ranges: ranges.slice(at, at + ACK_RANGES_MAX) }, now);
    }
    this.#emit(reported({ type: "acknowledged", messages: ids.length, code }));
  }
}

/** Ascending, disjoint ranges that hold exactly `ids`. */
export function toRanges(ids: readonly number[]): IdRange[] {
  const ranges: [number, number][] = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const last = ranges[ranges.length - 1];
    if (last !== undefined && id <= last[1] + 1) last[1] = id;
    else ranges.push([id, id]);
  }
  return ranges;
}
