// SPDX-License-Identifier: MIT
/**
 * What no power cut, kill or failing write may cost, for any program that is a user agent. The program runs for real, with
 * firmware-bridge/test/power_cut.c below it. No tests run here.
 */

import { createHash } from "node:crypto";
import { constants } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type JournalState, plainSealer, recoverJournal } from "../../src/journal/index.ts";
import { parseHeader } from "../../src/journal/segment.ts";
import { type Exit, Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { includesBytes } from "../journal/support.ts";
import { GONE, type Life, type MakeLife, type Pledge } from "./power-cut-lives.ts";
import { Disk, type Image, layOut, readSteps, type Step, SURVIVALS } from "./written-steps.ts";

export interface PowerCutOptions {
  /** For names of tests. */
  readonly name: string;
  readonly makeLife: MakeLife;
  /** What its life promises, in this order. */
  readonly promises: readonly Promised["what"][];
  /** Whether it says that it cannot write: then it is tried on a disk that fails, too. */
  readonly saysFaults: boolean;
  /** The shared library made of power_cut.c. */
  readonly layer: string;
  /** Of all images and steps, which are tried with the program itself: 1 is each. Recovery is tried on all of them. */
  readonly every: number;
}

const TEST_MS_MAX = 1_800_000;
/** Steps by which one run may be shorter than another: writes that went together. */
const RUNS_DIFFER_BY = 12;

/** What was promised to somebody, and how many steps had been written by then. */
interface Promised extends Pledge {
  readonly steps: number;
}

/** All power-cut specs of one program. */
export function describePowerCuts(options: PowerCutOptions): void {
  describe(`power cuts, ${options.name}`, () => {
    let stage: Stage;
    let service: ServiceProcess;
    let sender: Sender;
    let promises: Promised[];
    let steps: Step[];
    let goneKey: Uint8Array;

    beforeAll(async () => {
      stage = new Stage();
      service = await stage.service();
      sender = new Sender(service);
      const run = new Run(stage, service, options);
      await run.start();
      promises = await run.live(service, sender);
      expect(await run.life.end()).toMatchObject({ code: 0 });
      steps = run.steps();
      goneKey = privateKeyOf(steps, GONE);
    });
    afterAll(() => stage.close());

    test("a power cut at every step, with every way the unsynced may survive: what was promised is there", () => {
      expect(promises.map(({ what }) => what)).toEqual(options.promises);
      expect(steps.length).toBeGreaterThan(40);
      const disk = new Disk();
      for (let cut = 0; ; cut++) {
        for (const survival of SURVIVALS) expectKept(disk.afterPowerCut(survival), promises, cut);
        const isGone = promises.some(({ what, steps }) => what === "unsubscribed" && steps <= cut);
        for (const content of isGone ? disk.durableContents() : [])
          expect(includesBytes(content, goneKey)).toBe(false);
        const step = steps[cut];
        if (step === undefined) break;
        disk.perform(step);
      }
    });

    test("it starts on what is left, without a network, and knows what it promised", {
      timeout: TEST_MS_MAX,
    }, async () => {
      const images = differentImages(steps);
      expect(images.length).toBeGreaterThan(20);
      for (const [at, { image, cut }] of images.entries()) {
        if (at % options.every !== 0 && at !== images.length - 1) continue;
        const state = join(stage.newDirectory(), "state");
        layOut(image, state);
        await expectStarts(new Run(stage, nowhere(service), options, { state }), promises, cut);
      }
    });

    test("SIGKILL at every step: it starts again, and knows what it promised", {
      timeout: TEST_MS_MAX,
    }, async () => {
      for (let at = 1; at <= steps.length; at += options.every) {
        const run = new Run(stage, service, options, { environment: { POWER_CUT_KILL_AT: String(at) } });
        const { kept, exit } = await liveUntilItEnds(run, service, sender);
        // Runs are alike but not equal: one may need fewer steps.
        if (at < steps.length - RUNS_DIFFER_BY) expect(exit.signal).toBe("SIGKILL");
        await expectStarts(new Run(stage, nowhere(service), options, { state: run.state }), kept, null);
      }
    });

    test.runIf(options.saysFaults).each(["EIO", "ENOSPC"] as const)(
      "%s at every step: it goes on or ends, and what it promised holds",
      { timeout: TEST_MS_MAX },
      async (code) => {
        for (let at = 1; at <= steps.length; at += options.every) {
          const run = new Run(stage, service, options, {
            environment: { POWER_CUT_FAIL_AT: String(at), POWER_CUT_ERRNO: String(constants.errno[code]) },
          });
          const { kept, exit } = await liveUntilItEnds(run, service, sender);
          // No crash: it ended because it was told to, or because it said why it could not start.
          expect(exit.signal).toBe(null);
          await expectStarts(new Run(stage, nowhere(service), options, { state: run.state }), kept, null);
        }
      },
    );
  });
}

interface RunOptions {
  /** Default: a new one, watched by the layer. */
  readonly state?: string;
  readonly environment?: NodeJS.ProcessEnv;
}

/** One process of the program, with the layer below it when its state directory is new. */
class Run {
  readonly state: string;
  readonly life: Life;
  readonly #log: string;

  constructor(
    stage: Stage,
    service: Pick<ServiceProcess, "origin" | "caFile">,
    options: PowerCutOptions,
    more: RunOptions = {},
  ) {
    const place = stage.newDirectory();
    this.state = more.state ?? join(place, "state");
    this.#log = join(place, "steps");
    const layer = { LD_PRELOAD: options.layer, POWER_CUT_DIRECTORY: this.state, POWER_CUT_LOG: this.#log };
    const environment = more.state === undefined ? { ...layer, ...more.environment } : {};
    this.life = options.makeLife(stage, { service, state: this.state, environment });
  }

  start(): Promise<void> {
    return this.life.start();
  }

  /** Adds to `kept` as it goes. */
  async live(service: ServiceProcess, sender: Sender, kept: Promised[] = []): Promise<Promised[]> {
    await this.life.live(service, sender, (pledge) => kept.push({ ...pledge, steps: this.steps().length }));
    return kept;
  }

  steps(): Step[] {
    return readSteps(this.#log);
  }
}

/** As far as it gets: what it promised until it was killed, or failed. */
async function liveUntilItEnds(
  run: Run,
  service: ServiceProcess,
  sender: Sender,
): Promise<{ kept: Promised[]; exit: Exit }> {
  const kept: Promised[] = [];
  try {
    await run.start();
    await run.live(service, sender, kept);
  } catch (error) {
    // Its end, or its answer that it could not write.
    if (!(error instanceof Error)) throw error;
  }
  return { kept, exit: await run.life.end() };
}

/** What a journal says of what was promised when a power cut took everything behind the first `cut` steps. */
function expectKept(image: Image, promises: readonly Promised[], cut: number): void {
  const state = recovered(image);
  const held = new Set([...state.subscriptions.values()].map(({ owner }) => owner));
  const count = { messages: state.messages.size, notifications: state.notifications.size };
  expectPromises(promises, cut, held, count);
}

/** @param held who has subscriptions, or how many have, where the program does not name them */
function expectPromises(
  promises: readonly Promised[],
  cut: number,
  held: ReadonlySet<string> | number,
  counts: Readonly<Record<"messages" | "notifications", number>>,
): void {
  const due = promises.filter(({ steps }) => steps <= cut);
  const owners = (wanted: Promised["what"]) =>
    due.filter(({ what }) => what === wanted).map(({ owner }) => owner);
  const ending = owners("unsubscribing");
  const kept = owners("subscribed").filter((owner) => !ending.includes(owner));
  if (typeof held === "number") expect(held).toBeGreaterThanOrEqual(kept.length);
  else {
    for (const owner of kept) expect(held).toContain(owner);
    for (const owner of owners("unsubscribed")) expect(held).not.toContain(owner);
  }
  for (const { what, count } of due)
    if (what === "messages" || what === "notifications") expect(counts[what]).toBeGreaterThanOrEqual(count);
}

/** Starts the program where nobody answers, and asks it what it knows. */
async function expectStarts(run: Run, promises: readonly Promised[], cut: number | null): Promise<void> {
  await run.start();
  const due = cut ?? Number.POSITIVE_INFINITY;
  const shown = promises.some(({ what, steps }) => what === "notifications" && steps <= due);
  const { owners, messages, notifications } = await run.life.known(shown);
  expectPromises(promises, due, owners, { messages, notifications });
  expect(await run.life.end()).toMatchObject({ code: 0 });
}

/** The state in an image, which must not be damaged. */
function recovered(image: Image): JournalState {
  const segments = ["journal-0", "journal-1"].flatMap((name) => image.get(name) ?? []) as Uint8Array[];
  const header = segments.map((segment) => parseHeader(segment)).find((found) => typeof found !== "string");
  const deviceBinding = header === undefined ? new Uint8Array(16) : header.deviceBinding;
  const { state, report } = recoverJournal(segments, { deviceBinding, sealer: plainSealer() });
  expect(report.damaged).toBe(false);
  return state;
}

interface CutImage {
  readonly image: Image;
  /** The first cut that leaves it: what was promised by then holds, and for the later ones is checked by recovery. */
  readonly cut: number;
}

/** Every image a power cut can leave, each once. */
function differentImages(steps: readonly Step[]): CutImage[] {
  const images = new Map<string, CutImage>();
  const disk = new Disk();
  for (let cut = 0; cut <= steps.length; cut++) {
    for (const survival of SURVIVALS) {
      const image = disk.afterPowerCut(survival);
      const hash = createHash("sha256");
      for (const [name, content] of [...image].sort())
        hash.update(`${name}\0${content.length}\0`).update(content);
      const key = hash.digest("hex");
      if (!images.has(key)) images.set(key, { image, cut });
    }
    const step = steps[cut];
    if (step !== undefined) disk.perform(step);
  }
  return [...images.values()];
}

/** The private key that the journal once held for `owner`. */
function privateKeyOf(steps: readonly Step[], owner: string): Uint8Array {
  const disk = new Disk();
  for (const step of steps) {
    disk.perform(step);
    if (step.operation !== "sync") continue;
    const found = [...recovered(disk.afterPowerCut("everything")).subscriptions.values()].find(
      (subscription) => subscription.owner === owner,
    );
    if (found !== undefined) return found.privateKey;
  }
  throw new Error(`${owner} never had a subscription`);
}

/** A port nobody listens at. */
function nowhere({ caFile }: ServiceProcess): Pick<ServiceProcess, "origin" | "caFile"> {
  return { origin: "https://localhost:1", caFile };
}
