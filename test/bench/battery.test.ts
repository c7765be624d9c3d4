// SPDX-License-Identifier: MIT
// Goal: the battery simulator is right about the algorithms others published, and Godwit stays near the oracle. Method: the
// ported algorithms against figures of an independent model of the same scenarios; the real agent and session on few seeds.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ALGORITHMS } from "../../bench/battery/algorithms/index.ts";
import { GodwitWorld } from "../../bench/battery/godwit-world.ts";
import { runHerd } from "../../bench/battery/herd.ts";
import { ModelWorld } from "../../bench/battery/model-world.ts";
import { clockErrorS, graceful, parseScenario } from "../../bench/battery/scenario.ts";
import { SCENARIOS } from "../../bench/battery/scenarios.ts";
import { runScenario } from "../../bench/battery/suite.ts";
import { alarmS } from "../../bench/battery/timeline.ts";
import { batteryTable, brokenBatteryBudgets, herdLine, herdRow } from "../../bench/battery.ts";
import type { RadioName } from "../../src/energy.ts";
import { STATS_DEFAULTS, statsOf } from "../../src/stats.ts";

const COLUMNS = [
  "wakeH",
  "pingH",
  "bytesH",
  "joulesDay",
  "connsDay",
  "deafMinDay",
  "lost",
  "late60",
] as const;
/** By scenario: its seed, and by algorithm the columns above, from an independent implementation of the model. */
const REFERENCE = JSON.parse(readFileSync("test/vectors/battery-reference.json", "utf8")) as Record<
  string,
  { seed: number; rows: Record<string, number[]> }
>;

function scenario(name: string, seed: number) {
  const make = SCENARIOS[name];
  if (make === undefined) throw new Error(`no scenario ${name}`);
  return make(seed);
}

describe("published algorithms", () => {
  const cases = Object.entries(REFERENCE).flatMap(([name, { seed, rows }]) =>
    Object.entries(rows).map(([algorithm, figures]) => ({ name, seed, algorithm, figures })),
  );

  test.each(cases)(
    "$algorithm in $name agrees with the reference within 5 %",
    ({ name, seed, algorithm, figures }) => {
      const policy = ALGORITHMS.find((one) => one.name === algorithm)?.create();
      if (policy === undefined) throw new Error("not ported");
      const result = new ModelWorld(scenario(name, seed), policy).run();
      COLUMNS.forEach((column, i) => {
        const reference = figures[i] ?? Number.NaN;
        // Near zero a ratio means nothing: half a count, a hundredth of a minute.
        const slack = Math.max(0.05 * reference, column === "lost" || column === "late60" ? 0.5 : 0.02);
        expect(Math.abs(result[column] - reference)).toBeLessThanOrEqual(slack);
      });
    },
  );
});

