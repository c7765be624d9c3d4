// SPDX-License-Identifier: MIT
/**
 * The push service under load: from a POST to the device that has the message, with each store, beside a relay that keeps nothing
 * (the ceiling of what Node can do here) and beside Mosquitto; memory of connections; a fleet that comes back at once. Services and
 * relay are processes of their own, in one run, in turns.
 */

import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { loadDevCertificate } from "../src/push-service/index.ts";
import { isRedisInstalled, TestCluster } from "../test/push-service/redis-cluster.ts";
import type { ChildRole } from "./delivery/child.ts";
import {
  closeFleet,
  connectFleet,
  connectMosquittoFleet,
  connectRelayFleet,
  type Device,
  type Received,
  reconnectFleet,
} from "./delivery/fleet.ts";
import { httpCarrier, Load, mqttCarrier, type Outcome } from "./delivery/load.ts";
import { Program } from "./delivery/program.ts";
import { bytesOn, connectWire, WIRES, type Wire } from "./delivery/wire.ts";
import { hasMosquitto } from "./footprint/mosquitto.ts";
import { type MeasureOptions, part, quantile, type Row, rowOf } from "./harness.ts";

const SUITE = "delivery";
const RELAY = "relay";
/** A message of 200 bytes as it is POSTed (RFC 8291: header, tag and delimiter are 103 bytes). */
const BODY_BYTES = 303;
const DEVICES = [1, 100, 10_000] as const;
const IN_FLIGHT = [1, 16, 256] as const;
const ROUNDS = 3;
/** Links this process holds at once; the usual bound of descriptors is twice that. */
const FLEETS_AT_ONCE_MAX = 10_000;
/** Each load; before the first of a program as much again, unmeasured. */
const LOAD_MS = 1_000;
const PACED_MS = 10_000;
/** Idle connections, of which each counts: less than the difference two starts make. */
const IDLE_DEVICES = 10_000;
const WIRE_MESSAGES = 20;
const COUNTED_MESSAGES = 3;
/** By then a device has acknowledged a message, and the service has answered that. */
const ACKNOWLEDGED_MS = 100;
const IDLE_DEVICES_TLS = 2_000;

/** A node that is busy is not taken for dead. */
const PATIENT = ["--cluster-node-timeout", "5000"];

type Kind = ChildRole["kind"] | "mosquitto";
/** What each side took for one load. */
interface Measured extends Outcome {
  readonly cpuUs: number;
}

export async function run({ isQuick = false, isCounted = false }: MeasureOptions): Promise<Row[]> {
  const stage = await Stage.open();
  try {
    if (isCounted) return await wires(stage, COUNTED_MESSAGES);
    const rows: Row[] = [];
    const stores: readonly Kind[] = isRedisInstalled ? ["memory", "lmdb", "redis"] : ["memory", "lmdb"];
    const kinds: readonly Kind[] = [RELAY, ...stores];
    const withMosquitto = hasMosquitto() ? [...kinds, "mosquitto" as const] : kinds;
    for (const devices of isQuick ? [100] : DEVICES)
      rows.push(
        ...(await part(`delivery to ${devices} devices`, () =>
          loads(stage, devices === 100 ? withMosquitto : kinds, devices),
        )),
      );
    rows.push(...(await part("delivery at half load", () => halfLoad(stage, rows))));
    rows.push(...(await part("bytes on the wire", () => wires(stage, WIRE_MESSAGES))));
    if (!isQuick) rows.push(...(await part("connections", () => connections(stage))));
    return rows;
  } finally {
    await stage.close();
  }
}

