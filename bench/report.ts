// SPDX-License-Identifier: MIT
/** The report: suites measured, or read from a file; the page, its figures and the rows written side by side. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whyUnreadable } from "../src/configuration/arguments.ts";
import { batteryCommand, herdRow, runBattery } from "./battery.ts";
import { circumstances, nodeBoard } from "./board.ts";
import { runFirmwareBench } from "./firmware.ts";
import type { Budget, MeasureOptions, Row } from "./harness.ts";
import { FIGURE_PX, figureSvg } from "./plot.ts";
import { figuresOf } from "./reporting/figures.ts";
import { reportPage } from "./reporting/page.ts";
import { type Recording, readRecordings, recordingLines } from "./reporting/recording.ts";
import type { BenchArguments, MEASURING, Suite } from "./usage.ts";

/** Of the repository; the figures that README.md shows are among what is written there. */
export const REPORT_DIRECTORY = "bench/report";
/** Suites that `godwitd bench` has too. */
const BY_FIRMWARE = ["decrypt", "parse"] as const;
const QUICK_SEED_MAX = 2;
const QUICK_SCENARIO = "commuter-7d";

export type Runs = Readonly<Record<(typeof MEASURING)[number], (options: MeasureOptions) => Promise<Row[]>>>;
export type Budgets = Readonly<Record<string, Readonly<Record<string, Budget>>>>;

/** What the report is made of: the rows of `--from` for all suites that are not measured now. */
export async function recordingsFor(given: BenchArguments, runs: Runs): Promise<Recording[]> {
  const { suites, report } = given;
  const recorded = report?.from == null ? [] : recordedIn(report.from);
  const kept = recorded
    .map(({ board, rows }) => ({
      board,
      rows: rows.filter((row) => !suites.some((suite) => suite === row.suite)),
    }))
    .filter(({ rows }) => rows.length > 0);
  const measured: Recording[] = [];
  for (const suite of suites) {
    process.stderr.write(`${suite}\n`);
    measured.push(...(await record(suite, given, runs)));
  }
  return [...kept, ...measured];
}

/** Writes page, figures and rows; returns their paths. */
export function writeReport(made: readonly Recording[], budgets: Budgets, directory: string): string[] {
  const lines = recordingLines(made);
  // What is drawn is what is written, so that it can be drawn again.
  const recordings = readRecordings(lines);
  const figures = figuresOf(recordings);
  mkdirSync(directory, { recursive: true });
  const files = [
    ["index.html", reportPage({ figures, recordings, budgets })],
    ["rows.jsonl", lines],
    ...figures.map(({ name, figure }) => [`${name}.svg`, figureSvg(figure, FIGURE_PX)]),
  ] as const;
  return files.map(([name = "", content = ""]) => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  });
}

async function record(suite: Suite, given: BenchArguments, runs: Runs): Promise<Recording[]> {
  const isQuick = given.report?.isQuick === true;
  const { isAll: _isAll, ...battery } = given.battery;
  if (suite === "battery") {
    const one = battery.scenarios[QUICK_SCENARIO];
    const scenarios = one ? { [QUICK_SCENARIO]: one } : battery.scenarios;
    const options = isQuick ? { ...battery, scenarios, toSeed: QUICK_SEED_MAX } : battery;
    const board = nodeBoard(batteryCommand(options));
    const rows = runBattery(options);
    return [{ board, rows: isQuick ? rows : [...rows, herdRow()] }];
  }
  const board = nodeBoard(`npm run bench -- ${suite}`);
  const own = { board, rows: await runs[suite]({ rounds: given.rounds, isQuick }) };
  const firmware = BY_FIRMWARE.find((name) => name === suite);
  return firmware === undefined ? [own] : [own, ...(await recordFirmware(firmware, given.rounds))];
}

/** None, with a note on stderr, where there is no build of the firmware. */
async function recordFirmware(suite: (typeof BY_FIRMWARE)[number], rounds: number): Promise<Recording[]> {
  const how = circumstances(`npm run bench -- --runtime quickjs ${suite}`);
  try {
    const { board, rows } = await runFirmwareBench(suite, rounds);
    return [{ board: { ...board, ...how }, rows }];
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}; the report goes without it\n`);
    return [];
  }
}

function recordedIn(path: string): Recording[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Error(`file ${path} ${whyUnreadable(error)}`);
  }
  try {
    return readRecordings(text);
  } catch (error) {
    throw new Error(`file ${path}: ${(error as Error).message}`);
  }
}
