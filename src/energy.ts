// SPDX-License-Identifier: MIT
/**
 * What a wake-up costs: radios as promotion, active time and a tail of stages, and the closed form an estimate is made with.
 * Seconds, watts, joules. Sources: Huang et al. 2012 and AT&T ARO (LTE, 3G, Wi-Fi), Robinson 2019 (NB-IoT). Pure, and not part
 * of the agent's core: the simulator of bench/battery and `godwit stats` share it.
 */

import type { Network } from "./agent/events.ts";
import type { RadioUse } from "./agent/meter.ts";

export interface RadioModel {
  /** Seconds and watts until the radio is up. */
  readonly promotion: readonly [number, number];
  /** Stages it stays up after the last packet, [s, W]. */
  readonly tail: readonly (readonly [number, number])[];
  /** Mean delay of a packet to an idle device, s. */
  readonly pageS: number;
  readonly rttS: number;
}

export const RADIOS = {
  lte: {
    promotion: [0.26, 1.21],
    tail: [
      [0.1, 1.29],
      [11.476, 1.09],
    ],
    pageS: 0.64,
    rttS: 0.07,
  },
  /** A bracket for phones of the 2020s: the tail's length is measured, its power assumed (0.07 to 0.6 W are plausible). */
  "lte-modern": { promotion: [0.1, 0.65], tail: [[10, 0.25]], pageS: 0.64, rttS: 0.05 },
  "3g": {
    promotion: [2, 0.65],
    tail: [
      [4, 1.3],
      [10, 0.3],
    ],
    pageS: 0.64,
    rttS: 0.15,
  },
  wifi: { promotion: [0.079, 0.124], tail: [[0.238, 0.119]], pageS: 0.154, rttS: 0.03 },
  nbiot: { promotion: [1.5, 0.3], tail: [[20, 0.27]], pageS: 10.24, rttS: 1.6 },
  "nbiot-rai": { promotion: [1.5, 0.3], tail: [[1.3, 0.27]], pageS: 10.24, rttS: 1.6 },
  ethernet: { promotion: [0, 0], tail: [[0.01, 0.1]], pageS: 0, rttS: 0.01 },
} as const satisfies Record<string, RadioModel>;
export type RadioName = keyof typeof RADIOS;
export const RADIO_NAMES = Object.keys(RADIOS) as readonly RadioName[];

/** The radio supposed where none is chosen. */
export const RADIO_OF_KIND: Readonly<Record<Network["kind"], RadioName>> = {
  wifi: "wifi",
  cellular: "lte",
  ethernet: "ethernet",
  unknown: "lte",
};

/** Bytes on the wire, TCP/IP and TLS included (measured: TLS 1.3, P-256 chain, WebSocket upgrade). */
export const WIRE_BYTES = {
  /** Ping, pong and the acknowledgement behind them. */
  ping: 208,
  connect: 3870,
  resume: 1958,
  /** A push message of a published algorithm; Godwit's are counted from its frames. */
  message: 420,
  probe: 700,
  /** A dial that is refused or meets a portal. */
  refused: 900,
  /** What a frame costs besides itself: TLS record, WebSocket header, TCP/IP, acknowledgement. */
  frameUp: 22 + 8 + 104,
  frameDown: 22 + 4 + 104,
} as const;

/** Joules of one resume of a phone's processor; resumes within a second are one. */
export const PROCESSOR_RESUME_J = 0.1;

/** Joules of a whole tail, or of its last `leftS` seconds. */
export function tailJoules(tail: RadioModel["tail"], leftS = Number.POSITIVE_INFINITY): number {
  let joules = 0;
  let rest = leftS;
  for (const [s, watts] of tail.toReversed()) {
    const spent = Math.min(Math.max(rest, 0), s);
    joules += spent * watts;
    rest -= spent;
  }
  return joules;
}

/** Joules of waking the radio once and leaving it to its tail. */
export function wakeJoules(radio: RadioName): number {
  const { promotion, tail } = RADIOS[radio];
  return promotion[0] * promotion[1] + tailJoules(tail);
}

/**
 * Joules of what the meter counted over one kind of network: each wake-up pays promotion and tail, and what keeps the radio
 * on behind it pays the time. Traffic behind a short tail is no dearer than wake-ups of its own.
 */
export function radioJoules(radio: RadioName, { wakeUps, piggybacked, busyMs }: RadioUse): number {
  const wakeJ = wakeJoules(radio);
  const busyJ = (busyMs / 1000) * RADIOS[radio].tail[0][1];
  return wakeUps * wakeJ + Math.min(busyJ, (wakeUps + piggybacked) * wakeJ);
}
