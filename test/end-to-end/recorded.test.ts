// SPDX-License-Identifier: MIT
// Goal: what `godwit agent --record` wrote in the field leads another agent through the same run to the same effects, crashes included, and
// tells nothing about anybody. Method: real processes over TLS in both dialects, `web-push` sends, agent and service die by SIGKILL; the
// trace is replayed as `npm run sim -- --replay` does it.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { DEVICE_DIALECTS } from "../../src/wire/dialect.ts";
import { describeReplay, replayTrace } from "../simulation/replay.ts";
import { SocketClient } from "./socket-client.ts";
import { type Program, Sender, Stage } from "./stage.ts";

const OWNER = "https://news.example";
const POLICY = { permission: "granted", owners: { [OWNER]: { permission: "granted", silentPushes: null } } };
const TITLE = "A title that only a person may read";
const PAYLOAD = "a payload that only its app may read";

let stage: Stage;
beforeAll(() => {
  stage = new Stage();
});
afterAll(() => stage.close());

test.each(DEVICE_DIALECTS)("%s: a recorded agent is replayed with the same effects", async (dialect) => {
  let service = await stage.service();
  const sender = new Sender(service);
  const state = stage.newDirectory();
  const trace = join(stage.newDirectory(), "trace");
  const address = dialect === "autopush" ? service.origin.replace("https:", "wss:") : service.origin;
  const start = async (): Promise<Program> => {
    const policy = ["--policy", stage.file("policy.json", POLICY), "--quiet"];
    const at = ["--state", state, "--service", address, "--ca", service.caFile];
    const program = stage.godwit(["agent", ...at, ...policy, "--record", trace], {}, 0.1);
    await program.stderr.match(/^agent ready/);
    return program;
  };
  const enter = async (hello: Record<string, unknown>): Promise<SocketClient> => {
    const client = await SocketClient.enter({ at: join(state, "app.sock") }, hello);
    stage.defer(() => client.webSocket.terminate());
    return client;
  };

  const first = await start();
  const admin = await enter({
    role: "admin",
    token: readFileSync(join(state, "admin.token"), "utf8").trim(),
  });
  const { token } = await admin.ask("installApp", { owner: OWNER, start: null, tokenFile: null });
  const enterApp = async (): Promise<SocketClient> => {
    const app = await enter({ role: "app", owner: OWNER, token });
    await app.ask("attach", { handlesPush: true });
    return app;
  };
  const app = await enterApp();
  const asked = { userVisibleOnly: false, waToken: null, declarative: "auto", allowAesgcm: true };
  const applicationServerKey = sender.keys.publicKey;
  const answer = await app.ask("subscribe", { ...asked, applicationServerKey });
  const { endpoint, p256dh, auth } = answer.subscription as Record<"endpoint" | "p256dh" | "auth", string>;
  const subscription: PushSubscriptionJSON = { endpoint, expirationTime: null, keys: { p256dh, auth } };
  const declared = {
    web_push: 8030,
    notification: { title: TITLE, navigate: "/tides?at=noon", tag: "tide" },
  };

  const handled = async (at: SocketClient, nth: number): Promise<void> => {
    await at.ask("handled", { deliveryId: (await at.event("push", () => true, nth)).deliveryId });
  };
  // Handled; shown; handed to the app first; unreadable; in the older coding, which one dialect knows; without data, and not handled.
  await sender.send(subscription, PAYLOAD, { topic: "tides" });
  await handled(app, 1);
  await sender.send(subscription, JSON.stringify(declared));
  await sender.send(subscription, JSON.stringify({ ...declared, mutable: true, app_badge: 3 }));
  await handled(app, 2);
  await sender.send({ ...subscription, keys: { p256dh, auth: "AAAAAAAAAAAAAAAAAAAAAA" } }, PAYLOAD);
  const contentEncoding = dialect === "autopush" ? "aesgcm" : "aes128gcm";
  await sender.send(subscription, PAYLOAD.toUpperCase(), { contentEncoding });
  await handled(app, 3);
  await sender.send(subscription, null);
  await app.event("push", () => true, 4);
  // The service dies and comes back; the agent dies with a message in its app's hands, and more waiting.
  await service.end("SIGKILL");
  service = await service.again();
  await sender.send(subscription, PAYLOAD);
  await first.end("SIGKILL");
  const second = await start();
  // One that is started beside it says so, and leaves its trace alone.
  const size = statSync(trace).size;
  const beside = ["--state", state, "--service", address, "--ca", service.caFile];
  expect((await stage.run(["agent", ...beside, "--record", trace])).code).toBe(75);
  expect(readFileSync(trace, "utf8").slice(size)).not.toContain('"end"');
  const again = await enterApp();
  await handled(again, 1);
  await handled(again, 2);
  await again.ask("unsubscribe", { subscriptionId: (answer.subscription as { id?: number }).id ?? 1 });
  await second.end("SIGTERM");

  const replayed = replayTrace(trace);
  expect(describeReplay(replayed)).toMatch(/^\d+ events replayed in 2 runs, the same effects$/);
  expect(replayed.events).toBeGreaterThan(40);
  const text = readFileSync(trace, "utf8");
  for (const type of ["deliver", "show", "setBadge", "send", "append", "checkpoint", "appReply"])
    expect(text).toContain(`"type":"${type}"`);
  expect(text).toContain('"code":"undecryptable"');
  expect(text).toContain('"redelivered":true');
  const secrets = [
    TITLE,
    PAYLOAD,
    "tides",
    OWNER,
    "news.example",
    endpoint,
    p256dh,
    auth,
    applicationServerKey,
  ];
  for (const secret of [...secrets, String(token), endpoint.slice(endpoint.lastIndexOf("/") + 1)])
    expect(text).not.toContain(secret);
});

test("a file that holds something else is left alone, and the agent does not start", async () => {
  const other = stage.file("notes", "what somebody wrote\n");
  const state = stage.newDirectory();
  const { code, stderr } = await stage.run([
    "agent",
    "--service",
    "https://push.example",
    "--state",
    state,
    "--record",
    other,
  ]);
  expect({ code, stderr }).toEqual({
    code: 78,
    stderr: `godwit agent: ${other} holds something else than a recorded trace`,
  });
  expect(readFileSync(other, "utf8")).toBe("what somebody wrote\n");
});
