// SPDX-License-Identifier: MIT
/**
 * One connected device of dialect autopush as the push service sees it, from its `hello` on: events and times in, effects out,
 * like session.ts. Speaks in the messages of wire/autopush.ts, knows no transport, reads no clock, awaits nothing. Pure.
 */

import { hexEncode } from "../bytes.ts";
import {
  AUTOPUSH_APP_PING_MS_MIN,
  AUTOPUSH_PING_MS,
  AUTOPUSH_PONG_TIMEOUT_MS,
  AUTOPUSH_UNACKNOWLEDGED_MAX,
  SESSION_OPERATIONS_MAX,
} from "../limits.ts";
import { base64urlDecodeLenient } from "../webpush/base64url.ts";
import {
  AUTOPUSH_ACK,
  type AutopushDownstream,
  type AutopushHeaders,
  type AutopushUpdate,
  type AutopushUpstream,
  type BroadcastNews,
  type Broadcasts,
} from "../wire/autopush.ts";
import { ACK_CODES, type AckCode, type ByeReason, STATUS, type Status } from "../wire/dialect.ts";
import { deviceEpoch } from "../wire/digest.ts";
import { AutopushOutbox } from "./autopush-outbox.ts";
import type { Instant } from "./outbox.ts";
import { SessionCourse } from "./session-course.ts";
import type {
  Delivered,
  DeviceSession,
  DeviceSnapshot,
  Phase,
  SessionEffect,
  SessionEvent,
} from "./session-events.ts";
import type { StoredMessage } from "./store/store.ts";

export interface AutopushSessionOptions {
  /** 16 bytes. */
  readonly uaid: Uint8Array;
  readonly storeEpoch: number;
  /** What the device's `hello` asked for. */
  readonly broadcasts: Broadcasts;
  readonly delivered?: Delivered;
}

/** A registration to be made or ended. `channelId` is null when the device is not to hear of it. */
interface Request {
  readonly type: "register" | "unregister";
  readonly channelId: Uint8Array | null;
  readonly key: Uint8Array | null;
  /** Of a revoked one; else it is looked up when its turn comes. */
  readonly channel: number | null;
}

const APPLICATION_SERVER_KEY_BYTES = 65;
/** An uncompressed point (SEC 1 §2.3.3). */
const POINT_FORM_UNCOMPRESSED = 4;

/** One device link. Drain {@link poll} after every {@link handle}. */
export class AutopushSession implements DeviceSession<AutopushUpstream, AutopushDownstream> {
  readonly #course = new SessionCourse<AutopushDownstream>();
  readonly #uaid: Uint8Array;
  readonly #delivered: Delivered | undefined;
  /** Until `hello` is answered: they may be large, and the link lives long. */
  #helloBroadcasts: Broadcasts | null;
  readonly #outbox: AutopushOutbox;
  readonly #versions: Versions;
  /** By hex of the channelID, the revoked ones included. */
  readonly #channels = new Map<string, number>();
  /** 16 bytes each. */
  readonly #channelIds = new Map<number, Uint8Array>();
  /** The first one is at the store: one at a time, so that none overtakes another of the same channelID. */
  readonly #requests: Request[] = [];
  #lastOperationId = 0;
  #lastHeardMs = 0;
  #pingSentMs: number | null = null;
  #earlierAcksLeft = AUTOPUSH_UNACKNOWLEDGED_MAX;
  #appPingMs = Number.NEGATIVE_INFINITY;

  constructor(options: AutopushSessionOptions) {
    this.#uaid = options.uaid;
    this.#delivered = options.delivered;
    this.#helloBroadcasts = options.broadcasts;
    this.#versions = new Versions(options.uaid, options.storeEpoch);
    this.#outbox = new AutopushOutbox((message) => this.#notify(message));
  }

  get phase(): Phase {
    return this.#course.phase;
  }

