// SPDX-License-Identifier: MIT
/** The `battery` suite: its options, its table, its plots, its budgets. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type HerdResult, runHerd } from "./battery/herd.ts";
import { plotSvg } from "./battery/plot.ts";
import { parseScenario, type Scenario } from "./battery/scenario.ts";
import { SCENARIOS } from "./battery/scenarios.ts";
import { type BatteryRow, runScenario } from "./battery/suite.ts";

export interface BatteryArguments {
  /** A name, or a file in the JSON form of SPEC.md; undefined for all that have a budget. */
  readonly scenario: string | undefined;
  /** "7" or "1-20". */
  readonly seeds: string;
  readonly isGraceful: boolean;
}

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

export function runBattery({ scenario, seeds, isGraceful }: BatteryArguments): BatteryRow[] {
  const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(seeds);
  if (match === null) throw new Error("--seeds is a number or a range such as 1-20");
  const fromSeed = Number(match[1]);
  const toSeed = Number(match[2] ?? match[1]);
  const names = scenario === undefined ? Object.keys(SCENARIOS) : [scenario];
  return names.flatMap((name) => {
    const isLong = scenario === undefined && name === "random-nats";
    const lastSeed = isLong ? Math.min(toSeed, fromSeed + LONG_SCENARIO_SEEDS_MAX - 1) : toSeed;
    return runScenario({ scenario: scenarioOf(name), fromSeed, toSeed: lastSeed, isGraceful });
  });
}

function scenarioOf(name: string): (seed: number) => Scenario {
  const known = SCENARIOS[name];
  if (known !== undefined) return known;
  if (!existsSync(name)) throw new Error(`scenarios: ${Object.keys(SCENARIOS).join(" ")}, or a JSON file`);
  const scenario = parseScenario(readFileSync(name, "utf8"));
  return () => scenario;
}

/** Writes one plot per scenario into `directory` and returns their paths. */
export function writePlots(rows: readonly BatteryRow[], directory: string): string[] {
  mkdirSync(directory, { recursive: true });
  return [...new Set(rows.map(({ scenario }) => scenario))].map((scenario) => {
    const path = join(directory, `battery-${scenario.replace(/[^\w.-]/g, "_")}.svg`);
    const points = rows
      .filter((row) => row.scenario === scenario && row.joulesDay > 0)
      .map(({ algorithm, joulesDay, deafMinDay }) => ({ name: algorithm, joulesDay, deafMinDay }));
    if (points.length > 0) writeFileSync(path, plotSvg(scenario, points));
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
  const head = `${"scenario".padEnd(18)}${"algorithm".padEnd(16)}${numbers.map((key) => `  ${key}`).join("")}`;
  const lines = rows.map((row) => {
    const cells = numbers.map((key) => short(row[key] ?? Number.NaN).padStart(key.length + 2));
    return `${row.scenario.padEnd(18)}${row.algorithm.padEnd(16)}${cells.join("")}`;
  });
  return [head, ...lines].join("\n");
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
