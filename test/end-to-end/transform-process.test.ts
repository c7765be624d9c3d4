// SPDX-License-Identifier: MIT
// Goal: a mutable message in the hands of a process that hangs, dies, answers late, twice or not at all is shown exactly
// once, in time, and harms nobody else. Method: real push service, user agent and app socket in this process, whose timers
// can be skipped to; the apps are processes that do what each message tells them; web-push sends.

import "./children/skippable-time.mjs";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PushSubscription } from "../../src/apps/push-manager.ts";
import { TRANSFORM_BUDGET_MS, TRANSFORM_BUDGET_MS_MAX } from "../../src/limits.ts";
import { AppSocketServer } from "../../src/node/app-socket-server.ts";
import { declared, effectsOf, ofType, Receiver } from "./receiver.ts";
import { SocketClient } from "./socket-client.ts";
import { type Program, Stage } from "./stage.ts";

const CHILD = join(import.meta.dirname, "children", "scripted-app.mjs");
/** What is left of a budget that is not yet to end: more than anything on the way takes. */
const MARGIN_MS = 2_000;

type Step = readonly [what: string, members?: object];
const SHOW_OWN: Step = ["showNotification", { title: "Own", options: {} }];

let stage: Stage;
let receiver: Receiver;
let admin: SocketClient;
let owners = 0;
beforeAll(async () => {
  stage = new Stage();
  receiver = await Receiver.open(stage);
  const { userAgent, stateDirectory } = receiver;
  const socket = await AppSocketServer.open({ userAgent, stateDirectory });
  stage.defer(() => socket.close());
  const token = readFileSync(join(stateDirectory, "admin.token"), "utf8").trim();
  admin = await SocketClient.enter({ at: socketPath() }, { role: "admin", token });
});
afterAll(() => stage.close());

const socketPath = () => join(receiver.stateDirectory, "app.sock");
const skip = async (ms: number): Promise<void> => void (await globalThis.moreRequests?.skip({ ms }));

/** A new owner each time; `start` is its command. */
async function install(start: readonly string[] | null = null) {
  const owner = `https://app${++owners}.example`;
  const tokenFile = stage.file("token", "");
  const { token } = await admin.ask("installApp", { owner, start, tokenFile });
  writeFileSync(tokenFile, String(token));
  return { owner, tokenFile, subscription: await receiver.subscribe(owner) };
}

/** A new app, as a process that has attached. */
async function attached() {
  const { owner, tokenFile, subscription } = await install();
  const variables = { GODWIT_OWNER: owner, GODWIT_SOCKET: socketPath(), GODWIT_TOKEN_FILE: tokenFile };
  const child = stage.start(owner, [process.execPath, CHILD], {
    stdio: ["ignore", "pipe", "pipe"],
    env: stage.environment(variables),
  });
  await child.stdout.match(/"attached"/);
  return { owner, subscription, child };
}

/** POSTs a mutable message that says what its handler does. */
function post(subscription: PushSubscription, steps: readonly Step[], members: object = {}): Promise<void> {
  const notification = { data: steps, navigate: "/its-own" };
  return receiver.post(subscription, {
    plaintext: declared(notification, { mutable: true, app_badge: 7, ...members }),
  });
}

/** The app has its `nth` message in its hands. */
async function inHand(child: Program, nth = 1): Promise<void> {
  await child.stdout.until(`message ${nth} is in hand`, (lines) => {
    return lines.filter((line) => line.includes('"push"')).length >= nth || null;
  });
}

/** What the agent answered to everything the app said, as soon as there are so many answers. */
function answers(child: Program, count: number): Promise<string[]> {
  return child.stdout.until(`${count} answers`, (lines) => {
    const all = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "answer");
    return all.length < count ? null : all.map(({ what, code }) => `${what}: ${code ?? "ok"}`);
  });
}

const shownOf = (from: number) => effectsOf(receiver.seen.slice(from)).shown;

/** Resolves once so many notifications were shown. */
function shown(from: number, count: number): Promise<string[]> {
  return receiver.until(`${count} are shown`, () => {
    const titles = shownOf(from);
    return titles.length < count ? null : titles;
  });
}

