// SPDX-License-Identifier: MIT
// Goal: a main link that went deaf, or was reset, is replaced as soon as can be known, upgrades that are refused are tried
// again with patience, and in each case every message arrives exactly once.
// Method: service, relay and agent as processes and sockets, the faults in the relay; idle time is skipped, not waited for.

import { afterEach, beforeEach, expect, test } from "vitest";
import {
  BACKOFF_CAP_MS,
  LINK_STABLE_MS,
  PONG_TIMEOUT_MS_MIN,
  PORTAL_PROBE_MS,
  WAKE_UPS_PER_HOUR_MAX,
} from "../../src/limits.ts";
import type { Flow } from "./relay.ts";
import { Relayed, type RelayedOptions } from "./relayed.ts";
import { Stage } from "./stage.ts";

const HOUR_MS = 3_600_000;
const LATE_MS_MAX = 10_000;
const FORBIDDEN = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const PAGE =
  "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 14\r\nConnection: close\r\n\r\n<h1>Pay!</h1>\n";

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

/** A scene whose link has been up for long enough to count as good, and that link. */
async function stable(options: RelayedOptions = {}): Promise<{ scene: Relayed; main: Flow }> {
  const scene = await Relayed.start(stage, options);
  await scene.pass(LINK_STABLE_MS + 1_000);
  const main = scene.relay.mains[0] as Flow;
  expect(scene.relay.mains).toEqual([main]);
  return { scene, main };
}

/** The link's states since `before` of them. */
function statesSince(scene: Relayed, before: number): unknown[] {
  return scene.agent
    .reports("state")
    .slice(before)
    .map(({ state }) => state);
}

/** Most of these times within any one hour, less what the relay may see them late. */
function mostInAnHour(timesMs: readonly number[]): number {
  const counts = timesMs.map(
    (fromMs) => timesMs.filter((ms) => ms >= fromMs && ms < fromMs + HOUR_MS - LATE_MS_MAX).length,
  );
  return Math.max(0, ...counts);
}

test.each([
  ["down", ["down"]],
  ["up", ["up"]],
  ["both ways", ["up", "down"]],
] as const)(
  "a link gone deaf %s: the next ping finds out, and another is dialed before the verdict",
  async (_what, ways) => {
    const { scene, main } = await stable();
    const { relay, agent } = scene;
    for (const way of ways) main.deaf.add(way);
    const states = agent.reports("state").length;
    await scene.post("into the void");
    await scene.passUntil("the next ping", HOUR_MS, () => main.pingedMs !== null);
    expect(relay.mains).toHaveLength(1);
    let skippedMs = 0;
    while (relay.mains.length === 1) skippedMs += await scene.skip();
    const [, spare] = relay.mains as [Flow, Flow];
    expect(spare.dialedMs - (main.pingedMs as number)).toBeGreaterThanOrEqual(PONG_TIMEOUT_MS_MIN / 2 - 20);
    expect(skippedMs).toBeLessThanOrEqual(PONG_TIMEOUT_MS_MIN / 2 + 20);
    await agent.pushed("into the void");
    await scene.settle();
    // A verdict before the dial would have made it wait.
    expect(statesSince(scene, states)).toEqual(["dialing", "greeting", "online"]);
    expect(agent.reports("linkClosed")).toMatchObject([{ cause: "reset", retryInMs: 0 }]);
    // The polite end that nobody answered runs out.
    await scene.passUntil("the first is given up", HOUR_MS, () => main.isClosed);
    await scene.post("on the new link");
    await agent.pushed("on the new link");
    await scene.pass(HOUR_MS);
    expect(scene.texts).toEqual(scene.posted);
    expect(relay.mains).toHaveLength(2);
    const order = relay.log.all.filter((line) => /main (1 ping|2 dialed|1 closed)/.test(line));
    expect(order).toEqual(["main 1 ping", "main 2 dialed", "main 1 closed"]);
  },
);

