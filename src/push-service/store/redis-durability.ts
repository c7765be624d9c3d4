// SPDX-License-Identifier: MIT
/** Whether a Redis Cluster keeps what was written, by its settings and clocks: looked at when the store is opened, and again and again. */

import { REDIS_CLOCK_SKEW_MS_MAX } from "../../limits.ts";
import type { RedisCluster } from "./redis-cluster.ts";
import type { Reply } from "./redis-node.ts";

/** Sharded pub/sub, and scripts with flags. */
const VERSION_MIN = 7;
/** Setting → what it has to be, or a message that was acknowledged can be lost. */
const SETTINGS = {
  appendfsync: "always",
  "no-appendfsync-on-rewrite": "no",
  "maxmemory-policy": "noeviction",
} as const;
type Setting = keyof typeof SETTINGS;

/** In sentences, which name nodes of Redis at most. */
export interface Findings {
  /** What was acknowledged can be lost. */
  readonly faults: readonly string[];
  /** What cannot be known, or keeps everything from being accepted. */
  readonly doubts: readonly string[];
  /** Most of Redis has another time than this machine. */
  readonly isClockWrong: boolean;
}

/**
 * Looks at every node that answers: a replica is the primary of tomorrow.
 *
 * @param epochMs what this machine's clock says now
 */
export async function examine(cluster: RedisCluster, epochMs: number): Promise<Findings> {
  const names = Object.keys(SETTINGS) as Setting[];
  const commands = [["INFO"], ["TIME"], ...names.map((name) => ["CONFIG", "GET", name])];
  const [faults, doubts]: [string[], string[]] = [[], []];
  let [clocks, wrong] = [0, 0];
  await cluster.eachNode(commands, (address, [info, time, ...settings]) => {
    if (info === null || info === undefined) return;
    const lacks = needOf(String(info));
    if (lacks !== null) faults.push(`Redis at ${address} can lose what it acknowledged: it needs ${lacks}`);
    if (isAlone(String(info)))
      doubts.push("a Redis primary has no replica: nothing is accepted for its devices");
    for (const [at, name] of names.entries()) {
      const value = settingOf(settings[at] ?? null);
      const needed = `${name} ${SETTINGS[name]}`;
      if (value === null) doubts.push(`Redis does not tell whether ${name} is ${SETTINGS[name]}`);
      else if (value !== SETTINGS[name])
        faults.push(`Redis at ${address} can lose what it acknowledged: it needs ${needed}`);
    }
    if (!Array.isArray(time)) return;
    clocks++;
    if (Math.abs(Number(time[0]) * 1000 - epochMs) > REDIS_CLOCK_SKEW_MS_MAX) wrong++;
  });
  const isClockWrong = wrong > clocks / 2;
  const skew = `by more than ${REDIS_CLOCK_SKEW_MS_MAX / 1000} s`;
  if (isClockWrong) faults.push(`this machine's clock differs from those of Redis ${skew}`);
  else if (wrong > 0) doubts.push(`the clock of a node of Redis differs from this machine's ${skew}`);
  return { faults: [...new Set(faults)], doubts: [...new Set(doubts)], isClockWrong };
}

const field = (info: string, name: string) => new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1] ?? "";

/** What it has to be or have, or null. */
function needOf(info: string): string | null {
  if (Number.parseInt(field(info, "redis_version"), 10) < VERSION_MIN) return `version ${VERSION_MIN}`;
  return field(info, "aof_enabled") === "1" ? null : "appendonly yes";
}

function isAlone(info: string): boolean {
  return field(info, "role") === "master" && field(info, "connected_slaves") === "0";
}

/** `reply`: name and value; null where the command is not allowed. */
function settingOf(reply: Reply): string | null {
  return Array.isArray(reply) && reply.length === 2 ? String(reply[1]) : null;
}
