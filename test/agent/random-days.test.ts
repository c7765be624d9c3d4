// SPDX-License-Identifier: MIT
// Goal: whatever the world does, the agent keeps the promises of its connection: a bounded number of wake-ups in any hour,
// no alarm storm, no state without an end, no link too many, nothing on a closed link, no exception. Method: random days
// of the real agent in a hostile world, each from a seed, with every promise checked after every event.

import { expect, test } from "vitest";
import { numRuns } from "../property-runs.ts";
import { RandomDays } from "./random-days.ts";

const SEEDS = Array.from({ length: numRuns(8) }, (_, index) => index + 1);
const HOURS = numRuns(48);

test.each(SEEDS)("no promise is broken in the days of seed %i", (seed) => {
  const days = new RandomDays(seed);
  days.run(HOURS);
  expect({ seed, violation: days.violation }).toEqual({ seed, violation: null });
  // Days in which nothing could go wrong would prove nothing.
  expect(days.tally.onlineMs).toBeGreaterThan(0);
  expect(days.tally.wakeUpsInAnHour).toBeGreaterThan(1);
});
