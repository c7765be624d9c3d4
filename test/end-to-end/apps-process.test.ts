// SPDX-License-Identifier: MIT
// Goal: a process at the app socket needs to know nothing of connections: it comes back after the agent was killed, loses no message,
// and is told what it cannot know. Method: `godwit/apps/process`, the real agent and push service as processes, `web-push` as sender.

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { PushEvent, PushSubscriptionChangeEvent } from "../../src/apps/events.ts";
import { type AppClient, connect } from "../../src/apps/process.ts";
import { RunningAgent } from "./running-agent.ts";
import type { SocketClient } from "./socket-client.ts";
import { Sender, type ServiceProcess, Stage } from "./stage.ts";

const CHILD = fileURLToPath(new URL("children/client-app.mjs", import.meta.url));

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
let agent: RunningAgent;
let admin: SocketClient;
const apps: AppClient[] = [];
let lastApp = 0;

beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  agent = await RunningAgent.start(stage, { service, policy: { permission: "granted" } });
  admin = await agent.enterAdmin();
});
afterEach(() => {
  for (const app of apps.splice(0)) app.close();
});
afterAll(() => stage.close());

interface Installed {
  readonly owner: string;
  readonly tokenFile: string;
}

/** An app of its own, with its token in a file. */
async function install(start: readonly string[] | null = null): Promise<Installed> {
  const owner = `app-${++lastApp}`;
  const tokenFile = stage.file("token", "");
  await renewToken({ owner, tokenFile }, start);
  return { owner, tokenFile };
}

async function renewToken({ owner, tokenFile }: Installed, start: readonly string[] | null = null) {
  const { token } = await admin.ask("installApp", { owner, start, tokenFile });
  writeFileSync(tokenFile, `${token}\n`);
}

function connected(installed: Installed): AppClient {
  const app = connect({ ...installed, socketPath: agent.socketPath, jitter: () => 0.1 });
  apps.push(app);
  return app;
}

function subscribe(app: AppClient) {
  return app.pushManager.subscribe({
    userVisibleOnly: true,
    applicationServerKey: sender.keys.publicKey,
  });
}

/** Events as they come, and waiting for the nth. */
function collect<Item>() {
  const items: Item[] = [];
  const at = (index: number): Promise<Item> =>
    vi.waitFor(
      () => {
        const item = items[index];
        if (item === undefined) throw new Error(`there are only ${items.length}`);
        return item;
      },
      { timeout: 20_000, interval: 10 },
    );
  return { items, add: (item: Item) => void items.push(item), at };
}

/** The agent stands still, hears no more, and dies: what was asked meanwhile is in its socket and never read. */
async function killAround(ask: () => void): Promise<void> {
  agent.program.child.kill("SIGSTOP");
  ask();
  await agent.program.end("SIGKILL");
}

async function nameOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "no error",
    ({ name, godwitCode }) => `${name} ${godwitCode}`,
  );
}

test("subscribes, is sent a message, shows it with its own name, and hears the click", async () => {
  const shell = await agent.enterShell();
  const app = connected(await install());
  app.onpush = async (event) => {
    await event.showNotification(`Terns: ${event.data?.text()}`, {
      actions: [{ action: "far", title: "How far?" }],
    });
    await event.setAppBadge(3);
  };
  const clicks = collect<string>();
  app.onnotificationclick = ({ notification, action }) => clicks.add(`${notification.title} ${action}`);
  const subscription = await subscribe(app);
  await sender.send(subscription.toJSON(), "fourteen");
  const shown = await shell.event("show", ({ owner }) => owner === app.owner);
  expect(shown).toMatchObject({ title: "Terns: fourteen", actions: [{ action: "far", title: "How far?" }] });
  await shell.ask("displayed", { notificationId: shown.notificationId });
  expect(await shell.event("badge", ({ owner }) => owner === app.owner)).toMatchObject({ badge: 3 });
  expect((await app.getNotifications()).map(({ title }) => title)).toEqual(["Terns: fourteen"]);
  await shell.ask("activate", { notificationId: shown.notificationId, action: "far" });
  expect(await clicks.at(0)).toBe("Terns: fourteen far");
  expect(await app.getNotifications()).toEqual([]);
  await shell.close();
});

test("the errors of subscribe() are those of the W3C, in its order", async () => {
  const installed = await install();
  const app = connected(installed);
  const { publicKey } = sender.keys;
  const tries = (applicationServerKey: string | Uint8Array) =>
    nameOf(app.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey }));
  await admin.ask("setPermission", { owner: installed.owner, permission: "denied" });
  expect(await tries("*")).toBe("InvalidCharacterError ERR_SUBSCRIBE_KEY_CHARACTERS");
  expect(await tries(new Uint8Array(65))).toBe("InvalidAccessError ERR_SUBSCRIBE_KEY_POINT");
  expect(await tries(publicKey)).toBe("NotAllowedError ERR_SUBSCRIBE_PERMISSION");
  expect(await app.pushManager.permissionState()).toBe("denied");
  await admin.ask("setPermission", { owner: installed.owner, permission: "granted" });
  expect(await tries(publicKey)).toBe("no error");
  expect(await tries(publicKey)).toBe("no error");
  expect(await tries(new Sender(service).keys.publicKey)).toBe("InvalidStateError ERR_SUBSCRIBE_CONFLICT");
});