describe("Godwit", () => {
  test.each([
    ["commuter-7d", 3, 1.06, 1.0],
    ["flappy", 3, 1.2, 1.2],
    ["lte-4.6min", 2, 1.06, 1.06],
    ["wifi-60min", 2, 1.07, 1.06],
    ["ethernet-lb-350s", 2, 1.06, 1.06],
    ["nbiot-rai", 2, 1.08, 1.08],
  ] as const)(
    "%s over %i seeds stays within %d of the oracle, %d with a window",
    (name, toSeed, limit, holdLimit) => {
      const make = (seed: number) => scenario(name, seed);
      const rows = runScenario({ scenario: make, fromSeed: 1, toSeed, isGraceful: true, isQuick: true });
      const own = {
        natLossesOver245sMax: 0,
        natLossesPerNetworkMax: 2,
        clientWakesHourMax: 30,
        wakesWithoutNetworkMax: 0,
      };
      const broken = brokenBatteryBudgets(rows, {
        [`${name}/godwit`]: {
          ...own,
          ratioOracleMax: limit,
          lostOverOracleMax: 1,
          deafMinDayOverOracleMax: 0.3,
        },
        [`${name}/godwit-hold`]: { ...own, ratioOracleMax: holdLimit },
      });
      expect(broken).toEqual([]);
    },
  );

  test("a network of 29.5 min: known after 29 min, then 2.1 wake-ups and 440 bytes an hour", () => {
    const make = (seed: number) => scenario("lte-29.5min-idle", seed);
    const rows = runScenario({ scenario: make, fromSeed: 1, toSeed: 1, isGraceful: true, isQuick: true });
    const budget = { wakeHMax: 2.1, bytesHMax: 440, learnedAfterSMax: 1740, natLossesPerNetworkMax: 0 };
    expect(brokenBatteryBudgets(rows, { "lte-29.5min-idle/godwit": budget })).toEqual([]);
  });

  test.each([
    ["nat-changes", {}],
    ["one-way-loss", {}],
    ["clock-jump", {}],
    ["suspend", {}],
    ["captive-forever", { probes12hMax: 25 }],
    ["no-service-12h", {}],
    ["no-network-12h", {}],
  ])(
    "%s: at most two links lost, 30 wake-ups an hour, none without a network, nothing written",
    (name, more) => {
      const make = (seed: number) => scenario(name, seed);
      const rows = runScenario({ scenario: make, fromSeed: 1, toSeed: 3, isGraceful: true, isQuick: true });
      const budget = {
        natLossesPerNetworkMax: 2,
        clientWakesHourMax: 30,
        wakesWithoutNetworkMax: 0,
        journalWritesMax: 0,
        ...more,
      };
      expect(
        brokenBatteryBudgets(rows, { [`${name}/godwit`]: budget, [`${name}/godwit-hold`]: budget }),
      ).toEqual([]);
    },
  );

  test("a wall clock that jumps by days changes nothing", () => {
    const jumping = scenario("clock-jump", 2);
    expect(jumping.clockJumps).toHaveLength(4);
    const run = (clockJumps: typeof jumping.clockJumps) =>
      new GodwitWorld({ ...jumping, clockJumps }, { windowS: 0, seed: 2 }).run();
    expect(run(jumping.clockJumps)).toEqual(run([]));
    expect([0, 3, 6, 12, 19].map((h) => clockErrorS(jumping, h * 3600) / 86_400)).toEqual([0, 1, 0, -1, 0]);
  });

  test("while nothing it sends arrives messages still come, and what was learned is not thrown away", () => {
    const made = scenario("one-way-loss", 1);
    const from = 9 * 3600;
    // Soon after the loss began: no ping has been missed yet.
    const messages = [{ atS: from + 60, ttlS: 30, urgency: "high" }] as const;
    const result = new GodwitWorld({ ...made, messages }, { windowS: 0, seed: 1 }).run();
    expect(result.lost).toBe(0);
    const idle = new GodwitWorld(
      { ...made, messages: [], measureFromS: 21.5 * 3600 },
      { windowS: 0, seed: 1 },
    ).run();
    expect(idle.pingH).toBeLessThanOrEqual(2.5);
  });

  test("a service that cannot be reached is come back to within the cap of the back-off", () => {
    const made = { ...scenario("no-service-12h", 1), measureFromS: 18 * 3600 };
    const result = new GodwitWorld(made, { windowS: 0, seed: 1 }).run();
    expect(result.deafMinDay * (6 / 24)).toBeLessThanOrEqual(10);
    expect(result.connsDay).toBeGreaterThan(0);
  });

  test("a commuter's week without messages: heartbeat, learning and reconnects write nothing", () => {
    const made = { ...scenario("commuter-7d", 1), messages: [] };
    const result = new GodwitWorld(made, { windowS: 0, seed: 1 }).run();
    expect(result.setUpJournalWrites).toBeGreaterThan(0);
    expect(result.connsDay).toBeGreaterThan(10);
    expect(result.pingH).toBeGreaterThan(2);
    expect(result.journalWrites).toBe(0);
  });

  test("networks that are only visited are told apart from those that are held", () => {
    const made = scenario("random-nats", 1);
    const some = made.stretches
      .filter(({ idleTimeoutS }) => idleTimeoutS < 100 || idleTimeoutS > 600)
      .slice(0, 8);
    const stretches = some.map((one, i) => ({ ...one, fromS: i * 21_600, toS: (i + 1) * 21_600 }));
    const [row] = runScenario({
      scenario: () => ({ ...made, stretches, durationS: 8 * 21_600, messages: [] }),
      fromSeed: 1,
      toSeed: 1,
      isGraceful: true,
      isQuick: true,
    });
    const held = some.filter(({ idleTimeoutS }) => idleTimeoutS > 600).length;
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThan(8);
    expect(row?.networksHeldShare).toBe(held / 8);
    expect(row?.ratioOracleHeld).toBeGreaterThan(1);
    expect(row?.ratioOracleHeld).toBeLessThan(1.3);
    expect(row?.ratioOracle).toBeLessThan(1);
    expect(row?.deafMinDayHeld).toBeLessThan(1);
    expect(row?.deafMinDay).toBeGreaterThan(60);
  });

  test("the same seed gives the same figures", () => {
    const run = () => new GodwitWorld(scenario("commuter-1d", 5), { windowS: 1200, seed: 5 }).run();
    expect(run()).toEqual(run());
  });
});

