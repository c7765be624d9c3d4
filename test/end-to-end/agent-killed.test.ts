// SPDX-License-Identifier: MIT
// Goal: an agent that dies by SIGKILL in the middle of a stream loses nothing; a repeat has the same message id and says
// so. Method: real processes; the agent kills itself inside the handler of a chosen delivery while `web-push` goes on
// sending, and is started again. Each payload is its number.

import { statSync } from "node:fs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { journalPath } from "./journal.ts";
import { declared } from "./receiver.ts";
import { type Push, Sender, type ServiceProcess, type Show, Stage } from "./stage.ts";

const NEWS = "https://news.example";
const ACTION = { action: "more", title: "More", navigate: "/more" };
const MESSAGES = 100;
/** Requests of the application server under way at a time. */
const SENDERS = 4;

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service, { keepAlive: true });
});
afterAll(() => stage.close());

test.each([
  [5, false],
  [40, false],
  [80, false],
  [5, true],
  [40, true],
  [80, true],
])("killed in delivery %i, handlers that take a moment: %s", async (dieAt, isSlow) => {
  const options = { service, stateDirectory: stage.newDirectory(), owners: [NEWS], isSlow };
  const first = await stage.agent({ ...options, dieAt });
  const subscription = await first.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  const sent = stream((number) => sender.send(subscription, String(number)));
  // A sender that fails would leave us waiting for the delivery to die in.
  const exit = await Promise.race([first.exited, sent.then(() => first.exited)]);
  expect(exit).toEqual({ code: null, signal: "SIGKILL" });
  const second = await stage.agent(options);
  await sent;
  await second.stdout.until("everything is delivered", () =>
    new Set(textsOf([...first.pushes(), ...second.pushes()])).size === MESSAGES ? true : null,
  );
  await sender.send(subscription, "last");
  await second.pushed("last");

  expect(first.pushes()).toHaveLength(dieAt);
  expect(first.pushes().filter(({ redelivered }) => redelivered)).toEqual([]);
  const known = new Map(first.pushes().map(({ text, messageId }) => [text, messageId]));
  const repeats = second.pushes().filter(({ text }) => known.has(text));
  // The one in hand when the agent died at least.
  expect(repeats.length).toBeGreaterThan(0);
  expect(repeats.filter(({ redelivered }) => !redelivered)).toEqual([]);
  expect(repeats.map(({ text, messageId }) => [text, messageId])).toEqual(
    repeats.map(({ text }) => [text, known.get(text)]),
  );
  for (const run of [first, second])
    expect(textsOf(run.pushes())).toEqual([...new Set(textsOf(run.pushes()))]);
});

test("killed twice in the same message, it still arrives, marked each time", async () => {
  const options = { service, stateDirectory: stage.newDirectory(), owners: [NEWS], dieAt: 1 };
  const first = await stage.agent(options);
  const subscription = await first.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  await sender.send(subscription, "one");
  await first.exited;
  const second = await stage.agent(options);
  await second.exited;
  const third = await stage.agent({ ...options, dieAt: 0 });
  await third.pushed("one");
  const pushes = [first, second, third].flatMap((run) => run.pushes());
  expect(pushes.map(({ redelivered }) => redelivered)).toEqual([false, true, true]);
  expect(new Set(pushes.map(({ messageId }) => messageId)).size).toBe(1);
});

test("a repeat is marked also when an orderly run without a connection lay in between", async () => {
  const options = { service, stateDirectory: stage.newDirectory(), owners: [NEWS] };
  const first = await stage.agent({ ...options, dieAt: 1 });
  const subscription = await first.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  await sender.send(subscription, "one");
  await first.exited;
  const nowhere = { origin: "https://localhost:1", ca: service.ca };
  const between = await stage.agent({ ...options, service: nowhere });
  await between.reported("linkClosed");
  await between.close();
  const third = await stage.agent(options);
  expect(await third.pushed("one")).toMatchObject({
    redelivered: true,
    messageId: first.pushes()[0]?.messageId,
  });
});

test("a repeat is marked also when the run before ended in order, in the middle of the handler", async () => {
  const options = { service, stateDirectory: stage.newDirectory(), owners: [NEWS] };
  const first = await stage.agent({ ...options, hangs: true });
  const subscription = await first.subscribe(NEWS, { applicationServerKey: sender.keys.publicKey });
  await sender.send(subscription, "one");
  const { messageId } = await first.pushed("one");
  await first.close();
  const second = await stage.agent(options);
  expect(await second.pushed("one")).toMatchObject({ redelivered: true, messageId });
});

test("what was acknowledged from the journal comes from there after a kill, in order and marked", async () => {
  const own = await stage.service();
  const application = new Sender(own);
  const options = { service: own, stateDirectory: stage.newDirectory(), owners: [NEWS] };
  const first = await stage.agent({ ...options, hangs: true });
  const subscription = await first.subscribe(NEWS);
  for (const text of ["one", "two", "three"]) await application.send(subscription, text);
  // After four seconds: long enough for an app, not for an acknowledgement.
  await own.acknowledged(3);
  await first.end("SIGKILL");
  await own.end("SIGKILL");
  const second = await stage.agent(options);
  await second.pushed("three");
  expect(second.pushes().map(({ text, redelivered }) => [text, redelivered])).toEqual([
    ["one", true],
    ["two", true],
    ["three", true],
  ]);
});

test("what is on the screen is there again after a kill, without an alert, and its tag still replaces", async () => {
  const own = await stage.service();
  const application = new Sender(own);
  const options = { service: own, stateDirectory: stage.newDirectory(), owners: [NEWS] };
  const first = await stage.agent(options);
  const subscription = await first.subscribe(NEWS);
  const journal = journalPath(options.stateDirectory);
  const shown: Show[] = [];
  for (const [agent, title, tag] of [
    [first, "1:0", "score"],
    [first, "Rain", ""],
    [first, "2:0", "score"],
  ] as const) {
    const before = statSync(journal).size;
    await application.send(subscription, declared({ title, tag, actions: [ACTION], data: { title } }));
    shown.push(await agent.first<Show>("show", title, ({ notification }) => notification.title === title));
    await vi.waitUntil(() => statSync(journal).size > before, { timeout: 10_000 });
  }
  await own.acknowledged(3);
  expect(shown.map(({ alert }) => alert)).toEqual([true, true, false]);
  await first.end("SIGKILL");
  const second = await stage.agent(options);
  await application.send(subscription, declared({ title: "3:0", tag: "score" }));
  await second.first<Show>("show", "3:0", ({ notification }) => notification.title === "3:0");
  const [one, rain, two] = shown;
  const again = second.events<Show>("show");
  expect(again.slice(0, -1)).toEqual([
    { ...rain, alert: false },
    { ...two, replaces: null, alert: false },
  ]);
  expect(again.at(-1)).toMatchObject({ notificationId: one?.notificationId, alert: false });
});

/** Sends the numbers from 1 on, a few at a time. */
async function stream(send: (number: number) => Promise<number>): Promise<void> {
  let next = 1;
  const worker = async (): Promise<void> => {
    while (next <= MESSAGES) expect(await send(next++)).toBe(201);
  };
  await Promise.all(Array.from({ length: SENDERS }, worker));
}

function textsOf(pushes: readonly Push[]): (string | null)[] {
  return pushes.map(({ text }) => text).filter((text) => text !== "last");
}
