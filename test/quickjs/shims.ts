// SPDX-License-Identifier: MIT
/**
 * Globals that fast-check and asynchronous specs expect and QuickJS lacks. Imported before a spec, by the runner only:
 * the code under test must do without them. Timers run in virtual time, when nothing else is left to do.
 */

interface Timer {
  readonly id: number;
  readonly atMs: number;
  readonly action: () => void;
}

const timers: Timer[] = [];
let virtualMs = 0;
let lastId = 0;

const globals = globalThis as unknown as Record<string, unknown>;
globals.__FC_RUNS = true;
globals.setTimeout = (action: () => void, delayMs = 0): number => {
  timers.push({ id: ++lastId, atMs: virtualMs + Math.max(0, delayMs), action });
  return lastId;
};
globals.clearTimeout = (id: number): void => {
  const at = timers.findIndex((timer) => timer.id === id);
  if (at !== -1) timers.splice(at, 1);
};

/** Fires the earliest timer; false when there is none. Called by the runner once all promise jobs are done. */
globals.__fireTimer = (): boolean => {
  const next = timers.toSorted((a, b) => a.atMs - b.atMs || a.id - b.id)[0];
  if (next === undefined) return false;
  timers.splice(timers.indexOf(next), 1);
  virtualMs = next.atMs;
  next.action();
  return true;
};

export {};
