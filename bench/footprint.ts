// SPDX-License-Identifier: MIT
/**
 * What the agent takes of a device: memory at its stages, bytes of program and libraries, time until it dials. godwitd beside the
 * agent on Node and beside mosquitto_sub, all in one run. Each round measures new processes.
 */

import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { nodeProvider } from "../src/node/crypto.ts";
import { encrypt } from "../src/webpush/encrypt.ts";
import { type Memory, memoryOf, type Sections, sectionsOf, strippedBytes } from "./footprint/memory.ts";
import { hasMosquitto, measureMosquitto } from "./footprint/mosquitto.ts";
import { Device, FootprintStage, type Peer, type Subscription, subscriptionOf } from "./footprint/stage.ts";
import { startMs } from "./footprint/start.ts";
import { type MeasureOptions, type Row, rowOf } from "./harness.ts";

const SUITE = "footprint";
/** Where `npm run firmware` puts it. */
const GODWITD = "build/firmware/godwitd";
/** Processes of each kind; memory differs little between them. The last of them gets the messages. */
const ROUNDS = 3;
/** Starts of each kind. */
const STARTS = 40;
const MESSAGES = 10_000;
/** After these the engine's heap has had every burst it has to take: what grows behind them would grow for ever. */
const FIRST_MESSAGES = 1_000;
/** Apps that get the messages in turn, since each may ask the agent 64 times a second. */
const APPS = 8;
const PAYLOAD_BYTES = 200;

/** In the order they come. */
const STAGES = ["start", "connected", "100subs", "1000msgs", "10000msgs", "1000subs"] as const;
export type Stages = Partial<Readonly<Record<(typeof STAGES)[number], Memory>>>;

interface Program {
  readonly runtime: string;
  /** What the arguments of `godwit agent` stand behind. */
  readonly command: readonly string[];
}

export async function run({ isQuick = false }: MeasureOptions): Promise<Row[]> {
  const [rounds, starts] = isQuick ? [1, 5] : [ROUNDS, STARTS];
  const programs: Program[] = [{ runtime: "node", command: [process.execPath, "dist/cli.js", "agent"] }];
  if (existsSync(GODWITD)) programs.unshift({ runtime: "godwitd", command: [GODWITD] });
  else process.stderr.write(`${GODWITD} is missing: npm run firmware\n`);
  const stage = await FootprintStage.open();
  try {
    const memory = new Map<string, Stages[]>();
    const note = (runtime: string, stages: Stages): void => {
      memory.set(runtime, [...(memory.get(runtime) ?? []), stages]);
      process.stderr.write(".");
    };
    let sections: readonly Sections[] = [];
    for (let round = 0; round < rounds; round++) {
      const messages = round === rounds - 1 ? MESSAGES : 0;
      for (const { runtime, command } of alternately(round, programs)) {
        const measured = await measureAgent(stage, command, messages);
        note(runtime, measured.stages);
        if (runtime === "godwitd") sections = measured.sections;
      }
      if (hasMosquitto()) note("mosquitto_sub", await measureMosquitto(stage, messages, PAYLOAD_BYTES));
    }
    process.stderr.write("\n");
    const rows = [...memoryRows(memory), ...growthRows(memory)];
    if (sections.length > 0) rows.push(...sizeRows(sections));
    rows.push(...(await startRows(stage, programs, starts)));
    return rows;
  } finally {
    await stage.close();
  }
}

/** One agent through all its stages. */
async function measureAgent(
  stage: FootprintStage,
  command: readonly string[],
  messages: number,
): Promise<{ stages: Stages; sections: Sections[] }> {
  const device = await Device.start(stage, command);
  const now = () => memoryOf(device.pid);
  const start = now();
  const admin = await device.enterAdmin();
  const apps = [await beApp(device, admin, 0)];
  const connected = now();
  const sections = sectionsOf(device.pid);
  const subscribe = async (from: number, to: number): Promise<void> => {
    for (let number = from; number < to; number++) {
      const owner = `https://${number}.example`;
      await admin.ask("subscribe", { owner, applicationServerKey: null, freshness: null });
    }
  };
  for (let number = 1; number < APPS; number++) apps.push(await beApp(device, admin, number));
  await subscribe(APPS, 100);
  const with100 = now();
  const after: { -readonly [At in keyof Stages]: Memory } = {};
  if (messages > 0) {
    await deliver(stage, apps, FIRST_MESSAGES);
    after["1000msgs"] = now();
    await deliver(stage, apps, messages - FIRST_MESSAGES);
    after["10000msgs"] = now();
  }
  await subscribe(100, 1000);
  const with1000 = now();
  await device.end();
  return { stages: { start, connected, "100subs": with100, ...after, "1000subs": with1000 }, sections };
}

interface App {
  readonly peer: Peer;
  readonly subscription: Subscription;
}

/** An app that subscribed, and handles what comes. */
async function beApp(device: Device, admin: Peer, number: number): Promise<App> {
  const owner = `bench-${number}`;
  const { token } = await admin.ask("installApp", { owner, start: null, tokenFile: null });
  const peer = await device.enter({ role: "app", owner, token });
  await peer.ask("attach", { handlesPush: true });
  const { subscription } = (await peer.ask("subscribe", {
    ...{ applicationServerKey: null, userVisibleOnly: false, waToken: null },
    ...{ declarative: "auto", allowAesgcm: false, freshness: null },
  })) as { subscription: { endpoint: string; p256dh: string; auth: string } };
  const { endpoint, p256dh, auth } = subscription;
  return { peer, subscription: subscriptionOf({ endpoint, keys: { p256dh, auth } }) };
}

