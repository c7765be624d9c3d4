// SPDX-License-Identifier: MIT
/**
 * Power cuts in a history: whether a start finds on each disk that a cut may leave what it has to, can go on there, and outlives another
 * cut meanwhile. No tests here.
 */

import { GodwitError } from "../../src/errors.ts";
import { type JournalRecord, type JournalWriter, plainSealer, type Sealer } from "../../src/journal/index.ts";
import type { JournalDirectory } from "../../src/user-agent/journal-directory.ts";
import { Chance } from "../simulation/chance.ts";
import { CrashFileSystem } from "../user-agent/crash-file-system.ts";
import { Expectation } from "./expectation.ts";
import { History, matching, startOn } from "./history.ts";
import { Knowledge } from "./knowledge.ts";
import { drawnRemains, everyRemains, fewRemains, SeenDisks } from "./remains.ts";

/** What the cuts of a run came to. */
export interface Figures {
  histories: number;
  operations: number;
  /** Effects on the flash, before each of which the power went. */
  moments: number;
  /** Starts behind a cut, and behind a second one that came in such a start. */
  firstCuts: number;
  secondCuts: number;
}

/** Of the moments of a start in which one cut is drawn. */
const SECOND_CUT_SHARE = 0.1;
/** A disk goes from one drawn history to the next. */
const PASSED_ON_SHARE = 0.7;

/** Every moment of one history, and every disk that a cut may leave then. @throws {Error} that says what was wrong, and when */
export async function everyCut(seed: number, operations: number): Promise<Figures> {
  const figures = noFigures();
  const chance = new Chance(seed, "second cuts");
  const seen = new SeenDisks();
  const history = new History(new CrashFileSystem(), NOTHING, plainSealer(), new Chance(seed, "history"));
  await live(history, operations, figures, async () => {
    const { fileSystem, sealer } = history;
    for (const remains of everyRemains(fileSystem)) {
      const disk = fileSystem.remaining(remains);
      const meant = meantBy(history);
      if (!seen.isNew(disk, meant.possible, sealer)) continue;
      figures.firstCuts++;
      const seenAgain = new SeenDisks();
      await goOn(disk, meant, async (possible) => {
        for (const again of fewRemains(chance)) {
          const second = disk.remaining(again);
          if (!seenAgain.isNew(second, possible)) continue;
          figures.secondCuts++;
          await find(second, { ...meant, possible });
        }
      });
    }
  });
  return figures;
}

/** What a cut has left, that the next history goes on with. */
interface Left {
  readonly disk: CrashFileSystem;
  readonly known: Knowledge;
  readonly sealer: Sealer;
}

/** One history after the other, and in each moment one cut whose remains are drawn, until there were `cuts`. @throws {Error} likewise */
export async function randomCuts(seed: number, cuts: number): Promise<Figures> {
  const figures = noFigures();
  let left: Left | null = null;
  while (figures.firstCuts < cuts) {
    const chance = new Chance(seed, `history ${figures.histories}`);
    const remains = new Chance(seed, `remains ${figures.histories}`);
    const begin: Left = left ?? { disk: new CrashFileSystem(), known: NOTHING, sealer: plainSealer() };
    const history = new History(begin.disk, begin.known, begin.sealer, chance);
    let last: Left | null = null;
    await live(history, chance.integer(10, 120), figures, async () => {
      if (figures.firstCuts >= cuts) return;
      const first = history.fileSystem.remaining(drawnRemains(remains));
      const meant = meantBy(history);
      figures.firstCuts++;
      const found = await goOn(first, meant, async (possible) => {
        if (!remains.is(SECOND_CUT_SHARE)) return;
        figures.secondCuts++;
        await find(first.remaining(drawnRemains(remains)), { ...meant, possible });
      });
      last = { disk: first, known: found, sealer: history.sealer };
    });
    left = chance.is(PASSED_ON_SHARE) ? last : null;
  }
  return figures;
}

const NOTHING = new Knowledge().after([{ type: "clean" }]);

function noFigures(): Figures {
  return { histories: 0, operations: 0, moments: 0, firstCuts: 0, secondCuts: 0 };
}

