// SPDX-License-Identifier: MIT
// Goal: the heartbeat learns each network's idle timeout, whatever it is, without losing the main link, and never wakes the
// device too often. Method: the real heartbeat on a made-up network with virtual time; timeouts drawn at random.

import { describe, expect, test } from "vitest";
import { FRESHNESS_MS, WAKE_UPS_PER_HOUR_MAX } from "../../src/limits.ts";
import { fc, numRuns } from "../properties.ts";
import { HeartbeatWorld } from "./heartbeat-world.ts";

const MIN = 60_000;
const HOUR = 60 * MIN;
const logUniform = (fromMs: number, toMs: number) =>
  fc.double({ min: Math.log(fromMs), max: Math.log(toMs), noNaN: true }).map((x) => Math.round(Math.exp(x)));
const messages = fc.array(fc.integer({ min: 1000, max: 12 * HOUR }), { maxLength: 40 });

describe("learning with canaries", () => {
  test("no main link is lost where the timeout is over 245 s, and the interval comes close to it", () => {
    fc.assert(
      fc.property(logUniform(245_001, 2 * HOUR), fc.boolean(), messages, (natMs, resets, at) => {
        const world = new HeartbeatWorld({ natMs, resets });
        world.pass(12 * HOUR, at);
        expect(world.losses).toEqual([]);
        expect(world.heartbeat.intervalMs).toBeLessThan(natMs);
        expect(world.heartbeat.intervalMs).toBeGreaterThan(Math.min(natMs, FRESHNESS_MS.normal) * 0.84);
      }),
      { numRuns: numRuns(150) },
    );
  });

  test("below that at most two links are lost, and no hour has too many wake-ups", () => {
    fc.assert(
      fc.property(logUniform(30_000, 245_000), fc.boolean(), messages, (natMs, resets, at) => {
        const world = new HeartbeatWorld({ natMs, resets });
        world.pass(12 * HOUR, at);
        expect(world.losses.length).toBeLessThanOrEqual(2);
        expect(world.pingsInAnHourMax).toBeLessThanOrEqual(WAKE_UPS_PER_HOUR_MAX);
      }),
      { numRuns: numRuns(150) },
    );
  });

  test("a network of 29.5 min is known after 29 min and three extra pings", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MIN });
    world.pass(29 * MIN + 1000);
    // The last one is where an agent that knew would have sent its first.
    expect(world.pings).toHaveLength(4);
    expect(world.known.loMs).toBeGreaterThanOrEqual(29 * MIN - 2000);
    expect(world.losses).toEqual([]);
  });

  test("what is known is used at once on the next visit, and costs no canaries", () => {
    const first = new HeartbeatWorld({ natMs: 29.5 * MIN });
    first.pass(2 * HOUR);
    const second = new HeartbeatWorld({ natMs: 29.5 * MIN, state: first.state });
    second.pass(10 * HOUR);
    expect(second.canariesOpened).toBe(0);
    expect(second.pings.length).toBeLessThanOrEqual(21);
  });

  test("knowledge nobody confirmed for a month is forgotten", () => {
    const first = new HeartbeatWorld({ natMs: 29.5 * MIN });
    first.pass(2 * HOUR);
    const record = first.state.networks.get("wifi");
    if (record === undefined) throw new Error("nothing is known");
    first.state.apply({ ...record, confirmedEpochMs: record.confirmedEpochMs - 31 * 24 * HOUR });
    expect(new HeartbeatWorld({ natMs: 29.5 * MIN, state: first.state }).heartbeat.intervalMs).toBe(238_000);
  });

  test("one failure puts knowledge in doubt and canaries restore it", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MIN });
    world.pass(HOUR);
    const { intervalMs } = world.heartbeat;
    const alarm = world.heartbeat.nextDeadline();
    expect(world.heartbeat.check((alarm?.atMs ?? 0) + (alarm?.windowMs ?? 0))).toBe("ping");
    world.heartbeat.handleClosed("reset", world.nowMs);
    world.connect();
    // Not the network: a service that crashed. Nothing is given up, but the main link is not risked either.
    expect(world.heartbeat.intervalMs).toBe(238_000);
    world.pass(HOUR);
    expect(world.heartbeat.intervalMs).toBe(intervalMs);
    expect(world.losses).toEqual([]);
  });

  test.each([
    [29.5, 4],
    [29.5, 4.6],
    [60, 10],
  ])("a network that changes its mind from %d to %d min costs two links at most", (before, after) => {
    for (const resets of [false, true]) {
      const world = new HeartbeatWorld({ natMs: before * MIN, resets });
      world.pass(3 * HOUR);
      world.natMs = after * MIN;
      world.pass(12 * HOUR);
      expect(world.losses.length).toBeLessThanOrEqual(2);
      expect(world.heartbeat.intervalMs).toBeGreaterThan(after * MIN * 0.84);
    }
  });

  test.each([false, true])("a network that grew is found out by a canary (resets: %s)", (resets) => {
    const world = new HeartbeatWorld({ natMs: 200_000, resets });
    world.pass(6 * HOUR);
    expect(world.losses).toHaveLength(1);
    expect(world.known.hiMs).toBeLessThanOrEqual(240_000);
    world.natMs = HOUR;
    world.pass(6 * HOUR);
    expect(world.heartbeat.intervalMs).toBeGreaterThan(28 * MIN);
    expect(world.losses).toHaveLength(1);
  });

  test("hope costs no ping: canaries older than what fails go beside main pings", () => {
    const world = new HeartbeatWorld({ natMs: 276_000 });
    world.pass(24 * HOUR);
    const { pings, canaryPings, canariesOpened } = world;
    world.pass(24 * HOUR);
    expect(world.pings.length - pings.length).toBeLessThanOrEqual((24 * HOUR) / 270_000);
    const tries = world.canaryPings - canaryPings;
    expect(tries).toBeGreaterThanOrEqual(10);
    expect(tries).toBeLessThanOrEqual(14);
    expect(world.canariesOpened - canariesOpened).toBeLessThanOrEqual(2 * tries);
    expect(world.losses).toEqual([]);
  });

  test("a network that could only be visited is held once it changed for the better", () => {
    const world = new HeartbeatWorld({ natMs: 100_000 });
    world.pass(6 * HOUR);
    expect(world.heartbeat.isHeld).toBe(false);
    world.natMs = HOUR;
    world.pass(6 * HOUR);
    expect(world.heartbeat.intervalMs).toBeGreaterThan(28 * MIN);
    expect(world.losses).toHaveLength(2);
  });

  test("a link that lives from visit to visit and no longer costs a canary now and then", () => {
    const world = new HeartbeatWorld({ natMs: 128_000 });
    world.pass(24 * HOUR);
    expect(world.heartbeat.isHeld).toBe(false);
    expect(world.losses).toHaveLength(2);
    expect(world.canariesOpened).toBeLessThanOrEqual(70);
    expect(world.pingsInAnHourMax).toBeLessThanOrEqual(WAKE_UPS_PER_HOUR_MAX);
  });

  test("one that was misjudged twice is found out by canaries at once", () => {
    const world = new HeartbeatWorld({ natMs: HOUR });
    for (let i = 0; i < 2; i++) {
      const alarm = world.heartbeat.nextDeadline();
      expect(world.heartbeat.check((alarm?.atMs ?? 0) + (alarm?.windowMs ?? 0))).toBe("ping");
      world.heartbeat.handleClosed("reset", world.nowMs);
      world.connect();
    }
    expect(world.heartbeat.intervalMs).toBeLessThan(240_000);
    world.pass(3 * HOUR);
    expect(world.heartbeat.intervalMs).toBeGreaterThan(28 * MIN);
    expect(world.losses).toEqual([]);
  });

  test("where two links were lost it takes long, but not for ever", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MIN });
    world.pass(HOUR);
    world.natMs = 200_000;
    world.pass(12 * HOUR);
    expect(world.losses).toHaveLength(2);
    world.natMs = HOUR;
    world.pass(3 * 24 * HOUR);
    expect(world.heartbeat.intervalMs).toBeLessThan(200_000);
    world.pass(14 * 24 * HOUR);
    expect(world.heartbeat.intervalMs).toBeGreaterThan(28 * MIN);
    expect(world.losses).toHaveLength(2);
  });

  test("a network that changes its mind all the time is not hoped for: two links lost, whatever it does", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MIN });
    for (let day = 0; day < 7; day++) {
      world.natMs = 29.5 * MIN;
      world.pass(11 * HOUR);
      world.natMs = 4.6 * MIN;
      world.pass(13 * HOUR);
    }
    expect(world.losses.length).toBeLessThanOrEqual(2);
  });

  test("a canary the service refuses, or closes while it waits, teaches nothing", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MIN });
    const before = world.known;
    for (let linkId = 1; linkId <= 5; linkId++) world.closeCanary(linkId, "closed");
    expect(world.known).toEqual(before);
    world.pass(HOUR);
    expect(world.losses).toEqual([]);
  });

  test("the service's idle limit is kept", () => {
    const world = new HeartbeatWorld({ natMs: HOUR, idleLimitMs: 350_000 });
    world.pass(6 * HOUR);
    expect(world.heartbeat.intervalMs).toBeLessThanOrEqual(345_000);
    // Declared without it, or the service would not repeat it on the next link.
    expect(world.heartbeat.declaredMs).toBe(FRESHNESS_MS.normal);
  });

  test("alarms that come late are reckoned with", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MIN });
    world.lateMs = () => 9 * MIN;
    world.pass(24 * HOUR);
    expect(world.losses.length).toBeLessThanOrEqual(2);
    const [from, to] = world.pings.slice(-2);
    expect((to ?? 0) - (from ?? 0)).toBeLessThan(29.5 * MIN);
  });

  test.each([1, 5, 9, 15])(
    "alarms that wait for the next tick of %d min cost two links at most",
    (floorMin) => {
      fc.assert(
        fc.property(logUniform(2 * floorMin * MIN + 30_000, 2 * HOUR), messages, (natMs, at) => {
          fc.pre(natMs > 245_000);
          const world = new HeartbeatWorld({ natMs });
          const floorMs = floorMin * MIN;
          world.lateMs = (dueMs) => Math.ceil(dueMs / floorMs) * floorMs - dueMs;
          world.pass(24 * HOUR, at);
          expect(world.losses.length).toBeLessThanOrEqual(2);
        }),
        { numRuns: numRuns(40) },
      );
    },
  );

  test.each([1, 5, 9, 15])(
    "a device whose alarms come every %d min learns its second network too",
    (floorMin) => {
      const floorMs = floorMin * MIN;
      const world = new HeartbeatWorld({ natMs: HOUR });
      // The worst it can be, which is what stays in memory.
      world.lateMs = () => floorMs - 1000;
      world.pass(12 * HOUR);
      world.lateMs = (dueMs) => Math.ceil(dueMs / floorMs) * floorMs - dueMs;
      world.heartbeat.handleClosed(null, world.nowMs);
      world.heartbeat.handleNetwork("another");
      world.connect();
      const before = world.pings.length;
      world.pass(12 * HOUR);
      expect(world.heartbeat.isHeld).toBe(true);
      expect(world.losses).toEqual([]);
      expect(world.pings.length - before).toBeLessThanOrEqual(60);
    },
  );

  test("a device that was switched off for a day forgets nothing of how its alarms come", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MIN });
    world.pass(2 * HOUR);
    const { intervalMs } = world.heartbeat;
    const alarm = world.heartbeat.nextDeadline();
    world.heartbeat.check((alarm?.atMs ?? 0) + 24 * HOUR);
    expect(world.heartbeat.intervalMs).toBe(intervalMs);
  });

  test("when alarms are punctual again the lateness is forgotten", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MIN });
    world.pass(2 * HOUR);
    const { intervalMs } = world.heartbeat;
    world.lateMs = () => 60_000;
    world.pass(2 * HOUR);
    expect(world.heartbeat.intervalMs).toBeLessThan(intervalMs - 60_000);
    world.lateMs = () => 0;
    world.pass(24 * HOUR);
    expect(world.heartbeat.intervalMs).toBeGreaterThan(intervalMs - 5_000);
  });
});

