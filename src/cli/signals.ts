// SPDX-License-Identifier: MIT
/** Waiting for the person or the service manager to end a long-running command. */

import { constants } from "node:os";

/**
 * One Ctrl-C reaches a program more than once: from the terminal, which signals every process of the group, and from npm and
 * scripts/run.mjs, which pass it on. Signals within this of the first are therefore one.
 */
const ONE_CTRL_C_MS = 3_000;

/**
 * Resolves at the first SIGINT, SIGTERM or one of `others`. A later one, when closing takes too long for somebody, ends the
 * process at once, but by exit, so that what must not be left behind is removed on "exit".
 */
export function untilStopped(...others: readonly NodeJS.Signals[]): Promise<void> {
  return new Promise((resolve) => {
    let firstMs: number | null = null;
    const stop = (signal: NodeJS.Signals): void => {
      const nowMs = performance.now();
      firstMs ??= nowMs;
      if (nowMs - firstMs > ONE_CTRL_C_MS) process.exit(128 + constants.signals[signal]);
      resolve();
    };
    for (const signal of ["SIGINT", "SIGTERM", ...others] as const) process.on(signal, stop);
  });
}
