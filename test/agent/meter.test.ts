// SPDX-License-Identifier: MIT
// Goal: what the meter counts is what happened. Method: direct calls with made-up times, then the real agent in virtual time.

import { beforeEach, describe, expect, test } from "vitest";
import { Meter } from "../../src/agent/meter.ts";
import { METER_HOURS_MAX, RADIO_TAIL_MS } from "../../src/limits.ts";
import { Device } from "./world.ts";

const HOUR_MS = 3_600_000;

let meter: Meter;
let nowMs: number;
beforeEach(() => {
  meter = new Meter();
  nowMs = 5_000;
  meter.handleNow(nowMs);
});

function pass(ms: number): void {
  nowMs += ms;
  meter.handleNow(nowMs);
}

const read = () => meter.read(nowMs);

/** A registered link. */
function goOnline(): void {
  meter.handleStep("dial", "dialing");
  meter.handleStep("opened", "greeting");
  meter.handleStep("registered", "online");
}

describe("wake-ups", () => {
  test("before the first event nothing is known", () => {
    const reading = new Meter().read(7_000);
    expect(reading).toMatchObject({
      countedMs: null,
      receivedAgoMs: null,
      sentAgoMs: null,
      messageAgoMs: null,
    });
    expect(reading).toMatchObject({ resumes: 0, deafMs: 0, radios: {}, alarmLateMsMax: 0 });
  });

  test("what comes while the radio is on rides along", () => {
    meter.countWakeUp("ping");
    pass(40);
    meter.countPong();
    pass(RADIO_TAIL_MS - 1);
    meter.countReceived(100);
    meter.countWakeUp("request");
    meter.countSent(20);
    pass(RADIO_TAIL_MS);
    meter.countReceived(50);
    expect(read()).toMatchObject({
      wakeUps: { ping: 1, connect: 0, probe: 0, message: 1, request: 0 },
      piggybacked: { ping: 0, connect: 0, probe: 0, message: 1, request: 1 },
      radios: { unknown: { wakeUps: 2, piggybacked: 2, busyMs: 40 + RADIO_TAIL_MS - 1 } },
      bytesReceived: 150,
      framesReceived: 2,
      bytesSent: 20,
      framesSent: 1,
      receivedAgoMs: 0,
      sentAgoMs: RADIO_TAIL_MS,
    });
  });

  test("another network's radio is woken anew, and counted by its kind", () => {
    meter.handleNetwork({ label: "home", kind: "wifi", metered: false });
    meter.countWakeUp("connect");
    pass(1_000);
    meter.handleNetwork({ label: "carrier", kind: "cellular", metered: true });
    meter.countWakeUp("connect");
    pass(500);
    meter.handleNetwork({ label: "carrier", kind: "cellular", metered: true });
    meter.countWakeUp("request");
    expect(read().radios).toEqual({
      wifi: { wakeUps: 1, piggybacked: 0, busyMs: 0 },
      cellular: { wakeUps: 1, piggybacked: 1, busyMs: 500 },
    });
  });

  test("by hour: the last day, silent hours too", () => {
    meter.countWakeUp("ping");
    pass(HOUR_MS);
    meter.countWakeUp("ping");
    pass(2 * HOUR_MS + 1);
    meter.countWakeUp("ping");
    pass(60_000);
    meter.countWakeUp("ping");
    expect(read().wakeUpsByHour).toEqual([1, 1, 0, 2]);
    pass((METER_HOURS_MAX - 1) * HOUR_MS);
    expect(read().wakeUpsByHour).toEqual([2, ...Array(METER_HOURS_MAX - 1).fill(0)]);
    pass(1_000 * HOUR_MS);
    meter.countWakeUp("ping");
    expect(read().wakeUpsByHour).toEqual([...Array(METER_HOURS_MAX - 1).fill(0), 1]);
    expect(read().radios.unknown).toMatchObject({ wakeUps: 5 });
  });

  test("by hour: the present one is the hour it is asked in", () => {
    meter.countWakeUp("ping");
    expect(meter.read(nowMs + 2 * HOUR_MS).wakeUpsByHour).toEqual([1, 0, 0]);
    expect(meter.read(nowMs + 1_000 * HOUR_MS).wakeUpsByHour).toEqual(Array(METER_HOURS_MAX).fill(0));
    expect(read().wakeUpsByHour).toEqual([1]);
  });

  test("by hour and kind of network, what an estimate of the energy needs", () => {
    meter.handleNetwork({ label: "home", kind: "wifi", metered: false });
    meter.countWakeUp("ping");
    pass(80);
    meter.countPong();
    pass(HOUR_MS);
    meter.handleNetwork({ label: "carrier", kind: "cellular", metered: true });
    meter.countWakeUp("connect");
    meter.countReceived(10);
    const { hours, radios, resumes } = read();
    expect(hours).toEqual([
      { resumes: 1, radios: { wifi: { wakeUps: 1, piggybacked: 0, busyMs: 80 } } },
      { resumes: 1, radios: { cellular: { wakeUps: 1, piggybacked: 1, busyMs: 0 } } },
    ]);
    expect({ radios, resumes }).toEqual({
      radios: {
        wifi: { wakeUps: 1, piggybacked: 0, busyMs: 80 },
        cellular: { wakeUps: 1, piggybacked: 1, busyMs: 0 },
      },
      resumes: 2,
    });
  });

  test("the processor resumes once for events that come together", () => {
    pass(999);
    pass(999);
    pass(1_000);
    expect(read()).toMatchObject({ resumes: 2, countedMs: 2_998 });
  });

  test("alarms by how late they came", () => {
    for (const lateMs of [-400, 0, 1_000, 1_001, 10_001, 60_001, 90_000])
      meter.handleAlarm({ atMs: nowMs - lateMs - 500, windowMs: 500 });
    meter.handleAlarm(null);
    expect(read()).toMatchObject({ alarmsLate: [3, 1, 1, 2], alarmLateMsMax: 90_000 });
  });
});

