// SPDX-License-Identifier: MIT
// Goal: the dashboard is for everybody: with the keyboard alone, by what assistive technology is told, on a small screen, light
// and dark. Method: as dashboard.test.ts; Chromium's accessibility tree, the Tab key, sizes and colours as computed.

import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { BROWSER_TEST_MS_MAX, CHROMIUM } from "./chromium.ts";
import { DashboardStage, declared, dismiss, NEWS } from "./dashboard-stage.ts";
import { accessibilityTree, contrastFaults, tabStops } from "./page-checks.ts";

/** A directory that gets pictures, for looking at them. */
const PICTURES = process.env.GODWIT_PICTURES ?? null;

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES !== null) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}

describe.skipIf(CHROMIUM === null)("dashboard, for everybody", { timeout: BROWSER_TEST_MS_MAX }, () => {
  let world: DashboardStage;
  beforeAll(async () => {
    world = await DashboardStage.start();
  }, BROWSER_TEST_MS_MAX);
  afterEach(() => world.closePages());
  afterAll(() => world?.close());

  test("everything can be reached and done with the keyboard alone, and the focus is always seen", async () => {
    await world.subscribe(NEWS);
    const page = await world.openDashboard();
    await page.getByText("1 subscription").first().waitFor();
    const stops = await tabStops(page);
    expect(stops.filter(({ isSeen }) => !isSeen)).toEqual([]);
    const names = stops.map(({ name }) => name);
    for (const name of [
      "Send a test push",
      `Pause ${NEWS}`,
      `Push off ${NEWS}`,
      "Estimate for",
      "The figures as a table",
      "Newest first",
      "Factory reset…",
    ])
      expect(names).toContain(name);

    await page.getByRole("button", { name: `Clear data ${NEWS}` }).focus();
    await page.keyboard.press("Enter");
    const dialog = page.getByRole("dialog", { name: `Clear the data of ${NEWS}?` });
    await dialog.waitFor();
    // What cannot be undone is not what Enter does first.
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Cancel");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Clear data…");

    const pending = world.ask("https://asks.example").catch(() => {});
    await page.getByRole("button", { name: "Block: https://asks.example" }).focus();
    await page.keyboard.press("Enter");
    await pending;
    await page.getByRole("region", { name: "Your decision, please" }).waitFor({ state: "hidden" });
    await page.waitForFunction(`document.activeElement.textContent === "Connection"`);

    // A button that goes with what it was about leaves the focus at its section.
    const subscription = await world.ask(NEWS);
    await world.sender.send(subscription, declared("Gone soon"));
    const dismiss = page.getByRole("button", { name: "Dismiss: Gone soon" });
    await dismiss.focus();
    await page.keyboard.press("Enter");
    await dismiss.waitFor({ state: "detached" });
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Notifications");
  });

  test("assistive technology gets landmarks, headings, names for every control, and news", async () => {
    await world.subscribe(NEWS);
    const page = await world.openDashboard();
    await page.getByRole("heading", { name: NEWS }).waitFor();
    const tree = await accessibilityTree(page);
    const named = (role: string) => tree.filter((node) => node.role === role).map(({ name }) => name);
    expect(named("banner")).toHaveLength(1);
    expect(named("main")).toHaveLength(1);
    const sections = [
      "Connection",
      "Notifications",
      "Apps",
      "Wake-ups and energy",
      "Learned networks",
      "Recent events",
      "Start over",
    ];
    expect(named("region")).toEqual(sections);
    expect(named("heading")).toEqual(expect.arrayContaining(["Push on this device", ...sections, NEWS]));
    expect(tree.filter(({ role, level }) => role === "heading" && level === 1)).toHaveLength(1);
    for (const role of ["button", "switch", "combobox", "image", "group", "list"])
      expect(named(role).length, role).toBeGreaterThan(0);
    for (const role of ["button", "switch", "combobox", "region", "textbox"])
      expect(named(role).filter((name) => name === "")).toEqual([]);
    expect(named("switch")).toEqual(
      expect.arrayContaining(["Pause all apps", "Push off all apps", `Pause ${NEWS}`, `Push off ${NEWS}`]),
    );
    expect(named("group")).toContain(`Permission of ${NEWS}`);
    // Two plots, told in words.
    expect(named("image").filter((name) => /^(Wake-ups|Joules) per hour/.test(name))).toHaveLength(2);
    expect(tree.filter(({ role }) => role === "status").length).toBeGreaterThanOrEqual(3);
  });

  test.each([
    [320, "light"],
    [320, "dark"],
    [1280, "light"],
    [1280, "dark"],
  ] as const)("at %i px, %s: nothing sticks out, and every text can be read", async (width, scheme) => {
    const subscription = await world.subscribe(NEWS);
    const title = `${width} ${scheme} ${"W".repeat(100)}`;
    const owner = `https://${"long-".repeat(11)}name.${"sub.".repeat(20)}${scheme}-${width}.example`;
    const pending = world.ask(owner).catch(() => {});
    await world.sender.send(subscription, declared(title, { body: "i".repeat(200) }));
    const page = await world.openDashboard({ width, scheme });
    await page.getByRole("heading", { name: title }).waitFor();
    // Whose it is stands at its end.
    await page.getByText(`${owner} wants to send notifications.`).waitFor();
    await page.getByText("The figures as a table").click();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
    expect(await contrastFaults(page)).toEqual([]);
    const ground = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    const [red = 0] = String(ground).match(/\d+/g)?.map(Number) ?? [];
    expect(red < 128).toBe(scheme === "dark");
    await picture(page, `dashboard-${width}-${scheme}`);
    await page.getByRole("button", { name: "Factory reset…" }).click();
    await picture(page, `dashboard-${width}-${scheme}-dialog`);
    expect(await contrastFaults(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: /^Later: / }).click();
    await pending;
    await dismiss(page, title);
  });
});
