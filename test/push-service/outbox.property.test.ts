// SPDX-License-Identifier: MIT
// Goal: whatever the order of store answers, news, withdrawals, replacements, revocations, expiry, holds, conditions and
// acknowledgements, no message is lost, none goes out once it left the store, and the window holds. Method: random
// sequences against a store that answers late; then everything is let through and must have arrived.

import { describe, expect, test } from "vitest";
import { MESSAGES_IN_FLIGHT_MAX } from "../../src/limits.ts";
import { Session } from "../../src/push-service/session.ts";
import type { SessionEffect, SessionEvent } from "../../src/push-service/session-events.ts";
import { SparseMap } from "../../src/push-service/sparse-map.ts";
import type { StoredMessage } from "../../src/push-service/store/store.ts";
import { type Upstream, URGENCIES } from "../../src/wire/dialect.ts";
import { fc } from "../properties.ts";

type Step =
  | {
      readonly do: "put";
      readonly channel: number;
      readonly urgency: number;
      readonly isHeard: boolean;
      readonly count: number;
    }
  | { readonly do: "hear" | "load" | "settle" | "getAll" | "ping" | "congest" | "flow" }
  | { readonly do: "ack"; readonly pick: number }
  | { readonly do: "withdraw"; readonly pick: number }
  | { readonly do: "replace"; readonly pick: number; readonly isHeard: boolean }
  | { readonly do: "revoke"; readonly channel: number }
  | { readonly do: "ephemeral"; readonly channel: number; readonly urgency: number }
  | { readonly do: "short"; readonly channel: number; readonly urgency: number; readonly ttlMs: number }
  | { readonly do: "hold" | "resume"; readonly channel: number }
  | { readonly do: "least"; readonly urgency: number }
  | { readonly do: "pass"; readonly ms: number };

const channel = fc.integer({ min: 1, max: 3 });
const urgency = fc.integer({ min: 0, max: 3 });
const pick = fc.nat(500);
const ttlMs = fc.integer({ min: 1, max: 100_000 });
const put = fc.record({
  do: fc.constant("put"),
  channel,
  urgency,
  isHeard: fc.boolean(),
  count: fc.constantFrom(1, 1, 1, 1, 40),
});
const simple = fc.constantFrom("hear", "load", "settle", "getAll", "ping", "congest", "flow");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: put },
  { weight: 8, arbitrary: simple.map((what) => ({ do: what })) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("ack"), pick: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("withdraw"), pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("replace"), pick, isHeard: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("revoke"), channel }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("ephemeral"), channel, urgency }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("short"), channel, urgency, ttlMs }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("hold", "resume"), channel }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("least"), urgency }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("pass"), ms: fc.integer({ min: 1, max: 90_000 }) }) },
) as fc.Arbitrary<Step>;

/** A message the session has not heard of yet. */
interface News {
  readonly message: StoredMessage;
  readonly replacedId: number | null;
}

const LONG_MS = 2_000_000_000;

