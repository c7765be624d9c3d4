// SPDX-License-Identifier: MIT
// Goal: a UA token that does not count is refused with 401 and a plain sentence, and the agent gets out of it alone: a
// new token, new registrations, and its apps told. Method: real processes; tokens are voided by wiping the service's state
// and by using up a fresher token of the same device.

import { once } from "node:events";
import { rmSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { journalState } from "./journal.ts";
import { Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";
const CHAT = "https://chat.example";

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
beforeEach(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
});
afterEach(() => stage.close());

test.each([
  ["none", undefined],
  ["no token at all", "Bearer not a token"],
  ["one of another service", `Bearer ${"A".repeat(94)}`],
  ["far too long", `Bearer ${"A".repeat(5000)}`],
])("an upgrade with a token that is %s gets 401", async (_what, authorization) => {
  expect(await upgrade(authorization)).toEqual({
    status: 401,
    errno: 310,
    message: "the uaToken is missing or not valid here",
  });
});

test("after the service lost its state the agent registers anew and its apps hear of it", async () => {
  // Not 0: without any delay the tries of a whole hour would be used up before the service is there again.
  const random = 0.001;
  const options = { service, stateDirectory: stage.newDirectory(), owners: [NEWS, CHAT], random };
  const agent = await stage.agent(options);
  const { publicKey } = sender.keys;
  const before = [
    await agent.subscribe(NEWS, { applicationServerKey: publicKey, waToken: "mine" }),
    await agent.subscribe(CHAT, { applicationServerKey: publicKey }),
  ];
  await service.end("SIGKILL");
  // Its certificate stays, or nobody could tell that it is the same service.
  for (const name of ["keys.json", "store"]) rmSync(join(service.directory, name), { recursive: true });
  service = await service.again();

  await agent.reported("token", { renewed: true });
  for (const [index, owner] of [NEWS, CHAT].entries()) {
    const { oldSubscription, newSubscription } = await agent.changed(owner);
    expect(oldSubscription).toEqual(before[index]);
    expect(newSubscription?.keys).not.toEqual(before[index]?.keys);
    await sender.send(newSubscription as PushSubscriptionJSON, `to ${owner}`);
    expect((await agent.pushed(`to ${owner}`)).owner).toBe(owner);
    const old = sender.send(before[index] as PushSubscriptionJSON, "nobody");
    await expect(old).rejects.toMatchObject({ statusCode: 404 });
  }
});

test("a token that a fresher one made void is refused, and the agent gets out of it", async () => {
  const options = { service, stateDirectory: stage.newDirectory(), owners: [NEWS], random: 0 };
  const agent = await stage.agent(options);
  const before = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  const old = journalState(options.stateDirectory).userAgent?.uaToken ?? "";
  const fresh = await fetchToken(old);
  // Its first use makes it the only one, and takes the device's link over.
  await once(service.dial(`Bearer ${fresh.uaToken}`), "open");
  expect((await upgrade(`Bearer ${old}`)).status).toBe(401);
  const { oldSubscription, newSubscription } = await agent.changed(NEWS);
  expect(oldSubscription).toEqual(before);
  await sender.send(newSubscription as PushSubscriptionJSON, "here again");
  await agent.pushed("here again");
});

test("the token of one service is not shown to another", async () => {
  const other = await stage.service();
  // Another name, and the same one for its senders.
  const origin = other.origin.replace("localhost", "127.0.0.1");
  expect(origin).not.toBe(other.origin);
  const options = { service, stateDirectory: stage.newDirectory(), owners: [NEWS], random: 0 };
  const before = await stage.agent(options);
  await before.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  await before.close();
  const agent = await stage.agent({ ...options, service: { origin, ca: other.ca } });
  const { newSubscription } = await agent.changed(NEWS);
  expect(newSubscription?.endpoint).toContain(other.origin);
  await new Sender(other, { keys: sender.keys }).send(newSubscription as PushSubscriptionJSON, "moved");
  await agent.pushed("moved");
  // It would have been refused.
  expect(other.stderr.all.filter((line) => line.startsWith("refused"))).toEqual([]);
});

test("a service with a certificate that is not trusted is told nothing", async () => {
  const other = await stage.service();
  const trusting = { origin: service.origin, ca: other.ca };
  const agent = await stage.agent({
    service: trusting,
    stateDirectory: stage.newDirectory(),
    owners: [NEWS],
  });
  const subscribing = agent.subscribe(NEWS).catch((error: unknown) => error);
  expect(await agent.reported("fault")).toMatchObject({ code: "ERR_SERVICE_UNREACHABLE" });
  expect(service.stderr.all.filter((line) => !/^(listening|development)/.test(line))).toEqual([]);
  await agent.close();
  expect(await subscribing).toMatchObject({ code: "ERR_SHUTDOWN", name: "AbortError" });
});

async function fetchToken(uaToken: string): Promise<{ uaToken: string; uaid: string }> {
  const answer = await service.request("POST", "/v1/token", { Authorization: `Bearer ${uaToken}` });
  expect(answer.status).toBe(200);
  return answer.json as { uaToken: string; uaid: string };
}

/** The answer to an upgrade that is refused. */
async function upgrade(authorization: string | undefined) {
  const [, response] = (await once(service.dial(authorization), "unexpected-response")) as [
    unknown,
    IncomingMessage,
  ];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  const { errno, message } = JSON.parse(text) as { errno: number; message: string };
  return { status: response.statusCode, errno, message };
}
