// SPDX-License-Identifier: MIT
// Goal: whoever cannot prove who they are is refused at the app socket, and learns nothing from it, not even whether there is such an
// app. Method: the real agent as a process with installed apps and pages that are subscribed; each stranger says the same about an
// owner that is there and one that is not, and must hear the same, byte for byte.

import { chmodSync, readFileSync, statSync } from "node:fs";
import { request } from "node:http";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DialOptions, type Message, SocketClient } from "./socket-client.ts";
import { type Program, Stage } from "./stage.ts";

const PAGE = "http://localhost:8123";
const OTHER_PAGE = "http://localhost:8124";
const NO_PAGE = "https://nobody.example";
const VICTIM = "victim";
const ATTACKER = "attacker";
const NOBODY = "nobody-is-here";
const REFUSAL = {
  heard: ['{"id":1,"error":{"code":"ERR_APP_AUTH","name":"NotAllowedError","message":"not authorised"}}'],
  closeCode: 4401,
};

let stage: Stage;
let state: string;
let agent: Program;
let port: number;
let admin: SocketClient;
const tokens = new Map<string, string>();
const secrets = new Map<string, string>();

beforeAll(async () => {
  stage = new Stage();
  const service = await stage.service();
  state = stage.newDirectory();
  const pageOrigins = [PAGE, OTHER_PAGE];
  const policy = stage.file("policy.json", { permission: "granted", pageOrigins });
  const args = ["--service", service.origin, "--ca", service.caFile, "--state", state, "--policy", policy];
  agent = stage.userAgent([...args, "--app-port", "0"]);
  port = Number(/127\.0\.0\.1:(\d+)$/.exec(await agent.stderr.match(/^agent ready/))?.[1]);
  admin = await SocketClient.enter(unix(), { role: "admin", token: secretOf("admin.token") });
  for (const owner of [VICTIM, ATTACKER]) {
    const { token } = await admin.ask("installApp", { owner, start: null, tokenFile: null });
    tokens.set(owner, String(token));
  }
  for (const owner of [PAGE, OTHER_PAGE, NO_PAGE])
    secrets.set(owner, String((await admin.ask("pageSecret", { owner })).secret));
  for (const owner of [VICTIM, PAGE])
    await admin.ask("subscribe", { owner, applicationServerKey: null, freshness: null });
});
afterAll(() => stage.close());

const unix = (): DialOptions => ({ at: join(state, "app.sock") });
const tcp = (origin?: string): DialOptions => ({ at: port, ...(origin === undefined ? {} : { origin }) });
const secretOf = (file: string) => readFileSync(join(state, file), "utf8").trim();
const GUESS = "A".repeat(43);

/** Everything a stranger gets to hear. */
async function hear(dial: DialOptions, hello: unknown) {
  const client = await SocketClient.dial(dial);
  if (typeof client === "number") return client;
  client.say(typeof hello === "object" ? { id: 1, type: "hello", ...hello } : hello);
  const { closeCode } = await client.closed;
  return { heard: client.heard, closeCode };
}

async function dialed(dial: DialOptions): Promise<SocketClient> {
  const client = await SocketClient.dial(dial);
  if (typeof client === "number") throw new Error(`refused with ${client}`);
  stage.defer(() => client.webSocket.terminate());
  return client;
}

/** "welcome", or the error of a page that proves a session it has from `signedOrigin`. */
async function hearSession(pageOrigin: string, session: string, signedOrigin: string): Promise<unknown> {
  const client = await dialed(tcp(pageOrigin));
  const hello = await client.sessionHello(session, signedOrigin);
  return client.ask("hello", hello).then(
    () => "welcome",
    (error: { code?: unknown }) => error.code,
  );
}

