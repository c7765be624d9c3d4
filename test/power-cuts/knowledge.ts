// SPDX-License-Identifier: MIT
/**
 * What a device is to know, said a second time: by kind and key, in order, with no line of the journal's code. So a defect of the
 * journal's own fold, or of what its checkpoints hold, is no defect here. No tests here.
 */

import { inspect } from "node:util";
import { bytesEqual } from "../../src/bytes.ts";
import type { JournalRecovery } from "../../src/journal/index.ts";
import type { JournalRecord, RecordOf } from "../../src/journal/records.ts";
import { DEDUPE_IDS_MAX, NETWORKS_MAX } from "../../src/limits.ts";

type Kind =
  | "device"
  | "userAgent"
  | "forgetting"
  | "subscription"
  | "subscriptions counted"
  | "ending"
  | "owner"
  | "choices"
  | "message"
  | "notification"
  | "notifications counted"
  | "handled"
  | "network"
  | "suspect"
  | "run"
  | "clean";

/** Forgotten with the device; the rest outlives a factory reset. */
const RESET: readonly Kind[] = [
  ...(["device", "choices", "subscription", "owner", "message"] as const),
  ...(["notification", "network", "handled", "suspect"] as const),
];

/** Never changed once it is known. */
type Thing = object | string | number;

export class Knowledge {
  readonly #known = new Map<Kind, Map<string, Thing>>();

