// SPDX-License-Identifier: MIT
// A pure AutopushSession with a store of a few lines and simulated time. Imports nothing of a runtime, so that its tests run
// inside QuickJS too. No tests here.

import { AutopushSession } from "../../src/push-service/autopush-session.ts";
import type { DeviceSnapshot, SessionEffect } from "../../src/push-service/session-events.ts";
import type { AutopushDownstream, AutopushUpstream } from "../../src/wire/autopush.ts";
import type { Status } from "../../src/wire/dialect.ts";
import { StoredSession, uaid } from "./session-bench.ts";

type Effect = SessionEffect<AutopushDownstream>;
type Notification = Extract<AutopushDownstream, { type: "notification" }>;

/** Of dialect autopush. */
export class AutopushBench extends StoredSession<AutopushUpstream, AutopushDownstream> {
  readonly session: AutopushSession;
  registerStatus: Status = 200;
  #lastChannel = 1;

  constructor(options: { uaid?: Uint8Array; broadcasts?: Map<string, string> } = {}) {
    super();
    this.session = new AutopushSession({ uaid, storeEpoch: 99, broadcasts: new Map(), ...options });
  }

  /** With channel 1, whose id is 16 bytes of 1. */
  override open(device: Partial<DeviceSnapshot> = {}): this {
    return super.open({ lastId: this.lastId, ...device });
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

  /** Its id: {@link idOf}. */
  protected bodyOf(id: number): Uint8Array {
    return Uint8Array.of(id >> 8, id & 0xff);
  }

  protected override perform(effect: Effect): void {
    super.perform(effect);
    if (!this.isAnswering) return;
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
