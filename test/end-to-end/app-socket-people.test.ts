// SPDX-License-Identifier: MIT
// Goal: what people do at shells and the administrator decides holds for apps and pages at the app socket, and what waits, waits. Method:
// the real agent and push service as processes, `web-push` as sender, bare WebSockets as the peers.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { AgentStatus } from "../../src/agent/status.ts";
import { type Message, SocketClient } from "./socket-client.ts";
import { type Program, Sender, type ServiceProcess, Stage } from "./stage.ts";

const PAGE = "https://news.example";

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
let state: string;
let agent: Program;
let port: number;
let admin: SocketClient;
let lastApp = 0;

beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  state = stage.newDirectory();
  await startAgent();
});
afterAll(() => stage.close());

async function startAgent(): Promise<void> {
  const args = ["--service", service.origin, "--ca", service.caFile, "--state", state, "--app-port", "0"];
  agent = stage.userAgent([...args], {}, 0.1);
  port = Number(/127\.0\.0\.1:(\d+)$/.exec(await agent.stderr.match(/^agent ready/))?.[1]);
  admin = await enterAdmin();
}

async function enter(hello: Message): Promise<SocketClient> {
  const client = await SocketClient.enter({ at: join(state, "app.sock") }, hello);
  stage.defer(() => client.webSocket.terminate());
  return client;
}
const secretOf = (file: string) => readFileSync(join(state, file), "utf8").trim();
const enterAdmin = () => enter({ role: "admin", token: secretOf("admin.token") });
const enterShell = () => enter({ role: "shell", token: secretOf("shell.token") });

/** Installs an app of its own for a test. */
async function install() {
  const owner = `app-${++lastApp}`;
  const { token } = await admin.ask("installApp", { owner, start: null, tokenFile: null });
  const hello = { role: "app", owner, token };
  return { owner, hello, enter: () => enter(hello) };
}

/** A subscribed app, or page, and how to send to it. */
async function subscribe(client: SocketClient, owner: string) {
  await admin.ask("setPermission", { owner, permission: "granted" });
  const { subscription } = await client.ask("subscribe", {
    ...{ applicationServerKey: sender.keys.publicKey, userVisibleOnly: true, waToken: null },
    ...{ declarative: "auto", allowAesgcm: false, freshness: null },
  });
  const { endpoint, p256dh, auth } = subscription as Record<string, string>;
  const json = { endpoint, expirationTime: null, keys: { p256dh, auth } };
  return (payload: string) => sender.send(json as never, payload);
}

function declarative(notification: object): string {
  return JSON.stringify({ web_push: 8030, notification });
}

function textOf({ data }: Message): string {
  return Buffer.from(String(data), "base64url").toString();
}