  copy(): Knowledge {
    const next = new Knowledge();
    for (const [kind, things] of this.#known) if (things.size > 0) next.#known.set(kind, new Map(things));
    return next;
  }

  /** Of one kind, by key. */
  all(kind: Kind): ReadonlyMap<string, Thing> {
    return this.#of(kind);
  }

  /** What is known when `records` came behind. */
  after(records: readonly JournalRecord[]): Knowledge {
    const next = this.copy();
    for (const record of records) next.learn(record);
    return next;
  }

  /** A checkpoint says nothing of how the last run ended. */
  asCheckpoint(): Knowledge {
    const next = this.copy();
    next.#forget("clean");
    return next;
  }

  learn(record: JournalRecord): void {
    if (record.type !== "endOfCheckpoint") this.#forget("clean");
    switch (record.type) {
      case "device":
      case "userAgent":
      case "suspect":
        return this.#put(record.type, "", record);
      case "userAgentRemoved":
        return this.#forget("userAgent", "forgetting", "ending");
      case "pendingForget":
        return this.#reset();
      case "subscription":
        this.#count("subscriptions counted", record.id);
        return this.#put("subscription", record.id, record);
      case "subscriptionRemoved":
        this.#of("subscription").delete(String(record.id));
        for (const [key, message] of this.#of("message"))
          if ((message as RecordOf<"message">).subscriptionId === record.id) this.#of("message").delete(key);
        return;
      case "pendingUnregister":
        return this.#put("ending", record.channel, "");
      case "pendingUnregisterDone":
        return void this.#of("ending").delete(String(record.channel));
      case "owner":
        return this.#put("owner", record.owner, record);
      case "ownerRemoved":
        return void this.#of("owner").delete(record.owner);
      case "choices":
        this.#forget("choices");
        if (record.paused || record.optedOut) this.#put("choices", "", record);
        return;
      case "message":
        return this.#put("message", keyOf(record), record);
      case "messageAttempt": {
        const message = this.#of("message").get(keyOf(record)) as RecordOf<"message"> | undefined;
        const { attempt, handed } = record;
        if (message !== undefined) this.#put("message", keyOf(record), { ...message, attempt, handed });
        return;
      }
      case "messageDone": {
        this.#of("message").delete(keyOf(record));
        const handled = this.#handled;
        if (handled === null || handled.storeEpoch === record.storeEpoch)
          this.#dealWith(record.storeEpoch, [record.id]);
        return;
      }
      case "handled":
        return this.#dealWith(record.storeEpoch, record.ids);
      case "notification":
        this.#count("notifications counted", record.notificationId);
        return this.#putLast("notification", record.notificationId, record);
      case "notificationClosed":
        return void this.#of("notification").delete(String(record.notificationId));
      case "counters":
        this.#count("subscriptions counted", record.subscriptionIdMax);
        return this.#count("notifications counted", record.notificationIdMax);
      case "network":
        this.#putLast("network", record.label, record);
        if (this.#of("network").size > NETWORKS_MAX)
          this.#of("network").delete([...this.#of("network").keys()][0] as string);
        return;
      case "run":
        return this.#put("run", "", record.runId);
      case "clean":
        return this.#put("clean", "", "");
      case "endOfCheckpoint":
        return;
    }
  }

  /** The first thing that the two differ in, or null. */
  difference(other: Knowledge): string | null {
    for (const kind of new Set([...this.#known.keys(), ...other.#known.keys()])) {
      const mine = this.#of(kind);
      const theirs = other.#of(kind);
      for (const [key, thing] of mine) {
        const found = theirs.get(key);
        if (found === undefined) return `${kind} ${key} is missing`;
        if (!isSame(found, thing)) return `${kind} ${key} is ${inspect(found)} and not ${inspect(thing)}`;
      }
      for (const key of theirs.keys()) if (!mine.has(key)) return `${kind} ${key} is too much`;
      const order = [...theirs.keys()];
      if ([...mine.keys()].some((key, at) => key !== order[at])) return `${kind}: ${order} out of order`;
    }
    return null;
  }

  get #handled(): RecordOf<"handled"> | null {
    return (this.#of("handled").get("") as RecordOf<"handled"> | undefined) ?? null;
  }

  #of(kind: Kind): Map<string, Thing> {
    const known = this.#known.get(kind) ?? new Map<string, Thing>();
    this.#known.set(kind, known);
    return known;
  }

  #put(kind: Kind, key: string | number, thing: Thing): void {
    this.#of(kind).set(String(key), thing);
  }

  #putLast(kind: Kind, key: string | number, thing: Thing): void {
    this.#of(kind).delete(String(key));
    this.#put(kind, key, thing);
  }

  #dealWith(storeEpoch: number, added: readonly number[]): void {
    const before = this.#handled?.storeEpoch === storeEpoch ? this.#handled.ids : [];
    const ids = [...before, ...added.filter((id) => !before.includes(id))].slice(-DEDUPE_IDS_MAX);
    this.#put("handled", "", { type: "handled", storeEpoch, ids });
  }

  #count(kind: Kind, number: number): void {
    if (number > Number(this.#of(kind).get("") ?? 0)) this.#put(kind, "", number);
  }

  #forget(...kinds: readonly Kind[]): void {
    for (const kind of kinds) this.#of(kind).clear();
  }

  #reset(): void {
    for (const subscription of this.#of("subscription").values()) {
      const { channel } = subscription as RecordOf<"subscription">;
      if (channel !== null) this.#put("ending", channel, "");
    }
    this.#forget(...RESET);
    this.#put("forgetting", "", "");
  }
}

/** What a start knows. */
export function knowledgeOf({ state, cleanStop }: JournalRecovery): Knowledge {
  const found = new Knowledge();
  if (state.pendingForget) found.learn({ type: "pendingForget" });
  const { subscriptionIdMax, notificationIdMax, device, userAgent, suspect, runId } = state;
  found.learn({ type: "counters", subscriptionIdMax, notificationIdMax });
  for (const record of [device, userAgent, suspect, state.choices, state.handled])
    if (record !== null) found.learn(record);
  if (runId !== null) found.learn({ type: "run", runId });
  for (const channel of state.pendingUnregisters) found.learn({ type: "pendingUnregister", channel });
  for (const map of [state.owners, state.subscriptions, state.messages, state.notifications, state.networks])
    for (const record of map.values()) found.learn(record);
  if (cleanStop) found.learn({ type: "clean" });
  return found;
}

function keyOf({ storeEpoch, id }: { readonly storeEpoch: number; readonly id: number }): string {
  return `${storeEpoch}:${id}`;
}

function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a instanceof Uint8Array) return b instanceof Uint8Array && bytesEqual(a, b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const mine = Object.entries(a);
  const theirs = b as Readonly<Record<string, unknown>>;
  return mine.length === Object.keys(b).length && mine.every(([name, value]) => isSame(value, theirs[name]));
}
