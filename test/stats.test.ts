// SPDX-License-Identifier: MIT
// Goal: rates, joules and the oracle follow from the counters by the formulas of SPEC.md, and say nothing before they can.
// Method: made-up statuses with figures worked out by hand; the page as a person sees it.

import { describe, expect, test } from "vitest";
import { Meter } from "../src/agent/meter.ts";
import type { AgentStatus, NetworkStatus } from "../src/agent/status.ts";
import { describeStats } from "../src/cli/stats.ts";
import { RADIO_NAMES, radioJoules, wakeJoules } from "../src/energy.ts";
import { parseStatsOptions, STATS_DEFAULTS, statsOf } from "../src/stats.ts";

const DAY_MS = 86_400_000;
const NETWORK: NetworkStatus = {
  label: "home",
  intervalMs: 1_738_000,
  loMs: 1_740_000,
  hiMs: null,
  confidence: 3,
  isHeld: true,
  isLearned: true,
  rttMs: 50.4,
  freshnessMs: 1_740_000,
  idleLimitMs: null,
};

function status(meter: Meter, atMs: number, network: Partial<NetworkStatus> = {}): AgentStatus {
  return {
    serviceUrl: "https://push.example",
    link: "online",
    transport: "websocket",
    linkSinceEpochMs: 1_700_000_000_000,
    retryInMs: null,
    lastLoss: null,
    isBehindPortal: false,
    device: null,
    subscriptions: [],
    owners: [],
    permissionsAsked: [],
    navigationsAsked: [],
    paused: false,
    optedOut: false,
    notifications: 0,
    messagesWaiting: 0,
    journalFailing: false,
    lastFault: null,
    meter: meter.read(atMs),
    network: { ...NETWORK, ...network },
    networks: [],
    alarmInMs: 1_000,
  };
}

/** A day with 48 pings on a carrier, each answered after 70 ms. */
function dayOfPings(): Meter {
  const meter = new Meter();
  meter.handleNow(0);
  meter.handleNetwork({ label: "home", kind: "cellular", metered: true });
  for (let i = 0; i < 48; i++) {
    meter.handleNow(i * 1_800_000 + 1_000);
    meter.countWakeUp("ping");
    meter.handleNow(i * 1_800_000 + 1_070);
    meter.countPong();
  }
  return meter;
}

describe("energy", () => {
  test.each([
    ["lte", 12.95],
    ["lte-modern", 2.565],
    ["3g", 9.5],
    ["wifi", 0.0381],
    ["nbiot-rai", 0.801],
    ["nbiot", 5.85],
    ["ethernet", 0.001],
  ] as const)("a wake-up of %s costs %d J", (radio, joules) => {
    expect(wakeJoules(radio)).toBeCloseTo(joules, 2);
  });

  test("a day of pings on LTE: promotion, tail, the round trip, and a resume each", () => {
    const { energy, wakeUpsPerHour } = statsOf(status(dayOfPings(), DAY_MS));
    expect(energy.joulesPerDay).toBeCloseTo(48 * (wakeJoules("lte") + 0.07 * 1.29) + 49 * 0.1, 6);
    expect(energy.batteryPercentPerDay).toBeCloseTo((energy.joulesPerDay ?? 0) / 199.8, 6);
    expect(wakeUpsPerHour).toMatchObject({ ping: 2, message: 0, all: 2 });
  });

  test("by hour, the same formula: two pings each, the hours add up to the whole", () => {
    const { energy } = statsOf(status(dayOfPings(), DAY_MS - 1));
    expect(energy.joulesByHour).toHaveLength(24);
    // The first event of all is a resume too.
    expect(energy.joulesByHour[5]).toBeCloseTo(2 * (wakeJoules("lte") + 0.07 * 1.29) + 2 * 0.1, 6);
    expect(energy.joulesByHour.reduce((sum, joules) => sum + joules, 0)).toBeCloseTo(energy.joules, 6);
  });

  test("a chosen radio and battery instead", () => {
    const { energy } = statsOf(status(dayOfPings(), DAY_MS), { radio: "3g", batteryMah: 1000, batteryV: 2 });
    expect(energy.joulesPerDay).toBeCloseTo(48 * (wakeJoules("3g") + 0.07 * 1.3) + 49 * 0.1, 6);
    expect(energy.batteryPercentPerDay).toBeCloseTo((energy.joulesPerDay ?? 0) / 72, 6);
    expect(energy.radios).toEqual(["3g"]);
  });

  test("what keeps a radio on costs at most wake-ups of its own", () => {
    const use = { wakeUps: 1, piggybacked: 3, busyMs: 25_000 };
    expect(radioJoules("wifi", use)).toBeCloseTo(5 * wakeJoules("wifi"), 9);
    expect(radioJoules("lte", use)).toBeCloseTo(wakeJoules("lte") + 25 * 1.29, 9);
  });
});

