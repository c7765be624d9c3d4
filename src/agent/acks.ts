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

export class Acks {
  readonly #link: Link;
  readonly #emit: Emit;
  readonly #ids: Record<AckCode, number[]> = { ok: [], undecryptable: [], rejected: [] };
  #count = 0;
  /** When the oldest one was added. */
  #sinceMs = 0;

  constructor(link: Link, emit: Emit) {
    this.#link = link;
    this.#emit = emit;
  }

  add(id: number, code: AckCode, now: Instant): void {
    if (this.#count === 0) this.#sinceMs = now.monotonicMs;
    const ids = this.#ids[code];
    ids.push(id);
    this.#count++;
    // Without a link they pile up; the service sends again whatever it misses, and the inbox acknowledges it again.
    if (ids.length > DEDUPE_IDS_MAX) {
      ids.shift();
      this.#count--;
    }
  }

  /** Sends when enough gathered, the time has come, or something else is being sent anyway. */
  flush(now: Instant, isOtherTraffic = false): void {
    if (this.#count === 0 || !this.#link.isOnline) return;
    const isDue = this.#count >= ACK_GATHER_MESSAGES_MAX || now.monotonicMs >= this.#sinceMs + ACK_GATHER_MS;
    if (!isDue && !isOtherTraffic) return;
    for (const code of ACK_CODES) this.#send(code, now);
    this.#count = 0;
  }

  /** Ids are of a store that is gone. */
  clear(): void {
    for (const code of ACK_CODES) this.#ids[code] = [];
    this.#count = 0;
  }

  nextDeadline(): Alarm | null {
    if (this.#count === 0 || !this.#link.isOnline) return null;
    return { atMs: this.#sinceMs + ACK_GATHER_MS, windowMs: ACK_GATHER_WINDOW_MS };
  }

  #send(code: AckCode, now: Instant): void {
    const ids = this.#ids[code];
    if (ids.length === 0) return;
    this.#ids[code] = [];
    const ranges = toRanges(ids);
    for (let at = 0; at < ranges.length; at += ACK_RANGES_MAX) {
      this.#link.send({ type: "ack", code, ranges: ranges.slice(at, at + ACK_RANGES_MAX) }, now);
    }
    this.#emit({ type: "report", report: { type: "acknowledged", messages: ids.length, code } });
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
