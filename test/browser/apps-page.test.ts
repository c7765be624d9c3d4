// SPDX-License-Identifier: MIT
// Goal: a page written for browsers works with the scripts we ship: names, errors and their order, messages, coming back, and nothing
// native is replaced. Method: Chromium loads dist/apps.*.js from a server of loopback; the real agent and push service; `web-push` sends.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import type { SocketClient } from "../end-to-end/socket-client.ts";
import { Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { BROWSER_TEST_MS_MAX, CHROMIUM, launchChromium, newPage, type TestBrowser } from "./chromium.ts";

const FILES: Readonly<Record<string, readonly [type: string, body: string]>> = {
  "/": ["text/html", "<!doctype html><title>A page</title>"],
  "/installed": ["text/html", '<!doctype html><script src="/apps.install.js"></script>'],
  "/apps.browser.js": ["text/javascript", readFileSync("dist/apps.browser.js", "utf8")],
  "/apps.install.js": ["text/javascript", readFileSync("dist/apps.install.js", "utf8")],
  "/worker.js": ["text/javascript", ""],
};

describe.skipIf(CHROMIUM === null)("a page in Chromium", { timeout: BROWSER_TEST_MS_MAX }, () => {
  let stage: Stage;
  let service: ServiceProcess;
  let sender: Sender;
  let agent: RunningAgent;
  let chromium: TestBrowser;
  let origin: string;
  let injected: unknown;
  let page: Page;

  beforeAll(async () => {
    stage = new Stage();
    const server = createServer(({ url = "/" }, response) => {
      const [type, body] = FILES[url] ?? ["text/plain", ""];
      response.setHeader("Content-Type", type).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    stage.defer(() => {
      server.closeAllConnections();
      server.close();
    });
    origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    service = await stage.service();
    sender = new Sender(service);
    const policy = { permission: "granted", pageOrigins: [origin, other()] };
    agent = await RunningAgent.start(stage, { service, policy, hasPort: true });
    const shell = await agent.enterShell();
    injected = await shell.ask("pageSecret", { owner: origin });
    await shell.close();
    chromium = await launchChromium();
    stage.defer(() => chromium.close());
  });
  afterAll(() => stage?.close());
  afterEach(() => page?.context().close());

  /** The same server under another origin. */
  const other = () => origin.replace("localhost", "127.0.0.1");

  /** A page into which a shell injected what it got, before any script of the page ran. */
  async function open(path: string, { at = origin, before = "" } = {}): Promise<void> {
    page = await newPage(chromium.browser);
    await page.addInitScript(`globalThis.godwit = ${JSON.stringify(injected)}; ${before}`);
    await page.goto(at + path);
  }

  /** Name, class and code of what `expression` is rejected with. */
  const failureOf = (expression: string) =>
    page.evaluate<string>(
      `(${expression}).then(() => "no error", (error) => [error.constructor.name, error.name, error.godwitCode].join(" "))`,
    );
  const subscribe = (options: string) => `pushManager.subscribe(${options})`;
  const withKey = (key = sender.keys.publicKey) =>
    subscribe(`{ userVisibleOnly: true, applicationServerKey: "${key}" }`);

  test("offers pushManager at both places, and replaces nothing native", async () => {
    await open("/installed", { before: "globalThis.before = [PushManager, 'pushManager' in window];" });
    expect(
      await page.evaluate(`[
        before[1], window.pushManager === navigator.pushManager, PushManager === before[0],
        Object.keys(window).includes("pushManager"),
        ["subscribe", "getSubscription", "permissionState"].every((name) => typeof pushManager[name] === "function"),
      ]`),
    ).toEqual([false, true, true, true, true]);
    expect(
      await page.evaluate(`navigator.serviceWorker.register("/worker.js").then(({ pushManager: native }) => [
        native instanceof PushManager, native === window.pushManager, String(native.subscribe).includes("[native code]"),
      ])`),
    ).toEqual([true, false, true]);
  });

  test("leaves a window that has a push manager as it is", async () => {
    await open("/installed", {
      before: `globalThis.native = {}; for (const place of [window, Navigator.prototype])
        Object.defineProperty(place, "pushManager", { get: () => native, configurable: true });`,
    });
    expect(await page.evaluate("window.pushManager === native && navigator.pushManager === native")).toBe(
      true,
    );
  });

  test("does nothing in a page no shell has injected anything into", async () => {
    page = await newPage(chromium.browser);
    await page.goto(`${origin}/installed`);
    expect(await page.evaluate("'pushManager' in window || 'pushManager' in navigator")).toBe(false);
  });

  test("subscribe() fails as the W3C says, and in its order", async () => {
    const admin = await agent.enterAdmin();
    await open("/installed");
    await admin.ask("setPermission", { owner: origin, permission: "denied" });
    expect(await page.evaluate("pushManager.permissionState()")).toBe("denied");
    expect(await failureOf(withKey("not base64url"))).toBe(
      "DOMException InvalidCharacterError ERR_SUBSCRIBE_KEY_CHARACTERS",
    );
    expect(await failureOf(subscribe("{ applicationServerKey: new Uint8Array(65) }"))).toBe(
      "DOMException InvalidAccessError ERR_SUBSCRIBE_KEY_POINT",
    );
    expect(await failureOf(withKey())).toBe("DOMException NotAllowedError ERR_SUBSCRIBE_PERMISSION");
    await admin.ask("setPermission", { owner: origin, permission: "granted" });
    expect(await failureOf(withKey())).toBe("no error");
    expect(await failureOf(withKey(new Sender(service).keys.publicKey))).toBe(
      "DOMException InvalidStateError ERR_SUBSCRIBE_CONFLICT",
    );
    expect(await failureOf(subscribe('{ declarative: "sometimes" }'))).toBe("TypeError TypeError ERR_OPTION");
    // The same key as bytes, in a view that does not begin where its buffer does.
    const same = `(() => {
      const key = Uint8Array.from(atob("${Buffer.from(sender.keys.publicKey, "base64url").toString("base64")}"), (c) => c.charCodeAt(0));
      const buffer = new Uint8Array(80);
      buffer.set(key, 9);
      return ${subscribe("{ userVisibleOnly: true, applicationServerKey: new DataView(buffer.buffer, 9, 65) }")};
    })()`;
    expect(await page.evaluate(`${same}.then(({ endpoint }) => endpoint)`)).toBe(
      await page.evaluate("pushManager.getSubscription().then(({ endpoint }) => endpoint)"),
    );
    await admin.close();
  });

  test("a page of another origin is refused, with the secret and all", async () => {
    await open("/installed", { at: other() });
    expect(await failureOf("pushManager.getSubscription()")).toBe(
      "DOMException NotAllowedError ERR_APP_AUTH",
    );
  });

  test("takes messages, shows notifications with links and actions, sets its badge; and all that again after the agent was killed", async () => {
    let shell: SocketClient = await agent.enterShell();
    await open("/");
    const subscription = await page.evaluate<PushSubscriptionJSON>(`(async () => {
      const { connect } = await import("/apps.browser.js");
      globalThis.app = connect({ jitter: () => 0.1 });
      app.onpush = async (event) => {
        document.title = event.data.text();
        await event.showNotification(event.data.text(), { navigate: "/read", actions: [{ action: "later", title: "Later" }] });
        await event.setAppBadge(7);
      };
      app.onnotificationclick = ({ action }) => { document.title = "clicked " + action; };
      await (await app.pushManager.getSubscription())?.unsubscribe();
      return (await app.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: "${sender.keys.publicKey}" })).toJSON();
    })()`);
    for (const text of ["one", "two"]) {
      await sender.send(subscription, text);
      const shown = await shell.event("show", ({ title }) => title === text);
      expect(shown).toMatchObject({
        owner: origin,
        actions: [{ action: "later", title: "Later" }],
        notification: { navigate: `${origin}/read` },
      });
      await shell.ask("displayed", { notificationId: shown.notificationId });
      await shell.event("badge", ({ owner, badge }) => owner === origin && badge === 7);
      expect(await page.title()).toBe(text);
      await shell.ask("activate", { notificationId: shown.notificationId, action: "later" });
      await page.waitForFunction(`document.title === "clicked later"`);
      if (text === "two") break;

      await agent.program.end("SIGKILL");
      await page.waitForFunction("!app.isConnected");
      await agent.start();
      await page.waitForFunction("app.isConnected");
      shell = await agent.enterShell();
    }
    await shell.close();
  });

  test("comes back at once when it is seen again", async () => {
    await open("/");
    await page.evaluate(`(async () => {
      const { connect } = await import("/apps.browser.js");
      globalThis.app = connect({ jitter: () => 1e6 });
      await app.pushManager.permissionState();
    })()`);
    await agent.program.end("SIGKILL");
    await page.waitForFunction("!app.isConnected");
    await agent.start();
    // Its next own try is days away.
    await page.evaluate(`document.dispatchEvent(new Event("visibilitychange"))`);
    await page.waitForFunction("app.isConnected");
  });
});
