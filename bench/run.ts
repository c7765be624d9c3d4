// SPDX-License-Identifier: MIT
/**
 * The benchmark program: `node dist/bench/run.js [SUITE…] [OPTIONS]`, see usage.ts. Rows on stdout, everything else on stderr;
 * exit code 1 when a suite cannot run or `--check` finds a broken budget, 2 on wrong usage.
 */

import { writeFileSync } from "node:fs";
import { nodeBoard } from "../scripts/board.mjs";
import {
  type BatteryBudget,
  batteryCommand,
  batteryTable,
  brokenBatteryBudgets,
  herdLine,
  herdRow,
  runBattery,
  writePlots,
} from "./battery.ts";
import budgets from "./budgets.json" with { type: "json" };
import { run as bundle } from "./bundle.ts";
import { run as decrypt } from "./decrypt.ts";
import { ALLOCATION_CHILD, runAllocationChild } from "./decrypt-allocation.ts";
import { DELIVERY_CHILD, runDeliveryChild } from "./delivery/child.ts";
import { run as delivery } from "./delivery.ts";
import { describeBoard, runFirmwareBench } from "./firmware.ts";
import { run as footprint } from "./footprint.ts";
import { run as growth } from "./growth.ts";
import { type Budget, brokenBudgets, budgetName, type MeasureOptions, type Row, table } from "./harness.ts";
import { run as parse } from "./parse.ts";
import { PARSE_ALLOCATION_CHILD, runParseAllocationChild } from "./parse-allocation.ts";
import { recordIn } from "./recording-process.ts";
import {
  gather,
  QUICK_REPORT_DIRECTORY,
  REPORT_DIRECTORY,
  recordedIn,
  recordedProofs,
  suiteRuns,
  writeReport,
  writtenDocuments,
} from "./report.ts";
import { brokenProofs } from "./reporting/proof.ts";
import { isBattery, isMeasured, isProof, type Recording, recordingLines } from "./reporting/recording.ts";
import { type BenchArguments, help, type MEASURING, readArguments } from "./usage.ts";

const RUNS = { bundle, decrypt, parse, footprint, delivery, growth } satisfies Record<
  (typeof MEASURING)[number],
  (options: MeasureOptions) => Promise<Row[]>
>;

