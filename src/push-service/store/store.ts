// SPDX-License-Identifier: MIT
/**
 * The store of the push service as a port: devices, their channels and their messages. Types only;
 * `memory.ts` and `lmdb.ts` implement it and one contract suite checks both.
 */

import type { AesgcmHeaders, DeviceDialect, IdRange, RevokeReason, Urgency } from "../../wire/dialect.ts";
import type { Fleet } from "../fleet.ts";
import type { Hub } from "../hub.ts";
import type { Log } from "../log.ts";

/** What one device may have stored, expired messages not counted. A store is opened with it, or with `DEVICE_QUOTA`. */
export interface DeviceQuota {
  readonly messagesMax: number;
  /** Bodies, their headers in `aesgcm`, and `STORED_MESSAGE_OVERHEAD_BYTES` each. */
  readonly messageBytesMax: number;
}

/** What the store knows of one device beside its channels and messages. */
export interface DeviceRecord {
  /** ms since 1970. */
  readonly createdMs: number;
  readonly dialect: DeviceDialect;
  /** ms since 1970: when it was last noted that it was there, its creation at first. */
  readonly seenMs: number;
  /** uaTokens of a lower generation are refused. */
  readonly tokenGeneration: number;
  /** The id given last; 0 before the first. Ids rise, and are never given twice within a store epoch. */
  readonly lastMessageId: number;
  /** Messages stored, expired ones not yet swept included. */
  readonly messages: number;
  /** Bytes they count against the device's quota. */
  readonly messageBytes: number;
}

/** One registration. A revoked one stays, without messages, until its device acknowledged that by unregistering it. */
export interface ChannelRecord {
  /** From 1, ascending, never reused on this device. */
  readonly channel: number;
  /** 16 bytes. */
  readonly registrationId: Uint8Array;
  /** 65 bytes, or null when anybody may publish. */
  readonly applicationServerKey: Uint8Array | null;
  /** ms since 1970. */
  readonly createdMs: number;
  readonly revoked: RevokeReason | null;
}

/** A message as POSTed. */
export interface NewMessage {
  /** 0 gets an id, but nothing is stored. */
  readonly ttlS: number;
  readonly urgency: Urgency;
  readonly topic: string | null;
  readonly saysNotification: boolean;
  /** Encrypted, borrowed for the call; null for none. */
  readonly body: Uint8Array | null;
  /** Absent when the body is in the `aes128gcm` coding, or there is none. */
  readonly aesgcm?: AesgcmHeaders;
  /** ms since 1970. */
  readonly receivedMs: number;
}

/** A message as handed to a session; `body` is the caller's to keep. */
export interface StoredMessage {
  readonly id: number;
  readonly channel: number;
  /** ms since 1970. */
  readonly receivedMs: number;
  /** ms since 1970; from then on it is never delivered. */
  readonly expiresMs: number;
  readonly urgency: Urgency;
  readonly topic: string | null;
  readonly saysNotification: boolean;
  readonly body: Uint8Array | null;
  readonly aesgcm?: AesgcmHeaders;
  /** True when an earlier run of the service stored it: nobody remembers whether that run sent it. */
  readonly mayHaveBeenSent: boolean;
}

export interface MessagePage {
  /** Ascending ids. */
  readonly messages: readonly StoredMessage[];
  /** True when nothing lay behind the last one when this was read. */
  readonly complete: boolean;
}

export type RegisterResult =
  | {
      readonly outcome: "registered";
      readonly channel: number;
      /** False when it was there already. */
      readonly created: boolean;
    }
  /** The same registration id has another key. */
  | { readonly outcome: "conflict" }
  /** The device has `SUBSCRIPTIONS_MAX` channels. */
  | { readonly outcome: "tooMany" }
  /** No such device. */
  | { readonly outcome: "gone" };