  /** Takes one event; what follows from it is handed out by {@link poll}. Never throws. */
  handle(event: SessionEvent<AutopushUpstream>, now: Instant): void {
    if (this.#course.phase === "closed") return;
    this.#take(event, now);
    this.#pump(now);
  }

  /** The next effect in order, or undefined. */
  poll(): SessionEffect<AutopushDownstream> | undefined {
    return this.#course.poll();
  }

  #take(event: SessionEvent<AutopushUpstream>, now: Instant): void {
    switch (event.type) {
      case "opened":
        return this.#opened(event.device, now);
      case "upstream":
        this.#heard(now);
        if (this.#course.phase === "open") this.#upstream(event.message, now);
        return;
      case "activity":
        return this.#heard(now);
      case "stored":
        if (this.#course.phase !== "open") return this.#outbox.later(event.message.id);
        return this.#outbox.stored(event.message, event.replacedId, now);
      case "ephemeral":
        if (this.#course.phase === "open") this.#outbox.ephemeral(event.message, now);
        return;
      case "withdrawn":
        return this.#outbox.withdrawn(event.id);
      case "revoked":
        return this.#revoked(event.channel);
      case "missed":
        return this.#outbox.later(1);
      case "loaded":
        return this.#outbox.loaded(event.messages, event.complete, now);
      case "acked":
        if (event.isRemoved) return this.#outbox.settled(event.operationId);
        return this.#goodbye("overload");
      case "registered":
        return this.#answerRegister(event);
      case "unregistered":
        return this.#answerUnregister(event.status);
      case "congested":
        return this.#outbox.setCongested(event.isCongested);
      case "alarm":
        return this.#alarm(now);
      case "loadFailed":
        return this.#goodbye("overload");
      case "malformed":
        return this.#goodbye("protocol");
      case "goodbye":
        return this.#goodbye(event.reason);
      case "linkClosed":
        this.#course.go("linkClosed");
    }
  }

  /** After each event: load what may go, set the alarm. */
  #pump(now: Instant): void {
    if (this.#course.phase !== "open") return;
    const load = this.#outbox.nextLoad(now);
    if (load !== null) this.#course.want({ type: "load", ...load });
    this.#arm(now);
  }

  #opened(device: DeviceSnapshot, now: Instant): void {
    if (!this.#course.go("opened")) return;
    this.#lastHeardMs = now.monotonicMs;
    for (const { channel, registrationId, revoked } of device.channels) {
      this.#know(channel, registrationId);
      if (revoked !== null) this.#revoked(channel);
    }
    this.#course.send({
      type: "hello",
      status: STATUS.ok,
      uaid: hexEncode(this.#uaid),
      usesWebPush: true,
      broadcasts: newsOf(this.#helloBroadcasts ?? new Map()),
    });
    this.#helloBroadcasts = null;
    if (device.lastId > 0) this.#outbox.begin(device.lastId);
  }

  #upstream(message: AutopushUpstream, now: Instant): void {
    switch (message.type) {
      case "hello":
        return this.#goodbye("protocol");
      case "register":
        return this.#register(message.channelId, message.key);
      case "unregister":
        return this.#ask({ type: "unregister", channelId: message.channelId, key: null, channel: null });
      case "broadcast_subscribe":
        if (message.broadcasts.size > 0) {
          this.#course.send({ type: "broadcast", broadcasts: newsOf(message.broadcasts) });
        }
        return;
      case "ack":
        return this.#ack(message.updates, now);
      case "nack":
        // An app failed with a message it had; sending it again would make it no better.
        return;
      case "ping":
        return this.#appPing(now);
    }
  }

  #register(channelId: Uint8Array, keyText: string | null): void {
    const key = keyText === null ? null : keyOf(keyText);
    if (key === undefined) {
      const pushEndpoint = "Failed to generate endpoint";
      this.#course.send({ type: "register", channelId, status: STATUS.badRequest, pushEndpoint });
      return;
    }
    this.#ask({ type: "register", channelId, key, channel: null });
  }

  #ask(request: Request): void {
    if (this.#requests.length >= SESSION_OPERATIONS_MAX) return this.#answer(request, STATUS.unavailable);
    this.#requests.push(request);
    if (this.#requests.length === 1) this.#beginRequest();
  }

  /** Hands the first request that needs the store to it. */
  #beginRequest(): void {
    for (let request = this.#requests[0]; request !== undefined; request = this.#requests[0]) {
      const operationId = ++this.#lastOperationId;
      const { type, channelId, key } = request;
      if (type === "register" && channelId !== null) {
        const registrationId = channelId;
        this.#course.want({ type: "register", operationId, registrationId, applicationServerKey: key });
        return;
      }
      const channel = request.channel ?? this.#channels.get(hexEncode(channelId ?? new Uint8Array()));
      if (channel !== undefined) {
        this.#course.want({ type: "unregister", operationId, channel });
        return;
      }
      this.#requests.shift();
      this.#answer(request, STATUS.ok);
    }
  }

  #answerRegister({ status, channel, endpoint }: Extract<SessionEvent, { type: "registered" }>): void {
    const request = this.#requests.shift();
    if (request === undefined || this.#course.phase !== "open") return;
    // The device is forgotten: with its next hello it is a new one.
    if (status === STATUS.gone) return this.#goodbye("unregistered");
    if (status === STATUS.ok && request.channelId !== null) this.#know(channel, request.channelId);
    this.#answer(request, status, endpoint);
    this.#beginRequest();
  }

  #answerUnregister(status: Status): void {
    const request = this.#requests.shift();
    if (request === undefined || this.#course.phase !== "open") return;
    if (status !== STATUS.unavailable) this.#forgetChannel(request);
    // It is gone, whether it was there or not.
    this.#answer(request, status === STATUS.unavailable ? status : STATUS.ok);
    this.#beginRequest();
  }

  /** What is not fine is 500 to a device, but for another key under the same channelID. */
  #answer({ type, channelId }: Request, outcome: Status, endpoint = ""): void {
    if (channelId === null) return;
    const isPlain = outcome === STATUS.ok || outcome === STATUS.conflict;
    const status = isPlain ? outcome : 500;
    if (type === "unregister") this.#course.send({ type, channelId, status });
    else this.#course.send({ type, channelId, status, pushEndpoint: endpoint });
  }

