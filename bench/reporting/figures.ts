// SPDX-License-Identifier: MIT
/** Which figures there are, and how each is made of the rows of its suite. */

import type { Board } from "../../scripts/board.mjs";
import type { BatteryRow } from "../battery/suite.ts";
import type { Row } from "../harness.ts";
import type { Figure } from "../plot.ts";
import {
  decryptFigure,
  footprintFigure,
  parseFigure,
  sizeFigure,
  startFigure,
  subscriptionsFigure,
} from "./device-figures.ts";
import { Cases, type Draft } from "./drafts.ts";
import { energyFigures } from "./energy-figures.ts";
import { isBattery, isMeasured, type Recording } from "./recording.ts";
import {
  bytesFigure,
  connectionFigure,
  delayFigure,
  devicesFigure,
  queueFigure,
  throughputFigure,
} from "./service-figures.ts";

/** A figure and what it was made of. */
export interface MadeFigure {
  /** Of its file, and of its place in the report. */
  readonly name: string;
  readonly figure: Figure;
  readonly rows: readonly (Row | BatteryRow)[];
}

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

const MEASURED: readonly ((cases: Cases) => Draft | null)[] = [
  decryptFigure,
  parseFigure,
  bytesFigure,
  footprintFigure,
  startFigure,
  sizeFigure,
  throughputFigure,
  delayFigure,
  connectionFigure,
  subscriptionsFigure,
  queueFigure,
  devicesFigure,
];

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
  const spread =
    most === 1
      ? "Measured once."
      : `Medians; whiskers are quartiles${rounds.length === 0 ? "" : ` of ${often} ${isSimulated ? "seeds" : "rounds"}`}.`;
  return [`${spread} ${[...commands].join("; ")}`.trim(), ...machines];
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