class World {
  readonly stored = new Map<number, StoredMessage>();
  /** Sent and neither acknowledged nor taken back by a hold or GetAllMessages. */
  readonly inFlight = new Map<number, number>();
  /** Out of the store, and the session knows: must not be sent any more. */
  readonly gone = new Set<number>();
  #news: News[] = [];
  #loads: { readonly messages: StoredMessage[]; readonly complete: boolean }[] = [];
  #acks: Extract<SessionEffect, { type: "ack" }>[] = [];
  #isRefused = false;
  #lastId = 0;
  #nowMs = 0;
  readonly #session = new Session({
    uaid: new Uint8Array(16),
    conditions: { heartbeatS: 86_400, windowS: 60, leastUrgency: "very-low" },
    channelsDigest: new Uint8Array(8),
    settings: { storeEpoch: 1, reconnectSpreadS: 0, idleLimitS: null, canary: null },
    attempts: new SparseMap(),
  });

  constructor() {
    this.#handle({ type: "opened", device: { channels: [], freshUaToken: null, lastId: 0 } });
  }

  run(step: Step): void {
    switch (step.do) {
      case "put":
        for (let i = 0; i < step.count; i++) this.#put(step);
        return;
      case "hear": {
        const news = this.#news.shift();
        if (news !== undefined) this.#hear(news);
        return;
      }
      case "load": {
        const page = this.#loads.shift();
        if (page !== undefined) this.#handle({ type: "loaded", ...page });
        return;
      }
      case "settle":
        return this.#settle();
      case "getAll":
        return this.#getAll();
      case "ping":
        return this.#handle({ type: "activity" });
      case "congest":
        return this.#handle({ type: "congested", isCongested: true });
      case "flow":
        return this.#handle({ type: "congested", isCongested: false });
      case "ack": {
        const ids = [...this.inFlight.keys()];
        const id = ids[step.pick % Math.max(1, ids.length)];
        if (id !== undefined) this.#ack(id);
        return;
      }
      case "withdraw":
        return this.#withdraw(step.pick);
      case "replace":
        return this.#replace(step);
      case "revoke":
        return this.#revoke(step.channel);
      case "ephemeral": {
        const message = this.#newMessage(step.channel, step.urgency, 0);
        return this.#handle({ type: "ephemeral", message });
      }
      case "short":
        return this.#store(this.#newMessage(step.channel, step.urgency, step.ttlMs), true);
      case "hold":
        for (const [id, held] of this.inFlight) if (held === step.channel) this.inFlight.delete(id);
        return this.#up({ type: "hold", channel: step.channel });
      case "resume":
        return this.#up({ type: "resume", channel: step.channel });
      case "least": {
        const leastUrgency = URGENCIES[step.urgency] ?? "normal";
        return this.#up({
          type: "conditions",
          conditions: { heartbeatS: 86_400, windowS: 60, leastUrgency },
        });
      }
      case "pass":
        this.#nowMs += step.ms;
        return this.#handle({ type: "alarm" });
    }
  }

  /** Ids of stored messages whose TTL has not ended. */
  unexpired(): number[] {
    const isAlive = ({ expiresMs }: StoredMessage) => expiresMs > this.#epochMs();
    return [...this.stored.values()].filter(isAlive).map(({ id }) => id);
  }

  /** Lets everything through and acknowledges whatever comes, until nothing moves. */
  settleAll(): void {
    for (const held of [1, 2, 3]) this.run({ do: "resume", channel: held });
    this.run({ do: "least", urgency: 0 });
    this.run({ do: "flow" });
    while (this.#news.length + this.#loads.length + this.#acks.length + this.inFlight.size > 0) {
      this.run({ do: "hear" });
      this.run({ do: "load" });
      this.run({ do: "settle" });
      for (const id of [...this.inFlight.keys()]) this.#ack(id);
      this.run({ do: "ping" });
    }
  }

  #getAll(): void {
    const before = [...this.inFlight];
    this.inFlight.clear();
    this.#isRefused = false;
    this.#up({ type: "getAllMessages", ref: 1 });
    // Too many are unanswered: then nothing is taken back.
    if (this.#isRefused) for (const [id, channel] of before) this.inFlight.set(id, channel);
  }

  #put({ channel, urgency, isHeard }: Extract<Step, { do: "put" }>): void {
    this.#store(this.#newMessage(channel, urgency, LONG_MS), isHeard);
  }

  #newMessage(channel: number, urgency: number, ttlMs: number): StoredMessage {
    const epochMs = this.#epochMs();
    return {
      id: ++this.#lastId,
      channel,
      receivedMs: epochMs,
      expiresMs: epochMs + ttlMs,
      urgency: URGENCIES[urgency] ?? "normal",
      topic: null,
      saysNotification: false,
      body: null,
      mayHaveBeenSent: false,
    };
  }

  #store(message: StoredMessage, isHeard: boolean, replacedId: number | null = null): void {
    this.stored.set(message.id, message);
    if (isHeard) this.#hear({ message, replacedId });
    else this.#news.push({ message, replacedId });
  }

  #hear({ message, replacedId }: News): void {
    if (replacedId !== null) this.#leave(replacedId);
    this.#handle({ type: "stored", message, replacedId });
  }

  #withdraw(pick: number): void {
    const id = this.#pickHeard(pick);
    if (id === undefined) return;
    this.stored.delete(id);
    this.#leave(id);
    this.#handle({ type: "withdrawn", id });
  }

  /** The store has made the exchange; the session may hear of it later. */
  #replace({ pick, isHeard }: Extract<Step, { do: "replace" }>): void {
    const id = this.#pickHeard(pick);
    const old = id === undefined ? undefined : this.stored.get(id);
    if (old === undefined) return;
    this.stored.delete(old.id);
    const message = { ...old, id: ++this.#lastId, expiresMs: this.#epochMs() + LONG_MS };
    this.#store(message, isHeard, old.id);
  }

  #revoke(channel: number): void {
    for (const [id, message] of this.stored) {
      if (message.channel !== channel) continue;
      this.stored.delete(id);
      this.#leave(id);
    }
    for (const [id, sent] of this.inFlight) if (sent === channel) this.inFlight.delete(id);
    this.#news = this.#news.filter(({ message }) => message.channel !== channel);
    this.#handle({ type: "revoked", channel, reason: "application-server" });
  }

  /** One of the stored messages the session was told of: only a sender who got its 201 can name it. */
  #pickHeard(pick: number): number | undefined {
    const unheard = new Set(this.#news.map(({ message }) => message.id));
    const ids = [...this.stored.keys()].filter((id) => !unheard.has(id));
    return ids[pick % Math.max(1, ids.length)];
  }

  #leave(id: number): void {
    this.inFlight.delete(id);
    this.gone.add(id);
  }

  #ack(id: number): void {
    this.inFlight.delete(id);
    this.#up({ type: "ack", code: "ok", ranges: [[id, id]] });
  }

  #settle(): void {
    const ack = this.#acks.shift();
    if (ack === undefined) return;
    for (const [first] of ack.ranges) {
      this.stored.delete(first);
      this.gone.add(first);
    }
    this.#handle({ type: "acked", operationId: ack.operationId, isRemoved: true });
  }

  #up(message: Upstream): void {
    this.#handle({ type: "upstream", message });
  }

  #handle(event: SessionEvent): void {
    this.#session.handle(event, { monotonicMs: this.#nowMs, epochMs: this.#epochMs() });
    for (let effect = this.#session.poll(); effect !== undefined; effect = this.#session.poll()) {
      this.#perform(effect);
    }
  }

  #perform(effect: SessionEffect): void {
    if (effect.type === "load") {
      // Read now, answered later: what happens in between must not confuse the session.
      const found = [...this.stored.values()].filter(
        ({ id, expiresMs }) => id > effect.afterId && expiresMs > this.#epochMs(),
      );
      this.#loads.push({ messages: found.slice(0, effect.limit), complete: found.length <= effect.limit });
    }
    if (effect.type === "ack") this.#acks.push(effect);
    if (effect.type === "send" && effect.message.type === "error") this.#isRefused = true;
    if (effect.type !== "send" || effect.message.type !== "notification") return;
    const { id, channel } = effect.message;
    expect(this.gone.has(id)).toBe(false);
    expect(this.inFlight.has(id)).toBe(false);
    this.inFlight.set(id, channel);
    expect(this.#inFlightUnexpired()).toBeLessThanOrEqual(MESSAGES_IN_FLIGHT_MAX);
  }

  /** A message whose TTL ends in flight gives up its place. */
  #inFlightUnexpired(): number {
    const isAlive = (id: number) => (this.stored.get(id)?.expiresMs ?? 0) > this.#epochMs();
    return [...this.inFlight.keys()].filter(isAlive).length;
  }

  #epochMs(): number {
    return 1_800_000_000_000 + this.#nowMs;
  }
}

describe("outbox", () => {
  test("loses nothing, repeats nothing settled, keeps the window", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150, size: "max" }), (steps) => {
        const world = new World();
        for (const each of steps) world.run(each);
        world.settleAll();
        expect(world.unexpired()).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});
