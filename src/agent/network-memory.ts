// SPDX-License-Identifier: MIT
/** What is known of each network, by label: in memory, and on disk with writes that others ask for. Pure. */

import type { JournalState, NetworkRecord } from "../journal/index.ts";
import { NETWORK_KNOWLEDGE_MS_MAX, NETWORK_LABEL_CHARS_MAX } from "../limits.ts";
import type { Clock } from "./clock.ts";
import { Knowledge } from "./knowledge.ts";

/** Knowledge that did not change is written again only when its confirmation is this much newer. */
const CONFIRM_AGAIN_MS = 24 * 3600 * 1000;

export class NetworkMemory {
  readonly #state: JournalState;
  readonly #clock: Clock;
  /** Those of this run; the rest is in the state. */
  readonly #known = new Map<string, Knowledge>();
  #isDirty = new Set<Knowledge>();
  #current: Knowledge | null = null;

  constructor(state: JournalState, clock: Clock) {
    this.#state = state;
    this.#clock = clock;
  }

  /** What is known of the network, which becomes the one used last. All who ask while it is that share the answer. */
  recall(labelOfHost: string): Knowledge {
    const label = labelOfHost.slice(0, NETWORK_LABEL_CHARS_MAX);
    if (this.#current?.record.label === label) return this.#current;
    const stored = this.#state.networks.get(label);
    const isOld =
      stored !== undefined &&
      this.#clock.isTrusted &&
      this.#clock.epochMs - stored.confirmedEpochMs > NETWORK_KNOWLEDGE_MS_MAX;
    const record =
      stored === undefined || isOld
        ? emptyRecord(label, this.#clock.isTrusted ? this.#clock.epochMs : 0)
        : stored;
    let knowledge = this.#known.get(label);
    // One that the state dropped as the longest unused is not kept here either.
    if (knowledge === undefined || stored === undefined || isOld) knowledge = new Knowledge(record);
    for (const name of this.#known.keys()) if (!this.#state.networks.has(name)) this.#known.delete(name);
    this.#known.set(label, knowledge);
    // Used last, it is forgotten last.
    if (stored !== undefined) this.#state.apply(knowledge.record);
    this.#current = knowledge;
    return knowledge;
  }

  /** `knowledge` was confirmed, or changed when `isNews`: the next write takes it along, and none is made for it. */
  keep(knowledge: Knowledge, isNews: boolean): void {
    const nowMs = this.#clock.isTrusted ? this.#clock.epochMs : knowledge.record.confirmedEpochMs;
    if (!isNews && nowMs - knowledge.record.confirmedEpochMs < CONFIRM_AGAIN_MS) return;
    knowledge.record = { ...knowledge.record, confirmedEpochMs: nowMs };
    this.#state.apply(knowledge.record);
    this.#isDirty.add(knowledge);
  }

  /** Forgets every network; what is learned of the present one begins anew. */
  reset(): void {
    this.#known.clear();
    this.#isDirty.clear();
    if (this.#current === null) return;
    const { label } = this.#current.record;
    this.#current.record = emptyRecord(label, this.#clock.isTrusted ? this.#clock.epochMs : 0);
  }

  /** Records for a write that is being made anyway. */
  takeRiders(): NetworkRecord[] {
    const records = [...this.#isDirty].map(({ record }) => record);
    this.#isDirty = new Set();
    return records;
  }

  /** Everything known, for people. */
  all(): NetworkRecord[] {
    return [...this.#state.networks.values()].map(
      (stored) => this.#known.get(stored.label)?.record ?? stored,
    );
  }
}

function emptyRecord(label: string, confirmedEpochMs: number): NetworkRecord {
  const unknown = { loMs: 0, hiMs: null, isHiSure: false, confidence: 0, losses: 0, transport: "" };
  return { type: "network", label, ...unknown, confirmedEpochMs };
}
