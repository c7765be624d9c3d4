// SPDX-License-Identifier: MIT
/** The options of `godwit push-service` that name its store, and opening it. */

import { CommandError, EXIT } from "../configuration/exit.ts";
import {
  type OptionSpecs,
  type Options,
  readCertificates,
  readSecretFile,
} from "../configuration/options.ts";
import * as limits from "../limits.ts";
import {
  type Log,
  MemoryStore,
  openLmdbStore,
  openRedisStore,
  type RedisStoreOptions,
  type Store,
} from "../push-service/index.ts";
import { isLoopback } from "../push-service/store/redis-slots.ts";
import { nodeSurroundings } from "./surroundings.ts";

export const STORE_OPTIONS: OptionSpecs = {
  store: {
    kind: "text",
    value: "WORD|URL",
    fallback: "lmdb",
    help: "lmdb keeps messages over a restart, memory does not; rediss://HOST:PORT,HOST:PORT is a Redis Cluster, for any number of services",
  },
  redisUser: { kind: "text", value: "NAME", help: "our user there" },
  redisPasswordFile: { kind: "text", value: "FILE", help: "its password (mode 0600)" },
  redisCa: { kind: "text", value: "FILE", help: "PEM certificates to trust there besides the system's" },
  deviceMessages: {
    kind: "number",
    value: "N",
    min: 1,
    max: 1_000_000,
    fallback: limits.DEVICE_MESSAGES_MAX,
    help: "messages stored for one device; further ones get 429",
  },
  deviceBytes: {
    kind: "number",
    value: "BYTES",
    min: 8_192,
    max: 1_073_741_824,
    fallback: limits.DEVICE_MESSAGE_BYTES_MAX,
    help: "bytes of them, 128 for each besides its body and headers",
  },
};

const REDIS_OPTIONS = [
  ["redisUser", "--redis-user"],
  ["redisPasswordFile", "--redis-password-file"],
  ["redisCa", "--redis-ca"],
] as const;
const REDIS_PORT = 6_379;

/** @param directory of the store on disk */
export async function openStore(options: Options, directory: string, log: Log): Promise<Store> {
  const quota = {
    messagesMax: options.requiredNumber("deviceMessages"),
    messageBytesMax: options.requiredNumber("deviceBytes"),
  };
  const name = options.required("store");
  const cluster = readRedis(options, name);
  if (cluster !== null) return openRedisStore({ ...cluster, quota, log });
  if (name === "memory") return new MemoryStore(quota);
  if (name === "lmdb") return openLmdbStore({ directory, quota });
  throw new CommandError(
    EXIT.config,
    "--store must be lmdb, memory, or like rediss://one.example:6379,two.example:6379",
  );
}

/** Null for a store that is none of Redis. What cannot work is said before anybody is asked. */
function readRedis(
  options: Options,
  url: string,
): Pick<RedisStoreOptions, "seeds" | "username" | "password" | "tls"> | null {
  const [, scheme, rest = ""] = /^(rediss?):\/\/(.*)$/.exec(url) ?? [];
  if (scheme === undefined) {
    const named = REDIS_OPTIONS.find(([name]) => options.text(name) !== null);
    if (named === undefined) return null;
    throw new CommandError(EXIT.config, `${named[1]} says something only with --store rediss://…`);
  }
  // Arguments are seen by every user of the machine, and this message must not show it once more.
  if (rest.includes("@"))
    throw new CommandError(
      EXIT.config,
      "--store holds a password: --redis-user and --redis-password-file do",
    );
  const seeds = rest.split(",").map(seedOf);
  if (scheme === "redis" && !seeds.every(isLoopback))
    throw new CommandError(EXIT.config, "redis is for loopback only: --store must be a rediss URL");
  const username = options.text("redisUser");
  const passwordFile =
    username === null ? options.text("redisPasswordFile") : options.required("redisPasswordFile");
  const caFile = options.text("redisCa");
  return {
    seeds,
    username,
    password: passwordFile === null ? null : readSecretFile(passwordFile, nodeSurroundings()).trim(),
    tls:
      scheme === "redis"
        ? null
        : { ca: caFile === null ? null : readCertificates(caFile, nodeSurroundings()) },
  };
}

/** host:port, with the port of Redis where none is said, and without brackets. */
function seedOf(text: string): string {
  const url = URL.canParse(`http://${text}`) ? new URL(`http://${text}`) : null;
  if (url === null || url.pathname !== "/" || text.endsWith("/") || url.search !== "" || url.hash !== "")
    throw new CommandError(EXIT.config, "--store must be like rediss://one.example:6379,two.example:6379");
  // The port of the scheme counts as said by nobody.
  return `${url.hostname.replace(/^\[(.*)\]$/, "$1")}:${url.port === "" ? (text.endsWith(":80") ? 80 : REDIS_PORT) : url.port}`;
}
