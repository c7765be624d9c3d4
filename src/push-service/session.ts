// SPDX-License-Identifier: MIT
/**
 * One connected device as the push service sees it: events and times in, effects out. Speaks no
 * dialect, knows no transport, reads no clock, awaits nothing. Pure.
 */

import { bytesEqual } from "../bytes.ts";
import {
  DRAINS_PENDING_MAX,
  ERRORS_PER_LINK_MAX,
  HEARTBEAT_DEFAULT_MS,
  HEARTBEAT_S_MAX,
  IDLE_GRACE_MS,
  REVOKED_REPEAT_MS,
  SESSION_OPERATIONS_MAX,
  SUBSCRIPTIONS_MAX,
} from "../limits.ts";
import {
  type AckCode,
  type ByeReason,
  type Conditions,
  type Downstream,
  type IdRange,
  type RevokeReason,
  STATUS,
  type Status,
  type Upstream,
} from "../wire/dialect.ts";
import { channelsDigest } from "../wire/digest.ts";
import { type Instant, Outbox } from "./outbox.ts";
import { SessionCourse } from "./session-course.ts";
import type {
  DeviceSession,
  DeviceSnapshot,
  Phase,
  SessionEffect,
  SessionEvent,
  SessionOptions,
  SessionSettings,
} from "./session-events.ts";
import { SparseMap } from "./sparse-map.ts";

/** A request of the device the store has not answered yet. */
interface Operation {
  readonly ref: number;
  readonly channel: number;
}

/** One device link. Drain {@link poll} after every {@link handle}. */
export class Session implements DeviceSession {
  readonly #course = new SessionCourse<Downstream>();
  readonly #settings: SessionSettings;
  readonly #uaid: Uint8Array;
  /** Null once it was compared. */
  #channelsDigest: Uint8Array | null;
  readonly #outbox: Outbox;
  readonly #operations = new SparseMap<number, Operation>();
  /** Revocations the device has not acknowledged, and when each was sent last. */
  readonly #revocations = new SparseMap<number, { readonly reason: RevokeReason; sentMs: number }>();
  #conditions: Conditions;
  #drains: number[] = [];
  #lastOperationId = 0;
  #lastHeardMs = 0;
  #errors = 0;

  constructor({ settings, uaid, conditions, channelsDigest, attempts }: SessionOptions) {
    this.#settings = settings;
    this.#uaid = uaid;
    this.#channelsDigest = channelsDigest;
    this.#conditions = conditions;
    this.#outbox = new Outbox(conditions, attempts, this.#course);
  }

  get phase(): Phase {
    return this.#course.phase;
  }

  /** Takes one event; what follows from it is handed out by {@link poll}. Never throws. */
  handle(event: SessionEvent, now: Instant): void {
    if (this.#course.phase === "closed") return;
    this.#take(event, now);
    this.#pump(now);
  }

  /** The next effect in order, or undefined. */
  poll(): SessionEffect | undefined {
    return this.#course.poll();
  }

  #take(event: SessionEvent, now: Instant): void {
    switch (event.type) {
      case "opened":
        return this.#opened(event.device, now);
      case "upstream":
        this.#heard(now);
        return this.#upstream(event.message, now);
      case "malformed":
        this.#heard(now);
        return this.#malformed(event.status, event.text);
      case "activity":
        return this.#heard(now);
      case "stored":
        return this.#outbox.stored(event.message, event.replacedId, now);
      case "ephemeral":
        if (this.#course.phase === "open") this.#outbox.ephemeral(event.message, now);
        return;
      case "withdrawn":
        return this.#outbox.withdrawn(event.id);
      case "revoked":
        this.#outbox.channelEnded(event.channel);
        this.#revocations.set(event.channel, { reason: event.reason, sentMs: Number.NEGATIVE_INFINITY });
        return this.#sendRevocations(now);
      case "loaded":
        return this.#outbox.loaded(event.messages, event.complete, now);
      case "missed":
        return this.#outbox.missed();
      case "loadFailed":
        return this.#goodbye("overload", this.#settings.reconnectSpreadS);
      case "acked":
        return this.#acked(event.operationId, event.isRemoved);
      case "registered":
        return this.#answerRegister(event);
      case "unregistered":
        return this.#answerUnregister(event.operationId, event.status);
      case "forgotten":
        return this.#answerForget(event.operationId, event.status);
      case "congested":
        return this.#outbox.setCongested(event.isCongested);
      case "alarm":
        return this.#alarm(now);
      case "goodbye":
        return this.#goodbye(event.reason, event.retryAfterS);
      case "linkClosed":
        this.#course.go("linkClosed");
    }
  }

  /** After each event: load what may go, answer GetAllMessages, set the alarm. */
  #pump(now: Instant): void {
    if (this.#course.phase !== "open") return;
    const load = this.#outbox.nextLoad(now);
    if (load !== null) this.#course.want({ type: "load", ...load });
    if (this.#outbox.isDrained()) {
      for (const ref of this.#drains.splice(0)) this.#course.send({ type: "drained", ref });
    }
    this.#arm(now);
  }

  #opened(device: DeviceSnapshot, now: Instant): void {
    if (!this.#course.go("opened")) return;
    const { storeEpoch, reconnectSpreadS, canary } = this.#settings;
    const live = device.channels.filter(({ revoked }) => revoked === null).map(({ channel }) => channel);
    const isKnown = this.#channelsDigest !== null && bytesEqual(channelsDigest(live), this.#channelsDigest);
    this.#channelsDigest = null;
    this.#lastHeardMs = now.monotonicMs;
    this.#outbox.opened(device.lastId);
    this.#course.send({
      type: "registered",
      status: STATUS.ok,
      uaid: this.#uaid,
      freshUaToken: device.freshUaToken,
      idleLimitS: this.#idleLimitS(),
      reconnectSpreadS,
      canary,
      epochMs: now.epochMs,
      storeEpoch,
      channels: isKnown ? null : live,
      lastId: device.lastId,
    });
    for (const { channel, revoked } of device.channels) {
      if (revoked === null) continue;
      this.#revocations.set(channel, { reason: revoked, sentMs: Number.NEGATIVE_INFINITY });
    }
    this.#sendRevocations(now);
  }

