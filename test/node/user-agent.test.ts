// SPDX-License-Identifier: MIT
// Goal: createUserAgent is usable by a program: options checked, apps called, errors contained, closing clean. Method: a real
// agent against a real push service in the same process, over loopback HTTP, with the memory store.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Report } from "../../src/agent/events.ts";
import { systemRandomFill } from "../../src/node/platform.ts";
import { createUserAgent, type UserAgent, type UserAgentOptions } from "../../src/node/user-agent.ts";
import {
  createPushService,
  MemoryStore,
  newKeyring,
  type PushService,
} from "../../src/push-service/index.ts";
import { encrypt } from "../../src/webpush/encrypt.ts";

const OWNER = "https://app.example";
let service: PushService;
let directory: string;
let agents: UserAgent[];
let reports: Report[];
let lines: string[];
let watchers: (() => void)[];

beforeEach(async () => {
  service = createPushService({
    store: new MemoryStore(),
    keyring: newKeyring(),
    tls: null,
    reconnectSpreadS: 0,
  });
  await service.listen();
  directory = mkdtempSync(join(tmpdir(), "godwit-user-agent-"));
  agents = [];
  reports = [];
  lines = [];
  watchers = [];
});

afterEach(async () => {
  for (const agent of agents) await agent.close();
  await service.close();
  rmSync(directory, { recursive: true, force: true });
});

async function start(options: Partial<UserAgentOptions> = {}): Promise<UserAgent> {
  const agent = await createUserAgent({
    serviceUrl: service.origin,
    stateDirectory: directory,
    permission: () => "granted",
    jitter: () => 0,
    display: {
      show: ({ notification }) => void lines.push(`show ${notification.title}`),
      close: (notificationId) => void lines.push(`close ${notificationId}`),
      setBadge: (_owner, badge) => void lines.push(`badge ${badge}`),
      openUrl: (_owner, url) => void lines.push(`open ${url}`),
    },
    onReport: (report) => {
      reports.push(report);
      for (const watcher of [...watchers]) watcher();
    },
    ...options,
  });
  agents.push(agent);
  return agent;
}

/** Resolves at the first report that is `wanted`, past or future. */
function reported(wanted: (report: Report) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!reports.some(wanted)) return;
      watchers = watchers.filter((watcher) => watcher !== check);
      resolve();
    };
    watchers.push(check);
    check();
  });
}

interface Recipient {
  readonly endpoint: string;
  getKey(name: "p256dh" | "auth"): ArrayBuffer;
}

async function post(subscription: Recipient, text: string): Promise<number> {
  const publicKey = new Uint8Array(subscription.getKey("p256dh"));
  const authSecret = new Uint8Array(subscription.getKey("auth"));
  const body = encrypt(
    new TextEncoder().encode(text),
    { publicKey, authSecret },
    { randomFill: systemRandomFill },
  );
  const headers = { TTL: "60", "Content-Encoding": "aes128gcm" };
  return (await fetch(subscription.endpoint, { method: "POST", headers, body: Buffer.from(body) })).status;
}

describe("options", () => {
  test.each(["ftp://push.example", "http://push.example", "https://push.example/path", "nonsense"])(
    "serviceUrl %s is refused",
    async (serviceUrl) => {
      await expect(start({ serviceUrl })).rejects.toMatchObject({ code: "ERR_CONFIG" });
    },
  );

  test("a portal probe goes over plain http, or no portal would answer it", async () => {
    await expect(start({ portalProbeUrl: "https://probe.example" })).rejects.toMatchObject({
      code: "ERR_CONFIG",
    });
  });

  test("two agents do not share a state directory", async () => {
    await start();
    await expect(start()).rejects.toMatchObject({ code: "ERR_JOURNAL_IN_USE" });
  });

  test("a journal sealed under another key is left alone", async () => {
    const first = await start({ deviceKey: new Uint8Array(32).fill(1) });
    await first.app(OWNER).pushManager.subscribe();
    await first.close();
    await expect(start({ deviceKey: new Uint8Array(32).fill(2) })).rejects.toMatchObject({
      code: "ERR_JOURNAL_SEAL",
    });
    const again = await start({ deviceKey: new Uint8Array(32).fill(1) });
    expect(await again.app(OWNER).pushManager.getSubscription()).not.toBeNull();
  });

  test("a name that can own nothing is refused", async () => {
    const agent = await start();
    expect(() => agent.app("Not An Owner")).toThrow("an owner is");
  });
});

