// SPDX-License-Identifier: MIT
/** What one check of `godwit doctor` comes to. */

import { EXIT, type ExitCode } from "../../configuration/exit.ts";

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
