// SPDX-License-Identifier: MIT
// Goal: what the push service's store on disk said is stored survives power cuts, SIGKILL and failing writes, groups whole or not at all.
// Method: histories drawn from seeds on the real store and the real lmdb, over the layer of the firmware's build that notes, kills and
// fails what is written; each disk a cut can leave is opened again and compared with the memory store. More in `npm run test:long -- lmdb`.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import { bundledScript } from "../bundled-script.ts";
import { readSteps, type Step } from "../firmware/written-steps.ts";
import { Chance } from "./chance.ts";
import { contentOf, makeHistory } from "./lmdb-history.ts";
import { digestOf, type Progress, type Task } from "./lmdb-process.ts";

const LAYER = fileURLToPath(new URL("../../build/firmware/test/power_cut.so", import.meta.url));
const isLong = process.env.GODWIT_LONG === "1";
const SEEDS = isLong ? 20 : 1;
const GROUPS = isLong ? 120 : 25;
/** Disks drawn for each cut, beside that with nothing and that with all of what was not synced. */
const DRAWN_DISKS = 4;
/** Where not all are tried, they are while the file is made. */
const DRAWN_UNTIL_STEP = isLong ? Number.POSITIVE_INFINITY : 10;
/** The one step at which the process is killed or a call fails, where not each is tried. */
const SAMPLED_STEP = 33;
const SECTOR_BYTES = 512;
const LOOKED_AT_ONCE = 64;
const LONG_MS = 6 * 3_600_000;
/** Of a step in the log (firmware-bridge/test/power_cut.c). */
const STEP_HEADER_BYTES = 32;

const root = mkdtempSync(join(tmpdir(), "godwit-lmdb-cut-"));
let directories = 0;
const newDirectory = () => {
  const directory = join(root, String(++directories));
  mkdirSync(directory);
  return directory;
};
afterAll(() => rmSync(root, { recursive: true }));

describe.skipIf(!existsSync(LAYER))("with the layer of the firmware's build", async () => {
  const script = await bundledScript(`
    import { perform } from "./test/simulation/lmdb-process.ts";
    await perform(JSON.parse(process.env.LMDB_TASK));
  `);

  /** Runs a process to its end. */
  function run(task: Task, environment: NodeJS.ProcessEnv = {}) {
    const env = { ...process.env, ...environment, LMDB_TASK: JSON.stringify(task) };
    const options = { input: script, env, encoding: "utf8", maxBuffer: 1e8 } as const;
    return spawnSync(process.execPath, ["--input-type=module"], options);
  }

  /** Lives a history with the layer below. */
  function live(seed: number, environment: NodeJS.ProcessEnv = {}) {
    const place = newDirectory();
    const directory = join(place, "store");
    const logFile = join(place, "log");
    const progressFile = join(place, "progress");
    writeFileSync(progressFile, "");
    const layer = { LD_PRELOAD: LAYER, POWER_CUT_DIRECTORY: directory, POWER_CUT_LOG: logFile };
    const task = { type: "live", directory, seed, groups: GROUPS, progressFile, logFile } as const;
    const { signal, stderr } = run(task, { ...layer, ...environment });
    const lines = readFileSync(progressFile, "utf8").trim();
    const progress: Progress[] = lines === "" ? [] : lines.split("\n").map((line) => JSON.parse(line));
    return { directory, signal, stderr, progress, steps: existsSync(logFile) ? readSteps(logFile) : [] };
  }

  /** Of the history of seed 1, counted from 1. */
  function stepsToTry(): number[] {
    return isLong ? live(1).steps.map((_, at) => at + 1) : [SAMPLED_STEP];
  }

  /** What stores in these directories hold. */
  function look(found: readonly string[]): string[] {
    const { status, signal, stdout, stderr } = run({ type: "look", directories: found });
    expect({ status, signal, stderr }).toMatchObject({ status: 0, signal: null });
    return stdout.trim().split("\n");
  }

  for (let seed = 1; seed <= SEEDS; seed++) {
    test(`seed ${seed}: every power cut leaves what was answered, and of what was asked all or nothing`, {
      timeout: LONG_MS,
    }, async () => {
      const { steps, progress, signal, stderr, directory } = live(seed);
      expect({ signal, stderr }).toMatchObject({ signal: null });
      const states = await statesOf(seed);
      expect(progress.filter(({ type }) => type === "answered")).toHaveLength(states.length - 1);
      expect(steps.length).toBeGreaterThan(2 * GROUPS);
      const disk = new Disk();
      for (const step of steps) disk.perform(step);
      // Nothing was written past the layer.
      expect(Buffer.compare(disk.content, readFileSync(join(directory, "data.mdb")))).toBe(0);

      const disks = differentDisks(steps, new Chance(seed, "disks"));
      const cuts: { directory: string; allowed: string[]; cut: number }[] = [];
      const lookAtAll = (): void => {
        const contents = look(cuts.map((one) => one.directory));
        for (const [at, { allowed, cut, directory: laidOut }] of cuts.splice(0).entries()) {
          expect(allowed, `cut ${cut}`).toContain(contents[at]);
          rmSync(laidOut, { recursive: true });
        }
      };
      for (const { path, content, cut, logBytes } of disks) {
        const laidOut = newDirectory();
        mkdirSync(join(laidOut, "new"));
        if (path !== null) writeFileSync(join(laidOut, path), content);
        cuts.push({ directory: laidOut, allowed: allowedAt(states, progress, logBytes), cut });
        if (cuts.length === LOOKED_AT_ONCE) lookAtAll();
      }
      lookAtAll();
      if (isLong) console.log(`lmdb: seed ${seed}: ${steps.length} steps, ${disks.length} different disks`);
    });
  }

  test("SIGKILL at any step: the same", { timeout: LONG_MS }, async () => {
    const states = await statesOf(1);
    for (const at of stepsToTry()) {
      const { directory, signal, progress } = live(1, { POWER_CUT_KILL_AT: String(at) });
      expect(signal).toBe("SIGKILL");
      const [content] = existsSync(directory) ? look([directory]) : [states[0]];
      expect(allowedAt(states, progress, Number.POSITIVE_INFINITY), `step ${at}`).toContain(content);
    }
  });

  const anyStep = "%s at any step: what was refused is not there";
  test.each(["EIO", "ENOSPC"] as const)(anyStep, { timeout: LONG_MS }, async (code) => {
    const states = await statesOf(1);
    for (const at of stepsToTry()) {
      const failure = { POWER_CUT_FAIL_AT: String(at), POWER_CUT_ERRNO: String(constants.errno[code]) };
      const { directory, signal, progress } = live(1, failure);
      // lmdb corrupts its heap when it cannot write a page: that may end the process, and changes nothing that is stored.
      expect([null, "SIGABRT", "SIGSEGV"], `step ${at}`).toContain(signal);
      const [content] = existsSync(directory) ? look([directory]) : [states[0]];
      const answered = progress.findLast(({ type }) => type === "answered")?.group ?? -1;
      expect(content, `step ${at}`).toBe(states[answered + 1]);
    }
  });
});

