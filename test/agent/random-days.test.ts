// SPDX-License-Identifier: MIT
// Goal: whatever the world does, the agent keeps the promises of its connection: a bounded number of wake-ups in any hour,
// no alarm storm, no state without an end, no link too many, nothing on a closed link, no exception. Method: random days
// of the real agent in a hostile world, each from a seed, with every promise checked after every event.

import { expect, test } from "vitest";
import { CANARIES_MAX, WAKE_UPS_PER_HOUR_MAX } from "../../src/limits.ts";
import { numRuns } from "../properties.ts";
import { HOUR } from "./online.ts";
import { RandomDays } from "./random-days.ts";

const SEEDS = Array.from({ length: numRuns(8) }, (_, index) => index + 1);
const HOURS = numRuns(48);
/** This many alarms within a second are a loop. */
const STORM_ALARMS = 50;

test.each(SEEDS)("no promise is broken in the days of seed %i", (seed) => {
  const days = new RandomDays(seed, brokenPromise);
  expect({ seed, violation: days.run(HOURS) }).toEqual({ seed, violation: null });
  // Days without a connection, or without anything that goes wrong with it, would prove nothing.
  expect(days.onlineMs).toBeGreaterThan(0);
  expect(days.wakeUpsMs.length).toBeGreaterThan(HOURS / 2);
});

function brokenPromise({ device, links, wakeUpsMs, alarmsMs, requestsOpen }: RandomDays): string | null {
  const state = device.status.link;
  const isConnecting = state === "dialing" || state === "greeting";
  const hasAlarm = device.alarm !== null;

  if (areWithin(wakeUpsMs, WAKE_UPS_PER_HOUR_MAX + 1, HOUR))
    return `more than ${WAKE_UPS_PER_HOUR_MAX} budgeted wake-ups in an hour`;
  if (areWithin(alarmsMs, STORM_ALARMS + 1, 1000)) return "alarm storm";

  // Every state has something that ends it; and the device is to stay connected, so it never gives up.
  if ((state === "online" || isConnecting) && !hasAlarm) return "no alarm";
  if (state === "waiting" && !hasAlarm && requestsOpen === 0) return "nothing to wait for";
  if (state === "token" && requestsOpen === 0) return "no token request";
  if (state === "idle" || state === "stopped") return "gave up";

  let canaries = 0;
  for (const { kind } of links.values()) if (kind === "canary") canaries++;
  const mains = links.size - canaries;
  // Online there may be a spare one besides.
  if (mains > (state === "online" ? 2 : isConnecting ? 1 : 0)) return `${mains} main links`;
  if (canaries > (state === "online" ? CANARIES_MAX : 0)) return `${canaries} canaries`;
  return null;
}

/** Whether the last `count` of `timesMs`, which rise, lie within less than `spanMs`. */
function areWithin(timesMs: readonly number[], count: number, spanMs: number): boolean {
  const firstMs = timesMs.at(-count);
  return firstMs !== undefined && (timesMs.at(-1) ?? 0) - firstMs < spanMs;
}
