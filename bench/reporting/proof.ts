// SPDX-License-Identifier: MIT
/** What the long suites found (scripts/proof.mjs): which there are, and lines of what they watched over time. */

import type { ProofFigure, ProofRow } from "../../scripts/proof.mjs";
import type { Role } from "../plot/svg.ts";
import { short } from "../plot/svg.ts";
import type { Figure, LinePlot } from "../plot.ts";

export interface Proof {
  readonly suite: ProofRow["suite"];
  readonly title: string;
  readonly description: string;
  /** What to type for it. */
  readonly command: string;
}

/** In the order of the report. */
export const PROOFS: readonly Proof[] = [
  {
    suite: "simulation",
    title: "Simulated worlds",
    description:
      "Real agents and the real push service in worlds of one seed each, with every rule held against them: what was accepted is shown once, repeats after a crash are marked, no secret is in a log.",
    command: "npm run test:long -- simulation",
  },
  {
    suite: "mutations",
    title: "Defects that the simulation has to see",
    description: "Deliberate defects, one at a time, and how many seeds it takes until one is seen.",
    command: "npm run test:long -- mutations",
  },
  {
    suite: "fuzz",
    title: "Fuzzing",
    description:
      "Inputs made of inputs, guided by coverage, for everything that reads what comes from outside. A finding is a crash, a hang, an error that is not listed, or a property that does not hold.",
    command: "npm run test:long -- fuzz",
  },
  {
    suite: "power-cuts",
    title: "Power cuts",
    description:
      "The journal on a disk that loses power at every write of a history, and at random ones with writes torn and in another order: nothing that was said to be durable is lost.",
    command: "npm run test:long -- journal-cuts",
  },
  {
    suite: "soak",
    title: "Soak",
    description:
      "Agent, push service and apps as real processes with faults injected: memory, descriptors and journal stay level.",
    command: "npm run test:long -- soak",
  },
  {
    suite: "chaos",
    title: "A fleet whose processes die and stall",
    description:
      "Push service processes over a Redis Cluster, killed and paused: everything that was answered 201 is shown exactly once.",
    command: "npm run test:long -- chaos",
  },
];

const ROLES_IN_TURN: readonly Role[] = ["ours", "other", "peer", "floor"];
/** Longer than this is drawn in minutes, s. */
const SECONDS_MAX = 600;

/** A figure for each unit that something was watched in. */
export function proofFigures(title: string, rows: readonly ProofRow[], notes: readonly string[]): Figure[] {
  const watched = rows.flatMap((row) =>
    Object.entries(row.figures)
      .filter(([, { series }]) => series !== undefined && series.length > 1)
      .map(([name, figure]) => ({ name: rows.length > 1 ? `${row.case}: ${name}` : name, figure })),
  );
  const units = [...new Set(watched.map(({ figure }) => figure.unit))];
  return units.map((unit) => {
    const of = watched.filter(({ figure }) => figure.unit === unit);
    const names = of.map(({ name }) => name).join(", ");
    return {
      title: `${title}: ${names}`,
      description: `What was watched while it ran: ${names}.`,
      notes,
      plot: plotOf(unit, of),
    };
  });
}

function plotOf(
  unit: string,
  watched: readonly { readonly name: string; readonly figure: ProofFigure }[],
): LinePlot {
  const endS = Math.max(...watched.flatMap(({ figure }) => figure.series?.map(([s]) => s) ?? []));
  const [perX, xLabel] = endS > SECONDS_MAX ? [60, "minutes"] : [1, "seconds"];
  return {
    ...{ kind: "lines", scale: "linear", xLabel, yLabel: unit === "" ? "count" : unit },
    lines: watched.map(({ name, figure: { series = [] } }, i) => ({
      name,
      role: ROLES_IN_TURN[i % ROLES_IN_TURN.length] ?? "other",
      points: series.map(([s, value]) => ({ x: s / perX, value, low: value, high: value })),
    })),
  };
}

/** One sentence for each figure that is not what it is held to. */
export function brokenProofs(rows: readonly ProofRow[]): string[] {
  return rows.flatMap((row) =>
    Object.entries(row.figures)
      .filter(([, figure]) => !holds(figure))
      .map(
        ([name, figure]) =>
          `${row.suite} ${row.case}: ${name} ${short(figure.value)}, limit ${boundOf(figure)}`,
      ),
  );
}

/** Written so that NaN does not hold. */
function holds({ value, valueMin, valueMax }: ProofFigure): boolean {
  return (valueMin === undefined || value >= valueMin) && (valueMax === undefined || value <= valueMax);
}

/** As a cell of a table has it: `0 (≤ 0)`. */
export function proofText(figure: ProofFigure): string {
  const bound = boundOf(figure);
  const wrong = holds(figure) ? "" : "BROKEN: ";
  const value = `${short(figure.value)}${figure.unit === "" ? "" : ` ${figure.unit}`}`;
  return bound === "" ? value : `${wrong}${value} (${bound})`;
}

function boundOf({ valueMin, valueMax }: ProofFigure): string {
  const said = [
    valueMin === undefined ? "" : `≥ ${short(valueMin)}`,
    valueMax === undefined ? "" : `≤ ${short(valueMax)}`,
  ];
  return said.filter((one) => one !== "").join(", ");
}
