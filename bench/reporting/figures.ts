// SPDX-License-Identifier: MIT
/** Which figures there are, and how each is made of the rows of its suite. */

import type { BatteryRow } from "../battery/suite.ts";
import type { Board } from "../firmware.ts";
import type { Row } from "../harness.ts";
import type { Entry } from "../plot/ranges.ts";
import type { Role } from "../plot/svg.ts";
import { short } from "../plot/svg.ts";
import type { Figure, LinePlot, Plot } from "../plot.ts";
import { isBattery, isMeasured, type Recording } from "./recording.ts";

/** A figure and what it was made of. */
export interface MadeFigure {
  /** Of its file, and of its place in the report. */
  readonly name: string;
  readonly figure: Figure;
  readonly rows: readonly (Row | BatteryRow)[];
}

/** The scenario that stands for all in the first figure. */
const MAIN_SCENARIO = "commuter-7d";
/** Less deafness than this is drawn as this, minutes a day. */
const DEAF_MIN = 0.1;

/** What a machine that does nothing but measure may have had to do in the minute before. */
const LOAD_PER_CPU_QUIET = 2;

/** Every figure that `recordings` have the rows for, in the order of the report. */
export function figuresOf(recordings: readonly Recording[]): MadeFigure[] {
  const rows = recordings.flatMap((recording) => recording.rows);
  const measured = new Cases(rows.filter(isMeasured));
  const energies = energyFigures(rows.filter(isBattery));
  const made = [
    ...energies.slice(0, 1),
    ...MEASURED.map((make) => make(measured)),
    ...energies.slice(1),
  ].filter((one) => one !== null);
  return made.map(({ name, title, description, plot, rows: used }) => {
    const notes = notesOf(used, recordings);
    return { name, figure: { title, description, plot, notes }, rows: used };
  });
}

/** A figure without its small print; null when nothing of it was measured. */
interface Draft {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly plot: Plot;
  readonly rows: readonly (Row | BatteryRow)[];
}

/** Rows by their names, and which of them were used. */
class Cases {
  readonly #rows: readonly Row[];

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
  }

  find(suite: string, name: string, runtime = "node"): Row | null {
    return (
      this.#rows.find((row) => row.suite === suite && row.case === name && row.runtime === runtime) ?? null
    );
  }

  /** Rows whose case is `pattern` with a number in its group, by that number. */
  growing(suite: string, pattern: RegExp): [number, Row][] {
    return this.#rows
      .filter((row) => row.suite === suite && row.runtime === "node")
      .flatMap((row): [number, Row][] => {
        const count = pattern.exec(row.case)?.[1];
        return count === undefined ? [] : [[Number(count), row]];
      })
      .sort(([a], [b]) => a - b);
  }
}

const MEASURED: readonly ((cases: Cases) => Draft | null)[] = [
  decryptFigure,
  parseFigure,
  bytesFigure,
  footprintFigure,
  startFigure,
  throughputFigure,
  subscriptionsFigure,
  queueFigure,
  devicesFigure,
];

// --- battery ---------------------------------------------------------------------------------------------------------