  #upstream(message: Upstream, now: Instant): void {
    if (this.#course.phase !== "open") return;
    switch (message.type) {
      case "registerUa":
        return this.#malformed(STATUS.badRequest, "the link is registered already");
      case "registerWa":
        return this.#register(message);
      case "unregisterWa":
        return this.#unregister(message);
      case "unregisterUa":
        return this.#forget(message.ref);
      case "getAllMessages":
        return this.#getAllMessages(message.ref, now);
      case "ack":
        return this.#ack(message.code, message.ranges, now);
      case "hold":
        return this.#hold(message.channel);
      case "resume":
        return this.#outbox.resume(message.channel);
      case "conditions":
        this.#conditions = message.conditions;
        return this.#outbox.setConditions(message.conditions);
      case "probe":
        return this.#course.send({ type: "probeReply", nonce: message.nonce });
    }
  }

  #register(message: Extract<Upstream, { type: "registerWa" }>): void {
    const { ref, registrationId, applicationServerKey } = message;
    const operationId = this.#begin({ ref, channel: 0 });
    if (operationId === null) {
      const status = STATUS.tooMany;
      this.#course.send({
        type: "waRegistered",
        ref,
        status,
        channel: 0,
        endpoint: "",
        expirationTime: null,
      });
      return;
    }
    // The fields view the frame, which the transport may use again before the store has read them.
    this.#course.want({
      type: "register",
      operationId,
      registrationId: registrationId.slice(),
      applicationServerKey: applicationServerKey?.slice() ?? null,
    });
  }

  #unregister({ ref, channel }: Extract<Upstream, { type: "unregisterWa" }>): void {
    const operationId = this.#begin({ ref, channel });
    if (operationId === null) {
      this.#course.send({ type: "waUnregistered", ref, status: STATUS.tooMany, channel });
      return;
    }
    this.#course.want({ type: "unregister", operationId, channel });
  }

  #forget(ref: number): void {
    this.#course.go("unregisterUa");
    // Not bounded by the other requests under way: it is the last one.
    this.#operations.set(++this.#lastOperationId, { ref, channel: 0 });
    this.#course.want({ type: "forget", operationId: this.#lastOperationId });
  }

  #getAllMessages(ref: number, now: Instant): void {
    if (this.#drains.length >= DRAINS_PENDING_MAX) {
      this.#course.send({
        type: "error",
        ref,
        status: STATUS.tooMany,
        text: "too many GetAllMessages unanswered",
      });
      return;
    }
    this.#drains.push(ref);
    this.#outbox.sendAllAgain();
    for (const revocation of this.#revocations.values()) revocation.sentMs = Number.NEGATIVE_INFINITY;
    this.#sendRevocations(now);
  }

  #ack(code: AckCode, ranges: readonly IdRange[], now: Instant): void {
    const operationId = ++this.#lastOperationId;
    const { delivered } = this.#settings;
    this.#outbox.acknowledged(ranges, operationId, (receivedMs) => delivered?.(now.epochMs - receivedMs));
    this.#course.want({ type: "ack", operationId, ranges, code });
  }

  /** When the store failed, what was acknowledged is still there: a Drained would not be true. */
  #acked(operationId: number, isRemoved: boolean): void {
    this.#outbox.settled(operationId, isRemoved);
    if (isRemoved || this.#course.phase !== "open") return;
    const status = STATUS.unavailable;
    for (const ref of this.#drains.splice(0)) {
      this.#course.send({ type: "error", ref, status, text: "an acknowledgement was not stored" });
    }
  }

  #hold(channel: number): void {
    if (this.#outbox.heldCount() < SUBSCRIPTIONS_MAX) return this.#outbox.hold(channel);
    this.#course.send({ type: "error", ref: null, status: STATUS.tooMany, text: "too many channels held" });
  }

  #answerRegister(event: Extract<SessionEvent, { type: "registered" }>): void {
    const operation = this.#end(event.operationId);
    if (operation === undefined || this.#course.phase !== "open") return;
    const { status, channel, endpoint } = event;
    const { ref } = operation;
    this.#course.send({ type: "waRegistered", ref, status, channel, endpoint, expirationTime: null });
  }

  #answerUnregister(operationId: number, status: Status): void {
    const operation = this.#end(operationId);
    if (operation === undefined) return;
    const { ref, channel } = operation;
    if (status !== STATUS.unavailable) {
      this.#revocations.delete(channel);
      this.#outbox.channelEnded(channel);
    }
    if (this.#course.phase === "open") this.#course.send({ type: "waUnregistered", ref, status, channel });
  }

  #answerForget(operationId: number, status: Status): void {
    const operation = this.#end(operationId);
    if (operation === undefined) return;
    if (status === STATUS.ok) {
      this.#bye("unregistered", 0);
      this.#course.go("forgotten");
      return;
    }
    this.#course.go("forgetFailed");
    this.#course.send({ type: "error", ref: operation.ref, status, text: "the device is still registered" });
  }

  /** An unknown type comes from a newer device and does no harm; anything else unreadable counts. */
  #malformed(status: Status, text: string): void {
    if (this.#course.phase !== "open") return;
    this.#course.send({ type: "error", ref: null, status, text });
    if (status === STATUS.unknownType) return;
    if (++this.#errors >= ERRORS_PER_LINK_MAX) this.#goodbye("protocol", this.#settings.reconnectSpreadS);
  }

  #heard(now: Instant): void {
    this.#lastHeardMs = now.monotonicMs;
    this.#outbox.traffic();
    this.#sendRevocations(now);
  }

  /** Sends each revocation that was never sent, or long ago. Called with other traffic only, so it wakes nobody. */
  #sendRevocations(now: Instant): void {
    if (this.#course.phase !== "open") return;
    for (const [channel, revocation] of this.#revocations) {
      if (now.monotonicMs < revocation.sentMs + REVOKED_REPEAT_MS) continue;
      revocation.sentMs = now.monotonicMs;
      this.#course.send({ type: "revoked", channel, reason: revocation.reason });
    }
  }

  #alarm(now: Instant): void {
    this.#course.alarmed();
    if (this.#course.phase !== "open") return;
    if (now.monotonicMs >= this.#idleAtMs()) return this.#goodbye("idle", 0);
    this.#outbox.alarm(now);
  }

  #goodbye(reason: ByeReason, retryAfterS: number): void {
    if (this.#course.phase !== "opening") this.#bye(reason, retryAfterS);
    else this.#course.want({ type: "close", reason });
    this.#course.go("goodbye");
  }

  #bye(reason: ByeReason, retryAfterS: number): void {
    this.#course.send({ type: "bye", reason, retryAfterS });
    this.#course.want({ type: "close", reason });
  }

  /** Wakes for what comes first. */
  #arm(now: Instant): void {
    const outboxMs = this.#outbox.nextAlarmMs(this.#drains.length > 0, now);
    this.#course.arm(Math.min(this.#idleAtMs(), outboxMs ?? Number.POSITIVE_INFINITY));
  }

  #idleAtMs(): number {
    return this.#lastHeardMs + this.#idleMs();
  }

  #idleMs(): number {
    const { heartbeatSMax = HEARTBEAT_S_MAX } = this.#settings;
    const declaredMs = Math.min(this.#conditions.heartbeatS, heartbeatSMax) * 1000;
    return (declaredMs || HEARTBEAT_DEFAULT_MS) * 1.5 + IDLE_GRACE_MS;
  }

  /** Told to the device only when it has to care: a limit below its heartbeat, or no heartbeat declared. */
  #idleLimitS(): number | null {
    const { idleLimitS } = this.#settings;
    const declaredS = this.#conditions.heartbeatS;
    const limitS = Math.min(Math.floor(this.#idleMs() / 1000), idleLimitS ?? Number.POSITIVE_INFINITY);
    return declaredS === 0 || limitS <= declaredS ? limitS : null;
  }

  #begin(operation: Operation): number | null {
    if (this.#operations.size >= SESSION_OPERATIONS_MAX) return null;
    this.#operations.set(++this.#lastOperationId, operation);
    return this.#lastOperationId;
  }

  #end(operationId: number): Operation | undefined {
    const operation = this.#operations.get(operationId);
    this.#operations.delete(operationId);
    return operation;
  }
}
