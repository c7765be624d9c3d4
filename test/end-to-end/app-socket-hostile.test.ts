// SPDX-License-Identifier: MIT
// Goal: whatever peers of the app socket send, or do not read, they get a listed error or are cut off, the agent lives on, and the
// others go on being served. Method: the real agent as a process, bare sockets, and random messages for every role.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AgentStatus } from "../../src/agent/status.ts";
import {
  APP_CONNECTIONS_PENDING_MAX,
  APP_HELLO_TIMEOUT_MS,
  APP_REQUEST_BYTES_MAX,
  NOTIFICATION_CHARS_MAX,
} from "../../src/limits.ts";
import { ALL_CODES } from "../error-codes.ts";
import { fc } from "../properties.ts";
import { type Message, SocketClient } from "./socket-client.ts";
import { AGENT, type Program, Stage } from "./stage.ts";

const OWNERS = ["loud", "quiet"] as const;
const REFUSED = 4401;
/** WebSocket's own (RFC 6455 §7.4.1). */
const [CUT, NOT_UTF8, TOO_BIG] = [1006, 1007, 1009];

let stage: Stage;
let agent: Program;
let port: number;
let admin: SocketClient;
let adminToken: string;
let shellToken: string;
let path: string;
const tokens = new Map<string, string>();

beforeAll(async () => {
  stage = new Stage();
  const service = await stage.service();
  const state = stage.newDirectory();
  const args = ["--service", service.origin, "--ca", service.caFile, "--state", state];
  agent = stage.userAgent([...args, "--permission", "granted", "--app-port", "0"]);
  port = Number(/127\.0\.0\.1:(\d+)$/.exec(await agent.stderr.match(/^agent ready/))?.[1]);
  path = join(state, "app.sock");
  adminToken = readFileSync(join(state, "admin.token"), "utf8").trim();
  shellToken = readFileSync(join(state, "shell.token"), "utf8").trim();
  admin = await enterAdmin();
  for (const owner of OWNERS) {
    const installed = await admin.ask("installApp", { owner, start: null, tokenFile: null });
    tokens.set(owner, String(installed.token));
  }
});
afterAll(async () => {
  // Whatever happened before, the agent ends in order.
  expect(await agent.end("SIGTERM")).toEqual({ code: 0, signal: null });
  await stage.close();
});

async function dial(at: string | number = path): Promise<SocketClient> {
  const client = await SocketClient.dial({ at });
  if (typeof client === "number") throw new Error(`refused with ${client}`);
  stage.defer(() => client.webSocket.terminate());
  return client;
}
const enter = (hello: Message) => SocketClient.enter({ at: path }, hello);
const enterApp = (owner: string) => enter({ role: "app", owner, token: tokens.get(owner) });
const enterAdmin = () => enter({ role: "admin", token: adminToken });
const enterShell = () => enter({ role: "shell", token: shellToken });

const MALFORMED: readonly (readonly [string, string])[] = [
  ["nothing", ""],
  ["no JSON", "{"],
  ["JSON and more", '{"id":1,"type":"status"}}'],
  ["null", "null"],
  ["a list", '[{"id":1}]'],
  ["a text", '"hello"'],
  ["no id", '{"type":"permissionState"}'],
  ["an id that is a text", '{"id":"1","type":"permissionState"}'],
  ["an id that is no whole number", '{"id":1.5,"type":"permissionState"}'],
  ["an id below zero", '{"id":-1,"type":"permissionState"}'],
  ["an id too large to be exact", '{"id":1e300,"type":"permissionState"}'],
  ["no type", '{"id":1}'],
  ["a type that is no text", '{"id":1,"type":["permissionState"]}'],
  ["a type every object has", '{"id":1,"type":"toString"}'],
  ["brackets without end", "[".repeat(60_000)],
  ["objects without end", '{"a":'.repeat(10_000)],
];

