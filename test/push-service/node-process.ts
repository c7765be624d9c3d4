// SPDX-License-Identifier: MIT
// A node of the push service over a Redis Cluster, in a process of its own that a test may stop, pause or kill. No tests here.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { PushServiceOptions } from "../../src/push-service/service-options.ts";
import type { RedisStoreOptions } from "../../src/push-service/store/redis.ts";
import { bundledScript } from "../bundled-script.ts";
import { killed } from "../killed.ts";
import { PUBLIC_ORIGIN } from "./bench.ts";

export interface NodeProcess {
  readonly process: ChildProcess;
  readonly port: number;
  /** Kills it. */
  stop(): Promise<void>;
}

/** A node of the push service in a process of its own. */
export async function startNode({
  seeds,
  prefix,
  keyring,
  mqtt,
}: Pick<RedisStoreOptions, "seeds" | "prefix"> &
  Pick<PushServiceOptions, "keyring" | "mqtt">): Promise<NodeProcess> {
  const { id, secret } = keyring.current;
  const storeOptions = { username: null, password: null, tls: null, seeds, prefix };
  const script = `
    import { openRedisStore } from "./src/push-service/store/redis.ts";
    import { createPushService } from "./src/push-service/server.ts";
    const store = await openRedisStore(${JSON.stringify(storeOptions)});
    const keyring = { current: { id: Uint8Array.of(${id}), secret: Uint8Array.of(${secret}) }, older: [] };
    const tokenRate = { burstMax: 1_000, perMinute: 1_000 };
    const more = ${JSON.stringify({ publicOrigin: PUBLIC_ORIGIN, ...(mqtt === undefined ? {} : { mqtt }) })};
    const log = ({ event }) => event === "broker-connected" && console.log(service.port);
    const service = createPushService({ store, keyring, tls: null, log, tokenRate, ...more });
    await service.listen();
    ${mqtt === undefined ? "console.log(service.port);" : ""}
  `;
  const child = spawn(process.execPath, ["--input-type=module"], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(await bundledScript(script));
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  return { process: child, port: Number(line), stop: () => killed(child) };
}
