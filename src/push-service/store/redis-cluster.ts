// SPDX-License-Identifier: MIT
/**
 * A Redis Cluster as one thing that runs scripts: which primary has a slot, and what to do when it has it no longer, does not
 * answer, or is being replaced. Knows nothing of what the scripts do.
 */

import { GodwitError } from "../../errors.ts";
import {
  REDIS_ASKED_MAX,
  REDIS_PENDING_MAX,
  REDIS_READY_MS_MAX,
  REDIS_REDIRECTS_MAX,
  REDIS_RETRY_DELAY_MS,
  REDIS_RETRY_MS_MAX,
} from "../../limits.ts";
import { SLOTS } from "./redis-keys.ts";
import {
  AnswerLost,
  type Arguments,
  type RedisAccess,
  RedisNode,
  type Reply,
  Unreachable,
} from "./redis-node.ts";
import type { Script } from "./redis-script.ts";
import { commonView, isLoopback, parseSlots, primariesOf, type SlotsView } from "./redis-slots.ts";

export interface RedisClusterOptions extends RedisAccess {
  /** host:port of some nodes; the others are learned from them. */
  readonly seeds: readonly string[];
}

/** What a script answered, once it is durable. */
export interface Written {
  readonly reply: Reply;
  /** An earlier attempt may have taken effect already: it went without an answer. */
  readonly mayBeRepeat: boolean;
}

/** One call of a script: its keys are all in `slot`. */
export interface ScriptCall {
  readonly slot: number;
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: Arguments;
}

export class RedisCluster {
  readonly #options: RedisClusterOptions;
  /** By slot, address of its primary. */
  #primaries: string[] = new Array<string>(SLOTS).fill("");
  readonly #nodes = new Map<string, RedisNode>();
  #refreshing: Promise<void> | null = null;
  /** Operations under way, by the primary their slot had when they began; none of those without any. */
  readonly #pending = new Map<string, number>();
  #isClosed = false;
  #isEnded = false;
  #whenIdle: (() => void) | null = null;

  private constructor(options: RedisClusterOptions) {
    this.#options = options;
  }

