// SPDX-License-Identifier: MIT
/** The `battery` suite: its table, its plots, its budgets. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Board } from "../scripts/board.mjs";
import { type HerdResult, runHerd } from "./battery/herd.ts";
import { type BatteryRow, runScenario } from "./battery/suite.ts";
import { aligned } from "./harness.ts";
import { FIGURE_PX, figureSvg } from "./plot.ts";
import { figuresOf } from "./reporting/figures.ts";
import { isBattery } from "./reporting/recording.ts";
import type { BatteryArguments } from "./usage.ts";

/** Limits of one algorithm in one scenario, by `scenario/algorithm` in bench/budgets.json. */
export interface BatteryBudget {
  readonly ratioOracleMax?: number;
  readonly wakeHMax?: number;
  readonly bytesHMax?: number;
  /** Above the oracle's. */
  readonly deafMinDayOverOracleMax?: number;
  readonly lostOverOracleMax?: number;
  readonly natLossesOver245sMax?: number;
  readonly natLossesPerNetworkMax?: number;
  readonly clientWakesHourMax?: number;
  readonly wakesWithoutNetworkMax?: number;
  readonly learnedAfterSMax?: number;
  readonly ratioOracleHeldMax?: number;
  readonly probes12hMax?: number;
  readonly journalWritesMax?: number;
  /** Of the herd: against N / spread. */
  readonly ratioMax?: number;
}

/** 100,000 devices, down 60 s, spread 120 s. */
export const HERD = { devices: 100_000, downS: 60, spreadS: 120 };

export interface HerdRow extends HerdResult {
  readonly suite: "battery";
  readonly scenario: "herd";
  readonly devices: number;
  readonly downS: number;
  readonly spreadS: number;
}

export function herdRow(): HerdRow {
  const { devices, downS, spreadS } = HERD;
  return { suite: "battery", scenario: "herd", ...HERD, ...runHerd(devices, downS, spreadS, 1) };
}

/** One line for people. */
export function herdLine({ devices, downS, spreadS, ...result }: HerdRow): string {
  const { busiestSecond, ratio, deafMeanS, deafMaxS } = result;
  return (
    `herd: ${devices} devices, service down ${downS} s, spread ${spreadS} s: ${busiestSecond} in the busiest second, ` +
    `${short(ratio)} x N/spread; deaf ${deafMeanS.toFixed(0)} s on average, ${deafMaxS.toFixed(0)} s at most`
  );
}

/** random-nats is 50 days on 200 networks: these many seeds of it are enough for a run of everything. */
const LONG_SCENARIO_SEEDS_MAX = 3;

export function runBattery(options: Omit<BatteryArguments, "isAll">): BatteryRow[] {
  const { scenarios, fromSeed, toSeed, isGraceful } = options;
  return Object.entries(scenarios).flatMap(([name, scenario]) => {
    const isLong = name === "random-nats" && Object.keys(scenarios).length > 1;
    const lastSeed = isLong ? Math.min(toSeed, fromSeed + LONG_SCENARIO_SEEDS_MAX - 1) : toSeed;
    return runScenario({ scenario, fromSeed, toSeed: lastSeed, isGraceful });
  });
}

/** What to type to have the same again. */
export function batteryCommand(options: Omit<BatteryArguments, "isAll">): string {
  const { scenarios, fromSeed, toSeed, isGraceful } = options;
  const [only, ...more] = Object.keys(scenarios);
  const which = only !== undefined && more.length === 0 ? ` --scenario ${only}` : "";
  return `npm run bench -- battery${which}${isGraceful ? " --graceful" : ""} --seeds ${fromSeed}-${toSeed}`;
}

/** Writes one plot per scenario into `directory` and returns their paths. */
export function writePlots(rows: readonly BatteryRow[], board: Board, directory: string): string[] {
  mkdirSync(directory, { recursive: true });
  return figuresOf([{ board, rows }]).map(({ figure, rows: used }) => {
    const scenario = used.find(isBattery)?.scenario ?? "";
    const path = join(directory, `battery-${scenario.replace(/[^\w.-]/g, "_")}.svg`);
    writeFileSync(path, figureSvg(figure, FIGURE_PX));
    return path;
  });
}

export function batteryTable(rows: readonly BatteryRow[]): string {
  const numbers = [
    "wakeH",
    "pingH",
    "bytesH",
    "joulesDay",
    "connsDay",
    "deafMinDay",
    "lost",
    "late60",
    "ratioOracle",
    "ratioOracleHeld",
  ] as const;
  const lines = rows.map((row) => [
    row.scenario,
    row.algorithm,
    ...numbers.map((key) => short(row[key] ?? Number.NaN)),
  ]);
  return aligned(["scenario", "algorithm", ...numbers], lines, (column) => column >= 2);
}

/** One sentence per broken limit, and per limit whose scenario was not run. */
export function brokenBatteryBudgets(
  rows: readonly BatteryRow[],
  budgets: Readonly<Record<string, BatteryBudget>>,
): string[] {
  return Object.entries(budgets).flatMap(([name, budget]) => {
    if (name === "herd") return over(name, [["ratio", herdRow().ratio, budget.ratioMax]]);
    const [scenario, algorithm] = name.split("/");
    const row = rows.find((one) => one.scenario === scenario && one.algorithm === algorithm);
    const oracle = rows.find((one) => one.scenario === scenario && one.algorithm === "oracle");
    if (row === undefined || oracle === undefined) return [`${name}: has a budget but was not measured`];
    return over(name, [
      ["ratioOracle", row.ratioOracle, budget.ratioOracleMax],
      ["wakeH", row.wakeH, budget.wakeHMax],
      ["bytesH", row.bytesH, budget.bytesHMax],
      ["deafMinDay over the oracle's", row.deafMinDay - oracle.deafMinDay, budget.deafMinDayOverOracleMax],
      ["lost over the oracle's", row.lost - oracle.lost, budget.lostOverOracleMax],
      ["natLossesOver245s", row.natLossesOver245s ?? Number.NaN, budget.natLossesOver245sMax],
      ["natLossesPerNetwork", row.natLossesPerNetworkMax ?? Number.NaN, budget.natLossesPerNetworkMax],
      ["clientWakesHour", row.clientWakesHourMax ?? Number.NaN, budget.clientWakesHourMax],
      ["wakesWithoutNetwork", row.wakesWithoutNetwork ?? Number.NaN, budget.wakesWithoutNetworkMax],
      ["learnedAfterS", row.learnedAfterS ?? Number.NaN, budget.learnedAfterSMax],
      ["ratioOracleHeld", row.ratioOracleHeld ?? Number.NaN, budget.ratioOracleHeldMax],
      ["probes12h", row.probes12hMax ?? Number.NaN, budget.probes12hMax],
      ["journalWrites", row.journalWrites ?? Number.NaN, budget.journalWritesMax],
    ]);
  });
}

/** Written so that NaN breaks a limit. */
function over(name: string, checks: readonly (readonly [string, number, number | undefined])[]): string[] {
  return checks
    .filter(([, value, limit]) => limit !== undefined && !(value <= limit + 1e-9))
    .map(([what, value, limit]) => `${name}: ${what} ${short(value)}, limit ${limit}`);
}

function short(value: number): string {
  if (!Number.isFinite(value)) return "-";
  return Math.abs(value) >= 1000 ? value.toFixed(0) : value.toFixed(value === Math.round(value) ? 0 : 3);
}
