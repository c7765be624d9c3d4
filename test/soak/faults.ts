// SPDX-License-Identifier: MIT
// What goes wrong in a soak, one thing at a time, drawn from a seed. Those that end the agent or the service come in the first third
// only: what is killed proves nothing of its memory. No tests here.

import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Chance } from "../simulation/chance.ts";

const KILLS = ["service killed", "agent killed"] as const;
const OTHERS = [
  ...(["apps killed", "links reset", "network away", "service paused", "agent paused"] as const),
  "disk full",
] as const;
export type FaultKind = (typeof KILLS)[number] | (typeof OTHERS)[number];
/** After which the agent dials. It has 30 wake-ups an hour, the last ten one at a time: more often than this it would stay away. */
const COST_A_LINK: readonly FaultKind[] = ["service killed", "links reset", "network away"];
const LINK_FAULTS_APART_MS = 120_000;

/** What a fault happens to. */
export interface Victims {
  killService(awayMs: number): Promise<void>;
  killAgent(awayMs: number): Promise<void>;
  killApps(count: number, awayMs: number): Promise<void>;
  resetLinks(): void;
  /** Nothing passes for so long, then the links are reset. */
  silenceNetwork(awayMs: number): Promise<void>;
  signal(whom: "service" | "agent", signal: "SIGSTOP" | "SIGCONT"): void;
  /** Null where the disk cannot be filled. */
  readonly disk: SmallDisk | null;
}

const APPS_KILLED_MAX = 5;

export class Faults {
  readonly counts: Partial<Record<FaultKind, number>> = {};
  readonly #chance: Chance;
  readonly #victims: Victims;

  readonly #awayMsMax: number;
  #linkLostMs = Number.NEGATIVE_INFINITY;
  /** The next one last. */
  #coming: FaultKind[] = [];

  /** @param awayMsMax how long anything is away or stands still at most */
  constructor(seed: number, awayMsMax: number, victims: Victims) {
    this.#awayMsMax = awayMsMax;
    this.#chance = new Chance(seed, "faults");
    this.#victims = victims;
  }

  /** The next of all, or of those that leave agent and service alive: each once, in any order, then each again; links in their own time. */
  async happen(mayKill: boolean): Promise<void> {
    const atMs = performance.now();
    const isDue = (kind: FaultKind): boolean =>
      !COST_A_LINK.includes(kind) || atMs - this.#linkLostMs >= LINK_FAULTS_APART_MS;
    if (!this.#coming.some(isDue)) {
      const kinds = [...OTHERS, ...(mayKill ? KILLS : [])].filter((kind) => !this.#coming.includes(kind));
      this.#coming.push(...this.#shuffled(kinds));
    }
    const [kind] = this.#coming.splice(this.#coming.findLastIndex(isDue), 1) as [FaultKind];
    if (!mayKill && KILLS.some((kill) => kill === kind)) return;
    if (COST_A_LINK.includes(kind)) this.#linkLostMs = atMs;
    await this.make(kind);
  }

  async make(kind: FaultKind): Promise<void> {
    const { disk } = this.#victims;
    if (kind === "disk full" && disk === null) return;
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    const awayMs = this.#chance.integer(0, this.#awayMsMax);
    switch (kind) {
      case "service killed":
        return this.#victims.killService(awayMs);
      case "agent killed":
        return this.#victims.killAgent(awayMs);
      case "apps killed":
        return this.#victims.killApps(this.#chance.integer(1, APPS_KILLED_MAX), awayMs);
      case "links reset":
        return this.#victims.resetLinks();
      case "network away":
        return this.#victims.silenceNetwork(awayMs);
      case "service paused":
      case "agent paused": {
        const whom = kind === "agent paused" ? "agent" : "service";
        this.#victims.signal(whom, "SIGSTOP");
        await pause(awayMs);
        return this.#victims.signal(whom, "SIGCONT");
      }
      case "disk full":
        disk?.fill();
        await pause(awayMs);
        disk?.empty();
    }
  }

  #shuffled(kinds: readonly FaultKind[]): FaultKind[] {
    return kinds
      .map((kind) => ({ kind, order: this.#chance.next() }))
      .sort((a, b) => a.order - b.order)
      .map(({ kind }) => kind);
  }
}

/** A file system of its own in memory, so small that it can be filled. As root only. */
export class SmallDisk {
  readonly #ballast: string;
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#ballast = join(directory, "ballast");
  }

  /** Mounts one there; null when that is not allowed. */
  static mount(directory: string, bytes: number): SmallDisk | null {
    const options = `size=${bytes},mode=700`;
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory]);
    return status === 0 ? new SmallDisk(directory) : null;
  }

  unmount(): void {
    spawnSync("umount", ["--lazy", this.#directory]);
  }

  fill(): void {
    try {
      for (;;) writeFileSync(this.#ballast, Buffer.alloc(4096), { flag: "a" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }

  empty(): void {
    rmSync(this.#ballast, { force: true });
  }
}
