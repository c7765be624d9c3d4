// SPDX-License-Identifier: MIT
/** What a device's power and network let through, as RFC 8030 section 5.3 has it. */

import type { Network } from "../agent/events.ts";
import { URGENCIES, type Urgency } from "../wire/dialect.ts";

/** Told of power and network, tells of the least urgency that follows, each time it is another one. */
export class DevicePower {
  readonly #floor: Urgency;
  readonly #isFollowed: boolean;
  #isCharging = true;
  #isBatteryLow = false;
  #kind: Network["kind"] = "wifi";
  #leastUrgency: Urgency;
  #changed: (leastUrgency: Urgency) => void = () => {};

  /**
   * @param floor never below this
   * @param isFollowed false: `floor` it is, whatever is told
   */
  constructor(floor: Urgency, isFollowed: boolean) {
    this.#floor = floor;
    this.#isFollowed = isFollowed;
    this.#leastUrgency = floor;
  }

  get leastUrgency(): Urgency {
    return this.#leastUrgency;
  }

  listen(changed: (leastUrgency: Urgency) => void): void {
    this.#changed = changed;
  }

  setPower(isCharging: boolean, isBatteryLow: boolean): void {
    this.#isCharging = isCharging;
    this.#isBatteryLow = isBatteryLow;
    this.#update();
  }

  setNetwork(kind: Network["kind"]): void {
    this.#kind = kind;
    this.#update();
  }

  #update(): void {
    const next = this.#isFollowed ? this.#followed : this.#floor;
    if (next === this.#leastUrgency) return;
    this.#leastUrgency = next;
    this.#changed(next);
  }

  get #followed(): Urgency {
    const isCheap = this.#kind === "wifi" || this.#kind === "ethernet";
    const level =
      this.#isBatteryLow && !this.#isCharging ? 3 : 2 - Number(this.#isCharging) - Number(isCheap);
    return URGENCIES[Math.max(level, URGENCIES.indexOf(this.#floor))] ?? this.#floor;
  }
}
