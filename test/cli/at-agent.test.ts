// SPDX-License-Identifier: MIT
// Goal: every command at a running agent does what its help says, shows what it did, and refuses what cannot be.
// Method: runs the program against a real agent and push service, and looks at the effects from outside: what the sender is
// answered, what the screen shows, who is let in at the app socket.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { SocketClient } from "../end-to-end/socket-client.ts";
import { type Program, Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { Desktop, desktopProblem } from "../node/desktop.ts";

const USAGE = 2;
const DENIED = 77;
const UNREACHABLE = 69;

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));
/** Nobody. Only root can be somebody else, and the checkout must not lie in a directory that is root's alone. */
const ANOTHER_USER = { uid: 65_534, gid: 65_534, cwd: "/" };
const CAN_BE_ANOTHER_USER =
  process.getuid?.() === 0 && spawnSync(process.execPath, [CLI, "--version"], ANOTHER_USER).status === 0;

let stage: Stage;
let service: ServiceProcess;
let sender: Sender;
let agent: Program;
let state: string;
beforeAll(async () => {
  stage = new Stage();
  service = await stage.service();
  sender = new Sender(service);
  state = stage.newDirectory();
  agent = await startAgent(state);
});
afterAll(() => stage.close());

async function startAgent(directory: string, ...args: string[]): Promise<Program> {
  const where = ["--service", service.origin, "--ca", service.caFile, "--state", directory];
  const program = stage.userAgent([...where, "--app-port", "0", ...args]);
  await program.stderr.match(/^agent ready/);
  return program;
}

/** Runs a command at the agent. */
function at(...args: string[]) {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  return stage.run(args.toSpliced(end, 0, "--state", state));
}

