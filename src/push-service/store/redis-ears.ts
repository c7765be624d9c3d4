// SPDX-License-Identifier: MIT
/**
 * What a node of the push service hears: one sharded channel of its own, subscribed to at the primary that has its slot. Pub/sub
 * loses what is said while nobody listens, and a connection can be dead without a sign; so the node speaks to itself, and whenever it
 * may have missed something it says so.
 */

import { Redis } from "ioredis";
import { GodwitError } from "../../errors.ts";
import {
  FLEET_BEAT_MS,
  FLEET_DEAF_MS,
  FLEET_DEAF_MS_MAX,
  REDIS_ANSWER_TIMEOUT_MS,
  REDIS_RETRY_DELAY_MS,
} from "../../limits.ts";
import type { Log } from "../log.ts";
import type { RedisCluster } from "./redis-cluster.ts";
import { slotOf } from "./redis-keys.ts";
import { authenticate, redisOptions } from "./redis-node.ts";
import { BEAT } from "./redis-wake.ts";

export interface RedisEarsOptions {
  readonly cluster: RedisCluster;
  /** Its name from now on: another one takes effect with the next subscription. */
  readonly channel: () => string;
  /** `bytes` is the callee's to keep. */
  readonly heard: (bytes: Uint8Array) => void;
  /** Something may have been said that was not heard; from now on everything is. */
  readonly missed: () => void;
  /** Nothing was heard for so long, `FLEET_DEAF_MS_MAX` or more. Again and again. */
  readonly lost: (silentMs: number) => void;
  readonly log: Log;
}

export class RedisEars {
  readonly #options: RedisEarsOptions;
  #redis: Redis | null = null;
  #beat: NodeJS.Timeout | null = null;
  #isBeating = false;
  #heardMs = 0;
  #isClosed = false;
  #listening: Promise<void> = Promise.resolve();

  constructor(options: RedisEarsOptions) {
    this.#options = options;
  }

  /** Whatever is said now is heard, as far as one can know. */
  get isHearing(): boolean {
    return performance.now() - this.#heardMs <= FLEET_DEAF_MS;
  }

  /** @throws {GodwitError} ERR_STORE the channel cannot be subscribed to */
  async open(): Promise<void> {
    let redis: Redis;
    try {
      redis = await this.#subscribe();
    } catch {
      await this.#options.cluster.refresh();
      redis = await this.#subscribe().catch((error: Error) => {
        throw new GodwitError("ERR_STORE", `Redis: ${error.message}`);
      });
    }
    this.#beat = setInterval(() => this.#check(), FLEET_BEAT_MS);
    this.#listening = this.#listen(redis);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#beat !== null) clearInterval(this.#beat);
    this.#redis?.disconnect();
    await this.#listening;
  }

  /** Subscribes again whenever the subscription ends. */
  async #listen(first: Redis): Promise<void> {
    let redis: Redis | null = first;
    while (!this.#isClosed) {
      if (redis !== null) {
        this.#options.log({ event: "fleet-joined" });
        await ended(redis);
        if (this.#isClosed) return;
        this.#options.log({ event: "fleet-lost", error: "the subscription at Redis ended" });
      }
      redis = await this.#resubscribe();
    }
  }

  async #resubscribe(): Promise<Redis | null> {
    try {
      await this.#options.cluster.refresh();
      const redis = await this.#subscribe();
      this.#options.missed();
      return redis;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, REDIS_RETRY_DELAY_MS));
      return null;
    }
  }

  async #subscribe(): Promise<Redis> {
    const { cluster, heard } = this.#options;
    const channel = this.#options.channel();
    const address = cluster.primaryOf(slotOf(channel));
    if (address === "") throw new Error("no Redis primary has the slot");
    const { socketTimeout: _, ...options } = redisOptions(address, cluster.access);
    const redis = new Redis(options);
    redis.on("error", () => {});
    redis.on("smessageBuffer", (_channel: Buffer, bytes: Buffer) => {
      if (this.#redis !== redis) return;
      this.#heardMs = performance.now();
      heard(new Uint8Array(bytes));
    });
    const timer = setTimeout(() => redis.disconnect(), REDIS_ANSWER_TIMEOUT_MS);
    try {
      await redis.connect();
      await authenticate(redis, cluster.access);
      // From now on something may come.
      this.#redis = redis;
      await redis.ssubscribe(channel);
    } catch (error) {
      redis.disconnect();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    this.#heardMs = performance.now();
    if (this.#isClosed) redis.disconnect();
    return redis;
  }

  #check(): void {
    const silentMs = performance.now() - this.#heardMs;
    if (!this.isHearing) {
      this.#redis?.disconnect();
      this.#redis = null;
    }
    if (silentMs > FLEET_DEAF_MS_MAX) this.#options.lost(silentMs);
    void this.#speak();
  }

  /** By the way that other nodes take, so that it shows also when they and we speak to different primaries. */
  async #speak(): Promise<void> {
    if (this.#isBeating) return;
    this.#isBeating = true;
    const channel = this.#options.channel();
    await this.#options.cluster.command(slotOf(channel), ["SPUBLISH", channel, BEAT]).catch(() => {});
    this.#isBeating = false;
  }
}

function ended(redis: Redis): Promise<void> {
  if (redis.status === "end") return Promise.resolve();
  return new Promise((resolve) => redis.once("end", () => resolve()));
}
