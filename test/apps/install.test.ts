// SPDX-License-Identifier: MIT
// Goal: install() offers the Push API where there is none and never replaces what is there. Method: globals of a page, made here.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AppClient, connect } from "../../src/apps/client.ts";
import { install } from "../../src/apps/install.ts";
import { PushManager } from "../../src/apps/push-manager.ts";
import { PlayedAgent } from "./played-agent.ts";

const page = globalThis as { pushManager?: unknown; PushManager?: unknown };
const CREDENTIAL = { url: "ws://127.0.0.1:7/v1/app", owner: "https://news.example" };

let agent: PlayedAgent;
let app: AppClient;
let navigator: { pushManager?: unknown };
beforeEach(() => {
  navigator = {};
  vi.stubGlobal("navigator", navigator);
  agent = new PlayedAgent();
  app = connect({ ...CREDENTIAL, token: "secret", WebSocket: agent.WebSocket, isLazy: true });
});
afterEach(() => {
  app.close();
  vi.unstubAllGlobals();
  delete page.pushManager;
  delete page.PushManager;
});

describe("install", () => {
  test("offers the same push manager at both places, and its interface", () => {
    expect(install(app)).toBe(true);
    expect(page.pushManager).toBe(app.pushManager);
    expect(navigator.pushManager).toBe(app.pushManager);
    expect(page.PushManager).toBe(PushManager);
    expect(app.pushManager).toBeInstanceOf(PushManager);
    expect(Object.getOwnPropertyDescriptor(navigator, "pushManager")).toMatchObject({
      writable: false,
      enumerable: true,
      configurable: true,
    });
  });

  test("leaves a native one on the window alone", () => {
    const native = {};
    vi.stubGlobal("pushManager", native);
    expect(install(app)).toBe(true);
    expect(page.pushManager).toBe(native);
    expect(navigator.pushManager).toBe(app.pushManager);
  });

  test("leaves an inherited one alone, also a getter that must not be called", () => {
    const look = vi.fn();
    const Navigator = Object.defineProperty({}, "pushManager", { get: look });
    const inheriting = Object.create(Navigator);
    vi.stubGlobal("navigator", inheriting);
    install(app);
    expect(Object.hasOwn(inheriting, "pushManager")).toBe(false);
    expect(look).not.toHaveBeenCalled();
  });

  test("leaves the platform's interface alone", () => {
    const Native = class {};
    vi.stubGlobal("PushManager", Native);
    install(app);
    expect(page.PushManager).toBe(Native);
  });

  test("does nothing where both are native, and nothing the second time", () => {
    expect(install(app)).toBe(true);
    const other = connect({ ...CREDENTIAL, token: "secret", WebSocket: agent.WebSocket, isLazy: true });
    expect(install(other)).toBe(false);
    expect(page.pushManager).toBe(app.pushManager);
  });

  test("does nothing where no shell injected anything", () => {
    expect(install()).toBe(false);
    expect("pushManager" in page).toBe(false);
  });

  test("makes an app of what was injected, which connects when it is asked", async () => {
    vi.stubGlobal("WebSocket", agent.WebSocket);
    vi.stubGlobal("godwit", { ...CREDENTIAL, secret: "injected" });
    expect(install()).toBe(true);
    expect(agent.connections).toHaveLength(0);
    const asked = (page.pushManager as PushManager).permissionState();
    agent.last.open();
    agent.last.answer("challenge", { challenge: "prove it" });
    await vi.waitFor(() => expect(agent.last.last("hello")).toMatchObject({ role: "page" }));
    agent.last.answer("hello", {}).answer("permissionState", { permission: "granted" });
    expect(await asked).toBe("granted");
  });
});