  /** No message of this dialect says it: the record that waits for the device's word goes, and senders go on getting 410. */
  #revoked(channel: number): void {
    this.#outbox.channelEnded(channel);
    if (this.#course.phase === "open") this.#ask({ type: "unregister", channelId: null, key: null, channel });
  }

  #forgetChannel({ channel, channelId }: Request): void {
    const ended = channel ?? this.#channels.get(hexEncode(channelId ?? new Uint8Array()));
    if (ended === undefined) return;
    const name = hexEncode(this.#channelIds.get(ended) ?? new Uint8Array());
    this.#outbox.channelEnded(ended);
    this.#channelIds.delete(ended);
    // A revoked one may have been registered anew meanwhile.
    if (this.#channels.get(name) === ended) this.#channels.delete(name);
  }

  /** Removes exactly the messages that versions of this device name; others are nobody's. */
  #ack(updates: readonly AutopushUpdate[], now: Instant): void {
    const codes = new Map<number, AckCode>();
    for (const { version, code } of updates) {
      const id = this.#versions.idOf(version);
      if (id !== null && !codes.has(id) && this.#mayAcknowledge(id)) codes.set(id, ackCode(code));
    }
    for (const code of ACK_CODES) {
      const ids = [...codes.keys()].filter((id) => codes.get(id) === code);
      if (ids.length === 0) continue;
      const operationId = ++this.#lastOperationId;
      this.#outbox.acknowledged(ids, operationId, (receivedMs) =>
        this.#delivered?.(now.epochMs - receivedMs),
      );
      this.#course.want({ type: "ack", operationId, ranges: ids.map((id) => [id, id] as const), code });
    }
  }