describe("what the agent tells of itself", () => {
  const run = (name: string, radio: RadioName | null) => {
    const made = scenario(name, 1);
    const world = new GodwitWorld(graceful(made), { windowS: 0, seed: 1 });
    const { joulesDay, wakeH, bytesH, deafMinDay } = world.run();
    const days = made.durationS / 86_400;
    const stats = statsOf(world.status, { ...STATS_DEFAULTS, radio });
    const wakeUps = Object.values(stats.wakeUps).reduce((sum, count) => sum + count, 0);
    return {
      stats,
      wakeUps,
      spent: { joules: joulesDay * days, wakeUps: wakeH * 24 * days, bytesH, deafMinDay },
    };
  };

  // The ten minutes before the scenario, on Ethernet, are in its counters too; they cost it less than a joule.
  test.each([
    ["lte-29.5min", null, 0.02],
    ["lte-4.6min", null, 0.02],
    ["commuter-7d", null, 0.05],
    ["flappy", null, 0.1],
    ["nbiot-rai", "nbiot-rai", 0.1],
    ["ethernet-lb-350s", null, 0.1],
    ["no-service-12h", null, 0.1],
  ] as const)("%s: joules estimated (radio %s) are within %d of those spent", (name, radio, share) => {
    const { stats, wakeUps, spent } = run(name, radio);
    expect(Math.abs(stats.energy.joules / spent.joules - 1)).toBeLessThanOrEqual(share);
    expect(Math.abs(wakeUps / spent.wakeUps - 1)).toBeLessThanOrEqual(0.06);
  });

  test("a quiet day: bytes, deaf time, next alarm and the oracle", () => {
    const { stats, spent } = run("lte-29.5min-idle", null);
    expect(stats.wireBytesPerHour).toBeGreaterThan(spent.bytesH);
    expect(stats.deafMs).toBeLessThan(5_000);
    expect(stats.alarmInMs).toBeLessThanOrEqual(stats.network.intervalMs);
    expect(stats.oracle.bound).toBe("freshness");
    expect(stats.oracle.pingsPerHour / stats.oracle.oraclePingsPerHour).toBeLessThan(1.01);
    expect(stats.networks.map(({ label }) => label)).toContain("lte-29.5min-idle");
  });
});

