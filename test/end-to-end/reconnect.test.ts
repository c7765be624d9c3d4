// SPDX-License-Identifier: MIT
// Goal: when the service restarts, the agent comes back by itself, when it was told to, and everything accepted arrives.
// Method: real processes; signals, and a service whose random numbers are fixed, so that its goodbye asks for one second.

import { afterEach, beforeEach, expect, test } from "vitest";
import { Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
beforeEach(async () => {
  stage = new Stage();
  // Of the spread of 60 s a sixtieth: Bye says one second.
  service = await stage.service({ random: 1 / 60 });
  sender = new Sender(service);
});
afterEach(() => stage.close());

test("SIGTERM: goodbye, exit 0, and the agent is back a second later", async () => {
  const agent = await stage.agent({ service, stateDirectory: stage.newDirectory(), owners: [NEWS] });
  const subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  expect(await service.end("SIGTERM")).toEqual({ code: 0, signal: null });
  expect(service.stderr.all).toContain("stopped");
  const { retryInMs } = await agent.reported("linkClosed");
  expect(retryInMs).toBeGreaterThanOrEqual(1000);
  expect(retryInMs).toBeLessThan(2000);
  service = await service.again();
  // Accepted before the agent is back, or after: it arrives either way.
  await sender.send(subscription, "welcome back");
  await agent.pushed("welcome back");
  expect(agent.reports("registered")).toHaveLength(2);
});

test.each(["SIGTERM", "SIGKILL"] as const)(
  "what was accepted while the service ended by %s arrives once",
  async (signal) => {
    const agent = await stage.agent({
      service,
      stateDirectory: stage.newDirectory(),
      owners: [NEWS],
      isSlow: true,
    });
    const subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
    const sent = Promise.allSettled(
      Array.from({ length: 40 }, (_, number) => sender.send(subscription, String(number))),
    );
    await agent.delivered(1);
    await service.end(signal);
    const outcomes = await sent;
    service = await service.again();
    const accepted = outcomes.flatMap(({ status }, number) =>
      status === "fulfilled" ? [String(number)] : [],
    );
    for (const text of accepted) await agent.pushed(text);
    await sender.send(subscription, "last");
    await agent.pushed("last");
    const texts = agent.pushes().map(({ text }) => text);
    expect(texts).toEqual([...new Set(texts)]);
  },
);

test("an agent that stopped in order comes back to what was sent meanwhile", async () => {
  const stateDirectory = stage.newDirectory();
  const agent = await stage.agent({ service, stateDirectory, owners: [NEWS] });
  const subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  expect(await agent.close()).toEqual({ code: 0, signal: null });
  await service.stderr.match(/^device-disconnected /);
  await sender.send(subscription, "meanwhile");
  const again = await stage.agent({ service, stateDirectory, owners: [NEWS] });
  expect(await again.pushed("meanwhile")).toMatchObject({ redelivered: false });
});

test.each([
  ["the same key", true],
  ["another key", false],
])("unsubscribed and subscribed again with %s while the service was away", async (_what, isSame) => {
  const agent = await stage.agent({ service, stateDirectory: stage.newDirectory(), owners: [NEWS] });
  const options = { applicationServerKey: sender.keys.publicKey, waToken: "mine" };
  const before = await agent.subscribe(NEWS, options);
  await service.end("SIGKILL");
  expect(await agent.ask("unsubscribe", { owner: NEWS, waToken: "mine" })).toBe(true);
  const second = isSame ? sender : new Sender(service);
  const subscribing = agent.subscribe(NEWS, { ...options, applicationServerKey: second.keys.publicKey });
  service = await service.again();
  const subscription = await subscribing;
  expect(subscription.endpoint).not.toBe(before.endpoint);
  await service.stderr.match(/^unregistered .*channel=1$/);
  await second.send(subscription, "to the new one");
  await agent.pushed("to the new one");
  await expect(sender.send(before, "to the old one")).rejects.toMatchObject({ statusCode: 410 });
});
