// SPDX-License-Identifier: MIT
// Goal: behind a NAT that forgets idle flows the agent learns after what time: at no cost to the main link where that is more
// than it supposes, at that of two links where it is less; links not worth holding are made anew every so often. Messages
// arrive once, also over a link that was idle to its limit.
// Method: service, relay and agent as processes and sockets, the NAT in the relay; idle time is skipped, not waited for.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HEARTBEAT_VISIT_MS, WAKE_UPS_PER_HOUR_MAX } from "../../src/limits.ts";
import { Relayed } from "./relayed.ts";
import { Stage } from "./stage.ts";

const HOUR_MS = 3_600_000;
/** The agent narrows what it knows to this share at any price, and further only where it pays. */
const BRACKET_SHARE = 0.15;
/** The two ends of a link do not see a packet at the same time. */
const TOLERANCE_MS = 2_000;

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

/** Until the agent knows the network's timeout well enough; what it knows is true. */
async function learn(scene: Relayed, timeoutMs: number): Promise<void> {
  // Where most of an hour's wake-ups hold the link, few are left to learn with.
  await scene.passUntil("the timeout is learned", 6 * HOUR_MS, async () => {
    const { loMs, hiMs } = (await scene.status()).network;
    return hiMs !== null && hiMs - loMs <= BRACKET_SHARE * loMs;
  });
  const { loMs, hiMs, intervalMs } = (await scene.status()).network;
  expect(loMs).toBeLessThan(timeoutMs + TOLERANCE_MS);
  expect(hiMs).toBeGreaterThan(timeoutMs - TOLERANCE_MS);
  expect(intervalMs).toBeLessThan(timeoutMs);
}

/** Each comes to a link that has been idle for nearly as long as the agent lets it. */
async function postToIdleLinks(scene: Relayed, count: number): Promise<void> {
  for (let number = 1; number <= count; number++) {
    await scene.idle();
    await scene.post(`idle ${number}`);
    await scene.agent.pushed(`idle ${number}`);
  }
}

describe.each(["silence", "reset"] as const)("a NAT that answers with %s", (answer) => {
  test.each([250, 700, 1_500])("after %i s: no main link is lost", async (timeoutS) => {
    const timeoutMs = timeoutS * 1000;
    const scene = await Relayed.start(stage, { nat: { answer, timeoutMs } });
    const { relay } = scene;
    await postToIdleLinks(scene, 2);
    await learn(scene, timeoutMs);
    expect(relay.forgotten("canary").length).toBeGreaterThan(0);
    await scene.pass(HOUR_MS);
    await postToIdleLinks(scene, 3);
    expect(scene.texts).toEqual(scene.posted);
    expect(relay.forgotten("main")).toEqual([]);
    expect(relay.mains).toHaveLength(1);
    expect(scene.agent.reports("linkClosed")).toEqual([]);
    // 15 an hour at the beginning, fewer with what was learned.
    expect(relay.mainPings).toBeGreaterThan(3);
  });

  test.each([150, 180])("after %i s: one or two main links are lost, then none", async (timeoutS) => {
    const timeoutMs = timeoutS * 1000;
    const scene = await Relayed.start(stage, { nat: { answer, timeoutMs } });
    const { relay } = scene;
    // The flow is forgotten, the message lost on its way, and neither end knows.
    await scene.idle();
    await scene.post("lost on its way");
    await scene.passUntil("it arrives all the same", HOUR_MS, () => scene.texts.length > 0);
    await learn(scene, timeoutMs);
    const lost = relay.forgotten("main").length;
    expect(lost).toBeGreaterThanOrEqual(1);
    expect(lost).toBeLessThanOrEqual(2);
    await scene.pass(HOUR_MS);
    await postToIdleLinks(scene, 3);
    expect(scene.texts).toEqual(scene.posted);
    expect(relay.forgotten("main")).toHaveLength(lost);
    expect(relay.mains).toHaveLength(lost + 1);
  });

  test("after 100 s: the link is made anew every so often, and messages wait for that", async () => {
    const scene = await Relayed.start(stage, { nat: { answer, timeoutMs: 100_000 } });
    const { relay } = scene;
    await scene.passUntil("it is known not to be worth holding", HOUR_MS, async () => {
      return !(await scene.status()).network.isHeld;
    });
    const dials = relay.mains.length;
    await scene.pass(HOUR_MS);
    expect(relay.mains.length - dials).toBeGreaterThan(HOUR_MS / HEARTBEAT_VISIT_MS - 3);
    expect(relay.mains.length - dials).toBeLessThanOrEqual(WAKE_UPS_PER_HOUR_MAX);
    for (const text of ["one", "two", "three"]) {
      await scene.idle();
      await scene.post(text);
      // One that just missed a visit waits for the next, which comes a little later than the interval itself.
      await scene.passUntil("it arrives", 2 * HEARTBEAT_VISIT_MS, () => scene.texts.includes(text));
    }
    expect(scene.texts).toEqual(scene.posted);
  });
});
