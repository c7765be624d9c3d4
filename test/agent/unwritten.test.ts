// SPDX-License-Identifier: MIT
// Goal: the push service is not told what a power cut would take back, so that no app is left with an endpoint that ended. Method: the
// real agent on a device with virtual time and a flash that cannot be written, in both dialects; the test plays the service.

import { describe, expect, test } from "vitest";
import type { Choice } from "../../src/agent/events.ts";
import { concatBytes } from "../../src/bytes.ts";
import { UNREGISTER_RETRY_MS } from "../../src/limits.ts";
import { AutopushWorld } from "./autopush-world.ts";
import { HOUR, MINUTE, NEWS } from "./online.ts";
import { answerUnregister, CHAT, declared } from "./people.ts";
import { Device } from "./world.ts";

const CHOICES: readonly Choice[] = [
  { type: "removeSubscription", subscriptionId: 1 },
  { type: "setOptedOut", owner: null, optedOut: true },
  { type: "uninstall", owner: NEWS },
  { type: "factoryReset" },
];
const unwritten = { type: "error", code: "ERR_JOURNAL_IO" };

describe.each(CHOICES)("$type that could not be written down", (choice) => {
  test("is not told to an autopush service: undone by a crash, it leaves an endpoint that is good (simulation, seed 456)", () => {
    const world = new AutopushWorld();
    const { endpoint } = world.subscribe(NEWS);
    world.device.journalFailure = "io";
    expect(world.device.replies.get(world.device.choose(choice))).toMatchObject(unwritten);
    world.flush();
    world.device.pass(MINUTE);
    world.restart();
    world.device.passUntil(MINUTE, () => world.device.status.link === "dialing");
    world.connect();
    expect(world.device.status.subscriptions).toHaveLength(1);
    expect(world.service.post(endpoint, null, false)).not.toBe(null);
  });

  test("is told as soon as it is written", () => {
    const world = new AutopushWorld();
    const { endpoint } = world.subscribe(NEWS);
    world.device.journalFailure = "io";
    world.device.choose(choice);
    world.device.journalFailure = null;
    world.device.passUntil(MINUTE, () => !world.device.status.journalFailing);
    world.flush();
    expect(world.service.post(endpoint, null, false)).toBe(null);
  });

  test("is not told to a service of ours before that either", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.journalFailure = "io";
    expect(device.replies.get(device.choose(choice))).toMatchObject(unwritten);
    const isTold = () => device.upstream.some(({ type }) => type.startsWith("unregister"));
    expect(isTold()).toBe(false);
    device.closeLink();
    device.passUntil(MINUTE, () => device.status.link === "dialing");
    device.connect();
    expect(isTold()).toBe(false);
    device.journalFailure = null;
    device.passUntil(2 * MINUTE, () => !device.status.journalFailing);
    expect(isTold()).toBe(true);
  });
});

test("what is being written down is told when it is (simulation, seed 277)", () => {
  const device = new Device();
  device.withSubscription(NEWS, 1);
  device.withSubscription(CHAT, 2);
  device.holdJournal = true;
  device.ask(NEWS, { type: "unsubscribe", subscriptionId: 1 });
  device.pass(MINUTE);
  expect(device.countUpstream("unregisterWa")).toBe(0);
  device.holdJournal = false;
  for (const write of device.heldWrites.splice(0)) write();
  expect(answerUnregister(device)).toEqual([1]);
});

test("what the service refused to hear wakes nobody while the flash cannot be written", () => {
  const device = new Device({ keepConnected: true, heartbeatMs: 29 * MINUTE });
  device.withSubscription(NEWS, 1);
  device.choose({ type: "setOptedOut", owner: NEWS, optedOut: true });
  const againMs = device.nowMs + UNREGISTER_RETRY_MS;
  answerUnregister(device, 503);
  device.journalFailure = "io";
  device.choose({ type: "setOptedOut", owner: CHAT, optedOut: true });
  device.pass(UNREGISTER_RETRY_MS);
  // As late as its window allows.
  device.nowMs = againMs + UNREGISTER_RETRY_MS;
  device.alarm = null;
  device.dispatch({ type: "alarm" });
  const { atMs, windowMs } = device.alarm ?? { atMs: 0, windowMs: 0 };
  expect(atMs + windowMs).toBeGreaterThan(device.nowMs);
  expect(device.countUpstream("unregisterWa")).toBe(1);
  device.journalFailure = null;
  device.passUntil(HOUR, () => !device.status.journalFailing);
  expect(device.countUpstream("unregisterWa")).toBe(2);
});

test("a factory reset is asked for once a link, however often the device wakes up meanwhile", () => {
  const device = new Device();
  device.withSubscription(NEWS, 1);
  for (let resets = 1; resets <= 2; resets++) {
    device.choose({ type: "factoryReset" });
    device.pass(9000);
    expect(device.countUpstream("unregisterUa")).toBe(resets);
    device.send({ type: "bye", reason: "unregistered", retryAfterS: 0 });
    device.withSubscription(NEWS, 1);
  }
});

