// SPDX-License-Identifier: MIT
// Who is killed or paused, and for how long: drawn from a seed. One fault at a time, and the next one only when everything is back. No
// tests here.

import { seededRandom } from "../../bench/battery/seeded-random.ts";
import { SLOTS } from "../../src/push-service/store/redis-keys.ts";
import type { TestCluster } from "../push-service/redis-cluster.ts";
import type { ServiceNode } from "./service-node.ts";

const KINDS = ["kill node", "kill primary", "pause node", "pause primary"] as const;
export type FaultKind = (typeof KINDS)[number];

/** From one fault to the next, unless it takes longer until everything is back. */
const EVERY_MS = 5_000;
/** Of a pause, or until what was killed is started again: from nothing noticed to another primary elected, and links given up. */
const AWAY_MS_MAX = 8_000;

export class Faults {
  readonly #random: () => number;
  readonly #nodes: readonly ServiceNode[];
  readonly #cluster: TestCluster;
  readonly counts = new Map<FaultKind, number>();

  constructor(seed: number, nodes: readonly ServiceNode[], cluster: TestCluster) {
    this.#random = seededRandom(seed);
    this.#nodes = nodes;
    this.#cluster = cluster;
  }

  /** Each of `kinds` once, in any order; no further one after `untilMs`, monotonic. */
  async round(kinds: readonly FaultKind[] = KINDS, untilMs = Number.POSITIVE_INFINITY): Promise<void> {
    for (const kind of this.#shuffled(kinds)) {
      if (performance.now() >= untilMs) return;
      const pace = pause(EVERY_MS);
      await this.#happen(kind);
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      await pace;
    }
  }

  /** Of every kind, round after round. */
  async rounds(untilMs: number): Promise<void> {
    while (performance.now() < untilMs) await this.round(KINDS, untilMs);
  }

  async #happen(kind: FaultKind): Promise<void> {
    const awayMs = this.#random() * AWAY_MS_MAX;
    const at = this.#random();
    const victim = kind.endsWith("node")
      ? (this.#nodes[Math.floor(at * this.#nodes.length)] as ServiceNode)
      : await this.#cluster.primaryOf(Math.floor(at * SLOTS));
    if (kind.startsWith("kill")) {
      await victim.kill();
      await pause(awayMs);
      await victim.run();
    } else {
      victim.signal("SIGSTOP");
      await pause(awayMs);
      victim.signal("SIGCONT");
    }
    await this.#cluster.whole();
  }

  #shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, order: this.#random() }))
      .sort((a, b) => a.order - b.order)
      .map(({ item }) => item);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
