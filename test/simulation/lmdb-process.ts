// SPDX-License-Identifier: MIT
/** Processes that use the real store on disk: one that lives a history and is cut off in it, one that looks at what is left. */

import { createHash } from "node:crypto";
import { appendFileSync, statSync } from "node:fs";
import { openLmdbStore } from "../../src/push-service/store/lmdb.ts";
import { contentOf, makeHistory } from "./lmdb-history.ts";

/** What a process is to do, as JSON in the environment (`LMDB_TASK`). */
export type Task =
  | {
      readonly type: "live";
      readonly directory: string;
      readonly seed: number;
      readonly groups: number;
      /** Gets a {@link Progress} as JSON a line. */
      readonly progressFile: string;
      /** Of the layer below. */
      readonly logFile: string;
    }
  | { readonly type: "look"; readonly directories: readonly string[] };

/** The log's length when a group of operations was asked for, or was answered. */
export interface Progress {
  readonly group: number;
  readonly type: "asked" | "answered" | "refused";
  readonly logBytes: number;
}

/** Prints a line for each directory: SHA-256 of what the store in it holds. */
export async function perform(task: Task): Promise<void> {
  if (task.type === "live") return live(task);
  for (const directory of task.directories) {
    const store = await openLmdbStore({ directory, freeBytesMin: 0 });
    const content = await contentOf(store);
    // It goes on.
    await store.createDevice(new Uint8Array(16).fill(99), 1);
    await store.close();
    console.log(digestOf(content));
  }
}

export function digestOf(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}

async function live({ directory, seed, groups, progressFile, logFile }: Extract<Task, { type: "live" }>) {
  const tell = (group: number, type: Progress["type"]): void => {
    const logBytes = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
    appendFileSync(progressFile, `${JSON.stringify({ group, type, logBytes } satisfies Progress)}\n`);
  };
  const store = await openLmdbStore({ directory, freeBytesMin: 0 });
  for (const [group, operations] of makeHistory(seed, groups).entries()) {
    tell(group, "asked");
    const outcomes = await Promise.allSettled(operations.map((operation) => operation(store)));
    tell(group, outcomes.every(({ status }) => status === "fulfilled") ? "answered" : "refused");
  }
  await store.close();
}