describe("without a proof", () => {
  // Each says who it wants to be: an owner with subscriptions, or one nobody has heard of.
  const strangers: Record<string, (of: "app" | "page", owner: string) => [DialOptions, Message]> = {
    "a guess at the Unix socket": (role, owner) => [unix(), { role, owner, token: GUESS }],
    "a guess at the loopback port": (role, owner) => [tcp(), { role, owner, token: GUESS }],
    "no token at all": (role, owner) => [unix(), { role, owner }],
    "an empty token": (role, owner) => [unix(), { role, owner, token: "" }],
    "a token that is no text": (role, owner) => [unix(), { role, owner, token: [tokens.get(owner)] }],
    "another app's token": (role, owner) => [unix(), { role, owner, token: tokens.get(ATTACKER) }],
    "the shell's token": (role, owner) => [unix(), { role, owner, token: secretOf("shell.token") }],
    "the administrator's token": (role, owner) => [unix(), { role, owner, token: secretOf("admin.token") }],
    "the key of the pages": (role, owner) => [unix(), { role, owner, token: secretOf("page.key") }],
    "a program that claims the page's Origin": (role) => [
      tcp(PAGE),
      { role, owner: PAGE, token: tokens.get(ATTACKER) },
    ],
    "another page's secret under that page's Origin": (role, owner) => [
      tcp(OTHER_PAGE),
      { role, owner, token: secrets.get(OTHER_PAGE), proof: secrets.get(OTHER_PAGE) },
    ],
  };

  test.each(Object.keys(strangers))("%s", async (name) => {
    const stranger = strangers[name];
    if (stranger === undefined) throw new Error("there is one");
    const wanted = [
      ["app", VICTIM],
      ["app", NOBODY],
      ["app", PAGE],
      ["page", PAGE],
      ["page", NO_PAGE],
      ["page", VICTIM],
    ] as const;
    const outcomes = await Promise.all(wanted.map(([role, owner]) => hear(...stranger(role, owner))));
    expect(outcomes).toEqual(wanted.map(() => REFUSAL));
  });

  const wrong: Record<string, () => [DialOptions, unknown]> = {
    "the right secret itself": () => [
      tcp(PAGE),
      { role: "page", owner: PAGE, token: secrets.get(PAGE), proof: secrets.get(PAGE) },
    ],
    "the right secret as an app": () => [unix(), { role: "app", owner: PAGE, token: secrets.get(PAGE) }],
    "the right app token in a page": () => [
      tcp(PAGE),
      { role: "app", owner: VICTIM, token: tokens.get(VICTIM) },
    ],
    "the shell's token in a page": () => [tcp(PAGE), { role: "shell", token: secretOf("shell.token") }],
    "an app's token as a shell": () => [unix(), { role: "shell", token: tokens.get(ATTACKER) }],
    "the shell's token as the administrator": () => [
      unix(),
      { role: "admin", token: secretOf("shell.token") },
    ],
    "the administrator's token in a page": () => [
      tcp(PAGE),
      { role: "admin", token: secretOf("admin.token") },
    ],
    "the administrator's token in the dashboard's own origin": () => [
      tcp(`http://127.0.0.1:${port}`),
      { role: "admin", token: secretOf("admin.token") },
    ],
    "an app's token as a session": () => [
      tcp(`http://127.0.0.1:${port}`),
      { role: "admin", claims: tokens.get(ATTACKER), proof: tokens.get(ATTACKER) },
    ],
    "a session made up": () => [
      tcp(`http://127.0.0.1:${port}`),
      { role: "admin", claims: "9999999999999.AAAAAAAAAAAAAAAAAAAAAA", proof: GUESS },
    ],
    "a role there is not": () => [unix(), { role: "root", token: secretOf("admin.token") }],
    "another request first": () => [unix(), '{"id":1,"type":"status"}'],
    "no role": () => [unix(), {}],
  };

  test.each(Object.keys(wrong))("%s", async (name) => {
    const [dial, hello] = wrong[name]?.() ?? [unix(), {}];
    expect(await hear(dial, hello)).toEqual(REFUSAL);
  });

  test("a dashboard's code works from its own origin only, and is not used up by others", async () => {
    const { url } = await admin.ask("dashboardLink");
    const { origin, hash } = new URL(String(url));
    const code = hash.slice("#code=".length);
    const outcomes = await Promise.all(
      [unix(), tcp(), tcp(PAGE), tcp("https://evil.example")].map((dial) =>
        hear(dial, { role: "admin", code }),
      ),
    );
    expect(outcomes).toEqual(outcomes.map(() => REFUSAL));
    const { session } = await (await SocketClient.enter(tcp(origin), { role: "admin", code })).firstResult();
    const [end = "", ...rest] = String(session).split(".");
    const longer = [Number(end) + 1, ...rest].join(".");
    expect(await hearSession(origin, longer, origin)).toBe("ERR_APP_AUTH");
    expect(await hearSession(PAGE, String(session), PAGE)).toBe("ERR_APP_AUTH");
    // What a page told an impostor at another port.
    expect(await hearSession(origin, String(session), "http://127.0.0.1:1")).toBe("ERR_APP_AUTH");
    expect(await hearSession(origin, String(session), origin)).toBe("welcome");
  });

  test("what proved a session once proves nothing to another challenge, or to none", async () => {
    const { url } = await admin.ask("dashboardLink");
    const { origin, hash } = new URL(String(url));
    const code = hash.slice("#code=".length);
    const { session } = await (await SocketClient.enter(tcp(origin), { role: "admin", code })).firstResult();
    const once = await dialed(tcp(origin));
    const hello = await once.sessionHello(String(session), origin);
    await once.ask("hello", hello);
    expect(await hear(tcp(origin), hello)).toEqual(REFUSAL);
    const challenged = await dialed(tcp(origin));
    await challenged.ask("challenge");
    await expect(challenged.ask("hello", hello)).rejects.toMatchObject({ code: "ERR_APP_AUTH" });
    const twice = await dialed(tcp(origin));
    await twice.ask("challenge");
    await expect(twice.ask("challenge")).rejects.toMatchObject({ code: "ERR_APP_AUTH" });
  });
});

