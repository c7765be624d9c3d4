// SPDX-License-Identifier: MIT
/**
 * Many nodes over one Redis Cluster. Which node holds a device stands in the device's hash with a fence, a number that rises with
 * each claim; what is stored names both, and the node it names is told. A link of an older fence is refused by the scripts, so
 * that a node that was paused or cut off cannot act for a device that went elsewhere. Nothing expires and nothing is renewed:
 * a holder that died is simply not there to hear, and the next claim takes its place.
 */

import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { GodwitError } from "../../errors.ts";
import {
  FLEET_BEAT_MS,
  FLEET_CUT_OFF_MS_MAX,
  FLEET_ELECTED_MS,
  FLEET_FOREIGN_MS,
  FLEET_REREAD_BATCH,
  FLEET_REREAD_MS_MAX,
  FLEET_UNHEARD_MAX,
  RECONNECT_SPREAD_S,
} from "../../limits.ts";
import type { IdRange, RevokeReason } from "../../wire/dialect.ts";
import { deviceKey } from "../device-key.ts";
import type { Fleet, HeldDevice } from "../fleet.ts";
import type { Hub } from "../hub.ts";
import type { Log } from "../log.ts";
import type { Claim, Holder, RedisStore } from "./redis.ts";
import { chunks, type RedisCluster } from "./redis-cluster.ts";
import { RedisEars } from "./redis-ears.ts";
import { type RedisKeys, SLOTS, slotOf } from "./redis-keys.ts";
import { messageValue } from "./redis-records.ts";
import { BEAT, encodeWake, type News, parseWake, REREAD } from "./redis-wake.ts";
import type {
  ChannelRecord,
  DeviceRecord,
  MessagePage,
  NewMessage,
  PutResult,
  RegisterResult,
  Store,
} from "./store.ts";

export interface RedisFleetOptions {
  readonly store: RedisStore;
  readonly cluster: RedisCluster;
  readonly keys: RedisKeys;
  readonly hub: Hub;
  readonly log: Log;
}

export class RedisFleet implements Fleet {
  readonly isAlone = false;
  readonly #options: RedisFleetOptions;
  /** This run of this process, until its channel is at a shard that is away. */
  #nodeId = newNodeId();
  /** By hex of the uaid, the fence of the latest claim from here. */
  readonly #fences = new Map<string, number>();
  readonly #ears: RedisEars;
  /** Nodes that something did not reach, and how often since nobody was there to hear it: they are told to read the store. */
  readonly #unheard = new Map<string, number>();
  #repeating: NodeJS.Timeout | null = null;
  /** Sessions may have missed something since the pass over them began, or there is none. */
  #mustRead = false;
  #isReading = false;
  /** Since another version said something, and whether it did again. */
  #foreign: NodeJS.Timeout | null = null;
  #isForeignHeard = false;
  /** It is being found out whether other nodes are better off. */
  #isLosing = false;

