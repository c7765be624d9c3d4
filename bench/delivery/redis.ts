// SPDX-License-Identifier: MIT
/** A Redis Cluster on loopback as an operator would set it up for this service: three primaries, a replica each, appendfsync always. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { freePort } from "../footprint/mosquitto.ts";

const NODES = 6;
/** Ports are taken by others between asking and listening; also the bus has one of its own. */
const READY_TRIES_MAX = 300;
const READY_PAUSE_MS = 100;

export function hasRedis(): boolean {
  return ["redis-server", "redis-cli"].every((name) => spawnSync(name, ["--version"]).error === undefined);
}

export class RedisNodes {
  readonly addresses: readonly string[];
  readonly #children: readonly ChildProcess[];

  private constructor(addresses: readonly string[], children: readonly ChildProcess[]) {
    this.addresses = addresses;
    this.#children = children;
  }

  /** Data goes to `directory`. */
  static async start(directory: string): Promise<RedisNodes> {
    const addresses: string[] = [];
    const children: ChildProcess[] = [];
    for (let number = 0; number < NODES; number++) {
      const [port, busPort] = [await freePort(), await freePort()];
      const data = join(directory, `redis-${number}`);
      mkdirSync(data, { recursive: true });
      const options = {
        ...{ port, bind: "127.0.0.1", dir: data, save: "", appendonly: "yes", appendfsync: "always" },
        ...{ "cluster-enabled": "yes", "cluster-port": busPort, "cluster-node-timeout": 5000 },
      };
      const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
      children.push(spawn("redis-server", args, { stdio: "ignore" }));
      addresses.push(`127.0.0.1:${port}`);
    }
    const nodes = new RedisNodes(addresses, children);
    for (const address of addresses) await until(() => ask(address, "ping").includes("PONG"));
    const created = spawnSync("redis-cli", [
      "--cluster",
      "create",
      ...addresses,
      "--cluster-replicas",
      "1",
      "--cluster-yes",
    ]);
    if (created.status !== 0) throw new Error(`redis-cli: ${created.stdout}`);
    for (const address of addresses) {
      await until(() => ask(address, "cluster", "info").includes("cluster_state:ok"));
      await until(() => /connected_slaves:1|master_link_status:up/.test(ask(address, "info", "replication")));
    }
    return nodes;
  }

  stop(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }
}

function ask(address: string, ...command: string[]): string {
  const port = address.split(":")[1] ?? "";
  return spawnSync("redis-cli", ["-p", port, ...command], { encoding: "utf8" }).stdout;
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    if (tries === READY_TRIES_MAX) throw new Error("the Redis Cluster does not come up");
    await setTimeout(READY_PAUSE_MS);
  }
}
