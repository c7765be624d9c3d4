// SPDX-License-Identifier: MIT
// Goal: a message that waits for its app ends as it should, whatever happens to clocks, disk and power meanwhile. Method: the
// real agent on a device with virtual time.

import { describe, expect, test } from "vitest";
import {
  DELIVERY_RETRY_MS,
  JOURNAL_RETRY_MS,
  JOURNAL_UNHANDLED_AFTER_MS,
  TRANSFORM_BUDGET_MS,
} from "../../src/limits.ts";
import { AutopushWorld } from "./autopush-world.ts";
import { HOUR, MINUTE, NEWS } from "./online.ts";
import { declared } from "./people.ts";
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

test("a message that waits in the journal of a device whose clock was wrong is there when the clock is set right", () => {
  const before = new AutopushWorld({ epochTrusted: false });
  const { endpoint, reply } = before.subscribe(NEWS);
  before.device.epochOffsetMs = 0;
  before.device.dispatch({ type: "appDetached", owner: NEWS });
  before.service.post(endpoint, before.device.seal(reply, "hello"), true);
  before.flush();
  before.device.pass(MINUTE);
  expect(before.service.acknowledged).toHaveLength(1);
  const { device } = new AutopushWorld({ segments: [before.device.segment], atMs: before.device.nowMs });
  attach(device);
  expect(device.delivered).toHaveLength(1);
});

test("a message from the journal that is handled before there is a link is not taken again when its acknowledgement was lost", () => {
  const before = new Device();
  before.withSubscription(NEWS, 1);
  before.dispatch({ type: "appDetached", owner: NEWS });
  before.notify(1, 1, null);
  before.pass(10_000);
  const device = before.restart();
  attach(device);
  expect(device.delivered).toHaveLength(1);
  device.connect();
  device.notify(1, 1, null, { attempt: 2 });
  expect(device.delivered).toHaveLength(1);
  device.pass(1_000);
  expect(device.acknowledged()).toEqual([[1, "ok"]]);
});

test("likewise when what was handled before was of another store", () => {
  const before = new Device({ keepConnected: true });
  before.withSubscription(NEWS, 1);
  before.dispatch({ type: "appDetached", owner: NEWS });
  before.notify(7, 1, null);
  before.pass(10_000);
  attach(before);
  before.pass(10_000);
  before.closeLink();
  before.passUntil(MINUTE, () => before.status.link === "dialing");
  before.openLink();
  before.registered({ storeEpoch: 99, channels: [1] });
  before.dispatch({ type: "appDetached", owner: NEWS });
  before.notify(1, 1, null);
  before.pass(10_000);
  const device = before.restart();
  attach(device);
  expect(device.delivered).toHaveLength(1);
  device.openLink();
  device.registered({ storeEpoch: 99, channels: [1] });
  device.notify(1, 1, null, { attempt: 2 });
  device.pass(1_000);
  expect(device.delivered).toHaveLength(1);
  expect(device.acknowledged()).toEqual([[1, "ok"]]);
});

test("a message that is written down when another store took the place of its own is not acknowledged there", () => {
  const device = new Device({ keepConnected: true });
  device.jitter = () => 0;
  const reply = device.withSubscription(NEWS, 1);
  device.dispatch({ type: "appDetached", owner: NEWS });
  device.notify(5, 1, device.seal(reply, "hello"));
  device.closeLink();
  device.passUntil(JOURNAL_UNHANDLED_AFTER_MS / 2, () => device.status.link === "dialing");
  device.openLink();
  device.registered({ storeEpoch: 99, channels: [1] });
  device.pass(10_000);
  expect(device.reports).toContainEqual(expect.objectContaining({ type: "journaled" }));
  expect(device.acknowledged()).toEqual([]);
});

test("a delivery to be tried again while its message is being written down waits for that, not for the alarm", () => {
  const device = new Device();
  const reply = device.withSubscription(NEWS, 1);
  device.onDeliver = () => "failed";
  device.holdJournal = true;
  device.notify(1, 1, device.seal(reply, "hello"));
  device.pass(DELIVERY_RETRY_MS - 1);
  device.nowMs += 1;
  device.dispatch({ type: "alarm" });
  expect(device.alarm?.atMs ?? Number.POSITIVE_INFINITY).toBeGreaterThan(device.nowMs);
  device.onDeliver = () => "handled";
  for (const confirm of device.heldWrites.splice(0)) confirm();
  expect(device.delivered).toHaveLength(2);
});

