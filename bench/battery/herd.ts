// SPDX-License-Identifier: MIT
/** A fleet that loses its service: when the devices come back, by the real {@link Backoff} of each. */

import { Backoff } from "../../src/agent/backoff.ts";
import { seededRandom } from "./seeded-random.ts";

export interface HerdResult {
  /** Devices that got their connection in the busiest second. */
  readonly busiestSecond: number;
  /** Against N / spread. */
  readonly ratio: number;
  /** Seconds without a connection after the service was back. */
  readonly deafMeanS: number;
  readonly deafMaxS: number;
}

/** All lose their link at once; the immediate try of each is refused, as is every other until the service is back. */
export function runHerd(devices: number, downS: number, spreadS: number, seed: number): HerdResult {
  const random = seededRandom(seed);
  const perSecond = new Map<number, number>();
  let deafS = 0;
  let deafMaxS = 0;
  for (let i = 0; i < devices; i++) {
    const backoff = new Backoff(random);
    backoff.handleOpened(0, spreadS * 1000);
    let atMs = 3_600_000;
    const backMs = atMs + downS * 1000;
    do atMs += backoff.handleLost(atMs, null);
    while (atMs < backMs);
    const second = Math.floor((atMs - backMs) / 1000);
    perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    deafS += (atMs - backMs) / 1000;
    deafMaxS = Math.max(deafMaxS, (atMs - backMs) / 1000);
  }
  const busiestSecond = Math.max(...perSecond.values());
  return { busiestSecond, ratio: busiestSecond / (devices / spreadS), deafMeanS: deafS / devices, deafMaxS };
}
