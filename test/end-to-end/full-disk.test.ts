// SPDX-License-Identifier: MIT
// Goal: a full disk at the device refuses what would have to be remembered, and costs nothing that is there: subscriptions
// go on working, unsubscribing works, and so does everything once there is room again. Method: a real push service; the user agent in
// this process on a file system that gives ENOSPC.

import { afterEach, beforeEach, expect, test } from "vitest";
import type { Report } from "../../src/agent/events.ts";
import type { PushSubscription } from "../../src/apps/push-manager.ts";
import { JournalFiles } from "../../src/node/journal-files.ts";
import { createUserAgent, type UserAgent } from "../../src/node/user-agent.ts";
import { FullDisk } from "./full-disk.ts";
import { Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";
const CHAT = "https://chat.example";
const MAIL = "https://mail.example";

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
let disk: FullDisk;
let stateDirectory: string;
let userAgent: UserAgent;
let reports: Report[];
let news: PushSubscription;
beforeEach(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  disk = new FullDisk();
  stateDirectory = stage.newDirectory();
  reports = [];
  userAgent = await startAgent();
  news = await subscribe(NEWS);
});
afterEach(() => stage.close());

test("subscribing is refused with its code, and nothing is left at the service when there is room again", async () => {
  disk.freeBytes = 0;
  await expect(subscribe(CHAT)).rejects.toMatchObject({
    name: "AbortError",
    godwitCode: "ERR_JOURNAL_FULL",
    message: "the subscription could not be written down",
  });
  expect(reports).toContainEqual({
    type: "fault",
    code: "ERR_JOURNAL_FULL",
    text: "the state directory is full",
  });
  expect(await userAgent.app(CHAT).pushManager.getSubscription()).toBeNull();
  // What the failed write left on the disk is written over first.
  disk.freeBytes = 1_000_000;
  await subscribe(CHAT);
  await service.stderr.match(/^unregistered .*channel=2$/);
});

test("a subscription made before goes on delivering", async () => {
  disk.freeBytes = 0;
  await expect(subscribe(CHAT)).rejects.toThrow();
  const pushed = push(NEWS);
  await sender.send(news.toJSON(), "still here");
  expect(await pushed).toBe("still here");
  await service.acknowledged(1);
});

test("unsubscribing works, also right after a write that failed, and the service is told", async () => {
  disk.freeBytes = 0;
  await expect(subscribe(CHAT)).rejects.toThrow();
  expect(await news.unsubscribe()).toBe(true);
  await service.stderr.match(/^unregistered .*channel=1$/);
  await expect(sender.send(news.toJSON(), "nobody")).rejects.toMatchObject({ statusCode: 410 });
});

test("with room again the next subscription is made", async () => {
  disk.freeBytes = 0;
  await expect(subscribe(CHAT)).rejects.toThrow();
  disk.freeBytes = 1_000_000;
  const chat = await subscribe(CHAT);
  const pushed = push(CHAT);
  await sender.send(chat.toJSON(), "made later");
  expect(await pushed).toBe("made later");
});

test("a restart on the full disk finds everything", async () => {
  disk.freeBytes = 0;
  await expect(subscribe(CHAT)).rejects.toThrow();
  await userAgent.close();
  userAgent = await startAgent();
  const again = await userAgent.app(NEWS).pushManager.getSubscription();
  expect(again?.toJSON()).toEqual(news.toJSON());
  const pushed = push(NEWS);
  await sender.send(news.toJSON(), "after the restart");
  expect(await pushed).toBe("after the restart");
});

test("declarative messages are shown and acknowledged", async () => {
  disk.freeBytes = 0;
  await expect(subscribe(MAIL)).rejects.toThrow();
  const declared = { web_push: 8030, notification: { title: "Shown", navigate: "/" } };
  await sender.send(news.toJSON(), JSON.stringify(declared));
  await service.acknowledged(1);
  expect(reports).toContainEqual(expect.objectContaining({ type: "shown", owner: NEWS }));
});

async function startAgent(): Promise<UserAgent> {
  const agent = await createUserAgent({
    serviceUrl: service.origin,
    stateDirectory,
    ca: service.ca,
    permission: () => "granted",
    silentPushMax: () => null,
    display: { show: () => {}, close: () => {}, setBadge: () => {}, openUrl: () => {} },
    journal: await JournalFiles.open({ directory: stateDirectory, fileSystem: disk }),
    onReport: (report) => reports.push(report),
  });
  stage.defer(() => agent.close());
  return agent;
}

function subscribe(owner: string): Promise<PushSubscription> {
  return userAgent.app(owner).pushManager.subscribe({ applicationServerKey: sender.keys.publicKey });
}

/** The payload of the app's next message. */
function push(owner: string): Promise<string | null> {
  return new Promise((resolve) => {
    userAgent.app(owner).onpush = ({ data }) => resolve(data?.text() ?? null);
  });
}