function energyFigures(rows: readonly BatteryRow[]): Draft[] {
  const names = [...new Set(rows.map(({ scenario }) => scenario))];
  const sorted = names.toSorted((a, b) => Number(b === MAIN_SCENARIO) - Number(a === MAIN_SCENARIO));
  return sorted.flatMap((scenario) => {
    const used = rows.filter((row) => row.scenario === scenario && row.joulesDay > 0);
    if (used.length === 0) return [];
    const best = used.find(({ algorithm }) => algorithm === "oracle");
    const own = used.find(({ algorithm }) => algorithm === "godwit");
    const told = (row: BatteryRow | undefined) =>
      row === undefined ? "-" : `${short(row.joulesDay)} J and ${short(row.deafMinDay)} deaf minutes a day`;
    const isMain = scenario === MAIN_SCENARIO;
    return {
      name: isMain ? "energy" : `energy-${scenario.replace(/[^\w.-]/g, "_")}`,
      title: `${isMain ? "A commuter's week" : scenario}: energy against deafness, simulated`,
      description: `Each keep-alive algorithm by joules and deaf minutes a day; lower and further left is better. Godwit: ${told(own)}. The oracle, which knows every idle timeout: ${told(best)}.`,
      plot: {
        kind: "scatter",
        xLabel: "deaf minutes a day",
        yLabel: "joules a day",
        xMin: DEAF_MIN,
        points: used.map(({ algorithm, joulesDay, deafMinDay, ...row }) => ({
          xRange: [row.deafMinDayLow ?? deafMinDay, row.deafMinDayHigh ?? deafMinDay],
          yRange: [row.joulesDayLow ?? joulesDay, row.joulesDayHigh ?? joulesDay],
          name: algorithm,
          role: algorithm.startsWith("godwit") ? "ours" : algorithm === "oracle" ? "floor" : "peer",
          x: deafMinDay,
          y: joulesDay,
        })),
      },
      rows: used,
    } satisfies Draft;
  });
}

// --- decrypt, parse --------------------------------------------------------------------------------------------------

function decryptFigure(cases: Cases): Draft | null {
  const [node, noble, wasm] = [
    cases.find("decrypt", "native-200B"),
    cases.find("decrypt", "noble-200B"),
    cases.find("decrypt", "noble-200B", "quickjs"),
  ];
  const [firmware, agree, script] = [
    cases.find("decrypt", "native-200B", "godwitd"),
    cases.find("decrypt", "native-ecdh", "godwitd"),
    cases.find("decrypt", "noble-200B", "godwitd"),
  ];
  return ranges({
    name: "decrypt",
    title: "Decrypting one message of 200 bytes",
    description: described(
      "Time of one message, by runtime and provider, beside peers and beside the bare key agreement (ECDH), which none can do without.",
      [
        ["Godwit with node:crypto takes", node],
        ["godwitd with its native provider", firmware],
      ],
    ),
    unit: "µs",
    scale: "log",
    groups: [
      {
        name: "Node",
        entries: [
          entry("Godwit, node:crypto", "ours", node),
          peerEntry("http_ece", "peer", node),
          entry("Godwit, noble", "ours", noble),
          peerEntry("bare ECDH, noble", "floor", noble),
        ],
      },
      {
        name: "QuickJS-ng (godwitd)",
        entries: [
          entry("Godwit, native provider", "ours", firmware),
          entry("bare ECDH, native provider", "floor", agree),
          entry("Godwit, noble", "ours", script),
          peerEntry("bare ECDH, noble", "floor", script),
        ],
      },
      {
        name: "QuickJS in WebAssembly",
        entries: [entry("Godwit, noble", "ours", wasm), peerEntry("bare ECDH, noble", "floor", wasm)],
      },
    ],
    rows: [node, noble, firmware, agree, script, wasm],
  });
}

function parseFigure(cases: Cases): Draft | null {
  const sizes = [
    ["small", "a title"],
    ["typical", "two actions"],
    ["large", "everything there is"],
  ] as const;
  const runtimes = [
    ["node", "Node", "bare TextDecoder, JSON.parse, URL"],
    ["godwitd", "QuickJS-ng (godwitd)", "bare JSON.parse"],
    ["quickjs", "QuickJS in WebAssembly", "bare JSON.parse"],
  ] as const;
  const found = runtimes.map(([runtime, name, floor]) => ({
    name,
    floor,
    rows: sizes.map(([size, told]) => [told, cases.find("parse", `parse-${size}`, runtime)] as const),
  }));
  return ranges({
    name: "parse",
    title: "Reading one declarative message",
    description: described(
      "Time of one message by runtime, from bytes to a checked notification, beside the engine's own primitives on the same bytes.",
      [["On Node a message with two actions takes", cases.find("parse", "parse-typical")]],
    ),
    unit: "µs",
    scale: "log",
    groups: found.map(({ name, floor, rows }) => ({
      name,
      entries: rows.flatMap(([told, row]) => [
        entry(`Godwit, ${told}`, "ours", row),
        peerEntry(`${floor}`, "floor", row),
      ]),
    })),
    rows: found.flatMap(({ rows }) => rows.map(([, row]) => row)),
  });
}

