// SPDX-License-Identifier: MIT
// Goal: messages that show nothing have a budget: then they wait, their developer is told, nothing else suffers, and a
// person's interest brings them. Method: real push service and user agent in this process, whose timers can be skipped to;
// web-push sends.

import "./children/skippable-time.mjs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PushSubscription } from "../../src/apps/push-manager.ts";
import { JOURNAL_UNHANDLED_AFTER_MS, SILENT_PUSHES_MAX } from "../../src/limits.ts";
import { declared, effectsOf, type Handler, ofType, Receiver } from "./receiver.ts";
import { Stage } from "./stage.ts";

const WEB = "https://news.example";
const OTHER = "https://chat.example";
const ID = "an-app";

let stage: Stage;
let receiver: Receiver;
beforeAll(async () => {
  stage = new Stage();
  receiver = await Receiver.open(stage);
});
afterAll(() => stage.close());

async function newApp(owner: string, handler: Handler) {
  const warnings: string[] = [];
  const app = receiver.app(owner, handler);
  app.onwarning = (event) => {
    event.preventDefault();
    warnings.push(event.code);
  };
  return { app, warnings, subscription: await receiver.subscribe(owner) };
}

/** Sends so many opaque messages and waits until the service is rid of them. */
async function send(subscription: PushSubscription, count: number): Promise<void> {
  for (let number = 1; number <= count; number++)
    await receiver.receive(subscription, { plaintext: `message ${number}` });
}

const silentOf = (owner: string) =>
  receiver.userAgent.status().owners.find((known) => known.owner === owner)?.silent;
const pushesOf = (owner: string, from: number): number =>
  ofType(receiver.seen.slice(from), "push").filter((push) => push.owner === owner).length;

test("a web origin's messages that show nothing wait when its budget is spent, until a person is interested", async () => {
  const { app, warnings, subscription } = await newApp(WEB, () => {});
  await send(subscription, SILENT_PUSHES_MAX);
  expect(warnings).toEqual(["silent-budget-low", "silent-budget-spent"]);
  expect(silentOf(WEB)).toMatchObject({ left: 0, max: SILENT_PUSHES_MAX, spent: SILENT_PUSHES_MAX });

  const from = receiver.seen.length;
  await receiver.post(subscription, { plaintext: "one too many" });
  await receiver.next("report", from, ({ report }) => report.type === "received");
  await globalThis.moreRequests?.skip({ ms: JOURNAL_UNHANDLED_AFTER_MS });
  await receiver.empty();
  expect(pushesOf(WEB, from)).toBe(0);

  // Nothing else of that owner waits, nor of another; what is declared costs nothing.
  const shown = await receiver.receive(subscription, { plaintext: declared({}, { mutable: true }) });
  expect(effectsOf(shown)).toMatchObject({ shown: ["Declared"], pushes: [{ title: "Declared" }] });
  const other = await newApp(OTHER, () => {});
  await send(other.subscription, 1);
  expect(pushesOf(OTHER, from)).toBe(1);
  expect((await app.pushManager.getSubscription())?.endpoint).toBe(subscription.endpoint);

  receiver.userAgent.activateNotification(ofType(shown, "show")[0]?.notificationId ?? 0);
  await receiver.until("it comes", () => pushesOf(WEB, from) === 2 || null);
  await receiver.until("it is handled", () => silentOf(WEB)?.left === SILENT_PUSHES_MAX - 1 || null);
  expect(effectsOf(receiver.seen.slice(from)).pushes.at(-1)).toEqual({ data: "one too many", title: null });
});

test("a message that is shown for costs nothing, and an app id has no budget", async () => {
  const shows = await newApp("https://shows.example", (event) => event.showNotification("Shown"));
  await send(shows.subscription, SILENT_PUSHES_MAX + 1);
  expect(silentOf("https://shows.example")).toMatchObject({ left: SILENT_PUSHES_MAX, spent: 0 });
  const device = await newApp(ID, () => {});
  await send(device.subscription, SILENT_PUSHES_MAX + 1);
  expect(silentOf(ID)).toBeNull();
  expect([...shows.warnings, ...device.warnings]).toEqual([]);
});
