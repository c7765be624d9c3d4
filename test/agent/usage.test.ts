// SPDX-License-Identifier: MIT
// Goal: a registration nobody used for half a year ends, and only such a one, whatever clocks say. Method: the real agent
// on a device with virtual time; the test plays the push service and turns clocks.

import { describe, expect, test } from "vitest";
import { UNUSED_CHECK_MS, UNUSED_MS_MAX } from "../../src/limits.ts";
import { HOUR, live, MINUTE, move, NEWS } from "./online.ts";
import { answerUnregister, CHAT, changesOf, ownerOf } from "./people.ts";
import { Device, type DeviceOptions } from "./world.ts";

const DAY = 24 * HOUR;

/** A device with a subscription of NEWS on channel 1, its app gone, off for `offMs`, and back for long enough. */
function afterDays(offMs: number, options: DeviceOptions = {}, members = {}): Device {
  const device = new Device();
  device.withSubscription(NEWS, 1);
  device.dispatch({ type: "shutdown" });
  return back(device, offMs, options, members);
}

function back(device: Device, offMs: number, options: DeviceOptions = {}, members = {}): Device {
  const again = device.restart({ atMs: device.nowMs + offMs, ...options });
  again.openLink();
  again.registered(members);
  return again;
}

const usedAgoMs = (device: Device) =>
  device.epochMs - (device.status.subscriptions[0]?.usedEpochMs ?? Number.NaN);

describe("unused", () => {
  test("it ends here, at the service and for its app", () => {
    const device = afterDays(UNUSED_MS_MAX + DAY);
    // Apps have some time to come back first.
    live(device, UNUSED_CHECK_MS - 5 * MINUTE);
    expect(device.status.subscriptions).toHaveLength(1);
    for (let tries = 0; tries < 100 && device.status.subscriptions.length > 0; tries++) live(device, 10_000);
    expect(answerUnregister(device)).toEqual([1]);
    expect(changesOf(device)).toMatchObject([{ owner: NEWS, newSubscription: null }]);
    expect(device.status.link).toBe("idle");
    const again = device.restart();
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(changesOf(again)).toHaveLength(1);
    // What was decided stays.
    expect(ownerOf(again)?.permission).toBe("granted");
  });

  test("not before half a year", () => {
    const device = afterDays(UNUSED_MS_MAX - DAY);
    live(device, 2 * UNUSED_CHECK_MS);
    expect(device.status.subscriptions).toHaveLength(1);
  });

  test("it costs no wake-up to find out", () => {
    const device = new Device({ keepConnected: false });
    device.withSubscription(NEWS, 1);
    device.choose({ type: "setPaused", owner: null, paused: true });
    device.pass(2 * MINUTE);
    expect(device.alarm).toBeNull();
  });
});

describe("what counts as use", () => {
  const uses: [string, (device: Device) => void][] = [
    ["a message", (device) => device.notify(1, 1, null)],
    ["its app asks for it", (device) => device.ask(NEWS, { type: "getSubscription", waToken: null })],
    ["its app subscribes again", (device) => device.subscribe(NEWS)],
    [
      "its app comes and goes",
      (device) => {
        device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: false });
        device.dispatch({ type: "appDetached", owner: NEWS });
      },
    ],
    [
      "its app is there",
      (device) => device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true }),
    ],
    ["a pause", (device) => device.choose({ type: "setPaused", owner: NEWS, paused: true })],
  ];

  test.each(uses)("%s", (_, use) => {
    const device = afterDays(UNUSED_MS_MAX + DAY, { keepConnected: true });
    use(device);
    live(device, 2 * UNUSED_CHECK_MS);
    expect(device.status.subscriptions).toHaveLength(1);
    // And it is remembered: half a year counts from here.
    device.dispatch({ type: "shutdown" });
    const again = back(device, UNUSED_MS_MAX - DAY, { keepConnected: true });
    live(again, 2 * UNUSED_CHECK_MS);
    expect(again.status.subscriptions).toHaveLength(1);
  });

  test("its app comes and goes while it is being registered again", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.dispatch({ type: "shutdown" });
    const again = device.restart({ atMs: device.nowMs + UNUSED_MS_MAX + DAY, keepConnected: true });
    again.jitter = () => 0;
    again.openLink();
    again.registered({ channels: [] });
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    again.dispatch({ type: "appDetached", owner: NEWS });
    again.choose({ type: "install", owner: CHAT, startable: false });
    again.grantRegistration(7);
    live(again, 2 * UNUSED_CHECK_MS);
    expect(again.status.subscriptions).toMatchObject([{ channel: 7 }]);
  });

  test("an app that runs for half a year without a message", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    move(device, null);
    for (let ms = 0; ms < UNUSED_MS_MAX + 2 * DAY; ms += DAY) {
      device.pass(DAY);
      device.ask(NEWS, { type: "permissionState" });
    }
    expect(device.status.subscriptions).toHaveLength(1);
    device.choose({ type: "install", owner: CHAT, startable: false });
    expect(usedAgoMs(device)).toBeLessThan(2 * DAY);
  });

  test("is not written more often than once a day, and with what is written anyway", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.dispatch({ type: "shutdown" });
    const again = back(device, 2 * DAY);
    again.pass(2 * MINUTE);
    const writes = again.journalWrites;
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    for (let id = 1; id <= 5; id++) again.notify(id, 1, device.seal(reply, "m"));
    expect(again.journalWrites).toBe(writes);
    again.choose({ type: "install", owner: CHAT, startable: false });
    expect(usedAgoMs(again)).toBeLessThan(MINUTE);
    const [noted] = again.status.subscriptions;
    live(again, HOUR);
    again.notify(6, 1, device.seal(reply, "m"));
    again.choose({ type: "install", owner: CHAT, startable: true });
    expect(again.status.subscriptions).toEqual([noted]);
  });
});

