// SPDX-License-Identifier: MIT
/**
 * The store on Redis Cluster, for any number of nodes of one push service. Every operation is one script (redis-scripts.ts); a write
 * resolves once the primary has flushed it to its append-only file and a replica has it. An operation that failed with
 * ERR_STORE may have taken effect all the same: a message put again then gets another id.
 */

import { randomBytes } from "node:crypto";
import { GodwitError } from "../../errors.ts";
import {
  EXPIRE_INTERVAL_MS,
  REDIS_CHECK_INTERVAL_MS,
  REDIS_DUE_PER_SCRIPT_MAX,
  REDIS_SLOTS_PER_SCRIPT_MAX,
  REDIS_SWEEP_BATCH_MAX,
} from "../../limits.ts";
import { DEVICE_DIALECTS, type DeviceDialect, type IdRange, type RevokeReason } from "../../wire/dialect.ts";
import type { Fleet } from "../fleet.ts";
import type { Hub } from "../hub.ts";
import type { Log } from "../log.ts";
import { chunks, RedisCluster, type RedisClusterOptions, type ScriptCall } from "./redis-cluster.ts";
import { examine } from "./redis-durability.ts";
import { RedisFleet } from "./redis-fleet.ts";
import { RedisKeys, slotOf } from "./redis-keys.ts";
import type { Arguments, Reply } from "./redis-node.ts";
import * as records from "./redis-records.ts";
import type { Script } from "./redis-script.ts";
import * as scripts from "./redis-scripts.ts";
import { DEVICE_QUOTA, newStoreEpoch, quotaBytes } from "./rules.ts";
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

export interface RedisStoreOptions extends RedisClusterOptions {
  /** First part of every key; default `godwit`. */
  readonly prefix?: string;
  /** Default `DEVICE_QUOTA`. */
  readonly quota?: DeviceQuota;
  /** Default none. */
  readonly log?: Log;
  /** This machine's clock, ms since 1970; default the system's. */
  readonly epochMs?: () => number;
  /** Default `REDIS_CHECK_INTERVAL_MS`. */
  readonly checkIntervalMs?: number;
}

/** Whose session asks: the node that claimed the device, and the fence it got. */
export interface Claim {
  readonly nodeId: string;
  readonly fence: number;
}

/** Who held the device when a message of it was put, withdrawn or revoked. */
export interface Holder {
  /** Null for nobody. */
  readonly nodeId: string | null;
  readonly fence: number;
}

/**
 * Joins the cluster that `seeds` are nodes of.
 *
 * @throws {GodwitError} ERR_CONFIG its settings do not keep what is written, or its clocks and this machine's differ; ERR_STORE it is
 * away, or holds another format
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<RedisStore> {
  const cluster = await RedisCluster.open(options);
  try {
    const [fault] = (await examine(cluster, (options.epochMs ?? Date.now)())).faults;
    if (fault !== undefined) throw new GodwitError("ERR_CONFIG", fault);
    const keys = new RedisKeys(options.prefix ?? "godwit");
    const store = new RedisStore(cluster, keys, await readEpoch(cluster, keys), options);
    await store.look();
    return store;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** Of the store, made with it by whichever node comes first. */
async function readEpoch(cluster: RedisCluster, keys: RedisKeys): Promise<number> {
  const slot = slotOf(keys.meta);
  const call = { slot, script: scripts.META, keys: [keys.meta] };
  const { reply } = await cluster.write({ ...call, args: [`${records.FORMAT_VERSION} ${newStoreEpoch()}`] });
  const [version, epoch] = String(reply).split(" ").map(Number);
  if (version !== records.FORMAT_VERSION || !Number.isSafeInteger(epoch))
    throw new GodwitError("ERR_STORE", `store format ${version} is not ${records.FORMAT_VERSION}`);
  return epoch ?? 0;
}

export class RedisStore implements Store {
  readonly #cluster: RedisCluster;
  readonly #keys: RedisKeys;
  readonly #quota: DeviceQuota;
  readonly #log: Log;
  readonly #epochMs: () => number;
  readonly #looking: NodeJS.Timeout;
  /** What was said of the cluster, and still is so. */
  #said: readonly string[] = [];
  #isClockWrong = false;
  #isLooking = false;
  #epoch: number;
  /** Of this process, to whoever sweeps. */
  readonly #name = randomBytes(8).toString("hex");

  constructor(
    cluster: RedisCluster,
    keys: RedisKeys,
    epoch: number,
    { quota = DEVICE_QUOTA, log = () => {}, epochMs = Date.now, ...options }: RedisStoreOptions,
  ) {
    this.#cluster = cluster;
    this.#keys = keys;
    this.#epoch = epoch;
    this.#quota = quota;
    this.#log = log;
    this.#epochMs = epochMs;
    const intervalMs = options.checkIntervalMs ?? REDIS_CHECK_INTERVAL_MS;
    this.#looking = setInterval(() => void this.#lookAgain(), intervalMs);
  }

