// SPDX-License-Identifier: MIT
/**
 * The benchmark program: `node dist/bench/run.js [suite…] [--json] [--check] [--rounds N]`. Rows on stdout, everything else
 * on stderr; exit code 1 when `--check` finds a broken budget, 2 on wrong usage.
 */
import { parseArgs } from "node:util";
import {
  type BatteryBudget,
  batteryTable,
  brokenBatteryBudgets,
  herdLine,
  herdRow,
  runBattery,
  writePlots,
} from "./battery.ts";
import budgets from "./budgets.json" with { type: "json" };
import { run as decrypt } from "./decrypt.ts";
import { ALLOCATION_CHILD, runAllocationChild } from "./decrypt-allocation.ts";
import { type Budget, brokenBudgets, type MeasureOptions, ROUNDS_MIN, type Row, table } from "./harness.ts";
import { run as parse } from "./parse.ts";
import { PARSE_ALLOCATION_CHILD, runParseAllocationChild } from "./parse-allocation.ts";

const SUITES: Readonly<Record<string, (options: MeasureOptions) => Promise<Row[]>>> = { decrypt, parse };

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
      rounds: { type: "string", default: String(ROUNDS_MIN) },
      scenario: { type: "string" },
      seeds: { type: "string", default: "1-20" },
      graceful: { type: "boolean", default: false },
    },
  });
  const names = positionals.length === 0 ? [...Object.keys(SUITES), "battery"] : positionals;
  const unknown = names.filter((name) => SUITES[name] === undefined && name !== "battery");
  const rounds = Number(values.rounds);
  if (unknown.length > 0 || !(rounds >= ROUNDS_MIN)) {
    process.stderr.write(
      `suites: ${Object.keys(SUITES).join(" ")} battery; --rounds is ${ROUNDS_MIN} or more\n`,
    );
    return 2;
  }
  const broken: string[] = [];
  for (const name of names) {
    if (name === "battery") {
      broken.push(...battery(values));
      continue;
    }
    const rows = (await SUITES[name]?.({ rounds })) ?? [];
    const text = values.json ? rows.map((row) => JSON.stringify(row)).join("\n") : table(rows);
    process.stdout.write(`${text}\n`);
    const limits: Readonly<Record<string, Readonly<Record<string, Budget>>>> = budgets.bench;
    broken.push(...brokenBudgets(rows, limits[name] ?? {}).map((sentence) => `${name} ${sentence}`));
  }
  if (!values.check) return 0;
  for (const sentence of broken) process.stderr.write(`over budget: ${sentence}\n`);
  return broken.length === 0 ? 0 : 1;
}

interface BatteryValues {
  readonly scenario?: string | undefined;
  readonly seeds: string;
  readonly graceful: boolean;
  readonly json: boolean;
  readonly check: boolean;
}

/** Prints the suite's rows, writes its plots, returns what is over budget. Budgets are for graceful runs over all. */
function battery({ scenario, seeds, graceful, json, check }: BatteryValues): string[] {
  const isGraceful = graceful || check;
  const rows = runBattery({ scenario, seeds, isGraceful });
  process.stdout.write(`${json ? rows.map((row) => JSON.stringify(row)).join("\n") : batteryTable(rows)}\n`);
  for (const path of writePlots(rows, "bench/report")) process.stderr.write(`${path}\n`);
  const limits: Readonly<Record<string, BatteryBudget>> = budgets.battery;
  if (scenario !== undefined) {
    const own = Object.entries(limits).filter(([name]) => name.startsWith(`${scenario}/`));
    return brokenBatteryBudgets(rows, Object.fromEntries(own)).map((sentence) => `battery ${sentence}`);
  }
  const herd = herdRow();
  process.stdout.write(`${json ? JSON.stringify(herd) : herdLine(herd)}\n`);
  return brokenBatteryBudgets(rows, limits).map((sentence) => `battery ${sentence}`);
}

if (process.argv[2] === ALLOCATION_CHILD) runAllocationChild(Number(process.argv[3]));
else if (process.argv[2] === PARSE_ALLOCATION_CHILD) runParseAllocationChild(Number(process.argv[3]));
else process.exitCode = await main();
