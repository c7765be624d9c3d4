// SPDX-License-Identifier: MIT
// Goal: an agent, a push service and apps run on and on through faults: everything answered 201 comes to its app or to the screen once,
// repeats marked, and neither process takes more and more memory, descriptors or disk. Method: real processes, a relay between agent and
// service, `web-push` as sender, faults drawn from a seed; every ten seconds a sample of each process. TEST_SOAK_S: seconds of that (`npm
// run test:long -- soak`), else a few; TEST_SOAK_SEED of an earlier run; TEST_AGENT=godwitd for the firmware's agent.

import { loadavg } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import webPush from "web-push";
import { type ProofFigure, writeProof } from "../../scripts/proof.mjs";
import { Relay } from "../end-to-end/relay.ts";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import { AGENT, type Program, Stage } from "../end-to-end/stage.ts";
import { Chance } from "../simulation/chance.ts";
import { SoakApp, watchScreen } from "./apps.ts";
import { type FaultKind, Faults, SmallDisk, type Victims } from "./faults.ts";
import { type Gauge, growth, mostOf, type Sample, sampleOf, trend, type Whose } from "./gauges.ts";
import { Ledger } from "./ledger.ts";
import { Senders } from "./senders.ts";

const durationS = Number(process.env.TEST_SOAK_S ?? 0);
const isLong = durationS > 0;
const seed = Number(process.env.TEST_SOAK_SEED ?? 1);
const APPS = isLong ? 50 : 3;
const STARTING_MAX = 10;
/** Together, in a minute, when all is well. */
const MESSAGES_PER_MINUTE = 600;
const SENDERS = 5;
/** From one fault to the next, unless it takes longer. */
const FAULT_EVERY_MS = 15_000;
const SAMPLE_EVERY_MS = 10_000;
const AWAY_MS_MAX = isLong ? 5_000 : 100;
const DISK_BYTES = 2 * 1024 * 1024;
/** After the last fault. The agent may stay away for so long when it failed often. */
const DRAIN_MS_MAX = 180_000;
const START_MS_MAX = 180_000;
/** Everybody comes from one address: limits by address are not what is looked at here. */
const UNLIMITED = ["connections-per-address", "connection-rate", "upgrade-rate", "token-rate"];

let stage: Stage;
let service: Program;
let startService: () => Promise<Program>;
let serviceState: string;
let relay: Relay;
let agent: RunningAgent;
let apps: SoakApp[] = [];
let disk: SmallDisk | null = null;
const ledger = new Ledger();
const keys = webPush.generateVAPIDKeys();

beforeEach(async () => {
  stage = new Stage();
  serviceState = stage.newDirectory();
  let port = "0";
  startService = async () => {
    const program = stage.godwit([
      ...["push-service", "--json", "--quiet", "--no-tls", "--port", port, "--state", serviceState],
      ...["--reconnect-spread", "1", ...UNLIMITED.flatMap((name) => [`--${name}`, "1000000"])],
    ]);
    const ready = await program.stdout.until("the push service is ready", (lines) => lines[0] ?? null);
    port = String(JSON.parse(ready).port);
    return program;
  };
  service = await startService();
  relay = new Relay(Number(port));
  await relay.listen();
  stage.defer(() => relay.close());
  const state = stage.newDirectory();
  // Of a run that is killed it would stay mounted.
  disk = isLong ? SmallDisk.mount(state, DISK_BYTES) : null;
  stage.defer(() => disk?.unmount());
  const policy = { permission: "granted" };
  agent = await RunningAgent.start(stage, { service: { origin: relay.origin }, policy, state });
  await watchScreen(agent, ledger);
  const admin = await agent.enterAdmin();
  for (let number = 1; number <= APPS; number++) {
    const owner = `app-${number}`;
    const { token } = await admin.ask("installApp", { owner, start: null, tokenFile: null });
    apps.push(new SoakApp(owner, token, { stage, agent, ledger, applicationServerKey: keys.publicKey }));
  }
  await admin.close();
  for (let from = 0; from < APPS; from += STARTING_MAX)
    await Promise.all(apps.slice(from, from + STARTING_MAX).map((app) => app.run()));
}, START_MS_MAX);

afterEach(async () => {
  apps = [];
  await stage.close();
});