  private constructor(options: RedisFleetOptions) {
    this.#options = options;
    const { cluster, keys, log } = options;
    this.#ears = new RedisEars({
      cluster,
      channel: () => keys.ofNode(this.#nodeId),
      heard: (bytes) => this.#heard(bytes),
      missed: () => void this.#readAgain(),
      lost: (silentMs) => void this.#lost(silentMs),
      log,
    });
  }

  /** @throws {GodwitError} ERR_STORE */
  static async join(options: RedisFleetOptions): Promise<RedisFleet> {
    const fleet = new RedisFleet(options);
    await fleet.#ears.open();
    fleet.#repeating = setInterval(() => fleet.#tellAgain(), FLEET_BEAT_MS);
    return fleet;
  }

  async claim(uaid: Uint8Array): Promise<HeldDevice> {
    const { store } = this.#options;
    if (!this.#ears.isHearing) throw deaf();
    const nodeId = this.#nodeId;
    const claimed = await store.claim(uaid, nodeId);
    const fence = claimed?.fence ?? 0;
    const name = deviceKey(uaid);
    this.#fences.set(name, Math.max(fence, this.#fences.get(name) ?? 0));
    // An older link here hears of it from the hub, once this one is open.
    if (claimed !== null && claimed.older.nodeId !== nodeId)
      this.#tell(uaid, claimed.older, { type: "replaced" });
    const claim = { nodeId, fence };
    return new FencedDevice(store, uaid, claim, () => this.#release(uaid, claim));
  }

  async putMessage(uaid: Uint8Array, channel: number, message: NewMessage): Promise<PutResult> {
    const { store } = this.#options;
    // Nothing would be stored, so nothing needs an id.
    if (message.ttlS === 0 && (await store.holder(uaid)) === null)
      return { outcome: "stored", id: 0, replacedId: null };
    const value = messageValue(channel, message);
    const [put, holder] = await store.putMessageOf(uaid, channel, message);
    if (put.outcome !== "stored") return put;
    const { id, replacedId } = put;
    if (message.ttlS === 0) this.#tell(uaid, holder, { type: "ephemeral", id, value });
    else this.#tell(uaid, holder, { type: "stored", id, replacedId, value });
    return put;
  }

  async withdraw(uaid: Uint8Array, channel: number, id: number): Promise<boolean> {
    const holder = await this.#options.store.withdrawOf(uaid, channel, id);
    if (holder !== null) this.#tell(uaid, holder, { type: "withdrawn", id });
    return holder !== null;
  }

  async revoke(uaid: Uint8Array, channel: number, reason: RevokeReason): Promise<boolean> {
    const holder = await this.#options.store.revokeOf(uaid, channel, reason);
    if (holder !== null) this.#tell(uaid, holder, { type: "revoked", channel, reason });
    return holder !== null;
  }

  async isElsewhere(uaid: Uint8Array): Promise<boolean> {
    const nodeId = await this.#options.store.holder(uaid);
    if (nodeId === null || nodeId === this.#nodeId) return false;
    // One that died, or is cut off, holds it in name only.
    return (await this.#publish(nodeId, BEAT)) > 0;
  }

  async elect(uaid: Uint8Array, what: string): Promise<boolean> {
    const { store, keys } = this.#options;
    return store.elect(keys.ofElection(uaid, what), this.#nodeId, FLEET_ELECTED_MS);
  }

  /** A shard that is away is away for every node. */
  async checkReady(): Promise<void> {
    if (!this.#ears.isHearing) throw deaf();
    if (this.#options.store.isClockWrong) throw new GodwitError("ERR_STORE", "this machine's clock is wrong");
    const { slots } = await this.#answering();
    if (slots <= SLOTS / 2) throw new GodwitError("ERR_STORE", "Redis: most of it does not answer");
  }

  async close(): Promise<void> {
    if (this.#repeating !== null) clearInterval(this.#repeating);
    if (this.#foreign !== null) clearTimeout(this.#foreign);
    await this.#ears.close();
  }

  /**
   * Tells whoever holds the device, of what is durable: a message that went with its primary is put again under another id, and who
   * had it already would get it twice. Nobody waits for that: it is on its way before the message counts as accepted, and a node
   * that it may not have reached is told so later.
   */
  #tell(uaid: Uint8Array, { nodeId, fence }: Holder, news: News): void {
    const { hub, log } = this.#options;
    if (nodeId === null) return news.type === "stored" ? hub.noteAbsent(uaid) : undefined;
    const bytes = encodeWake(uaid, fence, news);
    if (nodeId === this.#nodeId) return this.#heard(bytes);
    this.#publish(nodeId, bytes).then(
      (listeners) => {
        if (listeners > 0) return;
        this.#unheard.set(nodeId, 0);
        if (news.type === "stored") hub.noteAbsent(uaid);
      },
      (error: unknown) => {
        this.#unheard.set(nodeId, 0);
        log({ event: "store-failed", error: error instanceof GodwitError ? error.message : "unexpected" });
      },
    );
  }

  /** Until they hear it, or often enough nobody was there: whoever listens again has read the store by itself. */
  #tellAgain(): void {
    for (const [nodeId, times] of this.#unheard) {
      // What fails meanwhile is remembered anew.
      this.#unheard.delete(nodeId);
      const again = (by: number): void => {
        if (times + by < FLEET_UNHEARD_MAX && !this.#unheard.has(nodeId))
          this.#unheard.set(nodeId, times + by);
      };
      this.#publish(nodeId, REREAD).then(
        (listeners) => {
          if (listeners === 0) again(1);
        },
        () => again(0),
      );
    }
  }

  /** How many heard it: 1, or 0 when the node is not there. */
  async #publish(nodeId: string, bytes: Uint8Array): Promise<number> {
    const { cluster, keys } = this.#options;
    const channel = keys.ofNode(nodeId);
    return Number(await cluster.command(slotOf(channel), ["SPUBLISH", channel, bytes]));
  }

  #heard(bytes: Uint8Array): void {
    let wake: ReturnType<typeof parseWake>;
    try {
      wake = parseWake(bytes);
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      return this.#heardForeign();
    }
    if (wake === "beat") return;
    if (wake === "reread") return void this.#readAgain();
    // The link it was meant for has gone, and what came after it has read, or will read, the store.
    if (wake.fence < (this.#fences.get(deviceKey(wake.uaid)) ?? 0)) return;
    this.#options.hub.notify(wake.uaid, wake.event);
  }

  /** Every session looks into the store, some at a time; who asks meanwhile gets one more pass behind this one. */
  async #readAgain(): Promise<void> {
    this.#mustRead = true;
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#mustRead) {
      this.#mustRead = false;
      for (const links of chunks(this.#options.hub.links(), FLEET_REREAD_BATCH)) {
        // Those at a shard that is away do not hold up the others for long.
        const pause = new AbortController();
        await Promise.race([
          Promise.all(links.map((link) => link.reread())),
          setTimeout(FLEET_REREAD_MS_MAX, undefined, { signal: pause.signal }).catch(() => {}),
        ]);
        pause.abort();
      }
    }
    this.#isReading = false;
  }

  /** While processes are replaced there are many words that the others do not know. */
  #heardForeign(): void {
    this.#isForeignHeard = this.#foreign !== null;
    if (this.#isForeignHeard) return;
    void this.#readAgain();
    this.#foreign = globalThis.setTimeout(() => {
      this.#foreign = null;
      if (this.#isForeignHeard) this.#heardForeign();
    }, FLEET_FOREIGN_MS);
  }

  /** Where the rest of Redis answers, other nodes hear; where none does, it is not known that anybody is better off. */
  async #lost(silentMs: number): Promise<void> {
    if (this.#isLosing) return;
    this.#isLosing = true;
    const { addresses, slots } = await this.#answering();
    if (this.#ears.isHearing === false && (slots > SLOTS / 2 || silentMs > FLEET_CUT_OFF_MS_MAX)) {
      await this.#sendAway();
      this.#move(addresses);
    }
    this.#isLosing = false;
  }

  /** A few at a time. Nobody new comes meanwhile: nothing can be claimed. */
  async #sendAway(): Promise<void> {
    for (const [at, link] of this.#options.hub.links().entries()) {
      const retryAfterS = Math.round(Math.random() * RECONNECT_SPREAD_S);
      link.handle({ type: "goodbye", reason: "overload", retryAfterS });
      if (at % FLEET_REREAD_BATCH === FLEET_REREAD_BATCH - 1) await new Promise(setImmediate);
    }
  }

  /** Takes a name whose channel is at one of `addresses`, if there are any. No device is held under the old one any more. */
  #move(addresses: ReadonlySet<string>): void {
    const { cluster, keys } = this.#options;
    const isThere = () => addresses.has(cluster.primaryOf(slotOf(keys.ofNode(this.#nodeId))));
    while (addresses.size > 0 && !isThere()) this.#nodeId = newNodeId();
  }

  #answering() {
    const { tags, indexPrefix } = this.#options.keys;
    return this.#options.cluster.answering((slot) => `${indexPrefix}${tags[slot]}}`);
  }

  #release(uaid: Uint8Array, claim: Claim): void {
    const { store, log } = this.#options;
    const name = deviceKey(uaid);
    if (this.#fences.get(name) === claim.fence) this.#fences.delete(name);
    store.release(uaid, claim).catch((error: unknown) => {
      // Somebody else holds it; or it stays ours in name, until the next claim.
      if (error instanceof GodwitError && error.code === "ERR_STORE_FENCED") return;
      log({ event: "store-failed", error: error instanceof GodwitError ? error.message : "unexpected" });
    });
  }
}

function newNodeId(): string {
  return randomBytes(8).toString("hex");
}

function deaf(): GodwitError {
  return new GodwitError("ERR_STORE", "it is not heard what other nodes store");
}

class FencedDevice implements HeldDevice {
  readonly #store: RedisStore;
  readonly #uaid: Uint8Array;
  readonly #claim: Claim;
  #release: (() => void) | null;

  constructor(store: RedisStore, uaid: Uint8Array, claim: Claim, release: () => void) {
    this.#store = store;
    this.#uaid = uaid;
    this.#claim = claim;
    this.#release = release;
  }

  getDevice(): Promise<DeviceRecord | null> {
    return this.#store.getDevice(this.#uaid, this.#claim);
  }

  noteSeen(nowMs: number): Promise<void> {
    return this.#store.noteSeen(this.#uaid, nowMs, this.#claim);
  }

  removeDevice(): Promise<void> {
    return this.#store.removeDevice(this.#uaid, this.#claim);
  }

  register(registrationId: Uint8Array, key: Uint8Array | null, nowMs: number): Promise<RegisterResult> {
    return this.#store.register(this.#uaid, registrationId, key, nowMs, this.#claim);
  }

  channels(): Promise<ChannelRecord[]> {
    return this.#store.channels(this.#uaid, this.#claim);
  }

  unregister(channel: number): Promise<boolean> {
    return this.#store.unregister(this.#uaid, channel, this.#claim);
  }

  messages(query: Parameters<Store["messages"]>[1]): Promise<MessagePage> {
    return this.#store.messages(this.#uaid, query, this.#claim);
  }

  ack(ranges: readonly IdRange[]): Promise<number> {
    return this.#store.ack(this.#uaid, ranges, this.#claim);
  }

  release(): void {
    this.#release?.();
    this.#release = null;
  }
}
