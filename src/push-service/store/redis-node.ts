// SPDX-License-Identifier: MIT
/**
 * One Redis process as the store uses it: a connection to read by, and one to write by. Knows no slots and tries nothing twice.
 */

import { Redis, type RedisOptions } from "ioredis";
import { GodwitError } from "../../errors.ts";
import {
  REDIS_ANSWER_TIMEOUT_MS,
  REDIS_BATCH_MAX,
  REDIS_REPLICA_TIMEOUT_MS,
  REDIS_REPLICA_WAIT_MS,
} from "../../limits.ts";
import { tlsOptions } from "../../node/tls.ts";

export type Reply = Buffer | number | null | readonly Reply[];
export type Arguments = readonly (string | number | Uint8Array)[];

/** How to reach any node of the cluster. */
export interface RedisAccess {
  readonly username: string | null;
  readonly password: string | null;
  /** PEM certificates to trust besides the system's, or none; null for a cluster without TLS. */
  readonly tls: { readonly ca: string | null } | null;
}

/** The connection ended before the answer: nobody knows whether it took effect. */
export class AnswerLost extends Error {}
/** It was never sent. */
export class Unreachable extends Error {}

interface Call {
  readonly args: Arguments;
  /** It was sent here by a node that is giving the slot away. */
  readonly isAsking: boolean;
  /** Monotonic ms. */
  readonly sinceMs: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: Error) => void;
}

export class RedisNode {
  /** How many replicas it is known to have: a write waits for all of them, and for one at least. */
  replicas = 0;
  readonly #lacksReplicas: () => void;
  readonly #reader: Line;
  readonly #writer: Line;
  #reads: Call[] = [];
  #writes: Call[] = [];
  #isWriting = false;
  /** The last wait for replicas was not in vain, so that the next one is sent along with what it waits for. */
  #isReplicated = true;

  /**
   * @param address host:port
   * @param lacksReplicas called when not all of {@link replicas} have what was written, as long as that is so
   */
  constructor(address: string, access: RedisAccess, lacksReplicas: () => void) {
    this.#lacksReplicas = lacksReplicas;
    this.#reader = new Line(address, access);
    this.#writer = new Line(address, access);
  }

  /** @throws AnswerLost, Unreachable, or what Redis says, as a ReplyError */
  read(args: Arguments, isAsking = false): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#reads.push({ args, isAsking, sinceMs: 0, resolve, reject });
      if (this.#reads.length === 1) queueMicrotask(() => void this.#sendReads());
    });
  }

  /**
   * Resolves once its replicas have it too, with an append-only file that is flushed before any answer.
   *
   * @throws as {@link read}; GodwitError ERR_STORE when they did not have it in time: it may be there all the same
   */
  write(args: Arguments, isAsking: boolean): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#writes.push({ args, isAsking, sinceMs: performance.now(), resolve, reject });
      if (!this.#isWriting) queueMicrotask(() => void this.#sendWrites());
    });
  }

  /** Ends both connections; what waits for an answer is rejected. */
  close(): void {
    this.#reader.close();
    this.#writer.close();
  }

  async #sendReads(): Promise<void> {
    const calls = this.#reads;
    this.#reads = [];
    try {
      const redis = await this.#reader.connection();
      for (const [call, reply] of send(redis, calls)) reply.then(call.resolve, call.reject);
    } catch (error) {
      for (const { reject } of calls) reject(error as Error);
    }
  }

  /** One batch after the other: what comes while one waits for the replica makes up the next. */
  async #sendWrites(): Promise<void> {
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (this.#writes.length > 0) {
      const batch = this.#writes.splice(0, REDIS_BATCH_MAX).filter((call) => !isTooLate(call));
      if (batch.length === 0) continue;
      try {
        await this.#writeBatch(batch);
      } catch (error) {
        for (const { reject } of batch) reject(error as Error);
      }
    }
    this.#isWriting = false;
  }

  async #writeBatch(batch: readonly Call[]): Promise<void> {
    const redis = await this.#writer.connection();
    const sent = send(redis, this.#isReplicated ? [...batch, this.#waitCall()] : batch);
    const wait = this.#isReplicated ? sent.pop()?.[1] : undefined;
    // Looked at below, if at all.
    wait?.catch(() => {});
    const replies = await Promise.allSettled(sent.map(([, reply]) => reply));
    const written: [Call, Reply][] = [];
    for (const [at, [call]] of sent.entries()) {
      const reply = replies[at];
      if (reply?.status === "fulfilled") written.push([call, reply.value]);
      else {
        const refusal = reply?.reason as Error;
        // Then there is nothing to wait for, and a wait sent along would hold up the next batch.
        if (refusal.message.startsWith("NOREPLICAS ")) this.#isReplicated = false;
        call.reject(refusal);
      }
    }
    const failed = written.length === 0 ? null : await this.#whyNotReplicated(redis, wait);
    for (const [call, reply] of written) {
      if (failed === null) call.resolve(reply);
      else call.reject(failed);
    }
  }

  /**
   * Null once the replicas have everything written by `redis`: on another connection WAIT would know nothing of it, so that with the
   * connection the answer is lost. Where the last wait was in vain this one is short.
   *
   * @param first sent already, or undefined
   */
  async #whyNotReplicated(redis: Redis, first: Promise<Reply> | undefined): Promise<Error | null> {
    const giveUpMs = this.#isReplicated ? performance.now() + REDIS_REPLICA_WAIT_MS : 0;
    try {
      this.#isReplicated = this.#isEnough(await (first ?? this.#wait(redis)));
      while (!this.#isReplicated && performance.now() < giveUpMs)
        this.#isReplicated = this.#isEnough(await this.#wait(redis));
      return this.#isReplicated ? null : notReplicated();
    } catch (error) {
      // Also a primary that became a replica, and waits for nobody: what was written may be gone.
      return new AnswerLost((error as Error).message);
    }
  }

  /** `count`: what WAIT answered. One that is known and dead is soon not known any more. */
  #isEnough(count: Reply): boolean {
    const isEnough = Number(count) >= this.#needed;
    if (!isEnough) this.#lacksReplicas();
    return isEnough;
  }

  async #wait(redis: Redis): Promise<Reply> {
    const [sent] = send(redis, [this.#waitCall()]);
    return sent?.[1] ?? null;
  }

  #waitCall(): Call {
    const args = ["WAIT", this.#needed, REDIS_REPLICA_TIMEOUT_MS];
    return { args, isAsking: false, sinceMs: 0, resolve: () => {}, reject: () => {} };
  }

  get #needed(): number {
    return Math.max(1, this.replicas);
  }
}