test(
  `seed ${seed}`,
  async () => {
    const faults = new Faults(seed, AWAY_MS_MAX, victims());
    const everyMs = (60_000 * SENDERS) / MESSAGES_PER_MINUTE;
    const senders = new Senders({ apps, keys, ledger, count: SENDERS, everyMs });
    const samples: Record<Whose, Sample[]> = { agent: [], service: [] };
    if (isLong) {
      await soak(faults, samples);
    } else {
      const kinds: FaultKind[] = ["apps killed", "agent killed", "links reset"];
      for (const kind of kinds) await faults.make(kind);
      take(samples);
    }
    await senders.stop();
    const endMs = performance.now();
    await vi
      .waitUntil(() => ledger.isSettled, { timeout: DRAIN_MS_MAX, interval: 100 })
      .catch(() => ledger.note("not everything came in time"));
    const drainMs = Math.round(performance.now() - endMs);
    const trends = { agent: trend(samples.agent), service: trend(samples.service) };
    const figures = {
      ...{ agent: AGENT, seed, durationS, apps: APPS, accepted: ledger.accepted, repeats: ledger.repeats },
      ...{ refusals: ledger.refusals(), faults: faults.counts, drainMs, samples: samples.agent.length },
      ...{ secondAndLastThird: trends, load: loadavg().map((load) => Math.round(load * 10) / 10) },
    };
    console.info(`soak: ${JSON.stringify(figures)}`);
    if (isLong) prove(samples);
    expect(ledger.wrongs()).toEqual([]);
    expect(ledger.accepted).toBeGreaterThan(0);
    if (isLong)
      expect([...growth("agent", samples.agent), ...growth("service", samples.service)]).toEqual([]);
  },
  durationS * 1000 + 2 * DRAIN_MS_MAX,
);

/** Faults and samples, until the time is over. */
async function soak(faults: Faults, samples: Record<Whose, Sample[]>): Promise<void> {
  const beginMs = performance.now();
  const passedMs = (): number => performance.now() - beginMs;
  const troubled = (async () => {
    while (passedMs() < durationS * 1000) {
      const pace = pause(FAULT_EVERY_MS);
      await faults.happen(passedMs() < (durationS * 1000) / 3);
      await pace;
    }
  })();
  let isOver = false;
  const sampled = (async () => {
    while (!isOver) {
      await pause(SAMPLE_EVERY_MS);
      take(samples);
    }
  })();
  const over = troubled.finally(() => {
    isOver = true;
  });
  await Promise.all([over, sampled]);
}

/** For the report. */
function prove(samples: Readonly<Record<Whose, readonly Sample[]>>): void {
  const rows = (["agent", "service"] as const).map((whose) => {
    const found = trend(samples[whose]);
    const figure = (name: Gauge, unit: string, unitBytes: number): ProofFigure => ({
      ...{
        value: found[name].last / unitBytes,
        unit,
        valueMax: mostOf(whose, name, found[name].second) / unitBytes,
      },
      series: samples[whose].map((sample, at) => [(at * SAMPLE_EVERY_MS) / 1000, sample[name] / unitBytes]),
    });
    return {
      case: whose === "agent" ? `agent, ${AGENT}` : `push service of that agent, ${AGENT}`,
      figures: {
        messages: { value: ledger.accepted, unit: "" },
        "lost, doubled or refused": { value: ledger.wrongs().length, unit: "", valueMax: 0 },
        "marked repeats": { value: ledger.repeats, unit: "" },
        "anonymous memory": figure("anonymousBytes", "MB", 1e6),
        "resident memory": figure("rssBytes", "MB", 1e6),
        descriptors: figure("descriptors", "", 1),
        stored: figure("storedBytes", "KB", 1e3),
      },
    };
  });
  writeProof("soak", `TEST_AGENT=${AGENT} TEST_SOAK_S=${durationS} npm run test:long -- soak`, rows);
}

/** Of what runs just now. */
function take(samples: Record<Whose, Sample[]>): void {
  const ofAgent = sampleOf(agent.program.child.pid, agent.state, (name) => name.startsWith("journal"));
  if (ofAgent !== null) samples.agent.push(ofAgent);
  const ofService = sampleOf(service.child.pid, serviceState, () => true);
  if (ofService !== null) samples.service.push(ofService);
}

function victims(): Victims {
  const chance = new Chance(seed, "apps");
  return {
    disk,
    async killService(awayMs) {
      await service.end("SIGKILL");
      await pause(awayMs);
      service = await startService();
    },
    async killAgent(awayMs) {
      await agent.program.end("SIGKILL");
      await pause(awayMs);
      await agent.start();
      await watchScreen(agent, ledger);
    },
    async killApps(count, awayMs) {
      const victims = new Set(Array.from({ length: count }, () => chance.pick(...apps)));
      await Promise.all([...victims].map((app) => app.kill()));
      await pause(awayMs);
      await Promise.all([...victims].map((app) => app.run()));
    },
    resetLinks() {
      for (const flow of relay.flows) if (!flow.isClosed) relay.reset(flow);
    },
    async silenceNetwork(awayMs) {
      relay.newFlowsDeaf = ["up", "down"];
      for (const flow of relay.flows) for (const way of relay.newFlowsDeaf) flow.deaf.add(way);
      await pause(awayMs);
      relay.newFlowsDeaf = [];
      this.resetLinks();
    },
    signal(whom, signal) {
      (whom === "agent" ? agent.program : service).child.kill(signal);
    },
  };
}
