// SPDX-License-Identifier: MIT
// Goal: while an app is away its messages wait, so many on the device and the rest at the push service, over restarts; other
// apps notice nothing; when something can start it, it is started and gets all of them in order. Method: real push service,
// user agent and app socket in this process, the apps are processes; web-push sends.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PushSubscription } from "../../src/apps/push-manager.ts";
import { INBOX_MESSAGES_PER_OWNER_MAX } from "../../src/limits.ts";
import { AppSocketServer } from "../../src/node/app-socket-server.ts";
import { ofType, Receiver } from "./receiver.ts";
import { SocketClient } from "./socket-client.ts";
import { type Program, Stage } from "./stage.ts";

const CHILD = join(import.meta.dirname, "children", "scripted-app.mjs");
// App ids: what they do without showing it costs them nothing.
const AWAY = "away";
const THERE = "there";
/** More than the device takes for one owner. */
const MESSAGES = INBOX_MESSAGES_PER_OWNER_MAX + 20;

let stage: Stage;
let receiver: Receiver;
let socket: AppSocketServer;
const subscriptions = new Map<string, PushSubscription>();
const tokenFiles = new Map<string, string>();

beforeAll(async () => {
  stage = new Stage();
  // Nobody hears that an app is to be started before the socket does, which starts it.
  receiver = await Receiver.open(stage, { startApp: null });
  await openSocket();
  for (const owner of [AWAY, THERE]) {
    await install(owner, null);
    subscriptions.set(owner, await receiver.subscribe(owner));
  }
});
afterAll(() => stage.close());

async function openSocket(): Promise<void> {
  const { userAgent, stateDirectory } = receiver;
  socket = await AppSocketServer.open({ userAgent, stateDirectory });
  const opened = socket;
  stage.defer(() => opened.close());
}

/** The agent and its socket end and start again on the same state. */
async function restart(): Promise<void> {
  await socket.close();
  await receiver.restart();
  await openSocket();
}

async function install(owner: string, start: readonly string[] | null): Promise<void> {
  const at = join(receiver.stateDirectory, "app.sock");
  const adminToken = readFileSync(join(receiver.stateDirectory, "admin.token"), "utf8").trim();
  const admin = await SocketClient.enter({ at }, { role: "admin", token: adminToken });
  const tokenFile = tokenFiles.get(owner) ?? stage.file("token", "");
  tokenFiles.set(owner, tokenFile);
  const { token } = await admin.ask("installApp", { owner, start, tokenFile });
  writeFileSync(tokenFile, String(token));
  await admin.close();
}

/** The app as somebody else starts it. */
async function startApp(owner: string): Promise<Program> {
  const variables = {
    GODWIT_OWNER: owner,
    GODWIT_SOCKET: join(receiver.stateDirectory, "app.sock"),
    GODWIT_TOKEN_FILE: tokenFiles.get(owner) ?? "",
  };
  const child = stage.start(owner, [process.execPath, CHILD], {
    stdio: ["ignore", "pipe", "pipe"],
    env: stage.environment(variables),
  });
  await child.stdout.match(/"attached"/);
  return child;
}

/** An opaque message that its app shows under that title. */
function post(owner: string, title: string): Promise<void> {
  const subscription = subscriptions.get(owner);
  if (subscription === undefined) throw new Error("not subscribed");
  const steps = [["showNotification", { title, options: { tag: "last" } }], ["handled"]];
  return receiver.post(subscription, { plaintext: JSON.stringify(steps) });
}

/** What that app's handler showed since, in order; shows that a restart brings back have no alert and replace nothing. */
function titlesOf(owner: string, from: number): string[] {
  const own = ofType(receiver.seen.slice(from), "show").filter((shown) => shown.owner === owner);
  return own.map(({ notification }) => notification.title);
}

function shows(owner: string, title: string, from: number): Promise<unknown> {
  return receiver.until(`${owner} shows ${title}`, () => titlesOf(owner, from).includes(title) || null);
}

const waitingOf = (owner: string): number | undefined =>
  receiver.userAgent.status().owners.find((known) => known.owner === owner)?.messagesWaiting;

test("an app that took messages once and is away: the device keeps as many as it may, the service the rest", async () => {
  const app = await startApp(AWAY);
  await post(AWAY, "first");
  await shows(AWAY, "first", 0);
  await receiver.empty();
  await app.end("SIGKILL");
  await startApp(THERE);

  const from = receiver.seen.length;
  for (let number = 1; number <= MESSAGES; number++) await post(AWAY, String(number));
  // They are acknowledged from the journal, after a few seconds.
  await receiver.until("the device took its part", () => {
    const { ok } = receiver.acknowledged;
    return ok === 1 + INBOX_MESSAGES_PER_OWNER_MAX || null;
  });
  expect(await receiver.store.countMessages()).toBe(MESSAGES - INBOX_MESSAGES_PER_OWNER_MAX);
  expect(waitingOf(AWAY)).toBe(INBOX_MESSAGES_PER_OWNER_MAX);

  await post(THERE, "not held up");
  await shows(THERE, "not held up", from);
  expect(titlesOf(AWAY, from)).toEqual([]);
});

test("after a restart they still wait, and other apps still get theirs", async () => {
  const from = receiver.seen.length;
  await restart();
  const there = await startApp(THERE);
  await post(THERE, "after the restart");
  await shows(THERE, "after the restart", from);
  expect(waitingOf(AWAY)).toBe(INBOX_MESSAGES_PER_OWNER_MAX);
  expect(await receiver.store.countMessages()).toBeGreaterThanOrEqual(
    MESSAGES - INBOX_MESSAGES_PER_OWNER_MAX,
  );
  expect(titlesOf(AWAY, from)).toEqual(["first"]);
  await there.end("SIGKILL");
});

test("with a command to start it, it is started at the next start of the device and gets all of them in order", async () => {
  await install(AWAY, [process.execPath, CHILD]);
  const from = receiver.seen.length;
  await restart();
  await shows(AWAY, String(MESSAGES), from);
  await receiver.empty();
  const expected = Array.from({ length: MESSAGES }, (_, index) => String(index + 1));
  expect(titlesOf(AWAY, from)).toEqual(["first", ...expected]);
  expect(waitingOf(AWAY)).toBe(0);
});
