// SPDX-License-Identifier: MIT
/** What figures are made of: rows found by name, ranges and lines of them, values as people write them. */

import type { BatteryRow } from "../battery/suite.ts";
import type { Row } from "../harness.ts";
import type { Entry } from "../plot/ranges.ts";
import type { Role } from "../plot/svg.ts";
import { short } from "../plot/svg.ts";
import type { LinePlot, Plot } from "../plot.ts";

/** A figure without its small print; null when nothing of it was measured. */
export interface Draft {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly plot: Plot;
  readonly rows: readonly (Row | BatteryRow)[];
}

/** Rows by their names, and which of them were used. */
export class Cases {
  readonly #rows: readonly Row[];

  constructor(rows: readonly Row[]) {
    this.#rows = rows;
  }

  find(suite: string, name: string, runtime = "node"): Row | null {
    return (
      this.#rows.find((row) => row.suite === suite && row.case === name && row.runtime === runtime) ?? null
    );
  }

  /** Rows whose case is `pattern` with a number in its group, by that number. */
  growing(suite: string, pattern: RegExp): [number, Row][] {
    return this.#rows
      .filter((row) => row.suite === suite && row.runtime === "node")
      .flatMap((row): [number, Row][] => {
        const count = pattern.exec(row.case)?.[1];
        return count === undefined ? [] : [[Number(count), row]];
      })
      .sort(([a], [b]) => a - b);
  }
}

export interface RangeDraft {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly unit: string;
  readonly scale: "linear" | "log";
  readonly groups: readonly { readonly name: string; readonly entries: readonly (Entry | null)[] }[];
  /** What it is drawn of, and what is in its table alone. */
  readonly rows: readonly (Row | null)[];
}

/** With what there is of it. */
export function ranges({ name, title, description, unit, scale, groups, rows }: RangeDraft): Draft | null {
  const found = groups
    .map((group) => ({ ...group, entries: group.entries.filter((one) => one !== null) }))
    .filter(({ entries }) => entries.length > 0);
  if (found.length === 0) return null;
  const used = rows.filter((row) => row !== null);
  return { name, title, description, plot: { kind: "ranges", unit, scale, groups: found }, rows: used };
}

export interface LineDraft {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly lines: readonly (readonly [
    name: string,
    role: Role,
    points: readonly (readonly [number, Row])[],
  ])[];
  /** In its table alone. */
  readonly more?: readonly (readonly [number, Row])[];
}

export function lines(draft: LineDraft): Draft | null {
  const { name, title, description, xLabel, yLabel, lines: of, more = [] } = draft;
  const found = of.filter(([, , points]) => points.length > 1);
  if (found.length === 0) return null;
  const drawn: LinePlot["lines"] = found.map(([told, role, points]) => ({
    name: told,
    role,
    points: points.map(([x, { value, low, high }]) => ({ x, value, low, high })),
  }));
  const plot: LinePlot = { kind: "lines", scale: "log", xLabel, yLabel, lines: drawn };
  return {
    name,
    title,
    description,
    plot,
    rows: [...found.flatMap(([, , points]) => points), ...more].map(([, row]) => row),
  };
}

export function entry(name: string, role: Role, row: Row | null): Entry | null {
  return row === null ? null : { name, role, value: row.value, low: row.low, high: row.high };
}

export function peerEntry(name: string, role: Role, row: Row | null): Entry | null {
  if (row === null || row.peerValue === null) return null;
  const { peerValue: value, peerLow, peerHigh } = row;
  return { name, role, value, low: peerLow ?? value, high: peerHigh ?? value };
}

export function scaled(one: Entry | null, by: number): Entry | null {
  return one === null ? null : { ...one, value: one.value * by, low: one.low * by, high: one.high * by };
}

/** Of microseconds. */
export function perSecond(one: Entry | null): Entry | null {
  return one === null ? null : { ...one, value: 1e6 / one.value, low: 1e6 / one.high, high: 1e6 / one.low };
}

export function described(sentence: string, told: readonly (readonly [string, Row | null])[]): string {
  const more = told.flatMap(([what, row]) =>
    row === null ? [] : [` ${what} ${valueText(row.value, row.unit)}.`],
  );
  return sentence + more.join("");
}

/** As people write it. */
export function valueText(value: number, unit: string): string {
  if (unit === "B" && value >= 1e5) return `${short(value / 1e6)} MB`;
  if (unit === "B") return `${short(value)} bytes`;
  return `${short(value)} ${unit.replace(/^us/, "µs")}`;
}
