// SPDX-License-Identifier: MIT

/** What one long suite found in one case: a target, a kind of fault, or everything. */
export interface ProofRow {
  readonly suite: "simulation" | "mutations" | "fuzz" | "power-cuts" | "soak" | "chaos";
  /** The same in every run, so that a later one takes its place: seeds and durations belong into the command. */
  readonly case: string;
  /** By name, in the order of the table's columns. */
  readonly figures: Readonly<Record<string, ProofFigure>>;
}

export interface ProofFigure {
  readonly value: number;
  /** `events`, `MB`, `%` …; "" for plain counts whose name says what is counted. */
  readonly unit: string;
  /** What the suite holds it to, where it does. */
  readonly valueMin?: number;
  readonly valueMax?: number;
  /** How it was in the course of the run, as [seconds, value], in `unit`: drawn as a line. At most some hundreds. */
  readonly series?: readonly (readonly [seconds: number, value: number])[];
}

/** Of the repository's root. */
export const PROOF_DIRECTORY: string;

/**
 * Adds the rows of a run to `SUITE.jsonl` of `directory`, in place of what the same cases had. The present directory is the repository's root.
 *
 * @param command what made the rows, as one would type it
 */
export function writeProof(
  suite: ProofRow["suite"],
  command: string,
  rows: readonly Omit<ProofRow, "suite">[],
  directory?: string,
): void;
