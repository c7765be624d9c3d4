// SPDX-License-Identifier: MIT
/**
 * What has to come together to be seen, and by chance alone seldom does: some actions in their order, at drawn distances. Each themed
 * world has one kind of them several times, beside messages and a few troubles of any kind.
 */

import type { Chance } from "./chance.ts";
import type { Action, PlannedAction } from "./plan.ts";

export interface Scene {
  readonly name: string;
  /** Times count from its beginning. */
  readonly draw: (chance: Chance, place: Place) => PlannedAction[];
}

/** Where it happens. */
export interface Place {
  readonly device: number;
  readonly app: number;
}

const SECOND_MS = 1_000;
const DAYS_3_S = 3 * 86_400;
const YEARS_MS = 365 * 86_400 * SECOND_MS;

const RIGHT = { offMs: 0, isTrusted: true };
const BEFORE_ITS_TIME = { offMs: -50 * YEARS_MS, isTrusted: false };
const AHEAD = { offMs: 10 * YEARS_MS, isTrusted: false };

/** Takes actions at times that only rise. */
class Script {
  readonly actions: PlannedAction[] = [];
  readonly #place: Place;
  #atMs = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  after(delayMs: number, action: Action): this {
    this.#atMs += delayMs;
    this.actions.push({ atMs: this.#atMs, action });
    return this;
  }

  network(delayMs: number, label: string | null): this {
    return this.after(delayMs, { type: "network", device: this.#place.device, label });
  }

  absent(delayMs: number): this {
    return this.after(delayMs, { type: "conduct", ...this.#place, conduct: "absent" });
  }

  /** Its app comes, and takes what there is. */
  present(delayMs: number): this {
    return this.after(delayMs, { type: "conduct", ...this.#place, conduct: "prompt" });
  }

  flash(delayMs: number, state: "slow" | "good"): this {
    return this.after(delayMs, { type: "flash", device: this.#place.device, state });
  }

  clock(delayMs: number, clock: typeof RIGHT): this {
    return this.after(delayMs, { type: "clock", device: this.#place.device, ...clock });
  }

  post(delayMs: number, count: number, paddingBytes = 0): this {
    return this.after(delayMs, {
      type: "post",
      ...this.#place,
      kind: "opaque",
      ttlS: DAYS_3_S,
      urgency: "normal",
      topic: null,
      paddingBytes,
      count,
    });
  }

  /** The agent ends, in order or not, and comes back. */
  restart(delayMs: number, chance: Chance, downMs: number): this {
    const { device } = this.#place;
    return chance.is(0.5)
      ? this.after(delayMs, { type: "stop", device, ms: downMs })
      : this.after(delayMs, {
          type: "crash",
          device,
          death: chance.pick("process", "power"),
          effects: 0,
          downMs,
        });
  }
}

export const SCENES: readonly Scene[] = [
  {
    // More comes than may be under way at once, or stored.
    name: "a crowd for a device that is away",
    draw: (chance, place) =>
      new Script(place)
        .network(0, null)
        .post(SECOND_MS, chance.pick(20, 60))
        .post(chance.pick(0, 20) * SECOND_MS, 30)
        .network(chance.pick(1, 30) * SECOND_MS, "wifi").actions,
  },
  {
    name: "a crowd for a device that is slow",
    draw: (_, place) =>
      new Script(place)
        .flash(0, "slow")
        .post(SECOND_MS, 80)
        .post(100, 80)
        .flash(20 * SECOND_MS, "good").actions,
  },
  {
    // Messages wait in a journal that is written anew, and its agent begins again with what it finds there.
    name: "a journal that is outgrown",
    draw: (chance, place) => {
      const script = new Script(place).absent(0);
      for (let posts = chance.pick(2, 4); posts > 0; posts--) script.post(10 * SECOND_MS, 6, 3_000);
      const other = { ...place, app: place.app + 1 };
      if (chance.is(0.5)) script.after(SECOND_MS, { type: "app-unsubscribe", ...other });
      return script.restart(10 * SECOND_MS, chance, 500).present(chance.pick(5, 60) * SECOND_MS).actions;
    },
  },
  {
    // What was written down under one clock is read under another, and nobody can be asked for the time.
    name: "a clock that is wrong",
    draw: (chance, place) =>
      new Script(place)
        .clock(0, chance.pick(RIGHT, BEFORE_ITS_TIME))
        .absent(SECOND_MS)
        .post(SECOND_MS, 2)
        .clock(10 * SECOND_MS, chance.pick(RIGHT, AHEAD))
        .network(SECOND_MS, null)
        .restart(SECOND_MS, chance, 500)
        .present(10 * SECOND_MS)
        .network(10 * SECOND_MS, "wifi")
        .clock(20 * SECOND_MS, RIGHT).actions,
  },
  {
    // The acknowledgement is lost, and the message is handled before the service can send it again.
    name: "a start without a network",
    draw: (chance, place) =>
      new Script(place)
        .absent(0)
        .post(2 * SECOND_MS, 1)
        .after(chance.pick(300, 3_500), { type: "half-open", device: place.device })
        .network(chance.pick(6, 9) * SECOND_MS, null)
        .restart(100, chance, 500)
        .present(5 * SECOND_MS)
        .network(10 * SECOND_MS, "wifi").actions,
  },
  {
    // Another store takes the place of the one a message came from, while that is being written down.
    name: "a store that is lost",
    draw: (chance, place) =>
      new Script(place)
        .flash(0, "slow")
        .absent(0)
        .post(SECOND_MS, 2)
        .after(chance.integer(0, 5_500), { type: "service-forget", ms: chance.pick(50, 300) })
        .flash(15 * SECOND_MS, "good")
        .present(SECOND_MS).actions,
  },
];
