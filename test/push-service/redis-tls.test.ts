// SPDX-License-Identifier: MIT
// Goal: a Redis Cluster that speaks TLS alone is joined, heard and written to, by whoever trusts its certificates and by nobody else; and a
// write waits for all replicas. Method: a real cluster of one primary and two replicas, with certificates of an authority of its own.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import { Hub } from "../../src/push-service/hub.ts";
import type { LogEvent } from "../../src/push-service/log.ts";
import { openRedisStore, type RedisStore } from "../../src/push-service/store/redis.ts";
import { type FleetAuthority, makeFleetAuthority } from "./certificates.ts";
import { isRedisInstalled, TestCluster } from "./redis-cluster.ts";
import { messageOf, uaidOf } from "./store-contract.ts";

const NOW_MS = 1_600_000_000_000;
const ACCESS = { username: null, password: null } as const;
let directory = "";
let authority: FleetAuthority;
let cluster: TestCluster;
let store: RedisStore;

describe.skipIf(!isRedisInstalled)("Redis Cluster over TLS, with two replicas", () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "godwit-redis-tls-"));
    await loadDevCertificate({ directory, nowMs: Date.now() });
    authority = await makeFleetAuthority("Redis");
    const tls = { ca: authority.ca, ...(await authority.issue(null)) };
    cluster = await TestCluster.start([], { primaries: 1, replicas: 2, tls });
    store = await openRedisStore({ ...ACCESS, seeds: cluster.seeds, tls: { ca: authority.ca } });
    await store.createDevice(uaidOf(1), NOW_MS);
    await store.register(uaidOf(1), uaidOf(9), null, NOW_MS);
  }, 60_000);
  afterAll(async () => {
    await store?.close();
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test("operations and subscriptions", async () => {
    const log: LogEvent[] = [];
    const fleet = await store.join(new Hub(), (event) => log.push(event));
    const held = await fleet.claim(uaidOf(1));
    expect(await fleet.putMessage(uaidOf(1), 1, messageOf())).toMatchObject({ id: 1 });
    expect(await held.ack([[1, 1]])).toBe(1);
    expect(await fleet.isElsewhere(uaidOf(1))).toBe(false);
    await fleet.checkReady();
    await fleet.close();
    expect(log).toEqual([{ event: "fleet-joined" }]);
  });

  test.each(["another authority's certificates", "the system's alone", "no TLS"])(
    "not with %s",
    async (what) => {
      const other = await makeFleetAuthority("another");
      const tls = what === "no TLS" ? null : { ca: what.startsWith("another") ? other.ca : null };
      const opening = openRedisStore({ ...ACCESS, seeds: cluster.seeds, tls });
      await expect(opening).rejects.toMatchObject({ code: "ERR_STORE" });
    },
  );

  test("a message is accepted when both replicas have it, or the one that lacks it cannot become primary", async () => {
    const [primary, replica] = [cluster.nodes[0], cluster.nodes[2]];
    const put = () => store.putMessage(uaidOf(1), 1, messageOf());
    const known = async () => {
      const replies = await Promise.all(cluster.nodes.map((node) => node.ask("CLUSTER", "SLOTS")));
      return (replies as unknown[][][]).map(([range]) => range?.length);
    };
    // First and last slot, a primary and its replicas.
    await expect.poll(known, { timeout: 20_000 }).toEqual([5, 5, 5]);
    // Looks who is there, which the service does every minute.
    await store.countDevices();
    replica?.signal("SIGSTOP");
    try {
      // Refused until then, in vain for as long as a write waits.
      expect(await vi.waitFor(put, { timeout: 20_000 })).toMatchObject({ outcome: "stored" });
      const seen = String(await primary?.ask("CLUSTER", "NODES")).split("\n");
      expect(seen.find((line) => line.includes(`:${replica?.port}@`))).toMatch(/slave,fail /);
    } finally {
      replica?.signal("SIGCONT");
    }
    await cluster.whole();
  });
});