export type PutResult =
  | {
      readonly outcome: "stored";
      readonly id: number;
      /** The message of the same topic that this one took the place of. */
      readonly replacedId: number | null;
    }
  /** The device's messages are at a bound even without the expired ones. */
  | { readonly outcome: "quota" }
  /** No such device or channel, or the channel was revoked. */
  | { readonly outcome: "gone" };

/** What a sweep removed. */
export interface Expired {
  readonly messages: number;
  /** uaids of the devices forgotten. */
  readonly devices: readonly Uint8Array[];
}

/**
 * Every promise of a writing member resolves only when its effect survives a power cut, and each call takes effect as a
 * whole or not at all. Byte arguments are borrowed until the promise settles. A rejected promise (GodwitError ERR_STORE,
 * ERR_STORE_CLOSED) means that nothing was changed, where the store is in this process; one that is elsewhere may have
 * changed it and lost the answer, so whoever repeats a message puts it twice.
 */
export interface Store {
  /** Random, below 2^53, made with the store: message ids are comparable only while it stays the same. */
  readonly epoch: number;

  /** Adds a device with token generation 0. `uaid`, here and below: 16 bytes. Default dialect: `godwit.v1`. */
  createDevice(uaid: Uint8Array, nowMs: number, dialect?: DeviceDialect): Promise<void>;
  getDevice(uaid: Uint8Array): Promise<DeviceRecord | null>;
  /** Raises the accepted token generation; never lowers it. */
  raiseTokenGeneration(uaid: Uint8Array, generation: number): Promise<void>;
  /** Notes that the device was there at `nowMs`; an earlier time than the one noted changes nothing. */
  noteSeen(uaid: Uint8Array, nowMs: number): Promise<void>;
  /** Forgets the device, its channels and its messages. */
  removeDevice(uaid: Uint8Array): Promise<void>;

  /** Idempotent: the same registration id and key find the same channel. */
  register(
    uaid: Uint8Array,
    registrationId: Uint8Array,
    applicationServerKey: Uint8Array | null,
    nowMs: number,
  ): Promise<RegisterResult>;
  /** All channels ascending, the revoked ones included. */
  channels(uaid: Uint8Array): Promise<ChannelRecord[]>;
  getChannel(uaid: Uint8Array, channel: number): Promise<ChannelRecord | null>;
  /** Removes the channel and its messages; true when it was there. Also acknowledges a revocation. */
  unregister(uaid: Uint8Array, channel: number): Promise<boolean>;
  /** Marks the channel, removes its messages and frees its registration id; true when it was there and live. */
  revoke(uaid: Uint8Array, channel: number, reason: RevokeReason): Promise<boolean>;

  putMessage(uaid: Uint8Array, channel: number, message: NewMessage): Promise<PutResult>;
  /** At most `limit` unexpired messages with an id above `afterId`. */
  messages(
    uaid: Uint8Array,
    query: { readonly afterId: number; readonly limit: number; readonly nowMs: number },
  ): Promise<MessagePage>;
  /** Removes the messages named; ids that are not there do no harm. Resolves to how many were removed. */
  ack(uaid: Uint8Array, ranges: readonly IdRange[]): Promise<number>;
  /** Removes one message of one channel; true when it was there. */
  withdraw(uaid: Uint8Array, channel: number, id: number): Promise<boolean>;

  /** Messages stored over all devices, expired ones that were not removed yet included. */
  countMessages(): Promise<number>;
  countDevices(): Promise<number>;

  /**
   * Removes expired messages, devices that registered nothing within `DEVICE_UNUSED_MS_MAX`, and devices not seen for
   * `DEVICE_UNSEEN_MS_MAX`, whose messages are not counted.
   */
  expire(nowMs: number): Promise<Expired>;
  /**
   * Makes this process a node of the push service, where a store has more than one. `hub`: whose sessions hear of what other
   * nodes store.
   */
  join?(hub: Hub, log: Log): Promise<Fleet>;
  /** Waits for what is under way, then lets go of files. Everything after it is rejected. */
  close(): Promise<void>;
}