  /** What was sent over this link, and of an earlier one as much as a device may owe: the store is asked about each. */
  #mayAcknowledge(id: number): boolean {
    return this.#outbox.isInFlight(id) || this.#earlierAcksLeft-- > 0;
  }

  #appPing(now: Instant): void {
    if (now.monotonicMs < this.#appPingMs + AUTOPUSH_APP_PING_MS_MIN) return this.#goodbye("protocol");
    this.#appPingMs = now.monotonicMs;
    this.#course.send({ type: "ping" });
  }

  /** False for a channel that was registered over another link while this one opened: nobody has its endpoint yet. */
  #notify(message: StoredMessage): boolean {
    const channelId = this.#channelIds.get(message.channel);
    if (channelId === undefined) return false;
    this.#course.send({
      type: "notification",
      channelId,
      version: this.#versions.of(message.id),
      data: message.body,
      headers: headersOf(message),
    });
    return true;
  }

  #heard(now: Instant): void {
    this.#lastHeardMs = now.monotonicMs;
    this.#pingSentMs = null;
  }

  #alarm(now: Instant): void {
    this.#course.alarmed();
    if (this.#course.phase !== "open") return;
    const isUnanswered =
      this.#pingSentMs !== null && now.monotonicMs >= this.#pingSentMs + AUTOPUSH_PONG_TIMEOUT_MS;
    if (isUnanswered) return this.#goodbye("idle");
    this.#outbox.alarm(now);
    if (this.#pingSentMs !== null || now.monotonicMs < this.#lastHeardMs + AUTOPUSH_PING_MS) return;
    this.#pingSentMs = now.monotonicMs;
    this.#course.want({ type: "ping" });
  }

  /** Wakes for what comes first. */
  #arm(now: Instant): void {
    const lifeMs =
      this.#pingSentMs === null
        ? this.#lastHeardMs + AUTOPUSH_PING_MS
        : this.#pingSentMs + AUTOPUSH_PONG_TIMEOUT_MS;
    this.#course.arm(Math.min(lifeMs, this.#outbox.nextAlarmMs(now) ?? Number.POSITIVE_INFINITY));
  }

  #goodbye(reason: ByeReason): void {
    this.#course.want({ type: "close", reason });
    this.#course.go("goodbye");
  }

  #know(channel: number, channelId: Uint8Array): void {
    this.#channels.set(hexEncode(channelId), channel);
    this.#channelIds.set(channel, channelId);
  }
}

/** Names of messages: of this device in this store and of no other, whatever ids those give. */
class Versions {
  readonly #prefix: string;

  constructor(uaid: Uint8Array, storeEpoch: number) {
    this.#prefix = `${deviceEpoch(uaid, storeEpoch).toString(36)}.`;
  }

  of(id: number): string {
    return this.#prefix + id.toString(36);
  }

  /** The id, or null for a version that this device was never given. */
  idOf(version: string): number | null {
    if (!version.startsWith(this.#prefix)) return null;
    const id = Number.parseInt(version.slice(this.#prefix.length), 36);
    return Number.isSafeInteger(id) && id > 0 && this.of(id) === version ? id : null;
  }
}

/** There are no broadcasts here. */
function newsOf(wanted: Broadcasts): BroadcastNews {
  const errors = new Map([...wanted.keys()].map((id) => [id, "Broadcast not found"]));
  return { versions: new Map(), errors };
}

/** 65 bytes, or undefined when the text is no key. */
function keyOf(text: string): Uint8Array | undefined {
  try {
    const key = base64urlDecodeLenient(text);
    const isPoint = key.length === APPLICATION_SERVER_KEY_BYTES && key[0] === POINT_FORM_UNCOMPRESSED;
    return isPoint ? key : undefined;
  } catch {
    return undefined;
  }
}

function ackCode(code: number | null): AckCode {
  if (code === AUTOPUSH_ACK.undecryptable) return "undecryptable";
  return code === AUTOPUSH_ACK.undelivered ? "rejected" : "ok";
}

function headersOf({ body, aesgcm }: StoredMessage): AutopushHeaders | null {
  if (body === null) return null;
  if (aesgcm === undefined) return { encoding: "aes128gcm", encryption: null, cryptoKey: null };
  const { encryption, cryptoKey } = aesgcm;
  return {
    encoding: "aesgcm",
    encryption: plainHeader(encryption),
    // A sender may leave it out; the device then says that it cannot read the message.
    cryptoKey: cryptoKey === "" ? null : plainHeader(cryptoKey),
  };
}

/** Without quote marks and base64 padding, which user agents do not expect. */
function plainHeader(header: string): string {
  return header.replaceAll('"', "").replace(/=+(?=[ \t]*(?:[;,]|$))/g, "");
}
