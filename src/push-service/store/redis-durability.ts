// SPDX-License-Identifier: MIT
/** Whether the settings of a Redis Cluster keep what was written: looked at once, when the store is opened. */

import { GodwitError } from "../../errors.ts";
import type { Log } from "../log.ts";
import type { RedisCluster } from "./redis-cluster.ts";
import type { Reply } from "./redis-node.ts";

/** Sharded pub/sub, and scripts with flags. */
const VERSION_MIN = 7;
/** Setting → what it has to be, or a message that was acknowledged can be lost. */
const SETTINGS = { appendfsync: "always", "maxmemory-policy": "noeviction" } as const;

/**
 * Looks at every node that answers: a replica is the primary of tomorrow.
 *
 * @throws {GodwitError} ERR_CONFIG a node would lose what was acknowledged
 */
export async function checkDurability(cluster: RedisCluster, log: Log): Promise<void> {
  const names = Object.keys(SETTINGS) as (keyof typeof SETTINGS)[];
  const commands = [["INFO"], ...names.map((name) => ["CONFIG", "GET", name])];
  for (const { address, replies } of await cluster.eachNode(commands)) {
    const [info, ...settings] = replies;
    if (info === null || info === undefined) continue;
    checkInfo(address, String(info), log);
    for (const [at, name] of names.entries()) checkSetting(address, name, settings[at] ?? null, log);
  }
}

function checkInfo(address: string, info: string, log: Log): void {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\r?$`, "m").exec(info)?.[1] ?? "";
  if (Number.parseInt(field("redis_version"), 10) < VERSION_MIN)
    throw new GodwitError("ERR_CONFIG", `Redis ${VERSION_MIN} is needed, and ${address} is older`);
  if (field("aof_enabled") !== "1") throw unsafe(address, "appendonly yes");
  if (field("role") === "master" && field("connected_slaves") === "0")
    log({
      event: "store-unsafe",
      reason: "a Redis primary has no replica: nothing is accepted for its devices",
    });
}

/** `reply`: name and value; null where the command is not allowed. */
function checkSetting(address: string, name: keyof typeof SETTINGS, reply: Reply, log: Log): void {
  const value = Array.isArray(reply) && reply.length === 2 ? String(reply[1]) : null;
  if (value === null)
    log({ event: "store-unsafe", reason: `Redis does not tell whether ${name} is ${SETTINGS[name]}` });
  else if (value !== SETTINGS[name]) throw unsafe(address, `${name} ${SETTINGS[name]}`);
}

function unsafe(address: string, setting: string): GodwitError {
  return new GodwitError(
    "ERR_CONFIG",
    `Redis at ${address} can lose what it acknowledged: it needs ${setting}`,
  );
}