describe("before there is anything to tell", () => {
  test("rates of the first ten minutes are null", () => {
    const meter = new Meter();
    meter.handleNow(0);
    meter.countWakeUp("connect");
    const stats = statsOf(status(meter, 599_999, { rttMs: 0 }));
    expect(stats).toMatchObject({
      wakeUpsPerHour: null,
      wireBytesPerHour: null,
      deafMsPerDay: null,
      rttMs: null,
    });
    expect(stats.energy).toMatchObject({ joulesPerDay: null, batteryPercentPerDay: null });
    expect(statsOf(status(meter, 600_000)).wakeUpsPerHour?.connect).toBe(6);
  });

  test("and without an event nothing is a number that is none", () => {
    const stats = statsOf(status(new Meter(), 0));
    expect(stats).toMatchObject({
      countedMs: null,
      wakeUpsPerHour: null,
      lastMessageAgoMs: null,
      wireBytes: 0,
    });
    expect(describeStats(stats).join("\n")).not.toMatch(/NaN|null|undefined|Infinity/);
  });
});

describe("the oracle", () => {
  test.each([
    ["freshness", {}, 3_600 / 1_740],
    ["service", { idleLimitMs: 345_000, intervalMs: 345_000 }, 3_600 / 345],
    ["network", { hiMs: 300_000, loMs: 290_000, intervalMs: 288_000 }, 12],
    ["freshness", { hiMs: 1_740_001 }, 3_600 / 1_740],
  ] as const)("is bound by the %s", (bound, network, pingsPerHour) => {
    const { oracle } = statsOf(status(new Meter(), 0, network));
    expect(oracle.bound).toBe(bound);
    expect(oracle.oraclePingsPerHour).toBeCloseTo(pingsPerHour, 9);
    const pingJ = wakeJoules("lte") + 0.0504 * 1.29 + 0.1;
    expect(oracle.oracleJoulesPerDay).toBeCloseTo(24 * pingsPerHour * pingJ, 6);
    expect(oracle.joulesPerDay).toBeCloseTo(24 * oracle.pingsPerHour * pingJ, 6);
    expect(oracle.pingsPerHour).toBeCloseTo(3_600_000 / { ...NETWORK, ...network }.intervalMs, 9);
  });
});

describe("options of a request", () => {
  test("have defaults", () => {
    expect(parseStatsOptions({})).toEqual(STATS_DEFAULTS);
    for (const radio of RADIO_NAMES) expect(parseStatsOptions({ radio }).radio).toBe(radio);
  });

  test.each([
    [{ radio: "smoke" }, /radio must be one of lte,/],
    [{ radio: "constructor" }, /radio must be/],
    [{ batteryMah: 0 }, /batteryMah/],
    [{ batteryMah: "1500" }, /batteryMah/],
    [{ batteryV: Number.NaN }, /batteryV/],
    [{ batteryV: 1_001 }, /batteryV/],
  ])("%o are refused", (members, message) => {
    const refused = expect.objectContaining({ code: "ERR_OPTION", message: expect.stringMatching(message) });
    expect(() => parseStatsOptions(members)).toThrow(refused);
  });
});

describe("the page", () => {
  test("says what a person asks, in at most 30 lines, and lets no network write to the terminal", () => {
    const unknown = { hiMs: null, transport: "", isHiSure: false, losses: 0, confirmedEpochMs: 0 };
    const networks = Array.from({ length: 32 }, (_, i) => ({
      label: i === 31 ? "evil\u001b[2J" : `network ${i}`,
      loMs: 240_000,
      confidence: i,
      ...unknown,
    }));
    const full = status(dayOfPings(), DAY_MS);
    const lastFault = { code: "ERR_SERVICE_UNREACHABLE", text: "gone" } as const;
    const page = describeStats(statsOf({ ...full, networks, retryInMs: 90_000, lastFault }));
    expect(page.length).toBeLessThanOrEqual(30);
    const text = page.join("\n");
    expect(text).toMatch(/^connection {4}online since 2023-/m);
    expect(text).toMatch(/^next try {6}in 1 min 30 s$/m);
    expect(text).toMatch(/^wake-ups\/h {4}ping 2, .*all 2$/m);
    expect(text).toMatch(/^energy {8}631 J\/day, 3\.16 % of 1500 mAh at 3\.7 V; 631 J so far \(lte\)$/m);
    expect(text).toMatch(
      /^when idle {5}2\.07 pings\/h, 652 J\/day; an oracle 2\.07, 651, bound by the subscriptions' fr/m,
    );
    expect(text).toMatch(/^ {2}evil\?\[2J: survives \[4 min, …\], confidence 31, 0 lost$/m);
    expect(text).toMatch(/^ {2}and 22 more \(--json\)$/m);
    expect([...text].some((char) => char < " " && char !== "\n")).toBe(false);
  });
});