describe("clocks", () => {
  test("of the device and the service apart, nothing ends, and no use is dated", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.dispatch({ type: "shutdown" });
    const again = device.restart();
    const { epochMs } = again;
    again.epochOffsetMs += 10 * UNUSED_MS_MAX;
    again.openLink();
    again.registered({ epochMs });
    live(again, 2 * UNUSED_CHECK_MS);
    again.notify(1, 1, null);
    again.choose({ type: "install", owner: CHAT, startable: false });
    expect(again.status.subscriptions).toMatchObject([{ usedEpochMs: device.epochMs }]);
  });

  test("told late, a use has the day it was made on", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.dispatch({ type: "shutdown" });
    const again = device.restart({ atMs: device.nowMs + 100 * DAY });
    move(again, null);
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    again.dispatch({ type: "appDetached", owner: NEWS });
    again.pass(10 * DAY);
    again.choose({ type: "install", owner: CHAT, startable: false });
    // No service has confirmed the clock yet.
    expect(usedAgoMs(again)).toBeGreaterThan(100 * DAY);
    move(again, "home");
    again.openLink();
    again.registered();
    again.choose({ type: "install", owner: CHAT, startable: true });
    expect(Math.floor(usedAgoMs(again) / DAY)).toBe(10);
  });

  test("of the device jumps ahead while it runs", () => {
    const device = afterDays(DAY);
    device.epochOffsetMs += 10 * UNUSED_MS_MAX;
    live(device, 2 * UNUSED_CHECK_MS);
    expect(device.status.subscriptions).toHaveLength(1);
  });

  test("a device without clock goes by the service's", () => {
    const leftAfter = (offMs: number): number => {
      const device = new Device();
      device.withSubscription(NEWS, 1);
      device.dispatch({ type: "shutdown" });
      const again = device.restart({ atMs: device.nowMs + offMs, epochTrusted: false });
      const { epochMs } = again;
      again.epochOffsetMs = 0;
      again.openLink();
      again.registered({ epochMs });
      live(again, 2 * UNUSED_CHECK_MS);
      return again.status.subscriptions.length;
    };
    expect(leftAfter(UNUSED_MS_MAX - DAY)).toBe(1);
    expect(leftAfter(UNUSED_MS_MAX + DAY)).toBe(0);
  });

  test("what was dated by a clock that was ahead is dated anew", () => {
    const device = new Device();
    device.epochOffsetMs += 10 * UNUSED_MS_MAX;
    device.withSubscription(NEWS, 1);
    device.dispatch({ type: "shutdown" });
    const again = back(device, DAY);
    expect(usedAgoMs(again)).toBeLessThan(0);
    live(again, 2 * UNUSED_CHECK_MS);
    again.choose({ type: "install", owner: CHAT, startable: false });
    expect(usedAgoMs(again)).toBeGreaterThanOrEqual(0);
    expect(usedAgoMs(again)).toBeLessThan(2 * UNUSED_CHECK_MS);
  });

  test("of the first subscription before any clock: its time begins when it is known", () => {
    const device = new Device({ epochTrusted: false });
    device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    device.subscribe(NEWS);
    device.connect();
    device.grantRegistration(1);
    expect(usedAgoMs(device)).toBeLessThan(MINUTE);
  });
});