async function main(args: readonly string[]): Promise<number> {
  let given: BenchArguments;
  try {
    given = readArguments(args);
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}; --help tells more\n`);
    return 2;
  }
  if (given.isHelp) {
    process.stdout.write(help());
    return 0;
  }
  if (given.runtime === "quickjs") return firmware(given);
  if (given.report !== null) return report(given);
  const broken: string[] = [];
  for (const suite of given.suites) {
    if (suite === "battery") {
      broken.push(...battery(given));
      continue;
    }
    const rows = await RUNS[suite](given);
    const board = nodeBoard(`npm run bench -- ${suite}${given.isQuick ? " --quick" : ""}`);
    process.stdout.write(given.isJson ? recordingLines([{ board, rows }]) : `${table(rows)}\n`);
    const isMeasuredHere = (name: string) => rows.some((row) => budgetName(row) === name);
    broken.push(
      ...brokenOf(suite, rows, (name) =>
        given.isCounted ? isMeasuredHere(name) : suite === "footprint" || !name.endsWith("@godwitd"),
      ),
    );
  }
  return given.isCheck ? told(broken) : 0;
}

/** Written anew after each suite: what was measured is there whatever becomes of the rest. */
async function report(given: BenchArguments): Promise<number> {
  const directory = given.isQuick ? QUICK_REPORT_DIRECTORY : REPORT_DIRECTORY;
  const from = given.report?.from == null ? [] : recordedIn(given.report.from);
  const proofs = recordedProofs();
  let recordings: readonly Recording[] = [];
  let paths: string[] = [];
  const failures = await gather(
    suiteRuns(given),
    from,
    ({ args, msMax }) => {
      process.stderr.write(`${args.join(" ")}\n`);
      return recordIn([process.argv[1] ?? "", ...args], msMax);
    },
    (all) => {
      recordings = all;
      paths = writeReport(all, proofs, budgets.bench, directory);
    },
  );
  // Quick figures are none to claim anything with.
  for (const [path, text] of given.isQuick ? [] : writtenDocuments(recordings, budgets)) {
    writeFileSync(path, text);
    paths.push(path);
  }
  for (const path of paths) process.stdout.write(`${path}\n`);
  for (const sentence of failures) process.stderr.write(`bench: ${sentence}; the report goes without it\n`);
  const broken = given.isCheck ? brokenIn(recordings, proofs) : [];
  return told(broken) === 0 && failures.length === 0 ? 0 : 1;
}

function brokenIn(recordings: readonly Recording[], proofs: readonly Recording[]): string[] {
  const rows = recordings.flatMap((recording) => recording.rows);
  const measured = rows.filter(isMeasured);
  const simulated = rows.filter(isBattery);
  const ofSuite = (suite: string) => measured.filter((row) => row.suite === suite);
  return [
    ...[...new Set(measured.map(({ suite }) => suite))].flatMap((suite) =>
      brokenOf(suite, ofSuite(suite), () => true),
    ),
    ...(simulated.length === 0 ? [] : brokenBatteryBudgets(simulated, budgets.battery)),
    ...brokenProofs(proofs.flatMap((recording) => recording.rows).filter(isProof)),
  ];
}

/** The suites of the firmware's own benchmark, which prints as it goes. */
async function firmware({ firmwareSuites, rounds, isJson, isCheck }: BenchArguments): Promise<number> {
  const broken: string[] = [];
  let isBoardTold = false;
  for (const suite of firmwareSuites) {
    const { board, rows } = await runFirmwareBench(suite, rounds);
    if (!isBoardTold) process.stdout.write(`${isJson ? JSON.stringify(board) : describeBoard(board)}\n`);
    isBoardTold = true;
    process.stdout.write(`${isJson ? rows.map((row) => JSON.stringify(row)).join("\n") : table(rows)}\n`);
    broken.push(...brokenOf(suite, rows, (name) => name.endsWith("@godwitd")));
  }
  return isCheck ? told(broken) : 0;
}

/** What is over those limits of a suite whose case `isMeant`. */
function brokenOf(suite: string, rows: readonly Row[], isMeant: (name: string) => boolean): string[] {
  const limits: Readonly<Record<string, Readonly<Record<string, Budget>>>> = budgets.bench;
  const meant = Object.entries(limits[suite] ?? {}).filter(([name]) => isMeant(name));
  return brokenBudgets(rows, Object.fromEntries(meant)).map((sentence) => `${suite} ${sentence}`);
}

/** Exit code. */
function told(broken: readonly string[]): number {
  for (const sentence of broken) process.stderr.write(`over budget: ${sentence}\n`);
  return broken.length === 0 ? 0 : 1;
}

/** Prints the suite's rows, writes its plots, returns what is over budget. Budgets are for graceful runs over all. */
function battery({ battery: { isAll, ...options }, isJson }: BenchArguments): string[] {
  const rows = runBattery(options);
  const board = nodeBoard(batteryCommand(options));
  process.stdout.write(isJson ? recordingLines([{ board, rows }]) : `${batteryTable(rows)}\n`);
  if (!isJson)
    for (const path of writePlots(rows, board, REPORT_DIRECTORY)) process.stderr.write(`plot: ${path}\n`);
  const limits: Readonly<Record<string, BatteryBudget>> = budgets.battery;
  if (!isAll) {
    const names = Object.keys(options.scenarios);
    const own = Object.entries(limits).filter(([name]) => names.includes(name.split("/")[0] ?? ""));
    return brokenBatteryBudgets(rows, Object.fromEntries(own)).map((sentence) => `battery ${sentence}`);
  }
  const herd = herdRow();
  process.stdout.write(`${isJson ? JSON.stringify(herd) : herdLine(herd)}\n`);
  return brokenBatteryBudgets(rows, limits).map((sentence) => `battery ${sentence}`);
}

if (process.argv[2] === ALLOCATION_CHILD) runAllocationChild(Number(process.argv[3]));
else if (process.argv[2] === PARSE_ALLOCATION_CHILD) runParseAllocationChild(Number(process.argv[3]));
else if (process.argv[2] === DELIVERY_CHILD) runDeliveryChild();
else
  process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
    process.stderr.write(`bench: ${error.message}\n`);
    return 1;
  });
