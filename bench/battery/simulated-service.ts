// SPDX-License-Identifier: MIT
/** A push service of one device around the real {@link Session}: a store in memory, alarms on the timeline, restarts. */

import type { Attempt } from "../../src/push-service/outbox.ts";
import { Session } from "../../src/push-service/session.ts";
import type { SessionEffect, SessionEvent } from "../../src/push-service/session-events.ts";
import { SparseMap } from "../../src/push-service/sparse-map.ts";
import type { StoredMessage } from "../../src/push-service/store/store.ts";
import { parseConditions } from "../../src/push-service/upgrade.ts";
import { base64urlDecode } from "../../src/webpush/base64url.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import type { PushMessage } from "./scenario.ts";
import type { Timeline } from "./timeline.ts";

const EPOCH_MS = 1_700_000_000_000;
const STORE_EPOCH = 7;
const UAID = new Uint8Array(16).fill(7);
const CHANNEL = 1;

/** As in godwit-world.ts. */
const CLOCK_STEP_S = 1e-6;

interface Connection {
  readonly linkId: number;
  readonly session: Session;
  cancelAlarm: () => void;
}

/** What carries its frames. */
export interface ServiceLink {
  send(linkId: number, frame: Uint8Array): void;
  /** In order, behind what was sent. */
  close(linkId: number): void;
}

export class SimulatedService {
  readonly #time: Timeline;
  readonly #spreadS: number;
  readonly #random: () => number;
  readonly #link: ServiceLink;
  readonly #messages = new Map<number, StoredMessage>();
  readonly #indexById = new Map<number, number>();
  #attempts = new SparseMap<number, Attempt>();
  #current: Connection | null = null;
  #isRegistered = false;
  #lastId = 0;
  #downUntilS = Number.NEGATIVE_INFINITY;

  constructor(time: Timeline, spreadS: number, random: () => number, link: ServiceLink) {
    this.#time = time;
    this.#spreadS = spreadS;
    this.#random = random;
    this.#link = link;
  }

  get isUp(): boolean {
    return this.#time.nowS >= this.#downUntilS;
  }

  /** A device link of that id was upgraded with these headers. */
  open(linkId: number, headers: Readonly<Record<string, string>>): void {
    if (this.#current !== null) this.#handle({ type: "goodbye", reason: "replaced", retryAfterS: 0 });
    const conditions = parseConditions({ "godwit-conditions": headers["Godwit-Conditions"] });
    const session = new Session({
      uaid: UAID,
      conditions,
      channelsDigest: base64urlDecode(headers["Godwit-Channels"] ?? ""),
      settings: {
        storeEpoch: STORE_EPOCH,
        reconnectSpreadS: this.#spreadS,
        idleLimitS: null,
        canary: "/v1/canary",
      },
      attempts: this.#attempts,
    });
    this.#current?.cancelAlarm();
    this.#current = { linkId, session, cancelAlarm: () => {} };
    const channels = this.#isRegistered
      ? [{ channel: CHANNEL, registrationId: new Uint8Array(16), revoked: null }]
      : [];
    this.#handle({ type: "opened", device: { channels, freshUaToken: null, lastId: this.#lastId } });
  }

  receive(linkId: number, frame: Uint8Array): void {
    if (this.#current?.linkId === linkId)
      this.#handle({ type: "upstream", message: godwitDialect.parseUpstream(frame) });
  }

  activity(linkId: number): void {
    if (this.#current?.linkId === linkId) this.#handle({ type: "activity" });
  }

  linkClosed(linkId: number): void {
    if (this.#current?.linkId !== linkId) return;
    this.#handle({ type: "linkClosed" });
    this.#current?.cancelAlarm();
    this.#current = null;
  }

  /** Down until then. `isReachable` null: without a word to anybody. */
  stop(untilS: number, isReachable: ((linkId: number) => boolean) | null): void {
    this.#downUntilS = untilS;
    const current = this.#current;
    if (current === null) return;
    if (isReachable?.(current.linkId)) {
      const retryAfterS = Math.floor(this.#random() * this.#spreadS);
      this.#handle({ type: "goodbye", reason: "shutdown", retryAfterS });
    }
    current.cancelAlarm();
    this.#current = null;
    this.#attempts = new SparseMap();
  }

  /** A message was POSTed; its number in the scenario is `index`. */
  post({ atS, ttlS, urgency }: PushMessage, index: number, body: Uint8Array | null): void {
    // A sender tries again until the service is back.
    if (!this.isUp) {
      this.#time.at(this.#downUntilS, () => this.post({ atS, ttlS, urgency }, index, body));
      return;
    }
    const message: StoredMessage = {
      id: ++this.#lastId,
      channel: CHANNEL,
      receivedMs: EPOCH_MS + Math.floor(this.#time.nowS * 1000),
      expiresMs: EPOCH_MS + Math.floor((atS + ttlS) * 1000),
      urgency,
      topic: null,
      saysNotification: false,
      body,
      mayHaveBeenSent: false,
    };
    this.#indexById.set(message.id, index);
    if (ttlS > 0) this.#messages.set(message.id, message);
    if (this.#current === null) return;
    if (ttlS === 0) this.#handle({ type: "ephemeral", message });
    else this.#handle({ type: "stored", message, replacedId: null });
  }

  /** The scenario's number of the message an app was given. */
  indexOf(messageId: string): number | undefined {
    return this.#indexById.get(Number(messageId.slice(messageId.indexOf("-") + 1)));
  }

  #handle(event: SessionEvent): void {
    const current = this.#current;
    if (current === null) return;
    const { nowS } = this.#time;
    current.session.handle(event, {
      monotonicMs: nowS * 1000 + 1e9,
      epochMs: EPOCH_MS + Math.floor(nowS * 1000),
    });
    for (let effect = current.session.poll(); effect !== undefined; effect = current.session.poll())
      this.#perform(current, effect);
  }

  #perform(current: Connection, effect: SessionEffect): void {
    const { linkId } = current;
    switch (effect.type) {
      case "send":
        return this.#link.send(linkId, godwitDialect.encodeDownstream(effect.message));
      case "close":
        return this.#link.close(linkId);
      case "setAlarm":
        current.cancelAlarm();
        if (effect.atMs !== null)
          current.cancelAlarm = this.#time.at((effect.atMs - 1e9) / 1000 + CLOCK_STEP_S, () => {
            if (this.#current === current) this.#handle({ type: "alarm" });
          });
        return;
      case "load":
        return this.#load(effect.afterId, effect.limit);
      case "ack":
        for (const id of [...this.#messages.keys()])
          if (effect.ranges.some(([first, last]) => id >= first && id <= last)) this.#messages.delete(id);
        return this.#handle({ type: "acked", operationId: effect.operationId, isRemoved: true });
      case "register":
        this.#isRegistered = true;
        return this.#handle({
          type: "registered",
          operationId: effect.operationId,
          status: 200,
          channel: CHANNEL,
          endpoint: "https://push.example/p/1",
        });
      case "unregister":
        return this.#handle({ type: "unregistered", operationId: effect.operationId, status: 200 });
      case "forget":
        return this.#handle({ type: "forgotten", operationId: effect.operationId, status: 200 });
    }
  }

  #load(afterId: number, limit: number): void {
    const nowMs = EPOCH_MS + this.#time.nowS * 1000;
    const found = [...this.#messages.values()].filter(
      ({ id, expiresMs }) => id > afterId && expiresMs > nowMs,
    );
    this.#handle({ type: "loaded", messages: found.slice(0, limit), complete: found.length <= limit });
  }
}