describe("the rest", () => {
  test("100,000 devices come back without a second that has too many", () => {
    const { ratio, deafMeanS } = runHerd(100_000, 60, 120, 1);
    expect(ratio).toBeLessThanOrEqual(1.5);
    expect(deafMeanS).toBeLessThan(120);
  });

  test("a scenario file is read, and a bad one refused by the name of what is wrong", () => {
    const file = {
      name: "one",
      stretches: [
        { fromS: 0, toS: 60, radio: "wifi", network: "home", idleTimeoutS: 600 },
        {
          ...{ fromS: 60, toS: 3600, radio: "wifi", network: "home", idleTimeoutS: 600 },
          ...{ isUplinkDead: true, alarmFloorS: 540 },
        },
        { fromS: 3600, toS: 3700, radio: null, isSilent: true },
      ],
      restarts: [{ atS: 5, mode: "unreachable", downS: 50 }],
      messages: [{ atS: 10 }],
      clockJumps: [{ atS: 20, byS: -86_400 }],
    };
    expect(parseScenario(JSON.stringify(file))).toMatchObject({
      name: "one",
      durationS: 3700,
      stretches: [
        { isUplinkDead: false, alarmFloorS: 0, network: "home" },
        { isUplinkDead: true, alarmFloorS: 540 },
        { radio: null, network: null, isSilent: true },
      ],
      restarts: [{ mode: "unreachable", downS: 50 }],
      messages: [{ ttlS: 3600 }],
      clockJumps: [{ atS: 20, byS: -86_400 }],
    });
    const [first, second] = file.stretches;
    const starting = (change: object) => ({ ...file, stretches: [{ ...first, ...change }] });
    const going = (change: object) => ({ ...file, stretches: [first, { ...second, ...change }] });
    const refusals: [object, string][] = [
      [starting({ radio: "smoke" }), "stretches[0].radio: must be null or one of lte, "],
      [starting({ radio: undefined }), "stretches[0].radio"],
      [starting({ alarmFloorS: -1 }), "stretches[0].alarmFloorS"],
      [starting({ network: undefined }), "stretches[0].network: a stretch with a radio needs the name"],
      [starting({ idleTimeoutS: 0 }), "stretches[0].idleTimeoutS: must be above 0"],
      [starting({ idleTimeout: 5 }), "stretches[0].idleTimeout: is not known here; there are fromS, "],
      [starting({ resets: "yes" }), "stretches[0].resets: must be true or false"],
      [starting({ isSilent: true }), "stretches[0].isSilent: is for a stretch without a radio"],
      [starting({ radio: null }), "stretches[0].network: means nothing without a radio"],
      [starting({ fromS: 10 }), "stretches[0].fromS: the first stretch must start at 0"],
      [starting({ toS: 0 }), "stretches[0].toS: must be above fromS, 0"],
      [going({ fromS: 50 }), "stretches[1].fromS: overlaps the one before, which ends at 60"],
      [going({ fromS: 70 }), "stretches[1].fromS: leaves a gap behind the one before, which ends at 60"],
      [{ ...file, stretches: [] }, "stretches: at least one is needed"],
      [{ ...file, restarts: [{ atS: 5, mode: "sulk" }] }, "restarts[0].mode"],
      [{ ...file, restarts: [{ atS: 3700 }] }, "restarts[0].atS: is not before the end, 3700"],
      [{ ...file, messages: [{ atS: 5, urgent: true }] }, "messages[0].urgent: is not known here"],
      [{ ...file, clockJumps: [{ atS: 5 }] }, "clockJumps[0].byS"],
      [{ ...file, measureFromS: 3700 }, "measureFromS"],
      [{ ...file, spreadS: 0.5 }, "spreadS: must be whole seconds"],
      [{ ...file, spreadS: 86_401 }, "spreadS: must be whole seconds, at most 86400"],
      [starting({ toS: 1e12 }), "stretches[0].toS: must be a number from 0 to 1000000000"],
      [{ ...file, name: 1 }, "name: must be a text"],
      [{ ...file, seed: 1 }, "scenario.seed: is not known here"],
      [{}, "stretches"],
    ];
    for (const [bad, name] of refusals) expect(() => parseScenario(JSON.stringify(bad))).toThrow(name);
    expect(() => parseScenario("{,}")).toThrow(/^is not JSON: /);
    expect(parseScenario(JSON.stringify({ ...file, name: undefined })).name).toBe("file");
  });

  test("the example in SPEC.md is one", () => {
    const spec = readFileSync("SPEC.md", "utf8");
    const section = spec.slice(spec.indexOf("## Battery scenarios"));
    const example = /```json\n([\s\S]*?)```/.exec(section)?.[1] ?? "";
    expect(parseScenario(example).stretches.length).toBeGreaterThan(1);
    for (const column of [...COLUMNS, "ratioOracle"]) expect(section).toContain(`\`${column}\``);
  });

  test("a suspended device has its alarms at the next tick, unless one is due at once", () => {
    expect(alarmS(1000, 500, 0)).toBe(1000);
    expect(alarmS(1000, 500, 300)).toBe(1200);
    expect(alarmS(1200, 500, 300)).toBe(1200);
    expect(alarmS(501.5, 500, 300)).toBe(501.5);
  });

  test("the herd has a row and a line", () => {
    const row = herdRow();
    expect(row).toMatchObject({ suite: "battery", scenario: "herd", devices: 100_000 });
    expect(herdLine(row)).toContain(`${row.busiestSecond} in the busiest second`);
  });

  test("the columns of the table stand apart, however long names and numbers are", () => {
    const [row] = runScenario({
      scenario: () => ({ ...scenario("lte-4.6min", 1), name: "a name longer than any" }),
      ...{ fromSeed: 1, toSeed: 1, isGraceful: true, isQuick: true },
    });
    if (row === undefined) throw new Error("no row");
    const figures = Object.fromEntries(COLUMNS.map((column) => [column, 123_456.7]));
    const [head, line] = batteryTable([{ ...row, ...figures }]).split("\n");
    expect(head?.split(/ +/)).toHaveLength(12);
    expect(line).toMatch(/^a name longer than any {2}godwit( +[\d.-]+){10}$/);
    expect(line).toHaveLength(head?.length ?? 0);
  });
});