describe("without canaries", () => {
  test("the interval grows on the main link, which is lost twice per network at most", () => {
    fc.assert(
      fc.property(logUniform(30_000, 2 * HOUR), fc.boolean(), messages, (natMs, resets, at) => {
        const world = new HeartbeatWorld({ natMs, resets, canaries: false });
        world.pass(12 * HOUR, at);
        expect(world.losses.length).toBeLessThanOrEqual(2);
        expect(world.canariesOpened).toBe(0);
      }),
      { numRuns: numRuns(150) },
    );
  });

  test("a long timeout is reached", () => {
    const world = new HeartbeatWorld({ natMs: 2 * HOUR, canaries: false });
    world.pass(6 * HOUR);
    expect(world.heartbeat.intervalMs).toBeGreaterThan(28 * MIN);
  });
});

describe("verdicts", () => {
  test("a fixed interval stays fixed", () => {
    const world = new HeartbeatWorld({ natMs: HOUR, fixedMs: 300_000 });
    world.pass(3 * HOUR);
    expect(world.heartbeat.intervalMs).toBe(300_000);
    expect(world.canariesOpened).toBe(0);
  });

  test.each([
    [100_000, 0],
    [128_000, 900],
  ])("a visit where links are forgotten after %d ms: another is dialed after %d ms", (natMs, dialMs) => {
    const world = new HeartbeatWorld({ natMs });
    world.pass(2 * HOUR);
    const { heartbeat } = world;
    expect(heartbeat.isHeld).toBe(false);
    const atMs = heartbeat.nextDeadline()?.atMs ?? 0;
    expect(heartbeat.check(atMs)).toBe("ping");
    if (dialMs > 0) expect(heartbeat.check(atMs + dialMs - 1)).toBe("fine");
    expect(heartbeat.check(atMs + dialMs)).toBe("doubt");
  });

  test("an unanswered ping: another link is dialed at half of 3 s, the old one given up after 3 s", () => {
    const { heartbeat, nowMs } = new HeartbeatWorld({ natMs: HOUR });
    expect(heartbeat.check(nowMs + 238_000)).toBe("ping");
    expect(heartbeat.check(nowMs + 239_400)).toBe("fine");
    expect(heartbeat.check(nowMs + 239_600)).toBe("doubt");
    expect(heartbeat.check(nowMs + 240_900)).toBe("fine");
    expect(heartbeat.check(nowMs + 241_000)).toBe("dead");
  });

  test("slow networks get four round trips and 1.3 s", () => {
    const { heartbeat, nowMs } = new HeartbeatWorld({ natMs: HOUR });
    for (let i = 1; i < 60; i++) {
      heartbeat.check(nowMs + i * 240_000);
      heartbeat.handlePong(nowMs + i * 240_000 + 2000);
    }
    const pingMs = nowMs + 60 * 1_740_000 + 240_000;
    expect(heartbeat.check(pingMs)).toBe("ping");
    expect(heartbeat.check(pingMs + 5000)).toBe("doubt");
    expect(heartbeat.check(pingMs + 9000)).toBe("fine");
    expect(heartbeat.check(pingMs + 9400)).toBe("dead");
  });

  test("frames alone prove one way only: once in a while a ping goes along with them", () => {
    const { heartbeat, nowMs } = new HeartbeatWorld({ natMs: HOUR });
    const along = [];
    for (let ms = 60_000; ms <= 2 * FRESHNESS_MS.normal; ms += 60_000)
      along.push(heartbeat.handleReceived(nowMs + ms));
    expect(along.filter((isAlong) => isAlong)).toHaveLength(1);
    // The way out is dead: frames keep coming, the pong does not.
    let verdict = "fine";
    for (let ms = 1000; verdict !== "dead" && ms < 60_000; ms += 1000) {
      heartbeat.handleReceived(nowMs + 2 * FRESHNESS_MS.normal + ms);
      verdict = heartbeat.check(nowMs + 2 * FRESHNESS_MS.normal + ms);
    }
    expect(verdict).toBe("dead");
  });
});
