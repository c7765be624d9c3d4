// SPDX-License-Identifier: MIT
/**
 * The store on disk: LMDB, one process, one directory, locked. Every write is part of a flushed group commit before its
 * promise resolves.
 */

import { chmodSync } from "node:fs";
import { open, type RootDatabase } from "lmdb";
import { GodwitError } from "../../errors.ts";
import { DEVICES_LOOKED_AT_MAX, EXPIRE_BATCH_MAX, ID_MAX, SUBSCRIPTIONS_MAX } from "../../limits.ts";
import type { Unlock } from "../../user-agent/directory-lock.ts";
import type { DeviceDialect, IdRange, RevokeReason } from "../../wire/dialect.ts";
import { GroupCommit } from "./group-commit.ts";
import { LmdbDevices } from "./lmdb-devices.ts";
import * as keys from "./lmdb-keys.ts";
import { lockStore } from "./lmdb-lock.ts";
import { makeDataFile } from "./lmdb-new.ts";
import * as records from "./lmdb-records.ts";
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

export interface LmdbStoreOptions {
  /** Made with mode 0700 when it is not there. */
  readonly directory: string;
  /** Refuse to write with less free disk; default `STORE_FREE_BYTES_MIN`. */
  readonly freeBytesMin?: number;
  readonly quota?: DeviceQuota;
}

type Database = RootDatabase<unknown, Uint8Array>;

