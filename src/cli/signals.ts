// SPDX-License-Identifier: MIT
/** Waiting for the person or the service manager to end a long-running command. */

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process the usual way. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
      resolve();
    };
    process.on("SIGINT", stop);
    process.on("SIGTERM", stop);
  });
}