// --- the wire, the device --------------------------------------------------------------------------------------------

function bytesFigure(cases: Cases): Draft | null {
  const wires = [
    ["websocket", "godwit.v1 over WebSocket", "ours"],
    ["mqtt", "godwit.v1 over MQTT", "ours"],
    ["autopush", "autopush over WebSocket", "peer"],
  ] as const;
  const found = wires.map(
    ([wire, name, role]) => [name, role, cases.find("delivery", `wire-${wire}`)] as const,
  );
  return ranges({
    name: "bytes",
    title: "Bytes of one message on the device's connection",
    description: described(
      "A message of 200 bytes (303 encrypted) that comes by itself and its acknowledgement, both ways, without TLS.",
      [["Over WebSocket it takes", cases.find("delivery", "wire-websocket")]],
    ),
    unit: "bytes",
    scale: "linear",
    groups: [{ name: "", entries: found.map(([name, role, row]) => entry(name, role, row)) }],
    rows: found.map(([, , row]) => row),
  });
}

const PROGRAMS = [
  ["godwitd", "godwitd", "ours"],
  ["node", "godwit agent on Node", "other"],
  ["mosquitto_sub", "mosquitto_sub, one topic", "peer"],
] as const;

function footprintFigure(cases: Cases): Draft | null {
  const stages = [
    ["connected", "connected"],
    ["100subs", "100 subscriptions"],
    ["10000msgs", "after 10,000 messages"],
    ["1000subs", "1,000 subscriptions"],
  ] as const;
  const kinds = [
    ["anon", "of its own (anonymous)"],
    ["rss", "with shared libraries (resident)"],
  ] as const;
  const found = kinds.flatMap(([kind, told]) =>
    stages.map(([stage, at]) => ({
      name: `${told}: ${at}`,
      rows: PROGRAMS.map(
        ([runtime, name, role]) =>
          [name, role, cases.find("footprint", `${kind}-${stage}`, runtime)] as const,
      ),
    })),
  );
  return ranges({
    name: "footprint",
    title: "Memory of the agent, over TLS",
    description: described(
      "Memory at each stage of godwitd, of the same agent on Node, and of mosquitto_sub, a message receiver in C with one topic.",
      [["godwitd with 100 subscriptions has for itself", cases.find("footprint", "anon-100subs", "godwitd")]],
    ),
    unit: "MB",
    scale: "linear",
    groups: found.map(({ name, rows }) => ({
      name,
      entries: rows.map(([program, role, row]) => scaled(entry(program, role, row), 1e-6)),
    })),
    rows: found.flatMap(({ rows }) => rows.map(([, , row]) => row)),
  });
}

function startFigure(cases: Cases): Draft | null {
  const found = PROGRAMS.map(
    ([runtime, name, role]) => [name, role, cases.find("footprint", "start-to-connect", runtime)] as const,
  );
  return ranges({
    name: "start",
    title: "From exec until the agent dials",
    description: described("Time until the first packet of a connection, with one subscription.", [
      ["godwitd takes", cases.find("footprint", "start-to-connect", "godwitd")],
    ]),
    unit: "ms",
    scale: "linear",
    groups: [{ name: "", entries: found.map(([name, role, row]) => entry(name, role, row)) }],
    rows: found.map(([, , row]) => row),
  });
}

// --- the push service ------------------------------------------------------------------------------------------------

