// SPDX-License-Identifier: MIT
/**
 * The benchmark program: `node dist/bench/run.js [suite…] [--json] [--check] [--rounds N]`. Rows on stdout, everything else
 * on stderr; exit code 1 when `--check` finds a broken budget, 2 on wrong usage.
 */
import { parseArgs } from "node:util";
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
    },
  });
  const names = positionals.length === 0 ? Object.keys(SUITES) : positionals;
  const unknown = names.filter((name) => SUITES[name] === undefined);
  const rounds = Number(values.rounds);
  if (unknown.length > 0 || !(rounds >= ROUNDS_MIN)) {
    process.stderr.write(`suites: ${Object.keys(SUITES).join(" ")}; --rounds is ${ROUNDS_MIN} or more\n`);
    return 2;
  }
  const broken: string[] = [];
  for (const name of names) {
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

if (process.argv[2] === ALLOCATION_CHILD) runAllocationChild(Number(process.argv[3]));
else if (process.argv[2] === PARSE_ALLOCATION_CHILD) runParseAllocationChild(Number(process.argv[3]));
else process.exitCode = await main();