  /** @throws {GodwitError} ERR_STORE no node answers; ERR_CONFIG it is no cluster */
  static async open(options: RedisClusterOptions): Promise<RedisCluster> {
    const cluster = new RedisCluster(options);
    try {
      await cluster.refresh();
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** Runs a script that changes nothing. */
  read(call: ScriptCall): Promise<Reply> {
    return this.#run(call, async (node, args, isAsking) => (await node.read(args, isAsking)) as Reply).then(
      ({ reply }) => reply,
    );
  }

  /** Runs a script that changes something, until that is durable. */
  write(call: ScriptCall): Promise<Written> {
    return this.#run(call, (node, args, isAsking) => node.write(args, isAsking));
  }

  /** One command with the key of its slot. */
  command(slot: number, args: Arguments): Promise<Reply> {
    return this.#attempts(slot, (node, isAsking) => node.read(args, isAsking)).then(({ reply }) => reply);
  }

  /** Runs a read-only script on each primary, given the slots it has, some at a time. Tried once. */
  async onPrimaries(
    script: Script,
    slotsMax: number,
    args: (slots: number[]) => Arguments,
  ): Promise<Reply[]> {
    await this.refresh();
    const replies = [...this.#slotsByPrimary()].map(([address, slots]) =>
      this.#onOne(address, script, chunks(slots, slotsMax).map(args)),
    );
    return (await Promise.all(replies)).flat();
  }

  /**
   * Which primaries answer a read in time, and how many slots they have. One that does not is looked for anew.
   *
   * @param keyOf any key of a slot
   */
  async answering(keyOf: (slot: number) => string): Promise<{ addresses: Set<string>; slots: number }> {
    const addresses = new Set<string>();
    let answered = 0;
    await Promise.all(
      [...this.#slotsByPrimary()].map(async ([address, slots]) => {
        if (!(await this.#answers(address, keyOf(slots[0] ?? 0)))) return;
        addresses.add(address);
        answered += slots.length;
      }),
    );
    // Whether it succeeds shows with the next look.
    if (answered < SLOTS) void this.refresh().catch(() => {});
    return { addresses, slots: answered };
  }

  /** Some commands to each node that answers; null for one that is refused. `answered` is called as soon as a node has answered them. */
  async eachNode(
    commands: readonly Arguments[],
    answered: (address: string, replies: readonly (Reply | null)[]) => void,
  ): Promise<void> {
    const asked = [...this.#nodes].map(async ([address, node]) => {
      const replies = commands.map((args) => node.read(args).catch(() => null));
      answered(address, await Promise.all(replies));
    });
    await Promise.all(asked);
  }

  /** Of the primary that has `slot`, as far as known; "" when nobody has it. */
  primaryOf(slot: number): string {
    return this.#primaries[slot] ?? "";
  }

  get access(): RedisAccess {
    return this.#options;
  }

  /** Learns again who has which slots. @throws {GodwitError} ERR_STORE */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** Waits for what is under way; everything after it is rejected. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#pending.size > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve));
    this.#isEnded = true;
    for (const node of this.#nodes.values()) node.close();
    this.#nodes.clear();
  }

  check(): void {
    if (this.#isClosed) throw new GodwitError("ERR_STORE_CLOSED", "the store is closed");
  }

  #run(
    { slot, script, keys, args }: ScriptCall,
    send: (node: RedisNode, args: Arguments, isAsking: boolean) => Promise<Reply>,
  ): Promise<Written> {
    return this.#attempts(slot, async (node, isAsking) => {
      try {
        return await send(node, ["EVALSHA", script.sha, keys.length, ...keys, ...args], isAsking);
      } catch (error) {
        if (!codeOf(error, "NOSCRIPT")) throw error;
        return send(node, ["EVAL", script.text, keys.length, ...keys, ...args], isAsking);
      }
    });
  }

  /** Tries until `attempt` succeeds, fails for good, or it has taken too long. */
  async #attempts(
    slot: number,
    attempt: (node: RedisNode, isAsking: boolean) => Promise<Reply>,
  ): Promise<Written> {
    this.check();
    // Each shard has its own bound: one that is away holds up no other.
    const shard = this.primaryOf(slot);
    const count = (by: number) => (this.#pending.get(shard) ?? 0) + by;
    if (count(1) > REDIS_PENDING_MAX) throw failure("too much waits for it");
    this.#pending.set(shard, count(1));
    try {
      return await this.#attemptsUntil(performance.now() + REDIS_RETRY_MS_MAX, slot, attempt);
    } finally {
      if (count(-1) > 0) this.#pending.set(shard, count(-1));
      else this.#pending.delete(shard);
      if (this.#pending.size === 0) this.#whenIdle?.();
    }
  }

  async #attemptsUntil(
    giveUpMs: number,
    slot: number,
    attempt: (node: RedisNode, isAsking: boolean) => Promise<Reply>,
  ): Promise<Written> {
    let mayBeRepeat = false;
    let asking: string | null = null;
    let redirects = 0;
    for (;;) {
      try {
        const node = this.#node(asking ?? this.primaryOf(slot));
        return { reply: await attempt(node, asking !== null), mayBeRepeat };
      } catch (error) {
        if (error instanceof GodwitError) throw error;
        if (error instanceof AnswerLost) mayBeRepeat = true;
        asking = codeOf(error, "ASK") ? addressIn(error as Error) : null;
        if (codeOf(error, "FENCED")) throw new GodwitError("ERR_STORE_FENCED", "another link took its place");
        if (!isPassing(error)) throw failure((error as Error).message);
        if (performance.now() > giveUpMs || this.#isClosed) throw failure((error as Error).message);
        if (codeOf(error, "MOVED")) this.#primaries[slot] = addressIn(error as Error);
        else if (asking === null) redirects = REDIS_REDIRECTS_MAX;
        // Two nodes that name each other are asked in turn no faster than others.
        if (++redirects <= REDIS_REDIRECTS_MAX) continue;
        redirects = 0;
        await this.#pause();
      }
    }
  }

  /** After a failure that passes: a while, and another look at who has what. */
  async #pause(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, REDIS_RETRY_DELAY_MS));
    // Whether that succeeds shows with the next attempt.
    await this.refresh().catch(() => {});
  }

  async #onOne(address: string, script: Script, calls: readonly Arguments[]): Promise<Reply[]> {
    const node = this.#node(address);
    const replies: Reply[] = [];
    for (const args of calls) {
      try {
        replies.push(await node.read(["EVALSHA", script.sha, 0, ...args]));
      } catch (error) {
        if (!codeOf(error, "NOSCRIPT")) throw failure((error as Error).message);
        replies.push(await node.read(["EVAL", script.text, 0, ...args]));
      }
    }
    return replies;
  }

  #slotsByPrimary(): Map<string, number[]> {
    const found = new Map<string, number[]>();
    for (const [slot, address] of this.#primaries.entries()) {
      const slots = found.get(address) ?? [];
      slots.push(slot);
      found.set(address, slots);
    }
    found.delete("");
    return found;
  }

  async #answers(address: string, key: string): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), REDIS_READY_MS_MAX);
    });
    const read = async (): Promise<boolean> => {
      try {
        await this.#node(address).read(["EXISTS", key]);
        return true;
      } catch (error) {
        // The slot went elsewhere: the node is there all the same.
        return codeOf(error, "MOVED") || codeOf(error, "ASK");
      }
    };
    const answers = await Promise.race([read(), late]);
    clearTimeout(timer);
    return answers;
  }

  #node(address: string): RedisNode {
    if (address === "") throw new Unreachable("no Redis primary has the slot");
    const known = this.#nodes.get(address);
    if (known !== undefined) return known;
    // Nobody would close it.
    if (this.#isEnded) throw new GodwitError("ERR_STORE_CLOSED", "the store is closed");
    if (this.#options.tls === null && !isLoopback(address))
      throw new GodwitError(
        "ERR_CONFIG",
        `Redis without TLS is for loopback only, and ${address} is elsewhere`,
      );
    // Who is its replica may have changed.
    const node = new RedisNode(address, this.#options, () => void this.refresh().catch(() => {}));
    this.#nodes.set(address, node);
    return node;
  }

  /** Asks some, in any order: each may be cut off from the others, or not know yet what happened. */
  async #refresh(): Promise<void> {
    const known = shuffled([...new Set([...this.#nodes.keys(), ...this.#options.seeds])]);
    const asked = known.slice(0, REDIS_ASKED_MAX).map(async (address) => {
      const reply = await this.#node(address).read(["CLUSTER", "SLOTS"]);
      return parseSlots(address, reply);
    });
    const { values, error } = await mostOf(asked);
    if (error?.message.includes("cluster support disabled"))
      throw new GodwitError("ERR_CONFIG", "Redis is no cluster: it needs cluster-enabled yes");
    const view = commonView(values);
    if (view === null) throw failure(error?.message ?? "no slot has a primary");
    this.#learn(view);
  }

  #learn(view: SlotsView): void {
    const nodes = new Set([...this.#options.seeds, ...view.addresses]);
    this.#primaries = primariesOf(view);
    for (const address of nodes) this.#node(address).replicas = view.replicas.get(address) ?? 0;
    for (const [address, node] of this.#nodes) {
      if (nodes.has(address)) continue;
      this.#nodes.delete(address);
      node.close();
    }
  }
}

/** Values of more than half of `promises`, or of all that have one; beside them the last error. */
function mostOf<T>(promises: readonly Promise<T>[]): Promise<{ values: T[]; error: Error | null }> {
  return new Promise((resolve) => {
    const values: T[] = [];
    let error: Error | null = null;
    let left = promises.length;
    const end = (): void => {
      if (--left === 0 || values.length > promises.length / 2) resolve({ values, error });
    };
    for (const promise of promises)
      promise
        .then(
          (value) => values.push(value),
          (failed) => {
            error = failed;
          },
        )
        .then(end);
  });
}

/** True for a failure that goes away by itself, or by asking another node. */
function isPassing(error: unknown): boolean {
  if (error instanceof AnswerLost || error instanceof Unreachable) return true;
  return PASSING.some((code) => codeOf(error, code));
}

const PASSING = [
  ...["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY", "BUSY"],
  // What a blocked client is told when its primary becomes a replica.
  "UNBLOCKED",
];

function codeOf(error: unknown, code: string): boolean {
  return error instanceof Error && error.name === "ReplyError" && error.message.startsWith(`${code} `);
}

/** Of `MOVED 3999 127.0.0.1:6381`; a host left out is that of the node that said it, which the next refresh knows. */
function addressIn({ message }: Error): string {
  const address = message.split(" ")[2] ?? "";
  return address.startsWith(":") ? "" : address;
}

/** Redis's own words hold keys of ours at most by their uaid, and never a value. */
function failure(reason: string): GodwitError {
  return new GodwitError("ERR_STORE", `Redis: ${reason.replace(/godwit\S*|[0-9a-f]{32,}/g, "…")}`);
}

function shuffled<T>(items: T[]): T[] {
  for (let left = items.length; left > 1; left--) {
    const at = Math.floor(Math.random() * left);
    const last = items[left - 1] as T;
    items[left - 1] = items[at] as T;
    items[at] = last;
  }
  return items;
}

/** Parts of `items`, in order. */
export function chunks<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += size) parts.push(items.slice(at, at + size));
  return parts;
}