/** What the store holds, by how many groups it answered; the memory store says it. */
async function statesOf(seed: number): Promise<string[]> {
  const store = new MemoryStore();
  const states = [digestOf(await contentOf(store))];
  for (const operations of makeHistory(seed, GROUPS)) {
    for (const operation of operations) await operation(store);
    states.push(digestOf(await contentOf(store)));
  }
  return states;
}

/** With all that was answered when the log had that length, and with what was asked beside that. */
function allowedAt(states: readonly string[], progress: readonly Progress[], logBytes: number): string[] {
  const until = progress.filter((one) => one.logBytes <= logBytes);
  const answered = until.findLast(({ type }) => type === "answered")?.group ?? -1;
  const asked = until.findLast(({ type }) => type === "asked")?.group ?? -1;
  return states.slice(answered + 1, asked + 2);
}

/** The data file, as it is and as the disk has it. */
class Disk {
  content = new Uint8Array(0);
  /** Written and not synced, in any order and by sectors on the disk, or not. */
  #unsynced: Step[] = [];
  #durable = new Uint8Array(0);
  #inode: bigint | null = null;
  /** It is made under one name and renamed. */
  #path: string | null = null;
  #durablePath: string | null = null;

  perform(step: Step): void {
    const { operation, inode, path, other } = step;
    if (operation === "create" && path.endsWith("data.mdb")) {
      this.#inode = inode;
      this.#path = path;
    }
    if (operation === "rename" && path === this.#path) this.#path = other;
    if (operation === "syncDirectory") this.#durablePath = this.#path;
    if (inode !== this.#inode) return;
    if (operation === "write" || operation === "writeThrough") this.content = written(this.content, step);
    if (operation === "write") this.#unsynced.push(step);
    if (operation === "writeThrough") this.#durable = written(this.#durable, step);
    if (operation === "sync") {
      this.#unsynced = [];
      this.#durable = this.content.slice();
    }
    if (operation === "truncate") throw new Error("the data file is cut short");
  }

  /** @param isNewest whether the name it got last is there, when nobody synced that */
  afterPowerCut(isWritten: () => boolean, isNewest: boolean): Omit<CutDisk, "cut" | "logBytes"> {
    let left = this.#durable;
    for (const { offset, data } of this.#unsynced) {
      for (let at = 0; at < data.length; at += SECTOR_BYTES) {
        const sector = { offset: offset + at, data: data.subarray(at, at + SECTOR_BYTES) };
        if (isWritten()) left = written(left, sector);
      }
    }
    return { path: isNewest ? this.#path : this.#durablePath, content: left };
  }
}

function written(
  content: Uint8Array,
  { offset, data }: Pick<Step, "offset" | "data">,
): Uint8Array<ArrayBuffer> {
  const longer = new Uint8Array(Math.max(content.length, offset + data.length));
  longer.set(content);
  longer.set(data, offset);
  return longer;
}

interface CutDisk {
  /** Null: the file is not there. */
  readonly path: string | null;
  readonly content: Uint8Array;
  readonly cut: number;
  /** Of the log up to there. */
  readonly logBytes: number;
}

/** Those a power cut behind any step can leave, each once. */
function differentDisks(steps: readonly Step[], chance: Chance): CutDisk[] {
  const found = new Map<string, CutDisk>();
  const disk = new Disk();
  const yes = () => true;
  const no = () => false;
  let logBytes = 0;
  for (let cut = 0; cut <= steps.length; cut++) {
    const left = [disk.afterPowerCut(no, false), disk.afterPowerCut(yes, true)];
    for (let more = cut < DRAWN_UNTIL_STEP ? DRAWN_DISKS : 0; more > 0; more--) {
      const share = chance.next();
      left.push(disk.afterPowerCut(() => chance.is(share), chance.is(0.5)));
    }
    for (const { path, content } of left) {
      const name = `${path} ${createHash("sha256").update(content).digest("hex")}`;
      // The last cut that leaves it asks most of it.
      found.set(name, { path, content, cut, logBytes });
    }
    const step = steps[cut];
    if (step === undefined) break;
    disk.perform(step);
    logBytes +=
      STEP_HEADER_BYTES + Buffer.byteLength(step.path) + Buffer.byteLength(step.other) + step.data.length;
  }
  return [...found.values()];
}
