// SPDX-License-Identifier: MIT
/**
 * The measuring every benchmark shares: cases beside their peers in random order, medians and spread, rows, the table, and
 * the check against bench/budgets.json. Knows no case.
 */

/** One printed line. `value` and `peerValue` are medians in `unit`; less is better. */
export interface Row {
  readonly suite: string;
  readonly case: string;
  /** `node`, `quickjs` or `godwitd`. */
  readonly runtime: string;
  readonly unit: string;
  readonly value: number;
  /** Median absolute deviation of ours, in `unit`. */
  readonly spread: number;
  /** First and third quartile of ours, in `unit`, and how many samples there were. */
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
  /** What ours is held against, null when nothing. */
  readonly peer: string | null;
  readonly peerValue: number | null;
  /** Its quartiles. */
  readonly peerLow: number | null;
  readonly peerHigh: number | null;
  /** value / peerValue, null without a peer. */
  readonly ratio: number | null;
}

/** Something to measure beside its peer. */
export interface BenchCase {
  readonly name: string;
  readonly runtime: string;
  readonly unit: string;
  /** One sample in `unit`. */
  ours(): number;
  readonly peer: string | null;
  /** One sample of the peer in `unit`; there is one when `peer` names it. */
  theirs?(): number;
}

export interface MeasureOptions {
  /** Samples of each side, after warm-up. Default {@link ROUNDS_MIN}. */
  readonly rounds?: number;
  /** Rounds thrown away before. Default 5. */
  readonly warmUpRounds?: number;
  /** Suites that say themselves how often they measure do it as seldom as will do to see that it works. */
  readonly isQuick?: boolean;
  /** Only what is counted and not timed: the same on any machine, however busy. */
  readonly isCounted?: boolean;
}

/** Limits of one case in bench/budgets.json. A runtime other than node is named: `case@quickjs`. */
export interface Budget {
  readonly ratioMax?: number;
  readonly valueMax?: number;
}

/** Fewer rounds give no median worth comparing. */
export const ROUNDS_MIN = 40;

/** Measures `cases`, every side once per round in an order drawn anew, so that drift and throttling hit all alike. */
export function measure(suite: string, cases: readonly BenchCase[], options: MeasureOptions = {}): Row[] {
  const measurement = new Measurement(suite, cases, options);
  while (measurement.step());
  return measurement.rows();
}

interface Side {
  readonly bench: BenchCase;
  readonly sample: () => number;
  readonly samples: number[];
}

/** {@link measure} one sample at a time, for runtimes that let no script run for minutes. */
export class Measurement {
  readonly #suite: string;
  readonly #ours: readonly Side[];
  readonly #theirs: readonly Side[];
  readonly #rounds: number;
  #round: number;
  /** What is left of this round. */
  #order: Side[] = [];

  constructor(suite: string, cases: readonly BenchCase[], options: MeasureOptions = {}) {
    const { rounds = ROUNDS_MIN, warmUpRounds = 5 } = options;
    this.#suite = suite;
    this.#rounds = rounds;
    this.#round = -warmUpRounds - 1;
    this.#ours = cases.map((bench) => ({ bench, sample: () => bench.ours(), samples: [] }));
    this.#theirs = cases.flatMap((bench) => {
      const { theirs } = bench;
      return theirs === undefined ? [] : [{ bench, sample: () => theirs.call(bench), samples: [] }];
    });
  }

  /** Takes one sample; false when all are taken. */
  step(): boolean {
    if (this.#order.length === 0) {
      if (++this.#round >= this.#rounds) return false;
      this.#order = shuffled([...this.#ours, ...this.#theirs]);
    }
    const side = this.#order.pop();
    const sample = side?.sample();
    if (this.#round >= 0 && sample !== undefined) side?.samples.push(sample);
    return true;
  }

  rows(): Row[] {
    return this.#ours.map(({ bench, samples }) => {
      const theirs = this.#theirs.find((side) => side.bench === bench);
      return rowOf(this.#suite, bench, samples, theirs?.samples ?? []);
    });
  }
}

/** The rows of one part of a suite; none, with a line on stderr, when it fails, so that the other parts' are not lost. */
export async function part(name: string, rows: () => Promise<Row[]>): Promise<Row[]> {
  try {
    return await rows();
  } catch (error) {
    process.stderr.write(`bench: ${name} has no rows: ${(error as Error).message}\n`);
    return [];
  }
}

