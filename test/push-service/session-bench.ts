// SPDX-License-Identifier: MIT
// A pure Session with a store of a few lines and simulated time, for session.test.ts and outbox.test.ts; and what the one of
// dialect autopush shares with it. Imports nothing of a runtime, so that all run inside QuickJS too.

import type { Attempt } from "../../src/push-service/outbox.ts";
import { Session } from "../../src/push-service/session.ts";
import type { DeviceSnapshot, SessionEffect, SessionEvent } from "../../src/push-service/session-events.ts";
import { SparseMap } from "../../src/push-service/sparse-map.ts";
import type { StoredMessage } from "../../src/push-service/store/store.ts";
import type { Conditions, Downstream, IdRange, RevokeReason, Upstream } from "../../src/wire/dialect.ts";
import { channelsDigest } from "../../src/wire/digest.ts";

export const START_MS = 1_800_000_000_000;
export const uaid = new Uint8Array(16).fill(7);

/** A channel as the store tells of it. */
export function channelRecord(channel: number, revoked: RevokeReason | null = null) {
  return { channel, registrationId: new Uint8Array(16).fill(channel), revoked };
}

/** A session of either dialect, a store that answers at once, and a clock. */
export abstract class StoredSession<Up, Down> {
  readonly sent: Down[] = [];
  readonly effects: SessionEffect<Down>[] = [];
  readonly messages = new Map<number, StoredMessage>();
  abstract readonly session: {
    handle(event: SessionEvent<Up>, now: { readonly monotonicMs: number; readonly epochMs: number }): void;
    poll(): SessionEffect<Down> | undefined;
  };
  monotonicMs = 0;
  alarmMs: number | null = null;
  /** False: effects are recorded and not answered. */
  isAnswering = true;
  protected lastId = 0;

  /** What {@link put} gives a message that is not said to have another one. */
  protected abstract bodyOf(id: number): Uint8Array | null;

  open(device: Partial<DeviceSnapshot> = {}): this {
    this.handle({
      type: "opened",
      device: { channels: [channelRecord(1)], freshUaToken: null, lastId: 0, ...device },
    });
    return this;
  }

  handle(event: SessionEvent<Up>): void {
    this.session.handle(event, { monotonicMs: this.monotonicMs, epochMs: START_MS + this.monotonicMs });
    for (let effect = this.session.poll(); effect !== undefined; effect = this.session.poll()) {
      this.effects.push(effect);
      this.perform(effect);
    }
  }

  up(message: Up): void {
    this.handle({ type: "upstream", message });
  }

  /** A message that came now, for an hour. */
  message(id: number): StoredMessage {
    const nowMs = START_MS + this.monotonicMs;
    return {
      id,
      channel: 1,
      receivedMs: nowMs,
      expiresMs: nowMs + 3_600_000,
      urgency: "normal",
      topic: null,
      saysNotification: false,
      body: this.bodyOf(id),
      mayHaveBeenSent: false,
    };
  }

  /** Puts a message into the store; with `live`, the session hears of it. */
  put(overrides: Partial<StoredMessage> = {}, live = true, replacedId: number | null = null): number {
    const id = overrides.id ?? ++this.lastId;
    this.lastId = Math.max(this.lastId, id);
    const message = { ...this.message(id), ...overrides };
    this.messages.set(id, message);
    if (replacedId !== null) this.messages.delete(replacedId);
    if (live) this.handle({ type: "stored", message, replacedId });
    return id;
  }

  /** Moves the clock, firing the alarm whenever it is due. */
  pass(ms: number): void {
    const untilMs = this.monotonicMs + ms;
    while (this.alarmMs !== null && this.alarmMs <= untilMs) {
      this.monotonicMs = Math.max(this.monotonicMs, this.alarmMs);
      this.alarmMs = null;
      this.handle({ type: "alarm" });
    }
    this.monotonicMs = untilMs;
  }

  page(afterId: number, limit: number): SessionEvent<Up> {
    const found = [...this.messages.values()].filter(({ id }) => id > afterId).sort((a, b) => a.id - b.id);
    return { type: "loaded", messages: found.slice(0, limit), complete: found.length <= limit };
  }

  protected perform(effect: SessionEffect<Down>): void {
    if (effect.type === "send") this.sent.push(effect.message);
    if (effect.type === "setAlarm") this.alarmMs = effect.atMs;
    if (!this.isAnswering) return;
    if (effect.type === "load") this.handle(this.page(effect.afterId, effect.limit));
    if (effect.type === "ack") {
      for (const id of [...this.messages.keys()]) {
        if (effect.ranges.some(([first, last]) => id >= first && id <= last)) this.messages.delete(id);
      }
      this.handle({ type: "acked", operationId: effect.operationId, isRemoved: true });
    }
  }
}

/** Of `godwit.v1`. */
export class SessionBench extends StoredSession<Upstream, Downstream> {
  readonly session: Session;

  constructor(
    conditions: Partial<Conditions> = {},
    attempts = new SparseMap<number, Attempt>(),
    known: number[] = [1],
  ) {
    super();
    this.session = new Session({
      uaid,
      conditions: { heartbeatS: 240, windowS: 0, leastUrgency: "very-low", ...conditions },
      channelsDigest: channelsDigest(known),
      settings: { storeEpoch: 99, reconnectSpreadS: 60, idleLimitS: null, canary: "/v1/canary" },
      attempts,
    });
  }

  ack(...ranges: IdRange[]): void {
    this.up({ type: "ack", code: "ok", ranges });
  }

  /** [id, attempt] of the notifications sent since the last call. */
  taken(): [number, number][] {
    const sent = this.sent.splice(0);
    return sent.flatMap((message): [number, number][] =>
      message.type === "notification" ? [[message.id, message.attempt]] : [],
    );
  }

  ids(): number[] {
    return this.taken().map(([id]) => id);
  }

  types(): string[] {
    return this.sent.splice(0).map(({ type }) => type);
  }

  answerLoad(afterId: number, limit: number): void {
    this.handle(this.page(afterId, limit));
  }

  protected bodyOf(): null {
    return null;
  }
}

/** A page of `count` messages, none announced. */
export function filled(count: number, conditions: Partial<Conditions> = {}): SessionBench {
  const bench = new SessionBench(conditions);
  for (let i = 0; i < count; i++) bench.put({}, false);
  return bench;
}

export const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);