/** What a start is to find, and what not. */
interface Meant {
  readonly possible: readonly Knowledge[];
  readonly sealer: Sealer;
  readonly gone: readonly Buffer[];
  readonly capacityBytes: number;
}

function meantBy({ expectation, sealer, gone, fileSystem: { capacityBytes } }: History): Meant {
  return { possible: expectation.possible, sealer, gone, capacityBytes };
}

/** A history from begin to end; `cut` is called before each effect on its flash. */
async function live(
  history: History,
  operations: number,
  figures: Figures,
  cut: () => Promise<void>,
): Promise<void> {
  figures.histories++;
  const { rethrow } = watch(history.fileSystem, async () => {
    figures.moments++;
    await cut();
  });
  try {
    await history.start();
    while (history.operations < operations) {
      await history.step();
      rethrow();
      figures.operations++;
    }
    await history.settle();
    rethrow();
  } catch (error) {
    throw new Error(`operation ${history.operations}: ${(error as Error).message}`, { cause: error });
  }
}

/** Has `look` called before each effect on the disk. What it throws the journal would take for a fault of the disk, so it is kept. */
function watch(disk: CrashFileSystem, look: () => Promise<void>): { rethrow: () => void } {
  let wrong: unknown = null;
  disk.wait = async () => {
    if (wrong === null)
      await look().catch((error: unknown) => {
        wrong = error;
      });
  };
  const rethrow = (): void => {
    if (wrong !== null) throw wrong;
  };
  return { rethrow };
}

/** A start that reads. @throws {Error} when it does not find what it has to */
async function find(disk: CrashFileSystem, { possible, sealer, gone, capacityBytes }: Meant) {
  for (const { buffer, byteOffset, length } of disk.durableContents()) {
    const bytes = Buffer.from(buffer, byteOffset, length);
    if (gone.some((secret) => bytes.includes(secret)))
      throw new Error("what was ended is still on the flash");
  }
  // A full flash is still full.
  disk.capacityBytes = capacityBytes;
  const { files, recovery, writer } = await startOn(disk, sealer, new Chance(disk.steps, "salts"));
  return { files, recovery, writer, known: matching(recovery, possible) };
}

/**
 * A start that reads, appends and makes a checkpoint, and another one that finds all of it. `cut` is called before each effect on the
 * disk with what a start may find then.
 *
 * @returns what there is to know at the end
 */
async function goOn(
  disk: CrashFileSystem,
  meant: Meant,
  cut: (possible: readonly Knowledge[]) => Promise<void>,
): Promise<Knowledge> {
  let expectation: Expectation | null = null;
  const { rethrow } = watch(disk, () => cut(expectation?.possible ?? meant.possible));
  const { files, recovery, writer, known } = await find(disk, meant);
  expectation = new Expectation(known);
  const records: JournalRecord[] = [
    { type: "run", runId: 1_000_000 },
    { type: "suspect", storeEpoch: null, idMax: 0 },
  ];
  try {
    for (const record of records) {
      if (writer.isCheckpointDue) await checkpoint(files, writer, expectation, recovery.state);
      expectation.store([record]);
      expectation.appending();
      await files.append(writer.appendBytes([record]));
      expectation.written();
      recovery.state.apply(record);
    }
    await checkpoint(files, writer, expectation, recovery.state);
  } catch (error) {
    const isFull = error instanceof GodwitError && error.code === "ERR_JOURNAL_FULL";
    rethrow();
    if (!isFull || meant.capacityBytes === Number.POSITIVE_INFINITY) throw error;
    expectation.failed();
  }
  await files.close();
  rethrow();
  const { possible } = expectation;
  disk.wait = () => null;
  return (await find(disk, { ...meant, possible })).known;
}

async function checkpoint(
  files: JournalDirectory,
  writer: JournalWriter,
  expectation: Expectation,
  state: Parameters<JournalWriter["checkpointBytes"]>[0],
): Promise<void> {
  expectation.checkpointing();
  await files.checkpoint(writer.checkpointBytes(state), { urgent: false });
  expectation.written();
}
