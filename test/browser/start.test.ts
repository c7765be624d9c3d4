// SPDX-License-Identifier: MIT
// Goal: a newcomer with a browser opens the link that `npm start` prints, sees the two notifications, and clicks one. Method:
// the demo as a process, its link in a real Chromium.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Stage } from "../end-to-end/stage.ts";
import { BROWSER_TEST_MS_MAX, CHROMIUM, launchChromium, newPage } from "./chromium.ts";

describe.skipIf(CHROMIUM === null)("npm start in a browser", { timeout: BROWSER_TEST_MS_MAX }, () => {
  let stage: Stage;
  beforeAll(() => {
    stage = new Stage();
  });
  afterAll(() => stage.close());

  test("the printed link opens the dashboard; a click on a notification opens its link, and it goes", async () => {
    const demo = stage.godwit(["demo", "--state", stage.newDirectory()]);
    const link = (await demo.stderr.match(/127\.0\.0\.1:\d+\/#code=/)).trim();
    const { browser, close } = await launchChromium();
    stage.defer(close);
    const page = await newPage(browser);
    await page.goto(link);
    await page.getByText("Ada: lunch at noon?").first().waitFor();
    const notification = page.getByRole("listitem").filter({ hasText: "Godwits reach New Zealand" }).first();
    await notification.getByRole("button", { name: /^Open/ }).first().click();
    await demo.stdout.match(/was clicked: its link https:\/\/news\.example\/stories\/godwits opens$/);
    await demo.stdout.match(/\(1\) closed$/);
    await demo.end("SIGINT");
    expect((await demo.exited).code).toBe(0);
  });
});