const titlesOf = (device: Device) =>
  device.agent.notifications().map(({ notification }) => notification.title);

describe.each([
  ["declared", "", false],
  ["mutable, its app away", ',"mutable":true', true],
])("a message that is shown: %s", (_, members, hasHandler) => {
  function shown(prepare: (device: Device) => void) {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1, hasHandler);
    device.dispatch({ type: "appDetached", owner: NEWS });
    prepare(device);
    const body = device.seal(reply, declared("Hello", members));
    device.notify(1, 1, body);
    device.pass(TRANSFORM_BUDGET_MS + 1000);
    expect(device.shown).toHaveLength(1);
    return { device, body };
  }

  test("is acknowledged once: what was, from the journal, costs no second frame", () => {
    expect(shown(() => {}).device.acknowledged()).toEqual([[1, "ok"]]);
  });

  test.each([true, false])("is there once after a power cut; the screen had it: %s", (wasDisplayed) => {
    const { device, body } = shown((before) => {
      before.holdDisplay = !wasDisplayed;
    });
    const again = device.restart();
    again.openLink();
    again.registered({ lastId: 1 });
    again.notify(1, 1, body, { attempt: 2 });
    again.pass(MINUTE);
    expect(again.shown).toHaveLength(1);
    expect(titlesOf(again)).toEqual(["Hello"]);
    expect(again.acknowledged()).toEqual([[1, "ok"]]);
  });

  test("without screen and disk is acknowledged when it is kept, and there once, however often it came", () => {
    const { device, body } = shown((before) => {
      before.screenFails = true;
      before.journalFailure = "full";
    });
    device.notify(1, 1, body, { attempt: 2 });
    expect(device.acknowledged()).toEqual([]);
    device.journalFailure = null;
    device.pass(2 * JOURNAL_RETRY_MS);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
    expect(titlesOf(device)).toEqual(["Hello"]);
    expect(titlesOf(device.restart())).toEqual(["Hello"]);
  });
});

test("what an app shows is gone when it could neither be shown nor kept", () => {
  const device = new Device();
  device.withSubscription(NEWS, 1);
  device.screenFails = true;
  device.journalFailure = "full";
  device.ask(NEWS, { type: "showNotification", deliveryId: null, title: "t", options: {} });
  expect(titlesOf(device)).toEqual([]);
});

describe("a full flash", () => {
  /** Lets a day pass, and counts how often the device wakes up in it. */
  function wakeUpsOfADay(device: Device): number {
    let wakeUps = 0;
    for (const endMs = device.nowMs + DAY; device.nowMs < endMs; wakeUps++) {
      const { alarm } = device;
      device.pass(alarm === null ? DAY : alarm.atMs + alarm.windowMs - device.nowMs);
    }
    return wakeUps;
  }

  test("with nothing new to keep wakes the device hardly ever", () => {
    const device = new Device();
    device.journalFailure = "full";
    device.choose({ type: "setPermission", owner: NEWS, permission: "granted" });
    expect(wakeUpsOfADay(device)).toBeLessThan(30);
    device.journalFailure = null;
    device.pass(2 * HOUR);
    expect(device.status.journalFailing).toBe(false);
    expect(device.restart().status.owners).toMatchObject([{ owner: NEWS, permission: "granted" }]);
    expect(device.alarm).toBeNull();
  });

  test("with messages that wait for an app is not asked again for each of them", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.journalFailure = "full";
    for (let id = 1; id <= 5; id++) {
      device.notify(id, 1, device.seal(reply, `${id}`), { ttlLeftS: 172_800 });
      device.pass(1000);
    }
    device.dispatch({ type: "networkChanged", network: null });
    expect(wakeUpsOfADay(device)).toBeLessThan(40);
    device.journalFailure = null;
    device.pass(2 * HOUR);
    const again = device.restart();
    attach(again);
    expect(again.delivered).toHaveLength(5);
  });

  test("is tried again soon after it was full for a moment", () => {
    const device = new Device();
    device.journalFailure = "full";
    device.choose({ type: "setPermission", owner: NEWS, permission: "granted" });
    for (let tries = 0; tries < 20; tries++)
      device.choose({ type: "setPaused", owner: NEWS, paused: tries % 2 > 0 });
    device.journalFailure = null;
    device.pass(2 * JOURNAL_RETRY_MS);
    expect(device.status.journalFailing).toBe(false);
  });
});
