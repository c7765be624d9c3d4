// SPDX-License-Identifier: MIT
// Goal: at a kiosk a person is asked, sees notifications and follows them; the page's secret stays in the page, which cannot pass for
// the shell. Method: examples/kiosk as it is run, in a real Chromium; the real agent and push service; `web-push` sends.

import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BROWSER_TEST_MS_MAX, CHROMIUM } from "./chromium.ts";
import { KioskStage } from "./kiosk-stage.ts";
import { contrastFaults } from "./page-checks.ts";
import type { RunningKiosk } from "./running-kiosk.ts";

const HOST = "tern.example";
/** Where to leave what the pages look like, for people to see. */
const PICTURES = process.env.GODWIT_PICTURES ?? null;

describe.skipIf(CHROMIUM === null)("a kiosk", { timeout: BROWSER_TEST_MS_MAX }, () => {
  let stage: KioskStage;
  let kiosk: RunningKiosk;
  let elsewhere: string;
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html").end("<!doctype html><h1>Terns</h1>");
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    elsewhere = `http://${HOST}:${(server.address() as AddressInfo).port}`;
    stage = await KioskStage.start([`--host-resolver-rules=MAP ${HOST} 127.0.0.1`]);
    kiosk = stage.kiosk;
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    if (stage !== undefined) expect(await stage.close()).toEqual({ code: 0, signal: null });
  });

  const ferry = (title: string) => ({
    title,
    body: "Fog on the water.",
    navigate: "/notices",
    actions: [
      { action: "bus", title: "Take the bus", navigate: "/bus" },
      { action: "terns", title: "Watch terns", navigate: `${elsewhere}/` },
    ],
  });

  /** In shell and page: nothing is wider than the screen, too small to hit or too faint to read. */
  async function expectFit(name: string): Promise<void> {
    for (const width of [320, 1280])
      for (const colorScheme of ["light", "dark"] as const) {
        await kiosk.page.setViewportSize({ width, height: width < 600 ? 640 : 800 });
        await kiosk.page.emulateMedia({ colorScheme });
        if (PICTURES !== null)
          await kiosk.page.screenshot({ path: join(PICTURES, `${name}-${width}-${colorScheme}.png`) });
        for (const frame of kiosk.page.frames()) {
          expect(await frame.evaluate("document.documentElement.scrollWidth <= innerWidth")).toBe(true);
          expect(await contrastFaults(frame)).toEqual([]);
        }
        const small = `[...document.querySelectorAll("button")].map((button) => button.getBoundingClientRect())
          .filter(({ width, height }) => width > 0 && (width < 24 || height < 24)).length`;
        expect(await kiosk.page.evaluate(small)).toBe(0);
      }
  }

  const focus = () =>
    kiosk.page.evaluate(`(() => {
      const at = document.activeElement;
      const isSeen = getComputedStyle(at).outlineStyle !== "none";
      return { name: at.getAttribute("aria-label") ?? at.textContent, isSeen };
    })()`);

  /** Who has the secret: the page, and nothing else that is open. */
  async function expectSecretAtHomeOnly(): Promise<void> {
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
    await stage.question.filter({ hasText: kiosk.origin.replace("http://", "") }).waitFor();
    await kiosk.press("Not now");
    await kiosk.says("Notices are off.");
    expect(await stage.ask("status")).toMatchObject({ subscriptions: [] });

    await kiosk.pressInPage("Turn on notices");
    await kiosk.press("Allow");
    await kiosk.says("Notices are on.");
    await kiosk.program.stderr.match(/the page has subscribed/);
    expect(existsSync(stage.subscriptionFile)).toBe(true);
  });

  test("shows a notification with its actions, and the badge; a click on an action opens its link", async () => {
    expect(await stage.send(ferry("The 10:15 to Seal Island leaves late"), 3)).toBe(201);
    await stage.card("The 10:15").waitFor();
    await stage.badge.filter({ hasText: "3" }).waitFor();
    await expectFit("kiosk-notification");
    await kiosk.press("Take the bus");
    await stage.heading("Bus instead").waitFor();
    expect(stage.urls).toEqual([`${kiosk.origin}/bus`]);
    await stage.card("The 10:15").waitFor({ state: "detached" });
  });

  test("a click on its body opens the notification's own link; the page that is seen clears the badge", async () => {
    await stage.send(ferry("Again"));
    await stage.card("Again").locator(".open").click();
    await stage.heading("Notices").waitFor();
    expect(stage.urls).toEqual([`${kiosk.origin}/notices`]);
    await stage.badge.waitFor({ state: "hidden" });
  });

  test("a notification that is closed is gone, also for the agent", async () => {
    await stage.send(ferry("Unwanted"));
    await kiosk.press("Close: Unwanted");
    await stage.card("Unwanted").waitFor({ state: "detached" });
    expect(await stage.ask("notifications")).toEqual([]);
  });

  test("everything can be reached and seen with the keyboard, and Enter opens what it is on", async () => {
    await stage.send(ferry("By hand"));
    await stage.card("By hand").waitFor();
    await kiosk.page.locator("#tray-title").focus();
    for (const name of ["By handFog on the water.", "Take the bus", "Watch terns", "Close: By hand"]) {
      await kiosk.page.keyboard.press("Tab");
      expect(await focus()).toEqual({ name, isSeen: true });
    }
    for (const _ of ["Watch terns", "Take the bus"]) await kiosk.page.keyboard.press("Shift+Tab");
    await kiosk.page.keyboard.press("Enter");
    await stage.heading("Bus instead").waitFor();
  });

  test("asks before it opens a page elsewhere, says where it is then, and leads back", async () => {
    await stage.send(ferry("Once"));
    await stage.card("Once").getByRole("button", { name: "Watch terns" }).click();
    await stage.question.filter({ hasText: HOST }).waitFor();
    await expectFit("kiosk-question");
    await kiosk.press("Stay here");
    await stage.question.waitFor({ state: "detached" });
    expect(stage.urls).toEqual([`${kiosk.origin}/bus`]);

    await stage.send(ferry("Once more"));
    await stage.card("Once more").getByRole("button", { name: "Watch terns" }).click();
    await kiosk.press("Open");
    await stage.heading("Terns").waitFor();
    await kiosk.page.locator("#place", { hasText: new URL(elsewhere).host }).waitFor();
    expect(stage.urls).toEqual([`${elsewhere}/`]);
    await expectSecretAtHomeOnly();
    await kiosk.press("Back");
    await kiosk.says("Notices are on.");
    await expectSecretAtHomeOnly();
  });

  test("a question that was answered elsewhere goes", async () => {
    const shell = await stage.agent.enterShell();
    await stage.send(ferry("Answered"));
    const { notificationId } = await shell.event("show", ({ title }) => title === "Answered");
    await shell.ask("displayed", { notificationId });
    await shell.ask("activate", { notificationId, action: "terns" });
    await stage.question.waitFor();
    await shell.ask("answerNavigation", { notificationId, action: "terns", allowed: false });
    await stage.question.waitFor({ state: "detached" });
    await shell.close();
  });

  test("the page can neither take its frame elsewhere, nor open a window, nor speak for the shell", async () => {
    const frame = await kiosk.frame();
    expect(await frame.evaluate("[typeof godwit.secret, typeof tellKiosk, window.open('/')]")).toEqual([
      "string",
      "undefined",
      null,
    ]);
    expect(
      await frame.evaluate(
        `(() => { try { top.location = "${elsewhere}"; } catch { return "refused"; } })()`,
      ),
    ).toBe("refused");
    const navigated = kiosk.page.waitForEvent("framenavigated");
    await frame.evaluate(`location = "${elsewhere}"`);
    await navigated;
    expect(stage.urls).not.toContain(`${elsewhere}/`);
    await expectSecretAtHomeOnly();
    expect(new URL(kiosk.page.url()).hostname).toBe("127.0.0.2");
  });
});