/** Rejects what waited for others' replicas as long as it would have waited for its own. */
function isTooLate({ sinceMs, reject }: Call): boolean {
  if (performance.now() < sinceMs + REDIS_REPLICA_WAIT_MS) return false;
  reject(notReplicated());
  return true;
}

function notReplicated(): GodwitError {
  return new GodwitError("ERR_STORE", "the replicas of the Redis primary have not taken it in time");
}

/** One connection, made when it is needed and again after it ended. */
class Line {
  readonly #options: RedisOptions;
  readonly #access: RedisAccess;
  #redis: Redis | null = null;
  #connecting: Promise<Redis> | null = null;
  #isClosed = false;

  constructor(address: string, access: RedisAccess) {
    this.#options = redisOptions(address, access);
    this.#access = access;
  }

  /** The one there is, or a new one. @throws Unreachable */
  async connection(): Promise<Redis> {
    return this.#redis ?? this.#connect();
  }

  close(): void {
    this.#isClosed = true;
    this.#redis?.disconnect();
  }

  #connect(): Promise<Redis> {
    this.#connecting ??= this.#dial().finally(() => {
      this.#connecting = null;
    });
    return this.#connecting;
  }

  async #dial(): Promise<Redis> {
    const redis = new Redis(this.#options);
    let cause: string | null = null;
    redis.on("error", (error: Error) => {
      cause ??= error.message;
    });
    redis.on("end", () => {
      if (this.#redis === redis) this.#redis = null;
    });
    try {
      await redis.connect();
      await authenticate(redis, this.#access);
    } catch (error) {
      redis.disconnect();
      throw new Unreachable(cause ?? (error as Error).message);
    }
    if (this.#isClosed || redis.status !== "ready") {
      redis.disconnect();
      throw new Unreachable("the connection ended at once");
    }
    this.#redis = redis;
    return redis;
  }
}

/** Sends all in one go. An answer that does not come in time ends the connection. */
function send(redis: Redis, calls: readonly Call[]): [Call, Promise<Reply>][] {
  const { stream } = redis;
  stream.cork();
  const sent = calls.map((call): [Call, Promise<Reply>] => {
    if (call.isAsking) redis.call("ASKING").catch(() => {});
    return [call, answer(redis, call.args)];
  });
  stream.uncork();
  return sent;
}

/** Before anything else is sent: the library would go on as the user that needs no password, if there is one. */
export async function authenticate(redis: Redis, { username, password }: RedisAccess): Promise<void> {
  if (password === null) return;
  await redis.call("AUTH", ...(username === null ? [] : [username]), password);
}

/** Options of every connection: it is made once, loses nothing silently, and repeats nothing. */
export function redisOptions(address: string, { tls }: Pick<RedisAccess, "tls">): RedisOptions {
  const at = address.lastIndexOf(":");
  return {
    host: address.slice(0, at),
    port: Number(address.slice(at + 1)),
    ...(tls === null ? {} : { tls: tlsOptions(tls.ca) }),
    lazyConnect: true,
    enableReadyCheck: false,
    enableOfflineQueue: false,
    disableClientInfo: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    connectTimeout: REDIS_ANSWER_TIMEOUT_MS,
    // Of a connection from which nothing comes while an answer is owed.
    socketTimeout: REDIS_ANSWER_TIMEOUT_MS,
  };
}

async function answer(redis: Redis, args: Arguments): Promise<Reply> {
  const [name = "", ...rest] = args;
  try {
    const values = rest.map((value) => (value instanceof Uint8Array ? asBuffer(value) : value));
    return (await redis.callBuffer(String(name), ...values)) as Reply;
  } catch (error) {
    if ((error as Error).name === "ReplyError") throw error;
    throw new AnswerLost((error as Error).message);
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