function throughputFigure(cases: Cases): Draft | null {
  const kinds = [
    ["", "relay", "relay that keeps nothing: the ceiling", "floor"],
    ["memory-", "node", "Godwit, in memory", "ours"],
    ["lmdb-", "node", "Godwit, LMDB: flushed before 201", "ours"],
    ["redis-", "node", "Godwit, Redis Cluster", "ours"],
    ["", "mosquitto", "Mosquitto, QoS 1, not flushed", "peer"],
  ] as const;
  const found = [1, 100, 10_000].map((devices) => ({
    name: `${devices.toLocaleString("en")} device${devices === 1 ? "" : "s"}`,
    rows: kinds.map(
      ([prefix, runtime, name, role]) =>
        [name, role, cases.find("delivery", `${prefix}${devices}x256`, runtime)] as const,
    ),
  }));
  return ranges({
    name: "delivery",
    title: "Messages a second, from POST to the device's acknowledgement",
    description:
      "Messages of 200 bytes through the push service by store, 256 POSTs under way, beside a relay without any store and beside Mosquitto. Sender, service and devices share the machine.",
    unit: "/s",
    scale: "linear",
    groups: found.map(({ name, rows }) => ({
      name,
      entries: rows.map(([told, role, row]) => perSecond(entry(told, role, row))),
    })),
    rows: found.flatMap(({ rows }) => rows.map(([, , row]) => row)),
  });
}

// --- growth ----------------------------------------------------------------------------------------------------------

function subscriptionsFigure(cases: Cases): Draft | null {
  return lines({
    name: "growth-subscriptions",
    title: "Cost by number of subscriptions, on the device",
    description:
      "Processor time from a frame to the app that handled its message, whole and without decryption, and starting, by subscription in the journal. Flat is good. A device has at most 3,000; this goes further to see the line.",
    xLabel: "subscriptions",
    yLabel: "µs a message, or a subscription",
    lines: [
      ["one message", "ours", cases.growing("growth", /^dispatch-(\d+)subs$/)],
      ["one message, nothing to decrypt", "other", cases.growing("growth", /^dispatch-bare-(\d+)subs$/)],
      ["starting, each subscription", "peer", cases.growing("growth", /^start-each-(\d+)subs$/)],
    ],
  });
}

function queueFigure(cases: Cases): Draft | null {
  return lines({
    name: "growth-queued",
    title: "Cost by number of queued messages",
    description:
      "A message of 200 bytes while so many wait: drained by the agent and a session in one process, whole; taken and handed out by a push service with LMDB. Processor time; flat is good.",
    xLabel: "messages queued",
    yLabel: "µs a message",
    lines: [
      ["drained by the device", "ours", cases.growing("growth", /^drain-(\d+)msgs$/)],
      ["taken by the service", "other", cases.growing("growth", /^put-(\d+)queued$/)],
      ["handed out by the service", "peer", cases.growing("growth", /^hand-out-(\d+)queued$/)],
    ],
  });
}

function devicesFigure(cases: Cases): Draft | null {
  return lines({
    name: "growth-devices",
    title: "Cost by number of connected devices",
    description:
      "Processor time of the push service with LMDB for a message from POST to acknowledgement, 16 POSTs under way, each to another device. One device alone acknowledges many messages with one frame.",
    xLabel: "devices connected",
    yLabel: "µs a message",
    lines: [["one message", "ours", cases.growing("growth", /^message-(\d+)devices$/)]],
  });
}

// --- helpers ---------------------------------------------------------------------------------------------------------

interface RangeDraft {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly unit: string;
  readonly scale: "linear" | "log";
  readonly groups: readonly { readonly name: string; readonly entries: readonly (Entry | null)[] }[];
  readonly rows: readonly (Row | null)[];
}

/** With what there is of it. */
function ranges({ name, title, description, unit, scale, groups, rows }: RangeDraft): Draft | null {
  const found = groups
    .map((group) => ({ ...group, entries: group.entries.filter((one) => one !== null) }))
    .filter(({ entries }) => entries.length > 0);
  if (found.length === 0) return null;
  const used = rows.filter((row) => row !== null);
  return { name, title, description, plot: { kind: "ranges", unit, scale, groups: found }, rows: used };
}

