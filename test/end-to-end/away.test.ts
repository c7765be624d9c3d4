// SPDX-License-Identifier: MIT
// Goal: of 200 messages sent while the device is away exactly the right ones arrive, in order: the newest of each topic,
// none with TTL 0, none expired. Method: push service (TLS, LMDB) and user agent in this process, so that the service's
// clock can be moved; `web-push` sends a seeded mixture, and a model of RFC 8030 says what is due.

import { afterEach, beforeEach, expect, test } from "vitest";
import { seededRandom } from "../../bench/battery/seeded-random.ts";
import type { Report } from "../../src/agent/events.ts";
import { INBOX_MESSAGES_PER_OWNER_MAX } from "../../src/limits.ts";
import { createUserAgent, type UserAgent } from "../../src/node/user-agent.ts";
import {
  createPushService,
  loadDevCertificate,
  newKeyring,
  openLmdbStore,
  type PushService,
  type Store,
} from "../../src/push-service/index.ts";
import { Sender, Stage } from "./stage.ts";

const NEWS = "https://news.example";
const CHAT = "https://chat.example";
const MESSAGES = 200;

let stage: Stage;
let service: PushService;
let store: Store;
let ca: string;
/** How far the service's clock is ahead. */
let aheadMs: number;
beforeEach(async () => {
  stage = new Stage();
  aheadMs = 0;
  const tls = await loadDevCertificate({ directory: stage.newDirectory(), nowMs: Date.now() });
  ca = tls.ca;
  store = await openLmdbStore({ directory: stage.newDirectory() });
  service = createPushService({
    tls,
    store,
    keyring: newKeyring(),
    clock: { epochMs: () => Date.now() + aheadMs, monotonicMs: () => performance.now() + aheadMs },
  });
  stage.defer(() => service.close());
  await service.listen();
});
afterEach(() => stage.close());

/** One message as the model keeps it. */
interface Waiting {
  readonly owner: string;
  readonly text: string;
  readonly topic: string | null;
  readonly ttlS: number;
}

test.each([1, 2, 3])("seed %i", async (seed) => {
  const random = seededRandom(seed);
  const pick = <T>(...choices: T[]): T => choices[Math.floor(random() * choices.length)] as T;
  const stateDirectory = stage.newDirectory();
  const sender = new Sender({ ca }, { keepAlive: true });
  const applicationServerKey = sender.keys.publicKey;
  const before = await startAgent(stateDirectory);
  const subscriptions = {
    [NEWS]: await before.app(NEWS).pushManager.subscribe({ applicationServerKey, waToken: "mine" }),
    [CHAT]: await before.app(CHAT).pushManager.subscribe({ applicationServerKey }),
  };
  await before.close();

  let waiting: Waiting[] = [];
  const send = async (message: Waiting): Promise<void> => {
    const { owner, text, topic, ttlS } = message;
    const options = { TTL: ttlS, ...(topic === null ? {} : { topic }) };
    expect(await sender.send(subscriptions[owner as typeof NEWS].toJSON(), text, options)).toBe(201);
    if (ttlS === 0) return;
    waiting = waiting.filter((old) => topic === null || old.owner !== owner || old.topic !== topic);
    waiting.push(message);
  };
  for (let number = 1; number <= MESSAGES; number++) {
    const ttlS = pick(0, 1, 3600, 3600);
    const topic = ttlS === 0 ? null : pick(null, "weather", "score", `rare-${number % 50}`);
    await send({ owner: pick(NEWS, CHAT), text: `message ${number}`, topic, ttlS });
  }
  aheadMs += 1_500;
  const due = waiting.filter(({ ttlS }) => ttlS > 1);

  const agent = await startAgent(stateDirectory);
  const pushes = [NEWS, CHAT].map((owner) => untilLast(agent, owner));
  for (const owner of [NEWS, CHAT] as const) await sender.send(subscriptions[owner].toJSON(), "last");
  const textsFor = (owner: string) =>
    due.filter((message) => message.owner === owner).map(({ text }) => text);
  expect(await Promise.all(pushes)).toEqual([textsFor(NEWS), textsFor(CHAT)]);
});

test("an app too busy to take them at once gets all of them in order", async () => {
  const stateDirectory = stage.newDirectory();
  const sender = new Sender({ ca }, { keepAlive: true });
  const before = await startAgent(stateDirectory);
  const subscription = await before.app(NEWS).pushManager.subscribe();
  await before.close();
  const texts = Array.from({ length: MESSAGES }, (_, number) => `message ${number}`);
  for (const text of texts) expect(await sender.send(subscription.toJSON(), text)).toBe(201);

  let received = 0;
  let isBound: () => void = () => {};
  // More than an owner may have waiting: its channel is held by then.
  const boundReached = new Promise<void>((resolve) => {
    isBound = resolve;
  });
  const agent = await startAgent(stateDirectory, (report) => {
    if (report.type === "received" && ++received === INBOX_MESSAGES_PER_OWNER_MAX) isBound();
  });
  const got: string[] = [];
  await new Promise<void>((resolve) => {
    agent.app(NEWS).onpush = async ({ data, redelivered }) => {
      got.push(`${data?.text()}${redelivered ? " again" : ""}`);
      await boundReached;
      await new Promise((next) => setImmediate(next));
      if (got.length === MESSAGES) resolve();
    };
  });
  expect(got).toEqual(texts);
  expect(received).toBeGreaterThanOrEqual(MESSAGES);
});

/** What an app gets before the message "last". */
function untilLast(agent: UserAgent, owner: string): Promise<string[]> {
  const texts: string[] = [];
  return new Promise((resolve) => {
    agent.app(owner).onpush = ({ data }) => {
      const text = data?.text() ?? "";
      if (text === "last") resolve(texts);
      else texts.push(text);
    };
  });
}

async function startAgent(
  stateDirectory: string,
  onReport: (report: Report) => void = () => {},
): Promise<UserAgent> {
  const agent = await createUserAgent({
    serviceUrl: service.origin,
    stateDirectory,
    ca,
    permission: () => "granted",
    silentPushMax: () => null,
    onReport,
  });
  stage.defer(() => agent.close());
  return agent;
}