/**
 * Opens or creates the store in `directory`.
 *
 * @throws {GodwitError} ERR_JOURNAL_IN_USE another process has it open
 * @throws {GodwitError} ERR_STORE it holds another format
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const unlock = await lockStore(options.directory);
  return openLocked(options, unlock).catch(async (error: unknown) => {
    await unlock();
    throw error;
  });
}

async function openLocked(options: LmdbStoreOptions, unlock: Unlock): Promise<Store> {
  await makeDataFile(options.directory, (directory) => openMade({ ...options, directory }, async () => {}));
  return openMade(options, unlock);
}

async function openMade(options: LmdbStoreOptions, unlock: Unlock): Promise<Store> {
  const database: Database = open({
    path: options.directory,
    noSubdir: false,
    encoding: "msgpack",
    keyEncoding: "binary",
    // With it a transaction returns before its flush; the group commit relies on the opposite.
    overlappingSync: false,
    cache: false,
  });
  chmodSync(options.directory, 0o700);
  const meta = database.get(keys.metaKey()) as records.MetaValue | undefined;
  if (meta !== undefined && meta[0] !== records.FORMAT_VERSION) {
    await database.close();
    throw new GodwitError("ERR_STORE", `store format ${meta[0]} is not ${records.FORMAT_VERSION}`);
  }
  const epoch = meta?.[1] ?? newStoreEpoch();
  const store = new LmdbStore(database, epoch, unlock, options);
  try {
    if (meta === undefined) await store.writeMeta();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}

class LmdbStore implements Store {
  readonly epoch: number;
  readonly #database: Database;
  readonly #group: GroupCommit;
  readonly #devices: LmdbDevices;
  readonly #quota: DeviceQuota;
  readonly #unlock: Unlock;
  /** Names this run of the service in the messages it stores. */
  readonly #instance: number = newStoreEpoch();
  #isClosed = false;

  constructor(database: Database, epoch: number, unlock: Unlock, options: LmdbStoreOptions) {
    this.#database = database;
    this.epoch = epoch;
    this.#unlock = unlock;
    this.#quota = options.quota ?? DEVICE_QUOTA;
    this.#devices = new LmdbDevices(database);
    const transactionSync = <T>(run: () => T): T => database.transactionSync(() => this.#devices.within(run));
    this.#group = new GroupCommit({ ...options, database: { transactionSync } });
  }

  /** Called once, for a new store. */
  writeMeta(): Promise<void> {
    return this.#group.run(() => {
      this.#put(keys.metaKey(), [records.FORMAT_VERSION, this.epoch]);
    });
  }

  createDevice(uaid: Uint8Array, nowMs: number, dialect: DeviceDialect = "godwit.v1"): Promise<void> {
    return this.#group.run(() => {
      if (this.#device(uaid) !== null) return;
      const times = { createdMs: nowMs, seenMs: nowMs };
      const dueMs = deviceExpiryMs(times, false);
      const state = { dialect, tokenGeneration: 0, lastMessageId: 0, lastChannel: 0 };
      this.#putDevice(uaid, { ...times, ...state, channels: 0, messages: 0, messageBytes: 0, dueMs });
      this.#put(keys.dueKey(dueMs, uaid), true);
    });
  }

  async getDevice(uaid: Uint8Array): Promise<DeviceRecord | null> {
    this.#check();
    return this.#device(uaid);
  }

  raiseTokenGeneration(uaid: Uint8Array, generation: number): Promise<void> {
    return this.#group.run(() => {
      const device = this.#device(uaid);
      if (device === null || device.tokenGeneration >= generation) return;
      this.#putDevice(uaid, { ...device, tokenGeneration: generation });
    });
  }

  noteSeen(uaid: Uint8Array, nowMs: number): Promise<void> {
    return this.#group.run(() => {
      const device = this.#device(uaid);
      // The index of due devices stays as it is: the sweep looks again at whoever was seen meanwhile.
      if (device !== null && device.seenMs < nowMs) this.#putDevice(uaid, { ...device, seenMs: nowMs });
    });
  }

  removeDevice(uaid: Uint8Array): Promise<void> {
    return this.#group.runFreeing(() => this.#removeDevice(uaid));
  }

  register(
    uaid: Uint8Array,
    registrationId: Uint8Array,
    applicationServerKey: Uint8Array | null,
    nowMs: number,
  ): Promise<RegisterResult> {
    return this.#group.run((): RegisterResult => {
      const device = this.#device(uaid);
      if (device === null) return { outcome: "gone" };
      const live = this.#database.get(keys.registrationKey(uaid, registrationId)) as number | undefined;
      const existing = live === undefined ? null : this.#channel(uaid, live);
      if (existing !== null) {
        if (!sameKey(existing.applicationServerKey, applicationServerKey)) return { outcome: "conflict" };
        return { outcome: "registered", channel: existing.channel, created: false };
      }
      if (device.channels >= SUBSCRIPTIONS_MAX) return { outcome: "tooMany" };
      const channel = device.lastChannel + 1;
      this.#putDevice(uaid, { ...device, lastChannel: channel, channels: device.channels + 1 });
      this.#put(keys.registrationKey(uaid, registrationId), channel);
      const record = { registrationId, applicationServerKey, createdMs: nowMs, revoked: null };
      this.#put(keys.channelKey(uaid, channel), records.channelValue(record));
      return { outcome: "registered", channel, created: true };
    });
  }

  async channels(uaid: Uint8Array): Promise<ChannelRecord[]> {
    this.#check();
    return [...this.#database.getRange(keys.channelKeys(uaid))].map(({ key, value }) =>
      records.channelRecord(keys.channelOfChannelKey(key), value),
    );
  }

  async getChannel(uaid: Uint8Array, channel: number): Promise<ChannelRecord | null> {
    this.#check();
    return this.#channel(uaid, channel);
  }

  unregister(uaid: Uint8Array, channel: number): Promise<boolean> {
    return this.#group.runFreeing(() => {
      const record = this.#endChannel(uaid, channel);
      if (record === null) return false;
      this.#remove(keys.channelKey(uaid, channel));
      const device = this.#device(uaid);
      if (device !== null) this.#putDevice(uaid, { ...device, channels: device.channels - 1 });
      return true;
    });
  }

  revoke(uaid: Uint8Array, channel: number, reason: RevokeReason): Promise<boolean> {
    return this.#group.runFreeing(() => {
      const record = this.#channel(uaid, channel);
      if (record === null || record.revoked !== null) return false;
      this.#endChannel(uaid, channel);
      this.#put(keys.channelKey(uaid, channel), records.channelValue({ ...record, revoked: reason }));
      return true;
    });
  }

  putMessage(uaid: Uint8Array, channel: number, message: NewMessage): Promise<PutResult> {
    return this.#group.run((): PutResult => {
      const device = this.#device(uaid);
      const isLive = records.isLiveChannel(this.#database.get(keys.channelKey(uaid, channel)));
      if (device === null || !isLive) return { outcome: "gone" };
      if (message.ttlS === 0) {
        this.#putDevice(uaid, { ...device, lastMessageId: device.lastMessageId + 1 });
        return { outcome: "stored", id: device.lastMessageId + 1, replacedId: null };
      }
      return this.#store(uaid, channel, message);
    });
  }

  async messages(
    uaid: Uint8Array,
    query: { readonly afterId: number; readonly limit: number; readonly nowMs: number },
  ): Promise<MessagePage> {
    this.#check();
    const found: StoredMessage[] = [];
    for (const message of this.#messagesOf(uaid, query.afterId + 1, ID_MAX)) {
      if (message.expiresMs <= query.nowMs) continue;
      if (found.length === query.limit) return { messages: found, complete: false };
      found.push(message);
    }
    return { messages: found, complete: true };
  }

  ack(uaid: Uint8Array, ranges: readonly IdRange[]): Promise<number> {
    return this.#group.runFreeing(() => {
      let removed = 0;
      for (const [first, last] of ranges) {
        const named = this.#places(uaid, first, last);
        for (const message of named) this.#removeMessage(uaid, message);
        removed += named.length;
      }
      return removed;
    });
  }

  withdraw(uaid: Uint8Array, channel: number, id: number): Promise<boolean> {
    return this.#group.runFreeing(() => {
      const message = this.#place(uaid, id);
      if (message?.channel !== channel) return false;
      this.#removeMessage(uaid, message);
      return true;
    });
  }

  async countMessages(): Promise<number> {
    return this.#database.getKeysCount(keys.allMessageKeys());
  }

  async countDevices(): Promise<number> {
    this.#check();
    return this.#database.getKeysCount(keys.deviceKeys());
  }

  async expire(nowMs: number): Promise<Expired> {
    let messages = 0;
    for (;;) {
      const removed = await this.#group.runFreeing(() => this.#expireBatch(nowMs));
      messages += removed;
      if (removed < EXPIRE_BATCH_MAX) break;
    }
    const devices: Uint8Array[] = [];
    for (;;) {
      const { looked, forgotten } = await this.#group.runFreeing(() => this.#lookAtDue(nowMs));
      devices.push(...forgotten);
      if (looked < DEVICES_LOOKED_AT_MAX) break;
    }
    return { messages, devices };
  }

  async close(): Promise<void> {
    await this.#group.close();
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#database.close();
    await this.#unlock();
  }

  /** The rest of putMessage: topic, quota, then the records. Nothing is changed when the answer is "quota". */
  #store(uaid: Uint8Array, channel: number, message: NewMessage): PutResult {
    const topic = message.topic === null ? null : keys.topicKey(uaid, channel, message.topic);
    const replacedId = topic === null ? undefined : (this.#database.get(topic) as number | undefined);
    const replaced = replacedId === undefined ? null : this.#place(uaid, replacedId);
    if (!this.#makeRoom(uaid, message, replaced)) return { outcome: "quota" };
    if (replaced !== null) this.#removeMessage(uaid, replaced);
    const device = this.#device(uaid);
    if (device === null) return { outcome: "gone" };
    const id = device.lastMessageId + 1;
    this.#putDevice(uaid, {
      ...device,
      lastMessageId: id,
      messages: device.messages + 1,
      messageBytes: device.messageBytes + quotaBytes(message),
    });
    this.#put(keys.messageKey(uaid, id), records.messageValue(channel, message, this.#instance));
    this.#put(keys.expiryKey(message.receivedMs + message.ttlS * 1000, uaid, id), true);
    if (topic !== null) this.#put(topic, id);
    return { outcome: "stored", id, replacedId: replaced?.id ?? null };
  }

  // Expired messages go by the index of expiry, whosever they are: looking through the device's own would cost that each time.
  /** True when `message` fits once `replaced` is gone, after dropping expired messages when it would not. */
  #makeRoom(uaid: Uint8Array, message: NewMessage, replaced: records.MessagePlace | null): boolean {
    const fits = () => {
      const device = this.#device(uaid);
      const freed = replaced === null ? null : this.#place(uaid, replaced.id);
      const freedBytes = freed?.quotaBytes ?? 0;
      return (
        device !== null &&
        device.messages + 1 - (freed === null ? 0 : 1) <= this.#quota.messagesMax &&
        device.messageBytes + quotaBytes(message) - freedBytes <= this.#quota.messageBytesMax
      );
    };
    while (!fits()) if (this.#expireBatch(message.receivedMs) === 0) return false;
    return true;
  }

  /** Removes messages and registration id of a channel and returns its record, still stored; null when unknown. */
  #endChannel(uaid: Uint8Array, channel: number): ChannelRecord | null {
    const record = this.#channel(uaid, channel);
    if (record === null) return null;
    // A device may end thousands of channels one by one, most often with nothing stored.
    const messages = this.#device(uaid)?.messages === 0 ? [] : this.#places(uaid, 1, ID_MAX);
    for (const message of messages) if (message.channel === channel) this.#removeMessage(uaid, message);
    const registration = keys.registrationKey(uaid, record.registrationId);
    // A revoked channel's registration id may meanwhile name a newer channel.
    if (this.#database.get(registration) === channel) this.#remove(registration);
    return record;
  }

  #removeDevice(uaid: Uint8Array): void {
    const device = this.#device(uaid);
    if (device === null) return;
    // All messages at once, so that the channels find none to look through.
    for (const message of this.#places(uaid, 1, ID_MAX)) this.#removeMessage(uaid, message);
    for (const { key } of [...this.#database.getRange(keys.channelKeys(uaid))]) {
      this.#endChannel(uaid, keys.channelOfChannelKey(key));
      this.#remove(Uint8Array.from(key));
    }
    this.#remove(keys.dueKey(device.dueMs, uaid));
    this.#devices.put(uaid, null);
  }

  #removeMessage(uaid: Uint8Array, message: records.MessagePlace): void {
    this.#remove(keys.messageKey(uaid, message.id));
    this.#remove(keys.expiryKey(message.expiresMs, uaid, message.id));
    if (message.topic !== null) {
      const topic = keys.topicKey(uaid, message.channel, message.topic);
      if (this.#database.get(topic) === message.id) this.#remove(topic);
    }
    const device = this.#device(uaid);
    if (device === null) return;
    const messageBytes = device.messageBytes - message.quotaBytes;
    this.#putDevice(uaid, { ...device, messages: device.messages - 1, messageBytes });
  }

  #expireBatch(nowMs: number): number {
    const due = [...this.#database.getKeys({ ...keys.expiryKeysUntil(nowMs), limit: EXPIRE_BATCH_MAX })];
    for (const key of due) {
      const { uaid, id } = keys.partsOfExpiryKey(key);
      const message = this.#place(uaid, id);
      if (message !== null) this.#removeMessage(uaid, message);
      else this.#remove(Uint8Array.from(key));
    }
    return due.length;
  }

  /** Looks at devices whose time may have come: forgets them, or notes when to look again. */
  #lookAtDue(nowMs: number): { looked: number; forgotten: Uint8Array[] } {
    const due = [...this.#database.getKeys({ ...keys.dueKeysUntil(nowMs), limit: DEVICES_LOOKED_AT_MAX })];
    const forgotten: Uint8Array[] = [];
    for (const key of due) {
      const uaid = keys.uaidOfDueKey(key);
      this.#remove(Uint8Array.from(key));
      const device = this.#device(uaid);
      if (device === null) continue;
      const dueMs = deviceExpiryMs(device, device.lastChannel > 0);
      if (dueMs <= nowMs) {
        this.#removeDevice(uaid);
        forgotten.push(uaid);
      } else {
        this.#put(keys.dueKey(dueMs, uaid), true);
        this.#putDevice(uaid, { ...device, dueMs });
      }
    }
    return { looked: due.length, forgotten };
  }

  #device(uaid: Uint8Array): records.DeviceState | null {
    return this.#devices.get(uaid);
  }

  #putDevice(uaid: Uint8Array, state: records.DeviceState): void {
    this.#devices.put(uaid, state);
  }

  #channel(uaid: Uint8Array, channel: number): ChannelRecord | null {
    const value = this.#database.get(keys.channelKey(uaid, channel));
    return value === undefined ? null : records.channelRecord(channel, value);
  }

  #place(uaid: Uint8Array, id: number): records.MessagePlace | null {
    const value = this.#database.get(keys.messageKey(uaid, id));
    return value === undefined ? null : records.messagePlace(id, value);
  }

  /** Of the messages with ids in [first, last]. Most often that is one: a cursor would cost more than all the rest. */
  #places(uaid: Uint8Array, first: number, last: number): records.MessagePlace[] {
    if (first === last) {
      const place = this.#place(uaid, first);
      return place === null ? [] : [place];
    }
    return [...this.#database.getRange(keys.messageKeys(uaid, first, last))].map(({ key, value }) =>
      records.messagePlace(keys.idOfMessageKey(key), value),
    );
  }

  *#messagesOf(uaid: Uint8Array, first: number, last: number): Generator<StoredMessage> {
    for (const { key, value } of this.#database.getRange(keys.messageKeys(uaid, first, last))) {
      yield records.storedMessage(keys.idOfMessageKey(key), value, this.#instance);
    }
  }

  /** The promise is for asynchronous writes; inside a synchronous transaction the write is done on return. */
  #put(key: Uint8Array, value: unknown): void {
    void this.#database.put(key, value);
  }

  #remove(key: Uint8Array): void {
    void this.#database.remove(key);
  }

  #check(): void {
    if (this.#isClosed) throw new GodwitError("ERR_STORE_CLOSED", "the store is closed");
  }
}
