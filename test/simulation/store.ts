// SPDX-License-Identifier: MIT
/**
 * The push service's memory store as if it lay on a disk: writes take time and effect in order, those under way when the process dies
 * come to nothing, and while the disk is broken every one is refused and changes nothing.
 */

import { GodwitError } from "../../src/errors.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import type {
  MessagePage,
  NewMessage,
  PutResult,
  RegisterResult,
  Store,
} from "../../src/push-service/store/store.ts";
import type { DeviceDialect, IdRange, RevokeReason } from "../../src/wire/dialect.ts";
import type { Clockwork } from "./clockwork.ts";

/** Who hears what the store did, at the moment it is durable. */
export interface StoreWitness {
  put(uaid: Uint8Array, channel: number, message: NewMessage, result: PutResult): void;
  acknowledged(uaid: Uint8Array, ranges: readonly IdRange[]): void;
}

/** The disk: outlives the processes that open it. */
export class Disk {
  memory = new MemoryStore();
  /** A write takes this long, ms. */
  writeMs = 2;
  isBroken = false;
  /** When the last process died, ms since 1970: whether it had sent what it stored by then nobody knows. */
  diedEpochMs = 0;
}

/** One process's view of the disk. */
export class SimulatedStore implements Store {
  readonly #disk: Disk;
  readonly #clockwork: Clockwork;
  readonly #witness: StoreWitness;
  #isDead = false;
  /** When the last write of those under way is through. */
  #freeMs = 0;

  constructor(disk: Disk, clockwork: Clockwork, witness: StoreWitness) {
    this.#disk = disk;
    this.#clockwork = clockwork;
    this.#witness = witness;
  }

  get epoch(): number {
    return this.#disk.memory.epoch;
  }

  /** The process is gone: nothing under way happens, nothing is answered. */
  die(nowEpochMs: number): void {
    this.#isDead = true;
    this.#disk.diedEpochMs = nowEpochMs;
  }

  createDevice = (uaid: Uint8Array, nowMs: number, dialect?: DeviceDialect) =>
    this.#write((store) => store.createDevice(uaid, nowMs, dialect));
  raiseTokenGeneration = (uaid: Uint8Array, generation: number) =>
    this.#write((store) => store.raiseTokenGeneration(uaid, generation));
  noteSeen = (uaid: Uint8Array, nowMs: number) => this.#write((store) => store.noteSeen(uaid, nowMs));
  removeDevice = (uaid: Uint8Array) => this.#write((store) => store.removeDevice(uaid));
  register = (
    uaid: Uint8Array,
    registrationId: Uint8Array,
    key: Uint8Array | null,
    nowMs: number,
  ): Promise<RegisterResult> => this.#write((store) => store.register(uaid, registrationId, key, nowMs));
  unregister = (uaid: Uint8Array, channel: number) => this.#write((store) => store.unregister(uaid, channel));
  revoke = (uaid: Uint8Array, channel: number, reason: RevokeReason) =>
    this.#write((store) => store.revoke(uaid, channel, reason));
  withdraw = (uaid: Uint8Array, channel: number, id: number) =>
    this.#write((store) => store.withdraw(uaid, channel, id));
  expire = (nowMs: number) => this.#write((store) => store.expire(nowMs));

  putMessage = (uaid: Uint8Array, channel: number, message: NewMessage): Promise<PutResult> =>
    this.#write(async (store) => {
      const result = await store.putMessage(uaid, channel, message);
      this.#witness.put(uaid, channel, message, result);
      return result;
    });

  ack = (uaid: Uint8Array, ranges: readonly IdRange[]): Promise<number> =>
    this.#write((store) => {
      this.#witness.acknowledged(uaid, ranges);
      return store.ack(uaid, ranges);
    });

  // Reads see what is durable.
  getDevice = (uaid: Uint8Array) => this.#disk.memory.getDevice(uaid);
  channels = (uaid: Uint8Array) => this.#disk.memory.channels(uaid);
  getChannel = (uaid: Uint8Array, channel: number) => this.#disk.memory.getChannel(uaid, channel);
  countMessages = () => this.#disk.memory.countMessages();
  countDevices = () => this.#disk.memory.countDevices();

  async messages(uaid: Uint8Array, query: Parameters<Store["messages"]>[1]): Promise<MessagePage> {
    const page = await this.#disk.memory.messages(uaid, query);
    const { diedEpochMs } = this.#disk;
    const messages = page.messages.map((message) =>
      message.receivedMs <= diedEpochMs ? { ...message, mayHaveBeenSent: true } : message,
    );
    return { ...page, messages };
  }

  async close(): Promise<void> {}

  #write<Result>(perform: (store: MemoryStore) => Promise<Result>): Promise<Result> {
    const { nowMs } = this.#clockwork;
    this.#freeMs = Math.max(this.#freeMs, nowMs + this.#disk.writeMs);
    return new Promise((resolve, reject) => {
      this.#clockwork.after(this.#freeMs - nowMs, () => {
        if (this.#isDead) return;
        if (this.#disk.isBroken) return reject(new GodwitError("ERR_STORE", "the disk is broken"));
        perform(this.#disk.memory).then(resolve, reject);
      });
    });
  }
}
