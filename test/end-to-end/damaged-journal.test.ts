// SPDX-License-Identifier: MIT
// Goal: damage to the journal costs at most what was damaged. A torn or dirty end costs nothing confirmed; a flipped byte in
// the middle is reported and put right with the push service. Method: a real agent process is killed, its journal
// changed byte by byte, and the agent started again at the real service.

import { appendFileSync, readFileSync, statSync, truncateSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import type { JournalRecord } from "../../src/journal/index.ts";
import { findRecords, flip, flipAt, journalPath, type Place } from "./journal.ts";
import { type AgentProcess, Sender, type ServiceProcess, Stage } from "./stage.ts";

const ONE = "https://one.example";
const TWO = "https://two.example";
const THREE = "https://three.example";
const OWNERS = [ONE, TWO, THREE];

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
});
afterAll(() => stage.close());

/** An agent with three subscriptions, killed; and how to start it again. */
async function killedAgent() {
  const options = { service, stateDirectory: stage.newDirectory(), owners: OWNERS, random: 0 };
  const before = await stage.agent(options);
  const subscriptions: Record<string, PushSubscriptionJSON> = {};
  for (const owner of OWNERS) subscriptions[owner] = await subscribe(before, owner);
  await before.end("SIGKILL");
  const path = journalPath(options.stateDirectory);
  return { path, subscriptions, restart: () => stage.agent(options) };
}

function subscribe(agent: AgentProcess, owner: string): Promise<PushSubscriptionJSON> {
  const { publicKey } = sender.keys;
  return agent.subscribe(owner, { applicationServerKey: publicKey, waToken: "mine" });
}

function subscriptionOf(agent: AgentProcess, owner: string): Promise<unknown> {
  return agent.ask("getSubscription", { owner, waToken: "mine" });
}

/** Sends one message to each of `owners` and waits for it. */
async function expectDelivery(
  agent: AgentProcess,
  subscriptions: Readonly<Record<string, PushSubscriptionJSON>>,
  owners: readonly string[],
): Promise<void> {
  for (const owner of owners) {
    const text = `to ${owner}`;
    await sender.send(subscriptions[owner] as PushSubscriptionJSON, text);
    expect((await agent.pushed(text)).owner).toBe(owner);
  }
}

describe("at the end", () => {
  test("a record half written is cut, and everything confirmed is there", async () => {
    const { path, subscriptions, restart } = await killedAgent();
    const { start, end } = lastRecord(path, () => true);
    appendFileSync(path, readFileSync(path).subarray(start, end - 3));
    const agent = await restart();
    for (const owner of OWNERS) expect(await subscriptionOf(agent, owner)).toEqual(subscriptions[owner]);
    await expectDelivery(agent, subscriptions, OWNERS);
    expect(agent.reports("fault")).toEqual([]);
  });

  test.each([
    ["zeros", Buffer.alloc(512)],
    ["ones", Buffer.alloc(512, 0xff)],
    ["text", Buffer.from("GODWIT was here\n".repeat(40))],
  ])("%s are cut, and everything confirmed is there", async (_what, garbage) => {
    const { path, subscriptions, restart } = await killedAgent();
    appendFileSync(path, garbage);
    const agent = await restart();
    for (const owner of OWNERS) expect(await subscriptionOf(agent, owner)).toEqual(subscriptions[owner]);
    await expectDelivery(agent, subscriptions, OWNERS);
  });

  test("a last record cut short takes only itself, and its app can subscribe again", async () => {
    const { path, subscriptions, restart } = await killedAgent();
    const { start } = lastRecord(path, isSubscription(THREE));
    truncateSync(path, start + 20);
    expect(statSync(path).size).toBe(start + 20);
    const agent = await restart();
    expect(await subscriptionOf(agent, THREE)).toBeNull();
    await expectDelivery(agent, subscriptions, [ONE, TWO]);
    const again = await subscribe(agent, THREE);
    await expectDelivery(agent, { [THREE]: again }, [THREE]);
  });
});

describe("a flipped byte in the middle", () => {
  test("of a subscription is reported; the others work, the service is told, the app subscribes again", async () => {
    const { path, subscriptions, restart } = await killedAgent();
    flip(path, isSubscription(TWO));
    const agent = await restart();
    expect(await agent.reported("fault")).toMatchObject({
      code: "ERR_JOURNAL_RECORD",
      text: "part of the journal was damaged; the rest is used",
    });
    for (const owner of [ONE, THREE]) {
      expect(await subscriptionOf(agent, owner)).toEqual(subscriptions[owner]);
    }
    expect(await subscriptionOf(agent, TWO)).toBeNull();
    await expectDelivery(agent, subscriptions, [ONE, THREE]);
    await service.stderr.match(/^unregistered .*channel=2$/);
    const lost = sender.send(subscriptions[TWO] as PushSubscriptionJSON, "nobody");
    await expect(lost).rejects.toMatchObject({ statusCode: 410 });
    const again = await subscribe(agent, TWO);
    await expectDelivery(agent, { [TWO]: again }, [TWO]);
  });

  test("of the UA token: a new device, and every app hears of its new subscription", async () => {
    const { path, subscriptions, restart } = await killedAgent();
    flip(path, ({ type }) => type === "userAgent");
    const agent = await restart();
    await agent.reported("fault", { code: "ERR_JOURNAL_RECORD" });
    const renewed: Record<string, PushSubscriptionJSON> = {};
    for (const owner of OWNERS) {
      const change = await agent.changed(owner);
      expect(change.oldSubscription).toEqual(subscriptions[owner]);
      renewed[owner] = change.newSubscription as PushSubscriptionJSON;
    }
    await expectDelivery(agent, renewed, OWNERS);
  });

  test("of the device's secret costs nothing that is there", async () => {
    const { path, subscriptions, restart } = await killedAgent();
    flip(path, ({ type }) => type === "device");
    const agent = await restart();
    await agent.reported("fault", { code: "ERR_JOURNAL_RECORD" });
    await expectDelivery(agent, subscriptions, OWNERS);
  });

  test("of the header is read from its copy", async () => {
    const { path, subscriptions, restart } = await killedAgent();
    flipAt(path, 3);
    const agent = await restart();
    await expectDelivery(agent, subscriptions, OWNERS);
  });
});

function isSubscription(owner: string): (record: JournalRecord) => boolean {
  return (record) => record.type === "subscription" && record.owner === owner;
}

function lastRecord(path: string, isIt: (record: JournalRecord) => boolean): Place {
  return findRecords(new Uint8Array(readFileSync(path)), isIt).at(-1) as Place;
}