test("after the agent was killed and started again the app is there again, and nothing was lost", async () => {
  const app = connected(await install());
  const pushes = collect<PushEvent>();
  let finish = (): void => {};
  app.onpush = (event) => {
    pushes.add(event);
    return new Promise<void>((resolve) => {
      finish = resolve;
    });
  };
  const subscription = await subscribe(app);
  await sender.send(subscription.toJSON(), "in hand");
  const first = await pushes.at(0);

  let asked: Promise<unknown> = Promise.resolve();
  let shown: Promise<string> = Promise.resolve("");
  await killAround(() => {
    asked = app.pushManager.getSubscription();
    shown = nameOf(app.showNotification("was it shown?"));
  });
  expect(await shown).toBe("AbortError ERR_APP_CONNECTION");
  expect(first.signal.aborted).toBe(true);
  finish();
  await sender.send(subscription.toJSON(), "meanwhile");
  await agent.start();
  admin = await agent.enterAdmin();

  expect(JSON.parse(JSON.stringify(await asked))).toEqual(subscription.toJSON());
  const second = await pushes.at(1);
  expect(second.data?.text()).toBe("in hand");
  expect([second.redelivered, second.messageId]).toEqual([true, first.messageId]);
  finish();
  expect((await pushes.at(2)).data?.text()).toBe("meanwhile");
  finish();
  await sender.send(subscription.toJSON(), "last");
  // One at a time: those before are handled.
  expect((await pushes.at(3)).data?.text()).toBe("last");
  expect(pushes.items).toHaveLength(4);
  expect(await app.getNotifications()).toEqual([]);
});

test("a token that was replaced is read again; one that is good no more is refused for good", async () => {
  const installed = await install();
  const app = connected(installed);
  await subscribe(app);
  await renewToken(installed);
  expect(await app.pushManager.permissionState()).toBe("granted");
  // Another token, which does not get into the file.
  await admin.ask("installApp", { owner: installed.owner, start: null, tokenFile: null });
  await vi.waitFor(async () => {
    expect(await nameOf(app.pushManager.permissionState())).toBe("NotAllowedError ERR_APP_AUTH");
  });
  expect(app.isConnected).toBe(false);
});

test("a subscription that ended is told, while the app is there and when it was away", async () => {
  const installed = await install();
  const app = connected(installed);
  const changes = collect<PushSubscriptionChangeEvent>();
  app.onpushsubscriptionchange = changes.add;
  const { endpoint } = await subscribe(app);
  await admin.ask("setPermission", { owner: installed.owner, permission: "denied" });
  expect((await changes.at(0)).oldSubscription?.endpoint).toBe(endpoint);
  expect((await changes.at(0)).newSubscription).toBeNull();

  await admin.ask("setPermission", { owner: installed.owner, permission: "granted" });
  const again = await subscribe(app);
  app.close();
  await admin.ask("clearData", { owner: installed.owner });
  const later = connect({
    ...installed,
    socketPath: agent.socketPath,
    lastEndpoint: again.endpoint,
  });
  apps.push(later);
  later.onpushsubscriptionchange = changes.add;
  expect((await changes.at(1)).newSubscription).toBeNull();
  await later.pushManager.permissionState();
  expect(changes.items).toHaveLength(2);
});

test("a handler that comes late is told of the messages that came before", async () => {
  const shell = await agent.enterShell();
  const app = connected(await install());
  const warnings = collect<string>();
  app.onwarning = (event) => {
    event.preventDefault();
    warnings.add(event.code);
  };
  const subscription = await subscribe(app);
  const declared = { title: "Shown as it is", navigate: "https://news.example/" };
  await sender.send(
    subscription.toJSON(),
    JSON.stringify({ web_push: 8030, notification: declared, mutable: true }),
  );
  await shell.event("show", ({ title }) => title === declared.title);
  app.onpush = () => {};
  expect(await warnings.at(0)).toBe("late-handler");
  await shell.close();
});

test("an app that the agent starts finds everything in its environment", async () => {
  const shell = await agent.enterShell();
  const installed = await install([process.execPath, CHILD]);
  const app = connected(installed);
  // It has a handler, or it would never be started.
  app.onpush = () => {};
  const subscription = await subscribe(app);
  app.close();
  await sender.send(subscription.toJSON(), "wake up");
  const shown = await shell.event("show", ({ owner }) => owner === installed.owner);
  expect(shown.title).toBe(`${installed.owner}: wake up`);
  await shell.ask("activate", { notificationId: shown.notificationId, action: "" });
  expect(await shell.event("show", ({ title }) => title === "clicked the body")).toBeDefined();
  await admin.ask("uninstallApp", { owner: installed.owner });
  await shell.close();
});

test.each([
  ["nothing is said", () => ({})],
  [
    "the token file is not there",
    () => ({ owner: "app-0", socketPath: agent.socketPath, tokenFile: "/nowhere/token" }),
  ],
])("connect() fails at once when %s", async (_, options) => {
  expect(await nameOf((async () => connect(options()))())).toBe("TypeError ERR_CONFIG");
});
