// SPDX-License-Identifier: MIT
/**
 * The nodes of one push service as a port: who holds a device's link, and how whoever holds it hears of what was stored. One
 * process over a store of its own is the fleet in this file; the one over Redis Cluster is store/redis-fleet.ts.
 */

import type { IdRange, RevokeReason } from "../wire/dialect.ts";
import type { Hub } from "./hub.ts";
import type { SessionEvent } from "./session-events.ts";
import type {
  ChannelRecord,
  DeviceRecord,
  MessagePage,
  NewMessage,
  PutResult,
  RegisterResult,
  Store,
} from "./store/store.ts";
import { storedMessageOf } from "./store/stored-message.ts";

export interface Fleet {
  /** True when there is no other node, ever. */
  readonly isAlone: boolean;
  /**
   * Makes the caller's link, here, the one that holds the device: any other, on any node, is told that it was replaced, and is
   * refused by the store from now on, told or not.
   *
   * @throws {GodwitError} as the store; ERR_STORE where it would not be heard what other nodes store for the device
   */
  claim(uaid: Uint8Array): Promise<HeldDevice>;
  /** As the store's, and the session that holds the device hears of it. TTL 0 and no such session: id 0. */
  putMessage(uaid: Uint8Array, channel: number, message: NewMessage): Promise<PutResult>;
  /** As the store's, and the session hears of it. */
  withdraw(uaid: Uint8Array, channel: number, id: number): Promise<boolean>;
  /** As the store's, and the session hears of it. */
  revoke(uaid: Uint8Array, channel: number, reason: RevokeReason): Promise<boolean>;
  /**
   * True when another node holds the device and can be told so.
   *
   * @throws {GodwitError} as the store
   */
  isElsewhere(uaid: Uint8Array): Promise<boolean>;
  /**
   * Of something about a device that every node heard: true for the one node that acts on it. The same one for
   * `FLEET_ELECTED_MS`.
   *
   * @throws {GodwitError} as the store
   */
  elect(uaid: Uint8Array, what: string): Promise<boolean>;
  /**
   * Resolves when this node can serve devices as well as any other.
   *
   * @throws {GodwitError} as the store
   */
  checkReady(): Promise<void>;
  /** Waits for what is under way. The store stays open. */
  close(): Promise<void>;
}

/**
 * One device, as the link that claimed it may use it: the store's members of the same names. Rejects with ERR_STORE_FENCED
 * once another link claimed the device, and changes nothing then.
 */
export interface HeldDevice {
  getDevice(): Promise<DeviceRecord | null>;
  noteSeen(nowMs: number): Promise<void>;
  removeDevice(): Promise<void>;
  register(
    registrationId: Uint8Array,
    applicationServerKey: Uint8Array | null,
    nowMs: number,
  ): Promise<RegisterResult>;
  channels(): Promise<ChannelRecord[]>;
  unregister(channel: number): Promise<boolean>;
  messages(query: Parameters<Store["messages"]>[1]): Promise<MessagePage>;
  ack(ranges: readonly IdRange[]): Promise<number>;
  /** The link is gone: nobody holds the device, unless another one claimed it. */
  release(): void;
}

/** The one node there is. */
export class LocalFleet implements Fleet {
  readonly isAlone = true;
  readonly #store: Store;
  readonly #hub: Hub;

  constructor(store: Store, hub: Hub) {
    this.#store = store;
    this.#hub = hub;
  }

  async claim(uaid: Uint8Array): Promise<HeldDevice> {
    return new LocalDevice(this.#store, uaid);
  }

  async putMessage(uaid: Uint8Array, channel: number, message: NewMessage): Promise<PutResult> {
    // Nothing would be stored, so nothing needs an id.
    if (message.ttlS === 0 && !this.#hub.isConnected(uaid))
      return { outcome: "stored", id: 0, replacedId: null };
    const put = await this.#store.putMessage(uaid, channel, message);
    if (put.outcome === "stored") this.#hub.notify(uaid, putEvent(channel, message, put));
    return put;
  }

  async withdraw(uaid: Uint8Array, channel: number, id: number): Promise<boolean> {
    const wasThere = await this.#store.withdraw(uaid, channel, id);
    if (wasThere) this.#hub.notify(uaid, { type: "withdrawn", id });
    return wasThere;
  }

  async revoke(uaid: Uint8Array, channel: number, reason: RevokeReason): Promise<boolean> {
    const isRevoked = await this.#store.revoke(uaid, channel, reason);
    if (isRevoked) this.#hub.notify(uaid, { type: "revoked", channel, reason });
    return isRevoked;
  }

  async isElsewhere(): Promise<boolean> {
    return false;
  }

  async elect(): Promise<boolean> {
    return true;
  }

  /** An empty group commit tells a full or broken disk; nobody has this uaid. */
  async checkReady(): Promise<void> {
    await this.#store.raiseTokenGeneration(new Uint8Array(16), 0);
  }

  async close(): Promise<void> {}
}

/** What a session hears of a message that was just stored, or has TTL 0. */
export function putEvent(
  channel: number,
  message: NewMessage,
  { id, replacedId }: Extract<PutResult, { outcome: "stored" }>,
): Extract<SessionEvent, { type: "stored" | "ephemeral" }> {
  const stored = storedMessageOf(message, channel, id);
  return message.ttlS === 0
    ? { type: "ephemeral", message: stored }
    : { type: "stored", message: stored, replacedId };
}

/** Where there is one node its hub ends the older link at once, and no fence is needed. */
class LocalDevice implements HeldDevice {
  readonly #store: Store;
  readonly #uaid: Uint8Array;

  constructor(store: Store, uaid: Uint8Array) {
    this.#store = store;
    this.#uaid = uaid;
  }

  getDevice(): Promise<DeviceRecord | null> {
    return this.#store.getDevice(this.#uaid);
  }

  noteSeen(nowMs: number): Promise<void> {
    return this.#store.noteSeen(this.#uaid, nowMs);
  }

  removeDevice(): Promise<void> {
    return this.#store.removeDevice(this.#uaid);
  }

  register(registrationId: Uint8Array, key: Uint8Array | null, nowMs: number): Promise<RegisterResult> {
    return this.#store.register(this.#uaid, registrationId, key, nowMs);
  }

  channels(): Promise<ChannelRecord[]> {
    return this.#store.channels(this.#uaid);
  }

  unregister(channel: number): Promise<boolean> {
    return this.#store.unregister(this.#uaid, channel);
  }

  messages(query: Parameters<Store["messages"]>[1]): Promise<MessagePage> {
    return this.#store.messages(this.#uaid, query);
  }

  ack(ranges: readonly IdRange[]): Promise<number> {
    return this.#store.ack(this.#uaid, ranges);
  }

  release(): void {}
}
