// SPDX-License-Identifier: MIT
/**
 * The device's end of dialect `autopush`: the agent's messages as Mozilla's push service knows them. It remembers what one side's
 * words need of the other's: who asked for what, and how a message is called in an acknowledgement. Pure.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { utf8Decode, utf8Encode } from "../bytes.ts";
import { AUTOPUSH_UNACKNOWLEDGED_MAX, AUTOPUSH_UPDATES_MAX, TTL_S_MAX } from "../limits.ts";
import { base64urlEncode } from "../webpush/base64url.ts";
import {
  AUTOPUSH_ACK,
  AUTOPUSH_SUBPROTOCOL,
  type AutopushDownstream,
  type AutopushUpdate,
  type AutopushUpstream,
  encodeAutopushUpstream,
  formatUuid,
  parseAutopushDownstream,
  parseUuid,
} from "./autopush.ts";
import {
  type AckCode,
  type DeviceEnd,
  type Downstream,
  type IdRange,
  type Notification,
  STATUS,
  type Status,
  type Upstream,
} from "./dialect.ts";
import { fieldError } from "./fields.ts";

/** The channels that the service knows of this device, or is still to be told about: what makes the device worth naming. */
export type KnownChannels = () => readonly number[];

type DownstreamOf<Type extends Downstream["type"]> = Extract<Downstream, { type: Type }>;
type AutopushOf<Type extends AutopushDownstream["type"]> = Extract<AutopushDownstream, { type: Type }>;

/** `code` of `unregister`: because the app or a person wanted it. */
const UNREGISTERED_BY_USER = 200;
const ACK_CODE_NUMBERS: Readonly<Record<AckCode, number>> = {
  ok: AUTOPUSH_ACK.delivered,
  undecryptable: AUTOPUSH_ACK.undecryptable,
  rejected: AUTOPUSH_ACK.undelivered,
};
/** Message ids of one uaid mean the same for as long as it lives. */
const STORE_EPOCH = 1;
const CHANNEL_BYTES = 6;
/** What follows the number in a channelID: makes it a UUID of version 8 (RFC 9562 §5.8). */
const CHANNEL_SUFFIX = [0x80, 0, 0x80, 0, 0, 0, 0, 0, 0, 0];

/** A new one for each agent, which uses it for all its links. */
export function autopushDevice(knownChannels: KnownChannels): DeviceEnd {
  const end = new AutopushDevice(knownChannels);
  return {
    name: AUTOPUSH_SUBPROTOCOL,
    isPlain: true,
    encodeUpstream: (message) =>
      end.translateUp(message).map((said) => utf8Encode(encodeAutopushUpstream(said))),
    // A Ping of the service: somebody is there, and says nothing.
    parseDownstream: (frame) =>
      frame.length === 0 ? undefined : end.translateDown(parseAutopushDownstream(utf8Decode(frame))),
  };
}

/**
 * Number of the channel of a registration: the first 48 bits of its id, which is an HMAC. Of a thousand registrations of one
 * device two share one with a chance of 2 in 10^9; the second is then refused.
 *
 * @param registrationId 16 bytes
 */
export function autopushChannel(registrationId: Uint8Array): number {
  const view = new DataView(registrationId.buffer, registrationId.byteOffset);
  return view.getUint16(0) * 2 ** 32 + view.getUint32(2);
}

/** 16 bytes: the channelID that names `channel`; so a channel that is gone from memory and journal can still be ended. */
export function autopushChannelId(channel: number): Uint8Array {
  const bytes = new Uint8Array([...new Uint8Array(CHANNEL_BYTES), ...CHANNEL_SUFFIX]);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, Math.floor(channel / 2 ** 32));
  view.setUint32(2, channel % 2 ** 32);
  return bytes;
}

/**
 * Id of a message: 53 bits of SHA-256 over its channel and version. Two among the {@link DEDUPE_IDS_MAX} handled ones that a new
 * message is compared with share one with a chance of 3 in 10^14; nobody but the service chooses versions.
 *
 * @param channelId 16 bytes
 */
export function autopushMessageId(channelId: Uint8Array, version: string): number {
  const digest = sha256.create().update(channelId).update(utf8Encode(version)).digest();
  const view = new DataView(digest.buffer, digest.byteOffset);
  return (view.getUint32(0) % 2 ** 21) * 2 ** 32 + view.getUint32(4);
}

class AutopushDevice {
  readonly #knownChannels: KnownChannels;
  /** Refs of requests that are not answered, oldest first, by what is answered and for which channel. */
  readonly #refs = new Map<string, number[]>();
  /** Of messages that are not acknowledged, by id, over all links: the oldest first. */
  readonly #unacknowledged = new Map<number, Omit<AutopushUpdate, "code">>();
  /** The hello of the present link is not answered yet. */
  #isGreeting = false;
  /** What the service was told this device is called; null when it was told nothing. */
  #presented: string | null = null;

  constructor(knownChannels: KnownChannels) {
    this.#knownChannels = knownChannels;
  }