describe("malformed", () => {
  test.each(MALFORMED)("%s instead of a hello is refused like any other", async (_, text) => {
    const client = await dial();
    client.say(text);
    expect(await client.closed).toEqual({ closeCode: REFUSED });
    expect(client.messages).toMatchObject([{ error: { code: "ERR_APP_AUTH" } }]);
  });

  test.each(MALFORMED)("%s from an app is an error, and the connection goes on", async (_, text) => {
    const client = await enterApp("loud");
    client.say(text);
    expect(await client.first("an error", (message) => message.error !== undefined)).toMatchObject({
      error: { code: "ERR_OPTION", name: "TypeError" },
    });
    expect(await client.ask("permissionState")).toEqual({ permission: "prompt" });
    await client.close();
  });

  test("a message over the bound is not read", async () => {
    const client = await enterApp("loud");
    const padding = (bytes: number) => "x".repeat(bytes - '{"id":7,"type":"permissionState","p":""}'.length);
    client.say(`{"id":7,"type":"permissionState","p":"${padding(APP_REQUEST_BYTES_MAX)}"}`);
    expect(await client.first("its answer", ({ id }) => id === 7)).toEqual({
      id: 7,
      result: { permission: "prompt" },
    });
    client.say(`{"id":8,"type":"permissionState","p":"${padding(APP_REQUEST_BYTES_MAX + 1)}"}`);
    expect(await client.closed).toEqual({ closeCode: TOO_BIG });
  });

  test("a giant frame is cut off as soon as it is announced, or with its first bytes", async () => {
    const client = await dial(port);
    const { _socket: socket } = client.webSocket as unknown as { readonly _socket: Socket };
    // FIN and text; masked, 64-bit length: 2^40 bytes.
    socket.write(Buffer.from("81ff0000010000000000", "hex"));
    // libwebsockets tells of a frame when it has read some of it.
    if (AGENT === "godwitd") socket.write(Buffer.alloc(8192));
    expect(await client.closed).toEqual({ closeCode: TOO_BIG });
  });

  test("a message in hundreds of fragments counts as one", async () => {
    const client = await enterApp("loud");
    // The last one is over the bound: what came after it could break the connection before its end is read.
    for (let i = 0; i <= APP_REQUEST_BYTES_MAX / 100; i++)
      client.webSocket.send("x".repeat(100), { fin: false });
    expect(await client.closed).toEqual({ closeCode: TOO_BIG });
  });

  test.each([
    ["binary", Buffer.from('{"id":1,"type":"permissionState"}'), { binary: true }, 4400],
    ["what is not UTF-8", Buffer.from("22ff22", "hex"), { binary: false }, NOT_UTF8],
  ])("%s ends the connection", async (_, bytes, options, closeCode) => {
    const client = await enterApp("loud");
    client.webSocket.send(bytes, options);
    expect(await client.closed).toEqual({ closeCode });
  });

  test("no HTTP, or half of it, is no way in", async () => {
    const outcomes = [
      "\0\0\0\0\r\n\r\n",
      "GET /v1/app",
      `GET /v1/app HTTP/1.1\r\nX: ${"y".repeat(40_000)}`,
    ].map(async (text) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume().write(text);
      await once(socket, "close");
      return "closed";
    });
    expect(await Promise.all(outcomes)).toEqual(["closed", "closed", "closed"]);
  });

  // A library's parser of HTTP/2 that nobody needs is one that only attackers use (CVE-2026-19773 was in one).
  const h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  test.each([
    [
      "asked for at the loopback port",
      () => port,
      (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n${h2c}\r\n`,
    ],
    [
      "asked for at the Unix socket",
      () => path,
      () => `GET /v1/app HTTP/1.1\r\nHost: localhost\r\n${h2c}\r\n`,
    ],
    ["begun at the loopback port", () => port, () => ""],
    ["begun at the Unix socket", () => path, () => ""],
  ])("HTTP/2, %s, is not spoken", async (_what, at, request) => {
    const where = at();
    const socket = typeof where === "number" ? connect(where, "127.0.0.1") : connect(where);
    socket.on("error", () => {});
    let answer = "";
    socket.setEncoding("latin1").on("data", (text: string) => {
      answer += text;
    });
    // Behind the preface a frame SETTINGS without settings, which is answered with another.
    socket.write(`${request(`127.0.0.1:${port}`)}${preface}\0\0\0\x04\0\0\0\0\0`, "latin1");
    await once(socket, "close");
    expect(answer).toMatch(/^($|HTTP\/1\.[01] (200|4\d\d) )/);
    expect(answer).not.toContain("\0\0\0\x04");
  });
});

describe("too much", () => {
  test("who says nothing goes after a while, and keeps nobody out", async () => {
    const before = performance.now();
    const silent = await Promise.all(Array.from({ length: 40 }, () => dial()));
    const sockets = Array.from({ length: 20 }, () =>
      connect(path)
        .on("error", () => {})
        .resume(),
    );
    const app = await enterApp("quiet");
    expect(await Promise.all(silent.map(({ closed }) => closed))).toEqual(
      silent.map(() => ({ closeCode: CUT })),
    );
    await Promise.all(sockets.map((socket) => (socket.closed ? null : once(socket, "close"))));
    expect(performance.now() - before).toBeGreaterThan(4_500);
    expect(silent.flatMap(({ heard }) => heard)).toEqual([]);
    expect(await app.ask("permissionState")).toEqual({ permission: "prompt" });
    await app.close();
  });

  test("a flood of connections drops the oldest, and others still come in", async () => {
    const flood = Array.from({ length: 600 }, () =>
      connect(path)
        .on("error", () => {})
        .resume(),
    );
    const app = await enterApp("quiet");
    expect(await app.ask("permissionState")).toEqual({ permission: "prompt" });
    const gone = flood.slice(0, 500).map((socket) => (socket.closed ? null : once(socket, "close")));
    const before = performance.now();
    await Promise.all(gone);
    // Not because their time was over.
    expect(performance.now() - before).toBeLessThan(APP_HELLO_TIMEOUT_MS / 2);
    expect(flood.slice(-APP_CONNECTIONS_PENDING_MAX / 2).filter(({ closed }) => closed)).toEqual([]);
    for (const socket of flood) socket.destroy();
    await app.close();
  });

  test("an owner that floods waits, another one does not", async () => {
    const [loud, quiet] = await Promise.all([enterApp("loud"), enterApp("quiet")]);
    for (let id = 1_001; id <= 1_400; id++) loud.say({ id, type: "permissionState" });
    expect(await quiet.ask("permissionState")).toEqual({ permission: "prompt" });
    expect(loud.messages.some(({ id }) => id === 1_400)).toBe(false);
    // All of it is answered in the end, none refused.
    await loud.first("the last answer", ({ id }) => id === 1_400);
    expect(loud.messages.filter(({ error }) => error !== undefined)).toEqual([]);
    await Promise.all([loud.close(), quiet.close()]);
  });

  test("more than so many requests without answer are refused", async () => {
    await admin.ask("setPermission", { owner: "quiet", permission: "granted" });
    const app = await enterApp("quiet");
    // The first lets the service be asked, which takes longer than reading the rest.
    for (let id = 1_001; id <= 1_080; id++) app.say(subscribeRequest(id, `token ${id}`));
    const busy = await app.first(
      "a refusal",
      ({ error }) => (error as Message | undefined)?.code === "ERR_APP_BUSY",
    );
    expect(busy).toMatchObject({ error: { name: "AbortError" } });
    await app.close();
    await admin.ask("clearData", { owner: "quiet" });
  });

  test("a peer that does not read is cut off, and costs nobody else anything", async () => {
    await admin.ask("setPermission", { owner: "loud", permission: "granted" });
    const app = await enterApp("loud");
    await app.ask("attach", { handlesPush: false });
    const watcher = await enterAdmin();
    await watcher.ask("watch");
    const body = "€".repeat(NOTIFICATION_CHARS_MAX / 2);
    for (let i = 0; i < 32; i++)
      await app.ask("showNotification", { deliveryId: null, title: `${i}`, options: { body } });
    app.webSocket.pause();
    // 32 × 15 kB an answer.
    for (let id = 1_001; id <= 1_030; id++) app.say({ id, type: "getNotifications", tag: null });
    const other = await enterApp("quiet");
    expect(await other.ask("permissionState")).toMatchObject({ permission: expect.any(String) });
    await other.close();
    await watcher.event("changed", ({ status }) => !isAttached(status as AgentStatus, "loud"));
    await watcher.close();
    app.webSocket.resume();
    expect(await app.closed).toEqual({ closeCode: CUT });
    // A shell that comes now gets all of it.
    const shell = await enterShell();
    await shell.event("show", ({ owner }) => owner === "loud", 32);
    await shell.close();
    await admin.ask("clearData", { owner: "loud" });
  });

  test("a peer that pings and does not read the pongs is cut off, or goes without", async () => {
    const app = await enterApp("loud");
    app.webSocket.pause();
    const payload = Buffer.alloc(125);
    for (let i = 0; i < 40_000; i++) app.webSocket.ping(payload);
    const other = await enterApp("quiet");
    expect(await other.ask("permissionState")).toMatchObject({ permission: expect.any(String) });
    await other.close();
    if (AGENT === "node") return expect(await app.closed).toEqual({ closeCode: CUT });
    // libwebsockets keeps one pong at most, and forgets the others: this peer costs no memory, and may go on.
    app.webSocket.resume();
    expect(await app.ask("permissionState")).toMatchObject({ permission: expect.any(String) });
    await app.close();
  });
});

function isAttached({ owners }: AgentStatus, owner: string): boolean {
  return owners.find((known) => known.owner === owner)?.isAttached === true;
}

function subscribeRequest(id: number, waToken: string): Message {
  const options = { userVisibleOnly: true, applicationServerKey: null, freshness: null };
  return { id, type: "subscribe", waToken, declarative: "auto", allowAesgcm: false, ...options };
}

test("an agent that may open no more files goes on, and takes connections again once it may", async () => {
  const service = await stage.service();
  const state = stage.newDirectory();
  const args = ["--service", service.origin, "--ca", service.caFile, "--state", state, "--keep-connected"];
  const limit = ["sh", "-c", 'ulimit -n 48 && exec "$@"', "sh"];
  const program = stage.userAgent([...args], {}, 0.1, limit);
  await program.stderr.match(/^registered/);
  const at = join(state, "app.sock");
  const token = readFileSync(join(state, "admin.token"), "utf8").trim();
  const flood = Array.from({ length: 60 }, () =>
    connect(at)
      .on("error", () => {})
      .resume(),
  );
  // Those it could not take are closed, or wait for their turn; those it took go when their time is over.
  await Promise.all(flood.map((socket) => (socket.closed ? null : once(socket, "close"))));
  const later = await SocketClient.enter({ at }, { role: "admin", token });
  expect(await later.ask("status")).toMatchObject({ link: "online" });
  await later.close();
  expect(await program.end("SIGTERM")).toEqual({ code: 0, signal: null });
});

// --- random messages ---------------------------------------------------------------------------------------------------

const ENTRIES: Readonly<Record<string, () => Promise<SocketClient>>> = {
  app: () => enterApp("loud"),
  shell: enterShell,
  admin: enterAdmin,
};
/** A factory reset would take the apps with it, and one of a random owner changes nothing. */
const TYPES = [
  ...[
    "hello",
    "challenge",
    "subscribe",
    "getSubscription",
    "unsubscribe",
    "permissionState",
    "showNotification",
  ],
  ...["getNotifications", "closeNotification", "setAppBadge", "attach", "handled", "failed", "displayed"],
  ...["displayFailed", "activate", "dismiss", "answerPermission", "answerNavigation", "pageSecret", "status"],
  ...[
    "stats",
    "notifications",
    "setPermission",
    "setPaused",
    "setOptedOut",
    "clearData",
    "removeSubscription",
  ],
  ...["installed", "installApp", "uninstallApp", "dashboardLink", "watch"],
];
const MEMBERS = [
  ...["role", "owner", "token", "proof", "applicationServerKey", "userVisibleOnly", "waToken", "declarative"],
  ...[
    "allowAesgcm",
    "freshness",
    "subscriptionId",
    "notificationId",
    "deliveryId",
    "title",
    "options",
    "tag",
  ],
  ...["badge", "handlesPush", "action", "permission", "allowed", "paused", "optedOut", "start", "tokenFile"],
  ...["radio", "batteryMah", "batteryV", "__proto__"],
];
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(
    "granted",
    "denied",
    "prompt",
    "auto",
    "urgent",
    "stranger",
    "https://x.example",
    "\0",
    "\ud800",
  ),
  fc.constantFrom(0, 1, 2, -1, 0.5, 2 ** 53, 1e308, true, false, null, []),
  fc.dictionary(
    fc.constantFrom("body", "actions", "navigate", "tag", "data", "silent"),
    fc.jsonValue({ maxDepth: 2 }),
  ),
);
/** Some keep the form and fill it at random, some are any text. */
const message = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.tuple(fc.constantFrom(...TYPES), fc.dictionary(fc.constantFrom(...MEMBERS), value)),
  },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 200 }) },
);

test.each(Object.keys(ENTRIES))(
  "random messages of role %s are answered, each with a listed code",
  async (role) => {
    const open = ENTRIES[role] ?? enterShell;
    let client = await open();
    let id = 1_000;
    await fc.assert(
      fc.asyncProperty(message, async (said) => {
        if (client.webSocket.readyState !== 1) client = await open();
        id++;
        const heard = client.heard.length;
        if (typeof said === "string") client.say(said);
        else client.say(withoutHarm({ ...said[1], id, type: said[0] }));
        // A question of this role that is always answered shows that it was read to the end.
        const marker = ++id;
        client.say({ id: marker, type: "no such request" });
        await client.first("the marker", (answer) => answer.id === marker);
        for (const text of client.heard.slice(heard)) {
          const { error } = JSON.parse(text) as { readonly error?: { readonly code: string } };
          if (error !== undefined) expect(ALL_CODES).toContain(error.code);
        }
      }),
      { numRuns: 200 },
    );
    await client.close();
    expect(await admin.ask("status")).toMatchObject({ journalFailing: false });
  },
);

/** Lets no random choice hit what the other tests need. */
function withoutHarm(said: Message): Message {
  const isForAll = ["setPaused", "setOptedOut"].includes(String(said.type)) && said.owner == null;
  return isForAll ? { ...said, owner: "stranger" } : said;
}
