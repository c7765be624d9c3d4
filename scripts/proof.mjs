// SPDX-License-Identifier: MIT
/**
 * What the long suites found, as rows for the report: a file of lines of JSON for each suite in bench/report/proof, with what each row
 * belongs to before it, as bench/report/rows.jsonl has it. A later run of a case replaces the earlier one's row.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { nodeBoard } from "./board.mjs";

export const PROOF_DIRECTORY = "bench/report/proof";

/**
 * @param {import("./proof.mjs").ProofRow["suite"]} suite
 * @param {string} command
 * @param {readonly Omit<import("./proof.mjs").ProofRow, "suite">[]} rows
 * @param {string} directory
 */
export function writeProof(suite, command, rows, directory = PROOF_DIRECTORY) {
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${suite}.jsonl`);
  const present = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
  const kept = withoutCases(
    present.map((line) => JSON.parse(line)),
    new Set(rows.map((row) => row.case)),
  );
  const all = [...kept, nodeBoard(command), ...rows.map((row) => ({ suite, ...row }))];
  writeFileSync(file, all.map((value) => `${JSON.stringify(value)}\n`).join(""));
}

/** A machine that no row is left of goes too. */
function withoutCases(values, cases) {
  const rows = values.filter((value) => !cases.has(value.case));
  return rows.filter((value, i) => "case" in value || "case" in (rows[i + 1] ?? {}));
}
