// SPDX-License-Identifier: MIT
// Goal: what pages load is small and needs nothing. Method: measure the built scripts against their budget, and run the one that
// installs itself in an empty realm that has the Web APIs it may use and no others.

import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const SCRIPTS = ["dist/apps.browser.js", "dist/apps.install.js"];
const WEB_APIS = {
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
