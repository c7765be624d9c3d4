// SPDX-License-Identifier: MIT
// Goal: what the push service answered with 201 arrives exactly once, even when the service dies by SIGKILL right behind the
// answer. Method: real processes; `web-push` sends, the service is killed as soon as sendNotification() resolved, and
// started again on the same port and state.

import { afterEach, beforeEach, expect, test } from "vitest";
import { Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
beforeEach(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
});
afterEach(() => stage.close());

test("with the device connected, three kills in a row", async () => {
  const agent = await stage.agent({ service, stateDirectory: stage.newDirectory(), owners: [NEWS] });
  const subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  for (const text of ["one", "two", "three"]) {
    expect(await sender.send(subscription, text)).toBe(201);
    await service.end("SIGKILL");
    service = await service.again();
    await agent.pushed(text);
  }
  await sender.send(subscription, "last");
  await agent.pushed("last");
  expect(agent.pushes().map(({ text }) => text)).toEqual(["one", "two", "three", "last"]);
});

test("with the device away", async () => {
  const options = { service, stateDirectory: stage.newDirectory(), owners: [NEWS] };
  const before = await stage.agent(options);
  const subscription = await before.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  await before.close();
  expect(await sender.send(subscription, "kept")).toBe(201);
  await service.end("SIGKILL");
  service = await service.again();
  const agent = await stage.agent(options);
  await agent.pushed("kept");
  await sender.send(subscription, "last");
  await agent.pushed("last");
  await service.acknowledged(2);
  expect(agent.pushes().map(({ text, redelivered }) => [text, redelivered])).toEqual([
    ["kept", false],
    ["last", false],
  ]);
});

test("while it waits at the service for other traffic of a connected device", async () => {
  const stateDirectory = stage.newDirectory();
  const agent = await stage.agent({ service, stateDirectory, owners: [NEWS], windowS: 3600 });
  const subscription = await agent.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  await agent.reported("subscribed");
  expect(await sender.send(subscription, "low", { urgency: "very-low" })).toBe(201);
  expect(agent.pushes()).toEqual([]);
  await service.end("SIGKILL");
  service = await service.again();
  await agent.pushed("low");
  await sender.send(subscription, "last");
  await agent.pushed("last");
  expect(agent.pushes().map(({ text }) => text)).toEqual(["low", "last"]);
});
