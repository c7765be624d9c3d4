// SPDX-License-Identifier: MIT
// Goal: what pages load is small and needs nothing. Method: measure the built scripts against their budget, and run the one that
// installs itself in an empty realm that has the Web APIs it may use and no others.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { createContext, runInContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { expect, test, vi } from "vitest";
import type * as Apps from "../../src/apps/index.ts";
import { PlayedAgent } from "./played-agent.ts";

const SCRIPTS = ["dist/apps.browser.js", "dist/apps.install.js"];
const WEB_APIS = {
  crypto,
  URL,
  TextEncoder,
  performance,
  Event,
  EventTarget,
  AbortController,
  DOMException,
  TextDecoder,
  atob,
  btoa,
  setTimeout,
  clearTimeout,
};

const { bundle } = JSON.parse(readFileSync("bench/budgets.json", "utf8"));

test.each(SCRIPTS)("%s is within its budget, of at most 6 KiB gzipped", (path) => {
  const code = readFileSync(path);
  expect(bundle.apps.gzipBytesMax).toBeLessThanOrEqual(6144);
  expect(code.length).toBeLessThanOrEqual(bundle.apps.bytesMax);
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(bundle.apps.gzipBytesMax);
});

test.each(SCRIPTS)("%s imports nothing", (path) => {
  expect(readFileSync(path, "utf8")).not.toMatch(/\bimport\b|\brequire\b|node:/);
});

test("the script installs a push manager that connects with what the shell injected", async () => {
  const dialed: unknown[][] = [];
  class WebSocket {
    constructor(...args: unknown[]) {
      dialed.push(args);
      throw new SyntaxError("nobody is there");
    }
  }
  const godwit = { url: "ws://127.0.0.1:7/v1/app", owner: "https://news.example", secret: "injected" };
  const realm = createContext({ ...WEB_APIS, WebSocket, godwit, navigator: {} });
  runInContext(readFileSync("dist/apps.install.js", "utf8"), realm);
  expect(
    runInContext("pushManager === navigator.pushManager && pushManager instanceof PushManager", realm),
  ).toBe(true);
  expect(dialed).toEqual([]);
  await expect(
    runInContext("pushManager.subscribe({ applicationServerKey: '*' })", realm),
  ).rejects.toMatchObject({
    name: "InvalidCharacterError",
    godwitCode: "ERR_SUBSCRIBE_KEY_CHARACTERS",
  });
  expect(dialed).toEqual([]);
  await expect(runInContext("pushManager.permissionState()", realm)).rejects.toMatchObject({
    name: "SyntaxError",
  });
  expect(dialed).toEqual([["ws://127.0.0.1:7/v1/app", "godwit.app.v1"]]);
});

test("the module does the same as its source: names that were shortened are so on both sides", async () => {
  const { connect }: typeof Apps = await import(pathToFileURL("dist/apps.browser.js").href);
  const agent = new PlayedAgent();
  const [url, owner] = ["ws://127.0.0.1:7/v1/app", "https://news.example"];
  const app = connect({ url, owner, token: "injected", WebSocket: agent.WebSocket, jitter: () => 0 });
  const heard: unknown[] = [];
  app.onpush = ({ data, signal }) => {
    heard.push(data?.text());
    signal.onabort = () => heard.push("aborted");
    return new Promise(() => {});
  };
  app.onnotificationclick = ({ action }) => heard.push(action);
  app.onpushsubscriptionchange = ({ oldSubscription, newSubscription }) =>
    heard.push([oldSubscription?.endpoint, newSubscription?.endpoint]);
  app.addEventListener("warning", (event) => {
    event.preventDefault();
    heard.push(event.code);
  });
  const enter = async (): Promise<void> => {
    agent.last.open();
    agent.last.answer("challenge", { challenge: "prove it" });
    await vi.waitFor(() => expect(agent.last.types()).toEqual(["challenge", "hello"]));
    agent.last.answer("hello", {});
  };
  await enter();
  expect(app.isConnected).toBe(true);
  const subscribing = app.pushManager.subscribe();
  const subscription = {
    ...{ subscriptionId: 1, endpoint: "https://push.example/1", expirationTime: null, p256dh: "AAAA" },
    ...{ auth: "AAAA", applicationServerKey: null, userVisibleOnly: false },
  };
  agent.last.answer("subscribe", { subscription });
  expect((await subscribing).toJSON()).toMatchObject({ keys: { p256dh: "AAAA", auth: "AAAA" } });
  const notification = { title: "Terns" } as never;
  agent.last
    .event({
      ...{ event: "push", deliveryId: 1, subscriptionId: 1, messageId: "m", redelivered: false },
      ...{ data: btoa("hello").replace("=", ""), notification: null, appBadge: null },
    })
    .event({ event: "notificationclick", notification, action: "read" })
    .event({ event: "warning", code: "late-handler", text: "late" });
  const asked = app.pushManager.permissionState();
  agent.last.lose();
  await vi.waitFor(() => expect(agent.connections).toHaveLength(2));
  await enter();
  expect(agent.last.last("attach")).toMatchObject({ handlesPush: true });
  agent.last.answer("permissionState", { permission: "granted" });
  expect(await asked).toBe("granted");
  const renewed = { ...subscription, endpoint: "https://push.example/2" };
  agent.last.answer("getSubscription", { subscription: renewed });
  await vi.waitFor(() => expect(heard).toHaveLength(5));
  expect(heard).toEqual([
    "hello",
    "read",
    "late-handler",
    "aborted",
    [subscription.endpoint, renewed.endpoint],
  ]);
  app.close();
  expect(agent.last.isClosed).toBe(true);
  await expect(app.setAppBadge(1)).rejects.toMatchObject({
    name: "AbortError",
    godwitCode: "ERR_APP_CONNECTION",
  });
});
