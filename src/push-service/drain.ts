// SPDX-License-Identifier: MIT
/**
 * Leaving without a herd: first the balancer hears of it while everything is served as before, then devices are sent away one
 * after the other. Somebody in a hurry cuts both short.
 */

import { DRAIN_STEP_MS } from "../limits.ts";
import type { Hub } from "./hub.ts";

export interface DrainOptions {
  /** Readiness is 503 for so long before the first link ends; default 0. */
  readonly delayS?: number;
  /** Links end over so long; default 0, at once. */
  readonly spreadS?: number;
}

/** Resolves after `delayMs`, or when `hurry` fires. */
export function pause(delayMs: number, hurry: AbortSignal): Promise<void> {
  if (hurry.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      hurry.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, delayMs);
    hurry.addEventListener("abort", end);
  });
}

/**
 * Says goodbye to every device of `hub`, evenly over `spreadMs`. With 0 nothing is waited for.
 *
 * @param reconnectSpreadS each is told to come back after a time drawn from this
 * @param hurry from when it fires on, the rest goes at once
 */
export async function sendAway(
  hub: Hub,
  spreadMs: number,
  reconnectSpreadS: number,
  hurry: AbortSignal,
): Promise<void> {
  const stepMs = spreadMs > 0 ? DRAIN_STEP_MS : 0;
  const steps = stepMs > 0 ? Math.ceil(spreadMs / stepMs) : 1;
  const links = hub.links();
  for (let step = 1, told = 0; told < links.length; step++) {
    const due = hurry.aborted ? links.length : Math.ceil((links.length * step) / steps);
    for (const link of links.slice(told, due)) {
      const retryAfterS = Math.round(Math.random() * reconnectSpreadS);
      link.handle({ type: "goodbye", reason: "shutdown", retryAfterS });
    }
    told = due;
    if (told < links.length) await pause(stepMs, hurry);
  }
  // A session that was only beginning meanwhile. Those told already do not listen any more.
  for (const link of hub.links()) link.handle({ type: "goodbye", reason: "shutdown", retryAfterS: 0 });
}
