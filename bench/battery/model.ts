// SPDX-License-Identifier: MIT
/** Adds up, packet by packet, what the radios of src/energy.ts and the processor spend: one meter for both. */

import { PROCESSOR_RESUME_J, RADIOS, type RadioName, tailJoules } from "../../src/energy.ts";

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
      this.joules += promotion[0] * promotion[1] + durationS * tail[0][1] + tailJoules(tail);
    } else if (this.#mergesOverlaps && atS < activeEndS) {
      // What happens at one time costs once.
      endS = Math.max(endS, activeEndS);
      this.joules += (endS - activeEndS) * tail[0][1];
    } else {
      this.joules += tailJoules(tail) - tailJoules(tail, this.#untilS - atS) + durationS * tail[0][1];
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
      this.joules += PROCESSOR_RESUME_J;
    }
    this.#cpuUntilS = atS + 1;
  }

  reset(): void {
    this.joules = this.radioWakes = this.cpuWakes = 0;
    this.#radio = null;
    this.#untilS = this.#cpuUntilS = Number.NEGATIVE_INFINITY;
  }
}
