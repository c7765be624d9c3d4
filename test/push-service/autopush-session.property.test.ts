// SPDX-License-Identifier: MIT
// Goal: whatever the order in which store, news and device are heard, every message of dialect autopush is delivered until it is
// acknowledged, none twice over one link, none by a batch before the last one was done with, and acknowledgements remove what
// they name. Method: fast-check moves of a store, a device and the time between them against the pure session; then everything
// comes to rest and is counted.

import { describe, expect, test } from "vitest";
import { AUTOPUSH_BATCH_MAX, AUTOPUSH_IN_FLIGHT_MAX } from "../../src/limits.ts";
import { AutopushSession } from "../../src/push-service/autopush-session.ts";
import type { SessionEffect, SessionEvent } from "../../src/push-service/session-events.ts";
import type { StoredMessage } from "../../src/push-service/store/store.ts";
import type { AutopushDownstream, AutopushUpstream } from "../../src/wire/autopush.ts";
import { fc, numRuns } from "../properties.ts";
import { idOf } from "./autopush-session-bench.ts";
import { channelRecord, START_MS, uaid } from "./session-bench.ts";

type Event = SessionEvent<AutopushUpstream>;
type Load = Extract<SessionEffect, { type: "load" }>;
type Ack = Extract<SessionEffect, { type: "ack" }>;
type Notification = Extract<AutopushDownstream, { type: "notification" }>;

/** What may happen next; `at` picks one of several candidates. */
type Move =
  | { readonly type: "put"; readonly topic: string | null; readonly count: number }
  | { readonly type: "withdraw" | "ackSome"; readonly at: number }
  | { readonly type: "news" | "read" | "answerLoad" | "store" | "ackAll" | "reconnect" | "congest" };

