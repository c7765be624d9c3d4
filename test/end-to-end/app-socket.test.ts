// SPDX-License-Identifier: MIT
// Goal: apps, pages, shells and the administrator each do at the app socket what SPEC.md says. Method: the real agent and push
// service as processes, `web-push` as sender, and bare WebSockets as the peers.

import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { SUBSCRIBE_TIMEOUT_MS } from "../../src/limits.ts";
import { type Message, SocketClient } from "./socket-client.ts";
import { type Program, Sender, type ServiceProcess, Stage } from "./stage.ts";

const PAGE = "http://localhost:8123";
const APP = "an-app";
const FORMS = { waToken: null, declarative: "auto", allowAesgcm: false, freshness: null } as const;

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
let state: string;
let agent: Program;
let port: number;
let admin: SocketClient;

beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  state = stage.newDirectory();
  ({ agent, port } = await startAgent());
  admin = await enterAdmin();
});
afterAll(() => stage.close());

async function startAgent(appPort = 0) {
  const policy = stage.file("policy.json", { permission: "ask", pageOrigins: [PAGE] });
  const args = ["--service", service.origin, "--ca", service.caFile, "--state", state, "--policy", policy];
  const program = stage.userAgent([...args, "--app-port", String(appPort)], {}, 0.1);
  const ready = await program.stderr.match(/^agent ready/);
  return { agent: program, port: Number(/127\.0\.0\.1:(\d+)$/.exec(ready)?.[1]) };
}

const unix = () => ({ at: join(state, "app.sock") });
const secretOf = (file: string) => readFileSync(join(state, file), "utf8").trim();

async function enter(hello: Message, more: object = unix()): Promise<SocketClient> {
  const client = await SocketClient.enter(more as Parameters<typeof SocketClient.enter>[0], hello);
  stage.defer(() => client.webSocket.terminate());
  return client;
}
const enterAdmin = () => enter({ role: "admin", token: secretOf("admin.token") });
const enterShell = () => enter({ role: "shell", token: secretOf("shell.token") });

function subscribeMembers(): Message {
  return { ...FORMS, userVisibleOnly: true, applicationServerKey: sender.keys.publicKey };
}

function jsonOf(subscription: unknown) {
  const { endpoint, expirationTime, p256dh, auth } = subscription as Record<string, string>;
  return { endpoint, expirationTime, keys: { p256dh, auth } } as never;
}

test("socket and secrets are for the agent's user alone", () => {
  const modes = ["app.sock", "admin.token", "shell.token", "page.key"].map((name) => {
    return statSync(join(state, name)).mode & 0o777;
  });
  expect(modes).toEqual([0o600, 0o600, 0o600, 0o600]);
});

test("an installed app subscribes, a person allows it at a shell, and it gets its messages", async () => {
  const { token } = await admin.ask("installApp", { owner: APP, start: null, tokenFile: null });
  const shell = await enterShell();
  const app = await enter({ role: "app", owner: APP, token });
  const subscribing = app.ask("subscribe", subscribeMembers());
  expect(await shell.event("permission")).toEqual({ event: "permission", owner: APP });
  await shell.ask("answerPermission", { owner: APP, permission: "granted" });
  const { subscription } = await subscribing;
  await app.ask("attach", { handlesPush: true });
  await sender.send(jsonOf(subscription), "hello");
  const push = await app.event("push");
  expect(Buffer.from(String(push.data), "base64url").toString()).toBe("hello");
  await app.ask("showNotification", { deliveryId: push.deliveryId, title: "One message", options: {} });
  expect(await app.ask("handled", { deliveryId: push.deliveryId })).toEqual({});
  const shown = await shell.event("show", ({ title }) => title === "One message");
  await shell.ask("displayed", { notificationId: shown.notificationId });
  await service.acknowledged(1);
  await shell.ask("activate", { notificationId: shown.notificationId, action: "" });
  expect(await app.event("notificationclick")).toMatchObject({ action: "" });
  await shell.event("close", ({ notificationId }) => notificationId === shown.notificationId);
  await Promise.all([app.close(), shell.close()]);
});