describe("at the door", () => {
  test.each([
    ["a host name of somebody else's DNS", 403, { host: "evil.example" }],
    ["such a name with our port", 403, { host: "evil.example:PORT" }],
    ["a name that only begins like ours", 403, { host: "localhost:PORT.evil.example" }],
    ["loopback without the port", 403, { host: "127.0.0.1" }],
    ["loopback with another port", 403, { host: "127.0.0.1:1" }],
    ["another address of loopback", 403, { host: "127.0.0.2:PORT" }],
    ["an http page of somewhere", 403, { origin: "http://evil.example" }],
    ["a page of loopback that is not configured", 403, { origin: "http://localhost:9999" }],
    ["a file or a sandboxed page", 403, { origin: "null" }],
    ["an extension", 403, { origin: "chrome-extension://abcdefgh" }],
    ["what is no origin", 403, { origin: "https://evil.example/path" }],
    ["the dashboard's origin under another name", 403, { origin: "http://localhost:PORT" }],
    ["another path", 404, { path: "/v1/app2" }],
    ["the path with a query", 404, { path: "/v1/app?owner=victim" }],
    ["another subprotocol", 400, { subprotocol: "godwit.v1" }],
  ])("%s is not upgraded (%i)", async (_, status, options) => {
    const filled = Object.entries(options).map(([name, text]) => [name, text.replace("PORT", String(port))]);
    expect(await SocketClient.dial({ ...tcp(), ...Object.fromEntries(filled) })).toBe(status);
  });

  test.each(["evil.example", "127.0.0.1:1"])("nothing is served under the name %s", async (host) => {
    const status = await new Promise((resolve, reject) => {
      const outgoing = request({ port, host: "127.0.0.1", headers: { Host: host } }, ({ statusCode }) =>
        resolve(statusCode),
      );
      outgoing.on("error", reject);
      outgoing.end();
    });
    expect(status).toBe(403);
  });

  test("what is right is let in", async () => {
    const page = await SocketClient.enterPage(tcp(PAGE), secrets.get(PAGE));
    expect(await page.ask("getSubscription")).toMatchObject({
      subscription: { endpoint: expect.any(String) },
    });
    await page.close();
    for (const dial of [unix(), tcp(), { ...tcp(), host: `localhost:${port}` }]) {
      const app = await SocketClient.enter(dial, { role: "app", owner: VICTIM, token: tokens.get(VICTIM) });
      await app.close();
    }
  });
});