  /** Another one when the store was emptied since, which shows with the next look. */
  get epoch(): number {
    return this.#epoch;
  }

  /** True when this machine cannot tell what has expired. */
  get isClockWrong(): boolean {
    return this.#isClockWrong;
  }

  /** Says what is wrong with the cluster, once as long as it is so. @throws {GodwitError} ERR_STORE */
  async look(): Promise<void> {
    const { faults, doubts, isClockWrong } = await examine(this.#cluster, this.#epochMs());
    this.#isClockWrong = isClockWrong;
    const found = [...faults, ...doubts];
    for (const reason of found)
      if (!this.#said.includes(reason)) this.#log({ event: "store-unsafe", reason });
    this.#said = found;
  }

  /** This process becomes a node of the push service. Resolves once it hears of what other nodes store. */
  join(hub: Hub, log: Log): Promise<Fleet> {
    return RedisFleet.join({ store: this, cluster: this.#cluster, keys: this.#keys, hub, log });
  }

  async createDevice(uaid: Uint8Array, nowMs: number, dialect: DeviceDialect = "godwit.v1"): Promise<void> {
    const { name } = this.#keys.ofDevice(uaid);
    const { CREATE_DEVICE } = scripts;
    await this.#write(CREATE_DEVICE, uaid, ["", nowMs, name, DEVICE_DIALECTS.indexOf(dialect)]);
  }

  async getDevice(uaid: Uint8Array, claim: Claim | null = null): Promise<DeviceRecord | null> {
    const args = [fenceArgument(claim), ...records.DEVICE_FIELDS];
    return records.deviceRecord((await this.#read(scripts.READ_DEVICE, uaid, args)) as (Buffer | null)[]);
  }

  async raiseTokenGeneration(uaid: Uint8Array, generation: number): Promise<void> {
    await this.#write(scripts.RAISE, uaid, ["", "generation", generation]);
  }

  async noteSeen(uaid: Uint8Array, nowMs: number, claim: Claim | null = null): Promise<void> {
    await this.#write(scripts.RAISE, uaid, [fenceArgument(claim), "seen", nowMs]);
  }

  async removeDevice(uaid: Uint8Array, claim: Claim | null = null): Promise<void> {
    const { name } = this.#keys.ofDevice(uaid);
    await this.#write(scripts.REMOVE_DEVICE, uaid, [fenceArgument(claim), name]);
  }

  async register(
    uaid: Uint8Array,
    registrationId: Uint8Array,
    applicationServerKey: Uint8Array | null,
    nowMs: number,
    claim: Claim | null = null,
  ): Promise<RegisterResult> {
    const value = records.channelValue(registrationId, applicationServerKey, nowMs);
    const { reply } = await this.#write(scripts.REGISTER, uaid, [
      fenceArgument(claim),
      registrationId,
      value,
    ]);
    const [outcome, channel, created] = reply as [Buffer, number, number];
    const name = String(outcome) as RegisterResult["outcome"];
    return name === "registered" ? { outcome: name, channel, created: created === 1 } : { outcome: name };
  }

  async channels(uaid: Uint8Array, claim: Claim | null = null): Promise<ChannelRecord[]> {
    const reply = (await this.#read(scripts.READ_ALL, uaid, [fenceArgument(claim)])) as Buffer[];
    const found: ChannelRecord[] = [];
    for (let at = 0; at < reply.length; at += 2) {
      const channel = /^c(\d+)$/.exec(String(reply[at]))?.[1];
      const value = reply[at + 1];
      if (channel !== undefined && value !== undefined)
        found.push(records.channelRecord(Number(channel), value));
    }
    return found.sort((a, b) => a.channel - b.channel);
  }

  async getChannel(uaid: Uint8Array, channel: number): Promise<ChannelRecord | null> {
    const [value] = (await this.#read(scripts.READ_DEVICE, uaid, ["", `c${channel}`])) as [Buffer | null];
    return value === null ? null : records.channelRecord(channel, value);
  }

  async unregister(uaid: Uint8Array, channel: number, claim: Claim | null = null): Promise<boolean> {
    const { reply, mayBeRepeat } = await this.#write(scripts.UNREGISTER, uaid, [
      fenceArgument(claim),
      channel,
    ]);
    return reply === 1 || mayBeRepeat;
  }

  async revoke(uaid: Uint8Array, channel: number, reason: RevokeReason): Promise<boolean> {
    return (await this.revokeOf(uaid, channel, reason)) !== null;
  }

  /** {@link revoke}, and who has to hear of it; null for false. */
  async revokeOf(uaid: Uint8Array, channel: number, reason: RevokeReason): Promise<Holder | null> {
    const args = ["", channel, records.revokedMark(reason)];
    const { reply, mayBeRepeat } = await this.#write(scripts.REVOKE, uaid, args);
    return changedOf(reply, mayBeRepeat);
  }

  async putMessage(uaid: Uint8Array, channel: number, message: NewMessage): Promise<PutResult> {
    return (await this.putMessageOf(uaid, channel, message))[0];
  }

  /** {@link putMessage}, and who has to hear of it. */
  async putMessageOf(uaid: Uint8Array, channel: number, message: NewMessage): Promise<[PutResult, Holder]> {
    const { messagesMax, messageBytesMax } = this.#quota;
    const { receivedMs, ttlS, topic } = message;
    const args = [
      ...["", channel, receivedMs, receivedMs + ttlS * 1000, quotaBytes(message), topic ?? ""],
      ...[
        records.messageValue(channel, message),
        messagesMax,
        messageBytesMax,
        this.#keys.ofDevice(uaid).name,
      ],
    ];
    return putReply(await this.#writeOnce(scripts.PUT, uaid, args));
  }

  async messages(
    uaid: Uint8Array,
    query: { readonly afterId: number; readonly limit: number; readonly nowMs: number },
    claim: Claim | null = null,
  ): Promise<MessagePage> {
    const { afterId, limit, nowMs } = query;
    const args = [fenceArgument(claim), afterId, limit, nowMs];
    const reply = await this.#read(scripts.MESSAGES, uaid, args);
    const [complete, present, ...entries] = reply as [number, number, ...(Buffer | number)[]];
    const messages: StoredMessage[] = [];
    for (let at = 0; at < entries.length; at += 3) {
      const value = entries[at + 2] as Buffer;
      // A session of an earlier fence held the device when it came, and may have sent it.
      const mayHaveBeenSent = Number(entries[at + 1]) < present;
      messages.push(records.storedMessage(Number(entries[at]), value, mayHaveBeenSent));
    }
    return { messages, complete: complete === 1 };
  }

  async ack(uaid: Uint8Array, ranges: readonly IdRange[], claim: Claim | null = null): Promise<number> {
    const { reply } = await this.#write(scripts.ACK, uaid, [fenceArgument(claim), ...ranges.flat()]);
    return Number(reply);
  }

  async withdraw(uaid: Uint8Array, channel: number, id: number): Promise<boolean> {
    return (await this.withdrawOf(uaid, channel, id)) !== null;
  }

  /** {@link withdraw}, and who has to hear of it; null for false. */
  async withdrawOf(uaid: Uint8Array, channel: number, id: number): Promise<Holder | null> {
    const { reply, mayBeRepeat } = await this.#write(scripts.WITHDRAW, uaid, ["", channel, id]);
    return changedOf(reply, mayBeRepeat);
  }

  /** The next fence of the device, durable, and who held it before; null when there is no such device. */
  async claim(uaid: Uint8Array, nodeId: string): Promise<{ fence: number; older: Holder } | null> {
    const reply = await this.#writeOnce(scripts.CLAIM, uaid, ["", nodeId]);
    const [fence, holder, olderFence] = reply as [number, Buffer, number];
    return fence === 0 ? null : { fence, older: holderOf(holder, olderFence) };
  }

  /** The node that says it holds the device; null for none. */
  async holder(uaid: Uint8Array): Promise<string | null> {
    const [holder] = (await this.#read(scripts.READ_DEVICE, uaid, ["", "holder"])) as [Buffer | null];
    return holder === null || holder.length === 0 ? null : String(holder);
  }

  /** Nobody holds the device, unless it was claimed again. */
  async release(uaid: Uint8Array, claim: Claim): Promise<void> {
    await this.#write(scripts.RELEASE, uaid, [fenceArgument(claim)]);
  }

  /** True for `who` comes first, and for as long as it then is the first. */
  async elect(key: string, who: string, ms: number): Promise<boolean> {
    const first = await this.#cluster.command(slotOf(key), ["EVAL", scripts.ELECT.text, 1, key, who, ms]);
    return String(first) === who;
  }

  async countMessages(): Promise<number> {
    return (await this.#count())[0];
  }

  async countDevices(): Promise<number> {
    return (await this.#count())[1];
  }

  /** One node does it for all. */
  async expire(nowMs: number): Promise<Expired> {
    const found: Expired & { messages: number; devices: Uint8Array[] } = { messages: 0, devices: [] };
    this.#cluster.check();
    if (this.#isClockWrong) throw new GodwitError("ERR_STORE", "nothing is swept by a clock that is wrong");
    if (!(await this.elect(this.#keys.sweep, this.#name, EXPIRE_INTERVAL_MS))) return found;
    const seen = new Set<string>();
    for (;;) {
      // What is due again at once is for the next sweep.
      const names = (await this.#due(nowMs)).filter((name) => !seen.has(name));
      if (names.length === 0) return found;
      for (const batch of chunks(names, REDIS_SWEEP_BATCH_MAX)) {
        await Promise.all(
          batch.map(async (name) => {
            seen.add(name);
            const uaid = new Uint8Array(Buffer.from(name, "hex"));
            const { reply } = await this.#write(scripts.EXPIRE, uaid, ["", nowMs, name]);
            const [messages = 0, devices] = reply as number[];
            found.messages += messages;
            if (devices === 1) found.devices.push(uaid);
          }),
        );
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#looking);
    await this.#cluster.close();
  }

  /** Nodes come and go, settings are changed, clocks drift, and an administrator may have emptied the store. */
  async #lookAgain(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await this.#cluster.refresh();
      await this.look();
      const epoch = await readEpoch(this.#cluster, this.#keys);
      if (epoch !== this.#epoch) this.#log({ event: "store-unsafe", reason: "the store was emptied" });
      this.#epoch = epoch;
    } catch (error) {
      if (!(error instanceof GodwitError)) throw error;
      if (error.code !== "ERR_STORE_CLOSED") this.#log({ event: "store-failed", error: error.message });
    } finally {
      this.#isLooking = false;
    }
  }

  /** Names of devices that have something to expire: some of each slot. */
  async #due(nowMs: number): Promise<string[]> {
    this.#cluster.check();
    const { tags, indexPrefix } = this.#keys;
    const replies = await this.#cluster.onPrimaries(scripts.DUE, REDIS_SLOTS_PER_SCRIPT_MAX, (slots) => [
      ...[indexPrefix, nowMs, REDIS_DUE_PER_SCRIPT_MAX],
      ...slots.map((slot) => tags[slot] ?? ""),
    ]);
    return (replies as Buffer[][]).flat().map(String);
  }

  async #count(): Promise<[messages: number, devices: number]> {
    this.#cluster.check();
    const { tags, indexPrefix } = this.#keys;
    const replies = await this.#cluster.onPrimaries(scripts.COUNT, REDIS_SLOTS_PER_SCRIPT_MAX, (slots) => [
      indexPrefix,
      ...slots.map((slot) => tags[slot] ?? ""),
    ]);
    const sum = (at: number) => (replies as number[][]).reduce((all, counts) => all + (counts[at] ?? 0), 0);
    return [sum(0), sum(1)];
  }

  async #read(script: Script, uaid: Uint8Array, args: Arguments): Promise<Reply> {
    return this.#cluster.read(this.#call(script, uaid, args));
  }

  /** Tried again for want of an answer it does nothing, and answers as the first time. */
  async #writeOnce(script: Script, uaid: Uint8Array, args: Arguments): Promise<Reply> {
    const call = this.#call(script, uaid, args);
    const operation = this.#keys.ofOperation(uaid, randomBytes(9).toString("base64url"));
    const { reply } = await this.#cluster.write({ ...call, keys: [...call.keys, operation] });
    return reply;
  }

  #write(script: Script, uaid: Uint8Array, args: Arguments) {
    return this.#cluster.write(this.#call(script, uaid, args));
  }

  #call(script: Script, uaid: Uint8Array, args: Arguments): ScriptCall {
    const { slot, keys } = this.#keys.ofDevice(uaid);
    return { slot, script, keys, args };
  }
}

/** An operation that is no session's is never fenced off. */
function fenceArgument(claim: Claim | null): string {
  return claim === null ? "" : `${claim.fence} ${claim.nodeId}`;
}

function holderOf(name: Buffer, fence: number): Holder {
  return { nodeId: name.length === 0 ? null : String(name), fence };
}

function putReply(reply: Reply): [PutResult, Holder] {
  const [outcome, id, replaced, holder, fence] = reply as [Buffer, number, number, Buffer, number];
  if (String(outcome) !== "stored")
    return [{ outcome: String(outcome) as "quota" | "gone" }, { nodeId: null, fence: 0 }];
  const put = { outcome: "stored", id, replacedId: replaced === 0 ? null : replaced } as const;
  return [put, holderOf(holder, fence)];
}

/** What went without an answer once, and finds nothing to do now, was done then; whoever held the device learns it by and by. */
function changedOf(reply: Reply, mayBeRepeat: boolean): Holder | null {
  const [changed, holder, fence] = reply as [number, Buffer, number];
  if (changed === 1) return holderOf(holder, fence);
  return mayBeRepeat ? { nodeId: null, fence: 0 } : null;
}
