// SPDX-License-Identifier: MIT
/** The report: suites measured, or read from a file; the page, its figures and the rows written side by side. */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { replaceBetween } from "../scripts/mermaid.mjs";
import { PROOF_DIRECTORY } from "../scripts/proof.mjs";
import { whyUnreadable } from "../src/configuration/arguments.ts";
import { type Budget, ROUNDS_MIN } from "./harness.ts";
import { FIGURE_PX, figureSvg } from "./plot.ts";
import { type AllBudgets, Claims } from "./reporting/claims.ts";
import { figuresOf } from "./reporting/figures.ts";
import { reportPage } from "./reporting/page.ts";
import {
  type AnyRow,
  isMeasured,
  type Recording,
  readRecordings,
  recordingLines,
} from "./reporting/recording.ts";
import { type BatteryArguments, type BenchArguments, type Suite, WITHOUT_ROUNDS } from "./usage.ts";

/** Of the repository; the figures that README.md shows are among what is written there. */
export const REPORT_DIRECTORY = "bench/report";
/** Of a report that only shows that it works. */
export const QUICK_REPORT_DIRECTORY = "build/report";
const MINUTE_MS = 60_000;
/** How long each may take: two to three times what it takes on two quiet cores. */
const SUITE_MS_MAX: Readonly<Record<Suite, number>> = {
  bundle: MINUTE_MS,
  decrypt: 5 * MINUTE_MS,
  parse: 5 * MINUTE_MS,
  footprint: 6 * MINUTE_MS,
  delivery: 12 * MINUTE_MS,
  growth: 8 * MINUTE_MS,
  battery: 6 * MINUTE_MS,
};
/** Suites that `godwitd bench` has too. */
const BY_FIRMWARE: readonly Suite[] = ["decrypt", "parse"];

export type Budgets = Readonly<Record<string, Readonly<Record<string, Budget>>>>;

/** One process that measures. */
export interface SuiteRun {
  /** Behind `npm run bench --`. */
  readonly args: readonly string[];
  readonly msMax: number;
  /** Whether `row` of an earlier report is out of date when this was measured. */
  readonly replaces: (row: AnyRow) => boolean;
}

/** What has to be measured for the report. */
export function suiteRuns({ suites, rounds, isQuick, battery }: BenchArguments): SuiteRun[] {
  return suites.flatMap((suite): SuiteRun[] => {
    const msMax = SUITE_MS_MAX[suite];
    const how = [
      "--json",
      ...(isQuick ? ["--quick"] : []),
      ...(WITHOUT_ROUNDS.includes(suite) || rounds === ROUNDS_MIN ? [] : ["--rounds", String(rounds)]),
    ];
    if (suite === "battery") how.push(...batteryArguments(battery));
    const isOwn = (row: AnyRow) => row.suite === suite;
    if (!BY_FIRMWARE.includes(suite)) return [{ args: [suite, ...how], msMax, replaces: isOwn }];
    const isFirmware = (row: AnyRow) => isOwn(row) && isMeasured(row) && row.runtime === "godwitd";
    return [
      { args: [suite, ...how], msMax, replaces: (row) => isOwn(row) && !isFirmware(row) },
      { args: ["--runtime", "quickjs", suite, ...how], msMax, replaces: isFirmware },
    ];
  });
}

/**
 * Measures all `runs`, one after the other. What `from`, an earlier report, has of others or of one that fails stays.
 *
 * @param progress gets all rows after each run
 * @returns what failed, a sentence each
 */
export async function gather(
  runs: readonly SuiteRun[],
  from: readonly Recording[],
  measure: (run: SuiteRun) => Promise<Recording[]>,
  progress: (recordings: readonly Recording[]) => void,
): Promise<string[]> {
  const failures: string[] = [];
  const measured: Recording[] = [];
  let kept = from;
  progress(kept);
  for (const run of runs) {
    try {
      measured.push(...(await measure(run)));
      kept = kept
        .map(({ board, rows }) => ({ board, rows: rows.filter((row) => !run.replaces(row)) }))
        .filter(({ rows }) => rows.length > 0);
    } catch (error) {
      failures.push(`${run.args.join(" ")}: ${(error as Error).message}`);
    }
    progress([...kept, ...measured]);
  }
  return failures;
}

/** Writes page, figures and rows; returns their paths. `proofs` stay in files of their own. */
export function writeReport(
  made: readonly Recording[],
  proofs: readonly Recording[],
  budgets: Budgets,
  directory: string,
): string[] {
  const lines = recordingLines(made);
  // What is drawn is what is written, so that it can be drawn again.
  const recordings = readRecordings(lines);
  const figures = figuresOf(recordings);
  mkdirSync(directory, { recursive: true });
  const files = [
    ["index.html", reportPage({ figures, recordings, proofs, budgets })],
    ["rows.jsonl", lines],
    ...figures.map(({ name, figure }) => [`${name}.svg`, figureSvg(figure, FIGURE_PX)]),
  ] as const;
  return files.map(([name = "", content = ""]) => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  });
}

/** @throws {Error} with one sentence when there is no such file, or something else is in it */
export function recordedIn(path: string): Recording[] {
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

/** Documents with numbers in them, and what stands between which marks of each. */
const DOCUMENTS: Readonly<
  Record<string, readonly (readonly [mark: string, text: (claims: Claims, budgets: AllBudgets) => string])[]>
> = {
  "README.md": [
    ["estimate", (claims) => claims.estimate()],
    ["claims", (claims, budgets) => claims.table(budgets)],
    ["limits", (claims) => claims.limits()],
  ],
  "docs/operating-a-push-service.md": [["sizing", (claims) => claims.sizing()]],
};

/** Documents of the repository with their numbers as the rows have them: paths and contents. */
export function writtenDocuments(recordings: readonly Recording[], budgets: AllBudgets): [string, string][] {
  const figures = figuresOf(recordings);
  return Object.entries(DOCUMENTS).map(([path, marks]) => {
    const report = relative(dirname(path), join(REPORT_DIRECTORY, "index.html"));
    const claims = new Claims(figures, report);
    const text = marks.reduce(
      (document, [mark, of]) => replaceBetween(document, mark, of(claims, budgets)),
      readFileSync(path, "utf8"),
    );
    return [path, text];
  });
}

/** What the long suites left; nothing where none was run. */
export function recordedProofs(directory = PROOF_DIRECTORY): Recording[] {
  if (!existsSync(directory)) return [];
  const files = readdirSync(directory).filter((name) => name.endsWith(".jsonl"));
  return files.toSorted().flatMap((name) => recordedIn(join(directory, name)));
}

function batteryArguments({ isAll, scenarios, fromSeed, toSeed }: BatteryArguments): string[] {
  const [scenario = ""] = Object.keys(scenarios);
  return ["--graceful", "--seeds", `${fromSeed}-${toSeed}`, ...(isAll ? [] : ["--scenario", scenario])];
}
