// SPDX-License-Identifier: MIT
// Goal: an app's connection comes back by itself and cheaply, asks again what may be asked twice, says what it does not know, and
// stays idle when nobody needs it. Method: the agent's end is played in memory, the clock is the test's.

import { createHmac } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AppClient, type ConnectOptions, connect } from "../../src/apps/client.ts";
import {
  APP_BACKOFF_BASE_MS,
  APP_BACKOFF_CAP_MS,
  APP_OPEN_TIMEOUT_MS,
  APP_REQUEST_CHARS_MAX,
  APP_REQUEST_WAIT_MS,
  APP_REQUESTS_MAX,
  APP_STABLE_MS,
} from "../../src/limits.ts";
import { PlayedAgent } from "./played-agent.ts";

const CREDENTIAL = { url: "ws://127.0.0.1:7/v1/app", owner: "https://news.example", token: "secret-1" };
/** The last instant before the alarm that jitter sets. */
const JITTER = 0.5;

let agent: PlayedAgent;
let apps: AppClient[];
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  agent = new PlayedAgent();
  apps = [];
});
afterEach(() => {
  for (const app of apps) app.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function connected(options: ConnectOptions = {}): AppClient {
  const ours = { ...CREDENTIAL, role: "app", WebSocket: agent.WebSocket, jitter: () => JITTER } as const;
  const app = connect({ ...ours, ...options });
  apps.push(app);
  return app;
}

/** As SPEC.md has it. */
function proofOf(secret: string, challenge: string, agentOrigin: string): string {
  return createHmac("sha256", secret).update(`${challenge}\0${agentOrigin}`).digest("base64url");
}

/** Challenges the page, and looks what it proves. */
async function expectProved(secret: string, agentOrigin: string): Promise<void> {
  agent.last.open();
  agent.last.answer("challenge", { challenge: "prove it" });
  await vi.waitFor(() => expect(agent.last.types()).toEqual(["challenge", "hello"]));
  expect(agent.last.last("hello")).toMatchObject({ proof: proofOf(secret, "prove it", agentOrigin) });
}

async function failure(promise: Promise<unknown>): Promise<{ name: string; code: string | undefined }> {
  try {
    await promise;
  } catch (error) {
    const { name, godwitCode } = error as Error & { godwitCode?: string };
    return { name, code: godwitCode };
  }
  throw new Error("did not fail as expected");
}

describe("hello", () => {
  test("is the first request, and the only one until it is answered", () => {
    const app = connected();
    app.pushManager.permissionState().catch(() => {});
    expect(agent.last).toMatchObject({ url: CREDENTIAL.url, subprotocol: "godwit.app.v1", requests: [] });
    agent.last.open();
    expect(agent.last.requests).toEqual([
      { id: 0, type: "hello", role: "app", owner: "https://news.example", token: "secret-1" },
    ]);
    agent.last.answer("hello", {});
    expect(agent.last.types()).toEqual(["hello", "attach", "permissionState"]);
    expect(app.isConnected).toBe(true);
  });

  test("that is not answered in time ends the try", () => {
    connected();
    const [first] = agent.connections;
    first?.open();
    vi.advanceTimersByTime(APP_OPEN_TIMEOUT_MS - 1);
    expect(first?.isClosed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(first?.isClosed).toBe(true);
    vi.advanceTimersByTime(APP_BACKOFF_CAP_MS);
    expect(agent.connections.length).toBeGreaterThan(1);
  });

  test("of a page, which is what an app is by default, proves the injected secret and does not tell it", async () => {
    vi.stubGlobal("godwit", {
      url: "ws://127.0.0.1:9/v1/app",
      owner: "https://a.example",
      secret: "injected",
    });
    const app = connect({ WebSocket: agent.WebSocket });
    apps.push(app);
    agent.last.open();
    expect(agent.last.url).toBe("ws://127.0.0.1:9/v1/app");
    expect(agent.last.requests).toEqual([{ id: 0, type: "challenge" }]);
    agent.last.answer("challenge", { challenge: "prove it" });
    await vi.waitFor(() => expect(agent.last.types()).toEqual(["challenge", "hello"]));
    const proof = proofOf("injected", "prove it", "http://127.0.0.1:9");
    expect(agent.last.last("hello")).toEqual({
      ...{ id: 0, type: "hello", role: "page", owner: "https://a.example", proof },
    });
    expect(app.isConnected).toBe(false);
    agent.last.answer("hello", {});
    expect(app.isConnected).toBe(true);
    expect(JSON.stringify(agent.last.requests)).not.toContain("injected");
  });

  test("of a page is not said on a connection that was lost while it was proved", async () => {
    let sign = (_: ArrayBuffer): void => {};
    const signed = new Promise<ArrayBuffer>((resolve) => (sign = resolve));
    vi.stubGlobal("crypto", { subtle: { importKey: async () => ({}), sign: () => signed } });
    connected({ role: "page" });
    const [first] = agent.connections;
    first?.open();
    first?.answer("challenge", { challenge: "prove it" });
    agent.last.lose();
    vi.advanceTimersByTime(APP_BACKOFF_BASE_MS);
    agent.last.open();
    sign(new ArrayBuffer(32));
    await new Promise(setImmediate);
    expect(agent.connections.map((connection) => connection.types())).toEqual([["challenge"], ["challenge"]]);
  });

  test("of a page that cannot prove anything is never said", async () => {
    vi.stubGlobal("crypto", {});
    const app = connected({ role: "page" });
    const asked = failure(app.pushManager.permissionState());
    agent.last.open();
    agent.last.answer("challenge", { challenge: "prove it" });
    expect(await asked).toEqual({ name: "TypeError", code: "ERR_CONFIG" });
    expect(agent.last.types()).toEqual(["challenge"]);
    expect(agent.last.isClosed).toBe(true);
  });

  test("of a page that was refused proves a fresh secret", async () => {
    const app = connected({ role: "page", renew: async () => ({ token: "secret-2" }) });
    agent.last.open();
    agent.last.refuse("challenge", "ERR_APP_AUTH", "NotAllowedError");
    await vi.waitFor(() => expect(agent.connections).toHaveLength(2));
    await expectProved("secret-2", "http://127.0.0.1:7");
    expect(app.isConnected).toBe(false);
    agent.last.answer("hello", {});
    expect(app.isConnected).toBe(true);
  });

  test.each([
    ["nothing is injected", {}],
    ["there is no token", { url: CREDENTIAL.url, owner: CREDENTIAL.owner }],
  ])("needs a credential: %s", async (_, options) => {
    const error = await failure((async () => connect({ ...options, WebSocket: agent.WebSocket }))());
    expect(error).toEqual({ name: "TypeError", code: "ERR_CONFIG" });
  });

  test("needs a WebSocket", async () => {
    vi.stubGlobal("WebSocket", undefined);
    const error = await failure((async () => connect(CREDENTIAL))());
    expect(error).toEqual({ name: "TypeError", code: "ERR_CONFIG" });
  });
});

describe("coming back", () => {
  const backoffMs = (failures: number) =>
    JITTER * Math.min(APP_BACKOFF_CAP_MS, APP_BACKOFF_BASE_MS * 1.5 ** failures);

  test("waits longer after each failure, up to the bound", () => {
    connected();
    for (let failures = 1; failures <= 14; failures++) {
      agent.last.lose();
      const tries = agent.connections.length;
      vi.advanceTimersByTime(Math.floor(backoffMs(failures)) - 1);
      expect(agent.connections).toHaveLength(tries);
      vi.advanceTimersByTime(2);
      expect(agent.connections).toHaveLength(tries + 1);
    }
    expect(backoffMs(14)).toBe(JITTER * APP_BACKOFF_CAP_MS);
  });

  test.each([
    [APP_STABLE_MS, 0],
    [APP_STABLE_MS - 1, 4],
  ])("a connection that lasted %i ms counts %i failures", (lastedMs, failures) => {
    connected();
    for (let i = 0; i < 3; i++) {
      agent.last.lose();
      vi.runOnlyPendingTimers();
    }
    agent.last.accept();
    vi.advanceTimersByTime(lastedMs);
    agent.last.lose();
    vi.advanceTimersByTime(Math.floor(backoffMs(failures)) - 1);
    expect(agent.connections).toHaveLength(4);
    vi.advanceTimersByTime(2);
    expect(agent.connections).toHaveLength(5);
  });

  test("at once when the device is online again or the page is seen again, not while it is hidden", () => {
    const page = new EventTarget();
    const document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
    vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
    vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
    vi.stubGlobal("document", document);
    const app = connected();
    agent.last.lose();
    page.dispatchEvent(new Event("online"));
    document.dispatchEvent(new Event("visibilitychange"));
    expect(agent.connections).toHaveLength(1);
    document.visibilityState = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
    expect(agent.connections).toHaveLength(2);
    page.dispatchEvent(new Event("online"));
    expect(agent.connections).toHaveLength(2);
    agent.last.lose();
    page.dispatchEvent(new Event("online"));
    expect(agent.connections).toHaveLength(3);
    agent.last.lose();
    app.close();
    page.dispatchEvent(new Event("online"));
    expect(agent.connections).toHaveLength(3);
  });

  test("nothing runs while connected", () => {
    connected();
    expect(vi.getTimerCount()).toBe(1);
    agent.last.accept();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a lazy app comes when it asks or listens, and does not come back for nothing", async () => {
    const app = connected({ isLazy: true });
    expect(agent.connections).toHaveLength(0);
    const asked = app.pushManager.permissionState();
    agent.last.accept().answer("permissionState", { permission: "prompt" });
    expect(await asked).toBe("prompt");
    expect(agent.last.types()).toEqual(["hello", "permissionState"]);
    agent.last.lose();
    expect(vi.getTimerCount()).toBe(0);
    app.onnotificationclick = () => {};
    expect(agent.connections).toHaveLength(2);
    agent.last.accept();
    expect(agent.last.last("attach")).toMatchObject({ handlesPush: false });
    agent.last.lose();
    expect(vi.getTimerCount()).toBe(1);
  });

  test.each([
    ["text that is no JSON", "{"],
    ["no object", "7"],
    ["neither event nor answer", "{}"],
  ])("an agent that says %s is left, and tried again", (_, text) => {
    const app = connected();
    const connection = agent.last.accept();
    connection.say(text);
    expect(connection.isClosed).toBe(true);
    vi.advanceTimersByTime(APP_BACKOFF_BASE_MS);
    expect(agent.connections).toHaveLength(2);
    // What the old one still says or does is nobody's.
    connection.say({ id: 0, result: {} });
    expect(app.isConnected).toBe(false);
    connection.lose();
    vi.advanceTimersByTime(APP_OPEN_TIMEOUT_MS - APP_BACKOFF_BASE_MS);
    expect(agent.connections).toHaveLength(2);
  });

  test("an agent that has too many connections is tried again", () => {
    const app = connected();
    agent.last.open();
    agent.last.refuse("hello", "ERR_APP_BUSY", "AbortError").lose(1013);
    vi.advanceTimersByTime(APP_BACKOFF_BASE_MS);
    agent.last.accept();
    expect(app.isConnected).toBe(true);
  });

  test("an address that is none is final", async () => {
    const WebSocket = class {
      constructor() {
        throw new SyntaxError("no URL");
      }
    } as unknown as NonNullable<ConnectOptions["WebSocket"]>;
    const app = connected({ WebSocket });
    expect((await failure(app.pushManager.permissionState())).name).toBe("SyntaxError");
  });
});

describe("a request", () => {
  test("that may be repeated survives a lost connection, under its own id", async () => {
    const app = connected();
    agent.last.accept();
    const asked = app.pushManager.permissionState();
    const { id } = agent.last.last("permissionState");
    agent.last.lose();
    vi.advanceTimersByTime(APP_BACKOFF_BASE_MS);
    agent.last.accept();
    expect(agent.last.last("permissionState").id).toBe(id);
    agent.last.answer("permissionState", { permission: "granted" });
    expect(await asked).toBe("granted");
  });

  test("that may be repeated is not repeated for ever", async () => {
    const app = connected();
    const asked = failure(app.pushManager.permissionState());
    for (let tries = 1; tries <= 3; tries++) {
      agent.last.accept().lose();
      vi.advanceTimersByTime(APP_BACKOFF_BASE_MS * 1.5 ** tries);
    }
    expect(await asked).toEqual({ name: "AbortError", code: "ERR_APP_CONNECTION" });
    agent.last.accept();
    expect(agent.last.types()).toEqual(["hello", "attach"]);
  });

  test("that would happen twice fails with its connection, and is not asked again", async () => {
    const app = connected();
    agent.last.accept();
    const shown = failure(app.showNotification("Terns"));
    agent.last.lose();
    expect(await shown).toEqual({ name: "AbortError", code: "ERR_APP_CONNECTION" });
    vi.advanceTimersByTime(APP_BACKOFF_BASE_MS);
    agent.last.accept();
    expect(agent.last.types()).toEqual(["hello", "attach"]);
  });

  test("a badge is set again, but not one that belongs to a message in hand", async () => {
    const app = connected();
    let ofMessage = Promise.resolve({ name: "", code: undefined as string | undefined });
    app.onpush = (event) => {
      ofMessage = failure(event.setAppBadge(1));
    };
    agent.last.accept().event({
      ...{ event: "push", deliveryId: 1, subscriptionId: 1, messageId: "m", redelivered: false },
      ...{ data: null, notification: null, appBadge: null },
    });
    const set = app.setAppBadge(2);
    expect(agent.last.types()).toEqual(["hello", "attach", "setAppBadge", "setAppBadge"]);
    vi.stubGlobal("reportError", () => {});
    agent.last.lose();
    expect(await ofMessage).toEqual({ name: "AbortError", code: "ERR_APP_CONNECTION" });
    vi.advanceTimersByTime(APP_BACKOFF_BASE_MS);
    agent.last.accept();
    expect(agent.last.last("setAppBadge")).toMatchObject({ deliveryId: null, badge: 2 });
    expect(agent.last.types()).toEqual(["hello", "attach", "setAppBadge"]);
    agent.last.answer("setAppBadge", {});
    await set;
  });

  test("that would happen twice waits for a connection all the same", async () => {
    const app = connected();
    const shown = app.showNotification("Terns");
    agent.last.lose();
    vi.advanceTimersByTime(APP_BACKOFF_BASE_MS);
    agent.last.accept().answer("showNotification", {});
    await shown;
  });

  test("waits so long for a connection", async () => {
    const app = connected();
    const asked = failure(app.pushManager.getSubscription());
    vi.advanceTimersByTime(APP_REQUEST_WAIT_MS);
    expect(await asked).toEqual({ name: "AbortError", code: "ERR_APP_CONNECTION" });
    agent.last.accept();
    expect(agent.last.types()).toEqual(["hello", "attach"]);
  });

  test("waits for a person as long as that takes", async () => {
    const app = connected();
    const asked = app.requestPermission();
    agent.last.accept();
    vi.advanceTimersByTime(24 * 3600_000);
    agent.last.answer("requestPermission", { permission: "granted" });
    expect(await asked).toBe("granted");
  });

  test("fails as the agent says", async () => {
    const app = connected();
    const asked = failure(app.pushManager.subscribe());
    agent.last.accept().refuse("subscribe", "ERR_SUBSCRIBE_CONFLICT", "InvalidStateError");
    expect(await asked).toEqual({ name: "InvalidStateError", code: "ERR_SUBSCRIBE_CONFLICT" });
  });

  test("too many at a time: the next one fails at once", async () => {
    const app = connected();
    agent.last.accept();
    const asked = Array.from({ length: APP_REQUESTS_MAX }, () => app.pushManager.permissionState());
    expect(await failure(app.pushManager.permissionState())).toEqual({
      name: "AbortError",
      code: "ERR_APP_CONNECTION",
    });
    for (const { id } of agent.last.requests.slice(2))
      agent.last.say({ id, result: { permission: "denied" } });
    expect(new Set(await Promise.all(asked))).toEqual(new Set(["denied"]));
    app.pushManager.permissionState().catch(() => {});
    expect(agent.last.requests).toHaveLength(2 + APP_REQUESTS_MAX + 1);
  });

  test("too large is refused here, and the others go on", async () => {
    const app = connected();
    agent.last.accept();
    const data = "x".repeat(APP_REQUEST_CHARS_MAX);
    expect(await failure(app.showNotification("Terns", { data }))).toEqual({
      name: "TypeError",
      code: "ERR_OPTION",
    });
    expect(agent.last.types()).toEqual(["hello", "attach"]);
    expect(agent.last.isClosed).toBe(false);
  });

  test("what cannot be JSON is refused with the platform's own error", async () => {
    const app = connected();
    agent.last.accept();
    expect((await failure(app.showNotification("Terns", { data: 1n }))).name).toBe("TypeError");
  });

  test("an answer nobody waits for is ignored", () => {
    const app = connected();
    agent.last
      .accept()
      .say({ id: 99, result: {} })
      .say({ id: null, error: { code: "ERR_OPTION" } });
    expect(app.isConnected).toBe(true);
  });
});

describe("refused", () => {
  test("a fresh credential is asked for once, and used", async () => {
    const app = connected({ renew: async () => ({ token: "secret-2" }) });
    const asked = app.pushManager.permissionState();
    agent.last.open();
    agent.last.refuse("hello", "ERR_APP_AUTH", "NotAllowedError");
    await vi.waitFor(() => expect(agent.connections).toHaveLength(2));
    agent.last.open();
    expect(agent.last.last("hello")).toMatchObject({ owner: CREDENTIAL.owner, token: "secret-2" });
    agent.last.answer("hello", {}).answer("permissionState", { permission: "granted" });
    expect(await asked).toBe("granted");
  });

  test("twice is for good, by the close code alone too", async () => {
    const renew = vi.fn(async () => ({ token: "secret-2" }));
    const app = connected({ renew });
    const asked = failure(app.pushManager.permissionState());
    agent.last.open();
    agent.last.lose(4401);
    await vi.waitFor(() => expect(agent.connections).toHaveLength(2));
    agent.last.open();
    agent.last.lose(4401);
    expect(await asked).toEqual({ name: "NotAllowedError", code: "ERR_APP_AUTH" });
    expect(await failure(app.pushManager.subscribe())).toEqual({
      name: "NotAllowedError",
      code: "ERR_APP_AUTH",
    });
    expect(renew).toHaveBeenCalledTimes(1);
    expect(agent.connections).toHaveLength(2);
  });

  test.each([
    ["knows nothing new", async () => null],
    ["fails", async () => Promise.reject(new Error("no file"))],
  ])("for good when who is asked %s", async (_, renew) => {
    const app = connected({ renew });
    const asked = failure(app.pushManager.permissionState());
    agent.last.open();
    agent.last.refuse("hello", "ERR_APP_AUTH", "NotAllowedError");
    expect(await asked).toEqual({ name: "NotAllowedError", code: "ERR_APP_AUTH" });
    expect(agent.connections).toHaveLength(1);
  });

  test("a page takes what the shell injected meanwhile, and nothing when that is the same", async () => {
    vi.stubGlobal("godwit", { url: CREDENTIAL.url, owner: CREDENTIAL.owner, secret: "old" });
    const app = connect({ WebSocket: agent.WebSocket });
    apps.push(app);
    agent.last.accept();
    vi.stubGlobal("godwit", { url: "ws://127.0.0.1:8/v1/app", owner: CREDENTIAL.owner, secret: "new" });
    agent.last.lose(4401);
    await vi.waitFor(() => expect(agent.connections).toHaveLength(2));
    expect(agent.last.url).toBe("ws://127.0.0.1:8/v1/app");
    await expectProved("new", "http://127.0.0.1:8");
    agent.last.answer("hello", {});
    vi.stubGlobal("godwit", { url: CREDENTIAL.url, owner: CREDENTIAL.owner, secret: "newer" });
    agent.last.lose(4401);
    await vi.waitFor(() => expect(agent.connections).toHaveLength(3));
    await expectProved("newer", "http://127.0.0.1:7");
    agent.last.lose(4401);
    expect((await failure(app.pushManager.permissionState())).code).toBe("ERR_APP_AUTH");
    expect(agent.connections).toHaveLength(3);
  });
});

describe("close()", () => {
  const places = () => {
    const [add, remove] = [vi.fn(), vi.fn()];
    vi.stubGlobal("addEventListener", add);
    vi.stubGlobal("removeEventListener", remove);
    return { add, remove };
  };

  test("leaves no listener on the page", () => {
    const { add, remove } = places();
    connected().close();
    expect(add).toHaveBeenCalled();
    expect(remove.mock.calls).toEqual(add.mock.calls);
  });

  test("nor does a refusal", async () => {
    const { add, remove } = places();
    const app = connected({ renew: () => null });
    const asked = failure(app.pushManager.permissionState());
    agent.last.open();
    agent.last.lose(4401);
    await asked;
    expect(remove.mock.calls).toEqual(add.mock.calls);
  });

  test("while a fresh credential is looked for: nobody connects any more", async () => {
    let found = (_: { token: string }): void => {};
    const app = connected({ renew: () => new Promise((resolve) => (found = resolve)) });
    agent.last.open();
    agent.last.lose(4401);
    app.close();
    found({ token: "secret-2" });
    await new Promise(setImmediate);
    expect(agent.connections).toHaveLength(1);
  });

  test("rejects what is unanswered and all that follows, and hangs up", async () => {
    const app = connected();
    agent.last.accept();
    const asked = failure(app.pushManager.permissionState());
    app.close();
    app.close();
    expect(await asked).toEqual({ name: "AbortError", code: "ERR_APP_CONNECTION" });
    expect(await failure(app.setAppBadge(3))).toEqual({ name: "AbortError", code: "ERR_APP_CONNECTION" });
    expect(agent.last.isClosed).toBe(true);
    app.open();
    expect(agent.connections).toHaveLength(1);
  });
});