test("the name an autopush service gave while the flash could not be written is not lost: what was registered under it lives", () => {
  const world = new AutopushWorld({ keepConnected: true });
  world.device.journalFailure = "io";
  world.connect();
  world.device.journalFailure = null;
  const { endpoint } = world.subscribe(NEWS);
  world.reconnect();
  expect(world.service.post(endpoint, null, true)).not.toBe(null);
  world.flush();
  expect(world.device.delivered).toHaveLength(1);
  world.restart();
  world.device.passUntil(MINUTE, () => world.device.status.link === "dialing");
  world.connect();
  expect(world.service.said.findLast(({ type }) => type === "hello")).toMatchObject({
    uaid: world.service.uaid,
  });
});

describe("what an earlier run wrote and could not sync is there, and may be gone after a power cut", () => {
  /** Shows message 1 while the flash fails; the next run finds what was written nevertheless. */
  function found(): Device {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.journalFailure = "io";
    device.screenFails = true;
    device.notify(1, 1, device.seal(reply, declared("Hello")));
    const segments = [concatBytes(device.segment, device.last("append").bytes)];
    const after = new Device({ segments, atMs: device.nowMs + 1000, journalFailure: "io" });
    after.connect();
    expect(after.shown).toHaveLength(1);
    return after;
  }

  test("its repeat is acknowledged when it is durable (simulation, seed 866)", () => {
    const device = found();
    device.notify(1, 1, null, { attempt: 2 });
    device.pass(MINUTE);
    expect(device.acknowledged()).toEqual([]);
    device.journalFailure = null;
    device.passUntil(5 * MINUTE, () => !device.status.journalFailing);
    device.pass(1000);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
  });

  test("however often it comes, nothing is written for it but what is tried anyway", () => {
    const device = found();
    const writes = device.count("checkpoint");
    for (let attempt = 2; attempt < 20; attempt++) device.notify(1, 1, null, { attempt });
    expect(device.count("checkpoint")).toBe(writes);
  });

  test("so is that of a message that waits for its app", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.journalFailure = "io";
    device.notify(1, 1, device.seal(reply, "hello"));
    device.pass(5000);
    const segments = [concatBytes(device.segment, device.last("append").bytes)];
    const after = new Device({ segments, atMs: device.nowMs + 1000, journalFailure: "io" });
    after.connect();
    expect(after.status.messagesWaiting).toBe(1);
    after.notify(1, 1, null, { attempt: 2 });
    after.pass(MINUTE);
    expect(after.acknowledged()).toEqual([]);
    after.journalFailure = null;
    after.passUntil(5 * MINUTE, () => !after.status.journalFailing);
    after.pass(1000);
    expect(after.acknowledged()).toEqual([[1, "ok"]]);
  });

  test("the service is not told of what it removed", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.journalFailure = "io";
    device.choose({ type: "removeSubscription", subscriptionId: 1 });
    const segments = [device.last("checkpoint").bytes];
    const after = new Device({ segments, atMs: device.nowMs + 1000, journalFailure: "io" });
    after.connect();
    after.pass(MINUTE);
    expect(after.countUpstream("unregisterWa")).toBe(0);
    after.journalFailure = null;
    after.passUntil(5 * MINUTE, () => !after.status.journalFailing);
    expect(after.lastUpstream("unregisterWa").channel).toBe(1);
  });
});

test("a write that is cut short anywhere holds the new name of the device behind all that was lost with the old one", () => {
  const world = new AutopushWorld();
  for (const owner of [NEWS, CHAT]) world.subscribe(owner);
  const { service, device } = world;
  const before = device.segment;
  service.forget();
  device.journalFailure = "io";
  world.reconnect();
  const { bytes } = device.last("append");
  const name = service.uaid ?? "";
  for (let length = 0; length <= bytes.length; length += 50) {
    const segments = [concatBytes(before, bytes.subarray(0, length))];
    service.forget();
    service.accounts.set(name, { channels: new Set(), stored: [] });
    const after = new AutopushWorld({ segments }, service);
    after.connect();
    after.device.passUntil(5 * MINUTE, () => {
      after.flush();
      return service.account?.channels.size === 2;
    });
  }
});

test("after a crash the first write is a whole segment: behind a write that failed a sync may succeed without it", () => {
  const crashed = new Device();
  crashed.withSubscription(NEWS, 1);
  const after = crashed.restart();
  const isWrite = ({ type }: { type: string }) => type === "checkpoint" || type === "append";
  expect(after.effects.find(isWrite)?.type).toBe("checkpoint");
  after.dispatch({ type: "shutdown" });
  const again = after.restart();
  expect(again.effects.find(isWrite)?.type).toBe("append");
});