test("canaries are counted as they are opened", () => {
  const seen: string[] = [];
  const emit = meter.countCanaries(({ type }) => seen.push(type));
  emit({ type: "ping", linkId: 3 });
  emit({ type: "openLink", linkId: 4, url: "", subprotocol: "", bearer: "", headers: {}, mqtt: null });
  expect(seen).toEqual(["ping", "openLink"]);
  expect(read()).toMatchObject({ canariesOpened: 1, radios: {} });
});

describe("deaf time", () => {
  test("from dial to Registered, while waiting, and not without a network or a wish", () => {
    pass(60_000);
    meter.handleStep("dial", "dialing");
    pass(300);
    expect(read().deafMs).toBe(300);
    goOnline();
    pass(HOUR_MS);
    expect(read().deafMs).toBe(300);
    meter.handleStep("networkDown", "offline");
    pass(HOUR_MS);
    meter.handleStep("networkUp", "idle");
    meter.handleStep("dial", "dialing");
    meter.handleStep("lost", "waiting");
    meter.countLost("refused");
    pass(5_000);
    meter.handleStep("unneeded", "idle");
    pass(HOUR_MS);
    expect(read()).toMatchObject({
      deafMs: 5_300,
      linksLost: { network: 1 },
      triesFailed: { refused: 1 },
    });
  });

  test("a link found dead was deaf since its last sign of life, one closed in order was not", () => {
    goOnline();
    pass(600_000);
    meter.countReceived(10);
    pass(100_000);
    meter.countWakeUp("ping");
    pass(50);
    meter.countPong();
    pass(240_000);
    meter.handleStep("lost", "waiting");
    meter.countLost("reset");
    expect(read()).toMatchObject({ deafMs: 240_000, linksLost: { reset: 1 } });
    pass(10);
    goOnline();
    pass(HOUR_MS);
    meter.handleStep("lost", "waiting");
    meter.countLost("closed");
    expect(read()).toMatchObject({ deafMs: 240_010, linksLost: { reset: 1, closed: 1 }, triesFailed: {} });
  });

  test("a spare that takes over ends the old link, and a try that meets a portal is no loss", () => {
    goOnline();
    pass(240_000);
    meter.handleStep("replaced", "dialing");
    meter.countLost("reset");
    pass(2_000);
    meter.handleStep("lost", "waiting");
    meter.countLost("captive");
    expect(read()).toMatchObject({ deafMs: 242_000, linksLost: { reset: 1 }, triesFailed: { captive: 1 } });
  });

  test("a link whose place another takes while it is well is neither lost nor deaf", () => {
    goOnline();
    pass(240_000);
    meter.handleStep("replaced", "dialing");
    meter.countLost(null);
    meter.handleStep("opened", "greeting");
    pass(100);
    meter.handleStep("lost", "waiting");
    meter.countLost("reset");
    expect(read()).toMatchObject({ deafMs: 100, linksLost: {}, triesFailed: { reset: 1 } });
  });

  test("a link that is not needed any more is not lost", () => {
    goOnline();
    meter.handleStep("unneeded", "idle");
    expect(read()).toMatchObject({ linksLost: {}, deafMs: 0 });
  });
});

describe("the agent", () => {
  test("counts the token, the dial, messages and pings by cause, and says when it wakes next", () => {
    const device = new Device();
    device.dispatch({ type: "networkChanged", network: { label: "home", kind: "wifi", metered: false } });
    const reply = device.withSubscription("https://news.example", 1);
    const before = device.status.meter;
    expect(before.wakeUps.connect + before.piggybacked.connect).toBe(2);
    device.pass(100_000);
    device.notify(1, 1, device.seal(reply, "hello"));
    device.pass(1_000);
    const { meter: after, alarmInMs } = device.status;
    expect(after.wakeUps.message).toBe(before.wakeUps.message + 1);
    expect(after.piggybacked.request).toBe(before.piggybacked.request + 1);
    expect(after).toMatchObject({ messageAgoMs: 1_000, messages: { received: 1, delivered: 1 } });
    expect(Object.keys(after.radios)).toEqual(["wifi"]);
    expect(alarmInMs).toBeGreaterThan(0);
    expect(alarmInMs).toBeLessThanOrEqual(239_000);
    device.pass(240_000);
    expect(device.status.meter.wakeUps.ping).toBe(1);
  });

  test("tells of a loss what the service and the network did", () => {
    const device = new Device();
    device.withSubscription("https://news.example", 1);
    device.pass(60_000);
    device.closeLink();
    device.pass(100);
    const { meter } = device.status;
    expect(meter.linksLost).toEqual({ closed: 1 });
    device.closeLink(302);
    expect(device.status.meter).toMatchObject({ linksLost: { closed: 1 }, triesFailed: { captive: 1 } });
  });
});
