// SPDX-License-Identifier: MIT
/**
 * The push service with LMDB, a process of its own: what a message costs while many wait for its device, and while many devices are
 * connected. Processor time of that process; what measures takes its own.
 */

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFleet, connectFleet, type Device, reconnectFleet } from "../delivery/fleet.ts";
import { httpCarrier, Load } from "../delivery/load.ts";
import { Program } from "../delivery/program.ts";
import { type MeasureOptions, type Row, rowOf } from "../harness.ts";

/** As it is POSTed, see delivery.ts. */
const BODY_BYTES = 303;
const SENDERS = 16;

/** Messages that wait when the last {@link PUT} of them were taken. */
const QUEUED = [100, 1_000, 10_000] as const;
const PUT = 100;
const QUEUE_ROUNDS = 7;

const DEVICES = [1, 100, 1_000, 10_000, 15_000] as const;
/** What many devices are held against: one alone acknowledges many messages with one frame. */
const SOME_DEVICES = 100;
const DEVICE_ROUNDS = 5;
const LOAD_MS = 1_000;
/** Descriptors this process, or the service, needs beside its links. */
const DESCRIPTORS_SPARE = 1_000;

export async function serviceRows(suite: string, { isQuick = false }: MeasureOptions): Promise<Row[]> {
  const [queued, devices] = isQuick ? [QUEUED.slice(0, 2), DEVICES.slice(0, 3)] : [QUEUED, DEVICES];
  const directory = mkdtempSync(join(tmpdir(), "godwit-growth-"));
  const programs: Program[] = [];
  const start = async (): Promise<Program> => {
    const own = join(directory, String(programs.length));
    mkdirSync(own);
    const role = { kind: "lmdb", directory: own, tls: null, redisNodes: [], hasMqtt: false } as const;
    const program = await Program.start({ ...role, messagesMax: 2 * Math.max(...queued) }, null);
    programs.push(program);
    return program;
  };
  try {
    return [
      ...(await queueRows(suite, queued, await start(), join(directory, "0"))),
      ...(await deviceRows(suite, devices, await start(), await start())),
    ];
  } finally {
    for (const program of programs) await program.stop();
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Taking one more message for a device that is away and has many, and handing out all of them when it comes. */
async function queueRows(
  suite: string,
  queued: readonly number[],
  program: Program,
  directory: string,
): Promise<Row[]> {
  const [few = 0] = queued;
  const most = Math.max(...queued);
  const stored: number[] = [];
  const puts = new Map<number, number[]>(queued.map((count) => [count, []]));
  const handOuts = new Map<number, number[]>(queued.map((count) => [count, []]));
  for (let round = -1; round < QUEUE_ROUNDS; round++) {
    for (const count of round % 2 === 0 ? queued : queued.toReversed()) {
      const fleet = await connectFleet(program.target, 1, () => {});
      closeFleet(fleet);
      await post(program, fleet, count - PUT);
      const put = await cpuOf(program, () => post(program, fleet, PUT));
      // The first queue of all: what it takes is used again by the others.
      if (count === most && stored.length === 0) stored.push(bytesIn(directory) / count);
      const handOut = await cpuOf(program, () => takeAll(program, fleet, count));
      if (round < 0) continue;
      puts.get(count)?.push(put / PUT);
      handOuts.get(count)?.push(handOut / count);
    }
    process.stderr.write(".");
  }
  const onDisk = { name: `stored-${most}queued`, runtime: "node", unit: "B", peer: null };
  const grown = [["put", puts] as const, ["hand-out", handOuts] as const].flatMap(([kind, samples]) =>
    queued.map((count) => {
      const peer = count === few ? null : `${few} messages`;
      const named = { name: `${kind}-${count}queued`, runtime: "node", unit: "us/message", peer };
      const theirs = peer === null ? [] : (samples.get(few) ?? []);
      return rowOf(suite, named, samples.get(count) ?? [], theirs);
    }),
  );
  return [...grown, rowOf(suite, onDisk, stored, [])];
}

/** Of its files; what locks the directory is none. */
function bytesIn(directory: string): number {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

/** Processor time of the program meanwhile, us. */
async function cpuOf(program: Program, action: () => Promise<unknown>): Promise<number> {
  const before = await program.usage();
  await action();
  return (await program.usage()).cpuUs - before.cpuUs;
}

/** `count` messages to the one device of `fleet`. */
async function post(program: Program, fleet: readonly Device[], count: number): Promise<void> {
  const body = new Uint8Array(BODY_BYTES);
  const path = fleet[0]?.path ?? "";
  let next = 0;
  const send = async (): Promise<void> => {
    const carrier = await httpCarrier(program.target);
    while (next++ < count) {
      const status = await carrier.send(path, body);
      if (status !== 201) throw new Error(`a message was answered ${status}`);
    }
    carrier.close();
  };
  await Promise.all(Array.from({ length: SENDERS }, send));
}

/** Connects the device until it has `count` messages. */
async function takeAll(program: Program, fleet: readonly Device[], count: number): Promise<void> {
  let received = 0;
  let done: () => void = () => {};
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const connected = await reconnectFleet(program.target, fleet, () => {
    if (++received === count) done();
  });
  await all;
  closeFleet(connected);
}

/** A message to one of many connected devices, each in turn; beside it, in turns, a service with few of them. */
async function deviceRows(
  suite: string,
  devices: readonly number[],
  many: Program,
  some: Program,
): Promise<Row[]> {
  const base = await sideOf(some);
  await base.grow(SOME_DEVICES);
  const grown = await sideOf(many);
  const rows: Row[] = [];
  for (const count of reachable(devices)) {
    await grown.grow(count);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = -1; round < DEVICE_ROUNDS; round++) {
      const sides = [() => grown.sample(ours), () => base.sample(theirs)];
      for (const sample of round % 2 === 0 ? sides : sides.toReversed()) await sample();
      if (round < 0) ours.length = theirs.length = 0;
      process.stderr.write(".");
    }
    const peer = count === SOME_DEVICES ? null : `${SOME_DEVICES} devices`;
    const named = { name: `message-${count}devices`, runtime: "node", unit: "us/message", peer };
    rows.push(rowOf(suite, named, ours, peer === null ? [] : theirs));
  }
  base.close();
  grown.close();
  return rows;
}

async function sideOf(program: Program) {
  const load = new Load(BODY_BYTES, httpCarrier);
  const fleet: Device[] = [];
  return {
    async grow(count: number): Promise<void> {
      fleet.push(...(await connectFleet(program.target, count - fleet.length, load.received)));
    },
    async sample(into: number[]): Promise<void> {
      let messages = 0;
      const cpuUs = await cpuOf(program, async () => {
        ({ messages } = await load.saturate(program.target, fleet, SENDERS, LOAD_MS));
      });
      into.push(cpuUs / messages);
      // The next ones go to those that had none.
      fleet.push(...fleet.splice(0, messages % fleet.length));
    },
    close: () => closeFleet(fleet),
  };
}

/** Those of `counts` that the bound of descriptors leaves room for; says which it does not. */
function reachable(counts: readonly number[]): number[] {
  const bound = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  const most = Number(bound ?? Number.POSITIVE_INFINITY) - DESCRIPTORS_SPARE;
  const left = counts.filter((count) => count <= most);
  if (left.length < counts.length)
    process.stderr.write(
      `bench: no more than ${bound} descriptors, so no more than ${left.at(-1)} devices\n`,
    );
  return left;
}
