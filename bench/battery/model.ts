// SPDX-License-Identifier: MIT
/**
 * What a wake-up costs: radios as promotion, active time and a tail of stages, one meter for radio and processor. Seconds,
 * watts, joules. Sources: Huang et al. 2012 and AT&T ARO (LTE, 3G, Wi-Fi), Robinson 2019 (NB-IoT).
 */

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
const CPU_J = 0.1;

/** Adds up what one device spends. */
export class EnergyMeter {
  joules = 0;
  radioWakes = 0;
  cpuWakes = 0;
  readonly #mergesOverlaps: boolean;
  #radio: RadioName | null = null;
  #untilS = Number.NEGATIVE_INFINITY;
  #cpuUntilS = Number.NEGATIVE_INFINITY;

  /** @param mergesOverlaps false: packets at one time cost each their own, as the published model has it */
  constructor(mergesOverlaps: boolean) {
    this.#mergesOverlaps = mergesOverlaps;
  }

  isOn(radio: RadioName, atS: number): boolean {
    return radio === this.#radio && atS <= this.#untilS;
  }

  /** The radio is used for `durationS`; it is woken unless it is still on. */
  touch(radio: RadioName, atS: number, durationS = 0): void {
    const { promotion, tail } = RADIOS[radio];
    const tailS = tail.reduce((sum, [s]) => sum + s, 0);
    const activeEndS = this.#untilS - tailS;
    let endS = atS + durationS;
    if (!this.isOn(radio, atS)) {
      this.radioWakes++;
      this.joules += promotion[0] * promotion[1] + durationS * tail[0][1] + tailJoules(tail, tailS);
    } else if (this.#mergesOverlaps && atS < activeEndS) {
      // What happens at one time costs once.
      endS = Math.max(endS, activeEndS);
      this.joules += (endS - activeEndS) * tail[0][1];
    } else {
      this.joules += tailJoules(tail, tailS) - tailJoules(tail, this.#untilS - atS) + durationS * tail[0][1];
    }
    this.#radio = radio;
    this.#untilS = endS + tailS;
  }

  /** The radio is on for somebody else, who pays. */
  touchForOthers(radio: RadioName, atS: number): void {
    const { joules, radioWakes } = this;
    this.touch(radio, atS);
    this.joules = joules;
    this.radioWakes = radioWakes;
  }

  wakeCpu(atS: number): void {
    if (atS > this.#cpuUntilS) {
      this.cpuWakes++;
      this.joules += CPU_J;
    }
    this.#cpuUntilS = atS + 1;
  }

  reset(): void {
    this.joules = this.radioWakes = this.cpuWakes = 0;
    this.#radio = null;
    this.#untilS = this.#cpuUntilS = Number.NEGATIVE_INFINITY;
  }
}

/** Energy of the last `leftS` seconds of a tail. */
function tailJoules(tail: RadioModel["tail"], leftS: number): number {
  let joules = 0;
  let rest = leftS;
  for (const [s, watts] of tail.toReversed()) {
    const spent = Math.min(Math.max(rest, 0), s);
    joules += spent * watts;
    rest -= spent;
  }
  return joules;
}
