// SPDX-License-Identifier: MIT
// Goal: tests have a real Chromium that leaves nothing behind. Method: draw a page with it, and look for its profile after.

import { existsSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { BROWSER_TEST_MS_MAX, CHROMIUM, launchChromium, newPage } from "./chromium.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

test.skipIf(CHROMIUM === null)(
  "Chromium draws a page, has no push manager on its window, and is gone with its profile",
  { timeout: BROWSER_TEST_MS_MAX },
  async () => {
    const server = createServer((_, response) => {
      response.setHeader("Content-Type", "text/html").end("<!doctype html><h1>Tern</h1>");
    });
    closers.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const { browser, home, close } = await launchChromium([
      "--host-resolver-rules=MAP tern.example 127.0.0.1",
    ]);
    closers.push(close);

    const page = await newPage(browser, { width: 320, scheme: "dark" });
    await page.goto(`http://tern.example:${port}/`);
    expect(await page.locator("h1").textContent()).toBe("Tern");
    expect(
      await page.evaluate(
        `[innerWidth, matchMedia("(prefers-color-scheme: dark)").matches, "pushManager" in window]`,
      ),
    ).toEqual([320, true, false]);

    await close();
    expect(browser.isConnected()).toBe(false);
    expect(existsSync(home)).toBe(false);
  },
);