const isRoot = process.getuid?.() === 0;
if (!isRoot)
  console.warn(
    "app-socket-strangers.test.ts leaves the second local user out: only root can become somebody else",
  );

test.skipIf(!isRoot)("a second local user gets at no file, no socket and no app", async () => {
  const hellos = [
    { origin: null, hello: { id: 1, type: "hello", role: "app", owner: VICTIM, token: GUESS } },
    { origin: null, hello: { id: 1, type: "hello", role: "app", owner: NOBODY, token: GUESS } },
    { origin: PAGE, hello: { id: 1, type: "hello", role: "page", owner: PAGE, proof: GUESS } },
    { origin: NO_PAGE, hello: { id: 1, type: "hello", role: "page", owner: NO_PAGE, proof: GUESS } },
    { origin: null, hello: { id: 1, type: "hello", role: "admin", token: GUESS } },
  ];
  const source = readFileSync(new URL("children/stranger.mjs", import.meta.url), "utf8");
  const stranger = async () => {
    const argument = JSON.stringify({ state, port, hellos });
    const command = [process.execPath, "--input-type=module", "-e", source, argument];
    const program = stage.start("stranger", command, {
      stdio: ["ignore", "pipe", "pipe"],
      cwd: "/",
      env: {},
      uid: 65_534,
      gid: 65_534,
    });
    expect(await program.exited).toEqual({ code: 0, signal: null });
    return JSON.parse(program.stdout.all.join("")) as Record<string, unknown> & {
      readonly heard: string[];
    };
  };
  const closed = await stranger();
  const denied = { uid: 65_534, list: "EACCES", files: Array(6).fill("EACCES"), socket: "EACCES" };
  expect(closed).toMatchObject(denied);
  // Somebody opened the directories: socket and files keep to themselves.
  const directories = [dirname(stage.directory), stage.directory, state];
  const modes = directories.map((directory) => statSync(directory).mode);
  for (const directory of directories) chmodSync(directory, 0o755);
  const open = await stranger();
  for (const [i, directory] of directories.entries()) chmodSync(directory, modes[i] ?? 0o700);
  const [journal0, journal1, ...others] = (open.files as string[]).toReversed();
  expect(open).toMatchObject({ list: "ok", socket: "EACCES" });
  expect(others).toEqual(Array(4).fill("EACCES"));
  expect(["EACCES", "ENOENT"]).toEqual(expect.arrayContaining([journal0, journal1]));
  for (const { heard } of [closed, open]) {
    expect(heard[0]).toContain(REFUSAL.heard[0]);
    expect(new Set(heard).size).toBe(1);
  }
});

