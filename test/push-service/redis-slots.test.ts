// SPDX-License-Identifier: MIT
// Goal: who has which slots is believed as most nodes of a Redis Cluster see it, and a node that says something strange leads nobody
// astray. Method: pure views of it; and a process that answers as no honest Redis does.

import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { REDIS_REDIRECTS_MAX, REDIS_RETRY_DELAY_MS } from "../../src/limits.ts";
import { RedisCluster } from "../../src/push-service/store/redis-cluster.ts";
import { SLOTS } from "../../src/push-service/store/redis-keys.ts";
import type { Reply } from "../../src/push-service/store/redis-node.ts";
import { commonView, isLoopback, parseSlots, primariesOf } from "../../src/push-service/store/redis-slots.ts";

const member = (host: string | null, port: number): Reply => [host === null ? null : Buffer.from(host), port];
const view = (...ranges: [first: number, last: number, ...ports: number[]][]) =>
  parseSlots(
    "127.0.0.1:1",
    ranges.map(
      ([first, last, ...ports]): Reply => [first, last, ...ports.map((port) => member("127.0.0.1", port))],
    ),
  );

describe("who has which slots", () => {
  test("primaries, how many replicas each has, and whoever leaves its own name out", () => {
    const reply = [
      [0, 9, member("", 7001), member("127.0.0.1", 7002)],
      [10, SLOTS - 1, member(null, 7003), member("?", 7004), member("::1", 7005)],
    ];
    const seen = parseSlots("127.0.0.9:7001", reply);
    const { replicas, addresses, covered } = seen;
    const primaries = primariesOf(seen);
    expect([primaries[9], primaries[10], covered]).toEqual(["127.0.0.9:7001", "127.0.0.9:7003", SLOTS]);
    expect([...replicas]).toEqual([
      ["127.0.0.9:7001", 1],
      ["127.0.0.9:7003", 2],
    ]);
    expect(addresses.has("::1:7005")).toBe(true);
  });

  test("what most say, in whatever order they say it, else whoever sees more", () => {
    const [whole, again] = [view([0, 9, 1, 2], [10, SLOTS - 1, 3]), view([10, SLOTS - 1, 3, 4], [0, 9, 1])];
    const old = view([0, SLOTS - 1, 5]);
    const part = view([0, 9, 6]);
    expect(commonView([old, whole, again])?.ranges).toBe(whole.ranges);
    expect(commonView([part, old])).toEqual(old);
    expect(commonView([view(), view(), part])).toEqual(part);
    expect(commonView([view()])).toBeNull();
    // A write waits for every replica that may become primary.
    expect([...(commonView([old, whole, again])?.replicas ?? [])]).toEqual([
      ["127.0.0.1:1", 1],
      ["127.0.0.1:3", 1],
    ]);
  });

  test.each([
    ["127.0.0.1:6379", true],
    ["localhost:1", true],
    ["::1:6379", true],
    ["127.0.0.1.example:6379", false],
    ["192.0.2.1:6379", false],
  ])("%s is on loopback: %s", (address, isOnIt) => {
    expect(isLoopback(address)).toBe(isOnIt);
  });
});

describe("a node that is not honest", () => {
  let server: Server | null = null;
  afterEach(() => server?.close());

  /** Answers CLUSTER SLOTS with itself and `also`, and everything else with MOVED to itself, after `heard`. */
  async function start(also: string, heard: () => void): Promise<string> {
    const listening = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", (data) => {
        const { port } = listening.address() as { port: number };
        const members = `*2\r\n+127.0.0.1\r\n:${port}\r\n*2\r\n+${also}\r\n:7000\r\n`;
        for (const command of String(data).split("*").slice(1)) {
          if (command.includes("CLUSTER")) {
            socket.write(`*1\r\n*4\r\n:0\r\n:${SLOTS - 1}\r\n${members}`);
          } else {
            heard();
            socket.write(`-MOVED 1 127.0.0.1:${port}\r\n`);
          }
        }
      });
    });
    server = listening;
    await once(listening.listen(0, "127.0.0.1"), "listening");
    return `127.0.0.1:${(listening.address() as { port: number }).port}`;
  }

  test("without TLS nobody is followed off this machine", async () => {
    const seed = await start("192.0.2.1", () => {});
    const options = { username: null, password: null, tls: null, seeds: [seed] };
    await expect(RedisCluster.open(options)).rejects.toMatchObject({
      code: "ERR_CONFIG",
      message: "Redis without TLS is for loopback only, and 192.0.2.1:7000 is elsewhere",
    });
  });

  test("sent round in a circle an operation takes its time", async () => {
    const rounds = 3;
    let [count, startMs] = [0, 0];
    let end = (_ms: number): void => {};
    const ended = new Promise<number>((resolve) => (end = resolve));
    const seed = await start("127.0.0.1", () => {
      count++;
      if (count === 1) startMs = performance.now();
      if (count > rounds * (1 + REDIS_REDIRECTS_MAX)) end(performance.now() - startMs);
    });
    const cluster = await RedisCluster.open({ username: null, password: null, tls: null, seeds: [seed] });
    const asked = cluster.command(1, ["EXISTS", "key"]).catch((error: Error) => error);
    // A timer may be a millisecond early.
    expect(await ended).toBeGreaterThanOrEqual(rounds * (REDIS_RETRY_DELAY_MS - 1));
    await cluster.close();
    expect(await asked).toMatchObject({ code: "ERR_STORE" });
  });
});
