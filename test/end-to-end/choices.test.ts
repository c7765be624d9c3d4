// SPDX-License-Identifier: MIT
// Goal: what a person decides reaches the push service: endpoints end, messages of a pause wait there, a factory reset is
// forgotten there too, also when the service was away when it was decided. Method: `godwit push-service` as a process, the
// user agent in this one, `web-push` as the application server that finds out.

import { afterEach, beforeEach, expect, test } from "vitest";
import type { Choice, Report } from "../../src/agent/events.ts";
import { createUserAgent, type UserAgent } from "../../src/node/user-agent.ts";
import { Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";
const CHAT = "chat.app";

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
let stateDirectory: string;
/** Who waits for a report. */
let listeners: Set<(report: Report) => void>;
beforeEach(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  stateDirectory = stage.newDirectory();
  listeners = new Set();
});
afterEach(() => stage.close());

async function startAgent(): Promise<UserAgent> {
  const agent = await createUserAgent({
    serviceUrl: service.origin,
    stateDirectory,
    ca: service.ca,
    permission: () => "granted",
    silentPushMax: () => null,
    jitter: () => 0,
    onReport: (report) => {
      for (const listener of listeners) listener(report);
    },
  });
  stage.defer(() => agent.close());
  return agent;
}

/** Resolves when the link comes into `state` the next time. */
function nextState(state: string): Promise<void> {
  return new Promise((resolve) => {
    const listener = (report: Report): void => {
      if (report.type !== "state" || report.state !== state) return;
      listeners.delete(listener);
      resolve();
    };
    listeners.add(listener);
  });
}

const subscribe = async (agent: UserAgent, owner: string) =>
  (await agent.app(owner).pushManager.subscribe({ applicationServerKey: sender.keys.publicKey })).toJSON();

/** What the application server is answered. */
async function statusOf(subscription: Awaited<ReturnType<typeof subscribe>>): Promise<number> {
  try {
    return await sender.send(subscription, "anyone there?");
  } catch (error) {
    return (error as { statusCode?: number }).statusCode ?? Number.NaN;
  }
}

const ENDING: Choice[] = [
  { type: "setPermission", owner: NEWS, permission: "denied" },
  { type: "setOptedOut", owner: NEWS, optedOut: true },
  { type: "setOptedOut", owner: null, optedOut: true },
  { type: "clearData", owner: NEWS },
  { type: "uninstall", owner: NEWS },
  { type: "factoryReset" },
];

test.each(ENDING)(
  "$type ($owner) ends the endpoint, and with the last one the connection",
  async (choice) => {
    const agent = await startAgent();
    const subscription = await subscribe(agent, NEWS);
    expect(await statusOf(subscription)).toBe(201);
    const rests = nextState("idle");
    await agent.choose(choice);
    await rests;
    expect([404, 410]).toContain(await statusOf(subscription));
    expect(agent.status().subscriptions).toEqual([]);
  },
);

test.each<Choice>([{ type: "setOptedOut", owner: null, optedOut: true }, { type: "factoryReset" }])(
  "$type while the service is away: it is told after a restart of the agent and the service",
  async (choice) => {
    const agent = await startAgent();
    const subscriptions = [await subscribe(agent, NEWS), await subscribe(agent, CHAT)];
    const noticed = nextState("waiting");
    await service.end("SIGKILL");
    await noticed;
    await agent.choose(choice);
    await agent.close();
    service = await service.again();
    for (const subscription of subscriptions) expect(await statusOf(subscription)).toBe(201);
    const rests = nextState("idle");
    const again = await startAgent();
    await rests;
    for (const subscription of subscriptions) expect([404, 410]).toContain(await statusOf(subscription));
    expect(again.status()).toMatchObject({ subscriptions: [], messagesWaiting: 0 });
    if (choice.type === "factoryReset") expect(again.status().device).toBeNull();
  },
);

test("messages of a paused app wait at the service, those of others do not; then they come in order, once", async () => {
  const agent = await startAgent();
  const [news, chat] = [await subscribe(agent, NEWS), await subscribe(agent, CHAT)];
  const got: string[] = [];
  let isDone: (text: string) => void = () => {};
  const until = (text: string) =>
    new Promise<void>((resolve) => {
      isDone = (last) => {
        if (last === text) resolve();
      };
    });
  for (const owner of [NEWS, CHAT])
    agent.app(owner).onpush = ({ data, redelivered }) => {
      got.push(`${data?.text()}${redelivered ? " again" : ""}`);
      isDone(data?.text() ?? "");
    };
  await agent.choose({ type: "setPaused", owner: NEWS, paused: true });
  const passed = until("chat");
  for (const text of ["one", "two", "three"]) expect(await sender.send(news, text)).toBe(201);
  await sender.send(chat, "chat");
  await passed;
  expect(got).toEqual(["chat"]);
  // The last one's handler has been called, but may not have been heard of yet.
  await expect.poll(() => agent.status().messagesWaiting).toBe(0);
  const arrived = until("three");
  await agent.choose({ type: "setPaused", owner: NEWS, paused: false });
  await arrived;
  expect(got).toEqual(["chat", "one", "two", "three"]);
});