interface LineDraft {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly lines: readonly (readonly [
    name: string,
    role: Role,
    points: readonly (readonly [number, Row])[],
  ])[];
}

function lines({ name, title, description, xLabel, yLabel, lines: of }: LineDraft): Draft | null {
  const found = of.filter(([, , points]) => points.length > 1);
  if (found.length === 0) return null;
  const drawn: LinePlot["lines"] = found.map(([told, role, points]) => ({
    name: told,
    role,
    points: points.map(([x, { value, low, high }]) => ({ x, value, low, high })),
  }));
  const plot: LinePlot = { kind: "lines", xLabel, yLabel, lines: drawn };
  return {
    name,
    title,
    description,
    plot,
    rows: found.flatMap(([, , points]) => points.map(([, row]) => row)),
  };
}

function entry(name: string, role: Role, row: Row | null): Entry | null {
  return row === null ? null : { name, role, value: row.value, low: row.low, high: row.high };
}

function peerEntry(name: string, role: Role, row: Row | null): Entry | null {
  if (row === null || row.peerValue === null) return null;
  const { peerValue: value, peerLow, peerHigh } = row;
  return { name, role, value, low: peerLow ?? value, high: peerHigh ?? value };
}

function scaled(one: Entry | null, by: number): Entry | null {
  return one === null ? null : { ...one, value: one.value * by, low: one.low * by, high: one.high * by };
}

/** Of microseconds. */
function perSecond(one: Entry | null): Entry | null {
  return one === null ? null : { ...one, value: 1e6 / one.value, low: 1e6 / one.high, high: 1e6 / one.low };
}

function described(sentence: string, told: readonly (readonly [string, Row | null])[]): string {
  const more = told.flatMap(([what, row]) =>
    row === null ? [] : [` ${what} ${valueText(row.value, row.unit)}.`],
  );
  return sentence + more.join("");
}

/** As people write it. */
export function valueText(value: number, unit: string): string {
  if (unit === "B" && value >= 1e5) return `${short(value / 1e6)} MB`;
  if (unit === "B") return `${short(value)} bytes`;
  return `${short(value)} ${unit.replace(/^us/, "µs")}`;
}

/** What was run, where, how often. */
function notesOf(rows: readonly (Row | BatteryRow)[], recordings: readonly Recording[]): string[] {
  const used = recordings.filter((recording) => recording.rows.some((row) => rows.includes(row as Row)));
  const commands = new Set(used.map(({ board }) => board?.command ?? null).filter((one) => one !== null));
  const machines = new Set(
    used.map(({ board }) => (board === null ? "machine not recorded" : machineOf(board))),
  );
  const rounds = rows.map((row) => row.rounds).filter((count) => count !== undefined);
  const [least, most] = [Math.min(...rounds), Math.max(...rounds)];
  const isSimulated = rows.every(isBattery);
  const often = least === most ? `${most}` : `${least} to ${most}`;
  return [
    `Medians; whiskers are quartiles${rounds.length === 0 ? "" : ` of ${often} ${isSimulated ? "seeds" : "rounds"}`}. ${[...commands].join("; ")}`.trim(),
    [...machines].join("; "),
  ];
}

export function machineOf(board: Board): string {
  const { cpu, cpus, load, kernel, engine, crypto, version, commit } = board;
  const program =
    commit === null || commit === undefined ? `Godwit ${version}` : `Godwit ${version} at ${commit}`;
  const busy =
    typeof load === "number" && load > LOAD_PER_CPU_QUIET * Number(cpus) ? `busy (load ${load})` : null;
  const machine = [`${cpu}, ${cpus} CPUs`, busy, kernel, engine, crypto, program];
  return machine.filter((fact) => fact !== null && fact !== undefined).join(", ");
}