describe("a process that does not answer", () => {
  test.each([
    ["computes for ever", [["spin"]]],
    ["says nothing", []],
  ] as const)(
    "because it %s: the declared one is shown when its time is over, not before",
    async (_, steps) => {
      const { subscription, child } = await attached();
      const from = receiver.seen.length;
      await post(subscription, steps);
      await inHand(child);
      await skip(TRANSFORM_BUDGET_MS - MARGIN_MS);
      expect(shownOf(from)).toEqual([]);
      await skip(MARGIN_MS);
      await shown(from, 1);
      await receiver.empty();
      expect(effectsOf(receiver.seen.slice(from))).toMatchObject({ shown: ["Declared"], badges: [7] });
      await child.end("SIGKILL");
    },
  );

  test("because it is stopped: what it says when it goes on counts for nothing", async () => {
    const { owner, subscription, child } = await attached();
    const from = receiver.seen.length;
    child.child.kill("SIGSTOP");
    await post(subscription, [SHOW_OWN, ["setAppBadge", { badge: 99 }], ["handled"]]);
    await receiver.next("report", from, ({ report }) => report.type === "delivered");
    await skip(TRANSFORM_BUDGET_MS);
    await shown(from, 1);
    child.child.kill("SIGCONT");
    expect(await answers(child, 3)).toEqual([
      "showNotification: ERR_NOTIFICATION",
      "setAppBadge: ERR_NOTIFICATION",
      "handled: ok",
    ]);
    await receiver.empty();
    expect(effectsOf(receiver.seen.slice(from))).toMatchObject({ shown: ["Declared"], badges: [7] });
    expect(await receiver.userAgent.app(owner).getNotifications()).toHaveLength(1);
  });

  test("several behind it are each shown within the longest a message may take", async () => {
    const { subscription, child } = await attached();
    const from = receiver.seen.length;
    for (let number = 1; number <= 5; number++)
      await post(subscription, [], { notification: { title: String(number), navigate: "/", data: [] } });
    await receiver.until("all are there", (seen) => {
      const reports = ofType(seen.slice(from), "report").map(({ report }) => report.type);
      return reports.filter((type) => type === "received").length === 5 || null;
    });
    for (let turn = 1; turn * TRANSFORM_BUDGET_MS <= TRANSFORM_BUDGET_MS_MAX; turn++) {
      await inHand(child, turn);
      await skip(TRANSFORM_BUDGET_MS);
    }
    expect((await shown(from, 5)).sort()).toEqual(["1", "2", "3", "4", "5"]);
    await receiver.empty();
  });

  test("other apps get their messages meanwhile", async () => {
    const hanging = await attached();
    const other = await attached();
    const from = receiver.seen.length;
    await post(hanging.subscription, []);
    await inHand(hanging.child);
    await post(other.subscription, [SHOW_OWN, ["handled"]]);
    expect(await shown(from, 1)).toEqual(["Own"]);
    await skip(TRANSFORM_BUDGET_MS);
    expect(await shown(from, 2)).toEqual(["Own", "Declared"]);
    await receiver.empty();
  });
});

describe("a process that dies", () => {
  test.each([
    ["by a signal", [["die"]]],
    ["for the agent: it closes its connection", [["leave"]]],
  ] as const)("%s: the declared one is shown at once", async (_, steps) => {
    const { subscription } = await attached();
    const from = receiver.seen.length;
    await post(subscription, steps);
    expect(await shown(from, 1)).toEqual(["Declared"]);
    await receiver.empty();
    expect(effectsOf(receiver.seen.slice(from)).badges).toEqual([7]);
  });

  test("after it showed its own: that one stays, and nothing besides", async () => {
    const { owner, subscription } = await attached();
    const from = receiver.seen.length;
    await post(subscription, [SHOW_OWN, ["setAppBadge", { badge: 3 }], ["die"]]);
    await receiver.empty();
    expect(effectsOf(receiver.seen.slice(from))).toMatchObject({ shown: ["Own"], badges: [3] });
    const left = await receiver.userAgent.app(owner).getNotifications();
    expect(left.map(({ title }) => title)).toEqual(["Own"]);
  });

  test("before it could attach: the declared one is shown when its time is over", async () => {
    const { subscription } = await install([process.execPath, "--eval", "process.exit(3)"]);
    const from = receiver.seen.length;
    await post(subscription, []);
    const isFailedStart = ({ report }: { report: { type: string } }): boolean =>
      "code" in report && report.code === "ERR_APP_START";
    await receiver.next("report", from, isFailedStart);
    expect(shownOf(from)).toEqual([]);
    await skip(TRANSFORM_BUDGET_MS);
    expect(await shown(from, 1)).toEqual(["Declared"]);
    await receiver.empty();
  });
});

