// SPDX-License-Identifier: MIT
/** Exit codes of the command line and the errors that lead to them. */

import { GodwitError } from "../errors.ts";

export const EXIT = {
  ok: 0,
  failure: 1,
  usage: 2,
  unreachable: 69,
  tryAgain: 75,
  denied: 77,
  config: 78,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with a code and one sentence for stderr. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The exit code for whatever a command threw. */
export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommandError) return error.exitCode;
  if (!(error instanceof GodwitError)) return EXIT.failure;
  switch (error.code) {
    case "ERR_CONFIG":
    case "ERR_OWNER":
    case "ERR_KEYRING":
    // Under the key that is configured it never opens.
    case "ERR_JOURNAL_SEAL":
      return EXIT.config;
    case "ERR_SERVICE_UNREACHABLE":
    // No session bus: it may come with the session.
    case "ERR_DISPLAY":
      return EXIT.unreachable;
    case "ERR_SUBSCRIBE_PERMISSION":
    case "ERR_APP_AUTH":
      return EXIT.denied;
    case "ERR_SUBSCRIBE_ABORTED":
    case "ERR_JOURNAL_IN_USE":
      return EXIT.tryAgain;
    default:
      return EXIT.failure;
  }
}