/** The result of one that succeeds, as JSON. */
async function json(...args: string[]) {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  const { code, stdout, stderr } = await at(...args.toSpliced(end, 0, "--json"));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

async function expectLine(args: readonly string[], line: string | RegExp): Promise<void> {
  const { code, stdout, stderr } = await at(...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  if (typeof line === "string") expect(stdout).toBe(line);
  else expect(stdout).toMatch(line);
}

/** A refusal: its code, nothing on stdout, and one line on stderr. */
async function expectRefusal(args: readonly string[], code: number, message: RegExp): Promise<void> {
  const result = await at(...args);
  expect(result).toMatchObject({ code, stdout: "" });
  expect(result.stderr.split("\n")).toHaveLength(1);
  expect(result.stderr).toMatch(message);
}

async function subscribe(owner: string): Promise<PushSubscriptionJSON> {
  await at("permission", "set", owner, "granted");
  return json("subscribe", owner, "--application-server-key", sender.keys.publicKey);
}

const declarative = (title: string, more: object = {}): string =>
  JSON.stringify({ web_push: 8030, notification: { title, navigate: "/there", ...more } });

/** Sends one and waits until it is on the screen; its number. */
async function show(target: PushSubscriptionJSON, title: string, more: object = {}): Promise<string> {
  expect(await sender.send(target, declarative(title, more))).toBe(201);
  const line = await agent.stdout.match(new RegExp(`^\\(\\d+\\) \\S+ ${title}`));
  return /^\((\d+)\)/.exec(line)?.[1] ?? "";
}

/** Resolves when the service has ended one more subscription. */
async function nextEnd(): Promise<void> {
  const countOf = (lines: readonly string[]) =>
    lines.filter((line) => line.startsWith("unregistered ")).length;
  const before = countOf(service.stderr.all);
  await service.stderr.until("a subscription ends", (lines) => (countOf(lines) > before ? true : null));
}

/** Nothing is left on the screen of what earlier tests showed. */
async function closeAll(): Promise<void> {
  for (const { notificationId } of await json("notifications"))
    await at("notifications", "close", String(notificationId));
}

const statusOfSending = (target: PushSubscriptionJSON): Promise<number> =>
  sender.send(target, "x").catch((error: { statusCode: number }) => error.statusCode);

describe("permission", () => {
  const NEWS = "https://news.example";

  test("subscribing waits for an answer, and says how to give it", async () => {
    await expectLine(["permission"], "no app has asked yet");
    const waiting = stage.godwit(["subscribe", NEWS, "--state", state]);
    await waiting.stderr.match(/^waiting for permission: godwit permission answer \S+ granted --state \S+$/);
    expect(agent.stderr.all).toContain(
      `${NEWS} asks for permission: godwit permission answer ${NEWS} granted --state ${state}`,
    );
    await expectLine(["permission"], `${NEWS}\tprompt, is asking: godwit permission answer`);
    await expectLine(["status"], /^asking {8}https:\/\/news\.example$/m);
    expect(await json("permission")).toEqual({
      paused: false,
      optedOut: false,
      owners: [{ owner: NEWS, permission: "prompt", isAsked: true, paused: false, optedOut: false }],
    });
    await expectLine(["permission", "answer", NEWS, "granted"], `${NEWS}: granted`);
    expect(await waiting.exited).toEqual({ code: 0, signal: null });
    expect(JSON.parse(waiting.stdout.all.join(""))).toHaveProperty("endpoint");
    await expectLine(["permission"], `${NEWS}\tgranted`);
  });

  test("a no reaches the one who waits", async () => {
    const waiting = stage.godwit(["subscribe", "no.example", "--state", state, "--json"]);
    await waiting.stderr.match(/^waiting/);
    await at("permission", "answer", "no.example", "denied");
    expect((await waiting.exited).code).toBe(DENIED);
    expect(JSON.parse(waiting.stderr.all.at(-1) ?? "")).toEqual({
      error: { code: "ERR_SUBSCRIBE_PERMISSION", message: expect.any(String) },
    });
    await expectRefusal(["subscribe", "no.example"], DENIED, /permission for push was not granted$/);
  });

  test("set to denied ends the subscriptions, here and at the service", async () => {
    const owner = "https://revoked.example";
    const target = await subscribe(owner);
    const ended = nextEnd();
    expect(await json("permission", "set", owner, "denied")).toEqual({ owner, permission: "denied" });
    await ended;
    expect(await statusOfSending(target)).toBe(410);
    expect((await at("subscriptions")).stdout).not.toContain(owner);
  });

  test("an answer that nobody waits for is refused", async () => {
    await expectRefusal(["permission", "answer", NEWS, "granted"], 1, /is not asking; godwit permission set/);
  });

  test.each([
    [["permission", "set", NEWS], /a word is needed: granted, denied, prompt$/],
    [["permission", "set", NEWS, "maybe"], /"maybe" is none of the words needed: granted, denied, prompt$/],
    [["permission", "set"], /an owner is needed/],
    [["permission", "set", "HTTPS://News.example", "granted"], /is no owner: neither a web origin/],
    [["permission", "sett", NEWS, "granted"], /unexpected argument "sett"/],
    [["permission", "answer", NEWS], /a word is needed/],
  ])("godwit %j is a mistake", (args, message) => expectRefusal(args, USAGE, message));
});

describe("subscriptions", () => {
  test("one is deleted by its number, and the sender is told", async () => {
    const target = await subscribe("https://gone.example");
    const { subscriptionId } = (await json("subscriptions")).at(-1);
    const ended = nextEnd();
    expect(await json("subscriptions", "delete", String(subscriptionId))).toEqual({ existed: true });
    await ended;
    expect(await statusOfSending(target)).toBe(410);
    await expectLine(["subscriptions", "delete", "999"], "there is no subscription 999");
  });

  test.each([["-1"], ["0"], ["one"], ["1e3"]])("delete %s is a mistake", (id) =>
    expectRefusal(["subscriptions", "delete", "--", id], USAGE, /a subscription is needed: the number/),
  );
});

describe("notifications", () => {
  const OWNER = "https://shown.example";
  const ACTIONS = [
    { action: "reply", title: "Reply", navigate: "/reply" },
    { action: "map", title: "Map", navigate: "https://maps.example/here" },
  ];
  let target: PushSubscriptionJSON;
  beforeAll(async () => {
    target = await subscribe(OWNER);
  });

  test("are listed, with the names of their actions", async () => {
    await expectLine(["notifications"], "no notifications");
    const id = await show(target, "Listed", { body: "one\ntwo", actions: ACTIONS });
    await expectLine(["notifications"], `${id}\t${OWNER}\tListed | one / two [reply: Reply] [map: Map]`);
    expect(await json("notifications")).toMatchObject([
      { notificationId: Number(id), owner: OWNER, notification: { title: "Listed" } },
    ]);
    await expectLine(["status"], /^notifications 1$/m);
    await expectLine(["notifications", "close", id], `closed: ${id}`);
    await agent.stdout.match(new RegExp(`^\\(${id}\\) closed$`));
    await expectRefusal(["notifications", "close", id], 1, /there is no notification \d+$/);
  });

  test("a click opens the link, and the notification goes", async () => {
    const id = await show(target, "Clicked");
    await expectLine(["notifications", "click", id], `clicked: opens ${OWNER}/there`);
    await agent.stdout.match(/^https:\/\/shown\.example: open https:\/\/shown\.example\/there$/);
    await expectLine(["notifications"], "no notifications");
    await expectRefusal(["notifications", "click", id], 1, /there is no notification \d+$/);
  });

  test("a click on an action opens its link", async () => {
    const id = await show(target, "Acted upon", { actions: ACTIONS });
    expect(await json("notifications", "click", id, "reply")).toEqual({
      notificationId: Number(id),
      action: "reply",
      url: `${OWNER}/reply`,
    });
    await agent.stdout.match(/: open https:\/\/shown\.example\/reply$/);
  });

  test("a link to another origin needs a person's word, or --allow", async () => {
    const id = await show(target, "Elsewhere", { actions: ACTIONS });
    await expectRefusal(
      ["notifications", "click", id, "map"],
      DENIED,
      /leads to maps\.example: give --allow/,
    );
    const click = ["notifications", "click", id, "map", "--allow"];
    await expectLine(click, "clicked: opens https://maps.example/here");
    await agent.stdout.match(/: open https:\/\/maps\.example\/here$/);
    expect(agent.stdout.all.filter((line) => line.includes("maps.example"))).toHaveLength(1);
  });

  test("a link that is never opened is refused with its code, and stays", async () => {
    const id = await show(target, "Refused", { navigate: "http://plain.example/" });
    const { code, stderr } = await at("notifications", "click", id, "--allow", "--json");
    expect(code).toBe(1);
    expect(JSON.parse(stderr).error.code).toBe("ERR_NAVIGATION_REFUSED");
    await expectLine(["notifications", "close", id], `closed: ${id}`);
    // The refusal is of that click, and not of the next one.
    const next = await show(target, "Not refused");
    await expectLine(["notifications", "click", next], `clicked: opens ${OWNER}/there`);
  });

  test("an action that it does not have is a mistake", async () => {
    const id = await show(target, "Poor");
    await expectRefusal(
      ["notifications", "click", id, "reply"],
      USAGE,
      /no action "reply"; it has none at all$/,
    );
    await at("notifications", "close", id);
  });

  test.each([
    [["notifications", "click"], /a notification is needed: the number in the list$/],
    [["notifications", "close", "first"], /a notification is needed/],
    [["notifications", "click", "1", "a", "b"], /unexpected argument "b"$/],
  ])("godwit %j is a mistake", (args, message) => expectRefusal(args, USAGE, message));
});

describe("pause", () => {
  test("keeps an app's messages at the service until it is undone", async () => {
    const owner = "https://paused.example";
    const target = await subscribe(owner);
    expect(await json("pause", owner)).toEqual({ owner, paused: true });
    await expectLine(["status"], /^paused {8}https:\/\/paused\.example$/m);
    await expectLine(["permission"], /^https:\/\/paused\.example\tgranted, paused$/m);
    expect(await sender.send(target, declarative("Held back"))).toBe(201);
    // Of another app's, which comes later, this one would have come before.
    await show(await subscribe("https://other.example"), "Not held");
    expect(agent.stdout.all.some((line) => line.includes("Held back"))).toBe(false);
    await expectLine(["pause", owner, "--undo"], `goes on: ${owner}`);
    await agent.stdout.match(/: Held back$/);
    await closeAll();
  });

  test("of all apps", async () => {
    await expectLine(["pause", "--all"], "paused: all apps");
    await expectLine(["permission"], /^all apps are paused; godwit pause --all --undo takes that back$/m);
    expect(await json("pause", "--all", "--undo")).toEqual({ owner: null, paused: false });
  });

  test.each([
    [["pause"], /name either an owner or --all$/],
    [["pause", "an-app", "--all"], /name either an owner or --all$/],
    [["optout"], /name either an owner or --all$/],
    [["pause", "https://a.example/path"], /is no owner/],
    [["clear"], /an owner is needed/],
    [["reset", "everything"], /unexpected argument "everything"$/],
    [["reset"], /there is nobody to ask whether it is meant: give --yes$/],
  ])("godwit %j is a mistake", (args, message) => expectRefusal(args, USAGE, message));
});

describe("optout", () => {
  test("of an app ends its subscriptions and lets none be made until it is undone", async () => {
    const owner = "https://unwanted.example";
    const target = await subscribe(owner);
    const ended = nextEnd();
    await expectLine(["optout", owner], `opted out: ${owner}`);
    await ended;
    expect(await statusOfSending(target)).toBe(410);
    await expectRefusal(["subscribe", owner], DENIED, /permission for push was not granted$/);
    await expectLine(["optout", owner, "--undo"], `opted in again: ${owner}; apps have to subscribe anew`);
    expect((await at("subscribe", owner)).code).toBe(0);
  });

  test("of all apps ends everybody's", async () => {
    await subscribe("https://everybody.example");
    expect(await json("optout", "--all")).toEqual({ owner: null, optedOut: true });
    await expectLine(["subscriptions"], "no subscriptions");
    await expectLine(["permission"], /^all apps are opted out; /m);
    await expectLine(["status"], /^opted out {5}all apps$/m);
    await expectLine(["optout", "--all", "--undo"], /^opted in again: all apps/);
  });
});

test("clear takes away what an app left, and nothing of another's", async () => {
  const [mine, others] = [
    await subscribe("https://cleared.example"),
    await subscribe("https://kept.example"),
  ];
  await show(mine, "Cleared away");
  const kept = await show(others, "Kept there");
  await expectLine(["clear", "https://cleared.example"], "cleared: https://cleared.example");
  await expectLine(["notifications"], `${kept}\thttps://kept.example\tKept there`);
  expect((await json("subscriptions")).map(({ owner }: { owner: string }) => owner)).toEqual([
    "https://kept.example",
  ]);
  await expectLine(["permission"], /^https:\/\/cleared\.example\tgranted$/m);
  await closeAll();
});

describe("apps", () => {
  const knock = (token: string) =>
    SocketClient.enter({ at: join(state, "app.sock") }, { role: "app", owner: "an-app", token });
  const tokenIn = (path: string): string => readFileSync(path, "utf8").trim();

  test("install puts a token that lets the app in into a file for us alone; again, and the old one is good no more", async () => {
    await expectLine(["apps"], "no apps; godwit apps install OWNER lets one in");
    const { tokenFile, ...rest } = await json("apps", "install", "an-app");
    expect(rest).toEqual({ owner: "an-app", start: null });
    expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
    const first = tokenIn(tokenFile);
    const client = await knock(first);
    expect((await at("apps", "install", "an-app")).stdout).not.toContain(tokenIn(tokenFile));
    expect(await client.closed).toEqual({ closeCode: 4401 });
    await expect(knock(first)).rejects.toMatchObject({ code: "ERR_APP_AUTH" });
    await (await knock(tokenIn(tokenFile))).close();
    expect(readdirSync(join(state, "app-tokens"))).toEqual(["an-app"]);
    await expectLine(["apps"], `an-app\ttoken ${tokenFile}\tnot started`);
    expect(await json("apps")).toEqual([{ owner: "an-app", start: null, tokenFile }]);
  });

  test("install writes the token where it is told to, or prints it", async () => {
    const tokenFile = join(stage.newDirectory(), "token");
    await at("apps", "install", "an-app", "--token-file", tokenFile);
    expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
    await (await knock(tokenIn(tokenFile))).close();
    const { token } = await json("apps", "install", "an-app", "--token-file", "-");
    await (await knock(token)).close();
    expect((await at("apps", "install", "an-app", "--token-file", "-")).stdout).toMatch(/^[\w-]{43}$/);
  });

  test("a token file that cannot be written leaves the app as it was", async () => {
    const tokenFile = join(stage.newDirectory(), "token");
    await at("apps", "install", "an-app", "--token-file", tokenFile);
    const nowhere = join(tokenFile, "below-a-file");
    await expectRefusal(["apps", "install", "an-app", "--token-file", nowhere], 78, /cannot be written/);
    await (await knock(tokenIn(tokenFile))).close();
  });

  test("uninstall shuts it out and takes everything with it", async () => {
    const { tokenFile } = await json("apps", "install", "an-app");
    const client = await knock(tokenIn(tokenFile));
    await subscribe("an-app");
    await expectLine(["apps", "uninstall", "an-app"], "an-app is uninstalled");
    expect(await client.closed).toEqual({ closeCode: 4401 });
    expect(existsSync(tokenFile)).toBe(false);
    for (const command of ["apps", "subscriptions", "permission"])
      expect((await at(command)).stdout).not.toContain("an-app");
    await expectLine(["apps", "uninstall", "an-app"], "nothing was known of an-app");
    expect(await json("apps", "uninstall", "an-app")).toEqual({ existed: false });
  });

  test("an installed program is started when something waits for it, and finds its token", async () => {
    const directory = stage.newDirectory();
    const found = join(directory, "found.json");
    const script = join(directory, "app.mjs");
    writeFileSync(
      script,
      `import { readFileSync, writeFileSync } from "node:fs";
       const { GODWIT_OWNER, GODWIT_TOKEN_FILE } = process.env;
       const members = [GODWIT_OWNER, readFileSync(GODWIT_TOKEN_FILE, "utf8").length, process.argv.slice(2)];
       writeFileSync(${JSON.stringify(found)}, JSON.stringify(members));`,
    );
    await json("apps", "install", "started-app", "--", "node", script, "--help");
    await expectLine(["apps"], /^started-app\ttoken \S+\t\/\S+ \/\S+app\.mjs --help$/m);
    await sender.send(await subscribe("started-app"), "wake up");
    await agent.stderr.match(/ERR_APP_START.*started-app ended without attaching/);
    expect(JSON.parse(readFileSync(found, "utf8"))).toEqual(["started-app", 44, ["--help"]]);
    await at("apps", "uninstall", "started-app");
  });

  test.each([
    [["apps", "install"], /an owner is needed/],
    [["apps", "install", "An-App"], /is no owner/],
    [
      ["apps", "install", "an-app", "./no-such-program"],
      /\.\/no-such-program is no program that can be run$/,
    ],
    [["apps", "install", "an-app", "--token-file", "-", "node"], /needs its token in a file$/],
    [["apps", "uninstall"], /an owner is needed/],
    [["apps", "instal"], /unexpected argument "instal"; there is install, uninstall$/],
  ])("godwit %j is a mistake", (args, message) => expectRefusal(args, USAGE, message));
});

describe("tail", () => {
  test("tells what happens, with the time, and ends with Ctrl-C", async () => {
    const target = await subscribe("https://tailed.example");
    const text = stage.godwit(["tail", "--state", state]);
    const objects = stage.godwit(["tail", "--state", state, "--json"]);
    // A question that is open is told at once: from then on it listens.
    const waiting = stage.godwit(["subscribe", "asks.example", "--state", state]);
    await text.stdout.match(
      /^20\S+Z question permission owner=asks\.example; answer with godwit permission answer/,
    );
    await objects.stdout.match(/"question":\{"permission":\{"owner":"asks.example"\}\}/);
    const id = await show(target, "Tailed");
    await text.stdout.match(/^20\S+Z shown messageId=\S+ owner=https:\/\/tailed\.example by=declared$/);
    const line = await objects.stdout.match(/"type":"shown"/);
    expect(JSON.parse(line)).toMatchObject({ atEpochMs: expect.any(Number), report: { type: "shown" } });
    await at("permission", "answer", "asks.example", "denied");
    await waiting.exited;
    await at("notifications", "close", id);
    expect(await text.end("SIGINT")).toEqual({ code: 0, signal: null });
    expect(await objects.end("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(text.stderr.all).toEqual([]);
  });
});

describe("dashboard", () => {
  test("prints a link whose code is good once, on the agent's port of loopback", async () => {
    const port = Number(/127\.0\.0\.1:(\d+)$/.exec(agent.stderr.all.join("\n").split("\n")[0] ?? "")?.[1]);
    const { stdout: url } = await at("dashboard");
    expect(url).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:${port}/#code=[\\w-]{43}$`));
    expect((await json("dashboard")).url).not.toBe(url);
    const code = url.slice(url.indexOf("=") + 1);
    const enter = () =>
      SocketClient.enter({ at: port, origin: `http://127.0.0.1:${port}` }, { role: "admin", code });
    await (await enter()).close();
    await expect(enter()).rejects.toMatchObject({ code: "ERR_APP_AUTH" });
  });

  test("--open hands the browser a page only we can read, and no code in its arguments", async () => {
    const directory = stage.newDirectory();
    const seen = join(directory, "seen");
    writeFileSync(join(directory, "xdg-open"), `#!/bin/sh\nprintf %s "$*" > ${seen}\n`, { mode: 0o755 });
    const path = { PATH: `${directory}:${process.env.PATH}` };
    const { code, stdout } = await stage.run(["dashboard", "--open", "--state", state], path);
    expect(code).toBe(0);
    const page = join(state, "dashboard.html");
    expect(readFileSync(seen, "utf8")).toBe(`file://${page}`);
    expect(statSync(page).mode & 0o777).toBe(0o600);
    expect(readFileSync(page, "utf8")).toContain(stdout);
  });

  test("--open without a browser says so, and still prints the link", async () => {
    const path = { PATH: stage.newDirectory() };
    const { code, stdout, stderr } = await stage.run(["dashboard", "--open", "--state", state], path);
    expect([code, stderr]).toEqual([1, "godwit dashboard: no browser could be opened (xdg-open)"]);
    expect(stdout).toMatch(/^http:/);
  });
});

describe("shell", () => {
  const open = (...args: string[]): Program =>
    stage.godwit(["shell", "--state", state, ...args], {}, undefined, [], "pipe");

  test("shows what is there and what comes; takes clicks, closing, and answers", async () => {
    const target = await subscribe("https://shell.example");
    const there = await show(target, "Was there");
    const shell = open();
    const type = (line: string) => shell.child.stdin?.write(`${line}\n`);
    await shell.stdout.match(new RegExp(`^\\(${there}\\) https://shell\\.example: Was there$`));
    type(`x ${there}`);
    await shell.stdout.match(new RegExp(`^\\(${there}\\) closed$`));
    const actions = [{ action: "map", title: "Map", navigate: "https://maps.example/shell" }];
    const id = await show(target, "Comes", { actions });
    await shell.stdout.match(/: Comes \[1: Map\]$/);
    type(`${id} 1`);
    await shell.stdout.match(/^\? Open maps\.example for https:\/\/shell\.example\? y or n$/);
    type("y");
    await shell.stdout.match(/^https:\/\/shell\.example: open https:\/\/maps\.example\/shell$/);
    const waiting = stage.godwit(["subscribe", "https://new.example", "--state", state]);
    await shell.stdout.match(/^\? May https:\/\/new\.example send you push messages\? y or n$/);
    type("n");
    expect((await waiting.exited).code).toBe(DENIED);
    type("what?");
    type("77");
    type("y");
    await shell.stderr.match(/^nothing was asked$/);
    // Lines that come at once are answered in their order.
    expect(shell.stderr.all.slice(-3)).toEqual([
      expect.stringMatching(/^1: click/),
      "there is no such notification or action",
      "nothing was asked",
    ]);
    type("q");
    expect(await shell.exited).toEqual({ code: 0, signal: null });
  });

  test("--json writes the events of the socket", async () => {
    const id = await show(await subscribe("https://shell.example"), "As JSON");
    const shell = open("--json");
    const line = await shell.stdout.match(/"event":"show"/);
    expect(JSON.parse(line)).toMatchObject({ notificationId: Number(id), title: "As JSON", alert: false });
    await shell.end("SIGINT");
    await at("notifications", "close", id);
  });
});

describe("an agent that is not there, or goes", () => {
  test("every command says that there is none", async () => {
    const nowhere = stage.newDirectory();
    const commands = [
      ["apps"],
      ["apps", "install", "an-app"],
      ["apps", "uninstall", "an-app"],
      ["subscriptions", "delete", "1"],
      ["notifications"],
      ["notifications", "click", "1"],
      ["notifications", "close", "1"],
      ["permission"],
      ["permission", "set", "an-app", "granted"],
      ["permission", "answer", "an-app", "granted"],
      ["optout", "an-app"],
      ["pause", "--all"],
      ["clear", "an-app"],
      ["reset", "--yes"],
      ["tail"],
      ["dashboard"],
      ["shell"],
    ];
    for (const command of commands) {
      const result = await stage.run([...command, "--state", nowhere]);
      const found = `no agent is running in ${nowhere} (--state names its directory)`;
      expect(result).toMatchObject({ code: UNREACHABLE, stdout: "" });
      expect(result.stderr).toMatch(new RegExp(`^godwit ${command[0]}( [a-z]+)?: no agent`));
      expect(result.stderr.slice(result.stderr.indexOf(": ") + 2)).toBe(found);
    }
    expect(existsSync(join(nowhere, "app-tokens", "an-app"))).toBe(false);
  });

  test("tail and shell end when the agent does", async () => {
    const directory = stage.newDirectory();
    const mine = await startAgent(directory);
    const tail = stage.godwit(["tail", "--state", directory, "--json"]);
    const shell = stage.godwit(["shell", "--state", directory], {}, undefined, [], "pipe");
    await shell.stderr.match(/^1: click/);
    const waiting = stage.godwit(["subscribe", "an-app", "--state", directory]);
    await tail.stdout.match(/"question"/);
    await mine.end("SIGTERM");
    for (const program of [tail, shell]) expect((await program.exited).code).toBe(UNREACHABLE);
    expect(shell.stderr.all.at(-1)).toBe(`godwit shell: the agent in ${directory} went away`);
    expect((await waiting.exited).code).not.toBe(0);
  });

  test("one that was killed is none, and one that hangs is told apart", async () => {
    const directory = stage.newDirectory();
    const mine = await startAgent(directory);
    mine.child.kill("SIGSTOP");
    const hung = await stage.run(["status", "--state", directory]);
    expect(hung).toEqual({
      code: 75,
      stdout: "",
      stderr: `godwit status: the agent in ${directory} does not answer`,
    });
    await mine.end("SIGKILL");
    expect(existsSync(join(directory, "app.sock"))).toBe(true);
    const gone = await stage.run(["status", "--state", directory]);
    expect(gone).toMatchObject({ code: UNREACHABLE, stderr: expect.stringContaining("no agent is running") });
    await startAgent(directory);
    expect((await stage.run(["status", "--state", directory])).code).toBe(0);
  });

  test("a token that is not the agent's is refused", async () => {
    const directory = stage.newDirectory();
    await startAgent(directory);
    const path = join(directory, "admin.token");
    const right = readFileSync(path, "utf8");
    writeFileSync(path, "not it\n");
    const result = await stage.run(["status", "--state", directory]);
    expect(result).toMatchObject({ code: DENIED, stdout: "" });
    expect(result.stderr).toMatch(/^godwit status: the agent does not take the token in /);
    writeFileSync(path, right);
    expect((await stage.run(["status", "--state", directory])).code).toBe(0);
  });

  test.skipIf(!CAN_BE_ANOTHER_USER)(
    "another user is told that only the agent's user can ask it",
    async () => {
      for (const command of [["status"], ["notifications"], ["reset", "--yes"], ["shell"]]) {
        const program = stage.start("godwit", [process.execPath, CLI, ...command, "--state", state], {
          stdio: ["ignore", "pipe", "pipe"],
          env: { PATH: process.env.PATH, HOME: "/nonexistent" },
          ...ANOTHER_USER,
        });
        expect(await program.exited).toEqual({ code: DENIED, signal: null });
        const said = `godwit ${command[0]}: ${state} is another user's: only the agent's user can ask it`;
        expect([program.stdout.all, program.stderr.all]).toEqual([[], [said]]);
      }
    },
  );

  test("without a port of loopback there is no dashboard", async () => {
    const directory = stage.newDirectory();
    const where = ["--service", service.origin, "--ca", service.caFile, "--state", directory];
    const program = stage.userAgent([...where]);
    await program.stderr.match(/^agent ready/);
    const result = await stage.run(["dashboard", "--state", directory]);
    expect(result).toMatchObject({ code: 78, stdout: "" });
    expect(result.stderr).toMatch(/no loopback port open: start it with --app-port$/);
  });
});

describe.skipIf(desktopProblem !== null)("--desktop", () => {
  test("shows notifications on the desktop, takes clicks there, and holds nothing at the end", async () => {
    const desktop = await Desktop.start();
    stage.defer(() => desktop.close());
    const directory = stage.newDirectory();
    // A pipe: reading it waits for the browser.
    const opened = join(desktop.directory, "opened");
    spawnSync("mkfifo", [opened]);
    writeFileSync(join(desktop.directory, "xdg-open"), `#!/bin/sh\nprintf %s "$1" > '${opened}'\n`, {
      mode: 0o755,
    });
    const program = stage.godwit(
      [
        ...["agent", "--service", service.origin, "--ca", service.caFile, "--state", directory],
        ...["--desktop", "--permission", "granted"],
      ],
      { ...desktop.environment, PATH: `${desktop.directory}:${process.env.PATH}` },
    );
    await program.stderr.match(/^agent ready/);
    const key = ["--application-server-key", sender.keys.publicKey];
    const subscribed = await stage.run(["subscribe", "https://tide.example", "--state", directory, ...key]);
    await sender.send(JSON.parse(subscribed.stdout), declarative("On the desktop"));
    expect(await desktop.printed(1)).toMatchObject({
      appName: "https://tide.example",
      title: "On the desktop",
    });
    const link = readFile(opened, "utf8");
    await desktop.click();
    expect(await link).toBe("https://tide.example/there");
    await program.stdout.match(/^\(1\) closed$/);
    await sender.send(JSON.parse(subscribed.stdout), declarative("Still there"));
    await desktop.printed(2);
    expect(await program.end("SIGTERM")).toEqual({ code: 0, signal: null });
  });
});

describe("policy", () => {
  test("what it says of named owners holds at every start, and nobody is asked", async () => {
    const directory = stage.newDirectory();
    const policy = stage.file("policy.json", {
      permission: "ask",
      owners: {
        "https://kiosk.example": { permission: "granted", silentPushes: 3 },
        "https://bad.example": { permission: "denied" },
      },
    });
    const here = ["--state", directory];
    const first = await startAgent(directory, "--policy", policy);
    const subscribed = await stage.run(["subscribe", "https://kiosk.example", ...here]);
    expect(subscribed).toMatchObject({ code: 0, stderr: "" });
    expect((await stage.run(["subscribe", "https://bad.example", ...here])).code).toBe(DENIED);
    const { owners } = JSON.parse((await stage.run(["status", "--json", ...here])).stdout);
    expect(owners).toMatchObject([
      { owner: "https://kiosk.example", permission: "granted", silent: { max: 3 } },
      { owner: "https://bad.example", permission: "denied", silent: { max: 12 } },
    ]);
    await stage.run(["permission", "set", "https://kiosk.example", "denied", ...here]);
    await first.end("SIGTERM");
    await startAgent(directory, "--policy", policy);
    expect((await stage.run(["subscribe", "https://kiosk.example", ...here])).code).toBe(0);
  });
});

// Last: nothing is left of what the others made.
test("reset removes everything and has the service forget the device", async () => {
  const target = await subscribe("https://everything.example");
  await json("apps", "install", "an-app");
  await expectLine(["reset", "--yes"], /^everything is removed; the push service is told now$/);
  await agent.stderr.match(/^reset$/);
  await service.stderr.match(/^device-forgotten /);
  expect(await statusOfSending(target)).not.toBe(201);
  for (const command of ["apps", "subscriptions", "notifications", "permission"])
    expect((await at(command)).stdout).toMatch(/^no /);
  expect(existsSync(join(state, "app-tokens"))).toBe(false);
  expect(await json("status")).toMatchObject({ subscriptions: [], owners: [], device: null });
});
