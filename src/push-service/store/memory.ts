// SPDX-License-Identifier: MIT
/**
 * The store in memory: for tests, simulation and trying things. Durable only as long as the process, so every restart is
 * a new store epoch.
 */

import { bytesEqual, hexDecode } from "../../bytes.ts";
import { GodwitError } from "../../errors.ts";
import { SUBSCRIPTIONS_MAX } from "../../limits.ts";
import type { DeviceDialect, IdRange, RevokeReason } from "../../wire/dialect.ts";
import { deviceKey } from "../device-key.ts";
import { SparseMap } from "../sparse-map.ts";
import { MessageQueue } from "./message-queue.ts";
import { DEVICE_QUOTA, deviceExpiryMs, newStoreEpoch, quotaBytes, sameKey } from "./rules.ts";
import type {
  ChannelRecord,
  DeviceQuota,
  DeviceRecord,
  Expired,
  MessagePage,
  NewMessage,
  PutResult,
  RegisterResult,
  Store,
  StoredMessage,
} from "./store.ts";
import { storedMessageOf } from "./stored-message.ts";

interface Device {
  readonly createdMs: number;
  readonly dialect: DeviceDialect;
  seenMs: number;
  tokenGeneration: number;
  lastMessageId: number;
  lastChannel: number;
  messageBytes: number;
  readonly channels: SparseMap<number, ChannelRecord>;
  readonly messages: MessageQueue;
}

export class MemoryStore implements Store {
  readonly epoch: number = newStoreEpoch();
  readonly #devices = new Map<string, Device>();
  readonly #quota: DeviceQuota;
  #isClosed = false;

  constructor(quota: DeviceQuota = DEVICE_QUOTA) {
    this.#quota = quota;
  }

