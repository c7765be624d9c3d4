// SPDX-License-Identifier: MIT
// Goal: whatever is killed or paused, every message that was answered 201 comes to its app exactly once, repeats suppressed by id.
// Method: three `godwit push-service` processes over a Redis Cluster of six, behind a balancer; devices and senders on real sockets;
// one process at a time is killed or paused, as a seed has it, and comes back. TEST_CHAOS_S: seconds of that, else a small fleet loses
// one process of each kind; TEST_CHAOS_SEED: of an earlier run.

import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { writeProof } from "../../scripts/proof.mjs";
import { isRedisInstalled, TestCluster } from "../push-service/redis-cluster.ts";
import { Balancer } from "./balancer.ts";
import { ChaosDevice } from "./devices.ts";
import { Faults } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { Senders } from "./senders.ts";
import { ServiceNode } from "./service-node.ts";

const NODES = 3;
const ENROLLING_MAX = 20;
const POST_EVERY_MS = 500;
/** After the last fault. A Bye can ask a device to stay away for a minute and a half of it. */
const DRAIN_MS_MAX = 120_000;
const START_MS_MAX = 90_000;
/** Beside the faults: the last of them, and what is then still to be answered. */
const REST_MS_MAX = 120_000;

const durationS = Number(process.env.TEST_CHAOS_S ?? 0);
const isLong = durationS > 0;
const DEVICES = isLong ? 200 : 40;
/** When all is well each POSTs twice a second. */
const SENDERS = isLong ? 24 : 8;
const seed = Number(process.env.TEST_CHAOS_SEED ?? (isLong ? Date.now() % 1_000_000 : 1));

describe.skipIf(!isRedisInstalled)("a fleet whose processes die and stall", () => {
  let directory = "";
  const ledger = new Ledger();
  let cluster: TestCluster;
  let nodes: ServiceNode[] = [];
  let balancer: Balancer;
  let devices: { device: ChaosDevice; path: string }[] = [];

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), "godwit-chaos-"));
    cluster = await TestCluster.start();
    nodes = Array.from({ length: NODES }, () => new ServiceNode(directory, cluster.seeds));
    // The first one makes the keys.
    for (const node of nodes) await node.run();
    balancer = await Balancer.start(nodes);
    for (let first = 0; first < DEVICES; first += ENROLLING_MAX)
      devices.push(
        ...(await Promise.all(
          Array.from({ length: Math.min(ENROLLING_MAX, DEVICES - first) }, (_, at) =>
            ChaosDevice.enrol({ number: first + at, port: balancer.port, ledger }),
          ),
        )),
      );
  }, START_MS_MAX);

  afterEach(async () => {
    for (const { device } of devices) device.close();
    devices = [];
    await balancer?.stop();
    await Promise.all(nodes.map((node) => node.kill()));
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test(
    `seed ${seed}`,
    async () => {
      const faults = new Faults(seed, nodes, cluster);
      const senders = new Senders({
        ...{ port: balancer.port, paths: devices.map(({ path }) => path), ledger },
        ...{ count: SENDERS, everyMs: POST_EVERY_MS },
      });
      if (isLong) await faults.rounds(performance.now() + durationS * 1000);
      else await faults.round(["kill node", "kill primary"]);
      const endMs = performance.now();
      const patience = { timeout: DRAIN_MS_MAX, interval: 50 };
      await senders.stop();
      const isCalm = () => ledger.isSettled() && devices.every(({ device }) => device.isConnected);
      await vi.waitUntil(isCalm, patience).catch(() => ledger.note("not everything came in time"));
      const drainMs = Math.round(performance.now() - endMs);
      // Whatever was acknowledged is gone for good.
      await Promise.all(devices.map(({ device }) => device.drained()));
      const counts = Object.fromEntries(faults.counts);
      const figures = {
        seed,
        durationS,
        attempts: ledger.attempts,
        accepted: ledger.accepted,
        refusals: ledger.refusals(),
        faults: counts,
        linksLost: devices.reduce((sum, { device }) => sum + device.losses, 0),
        repeatsSuppressed: ledger.repeats,
        longestWithout201Ms: Math.round(ledger.longestWithoutMs),
        drainMs,
        load: loadavg().map((load) => Math.round(load * 10) / 10),
      };
      console.info(`chaos: ${JSON.stringify(figures)}`);
      const count = (value: number) => ({ value, unit: "" });
      const row = {
        case: "cluster",
        figures: {
          devices: count(DEVICES),
          accepted: count(ledger.accepted),
          "lost or shown twice": { ...count(ledger.wrongs().length), valueMax: 0 },
          "repeats suppressed": count(ledger.repeats),
          faults: count(Object.values(counts).reduce((sum, of) => sum + of, 0)),
          "links lost": count(figures.linksLost),
          "longest without 201": { value: figures.longestWithout201Ms / 1000, unit: "s" },
          drained: { value: drainMs / 1000, unit: "s" },
        },
      };
      const command = `TEST_CHAOS_SEED=${seed} TEST_CHAOS_S=${durationS} npm run test:long -- chaos`;
      if (isLong) writeProof("chaos", command, [row]);
      expect(nodes.every((node) => node.isWell)).toBe(true);
      expect(ledger.wrongs()).toEqual([]);
      expect(ledger.accepted).toBeGreaterThan(0);
    },
    durationS * 1000 + REST_MS_MAX + 2 * DRAIN_MS_MAX,
  );
});