/** Sends `count` messages, as many to each app, and waits until all are handled. */
async function deliver(stage: FootprintStage, apps: readonly App[], count: number): Promise<void> {
  const each = Math.ceil(count / apps.length);
  const handled = apps.map(({ peer }) => peer.handleMessages(each));
  const sent = stage.each(each * apps.length, async (number) => {
    const app = apps[number % apps.length];
    if (app !== undefined) await stage.publish(app.subscription.endpoint, sealed(app.subscription));
  });
  await Promise.all([...handled, sent]);
}

function sealed({ publicKey, authSecret }: Subscription): Uint8Array {
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(0x61);
  const randomFill = (target: Uint8Array) => crypto.getRandomValues(target);
  return encrypt(payload, { publicKey, authSecret }, { provider: nodeProvider, randomFill });
}

function memoryRows(memory: ReadonlyMap<string, readonly Stages[]>): Row[] {
  const rows: Row[] = [];
  for (const [runtime, rounds] of memory) {
    const peer = runtime === "godwitd" ? "node" : null;
    for (const kind of ["anon", "rss"] as const) {
      for (const at of STAGES) {
        const samplesOf = (name: string) =>
          (memory.get(name) ?? []).flatMap((stages) => stages[at]?.[kind] ?? []);
        if (rounds.every((stages) => stages[at] === undefined)) continue;
        const named = { name: `${kind}-${at}`, runtime, unit: "B", peer };
        rows.push(rowOf(SUITE, named, samplesOf(runtime), peer === null ? [] : samplesOf(peer)));
      }
    }
  }
  return rows;
}

/** What the first {@link FIRST_MESSAGES} left, what all of them, and what those behind the first: 1 is nothing. */
function growthRows(memory: ReadonlyMap<string, readonly Stages[]>): Row[] {
  return [...memory].flatMap(([runtime, rounds]) => {
    const between = (name: string, first: (typeof STAGES)[number], last: (typeof STAGES)[number]): Row[] => {
      const growth = rounds.flatMap(({ [first]: before, [last]: after }) =>
        before === undefined || after === undefined ? [] : after.anon / before.anon,
      );
      const named = { name, runtime, unit: "1", peer: null };
      return growth.length === 0 ? [] : [rowOf(SUITE, named, growth, [])];
    };
    return [
      ...between("growth-1000msgs", "100subs", "1000msgs"),
      ...between("growth-10000msgs", "100subs", "10000msgs"),
      ...between("growth-1000to10000msgs", "1000msgs", "10000msgs"),
    ];
  });
}

/** What lies on the flash. */
function sizeRows(sections: readonly Sections[]): Row[] {
  const row = (name: string, bytes: number): Row =>
    rowOf(SUITE, { name, runtime: "godwitd", unit: "B", peer: null }, [bytes], []);
  const names = ["config", "daemon", "doctor", "embedding", "bench"];
  return [
    row("stripped", strippedBytes(GODWITD)),
    ...names.map((name) => row(`script-${name}`, statSync(`dist/firmware/${name}.js`).size)),
    ...names.flatMap((name) => {
      const bytes = bytecodeBytes(name);
      return bytes === null ? [] : row(`bytecode-${name}`, bytes);
    }),
    ...sections.flatMap(({ name, text, data }) => [row(`text-${name}`, text), row(`data-${name}`, data)]),
  ];
}

/** Length of a script's bytecode in the program, as its symbol table says; null when the program is stripped. */
function bytecodeBytes(script: string): number | null {
  const { stdout } = spawnSync("nm", ["--print-size", GODWITD], { encoding: "utf8" });
  const bytes = new RegExp(`^[0-9a-f]+ ([0-9a-f]+) . bridge_script_${script}$`, "m").exec(stdout ?? "")?.[1];
  return bytes === undefined ? null : Number.parseInt(bytes, 16);
}

/** From exec to the first packet of a connection, with a subscription that wants one. */
async function startRows(
  stage: FootprintStage,
  programs: readonly Program[],
  starts: number,
): Promise<Row[]> {
  const samples = new Map<string, number[]>();
  const states = new Map<string, string>();
  for (const { runtime, command } of programs) {
    const device = await Device.start(stage, command);
    const admin = await device.enterAdmin();
    await admin.ask("subscribe", { owner: "https://a.example", applicationServerKey: null, freshness: null });
    await device.end();
    states.set(runtime, device.state);
  }
  for (let round = 0; round < starts; round++) {
    for (const { runtime, command } of alternately(round, programs)) {
      const ms = await startMs(stage, command, states.get(runtime) ?? "");
      samples.set(runtime, [...(samples.get(runtime) ?? []), ms]);
    }
  }
  return programs.map(({ runtime }) => {
    const peer = runtime === "godwitd" ? "node" : null;
    const named = { name: "start-to-connect", runtime, unit: "ms", peer };
    return rowOf(SUITE, named, samples.get(runtime) ?? [], peer === null ? [] : (samples.get(peer) ?? []));
  });
}

/** Every other round the other way round. */
function alternately<Item>(round: number, items: readonly Item[]): Item[] {
  return round % 2 === 0 ? [...items] : items.toReversed();
}
