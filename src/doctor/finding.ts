// SPDX-License-Identifier: MIT
/** What one check of a doctor (`godwit doctor`, `godwitd doctor`) comes to, and what all of them do. */

import { CommandError, EXIT, type ExitCode } from "../configuration/exit.ts";
import { plain } from "../configuration/plain.ts";

export interface Finding {
  /** Stable name, for programs. */
  readonly check: string;
  readonly result: "ok" | "warn" | "fail";
  /** One line, without secrets. */
  readonly found: string;
  /** What to do, or null when there is nothing. */
  readonly advice: string | null;
  /** What a failure makes of the whole; 0 unless it is one. */
  readonly exitCode: ExitCode;
}

export function ok(check: string, found: string): Finding {
  return { check, result: "ok", found, advice: null, exitCode: EXIT.ok };
}

export function warn(check: string, found: string, advice: string): Finding {
  return { check, result: "warn", found, advice, exitCode: EXIT.ok };
}

export function fail(check: string, exitCode: ExitCode, found: string, advice: string): Finding {
  return { check, result: "fail", found, advice, exitCode };
}

/** Two lines at most: what was found, and what to do about it. @param word the result in four letters, coloured or not */
export function describeFinding({ check, found, advice }: Finding, word: string): string[] {
  // Networks and certificates are called what others like.
  const lines = [plain(found), ...(advice === null ? [] : [plain(advice)])];
  return lines.map((line, at) => (at === 0 ? `${word}  ${check.padEnd(10)} ${line}` : `        → ${line}`));
}

/** What a finding is to programs. */
export function jsonOf({ check, result, found, advice }: Finding) {
  return { check, result, found, advice };
}

/** How a doctor ends: null when nothing failed. What is configured wrongly comes first: the rest may be its consequence. */
export function verdictOf(findings: readonly Finding[]): CommandError | null {
  const failures = findings.filter(({ result }) => result === "fail").map(({ exitCode }) => exitCode);
  if (failures.length === 0) return null;
  const [worst] = [EXIT.config, EXIT.unreachable, EXIT.failure].filter((code) => failures.includes(code));
  return new CommandError(worst ?? EXIT.failure, `${failures.length} of ${findings.length} checks failed`);
}
