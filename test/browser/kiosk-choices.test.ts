// SPDX-License-Identifier: MIT
// Goal: what a person decides about a kiosk's page is seen at once in page and shell, reaches the push service, and outlives an agent that is killed.
// Method: examples/kiosk as it is run, in a real Chromium; the real agent and push service; `web-push` sends.

import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Stage } from "../end-to-end/stage.ts";
import { BROWSER_TEST_MS_MAX, CHROMIUM } from "./chromium.ts";
import { KioskStage } from "./kiosk-stage.ts";
import { type RunningKiosk, startLauncher } from "./running-kiosk.ts";

const GONE = 410;
const DENIED = "This kiosk does not allow notices.";

describe.skipIf(CHROMIUM === null)("at a kiosk", { timeout: BROWSER_TEST_MS_MAX }, () => {
  let stage: KioskStage;
  let kiosk: RunningKiosk;
  let owner: string;

  beforeAll(async () => {
    stage = await KioskStage.start();
    kiosk = stage.kiosk;
    owner = kiosk.origin;
  });
  afterAll(() => stage?.close());
  beforeEach(async () => {
    await stage.ask("uninstallApp", { owner });
    await visit();
    await kiosk.says("Notices are off.");
  });

  const news = (title: string) => ({ title, navigate: "/notices" });

  /** The page, loaded anew. */
  async function visit(): Promise<void> {
    const frame = await kiosk.frame();
    await frame.goto(`${owner}/`);
  }

  async function subscribe(): Promise<void> {
    await kiosk.pressInPage("Turn on notices");
    await kiosk.press("Allow");
    await kiosk.says("Notices are on.");
    await expect.poll(() => existsSync(stage.subscriptionFile)).toBe(true);
  }

  async function killAgent(): Promise<void> {
    await stage.agent.program.end("SIGKILL");
    await kiosk.page.locator("#agent", { hasText: "away" }).waitFor();
  }

  async function startAgent(): Promise<void> {
    await stage.agent.start();
    await kiosk.page.locator("#agent", { hasText: /^$/ }).waitFor({ state: "attached" });
  }

  test("an agent that is killed takes nothing from the screen; clicks, messages of meanwhile and new ones come after", async () => {
    await subscribe();
    await stage.send(news("Before"), 2);
    await stage.card("Before").waitFor();
    await killAgent();
    expect(await stage.card("Before").count()).toBe(1);
    expect(await stage.send(news("Meanwhile"))).toBe(201);
    await startAgent();
    await stage.card("Meanwhile").waitFor();
    await stage.badge.filter({ hasText: "2" }).waitFor();
    await stage.card("Before").locator(".open").click();
    await stage.heading("Notices").waitFor();
    await kiosk.says("Notices are on.");
    await stage.send(news("After"));
    await stage.card("After").waitFor();
  });

  test("Never is kept, also by an agent that was killed, and the page does not ask again", async () => {
    await kiosk.pressInPage("Turn on notices");
    await kiosk.press("Never");
    await kiosk.says(DENIED);
    await killAgent();
    await startAgent();
    await visit();
    await kiosk.says(DENIED);
    const frame = await kiosk.frame();
    expect(
      await frame.evaluate("pushManager.subscribe({ userVisibleOnly: true }).catch(({ name }) => name)"),
    ).toBe("NotAllowedError");
    expect(await stage.question.count()).toBe(0);
  });

  test("an opt-out ends the subscription everywhere; taken back, the page may subscribe without a question", async () => {
    await subscribe();
    const before = stage.subscription();
    await stage.ask("setOptedOut", { owner, optedOut: true });
    await kiosk.says(DENIED);
    await expect.poll(() => existsSync(stage.subscriptionFile)).toBe(false);
    await expect.poll(() => stage.send(news("Late"), undefined, before)).toBe(GONE);
    await killAgent();
    await startAgent();
    await visit();
    await kiosk.says(DENIED);

    await stage.ask("setOptedOut", { owner, optedOut: false });
    await visit();
    await kiosk.pressInPage("Turn on notices");
    await kiosk.says("Notices are on.");
    expect(stage.subscription().endpoint).not.toBe(before.endpoint);
    await stage.send(news("Welcome back"));
    await stage.card("Welcome back").waitFor();
  });

  test("clearing its data takes notifications, badge and subscription away, and leaves the permission", async () => {
    await subscribe();
    const before = stage.subscription();
    await stage.send(news("Old"), 1);
    await stage.card("Old").waitFor();
    await stage.badge.waitFor();
    await stage.ask("clearData", { owner });
    await stage.card("Old").waitFor({ state: "detached" });
    await stage.badge.waitFor({ state: "hidden" });
    await kiosk.says("Notices are off.");
    await expect.poll(() => stage.send(news("Late"), undefined, before)).toBe(GONE);
    await killAgent();
    await startAgent();
    await kiosk.pressInPage("Turn on notices");
    await kiosk.says("Notices are on.");
  });

  test("a page that was uninstalled finds itself new at the next touch", async () => {
    await subscribe();
    await stage.ask("uninstallApp", { owner });
    await kiosk.pressInPage("Turn off notices");
    await kiosk.says("Notices are off.");
    await subscribe();
  });

  test("after a factory reset the page is as new", async () => {
    await subscribe();
    await stage.send(news("Old"));
    await stage.card("Old").waitFor();
    await stage.ask("factoryReset");
    await stage.card("Old").waitFor({ state: "detached" });
    await kiosk.says("Notices are off.");
    await subscribe();
  });
});

describe("the launcher", () => {
  let stage: Stage;
  beforeAll(() => {
    stage = new Stage();
  });
  afterAll(() => stage.close());

  async function outcomeOf(...args: readonly string[]) {
    const program = startLauncher(stage, args);
    const { code } = await program.exited;
    return { code, stderr: program.stderr.all };
  }

  test.skipIf(process.getuid?.() !== 0)("refuses root, for whom Chromium has no sandbox", async () => {
    const { code, stderr } = await outcomeOf("--data", stage.newDirectory());
    expect(code).toBe(1);
    expect(stderr).toEqual([
      expect.stringMatching(/^kiosk: Chromium has no sandbox for root: run the kiosk/),
    ]);
  });

  test("does not start where somebody else has the page's port", async () => {
    const somebody = createServer();
    await new Promise<void>((resolve) => somebody.listen(0, "127.0.0.1", resolve));
    const { port } = somebody.address() as AddressInfo;
    const args = ["--data", stage.newDirectory(), "--port", String(port), "--", "--no-sandbox"];
    const { code, stderr } = await outcomeOf(...args);
    expect(code).toBe(1);
    expect(stderr.at(-1)).toBe(`kiosk: port ${port} cannot be had: EADDRINUSE`);
    somebody.close();
  });

  test("says why there is no browser", async () => {
    const chromium = join(stage.newDirectory(), "chromium");
    const args = [
      "--data",
      stage.newDirectory(),
      "--port",
      "0",
      "--chromium",
      chromium,
      "--",
      "--no-sandbox",
    ];
    const { code, stderr } = await outcomeOf(...args);
    expect(code).toBe(1);
    expect(stderr.at(-1)).toBe(`kiosk: the browser is gone: spawn ${chromium} ENOENT`);
  });

  test.each([[["--port", "many"]], [["--frobnicate"]]])("%j is a mistake", async (args) => {
    const { code, stderr } = await outcomeOf(...args);
    expect(code).toBe(2);
    expect(stderr[0]).toBe("usage: node kiosk.mjs [OPTIONS] [-- CHROMIUM'S FLAGS]");
  });
});