/** One directory, one certificate, and the programs that run. */
class Stage {
  readonly #directory: string;
  readonly #programs = new Set<Program>();
  #redis: TestCluster | null = null;
  #last = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(): Promise<Stage> {
    const directory = mkdtempSync(join(tmpdir(), "godwit-bench-"));
    await loadDevCertificate({ directory: join(directory, "tls"), nowMs: Date.now() });
    return new Stage(directory);
  }

  async start(kind: Kind, { isTls = false, hasMqtt = false } = {}): Promise<Program> {
    const directory = join(this.#directory, String(++this.#last));
    mkdirSync(directory, { mode: 0o700 });
    const tls = isTls ? { certFile: this.#tls("cert.pem"), keyFile: this.#tls("key.pem") } : null;
    if (kind === "redis") this.#redis ??= await TestCluster.start(PATIENT);
    const redisNodes = this.#redis?.seeds ?? [];
    const program =
      kind === "mosquitto"
        ? await Program.startMosquitto(directory)
        : await Program.start({ kind, directory, tls, redisNodes, hasMqtt }, this.#tls("ca.pem"));
    this.#programs.add(program);
    return program;
  }

  async stop(program: Program): Promise<void> {
    this.#programs.delete(program);
    await program.stop();
  }

  async close(): Promise<void> {
    for (const program of this.#programs) await program.stop();
    await this.#redis?.stop();
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 3 });
  }

  #tls(name: string): string {
    return join(this.#directory, "tls", name);
  }
}

/** A program with a fleet, ready to be loaded. */
interface Side {
  readonly kind: Kind;
  readonly program: Program;
  readonly fleet: readonly Device[];
  readonly load: Load;
}

async function sideOf(stage: Stage, kind: Kind, devices: number): Promise<Side> {
  const program = await stage.start(kind);
  const load = new Load(BODY_BYTES, kind === "mosquitto" ? mqttCarrier : httpCarrier);
  const fleet = await CONNECT[kind](program.target, devices, load.received);
  return { kind, program, fleet, load };
}

const CONNECT: Readonly<Record<Kind, typeof connectFleet>> = {
  memory: connectFleet,
  lmdb: connectFleet,
  redis: connectFleet,
  relay: connectRelayFleet,
  mosquitto: connectMosquittoFleet,
};

async function end(stage: Stage, { program, fleet }: Side): Promise<void> {
  closeFleet(fleet);
  await stage.stop(program);
}

/** Time and processor time of one message, for each number of requests under way. */
async function loads(stage: Stage, kinds: readonly Kind[], devices: number): Promise<Row[]> {
  const measured = new Map<string, Measured[]>();
  const take = async (side: Side, inFlight: number, isMeasured: boolean): Promise<void> => {
    const outcome = await saturated(side, inFlight);
    const name = `${side.kind}x${inFlight}`;
    if (isMeasured) measured.set(name, [...(measured.get(name) ?? []), outcome]);
    process.stderr.write(".");
  };
  // As many at once as this process has descriptors for: in turns where they fit, else each for itself.
  const groups = devices * kinds.length <= FLEETS_AT_ONCE_MAX ? [kinds] : kinds.map((kind) => [kind]);
  for (const group of groups) {
    const sides: Side[] = [];
    for (const kind of group) sides.push(await sideOf(stage, kind, devices));
    for (const inFlight of IN_FLIGHT) {
      for (let round = inFlight === IN_FLIGHT[0] ? 0 : 1; round <= ROUNDS; round++) {
        for (const side of round % 2 === 0 ? sides : sides.toReversed())
          await take(side, inFlight, round > 0);
      }
    }
    for (const side of sides) await end(stage, side);
  }
  return kinds.flatMap((kind) => IN_FLIGHT.flatMap((inFlight) => rowsOf(kind, devices, inFlight, measured)));
}

function rowsOf(
  kind: Kind,
  devices: number,
  inFlight: number,
  measured: ReadonlyMap<string, readonly Measured[]>,
): Row[] {
  const ours = measured.get(`${kind}x${inFlight}`) ?? [];
  const theirs = kind === RELAY ? [] : (measured.get(`${RELAY}x${inFlight}`) ?? []);
  const isOurs = kind !== RELAY && kind !== "mosquitto";
  const row = (name: string, unit: string, of: (one: Measured) => number): Row => {
    const named = {
      name: `${isOurs ? `${kind}-` : ""}${devices}x${inFlight}${name}`,
      runtime: isOurs ? "node" : kind,
      unit,
      peer: kind === RELAY ? null : RELAY,
    };
    return rowOf(SUITE, named, ours.map(of), theirs.map(of));
  };
  return [
    row("", "us/message", ({ elapsedMs, messages }) => (elapsedMs * 1000) / messages),
    row("-p50", "ms", ({ latenciesMs }) => quantile(latenciesMs, 0.5)),
    row("-p99", "ms", ({ latenciesMs }) => quantile(latenciesMs, 0.99)),
    row("-cpu", "us/message", ({ cpuUs, messages }) => cpuUs / messages),
  ];
}

async function saturated({ program, fleet, load }: Side, inFlight: number): Promise<Measured> {
  const before = await program.usage();
  const outcome = await load.saturate(program.target, fleet, inFlight, LOAD_MS);
  const after = await program.usage();
  return { ...outcome, cpuUs: after.cpuUs - before.cpuUs };
}

/** Delay with 100 devices on LMDB, at half of what went through. */
async function halfLoad(stage: Stage, rows: readonly Row[]): Promise<Row[]> {
  const usPerMessage = rows.find((row) => row.case === "lmdb-100x256")?.value ?? Number.NaN;
  const side = await sideOf(stage, "lmdb", 100);
  const everyMs = (2 * usPerMessage) / 1000;
  await side.load.pace(side.program.target, side.fleet, everyMs, LOAD_MS);
  const p99s: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { latenciesMs } = await side.load.pace(side.program.target, side.fleet, everyMs, PACED_MS / ROUNDS);
    p99s.push(quantile(latenciesMs, 0.99));
  }
  await end(stage, side);
  return [rowOf(SUITE, { name: "half-load-p99", runtime: "node", unit: "ms", peer: null }, p99s, [])];
}