describe("questions", () => {
  test("go to every shell, and the first answer counts", async () => {
    const { owner, enter } = await install();
    const [first, second, app] = await Promise.all([enterShell(), enterShell(), enter()]);
    const asking = app.ask("requestPermission");
    await Promise.all(
      [first, second].map((shell) => shell.event("permission", (asked) => asked.owner === owner)),
    );
    await first.ask("answerPermission", { owner, permission: "denied" });
    await second.ask("answerPermission", { owner, permission: "granted" });
    expect(await asking).toEqual({ permission: "denied" });
    for (const shell of [first, second]) {
      const settled = await shell.event("permissionSettled", (asked) => asked.owner === owner);
      expect(settled.permission).toBe("denied");
    }
    expect(await app.ask("permissionState")).toEqual({ permission: "denied" });
    await Promise.all([first, second, app].map((client) => client.close()));
  });

  test("reach whoever comes while they are open, and end when the administrator decides", async () => {
    const { owner, enter } = await install();
    const app = await enter();
    const asking = app.ask("requestPermission");
    const watcher = await enterAdmin();
    await watcher.ask("watch");
    await watcher.event("changed", ({ questions }) =>
      (questions as { permissions: string[] }).permissions.includes(owner),
    );
    const shell = await enterShell();
    await shell.event("permission", (asked) => asked.owner === owner);
    await admin.ask("setPermission", { owner, permission: "granted" });
    expect(await asking).toEqual({ permission: "granted" });
    await shell.event(
      "permissionSettled",
      (asked) => asked.owner === owner && asked.permission === "granted",
    );
    await watcher.event(
      "changed",
      ({ questions }) => (questions as { permissions: string[] }).permissions.length === 0,
    );
    await Promise.all([app, shell, watcher].map((client) => client.close()));
  });

  test("a link of another origin opens where it was allowed, and nowhere when it was not", async () => {
    const [chosen, other] = await Promise.all([enterShell(), enterShell()]);
    const { secret } = await chosen.ask("pageSecret", { owner: PAGE });
    const page = await SocketClient.enterPage({ at: port, origin: PAGE }, secret);
    const send = await subscribe(page, PAGE);
    const link = "https://elsewhere.example/story?from=push";
    await send(declarative({ title: "Asked", navigate: link }));
    const { notificationId } = await chosen.event("show", ({ title }) => title === "Asked");
    const activation = { notificationId, action: "" };
    await chosen.ask("activate", activation);
    const question = { ...activation, event: "navigation", owner: PAGE, host: "elsewhere.example" };
    for (const shell of [chosen, other]) expect(await shell.event("navigation")).toEqual(question);
    await chosen.ask("answerNavigation", { ...activation, allowed: false });
    for (const shell of [chosen, other])
      expect(await shell.event("navigationSettled")).toEqual({ ...activation, event: "navigationSettled" });
    await chosen.ask("activate", activation);
    await chosen.event("navigation", () => true, 2);
    await chosen.ask("answerNavigation", { ...activation, allowed: true });
    expect(await chosen.event("openUrl")).toEqual({ event: "openUrl", owner: PAGE, url: link });
    await other.event("close", (closed) => closed.notificationId === notificationId);
    expect(chosen.events("openUrl")).toHaveLength(1);
    expect(other.events("openUrl")).toEqual([]);
    await Promise.all([chosen, other, page].map((client) => client.close()));
  });
});

describe("shells", () => {
  test("one that comes late gets what is shown, without alert, and the badges", async () => {
    const { owner, enter } = await install();
    const app = await enter();
    await subscribe(app, owner);
    const early = await enterShell();
    const options = { body: "Two\nlines \u202e", tag: "t", actions: [{ action: "yes", title: "Yes" }] };
    await app.ask("showNotification", { deliveryId: null, title: "Shown", options });
    await app.ask("setAppBadge", { deliveryId: null, badge: 120 });
    const shown = await early.event("show", ({ title }) => title === "Shown");
    expect(shown).toMatchObject({
      owner,
      replaces: null,
      alert: true,
      actions: [{ action: "yes", title: "Yes" }],
    });
    expect(shown.body).not.toContain("\u202e");
    expect(await early.event("badge")).toEqual({ event: "badge", owner, badge: 120, text: "99+" });
    const late = await enterShell();
    expect(await late.event("show", ({ title }) => title === "Shown")).toEqual({ ...shown, alert: false });
    expect(await late.event("badge", (badge) => badge.owner === owner)).toMatchObject({ badge: 120 });
    await late.ask("dismiss", { notificationId: shown.notificationId });
    await early.event("close", ({ notificationId }) => notificationId === shown.notificationId);
    await Promise.all([app, early, late].map((client) => client.close()));
  });

  test("the administrator's test push comes by way of the service, and leaves nothing", async () => {
    const shell = await enterShell();
    expect(await admin.ask("testPush")).toEqual({ statusCode: 201 });
    const { notificationId } = await shell.event("show", ({ owner }) => owner === "godwit.test");
    await service.stderr.match(/^unregistered /);
    const { subscriptions } = (await admin.ask("status")) as unknown as AgentStatus;
    expect(subscriptions.filter(({ owner }) => owner === "godwit.test")).toEqual([]);
    // Its link asks nobody anything.
    await shell.ask("activate", { notificationId, action: "" });
    expect(await shell.event("openUrl")).toMatchObject({ owner: "godwit.test", url: "https://godwit.test/" });
    await shell.close();
  });
});