  async createDevice(uaid: Uint8Array, nowMs: number, dialect: DeviceDialect = "godwit.v1"): Promise<void> {
    this.#check();
    if (this.#devices.has(deviceKey(uaid))) return;
    this.#devices.set(deviceKey(uaid), {
      createdMs: nowMs,
      dialect,
      seenMs: nowMs,
      tokenGeneration: 0,
      lastMessageId: 0,
      lastChannel: 0,
      messageBytes: 0,
      channels: new SparseMap(),
      messages: new MessageQueue(),
    });
  }

  async getDevice(uaid: Uint8Array): Promise<DeviceRecord | null> {
    const device = this.#device(uaid);
    if (device === undefined) return null;
    const { messages, createdMs, seenMs, dialect, tokenGeneration, lastMessageId, messageBytes } = device;
    const times = { createdMs, seenMs };
    return { ...times, dialect, tokenGeneration, lastMessageId, messages: messages.size, messageBytes };
  }

  async raiseTokenGeneration(uaid: Uint8Array, generation: number): Promise<void> {
    const device = this.#device(uaid);
    if (device !== undefined) device.tokenGeneration = Math.max(device.tokenGeneration, generation);
  }

  async noteSeen(uaid: Uint8Array, nowMs: number): Promise<void> {
    const device = this.#device(uaid);
    if (device !== undefined) device.seenMs = Math.max(device.seenMs, nowMs);
  }

  async removeDevice(uaid: Uint8Array): Promise<void> {
    this.#check();
    this.#devices.delete(deviceKey(uaid));
  }

  async register(
    uaid: Uint8Array,
    registrationId: Uint8Array,
    applicationServerKey: Uint8Array | null,
    nowMs: number,
  ): Promise<RegisterResult> {
    const device = this.#device(uaid);
    if (device === undefined) return { outcome: "gone" };
    const existing = findLive(device, registrationId);
    if (existing !== undefined) {
      if (!sameKey(existing.applicationServerKey, applicationServerKey)) return { outcome: "conflict" };
      return { outcome: "registered", channel: existing.channel, created: false };
    }
    if (device.channels.size >= SUBSCRIPTIONS_MAX) return { outcome: "tooMany" };
    const channel = ++device.lastChannel;
    device.channels.set(channel, {
      channel,
      registrationId: registrationId.slice(),
      applicationServerKey: applicationServerKey?.slice() ?? null,
      createdMs: nowMs,
      revoked: null,
    });
    return { outcome: "registered", channel, created: true };
  }

  async channels(uaid: Uint8Array): Promise<ChannelRecord[]> {
    return [...(this.#device(uaid)?.channels.values() ?? [])];
  }

  async getChannel(uaid: Uint8Array, channel: number): Promise<ChannelRecord | null> {
    return this.#device(uaid)?.channels.get(channel) ?? null;
  }

  async unregister(uaid: Uint8Array, channel: number): Promise<boolean> {
    const device = this.#device(uaid);
    if (device === undefined || !device.channels.has(channel)) return false;
    this.#endChannel(device, channel);
    return device.channels.delete(channel);
  }

  async revoke(uaid: Uint8Array, channel: number, reason: RevokeReason): Promise<boolean> {
    const device = this.#device(uaid);
    const record = device?.channels.get(channel);
    if (device === undefined || record === undefined || record.revoked !== null) return false;
    this.#endChannel(device, channel);
    device.channels.set(channel, { ...record, revoked: reason });
    return true;
  }

  async putMessage(uaid: Uint8Array, channel: number, message: NewMessage): Promise<PutResult> {
    const device = this.#device(uaid);
    const record = device?.channels.get(channel);
    if (device === undefined || record === undefined || record.revoked !== null) return { outcome: "gone" };
    if (message.ttlS === 0) return { outcome: "stored", id: ++device.lastMessageId, replacedId: null };
    const replaced = message.topic === null ? undefined : findTopic(device, channel, message.topic);
    if (!this.#makeRoom(device, message, replaced)) return { outcome: "quota" };
    if (replaced !== undefined) remove(device, replaced);
    const id = ++device.lastMessageId;
    device.messageBytes += quotaBytes(message);
    const body = message.body?.slice() ?? null;
    device.messages.add(storedMessageOf({ ...message, body }, channel, id));
    return { outcome: "stored", id, replacedId: replaced?.id ?? null };
  }

  async messages(
    uaid: Uint8Array,
    query: { readonly afterId: number; readonly limit: number; readonly nowMs: number },
  ): Promise<MessagePage> {
    const found: StoredMessage[] = [];
    for (const message of this.#device(uaid)?.messages.range(query.afterId + 1) ?? []) {
      if (message.expiresMs <= query.nowMs) continue;
      if (found.length === query.limit) return { messages: found, complete: false };
      found.push(message);
    }
    return { messages: found, complete: true };
  }

  async ack(uaid: Uint8Array, ranges: readonly IdRange[]): Promise<number> {
    const device = this.#device(uaid);
    if (device === undefined) return 0;
    let removed = 0;
    for (const [first, last] of ranges) {
      for (const message of device.messages.range(first, last)) {
        remove(device, message);
        removed++;
      }
    }
    return removed;
  }

  async withdraw(uaid: Uint8Array, channel: number, id: number): Promise<boolean> {
    const device = this.#device(uaid);
    const message = device?.messages.get(id);
    if (device === undefined || message?.channel !== channel) return false;
    remove(device, message);
    return true;
  }

  async countMessages(): Promise<number> {
    let count = 0;
    for (const device of this.#devices.values()) count += device.messages.size;
    return count;
  }

  async countDevices(): Promise<number> {
    this.#check();
    return this.#devices.size;
  }

  async expire(nowMs: number): Promise<Expired> {
    this.#check();
    let messages = 0;
    const devices: Uint8Array[] = [];
    for (const [uaid, device] of this.#devices) {
      messages += expireMessages(device, nowMs);
      if (deviceExpiryMs(device, device.lastChannel > 0) > nowMs) continue;
      this.#devices.delete(uaid);
      devices.push(hexDecode(uaid) ?? new Uint8Array(0));
    }
    return { messages, devices };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #endChannel(device: Device, channel: number): void {
    for (const message of device.messages.range()) {
      if (message.channel === channel) remove(device, message);
    }
  }

  /** True when `message` fits, `replaced` gone. Drops the device's expired messages first when it would not. */
  #makeRoom(device: Device, message: NewMessage, replaced: StoredMessage | undefined): boolean {
    const fits = () => {
      const freed = replaced !== undefined && device.messages.get(replaced.id) !== undefined;
      const count = device.messages.size + 1 - (freed ? 1 : 0);
      const bytes = device.messageBytes + quotaBytes(message) - (freed ? quotaBytes(replaced) : 0);
      return count <= this.#quota.messagesMax && bytes <= this.#quota.messageBytesMax;
    };
    if (fits()) return true;
    expireMessages(device, message.receivedMs);
    return fits();
  }

  #device(uaid: Uint8Array): Device | undefined {
    this.#check();
    return this.#devices.get(deviceKey(uaid));
  }

  #check(): void {
    if (this.#isClosed) throw new GodwitError("ERR_STORE_CLOSED", "the store is closed");
  }
}

/** The channel that `registrationId` has, unless it was revoked. */
function findLive(device: Device, registrationId: Uint8Array): ChannelRecord | undefined {
  for (const record of device.channels.values())
    if (record.revoked === null && bytesEqual(record.registrationId, registrationId)) return record;
  return undefined;
}

function findTopic(device: Device, channel: number, topic: string): StoredMessage | undefined {
  for (const message of device.messages.range()) {
    if (message.channel === channel && message.topic === topic) return message;
  }
  return undefined;
}

function expireMessages(device: Device, nowMs: number): number {
  const expired = [...device.messages.range()].filter((message) => message.expiresMs <= nowMs);
  for (const message of expired) remove(device, message);
  return expired.length;
}

function remove(device: Device, message: StoredMessage): void {
  if (device.messages.remove(message.id)) device.messageBytes -= quotaBytes(message);
}