/** Bytes of a message that comes by itself, native beside autopush. */
async function wires(stage: Stage, messages: number): Promise<Row[]> {
  const program = await stage.start("memory", { hasMqtt: true });
  const bytes = new Map<Wire, number[]>();
  for (const wire of WIRES) {
    const load = new Load(BODY_BYTES, httpCarrier);
    const device = await connectWire(wire, { service: program.target, mqtt: program.mqtt }, load.received);
    const samples: number[] = [];
    for (let message = 0; message < messages; message++) {
      const before = bytesOn(device);
      await load.pace(program.target, [device], 1, 1);
      await setTimeout(ACKNOWLEDGED_MS);
      samples.push(bytesOn(device) - before);
    }
    bytes.set(wire, samples);
    closeFleet([device]);
  }
  await stage.stop(program);
  return WIRES.map((wire) => {
    const peer = wire === "autopush" ? null : "autopush";
    const named = { name: `wire-${wire}`, runtime: "node", unit: "B", peer };
    return rowOf(SUITE, named, bytes.get(wire) ?? [], peer === null ? [] : (bytes.get(peer) ?? []));
  });
}

/** What a connection takes that is only there, plain and by TLS; and the time until a fleet is back. */
async function connections(stage: Stage): Promise<Row[]> {
  const ignore: Received = () => {};
  const rows: Row[] = [];
  for (const [name, isTls, count] of [
    ["idle-connection", false, IDLE_DEVICES],
    ["idle-connection-tls", true, IDLE_DEVICES_TLS],
  ] as const) {
    const program = await stage.start("memory", { isTls });
    // The first ones make the engine compile and its pools grow.
    closeFleet(await connectFleet(program.target, count / 10, ignore));
    const before = await program.usage();
    const fleet = await connectFleet(program.target, count, ignore);
    const after = await program.usage();
    const bytes = (after.rssBytes - before.rssBytes) / count;
    rows.push(rowOf(SUITE, { name, runtime: "node", unit: "B", peer: null }, [bytes], []));
    const connectUs = (after.cpuUs - before.cpuUs) / count;
    const coming = `connect-cpu${isTls ? "-tls" : ""}`;
    rows.push(
      rowOf(SUITE, { name: coming, runtime: "node", unit: "us/device", peer: null }, [connectUs], []),
    );
    closeFleet(fleet);
    if (!isTls) rows.push(...(await part("a fleet that comes back", () => storm(program, fleet))));
    await stage.stop(program);
  }
  return rows;
}

/** All of `fleet` at once, until the last one is back. */
async function storm(program: Program, fleet: readonly Device[]): Promise<Row[]> {
  const startMs = performance.now();
  const again = await reconnectFleet(program.target, fleet, () => {});
  const stormMs = performance.now() - startMs;
  closeFleet(again);
  return [
    rowOf(SUITE, { name: `storm-${fleet.length}`, runtime: "node", unit: "ms", peer: null }, [stormMs], []),
  ];
}
