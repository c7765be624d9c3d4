// SPDX-License-Identifier: MIT
// Goal: a message that waits for its app ends as it should, whatever happens to clocks, disk and power meanwhile. Method: the
// real agent on a device with virtual time.

import { describe, expect, test } from "vitest";
import { HOUR, NEWS } from "./online.ts";
import { Device } from "./world.ts";

const DAY = 24 * HOUR;

/** A message that waits in the journal, its app away; it is good for an hour. */
function waiting() {
  const device = new Device({ keepConnected: true });
  const reply = device.withSubscription(NEWS, 1);
  device.dispatch({ type: "appDetached", owner: NEWS });
  device.notify(1, 1, device.seal(reply, "hello"), { ttlLeftS: 3600 });
  device.pass(10_000);
  expect(device.acknowledged()).toEqual([[1, "ok"]]);
  return device;
}

const attach = (device: Device) => device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });

describe("a message in the journal", () => {
  test("is dropped when its time is over", () => {
    const device = waiting();
    device.pass(HOUR);
    attach(device);
    expect(device.delivered).toEqual([]);
    expect(device.status.messagesWaiting).toBe(0);
  });

  test.each([3 * DAY, -3 * DAY])("waits its time, though the clock is moved by %d ms", (byMs) => {
    const device = waiting();
    device.epochOffsetMs += byMs;
    attach(device);
    expect(device.delivered).toHaveLength(1);
  });

  test("does not wait longer because the clock is set back", () => {
    const device = waiting();
    device.epochOffsetMs -= 3 * DAY;
    device.pass(HOUR);
    attach(device);
    expect(device.delivered).toEqual([]);
  });
});