test("a path that swallows everything: a verdict in time, few dials, and back when it ends", async () => {
  const { scene, main } = await stable();
  const { relay, agent } = scene;
  for (const way of ["up", "down"] as const) main.deaf.add(way);
  relay.newFlowsDeaf = ["up", "down"];
  await scene.post("into the void");
  await scene.passUntil("the next ping", HOUR_MS, () => main.pingedMs !== null);
  let skippedMs = 0;
  while (agent.reports("linkClosed").length === 0) skippedMs += await scene.skip();
  expect(skippedMs).toBeLessThanOrEqual(PONG_TIMEOUT_MS_MIN + 50);
  await scene.pass(3 * HOUR_MS);
  expect(mostInAnHour(relay.mains.map(({ dialedMs }) => dialedMs))).toBeLessThanOrEqual(
    WAKE_UPS_PER_HOUR_MAX,
  );
  expect(relay.mains.length).toBeGreaterThan(5);
  relay.newFlowsDeaf = [];
  await scene.passUntil("it arrives", HOUR_MS, () => scene.texts.length > 0);
  await scene.pass(HOUR_MS);
  expect(scene.texts).toEqual(scene.posted);
});

test("a link that is reset: another is dialed at once", async () => {
  const { scene, main } = await stable();
  const { relay, agent } = scene;
  const states = agent.reports("state").length;
  main.deaf.add("down");
  await scene.post("on its way");
  relay.reset(main);
  // No time is skipped from here.
  await agent.pushed("on its way");
  expect(agent.reports("linkClosed")).toMatchObject([{ cause: "reset", retryInMs: 0 }]);
  expect(statesSince(scene, states)).toEqual(["waiting", "idle", "dialing", "greeting", "online"]);
  await scene.post("on the new link");
  await agent.pushed("on the new link");
  await scene.pass(HOUR_MS);
  expect(scene.texts).toEqual(scene.posted);
  expect(relay.mains).toHaveLength(2);
});

test.each([
  ["403, and dice that dial soon", FORBIDDEN, 0.01, HOUR_MS],
  ["403", FORBIDDEN, 0.5, BACKOFF_CAP_MS],
  ["the page of a portal", PAGE, 0.5, HOUR_MS],
])(
  "upgrades answered with %s for three hours: no more dials than the budget has",
  async (_what, answer, random, backMs) => {
    const { scene, main } = await stable({ random });
    const { relay } = scene;
    relay.refusal = answer;
    relay.reset(main);
    await scene.post("meanwhile");
    await scene.pass(3 * HOUR_MS);
    const dials = mostInAnHour(relay.refusedAtMs);
    expect(dials).toBeGreaterThan(5);
    expect(dials).toBeLessThanOrEqual(WAKE_UPS_PER_HOUR_MAX);
    expect(relay.mains).toHaveLength(1);
    relay.refusal = null;
    await scene.passUntil("it is back", backMs, () => relay.mains.length > 1);
    await scene.agent.pushed("meanwhile");
    await scene.pass(HOUR_MS);
    expect(scene.texts).toEqual(scene.posted);
    expect(relay.mains).toHaveLength(2);
  },
);

test("a portal that lets us through after some minutes: back within the minute", async () => {
  const { scene, main } = await stable();
  const { relay } = scene;
  relay.refusal = PAGE;
  relay.reset(main);
  await scene.post("meanwhile");
  await scene.pass(7 * 60_000);
  // After 20, 40, 60 s, then once a minute.
  expect(relay.refusedAtMs.length).toBeGreaterThan(5);
  expect(relay.refusedAtMs.length).toBeLessThan(10);
  relay.refusal = null;
  await scene.passUntil("it is back", PORTAL_PROBE_MS, () => relay.mains.length > 1);
  await scene.agent.pushed("meanwhile");
  expect(scene.texts).toEqual(scene.posted);
});