  translateUp(message: Upstream): readonly AutopushUpstream[] {
    switch (message.type) {
      case "registerUa":
        return [this.#greet(message.uaToken)];
      case "registerWa": {
        const { ref, registrationId, applicationServerKey } = message;
        const channel = autopushChannel(registrationId);
        this.#expect("register", channel, ref);
        const key = applicationServerKey === null ? null : base64urlEncode(applicationServerKey);
        return [{ type: "register", channelId: autopushChannelId(channel), key }];
      }
      case "unregisterWa": {
        const { channel, ref } = message;
        this.#expect("unregister", channel, ref);
        const channelId = autopushChannelId(channel);
        return [{ type: "unregister", channelId, code: UNREGISTERED_BY_USER }];
      }
      case "ack":
        return this.#acknowledge(message.code, message.ranges);
      // Everything unacknowledged comes with each link anyway, and a device ends with its channels; of the rest there is nothing here.
      case "unregisterUa":
      case "getAllMessages":
      case "hold":
      case "resume":
      case "conditions":
      case "probe":
        return [];
    }
  }

  translateDown(message: AutopushDownstream): Downstream | undefined {
    switch (message.type) {
      case "hello":
        return this.#registered(message);
      case "register":
        return this.#waRegistered(message);
      case "unregister":
        return this.#waUnregistered(message);
      case "notification":
        return this.#notification(message);
      case "broadcast":
      case "ping":
        return undefined;
    }
  }

  /** A link begins. A service that has nothing of this device is not told its name, and gives it another. */
  #greet(uaToken: string): AutopushUpstream {
    this.#refs.clear();
    this.#isGreeting = true;
    this.#presented = this.#knownChannels().length > 0 ? uaToken || null : null;
    return { type: "hello", uaid: this.#presented, broadcasts: new Map() };
  }

  #registered({ status, uaid, usesWebPush }: AutopushOf<"hello">): DownstreamOf<"registered"> {
    if (!this.#isGreeting) throw fieldError("messageType", "hello once in a link");
    this.#isGreeting = false;
    if (status !== STATUS.ok) throw fieldError("status", "200 in hello");
    if (!usesWebPush) throw fieldError("use_webpush", "true");
    return {
      type: "registered",
      status: STATUS.ok,
      uaid: uaidBytes(uaid),
      freshUaToken: uaid === this.#presented ? null : uaid,
      idleLimitS: null,
      reconnectSpreadS: 0,
      canary: null,
      epochMs: 0,
      storeEpoch: STORE_EPOCH,
      channels: null,
      lastId: 0,
    };
  }

  #waRegistered({ channelId, status, pushEndpoint }: AutopushOf<"register">): Downstream | undefined {
    const channel = channelOf(channelId);
    const ref = this.#take("register", channel);
    if (ref === undefined) return undefined;
    return {
      type: "waRegistered",
      ref,
      status: statusOf(status),
      channel,
      endpoint: pushEndpoint,
      expirationTime: null,
    };
  }

  #waUnregistered({ channelId, status }: AutopushOf<"unregister">): Downstream | undefined {
    const channel = channelOf(channelId);
    const ref = this.#take("unregister", channel);
    if (ref === undefined) return undefined;
    return { type: "waUnregistered", ref, status: statusOf(status), channel };
  }

  #notification({ channelId, version, data, headers }: AutopushOf<"notification">): Notification {
    const id = autopushMessageId(channelId, version);
    // Behind the others: it was just sent again.
    this.#unacknowledged.delete(id);
    this.#unacknowledged.set(id, { channelId, version });
    for (const oldest of this.#unacknowledged.keys()) {
      if (this.#unacknowledged.size <= AUTOPUSH_UNACKNOWLEDGED_MAX) break;
      this.#unacknowledged.delete(oldest);
    }
    const { encryption, cryptoKey } = headers ?? { encryption: null, cryptoKey: null };
    return {
      type: "notification",
      id,
      attempt: 1,
      channel: channelOf(channelId),
      ttlLeftS: TTL_S_MAX,
      urgency: "normal",
      saysNotification: false,
      topic: null,
      body: data,
      // Without its headers a message in that coding cannot be read, which is for decryption to say.
      ...(headers?.encoding === "aesgcm"
        ? { aesgcm: { encryption: encryption ?? "", cryptoKey: cryptoKey ?? "" } }
        : {}),
    };
  }

  /** An id that is not known was sent by an earlier run of ours, or too long ago: its message comes again, and is acknowledged then. */
  #acknowledge(code: AckCode, ranges: readonly IdRange[]): AutopushUpstream[] {
    const updates: AutopushUpdate[] = [];
    for (const [first, last] of ranges) {
      for (let id = first; id <= last; id++) {
        const update = this.#unacknowledged.get(id);
        if (update !== undefined) updates.push({ ...update, code: ACK_CODE_NUMBERS[code] });
        this.#unacknowledged.delete(id);
      }
    }
    const acks: AutopushUpstream[] = [];
    for (let at = 0; at < updates.length; at += AUTOPUSH_UPDATES_MAX)
      acks.push({ type: "ack", updates: updates.slice(at, at + AUTOPUSH_UPDATES_MAX) });
    return acks;
  }

  #expect(what: "register" | "unregister", channel: number, ref: number): void {
    const key = `${what} ${channel}`;
    this.#refs.set(key, [...(this.#refs.get(key) ?? []), ref]);
  }

  /** The request that is answered; undefined when nobody asked. */
  #take(what: "register" | "unregister", channel: number): number | undefined {
    const key = `${what} ${channel}`;
    const [ref, ...others] = this.#refs.get(key) ?? [];
    if (others.length > 0) this.#refs.set(key, others);
    else this.#refs.delete(key);
    return ref;
  }
}

/** Channel 0, which is nobody's, for a channelID that is none of ours. */
function channelOf(channelId: Uint8Array): number {
  const channel = autopushChannel(channelId);
  return formatUuid(autopushChannelId(channel)) === formatUuid(channelId) ? channel : 0;
}

/** 16 bytes that name the device here. The service's uaid is a UUID, but need not be. */
function uaidBytes(uaid: string): Uint8Array {
  return parseUuid(uaid) ?? sha256(utf8Encode(uaid)).slice(0, 16);
}

/** What the service could not do just now is asked again; any other refusal stands. */
function statusOf(status: number): Status {
  if (status >= 500) return STATUS.unavailable;
  return Object.values(STATUS).find((known) => known === status) ?? STATUS.badRequest;
}