test("a page comes with its origin and the secret its shell was told", async () => {
  const shell = await enterShell();
  const { url, owner, secret } = await shell.ask("pageSecret", { owner: PAGE });
  expect({ url, owner }).toEqual({ url: `ws://127.0.0.1:${port}/v1/app`, owner: PAGE });
  const page = await SocketClient.enterPage({ at: port, origin: PAGE }, secret);
  expect(await page.ask("permissionState")).toEqual({ permission: "prompt" });
  await Promise.all([page.close(), shell.close()]);
});

test("the dashboard's code works once, and its session outlives the agent", async () => {
  const { url } = await admin.ask("dashboardLink");
  const { origin, hash } = new URL(String(url));
  const hello = { role: "admin", code: hash.slice("#code=".length) };
  const dashboard = await SocketClient.dial({ at: port, origin });
  if (typeof dashboard === "number") throw new Error("refused");
  const { session } = await dashboard.ask("hello", hello);
  await dashboard.ask("watch");
  expect(await dashboard.event("changed")).toMatchObject({ status: { serviceUrl: service.origin } });
  await expect(enter(hello, { at: port, origin })).rejects.toMatchObject({ code: "ERR_APP_AUTH" });
  await agent.end("SIGTERM");
  expect(existsSync(join(state, "app.sock"))).toBe(false);
  expect(await dashboard.closed).toEqual({ closeCode: 1001 });
  ({ agent } = await startAgent(port));
  admin = await enterAdmin();
  const again = await SocketClient.dial({ at: port, origin });
  if (typeof again === "number") throw new Error("refused");
  await again.ask("hello", await again.sessionHello(String(session), origin));
  expect(await again.ask("installed")).toEqual([{ owner: APP, start: null, tokenFile: null }]);
  await again.close();
});

test("an owner has so many connections, and one more is told that it is one too many", async () => {
  const { token } = await admin.ask("installApp", { owner: "many", start: null, tokenFile: null });
  const hello = { role: "app", owner: "many", token };
  const clients = await Promise.all(Array.from({ length: 16 }, () => enter(hello)));
  const tooMany = await SocketClient.dial(unix());
  if (typeof tooMany === "number") throw new Error("refused");
  await expect(tooMany.ask("hello", hello)).rejects.toMatchObject({
    code: "ERR_APP_BUSY",
    name: "AbortError",
  });
  expect(await tooMany.closed).toEqual({ closeCode: 1013 });
  await clients[0]?.close();
  await (await enter(hello)).close();
  await Promise.all(clients.map((client) => client.close()));
});

test("a port that is taken ends the agent at once, with its socket", async () => {
  const other = stage.newDirectory();
  const args = ["--service", service.origin, "--ca", service.caFile, "--state", other];
  const result = await stage.ended(stage.userAgent([...args, "--app-port", String(port)]));
  expect(result).toMatchObject({
    code: 78,
    stderr: expect.stringMatching(/127\.0\.0\.1, port \d+ \(EADDRINUSE\): name another one$/),
  });
  expect(existsSync(join(other, "app.sock"))).toBe(false);
});

test("without a loopback port there are no pages and no dashboard, and nobody listens", async () => {
  const other = stage.newDirectory();
  const args = ["--service", service.origin, "--ca", service.caFile, "--state", other];
  const program = stage.userAgent([...args], {}, 0.1);
  expect(await program.stderr.match(/^agent ready/)).not.toContain("127.0.0.1");
  const token = readFileSync(join(other, "admin.token"), "utf8").trim();
  const client = await SocketClient.enter({ at: join(other, "app.sock") }, { role: "admin", token });
  const message = expect.stringContaining("loopback port");
  for (const [type, members] of [
    ["dashboardLink", {}],
    ["pageSecret", { owner: "https://news.example" }],
  ] as const)
    await expect(client.ask(type, members)).rejects.toMatchObject({ code: "ERR_OPTION", message });
  await expect(client.ask("pageSecret", { owner: APP })).rejects.toMatchObject({ code: "ERR_OPTION" });
  await client.close();
  await program.end("SIGTERM");
});