describe("apps", () => {
  let owner: string;
  let enterApp: () => Promise<SocketClient>;
  let send: (payload: string) => Promise<number>;

  beforeEach(async () => {
    const installed = await install();
    ({ owner, enter: enterApp } = installed);
    const app = await enterApp();
    await app.ask("attach", { handlesPush: true });
    send = await subscribe(app, owner);
    await app.close();
  });

  test("messages of an app that is away wait for it, in order", async () => {
    for (const text of ["one", "two", "three"]) await send(text);
    const app = await enterApp();
    await app.ask("attach", { handlesPush: true });
    for (const [i, text] of ["one", "two", "three"].entries()) {
      const push = await app.event("push", () => true, i + 1);
      expect(textOf(push)).toBe(text);
      await app.ask("handled", { deliveryId: push.deliveryId });
    }
    await app.close();
  });

  test("a message goes to the connection attached last, and to the next when that goes with it in its hands", async () => {
    const [first, second] = [await enterApp(), await enterApp()];
    await first.ask("attach", { handlesPush: true });
    await second.ask("attach", { handlesPush: true });
    await send("for one of you");
    const { messageId } = await second.event("push");
    expect(first.events("push")).toEqual([]);
    second.webSocket.terminate();
    const push = await first.event("push");
    expect(push).toMatchObject({ messageId, redelivered: true });
    await first.ask("handled", { deliveryId: push.deliveryId });
    await service.acknowledged(1);
    await first.close();
  });

  test("what an app shows of a message, or says of it later, counts for that message only", async () => {
    const app = await enterApp();
    await app.ask("attach", { handlesPush: true });
    await send("fails");
    const push = await app.event("push");
    await app.ask("failed", { deliveryId: push.deliveryId });
    const again = await app.event("push", () => true, 2);
    expect(again).toMatchObject({ messageId: push.messageId, redelivered: true });
    await app.ask("handled", { deliveryId: push.deliveryId });
    await app.ask("handled", { deliveryId: again.deliveryId });
    await app.close();
  });

  test("tokens, page secrets and what waits outlive the agent's death", async () => {
    const before = await admin.ask("pageSecret", { owner: PAGE });
    await agent.end("SIGKILL");
    await startAgent();
    expect((await admin.ask("pageSecret", { owner: PAGE })).secret).toBe(before.secret);
    await send("after the death");
    const app = await enterApp();
    await app.ask("attach", { handlesPush: true });
    const push = await app.event("push");
    expect(textOf(push)).toBe("after the death");
    await app.ask("handled", { deliveryId: push.deliveryId });
    await app.close();
  });

  test("a factory reset takes tokens, page secrets and apps with it", async () => {
    const app = await enterApp();
    const { secret } = await admin.ask("pageSecret", { owner: PAGE });
    const shell = await enterShell();
    await admin.ask("factoryReset");
    await shell.event("pageSecrets");
    expect(await shell.ask("pageSecret", { owner: PAGE })).not.toMatchObject({ secret });
    expect(await app.closed).toEqual({ closeCode: 4401 });
    await expect(enterApp()).rejects.toMatchObject({ code: "ERR_APP_AUTH" });
    await expect(SocketClient.enterPage({ at: port, origin: PAGE }, secret)).rejects.toMatchObject({
      code: "ERR_APP_AUTH",
    });
    expect(await admin.ask("installed")).toEqual([]);
    expect(await admin.ask("status")).toMatchObject({ subscriptions: [], owners: [], notifications: 0 });
  });
});
