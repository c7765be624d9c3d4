// SPDX-License-Identifier: MIT
// Goal: a person at a kiosk is asked, sees notifications, chooses, and can undo; the page's secret stays in the page. Method:
// examples/kiosk as it is run, in a real Chromium; the real agent and push service; `web-push` sends with the key pair the kiosk made.

import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Locator } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RunningAgent } from "../end-to-end/running-agent.ts";
import type { SocketClient } from "../end-to-end/socket-client.ts";
import { Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { BROWSER_TEST_MS_MAX, CHROMIUM, type Scheme } from "./chromium.ts";
import { RunningKiosk } from "./running-kiosk.ts";

const ELSEWHERE = "tern.example";
const WIDTHS = [320, 1280];
/** Where to leave pictures for somebody to look at. */
const { GODWIT_SHOTS: SHOTS } = process.env;
const SCHEMES: readonly Scheme[] = ["light", "dark"];

describe.skipIf(CHROMIUM === null)("a kiosk", { timeout: BROWSER_TEST_MS_MAX }, () => {
  let stage: Stage;
  let service: ServiceProcess;
  let agent: RunningAgent;
  let kiosk: RunningKiosk;
  let admin: SocketClient;
  let data: string;
  let elsewhere: string;

  beforeAll(async () => {
    stage = new Stage();
    service = await stage.service();
    const server = createServer((_, response) => {
      response.setHeader("Content-Type", "text/html").end("<!doctype html><h1>Terns</h1>");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    stage.defer(() => {
      server.closeAllConnections();
      server.close();
    });
    elsewhere = `http://${ELSEWHERE}:${(server.address() as AddressInfo).port}`;
    data = stage.newDirectory();
    // The kiosk waits for an agent that starts later.
    const [state, flags] = [stage.newDirectory(), [`--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`]];
    kiosk = await RunningKiosk.start(stage, { state, data, port: 0, flags });
    const policy = { permission: "ask", pageOrigins: [kiosk.origin], httpAllowed: true };
    agent = await RunningAgent.start(stage, { service, policy, hasPort: true, state });
    admin = await agent.enterAdmin();
  });
  afterAll(async () => {
    // In order: killed, its Chromium would still write to its profile for a while.
    const end = await kiosk?.program.end("SIGTERM");
    await stage?.close();
    expect(end).toEqual({ code: 0, signal: null });
  });

  const subscriptionFile = () => join(data, "subscription.json");
  const cards = (): Locator => kiosk.page.locator("#notifications > li");
  const card = (title: string): Locator => cards().filter({ hasText: title });
  const question = (): Locator => kiosk.page.locator("#questions > li");
  /** Of what is in the frame. */
  const heading = (text: string): Locator =>
    kiosk.page.frameLocator("#frame").locator("h1:visible", { hasText: text });
  const frameUrls = () =>
    kiosk.page
      .frames()
      .slice(1)
      .map((frame) => frame.url());

  async function send(notification: object, badge?: number): Promise<void> {
    const sender = new Sender(service, { keys: JSON.parse(readFileSync(join(data, "vapid.json"), "utf8")) });
    const subscription = JSON.parse(readFileSync(subscriptionFile(), "utf8"));
    const message = { web_push: 8030, notification, ...(badge === undefined ? {} : { app_badge: badge }) };
    await sender.send(subscription, JSON.stringify(message));
  }

  const FERRY = {
    title: "The 10:15 to Seal Island leaves late",
    body: "Fog on the water.",
    navigate: "/notices",
    actions: [
      { action: "bus", title: "Take the bus", navigate: "/bus" },
      { action: "terns", title: "Watch terns", navigate: "" },
    ],
  };
  const ferry = (title = FERRY.title) => ({
    ...FERRY,
    title,
    actions: FERRY.actions.map((action) => ({ ...action, navigate: action.navigate || `${elsewhere}/` })),
  });

  /** Nothing is cut off or wider than the screen, in the shell and in the page. */
  async function expectFits(name: string): Promise<void> {
    for (const width of WIDTHS)
      for (const colorScheme of SCHEMES) {
        await kiosk.page.setViewportSize({ width, height: width < 600 ? 640 : 800 });
        await kiosk.page.emulateMedia({ colorScheme });
        await kiosk.page.screenshot({ path: join(SHOTS ?? data, `${name}-${width}-${colorScheme}.png`) });
        for (const frame of kiosk.page.frames())
          expect(await frame.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
        const small = `[...document.querySelectorAll("button")].map((button) => button.getBoundingClientRect())
          .filter(({ width, height }) => width > 0 && (width < 24 || height < 24)).length`;
        expect(await kiosk.page.evaluate(small)).toBe(0);
      }
  }

  /** Nowhere but in the page itself, and the shell does not know it either. */
  async function expectNoSecret(): Promise<void> {
    for (const frame of kiosk.page.frames())
      expect(await frame.evaluate("'godwit' in globalThis")).toBe(frame.url().startsWith(kiosk.origin));
  }

  test("asks before the page may show notifications, and takes no answer that comes too soon to be one", async () => {
    await kiosk.says("Notices are off.");
    // A finger that is on its way to something else.
    await kiosk.page.evaluate(`new MutationObserver((_, observer) => {
      observer.disconnect();
      for (const button of document.querySelectorAll("#questions button")) button.click();
    }).observe(document.querySelector("#questions"), { childList: true })`);
    await kiosk.pressInPage("Turn on notices");
    await question()
      .filter({ hasText: kiosk.origin.replace("http://", "") })
      .waitFor();
    expect(await admin.ask("status")).toMatchObject({ subscriptions: [] });
    await kiosk.press("Not now");
    await kiosk.says("Notices are off.");
    expect(await question().count()).toBe(0);

    await kiosk.pressInPage("Turn on notices");
    await kiosk.press("Allow");
    await kiosk.says("Notices are on.");
    await expect.poll(() => existsSync(subscriptionFile())).toBe(true);
  });

  test("shows a notification with its actions and the badge; a click on an action opens its link", async () => {
    await send(ferry(), 3);
    await card(FERRY.title).waitFor();
    await kiosk.page.locator("#badge", { hasText: "3" }).waitFor();
    await expectFits("kiosk-notification");
    await kiosk.press("Take the bus");
    await heading("Bus instead").waitFor();
    expect(frameUrls()).toEqual([`${kiosk.origin}/bus`]);
    await card(FERRY.title).waitFor({ state: "detached" });

    await send(ferry("Again"));
    await card("Again").locator(".open").click();
    await heading("Notices").waitFor();
    // The page that is seen clears the badge.
    await kiosk.page.locator("#badge").waitFor({ state: "hidden" });
  });

  test("a notification that is closed is gone, also for the agent", async () => {
    await send(ferry("Unwanted"));
    await kiosk.press("Close: Unwanted");
    await card("Unwanted").waitFor({ state: "detached" });
    expect(await admin.ask("notifications")).toEqual([]);
  });

  test("asks before it opens a page elsewhere, says where it is then, and leads back", async () => {
    await send(ferry());
    await kiosk.press("Watch terns");
    await question().filter({ hasText: ELSEWHERE }).waitFor();
    await expectFits("kiosk-question");
    await kiosk.press("Stay here");
    await question().waitFor({ state: "detached" });
    expect(frameUrls()).toEqual([`${kiosk.origin}/notices`]);

    await send(ferry("Once more"));
    await card("Once more").getByRole("button", { name: "Watch terns" }).click();
    await kiosk.press("Open");
    await heading("Terns").waitFor();
    await kiosk.page.locator("#place", { hasText: new URL(elsewhere).host }).waitFor();
    expect(frameUrls()).toEqual([`${elsewhere}/`]);
    await expectNoSecret();
    await kiosk.press("Back");
    await kiosk.says("Notices are on.");
    await expectNoSecret();
  });

  test("the page can neither take its frame elsewhere, nor open a window, nor speak for the shell", async () => {
    const frame = await kiosk.frame();
    expect(await frame.evaluate("[typeof godwit.secret, typeof tellKiosk, window.open('/')]")).toEqual([
      "string",
      "undefined",
      null,
    ]);
    await frame.evaluate(`try { top.location = "${elsewhere}" } catch {}`);
    const navigated = kiosk.page.waitForEvent("framenavigated");
    await frame.evaluate(`location = "${elsewhere}"`);
    await navigated;
    expect(frameUrls()).not.toContain(`${elsewhere}/`);
    expect(kiosk.page.url()).toMatch(/^http:\/\/127\.0\.0\.2:/);
    for (const each of kiosk.page.frames()) expect(await each.evaluate("'godwit' in globalThis")).toBe(false);
  });
});