describe("a process that answers", () => {
  test("when it was started for the message: in time", async () => {
    const { subscription } = await install([process.execPath, CHILD]);
    const from = receiver.seen.length;
    await post(subscription, [SHOW_OWN, ["handled"]]);
    expect(await shown(from, 1)).toEqual(["Own"]);
    await receiver.empty();
    expect(effectsOf(receiver.seen.slice(from))).toMatchObject({ shown: ["Own"], badges: [7] });
  });

  test("late in its time: its own is shown", async () => {
    const { subscription, child } = await attached();
    const from = receiver.seen.length;
    child.child.kill("SIGSTOP");
    await post(subscription, [SHOW_OWN, ["handled"]]);
    await receiver.next("report", from, ({ report }) => report.type === "delivered");
    await skip(TRANSFORM_BUDGET_MS - MARGIN_MS);
    child.child.kill("SIGCONT");
    expect(await shown(from, 1)).toEqual(["Own"]);
    await receiver.empty();
  });

  test("too late: refused, the declared one is shown and stays", async () => {
    const { subscription, child } = await attached();
    const from = receiver.seen.length;
    await post(subscription, [["until cancelled"], SHOW_OWN, ["setAppBadge", { badge: 99 }], ["failed"]]);
    await inHand(child);
    await skip(TRANSFORM_BUDGET_MS);
    expect(await answers(child, 3)).toEqual([
      "showNotification: ERR_NOTIFICATION",
      "setAppBadge: ERR_NOTIFICATION",
      "failed: ok",
    ]);
    await receiver.empty();
    expect(effectsOf(receiver.seen.slice(from))).toMatchObject({ shown: ["Declared"], badges: [7] });
  });

  test("twice: the second answer counts for nothing, and not for the next message", async () => {
    const { subscription, child } = await attached();
    const from = receiver.seen.length;
    await post(subscription, [SHOW_OWN, ["handled"], ["handled"], ["failed"], SHOW_OWN]);
    expect(await answers(child, 5)).toEqual([
      ...["showNotification: ok", "handled: ok", "handled: ok", "failed: ok"],
      "showNotification: ERR_NOTIFICATION",
    ]);
    await receiver.empty();
    expect(shownOf(from)).toEqual(["Own"]);
    await post(subscription, [
      ["handled", { deliveryId: 1 }],
      ["failed", { deliveryId: 1 }],
    ]);
    await answers(child, 7);
    expect(shownOf(from)).toEqual(["Own"]);
    await skip(TRANSFORM_BUDGET_MS);
    expect(await shown(from, 2)).toEqual(["Own", "Declared"]);
    await receiver.empty();
  });

  test("for another app: that one's message stays in its hands", async () => {
    const one = await attached();
    const other = await attached();
    const from = receiver.seen.length;
    await post(one.subscription, [["until cancelled"]]);
    await inHand(one.child);
    const [line = ""] = one.child.stdout.all.filter((text) => text.includes('"push"'));
    const { deliveryId } = JSON.parse(line) as { deliveryId: number };
    const foreign = { deliveryId };
    await post(other.subscription, [
      ["showNotification", { title: "Stolen", options: {}, ...foreign }],
      ["setAppBadge", { badge: 99, ...foreign }],
      ["handled", foreign],
      ["failed", foreign],
      ["handled"],
    ]);
    expect(await answers(other.child, 5)).toEqual([
      ...["showNotification: ERR_NOTIFICATION", "setAppBadge: ERR_NOTIFICATION"],
      ...["handled: ok", "failed: ok", "handled: ok"],
    ]);
    expect(await shown(from, 1)).toEqual(["Declared"]);
    await skip(TRANSFORM_BUDGET_MS);
    expect(await shown(from, 2)).toEqual(["Declared", "Declared"]);
    expect(effectsOf(receiver.seen.slice(from)).badges).toEqual([7, 7]);
    await receiver.empty();
  });

  test("with a notification without link: it leads where the declared one led", async () => {
    const { owner, subscription } = await attached();
    const from = receiver.seen.length;
    await post(subscription, [SHOW_OWN, ["handled"]]);
    const { notificationId, notification } = await receiver.next("show", from);
    expect(notification).toMatchObject({ title: "Own", navigate: `${owner}/its-own` });
    receiver.userAgent.activateNotification(notificationId);
    expect(await receiver.next("open", from)).toMatchObject({ url: `${owner}/its-own` });
    await receiver.empty();
  });

  test("with what is no notification: the declared one is shown", async () => {
    const { subscription, child } = await attached();
    const from = receiver.seen.length;
    await post(subscription, [
      ["showNotification", { title: "Own", options: { navigate: "https://:bad" } }],
      ["showNotification", { title: "Own", options: { renotify: true } }],
      ["handled"],
    ]);
    expect(await shown(from, 1)).toEqual(["Declared"]);
    expect((await answers(child, 3)).slice(0, 2)).toEqual([
      "showNotification: ERR_NOTIFICATION",
      "showNotification: ERR_NOTIFICATION",
    ]);
    await receiver.empty();
  });
});