describe("apps", () => {
  test("get their messages, once, and may set a badge", async () => {
    const agent = await start();
    const app = agent.app(OWNER);
    const got: (string | undefined)[] = [];
    app.onpush = async (event) => {
      got.push(event.data?.text());
      await event.setAppBadge(3);
    };
    const subscription = await app.pushManager.subscribe();
    expect(await post(subscription, "hello")).toBe(201);
    await reported((report) => report.type === "acknowledged");
    expect(got).toEqual(["hello"]);
    expect(lines).toEqual(["badge 3"]);
  });

  test("a declarative message is shown and activated without the app", async () => {
    const agent = await start();
    const subscription = await agent.app(OWNER).pushManager.subscribe();
    await post(subscription, '{"web_push":8030,"notification":{"title":"Hi","navigate":"/x"}}');
    await reported((report) => report.type === "shown");
    agent.activateNotification(1);
    expect(lines).toEqual(["show Hi", "open https://app.example/x", "close 1"]);
  });

  test("a display that fails is reported and harms nobody", async () => {
    const display = {
      show: () => {},
      close: () => {},
      setBadge: () => {
        throw new Error("no screen");
      },
      openUrl: () => {},
    };
    const agent = await start({ display });
    const app = agent.app(OWNER);
    await app.pushManager.subscribe();
    await app.setAppBadge(3);
    await reported((report) => report.type === "fault" && report.code === "ERR_DISPLAY");
  });

  test("a promise given to waitUntil that rejects early fails the delivery and nothing else", async () => {
    const agent = await start();
    const app = agent.app(OWNER);
    let deliveries = 0;
    app.onpush = (event) => {
      deliveries++;
      event.waitUntil(new Promise((resolve) => setImmediate(resolve)));
      event.waitUntil(Promise.reject(new Error("app bug")));
    };
    const subscription = await app.pushManager.subscribe();
    await post(subscription, "x");
    await reported((report) => report.type === "fault" && report.code === "ERR_APP_HANDLER");
    expect(deliveries).toBe(1);
  });

  test("an app that is only looked up keeps its messages until it has a handler", async () => {
    const first = await start();
    const app = first.app(OWNER);
    app.onpush = () => {};
    const subscription = await app.pushManager.subscribe();
    await first.close();
    const again = await start();
    const later = again.app(OWNER);
    await reported((report) => report.type === "registered");
    await post(subscription, "waits");
    const received = reports.length;
    await reported((report) => report.type === "received" && reports.length > received);
    const got = new Promise<string | undefined>((resolve) => {
      later.onpush = (event) => resolve(event.data?.text());
    });
    expect(await got).toBe("waits");
  });

  test("permission is the policy's", async () => {
    const agent = await start({ permission: async () => "denied" as const });
    const { pushManager } = agent.app(OWNER);
    await expect(pushManager.subscribe()).rejects.toMatchObject({ name: "NotAllowedError" });
    expect(await pushManager.permissionState()).toBe("denied");
  });

  test("a handler that throws at a subscription change is reported and harms nobody", async () => {
    const agent = await start();
    const app = agent.app(OWNER);
    const subscription = await app.pushManager.subscribe();
    app.onpushsubscriptionchange = () => {
      throw new Error("app bug");
    };
    const other = createPushService({
      store: new MemoryStore(),
      keyring: newKeyring(),
      tls: null,
      port: service.port,
    });
    await service.close();
    await other.listen();
    service = other;
    await reported((report) => report.type === "fault" && report.code === "ERR_APP_HANDLER");
    const renewed = await app.pushManager.getSubscription();
    expect(renewed?.endpoint).not.toBe(subscription.endpoint);
  });
});

describe("closing", () => {
  test("answers who is waiting, and later calls are refused", async () => {
    await service.close();
    const agent = await start();
    const app = agent.app(OWNER);
    const waiting = app.pushManager.subscribe();
    const outcome = expect(waiting).rejects.toMatchObject({ godwitCode: "ERR_SHUTDOWN", name: "AbortError" });
    await app.pushManager.permissionState();
    await agent.close();
    await outcome;
    await expect(app.pushManager.subscribe()).rejects.toMatchObject({ godwitCode: "ERR_SHUTDOWN" });
  });

  test("keeps the subscription for the next start, which needs no new token", async () => {
    const first = await start();
    const before = await first.app(OWNER).pushManager.subscribe();
    await first.close();
    reports = [];
    const again = await start();
    await reported((report) => report.type === "registered");
    expect((await again.app(OWNER).pushManager.getSubscription())?.toJSON()).toEqual(before.toJSON());
    expect(reports.some((report) => report.type === "token")).toBe(false);
  });
});