const topic = fc.oneof(
  fc.constant(null),
  fc.integer({ min: 0, max: 15 }).map((n) => `t${n}`),
);
/** Now and then more than may be in flight. */
const burst = fc.oneof(
  { weight: 40, arbitrary: fc.constant(1) },
  { weight: 9, arbitrary: fc.constant(15) },
  { weight: 1, arbitrary: fc.constant(160) },
);
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("put" as const),
      topic,
      count: burst,
    }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant("news" as const) }) },
  {
    weight: 9,
    arbitrary: fc.record({
      type: fc.constantFrom("read" as const, "answerLoad" as const, "store" as const, "ackAll" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("ackSome" as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("withdraw" as const), at: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constantFrom("congest" as const, "reconnect" as const) }) },
);

class World {
  readonly store = new Map<number, StoredMessage>();
  /** Ids the device acknowledged, whether the store heard of it or not. */
  readonly acknowledged = new Set<number>();
  readonly withdrawn = new Set<number>();
  readonly put = new Set<number>();
  readonly delivered = new Set<number>();
  /** What happened in the store and the session has not heard yet. */
  #news: Event[] = [];
  #load: Load | null = null;
  #page: Event | null = null;
  #acks: Ack[] = [];
  /** Sent over this link. */
  #sent = new Set<number>();
  #unacknowledged = new Map<number, Notification>();
  /** What the last page brought. */
  #batch: readonly number[] = [];
  #isCongested = false;
  #session = this.#connect();

  apply(move: Move): void {
    switch (move.type) {
      case "put":
        for (let i = 0; i < move.count; i++) this.#put(move.topic);
        return;
      case "withdraw":
        return this.#withdraw(move.at);
      case "news": {
        const event = this.#news.shift();
        if (event !== undefined) this.#handle(event);
        return;
      }
      case "read":
        if (this.#load !== null && this.#page === null) this.#page = this.#read(this.#load);
        return;
      case "answerLoad":
        return this.#answerLoad();
      case "store":
        return this.#storeAck();
      case "ackSome":
        return this.#ack([...this.#unacknowledged.keys()].slice(move.at % (this.#unacknowledged.size + 1)));
      case "ackAll":
        return this.#ack([...this.#unacknowledged.keys()]);
      case "congest":
        this.#isCongested = !this.#isCongested;
        return this.#handle({ type: "congested", isCongested: this.#isCongested });
      case "reconnect":
        this.#session = this.#connect();
        return this.#open();
    }
  }

  /** Until nothing happens any more. */
  rest(): void {
    if (this.#isCongested) this.apply({ type: "congest" });
    let before: string;
    do {
      before = JSON.stringify([this.store.size, this.#sent.size, this.acknowledged.size]);
      for (let i = 0; i < 2 * AUTOPUSH_IN_FLIGHT_MAX; i++) {
        for (const type of ["news", "read", "answerLoad", "ackAll", "store"] as const) this.apply({ type });
      }
    } while (JSON.stringify([this.store.size, this.#sent.size, this.acknowledged.size]) !== before);
  }

  /** Opens with messages of these topics in the store. */
  begin(topics: readonly (string | null)[]): this {
    for (const topic of topics) this.#put(topic);
    this.#news = [];
    this.#open();
    return this;
  }

  #connect(): AutopushSession {
    this.#load = null;
    this.#page = null;
    this.#acks = [];
    this.#isCongested = false;
    this.#sent.clear();
    this.#unacknowledged.clear();
    this.#batch = [];
    return new AutopushSession({ uaid, storeEpoch: 5, broadcasts: new Map() });
  }

  #open(): void {
    const device = { channels: [channelRecord(1)], freshUaToken: null, lastId: this.put.size };
    this.#handle({ type: "opened", device });
  }

  #put(topic: string | null): void {
    const id = this.put.size + 1;
    this.put.add(id);
    const replaced =
      topic === null ? undefined : [...this.store.values()].find((each) => each.topic === topic);
    if (replaced !== undefined) this.#forget(replaced.id);
    const message: StoredMessage = {
      id,
      channel: 1,
      receivedMs: START_MS,
      expiresMs: START_MS + 3_600_000,
      urgency: "normal",
      topic,
      saysNotification: false,
      body: Uint8Array.of(id >> 8, id & 0xff),
      mayHaveBeenSent: false,
    };
    this.store.set(id, message);
    this.#news.push({ type: "stored", message, replacedId: replaced?.id ?? null });
  }

  #withdraw(at: number): void {
    const id = [...this.store.keys()][at % Math.max(1, this.store.size)];
    if (id === undefined) return;
    this.#forget(id);
    this.#news.push({ type: "withdrawn", id });
  }

  #forget(id: number): void {
    this.store.delete(id);
    this.withdrawn.add(id);
  }

  #read({ afterId, limit }: Load): Event {
    const found = [...this.store.values()].filter(({ id }) => id > afterId).sort((a, b) => a.id - b.id);
    return { type: "loaded", messages: found.slice(0, limit), complete: found.length <= limit };
  }

  #answerLoad(): void {
    if (this.#load === null) return;
    const page = this.#page ?? this.#read(this.#load);
    const before = new Set(this.#sent);
    this.#load = null;
    this.#page = null;
    this.#batch = [];
    this.#handle(page, () => {
      this.#batch = [...this.#sent].filter((id) => !before.has(id));
    });
    expect(this.#batch.length).toBeLessThanOrEqual(AUTOPUSH_BATCH_MAX);
  }

  #ack(ids: readonly number[]): void {
    const updates = ids.flatMap((id) => {
      const { channelId, version } = this.#unacknowledged.get(id) ?? {};
      this.acknowledged.add(id);
      this.#unacknowledged.delete(id);
      return channelId === undefined || version === undefined ? [] : [{ channelId, version, code: null }];
    });
    if (updates.length > 0) this.#handle({ type: "upstream", message: { type: "ack", updates } });
  }

  #storeAck(): void {
    const ack = this.#acks.shift();
    if (ack === undefined) return;
    for (const [first, last] of ack.ranges) {
      for (const id of [...this.store.keys()]) {
        if (id < first || id > last) continue;
        expect(this.acknowledged).toContain(id);
        this.store.delete(id);
      }
    }
    this.#handle({ type: "acked", operationId: ack.operationId, isRemoved: true });
  }

  /** @param sent called when something was sent */
  #handle(event: Event, sent = () => {}): void {
    this.#session.handle(event, { monotonicMs: 0, epochMs: START_MS });
    for (let effect = this.#session.poll(); effect !== undefined; effect = this.#session.poll()) {
      if (effect.type === "load") {
        const open = this.#batch.filter((id) => this.#unacknowledged.has(id) && !this.withdrawn.has(id));
        expect([this.#load, open]).toEqual([null, []]);
        this.#load = effect;
      }
      if (effect.type === "ack") this.#acks.push(effect);
      if (effect.type === "close" || effect.type === "forget") throw new Error(effect.type);
      if (effect.type !== "send" || effect.message.type !== "notification") continue;
      const id = idOf(effect.message);
      expect(this.#sent).not.toContain(id);
      this.#sent.add(id);
      this.delivered.add(id);
      this.#unacknowledged.set(id, effect.message);
      sent();
      expect(this.#unacknowledged.size - this.withdrawn.size).toBeLessThanOrEqual(AUTOPUSH_IN_FLIGHT_MAX);
    }
  }
}

describe("delivery", () => {
  test("whatever happens in whatever order, each message comes until it is acknowledged", () => {
    fc.assert(
      fc.property(fc.array(topic, { maxLength: 30 }), fc.array(move, { maxLength: 80 }), (stored, moves) => {
        const world = new World().begin(stored);
        for (const each of moves) world.apply(each);
        world.rest();
        expect([...world.store.keys()]).toEqual([]);
        const owed = [...world.put].filter((id) => !world.withdrawn.has(id));
        expect(owed.filter((id) => !world.delivered.has(id))).toEqual([]);
        expect(owed.filter((id) => !world.acknowledged.has(id))).toEqual([]);
      }),
      { numRuns: numRuns(500) },
    );
  });
});
