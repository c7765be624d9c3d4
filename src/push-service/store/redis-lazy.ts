// SPDX-License-Identifier: MIT
/** The way to the Redis store that loads `ioredis` only when it is taken. */

import type { RedisStoreOptions } from "./redis.ts";
import type { Store } from "./store.ts";

export type { RedisStoreOptions } from "./redis.ts";

/** As `openRedisStore` of redis.ts. */
export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const { openRedisStore: open } = await import("./redis.ts");
  return open(options);
}