describe("a test push that is under way when the agent stops", () => {
  test("does not hold it up", async () => {
    // Nobody listens there, so that its subscription waits for the push service.
    const agent = await startOther("https://127.0.0.1:1", stage.newDirectory());
    const [asked, stopMs] = [agent.admin.ask("testPush"), performance.now()];
    await expect(Promise.all([asked, agent.program.end("SIGTERM")])).rejects.toThrow("closed before");
    expect(await agent.program.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - stopMs).toBeLessThan(SUBSCRIBE_TIMEOUT_MS / 2);
  });

  test("leaves no subscription", async () => {
    const directory = stage.newDirectory();
    const first = await startOther(service.origin, directory);
    await first.admin.ask("setPaused", { owner: "godwit.test", paused: true });
    expect(await first.admin.ask("testPush")).toEqual({ statusCode: 201 });
    expect(await first.admin.ask("status")).toMatchObject({ subscriptions: [{ owner: "godwit.test" }] });
    await first.program.end("SIGTERM");
    const second = await startOther(service.origin, directory);
    expect(await second.admin.ask("status")).toMatchObject({ subscriptions: [] });
    await second.program.end("SIGTERM");
  });

  async function startOther(origin: string, directory: string) {
    const args = ["--service", origin, "--ca", service.caFile, "--state", directory];
    const program = stage.userAgent([...args], {}, 0.1);
    await program.stderr.match(/^agent ready/);
    const token = readFileSync(join(directory, "admin.token"), "utf8").trim();
    const at = join(directory, "app.sock");
    return { program, admin: await SocketClient.enter({ at }, { role: "admin", token }) };
  }
});

describe("starting", () => {
  const CHILD = join(import.meta.dirname, "children", "app.mjs");

  async function install(owner: string, start: readonly string[]) {
    const tokenFile = stage.file("token", "");
    const { token } = await admin.ask("installApp", { owner, start, tokenFile });
    writeFileSync(tokenFile, String(token));
    await admin.ask("setPermission", { owner, permission: "granted" });
    return admin.ask("subscribe", { owner, applicationServerKey: sender.keys.publicKey, freshness: null });
  }

  test("an installed app is started when a message waits for it, with what it needs and nothing else", async () => {
    const log = stage.file("log", "");
    const subscription = await install("started", [process.execPath, CHILD, log, "$HOME; exit"]);
    await admin.ask("watch");
    await sender.send(subscription as never, "first");
    await admin.event("report", ({ report }) => isHandled(report, "started"));
    const lines = readFileSync(log, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Message);
    expect(lines).toEqual([
      {
        pid: expect.any(Number),
        args: ["$HOME; exit"],
        variables: ["GODWIT_OWNER", "GODWIT_SOCKET", "GODWIT_TOKEN_FILE"],
      },
      { order: "first" },
    ]);
    const pid = Number(lines[0]?.pid);
    await admin.ask("uninstallApp", { owner: "started" });
    await vi.waitUntil(() => !isRunning(pid), { timeout: 10_000 });
  });

  test("a command that cannot be run is reported, until it is uninstalled, and its message waits", async () => {
    const subscription = await install("missing", ["/nonexistent/app"]);
    await admin.ask("watch");
    await sender.send(subscription as never, "hello");
    const { report } = await admin.event("report", ({ report }) => isFault(report, "ERR_APP_START"));
    expect(report).toMatchObject({ text: "missing could not be started (ENOENT)" });
    expect(await admin.ask("status")).toMatchObject({ messagesWaiting: 1 });
    await admin.ask("uninstallApp", { owner: "missing" });
    const late = await enterAdmin();
    await late.ask("watch");
    // Behind the reports that are kept.
    await late.event("changed");
    expect(late.events("report").length).toBeGreaterThan(0);
    expect(late.events("report").filter((event) => JSON.stringify(event).includes("missing"))).toEqual([]);
  });
});

function isHandled(report: unknown, owner: string): boolean {
  const { type, owner: whose } = report as Message;
  return type === "handled" && whose === owner;
}

function isFault(report: unknown, code: string): boolean {
  const { type, code: which } = report as Message;
  return type === "fault" && which === code;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
