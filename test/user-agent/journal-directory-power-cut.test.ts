// SPDX-License-Identifier: MIT
// Goal: after a power cut everything confirmed is there, nothing unconfirmed is half there, and removed bytes are gone.
// Method: one run with appends, checkpoints and a removal, cut at every step, with every way the unsynced may survive.
import { expect, test } from "vitest";
import type { JournalRecord } from "../../src/journal/records.ts";
import { JournalState } from "../../src/journal/state.ts";
import { systemRandomFill } from "../../src/node/platform.ts";
import { JournalDirectory } from "../../src/user-agent/journal-directory.ts";
import {
  fold,
  includesBytes,
  message,
  plain,
  recover,
  subscription,
  writerAfter,
} from "../journal/support.ts";
import { CrashFileSystem, SURVIVALS } from "./crash-file-system.ts";

/** Each boot is another process; that of the boot before is gone. */
function openFake(fileSystem: CrashFileSystem, pid = 1): Promise<JournalDirectory> {
  const self = { pid, startTicks: "1", bootId: "a" };
  const processes = { self: () => self, isRunning: (identity: { pid: number }) => identity.pid === pid };
  return JournalDirectory.open({ directory: "/state", fileSystem, processes, randomFill: systemRandomFill });
}

/** Each step of a run: what it asks for, and what is then to be remembered. */
const SCENARIO: readonly {
  readonly records: readonly JournalRecord[];
  readonly write: "append" | "checkpoint";
}[] = [
  { write: "append", records: [subscription(1), subscription(2)] },
  { write: "append", records: [message(1)] },
  { write: "checkpoint", records: [] },
  { write: "append", records: [message(2)] },
  { write: "checkpoint", records: [{ type: "subscriptionRemoved", id: 2 }] },
  { write: "append", records: [message(3)] },
  { write: "append", records: [{ type: "clean" }] },
];

/** Runs until the end or the power cut. Returns how many writes were confirmed and how many were asked for. */
async function runScenario(fileSystem: CrashFileSystem): Promise<{ confirmed: number; asked: number }> {
  let confirmed = -1;
  let asked = -1;
  try {
    const files = await openFake(fileSystem);
    const state = new JournalState();
    const writer = writerAfter(recover(await files.read()));
    asked++;
    await files.checkpoint(writer.checkpointBytes(state), { urgent: false });
    confirmed++;
    for (const { write, records } of SCENARIO) {
      asked++;
      for (const record of records) state.apply(record);
      if (write === "append") await files.append(writer.appendBytes(records));
      else await files.checkpoint(writer.checkpointBytes(state), { urgent: true });
      confirmed++;
    }
    await files.close();
  } catch {
    // The power cut.
  }
  return { confirmed: Math.max(confirmed, 0), asked: Math.max(asked, 0) };
}

/** The records of the first `writes` writes of the scenario. */
function recordsAfter(writes: number): JournalRecord[] {
  return SCENARIO.slice(0, writes).flatMap((step) => [...step.records]);
}

/** Every state a power cut between `confirmed` and `asked` may leave: a torn append keeps some of its records. */
function possibleStates(confirmed: number, asked: number): unknown[] {
  const possible: unknown[] = [];
  const first = recordsAfter(confirmed).length;
  const last = recordsAfter(asked).length;
  for (let count = first; count <= last; count++)
    possible.push(plain(fold(recordsAfter(asked).slice(0, count))));
  return possible;
}

test("a power cut at every step: confirmed writes are there and removed bytes are not", async () => {
  const whole = new CrashFileSystem();
  whole.writeBytesMax = 40;
  expect((await runScenario(whole)).confirmed).toBe(SCENARIO.length);
  expect(whole.steps).toBeGreaterThan(100);
  const removed = subscription(2).privateKey;
  for (let cut = 0; cut <= whole.steps; cut++) {
    const fileSystem = new CrashFileSystem();
    fileSystem.powerCutAt = cut;
    fileSystem.writeBytesMax = 40;
    const { confirmed, asked } = await runScenario(fileSystem);
    if (confirmed >= 5) {
      for (const content of fileSystem.durableContents()) expect(includesBytes(content, removed)).toBe(false);
    }
    for (const survival of SURVIVALS) {
      const rebooted = fileSystem.afterPowerCut(survival);
      const files = await openFake(rebooted, 2);
      const recovery = recover(await files.read());
      expect(possibleStates(confirmed, asked)).toContainEqual(plain(recovery.state));
      expect(recovery.report.damaged).toBe(false);
      expect(recovery.cleanStop && asked !== 0 && asked < SCENARIO.length).toBe(false);
      await goOn(files, recovery);
      const again = recover(await files.read());
      expect(plain(again.state)).toEqual(plain(recovery.state));
      await files.close();
    }
  }
});

/** The next run can write, whatever it found. */
async function goOn(files: JournalDirectory, recovery: ReturnType<typeof recover>): Promise<void> {
  const writer = writerAfter(recovery, undefined, 77);
  if (writer.mustCheckpoint) {
    await files.checkpoint(writer.checkpointBytes(recovery.state), { urgent: false });
  }
  const run: JournalRecord = { type: "run", runId: 5 };
  recovery.state.apply(run);
  await files.append(writer.appendBytes([run]));
}