/** The row of samples taken elsewhere, such as in a child process. */
export function rowOf(
  suite: string,
  bench: Pick<BenchCase, "name" | "runtime" | "unit" | "peer">,
  ours: readonly number[],
  theirs: readonly number[],
): Row {
  const value = median(ours);
  const peerValue = theirs.length === 0 ? null : median(theirs);
  return {
    suite,
    case: bench.name,
    runtime: bench.runtime,
    unit: bench.unit,
    value,
    spread: median(ours.map((sample) => Math.abs(sample - value))),
    low: quantile(ours, 0.25),
    high: quantile(ours, 0.75),
    rounds: ours.length,
    peer: bench.peer,
    peerValue,
    peerLow: theirs.length === 0 ? null : quantile(theirs, 0.25),
    peerHigh: theirs.length === 0 ? null : quantile(theirs, 0.75),
    ratio: peerValue === null ? null : value / peerValue,
  };
}

/** A sampler: microseconds per call, averaged over `calls` calls, which should take at least a few milliseconds. */
export function microseconds(calls: number, action: () => unknown): () => number {
  return () => {
    const startMs = performance.now();
    for (let i = 0; i < calls; i++) action();
    return ((performance.now() - startMs) * 1000) / calls;
  };
}

/** The middle of `samples`, NaN when there are none. */
export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** That share of `samples` is below it, between two of them in proportion; NaN when there are none. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low === undefined || high === undefined ? Number.NaN : low + (high - low) * (at - Math.floor(at));
}

/** One text line per row, columns aligned. */
export function table(rows: readonly Row[]): string {
  const heads = ["suite", "case", "runtime", "value", "spread", "unit", "peer", "peer value", "ratio"];
  const lines = rows.map((row) => [
    row.suite,
    row.case,
    row.runtime,
    short(row.value),
    short(row.spread),
    row.unit,
    row.peer ?? "-",
    short(row.peerValue),
    row.ratio === null ? "-" : row.ratio.toFixed(3),
  ]);
  return aligned(heads, lines, (column) => [3, 4, 7, 8].includes(column));
}

/** Lines of columns with two spaces between; numbers stand to the right. */
export function aligned(
  heads: readonly string[],
  lines: readonly (readonly string[])[],
  isNumber: (column: number) => boolean,
): string {
  const widths = heads.map((head, i) => Math.max(head.length, ...lines.map((line) => line[i]?.length ?? 0)));
  const format = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (isNumber(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ");
  return [heads, ...lines].map((cells) => format(cells).trimEnd()).join("\n");
}

/**
 * What is wrong with `rows`: one sentence per broken limit, and per limit whose case was not measured. `budgets` are those
 * of one suite, by case.
 */
export function brokenBudgets(rows: readonly Row[], budgets: Readonly<Record<string, Budget>>): string[] {
  const broken: string[] = [];
  for (const [name, { ratioMax, valueMax }] of Object.entries(budgets)) {
    const row = rows.find((candidate) => budgetName(candidate) === name);
    if (row === undefined) {
      broken.push(`${name}: has a budget but was not measured`);
      continue;
    }
    const { ratio, value, unit, peer } = row;
    // Written so that NaN breaks the limit.
    if (ratioMax !== undefined && !(ratio !== null && ratio <= ratioMax)) {
      broken.push(`${name}: ${ratio?.toFixed(3)} x ${peer}, limit ${ratioMax}`);
    }
    if (valueMax !== undefined && !(value <= valueMax)) {
      broken.push(`${name}: ${short(value)} ${unit}, limit ${valueMax}`);
    }
  }
  return broken;
}

/** Its name in bench/budgets.json. */
export function budgetName(row: Row): string {
  return row.runtime === "node" ? row.case : `${row.case}@${row.runtime}`;
}

function short(value: number | null): string {
  if (value === null) return "-";
  return Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(4);
}

function shuffled<T>(items: readonly T[]): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    const [a, b] = [order[i], order[j]];
    if (a !== undefined && b !== undefined) {
      order[i] = b;
      order[j] = a;
    }
  }
  return order;
}