describe("with a proof of its own", () => {
  let app: SocketClient;

  beforeAll(async () => {
    app = await SocketClient.enter(unix(), { role: "app", owner: ATTACKER, token: tokens.get(ATTACKER) });
  });

  /** The answer without its id. */
  async function answerTo(message: Message) {
    const id = 1_000 + app.heard.length;
    app.say({ ...message, id });
    const { id: _, ...answer } = await app.first(`the answer to ${message.type}`, (heard) => heard.id === id);
    return answer;
  }

  test("an app finds nothing of another one, and changes nothing", async () => {
    const victim = await SocketClient.enter(unix(), {
      role: "app",
      owner: VICTIM,
      token: tokens.get(VICTIM),
    });
    const { subscription } = (await victim.ask("getSubscription")) as { subscription: Message };
    await victim.ask("showNotification", { deliveryId: null, title: "Mine", options: { tag: "mine" } });
    const { notifications } = (await victim.ask("getNotifications")) as { notifications: Message[] };
    const { subscriptionId } = subscription;
    const notificationId = notifications[0]?.notificationId;
    // Numbers of the agent's own would tell how many others there are.
    const counted = [...Array(100).keys()];
    expect(counted).not.toContain(subscriptionId);
    expect(counted).not.toContain(notificationId);
    const nowhere = 4_000_000;
    // What is another's is answered as what there never was.
    const pairs = [
      [
        { type: "unsubscribe", subscriptionId },
        { type: "unsubscribe", subscriptionId: nowhere },
      ],
      [
        { type: "closeNotification", notificationId },
        { type: "closeNotification", notificationId: nowhere },
      ],
      [
        { type: "getNotifications", tag: "mine" },
        { type: "getNotifications", tag: "none" },
      ],
      [
        { type: "getSubscription", owner: VICTIM },
        { type: "getSubscription", owner: NOBODY },
      ],
      [
        { type: "handled", deliveryId: 1 },
        { type: "handled", deliveryId: nowhere },
      ],
      [{ type: "subscriptions" }, { type: "constructor" }],
    ] as const;
    for (const [theirs, nothing] of pairs) expect(await answerTo(theirs)).toEqual(await answerTo(nothing));
    expect(await answerTo({ type: "getSubscription", owner: VICTIM })).toEqual({
      result: { subscription: null },
    });
    expect(await victim.ask("getSubscription")).toEqual({ subscription });
    expect(await victim.ask("getNotifications")).toEqual({ notifications });
    await victim.close();
  });

  test.each([
    "status",
    "stats",
    "notifications",
    "watch",
    "installed",
    "installApp",
    "uninstallApp",
    "setPermission",
    "setPaused",
    "setOptedOut",
    "clearData",
    "removeSubscription",
    "factoryReset",
    "dashboardLink",
    "testPush",
    "pageSecret",
    "activate",
    "dismiss",
    "answerPermission",
    "answerNavigation",
    "displayed",
    "hello",
    "__proto__",
  ])("an app's %s is unknown", async (type) => {
    const members = { owner: VICTIM, permission: "granted", notificationId: 1, action: "", role: "admin" };
    expect(await answerTo({ ...members, type })).toEqual({
      error: { code: "ERR_OPTION", name: "TypeError", message: "unknown request type" },
    });
  });

  test("a token is good no more after an uninstall, nor is the old one after another install", async () => {
    const { token: old } = await admin.ask("installApp", { owner: "guest", start: null, tokenFile: null });
    const hello = { role: "app", owner: "guest", token: old };
    const guest = await SocketClient.enter(unix(), hello);
    const { token } = await admin.ask("installApp", { owner: "guest", start: null, tokenFile: null });
    expect(await guest.closed).toEqual({ closeCode: 4401 });
    expect(await hear(unix(), hello)).toEqual(REFUSAL);
    const again = await SocketClient.enter(unix(), { ...hello, token });
    await admin.ask("uninstallApp", { owner: "guest" });
    expect(await again.closed).toEqual({ closeCode: 4401 });
    expect(await hear(unix(), { ...hello, token })).toEqual(REFUSAL);
  });
});

test("no proof is in the agent's log", () => {
  const proofs = [...tokens.values(), ...secrets.values()].concat(
    ["admin.token", "shell.token", "page.key"].map(secretOf),
  );
  const log = [...agent.stderr.all, ...agent.stdout.all].join("\n");
  expect(log).toMatch(/^agent ready/);
  expect(proofs.filter((proof) => log.includes(proof.slice(4, 20)))).toEqual([]);
});
