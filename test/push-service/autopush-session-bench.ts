// SPDX-License-Identifier: MIT
// A pure AutopushSession with a store of a few lines and simulated time. Imports nothing of a runtime, so that its tests run
// inside QuickJS too. No tests here.

import { AutopushSession } from "../../src/push-service/autopush-session.ts";
import type { DeviceSnapshot, SessionEffect, SessionEvent } from "../../src/push-service/session-events.ts";
import type { StoredMessage } from "../../src/push-service/store/store.ts";
import type { AutopushDownstream, AutopushUpstream } from "../../src/wire/autopush.ts";
import type { Status } from "../../src/wire/dialect.ts";
import { channelRecord, START_MS, uaid } from "./session-bench.ts";

type Effect = SessionEffect<AutopushDownstream>;
type Notification = Extract<AutopushDownstream, { type: "notification" }>;

/** A session, a store that answers at once, and a clock. */
export class AutopushBench {
  readonly sent: AutopushDownstream[] = [];
  readonly effects: Effect[] = [];
  readonly messages = new Map<number, StoredMessage>();
  readonly session: AutopushSession;
  monotonicMs = 0;
  alarmMs: number | null = null;
  /** False: effects are recorded and not answered. */
  isAnswering = true;
  registerStatus: Status = 200;
  #lastId = 0;
  #lastChannel = 1;

  constructor(options: { uaid?: Uint8Array; broadcasts?: Map<string, string> } = {}) {
    this.session = new AutopushSession({ uaid, storeEpoch: 99, broadcasts: new Map(), ...options });
  }

  /** With channel 1, whose id is 16 bytes of 1. */
  open(device: Partial<DeviceSnapshot> = {}): this {
    this.handle({
      type: "opened",
      device: { channels: [channelRecord(1)], freshUaToken: null, lastId: this.#lastId, ...device },
    });
    return this;
  }

  handle(event: SessionEvent<AutopushUpstream>): void {
    this.session.handle(event, { monotonicMs: this.monotonicMs, epochMs: START_MS + this.monotonicMs });
    for (let effect = this.session.poll(); effect !== undefined; effect = this.session.poll()) {
      this.effects.push(effect);
      this.#perform(effect);
    }
  }

  up(message: AutopushUpstream): void {
    this.handle({ type: "upstream", message });
  }

  /** A message that came now, for an hour. Its body is its id. */
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
      body: Uint8Array.of(id >> 8, id & 0xff),
      mayHaveBeenSent: false,
    };
  }

  /** Puts a message into the store; with `live`, the session hears of it. */
  put(overrides: Partial<StoredMessage> = {}, live = true, replacedId: number | null = null): number {
    const id = ++this.#lastId;
    const message = { ...this.message(id), ...overrides };
    this.messages.set(id, message);
    if (replacedId !== null) this.messages.delete(replacedId);
    if (live) this.handle({ type: "stored", message, replacedId });
    return id;
  }

  /** Puts `count` messages that nobody hears of. */
  fill(count: number): this {
    for (let i = 0; i < count; i++) this.put({}, false);
    return this;
  }

  ack(...notifications: readonly Notification[]): void {
    const updates = notifications.map(({ channelId, version }) => ({ channelId, version, code: 100 }));
    this.up({ type: "ack", updates });
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

  /** Notifications sent since the last call; everything else sent is dropped. */
  taken(): Notification[] {
    return this.sent.splice(0).filter((message) => message.type === "notification");
  }

  ids(): number[] {
    return this.taken().map(idOf);
  }

  /** Reasons of the closes there were: one at most, or the session has a fault. */
  closes(): string[] {
    return this.effects.flatMap((effect) => (effect.type === "close" ? [effect.reason] : []));
  }

  page(afterId: number, limit: number): SessionEvent<AutopushUpstream> {
    const found = [...this.messages.values()].filter(({ id }) => id > afterId).sort((a, b) => a.id - b.id);
    return { type: "loaded", messages: found.slice(0, limit), complete: found.length <= limit };
  }

  #perform(effect: Effect): void {
    if (effect.type === "send") this.sent.push(effect.message);
    if (effect.type === "setAlarm") this.alarmMs = effect.atMs;
    if (!this.isAnswering) return;
    if (effect.type === "load") this.handle(this.page(effect.afterId, effect.limit));
    if (effect.type === "ack") {
      for (const [first] of effect.ranges) this.messages.delete(first);
      this.handle({ type: "acked", operationId: effect.operationId, isRemoved: true });
    }
    if (effect.type === "register") this.#register(effect.operationId);
    if (effect.type === "unregister") {
      this.handle({ type: "unregistered", operationId: effect.operationId, status: 200 });
    }
  }

  #register(operationId: number): void {
    const status = this.registerStatus;
    const channel = status === 200 ? ++this.#lastChannel : 0;
    const endpoint = status === 200 ? `https://p.example/p/${channel}` : "";
    this.handle({ type: "registered", operationId, status, channel, endpoint });
  }
}

/** The message's id, which {@link AutopushBench.put} wrote into its body. */
export function idOf({ data }: Notification): number {
  return ((data?.[0] ?? 0) << 8) | (data?.[1] ?? 0);
}
