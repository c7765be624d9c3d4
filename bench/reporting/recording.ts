// SPDX-License-Identifier: MIT
/** Rows of benchmarks with what they belong to, as lines of JSON: a line about the machine, then the rows that were measured on it. */

import type { Board } from "../../scripts/board.mjs";
import type { ProofRow } from "../../scripts/proof.mjs";
import type { BatteryRow } from "../battery/suite.ts";
import type { HerdRow } from "../battery.ts";
import type { Row } from "../harness.ts";

/** A row of any suite. */
export type AnyRow = Row | BatteryRow | HerdRow | ProofRow;

/** One run of one suite. */
export interface Recording {
  /** Null where nobody wrote down what the rows belong to. */
  readonly board: Board | null;
  readonly rows: readonly AnyRow[];
}

/** Rows without a figure, of what could not be measured, are left out. */
export function recordingLines(recordings: readonly Recording[]): string {
  const values = recordings.flatMap(({ board, rows }) => {
    const known = rows.filter((row) => !isMeasured(row) || Number.isFinite(row.value));
    return board === null ? known : [board, ...known];
  });
  return values.map((value) => `${JSON.stringify(value)}\n`).join("");
}

/**
 * Reads what {@link recordingLines} or `--json` wrote.
 *
 * @throws {Error} with the number of the first line that is no row and tells of no machine
 */
export function readRecordings(text: string): Recording[] {
  const recordings: { board: Board | null; rows: AnyRow[] }[] = [];
  text.split("\n").forEach((line, i) => {
    if (line.trim() === "") return;
    const value = parse(line);
    if (isBoard(value)) recordings.push({ board: value, rows: [] });
    else if (isRow(value)) {
      if (recordings.length === 0) recordings.push({ board: null, rows: [] });
      recordings.at(-1)?.rows.push(value);
    } else throw new Error(`line ${i + 1} is neither a row nor a machine`);
  });
  return recordings;
}

export function isBattery(row: AnyRow): row is BatteryRow {
  return row.suite === "battery" && "algorithm" in row;
}

export function isMeasured(row: AnyRow): row is Row {
  return "value" in row;
}

/** Of a long suite, see scripts/proof.mjs. */
export function isProof(row: AnyRow): row is ProofRow {
  return "figures" in row;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function isBoard(value: unknown): value is Board {
  return (value as { schema?: unknown } | null)?.schema === "godwit-bench/1";
}

function isRow(value: unknown): value is AnyRow {
  if (typeof value !== "object" || value === null) return false;
  const members = value as Readonly<Record<string, unknown>>;
  const areNumbers = (...names: string[]) => names.every((name) => typeof members[name] === "number");
  const areTexts = (...names: string[]) => names.every((name) => typeof members[name] === "string");
  if (!areTexts("suite")) return false;
  if (members.figures !== undefined) return areTexts("case") && areFigures(members.figures);
  if (members.suite !== "battery") return areTexts("case", "runtime", "unit") && areNumbers("value");
  return members.scenario === "herd"
    ? areNumbers("ratio")
    : areTexts("scenario", "algorithm") && areNumbers("joulesDay", "deafMinDay");
}

function areFigures(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).every(
    (one) =>
      typeof one?.value === "number" && typeof one.unit === "string" && Array.isArray(one.series ?? []),
  );
}
