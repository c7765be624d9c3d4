// SPDX-License-Identifier: MIT
/**
 * What the sources take from their runtime without being handed it: timers, clocks, `Math.random`. The bundle of the simulation
 * puts these in place of the globals of the same names (scripts/simulation.mjs), so nothing else may be exported under such a name.
 */

/** The world that runs at present; one at a time in a process. */
export interface Surroundings {
  /** Ms, rising. */
  monotonicMs(): number;
  /** Ms since 1970. */
  epochMs(): number;
  /** Calls `action` once; the function returned takes it back. */
  after(delayMs: number, action: () => void): () => void;
  /** In [0, 1). */
  random(): number;
}

let present: Surroundings | null = null;

export function useSurroundings(surroundings: Surroundings): void {
  present = surroundings;
}

function here(): Surroundings {
  if (present === null) throw new Error("there is no world yet");
  return present;
}

/** In place of `Math.random`. */
export function simulatedRandom(): number {
  return here().random();
}

interface SimulatedTimer {
  stop: () => void;
  unref(): SimulatedTimer;
}

function timerOf(stop: () => void): SimulatedTimer {
  const timer = { stop, unref: () => timer };
  return timer;
}

export function setTimeout(action: () => void, delayMs = 0): SimulatedTimer {
  return timerOf(here().after(Math.max(0, delayMs), action));
}

export function clearTimeout(timer: SimulatedTimer | null | undefined): void {
  timer?.stop();
}

export function setInterval(action: () => void, delayMs: number): SimulatedTimer {
  const timer = timerOf(() => {});
  const again = (): void => {
    timer.stop = here().after(delayMs, () => {
      again();
      action();
    });
  };
  again();
  return timer;
}

export const clearInterval = clearTimeout;

export const performance = { now: () => here().monotonicMs() };

const RealDate = globalThis.Date;

class SimulatedDate extends RealDate {
  constructor(ms?: number | string) {
    super(ms ?? here().epochMs());
  }

  static override now(): number {
    return here().epochMs();
  }
}

export { SimulatedDate as Date };
