// SPDX-License-Identifier: MIT
// Goal: Firefox, which knows nothing of Godwit, has push from Godwit's push service, and loses nothing when either of the two
// goes. Method: the real Firefox ESR on a desktop nobody sees, with a page and service workers of ours; `web-push` sends; the
// service (TLS, LMDB) is killed and started again on its port and state; what the workers got they tell the page's server.

import { cpSync } from "node:fs";
import { Agent } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import webPush from "web-push";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { Desktop } from "../node/desktop.ts";
import { Firefox, firefoxProblem, makeProfile, uaidOf } from "./firefox.ts";
import { Site } from "./site.ts";

/** A start of Firefox included; nothing takes nearly this long. */
const TEST_MS_MAX = 180_000;
/** More than two of the service's batches. */
const MESSAGES_AWAY = 25;

if (firefoxProblem !== null) console.warn(`firefox.test.ts is skipped: ${firefoxProblem}`);

describe.skipIf(firefoxProblem !== null)("Firefox ESR", { timeout: TEST_MS_MAX }, () => {
  let stage: Stage;
  let desktop: Desktop;
  let site: Site;
  let service: ServiceProcess;
  let sender: Sender;
  let profile: string;
  let firefox: Firefox;

  beforeAll(async () => {
    stage = new Stage();
    [desktop, site, service] = await Promise.all([Desktop.start(), Site.start(), stage.service()]);
    stage.defer(() => desktop.close());
    stage.defer(() => site.close());
    sender = new Sender(service);
    profile = await makeProfile(stage, service);
    await openFirefox();
  }, TEST_MS_MAX);
  afterAll(() => stage.close(), TEST_MS_MAX);

  async function openFirefox(): Promise<void> {
    firefox = await Firefox.start(stage, desktop, profile);
    await firefox.open(`${site.origin}/`);
  }

  async function subscribe(scope: string, key: string | null = sender.keys.publicKey) {
    return (await firefox.call("push.subscribe", scope, key)) as PushSubscriptionJSON;
  }

  /** One more message, behind which nothing is under way: what the worker got until then, in any order. */
  async function gotUntil(scope: string, last: string, subscription: PushSubscriptionJSON) {
    expect(await sender.send(subscription, last)).toBe(201);
    await site.pushed(scope, last);
    return site.pushes(scope).toSorted();
  }

  test("a message from the sender whose key it is: plaintext for the worker, a notification on the desktop", async () => {
    const subscription = await subscribe("/keyed/");
    expect(new URL(subscription.endpoint).origin).toBe(service.origin);
    expect(await sender.send(subscription, "Godwits reach New Zealand")).toBe(201);
    await site.pushed("/keyed/", "Godwits reach New Zealand");
    await service.acknowledged(1);
    expect(await desktop.printed(1)).toMatchObject({
      appName: "Firefox",
      title: "Godwits reach New Zealand",
    });
  });

  test("a subscription without a key, to which anybody sends: a message, and one without a body", async () => {
    const subscription = await subscribe("/keyless/", null);
    const agent = new Agent({ ca: service.ca });
    for (const payload of ["to all", null]) {
      const { statusCode } = await webPush.sendNotification(subscription, payload, { agent });
      expect(statusCode).toBe(201);
      await site.pushed("/keyless/", payload);
    }
    agent.destroy();
  });

  test("a sender that still encrypts as in 2016 (aesgcm)", async () => {
    const subscription = await subscribe("/aesgcm/");
    expect(await sender.send(subscription, "old", { contentEncoding: "aesgcm" })).toBe(201);
    await site.pushed("/aesgcm/", "old");
  });

  test("while it is away: of each topic the last message, of the others all, in batches, but for one with TTL 0", async () => {
    const subscription = await subscribe("/away/");
    expect(await firefox.close()).toEqual({ code: 0, signal: null });
    const texts = Array.from({ length: MESSAGES_AWAY }, (_, index) => `message ${index}`);
    expect(await sender.send(subscription, "now or never", { TTL: 0 })).toBe(201);
    await sender.send(subscription, "1:0", { topic: "score" });
    for (const text of texts) expect(await sender.send(subscription, text)).toBe(201);
    await sender.send(subscription, "2:0", { topic: "score" });
    const log = service.stderr.all.join("\n");
    for (const secret of [uaidOf(profile), new URL(subscription.endpoint).pathname, ...texts])
      expect(log).not.toContain(secret);
    await openFirefox();
    for (const text of [...texts, "2:0"]) await site.pushed("/away/", text);
    expect(await firefox.call("push.subscription", "/away/")).toEqual(subscription);
    expect(await gotUntil("/away/", "last", subscription)).toEqual([...texts, "2:0", "last"].toSorted());
  });

  test("the service dies by SIGKILL behind its answer: Firefox comes back, and gets everything once", async () => {
    const subscription = await subscribe("/killed/");
    expect(await sender.send(subscription, "before")).toBe(201);
    await service.end("SIGKILL");
    service = await service.again();
    expect(await sender.send(subscription, "meanwhile")).toBe(201);
    for (const text of ["before", "meanwhile"]) await site.pushed("/killed/", text);
    expect(await gotUntil("/killed/", "last", subscription)).toEqual(["before", "last", "meanwhile"]);
    expect(await firefox.call("push.subscription", "/killed/")).toEqual(subscription);
  });

  test("unsubscribed: its endpoint is gone", async () => {
    const subscription = await subscribe("/unsubscribed/");
    expect(await firefox.call("push.unsubscribe", "/unsubscribed/")).toBe(true);
    await expect(sender.send(subscription, "nobody")).rejects.toMatchObject({ statusCode: 410 });
    expect(site.pushes("/unsubscribed/")).toEqual([]);
  });

  test("a service that forgot everything: each worker is told, and subscribes anew", async () => {
    const before = await subscribe("/forgotten/");
    expect(site.changes).toEqual([]);
    await service.end("SIGKILL");
    const directory = stage.newDirectory();
    cpSync(join(service.directory, "tls"), join(directory, "tls"), { recursive: true });
    service = await service.again({ directory });
    await site.changed("/forgotten/");
    const subscription = await subscribe("/forgotten/");
    expect(subscription.endpoint).not.toBe(before.endpoint);
    expect(await gotUntil("/forgotten/", "anew", subscription)).toEqual(["anew"]);
    await expect(sender.send(before, "nobody")).rejects.toMatchObject({ statusCode: 404 });
  });
});
