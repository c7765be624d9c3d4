// SPDX-License-Identifier: MIT
/**
 * What no power cut, kill or failing write may cost, for any program that is a user agent with an app socket. The program runs
 * for real, with firmware-bridge/test/power_cut.c below it. No tests run here.
 */

import { createHash } from "node:crypto";
import { constants } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type JournalState, plainSealer, recoverJournal } from "../../src/journal/index.ts";
import { parseHeader } from "../../src/journal/segment.ts";
import { declared } from "../end-to-end/receiver.ts";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import { SocketClient } from "../end-to-end/socket-client.ts";
import { type Exit, Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { includesBytes } from "../journal/support.ts";
import { Disk, type Image, layOut, readSteps, type Step, SURVIVALS } from "./written-steps.ts";

/** An app that is away when its messages come. */
const NEWS = "news";
const CHAT = "https://chat.example";
const GONE = "https://gone.example";

export interface PowerCutOptions {
  /** For names of tests. */
  readonly name: string;
  /** The agent's command; null: Node's. */
  readonly command: readonly string[] | null;
  /** The shared library made of power_cut.c. */
  readonly layer: string;
  /** Of all images and steps, which are tried with the program itself: 1 is each. Recovery is tried on all of them. */
  readonly every: number;
}

const TEST_MS_MAX = 1_800_000;
/** Steps by which one run may be shorter than another: writes that went together. */
const RUNS_DIFFER_BY = 12;

/** What was promised to somebody, and how many steps had been written by then. */
interface Promised {
  readonly what: "subscribed" | "unsubscribing" | "unsubscribed" | "messages" | "notifications";
  readonly owner: string;
  readonly count: number;
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
      promises = await live(run, sender);
      expect(await run.agent.program.end("SIGTERM")).toMatchObject({ code: 0 });
      steps = run.steps();
      goneKey = privateKeyOf(steps, GONE);
    });
    afterAll(() => stage.close());

    test("a power cut at every step, with every way the unsynced may survive: what was promised is there", () => {
      expect(promises.map(({ what }) => what)).toEqual([
        ...["subscribed", "subscribed", "subscribed", "messages", "notifications"],
        ...["unsubscribing", "unsubscribed", "subscribed"],
      ]);
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
        const { kept, exit } = await liveUntilItEnds(run, sender);
        // Runs are alike but not equal: one may need fewer steps.
        if (at < steps.length - RUNS_DIFFER_BY) expect(exit.signal).toBe("SIGKILL");
        await expectStarts(new Run(stage, nowhere(service), options, { state: run.state }), kept, null);
      }
    });

    test.each(["EIO", "ENOSPC"] as const)(
      "%s at every step: it goes on or ends, and what it promised holds",
      { timeout: TEST_MS_MAX },
      async (code) => {
        for (let at = 1; at <= steps.length; at += options.every) {
          const run = new Run(stage, service, options, {
            environment: { POWER_CUT_FAIL_AT: String(at), POWER_CUT_ERRNO: String(constants.errno[code]) },
          });
          const { kept, exit } = await liveUntilItEnds(run, sender);
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
  readonly agent: RunningAgent;
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
    this.agent = new RunningAgent(stage, {
      service,
      policy: { permission: "granted" },
      state: this.state,
      ...(options.command === null ? {} : { command: options.command }),
      environment: more.state === undefined ? { ...layer, ...more.environment } : {},
    });
  }

  start(): Promise<void> {
    return this.agent.start();
  }

  steps(): Step[] {
    return readSteps(this.#log);
  }
}

type Subscription = Parameters<Sender["send"]>[0];

/** A short life: subscriptions made and ended, messages for an app that is away, something on the screen. */
async function live(run: Run, sender: Sender, kept: Promised[] = []): Promise<Promised[]> {
  const admin = await run.agent.enterAdmin();
  const promised = (what: Promised["what"], owner: string, count = 0): void => {
    kept.push({ what, owner, count, steps: run.steps().length });
  };
  const subscribe = async (owner: string): Promise<Subscription> => {
    const applicationServerKey = sender.keys.publicKey;
    const subscription = await admin.ask("subscribe", { owner, applicationServerKey });
    promised("subscribed", owner);
    return subscription as unknown as Subscription;
  };
  await admin.ask("watch");
  const news = await beAppAndLeave(run, admin, sender);
  promised("subscribed", NEWS);
  await subscribe(GONE);
  const chat = await subscribe(CHAT);
  for (const text of ["one", "two", "three"]) await sender.send(news, text);
  if (await acknowledged(admin, 3)) promised("messages", NEWS, 3);
  await sender.send(chat, declared({ title: "Hello" }));
  if (await acknowledged(admin, 4)) promised("notifications", CHAT, 1);
  promised("unsubscribing", GONE);
  await admin.ask("unsubscribe", { owner: GONE });
  promised("unsubscribed", GONE);
  await subscribe("https://late.example");
  return kept;
}

/** An app that subscribes, says that it handles messages, and goes. */
async function beAppAndLeave(run: Run, admin: SocketClient, sender: Sender): Promise<Subscription> {
  const { token } = await admin.ask("installApp", { owner: NEWS, start: null, tokenFile: null });
  const app = await SocketClient.enter({ at: run.agent.socketPath }, { role: "app", owner: NEWS, token });
  await app.ask("attach", { handlesPush: true });
  const { subscription } = await app.ask("subscribe", {
    ...{ applicationServerKey: sender.keys.publicKey, userVisibleOnly: true, waToken: null },
    ...{ declarative: "auto", allowAesgcm: false, freshness: null },
  });
  await app.close();
  const { endpoint, p256dh, auth } = subscription as Readonly<Record<"endpoint" | "p256dh" | "auth", string>>;
  return { endpoint, keys: { p256dh, auth } } as Subscription;
}

/** As far as it gets: what it promised until it was killed, or failed. */
async function liveUntilItEnds(run: Run, sender: Sender): Promise<{ kept: Promised[]; exit: Exit }> {
  const kept: Promised[] = [];
  try {
    await run.start();
    await live(run, sender, kept);
  } catch (error) {
    // Its end, or its answer that it could not write.
    if (!(error instanceof Error)) throw error;
  }
  return { kept, exit: await run.agent.program.end("SIGTERM") };
}

/** Waits until the service was told of `count` messages. False when the agent says that it cannot write. */
async function acknowledged(admin: SocketClient, count: number): Promise<boolean> {
  const reports = () =>
    admin.events("report").map(({ report }) => report as Readonly<Record<string, unknown>>);
  const sum = () =>
    reports().reduce((all, { type, messages }) => all + (type === "acknowledged" ? Number(messages) : 0), 0);
  await admin.first(
    `${count} acknowledged`,
    () => sum() >= count || reports().some(({ type }) => type === "fault"),
  );
  return sum() >= count;
}

/** What a journal says of what was promised when a power cut took everything behind the first `cut` steps. */
function expectKept(image: Image, promises: readonly Promised[], cut: number): void {
  const state = recovered(image);
  const held = new Set([...state.subscriptions.values()].map(({ owner }) => owner));
  const count = { messages: state.messages.size, notifications: state.notifications.size };
  expectPromises(promises, cut, held, count);
}

function expectPromises(
  promises: readonly Promised[],
  cut: number,
  held: ReadonlySet<string>,
  counts: Readonly<Record<"messages" | "notifications", number>>,
): void {
  const due = promises.filter(({ steps }) => steps <= cut);
  for (const { what, owner, count } of due) {
    const isEnding = due.some((other) => other.what === "unsubscribing" && other.owner === owner);
    if (what === "subscribed" && !isEnding) expect(held).toContain(owner);
    if (what === "unsubscribed") expect(held).not.toContain(owner);
    if (what === "messages" || what === "notifications") expect(counts[what]).toBeGreaterThanOrEqual(count);
  }
}

/** Starts the program where nobody answers, and asks it what it knows. */
async function expectStarts(run: Run, promises: readonly Promised[], cut: number | null): Promise<void> {
  await run.start();
  const admin = await run.agent.enterAdmin();
  const status = (await admin.ask("status")) as unknown as Status;
  expect(status.lastFault?.code).not.toBe("ERR_JOURNAL_RECORD");
  const held = new Set(status.subscriptions.map(({ owner }) => owner));
  const counts = { messages: status.messagesWaiting, notifications: status.notifications };
  expectPromises(promises, cut ?? Number.POSITIVE_INFINITY, held, counts);
  await admin.close();
  expect(await run.agent.program.end("SIGTERM")).toMatchObject({ code: 0 });
}

interface Status {
  readonly subscriptions: readonly { readonly owner: string }[];
  readonly messagesWaiting: number;
  readonly notifications: number;
  readonly lastFault?: { readonly code: string } | null;
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
