// SPDX-License-Identifier: MIT
// Goal: every command does what its help says, says in one plain line what went wrong, and ends with the documented exit code.
// Method: runs the program, against real agents and push services where it needs one.

import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { PushSubscriptionJSON } from "../../src/apps/push-manager.ts";
import { agentCommand } from "../../src/cli/agent.ts";
import type { Command } from "../../src/cli/command.ts";
import { pushServiceCommand } from "../../src/cli/push-service.ts";
import { sendCommand } from "../../src/cli/send.ts";
import { statsCommand } from "../../src/cli/stats.ts";
import { describeStatus } from "../../src/cli/status.ts";
import { nodeSurroundings } from "../../src/cli/surroundings.ts";
import { whyUnreadable } from "../../src/configuration/arguments.ts";
import { defaultStateDirectory, readOptions } from "../../src/configuration/options.ts";
import { answerOf, policyOf, readPolicy } from "../../src/configuration/policy.ts";
import { makeCertificate } from "../contract/servers.ts";
import { SocketClient } from "./socket-client.ts";
import { type Program, Sender, type ServiceProcess, Stage } from "./stage.ts";

const NEWS = "https://news.example";
const FAILURE = 1;
const USAGE = 2;
const UNREACHABLE = 69;
const TRY_AGAIN = 75;
const DENIED = 77;
const CONFIG = 78;

let stage: Stage;
beforeAll(() => {
  stage = new Stage();
});
afterAll(() => stage.close());

/** A refusal: its code, nothing on stdout, and one line on stderr that `message` matches. */
async function expectRefusal(args: readonly string[], code: number, message: RegExp, environment = {}) {
  const result = await stage.run(args, environment);
  expect(result).toMatchObject({ code, stdout: "" });
  expect(result.stderr.split("\n")).toHaveLength(1);
  expect(result.stderr).toMatch(message);
}

/** What {@link expectRefusal} expects, without the process around it. */
function expectNoOptions(
  { options }: Command,
  exitCode: number,
  message: RegExp,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): void {
  const known = { ...agentCommand.options, ...pushServiceCommand.options, ...sendCommand.options };
  const config = stage.file("config.json", {});
  const read = () =>
    readOptions(args, options, known, nodeSurroundings({ GODWIT_CONFIG: config, ...environment }));
  expect(read).toThrow(expect.objectContaining({ exitCode, message: expect.stringMatching(message) }));
}

describe("help", () => {
  test("names every command", async () => {
    const { code, stdout } = await stage.run(["help"]);
    expect(code).toBe(0);
    for (const name of [
      ...["demo", "agent", "push-service", "send", "status", "stats", "dashboard", "shell", "notifications"],
      ...["tail", "apps", "subscriptions", "subscribe", "unsubscribe", "permission", "pause", "optout"],
      ...["clear", "reset", "doctor", "config"],
    ])
      expect(stdout).toMatch(new RegExp(`^ {2}${name} +\\S`, "m"));
  });

  test("no command at all shows it too, as a mistake", async () => {
    expect(await stage.run([])).toMatchObject({
      code: USAGE,
      stdout: expect.stringContaining("usage: godwit"),
    });
  });

  test("of a command tells its options", async () => {
    const { code, stdout } = await stage.run(["push-service", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^usage: godwit push-service \[OPTIONS\]$/m);
    expect(stdout).toMatch(/^ {2}--log-format WORD +.*\(text \| json\)$/m);
  });

  test("--version is a version", async () => {
    expect(await stage.run(["--version"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
  });
});

describe("usage", () => {
  test.each([
    [["frobnicate"], /unknown command "frobnicate"; try godwit help$/],
    [["constructor"], /unknown command "constructor"/],
    [["agent", "--frobnicate"], /^godwit agent: unknown option --frobnicate$/],
    [["agent", "-x"], /^godwit agent: unknown option -x$/],
    [["agent"], /^godwit agent: --service is needed$/],
    [["status", "please"], /unexpected argument "please"$/],
    [["stats", "--radio", "smoke"], /^godwit stats: --radio must be one of lte, lte-modern, 3g, /],
    [["subscribe"], /an owner is needed/],
    [["send", "--subscription", "package.json", "hello"], /does not hold a subscription/],
  ])("godwit %j is a mistake", async (args, message) => {
    await expectRefusal(args, USAGE, message);
  });

  test.each([
    ["agent", agentCommand, ["--service"], /^--service needs a value$/],
    ["agent", agentCommand, ["--service", "--quiet"], /^--service needs a value; .*: --service=VALUE$/],
    ["agent", agentCommand, ["--permission", "maybe"], /--permission must be one of granted, denied, ask$/],
    ["agent", agentCommand, ["--heartbeat", "1"], /--heartbeat must be a whole number from 15 to 86400$/],
    ["push-service", pushServiceCommand, ["--port", "1.5"], /--port must be a whole number from 0 to 65535$/],
    ["push-service", pushServiceCommand, ["--port", "many"], /--port must be a whole number/],
    ["push-service", pushServiceCommand, ["--quiet=no"], /^--quiet takes no value$/],
    [
      "stats",
      statsCommand,
      ["--battery-mah", "0"],
      /--battery-mah must be a whole number from 1 to 1000000$/,
    ],
    ["stats", statsCommand, ["--battery-v", "many"], /--battery-v must be a number from 0.1 to 1000$/],
    ["stats", statsCommand, ["--battery-v", "Infinity"], /--battery-v must be a number/],
  ])("godwit %s with its options %# is a mistake", (_name, command, args, message) => {
    expectNoOptions(command, USAGE, message, args, {});
  });

  test("an action without a link is refused before it is sent", async () => {
    const subscription = stage.file("subscription.json", SOMEBODY);
    await expectRefusal(
      ["send", "--subscription", subscription, "--title", "News", "--actions", "Read=/news,Later"],
      USAGE,
      /--actions are like Read=\/news,Later=\/later$/,
    );
  });

  test("a topic that no push service takes is refused before it is sent", async () => {
    const subscription = stage.file("subscription.json", SOMEBODY);
    await expectRefusal(
      ["send", "--subscription", subscription, "--topic", "a b", "x"],
      USAGE,
      /safe Base64/,
    );
  });
});

describe("configuration", () => {
  test("an unknown key in the file is refused", async () => {
    const config = stage.file("config.json", { frobnicate: 1 });
    await expectRefusal(["status", "--config", config], CONFIG, /unknown key "frobnicate"$/);
  });

  test.each([
    ["a number that is a word", { ttl: "soon" }, /ttl must be a whole number/],
    ["a number that is a text", { ttl: "60" }, /ttl must be a whole number/],
    ["a flag that is a number", { quiet: 1 }, /quiet must be true or false$/],
    ["a list", [], /must hold a JSON object$/],
    ["no JSON", "{", /JSON/],
    ["another file", { config: "more.json" }, /unknown key "config"$/],
  ])("%s in the file is refused", (_what, content, message) => {
    expectNoOptions(sendCommand, CONFIG, message, ["--config", stage.file("config.json", content)], {});
  });

  test("a file that is not there is refused", async () => {
    await expectRefusal(
      ["status", "--config", "/nowhere/config.json"],
      CONFIG,
      /^godwit status: \/nowhere\/config\.json is not there$/,
    );
  });

  test.each([
    [{ GODWIT_PORT: "many" }, /GODWIT_PORT must be a whole number/],
    [{ GODWIT_QUIET: "perhaps" }, /GODWIT_QUIET must be true or false$/],
    [{ GODWIT_LOG_FORMAT: "paper" }, /GODWIT_LOG_FORMAT must be one of text, json$/],
  ])("%o in the environment is refused", (environment, message) => {
    expectNoOptions(pushServiceCommand, CONFIG, message, [], environment);
  });

  test("what an app finds in its environment is not for commands", () => {
    const forApps = { GODWIT_OWNER: NEWS, GODWIT_SOCKET: "/app.sock", GODWIT_TOKEN_FILE: "/token" };
    const { options } = statsCommand;
    const GODWIT_CONFIG = stage.file("config.json", {});
    const read = readOptions(
      [],
      options,
      options,
      nodeSurroundings({ ...forApps, GODWIT_CONFIG, GODWIT_STATE: "/device" }),
    );
    expect(read.text("state")).toBe("/device");
  });

  test.each(["", "state"])("XDG_STATE_HOME=%o counts as not set", (XDG_STATE_HOME) => {
    const usual = join(homedir(), ".local", "state", "godwit", "agent");
    expect(defaultStateDirectory(nodeSurroundings({ XDG_STATE_HOME }), "agent")).toBe(usual);
    expect(defaultStateDirectory(nodeSurroundings({ XDG_STATE_HOME: "/mine" }), "agent")).toBe(
      "/mine/godwit/agent",
    );
  });

  test.each([
    ["http elsewhere", "http://push.example", /loopback/],
    ["no URL", "push.example", /https URL/],
    ["a path", "https://push.example/here", /no path/],
  ])("a service URL that is %s is refused", async (_what, url, message) => {
    await expectRefusal(["agent", "--service", url, "--state", stage.newDirectory()], CONFIG, message);
  });

  test("a public origin with a path is refused", async () => {
    const args = [
      "push-service",
      "--no-tls",
      "--origin",
      "https://push.example/",
      "--state",
      stage.newDirectory(),
    ];
    await expectRefusal(args, CONFIG, /without path$/);
  });

  test.each([
    ["of no kind there is", "disk", [], /--store must be lmdb, memory, or like rediss:/],
    ["with a path", "rediss://one.example/0", [], /--store must be like rediss:/],
    ["without TLS on another machine", "redis://localhost,one.example", [], /redis is for loopback only/],
    ["that holds a password", "rediss://me:hunter2@one.example", [], /--redis-password-file do$/],
    ["with options of another", "lmdb", ["--redis-user", "me"], /--redis-user says something only with/],
  ])("a store %s is refused", async (_what, store, more, message) => {
    const args = ["push-service", "--no-tls", "--state", stage.newDirectory(), "--store", store, ...more];
    await expectRefusal(args, CONFIG, message);
  });

  test("a Redis Cluster that is not there is a failure, and no configuration", async () => {
    const state = stage.newDirectory();
    const args = ["push-service", "--no-tls", "--state", state, "--store", "redis://127.0.0.1:1"];
    expect(await stage.run(args)).toMatchObject({ code: 1, stderr: expect.stringContaining("ECONNREFUSED") });
  });

  test("a certificate without its key is refused", async () => {
    const args = ["push-service", "--tls-cert", "cert.pem", "--state", stage.newDirectory()];
    await expectRefusal(args, CONFIG, /go together$/);
  });

  test.each([
    ["that is not there", "/nowhere.pem", /\/nowhere\.pem is not there$/],
    ["that is a directory", "/", /: \/ is a directory$/],
    ["that holds none", null, /does not hold PEM certificates$/],
  ])("a file of certificates %s is refused", async (_what, path, message) => {
    const ca = path ?? stage.file("ca.pem", "no certificate");
    const args = ["agent", "--service", "https://localhost:1", "--state", stage.newDirectory(), "--ca", ca];
    await expectRefusal(args, CONFIG, message);
  });

  test("why a file cannot be read is told", () => {
    const why = (code: string) => whyUnreadable(Object.assign(new Error(), { code }));
    expect(why("EACCES")).toBe("may not be read");
    expect(why("EIO")).toBe("cannot be read (EIO)");
  });

  test("a state directory whose path is too long for the app socket is refused", async () => {
    const state = join(stage.newDirectory(), "x".repeat(100));
    mkdirSync(state);
    await expectRefusal(
      ["agent", "--service", "https://localhost:1", "--state", state, "--quiet"],
      CONFIG,
      /longer than/,
    );
  });
});

describe.skipIf(!existsSync("/dev/full"))("a full disk behind the output", () => {
  const full = (streams: string) => ["sh", "-c", `exec "$@" ${streams}`, "sh"];

  test("is a failure where results are lost", async () => {
    const program = stage.godwit(["config", "agent"], {}, undefined, full(">/dev/full"));
    expect(await program.exited).toEqual({ code: 1, signal: null });
  });

  test("ends no agent: it shows, tells and stops as ever", async () => {
    const service = await stage.service();
    const state = stage.newDirectory();
    const args = ["agent", "--service", service.origin, "--ca", service.caFile, "--state", state];
    const agent = stage.godwit(args, {}, 0.1, full(">/dev/full 2>/dev/full"));
    const at = join(state, "app.sock");
    await vi.waitUntil(() => existsSync(at) && existsSync(join(state, "admin.token")), { timeout: 10_000 });
    const token = readFileSync(join(state, "admin.token"), "utf8").trim();
    const admin = await SocketClient.enter({ at }, { role: "admin", token });
    await admin.ask("watch");
    expect(await admin.ask("testPush")).toEqual({ statusCode: 201 });
    await admin.event("report", ({ report }) => (report as { type: string }).type === "shown");
    // What it had to say is lost.
    expect(await agent.end("SIGTERM")).toEqual({ code: 1, signal: null });
  });
});

describe("config", () => {
  test("tells what an option is and who says so", async () => {
    const file = stage.file("config.json", { heartbeat: 60, window: 30, quiet: true });
    const environment = { GODWIT_WINDOW: "20", GODWIT_CONFIG: file };
    const { code, stdout } = await stage.run(["config", "--json", "--", "agent", "--quiet"], environment);
    expect(code).toBe(0);
    const { command, file: read, options } = JSON.parse(stdout);
    expect([command, read]).toEqual(["agent", file]);
    expect(options).toMatchObject({
      quiet: { value: true, from: "--quiet" },
      window: { value: 20, from: "GODWIT_WINDOW" },
      heartbeat: { value: 60, from: file },
      leastUrgency: { value: "very-low", from: "default" },
      service: { value: null, from: "default" },
    });
    expect(Object.keys(options)).not.toContain("helper");
    const text = await stage.run(["config", "agent", "--config", file], { GODWIT_WINDOW: "20" });
    expect(text.stdout).toContain(`godwit agent, file ${file}`);
    expect(text.stdout).toMatch(/^ {2}--window +20 +GODWIT_WINDOW$/m);
  });

  test("tells of godwitd too, with what it has of its own", async () => {
    const file = stage.file("config.json", { helper: "/usr/lib/show", window: 30 });
    const { code, stdout } = await stage.run(["config", "godwitd", "--json", "--config", file]);
    const { command, options } = JSON.parse(stdout);
    expect([code, command]).toEqual([0, "godwitd"]);
    expect(options).toMatchObject({
      helper: { value: "/usr/lib/show", from: file },
      window: { value: 30, from: file },
      stateQuota: { value: null, from: "default" },
    });
  });

  test.each([
    ["agent", "default", { XDG_STATE_HOME: "/x" }, "/x/godwit/agent"],
    ["push-service", "default", { XDG_STATE_HOME: "/x" }, "/x/godwit/push-service"],
    ["godwitd", "STATE_DIRECTORY", { STATE_DIRECTORY: "/var/lib/godwit" }, "/var/lib/godwit"],
    ["demo", "default", {}, null],
  ])("says where the state of %s is, by %s", async (command, from, environment, value) => {
    const { stdout } = await stage.run(["config", command, "--json"], environment);
    expect(JSON.parse(stdout).options.state).toEqual({ value, from });
  });

  test("names a file that holds a secret, and nothing of it", async () => {
    const secret = "c2VjcmV0IHRoYXQgbm9ib2R5IG1heSBzZWU";
    const path = stage.file("key", secret);
    const environment = { GODWIT_DEVICE_KEY_FILE: path, GODWIT_SERVICE: "https://me:hunter2@push.example" };
    const { stdout } = await stage.run(["config", "agent"], environment);
    expect(stdout).toContain(path);
    expect(stdout).toContain("https://…@push.example");
    expect(stdout).not.toMatch(new RegExp(`${secret}|hunter2`));
  });

  test("check names every file it read", async () => {
    const policy = stage.file("policy.json", {});
    const file = stage.file("config.json", { policy });
    const { code, stdout } = await stage.run(["config", "check", "--json", "--config", file]);
    expect([code, JSON.parse(stdout)]).toEqual([0, { file, files: [policy] }]);
    const text = await stage.run(["config", "check", "--config", file]);
    expect(text.stdout).toBe(`${file}: nothing wrong\n${policy}: nothing wrong`);
  });

  test.each([
    ["a secret that others may read", () => ({ deviceKeyFile: stage.file("key", "", 0o644) }), /mode 0600$/],
    ["a file that is not there", () => ({ ca: "/nowhere.pem" }), /^.*\/nowhere\.pem is not there$/],
    ["a policy that is none", () => ({ policy: stage.file("policy.json", "[]") }), /must be a JSON object$/],
    ["an option of no command", () => ({ frobnicate: 1 }), /unknown key "frobnicate"$/],
    ["what is only a flag", () => ({ help: true }), /unknown key "help"$/],
  ])("check finds %s", async (_what, content, message) => {
    const file = stage.file("config.json", content());
    await expectRefusal(["config", "check", "--config", file], CONFIG, message);
  });

  test("of no command is a mistake", async () => {
    await expectRefusal(["config", "frobnicate"], USAGE, /unknown command "frobnicate"$/);
  });

  test("help tells the verbs", async () => {
    const { code, stdout } = await stage.run(["config", "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ +godwit config check \[OPTIONS\]$/m);
    expect((await stage.run(["config", "check", "--help"])).stdout).toMatch(/^usage: godwit config check /);
  });
});

describe("policy", () => {
  const policyWith = (content: unknown) => readPolicy(stage.file("policy.json", content), nodeSurroundings());

  test("is read with its defaults", () => {
    expect(policyWith({})).toEqual({ ...policyOf("denied"), owners: new Map() });
    const policy = policyWith({
      permission: "ask",
      silentPushes: 20,
      owners: {
        "https://news.example": { permission: "granted" },
        "an-app": { permission: "denied", silentPushes: null },
        "http://localhost:8000": {},
      },
      pageOrigins: ["http://localhost:8000", "http://[::1]:8000"],
      shellOrigins: ["http://127.0.0.1"],
      linkOrigins: ["https://maps.example"],
      httpAllowed: true,
    });
    expect(policy.owners).toEqual(
      new Map([
        ["https://news.example", { permission: "granted", silentPushes: 20 }],
        ["an-app", { permission: "denied", silentPushes: null }],
        ["http://localhost:8000", { permission: "ask", silentPushes: 20 }],
      ]),
    );
    expect(policy).toMatchObject({ permission: "ask", silentPushes: 20, httpAllowed: true });
    const answers = ["https://news.example", "an-app", "http://localhost:8000", "https://else.example"];
    expect(answers.map((owner) => answerOf(policy, owner))).toEqual(["granted", "denied", "ask", "ask"]);
  });

  test.each([
    ["an unknown member", { permision: "granted" }, /the policy has an unknown key "permision"$/],
    ["an unknown member of an owner", { owners: { a: { quiet: 1 } } }, /owners\["a"\] has an unknown key/],
    ["no object", [], /the policy must be a JSON object$/],
    ["no JSON", "{", /JSON/],
    ["a permission that is none", { permission: "maybe" }, /permission must be one of granted, denied, ask$/],
    ["an owner that is none", { owners: { "https://A.example": {} } }, /is neither a web origin nor/],
    ["an owner that is no object", { owners: { a: true } }, /owners\["a"\] must be a JSON object$/],
    ["too many owners", { owners: Object.fromEntries([...Array(1001).keys()].map((n) => [n, {}])) }, /1000$/],
    ["a budget that is none", { silentPushes: -1 }, /silentPushes must be a whole number from 1/],
    ["a budget of an owner", { owners: { a: { silentPushes: 1.5 } } }, /owners\["a"\]\.silentPushes must/],
    ["a page origin elsewhere", { pageOrigins: ["http://far.example"] }, /loopback origin/],
    ["a shell origin with a path", { shellOrigins: ["http://localhost:1/"] }, /loopback origin/],
    ["a link origin that is none", { linkOrigins: ["javascript:1"] }, /not an http or https origin$/],
    ["origins that are no list", { linkOrigins: "https://maps.example" }, /must be a list of origins$/],
    ["too many origins", { linkOrigins: Array(101).fill("https://a.example") }, /at most 100$/],
    ["a flag that is a number", { httpAllowed: 1 }, /httpAllowed must be true or false$/],
  ])("with %s is refused", (_what, content, message) => {
    expect(() => policyWith(content)).toThrow(
      expect.objectContaining({ exitCode: CONFIG, message: expect.stringMatching(message) }),
    );
  });

  test("excludes --permission", async () => {
    const policy = stage.file("policy.json", {});
    const args = ["agent", "--service", "https://localhost:1", "--state", stage.newDirectory()];
    await expectRefusal([...args, "--policy", policy, "--permission", "ask"], CONFIG, /exclude each other/);
  });
});

describe("secret files", () => {
  const SECRET = "c2VjcmV0IHRoYXQgbm9ib2R5IG1heSBzZWU";

  test.each([
    [
      "device key",
      (file: string) => ["agent", "--service", "https://localhost:1", "--device-key-file", file],
    ],
    [
      "VAPID keys",
      (file: string) => ["send", "--subscription", stage.file("s", SOMEBODY), "--vapid-keys", file, "x"],
    ],
    ["TLS key", (file: string) => ["push-service", "--tls-cert", devCertificate, "--tls-key", file]],
    ["enrolment secrets", (file: string) => ["push-service", "--no-tls", "--enrolment-file", file]],
  ])("%s that others may read are refused", async (_what, argsFor) => {
    const file = stage.file("secret", SECRET, 0o644);
    const args = argsFor(file);
    await expectRefusal(args, CONFIG, /holds a secret and must have mode 0600$/, {
      XDG_STATE_HOME: stage.newDirectory(),
    });
  });

  test("sealing keys that others may read are refused", async () => {
    const state = stage.newDirectory();
    const keys = join(state, "keys.json");
    const service = stage.godwit(["push-service", "--no-tls", "--port", "0", "--state", state]);
    await service.stdout.match(/ready/);
    await service.end("SIGTERM");
    expect(statSync(keys).mode & 0o777).toBe(0o600);
    chmodSync(keys, 0o644);
    await expectRefusal(
      ["push-service", "--no-tls", "--port", "0", "--state", state],
      CONFIG,
      /others can read/,
    );
  });

  test("a state directory whose files others could have put there is refused", async () => {
    const state = stage.newDirectory();
    const args = ["push-service", "--no-tls", "--port", "0", "--state", state];
    chmodSync(state, 0o777);
    await expectRefusal(args, CONFIG, /others may write into/);
    if (process.getuid?.() !== 0) return;
    chmodSync(state, 0o700);
    chownSync(state, 65_534, 65_534);
    await expectRefusal(args, CONFIG, /belongs to user 65534/);
    expect(readdirSync(state)).toEqual([]);
  });

  test("sealing keys that are gone are not replaced, neither at SIGHUP nor at a start", async () => {
    const state = stage.newDirectory();
    const keys = join(state, "keys.json");
    const args = ["push-service", "--no-tls", "--port", "0", "--state", state];
    const service = stage.godwit(args);
    const origin = (await service.stdout.match(/^push service ready at /)).split(" ").at(-1);
    expect((await fetch(`${origin}/v1/token`, { method: "POST" })).status).toBe(200);
    rmSync(keys);
    service.child.kill("SIGHUP");
    await service.stderr.match(/not reloaded: .*keys\.json is missing/);
    await service.end("SIGTERM");
    await expectRefusal(args, CONFIG, /keys\.json is missing, and the store has devices/);
    expect(existsSync(keys)).toBe(false);
  });

  test.each([
    ["device key", ["agent", "--service", "https://localhost:1", "--device-key-file"], `${SECRET}!`],
    ["VAPID keys", ["send", "x", "--vapid-keys"], `{"publicKey":${SECRET}`],
    ["VAPID keys", ["send", "x", "--vapid-keys"], `{"publicKey":"${SECRET}"}`],
  ])("%s that cannot be read are refused without being quoted", async (_what, args, content) => {
    const file = stage.file("secret", content);
    const subscription = args[0] === "send" ? ["--subscription", stage.file("s", SOMEBODY)] : [];
    const state = { XDG_STATE_HOME: stage.newDirectory() };
    const result = await stage.run([...args, file, ...subscription], state);
    expect(result).toMatchObject({ code: CONFIG, stdout: "" });
    expect(result.stderr).toMatch(/does not hold/);
    expect(result.stderr).not.toContain(SECRET.slice(0, 4));
  });

  const passphrase = { format: "pem" as const, cipher: "aes-128-cbc", passphrase: SECRET };
  test.each([
    ["with a passphrase", { type: "pkcs8", ...passphrase } as const, /has a passphrase/],
    ["with one in the old way", { type: "sec1", ...passphrase } as const, /has a passphrase/],
    ["of no certificate of ours", { type: "pkcs8", format: "pem" } as const, /is not the key of the cert/],
    ["that is none", null, /does not hold a PEM private key$/],
  ])("a TLS key %s is refused", async (_what, encoding, message) => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const file = stage.file("key.pem", encoding === null ? SECRET : String(privateKey.export(encoding)));
    const args = ["push-service", "--tls-cert", devCertificate, "--tls-key", file];
    await expectRefusal(args, CONFIG, message, { XDG_STATE_HOME: stage.newDirectory() });
  });

  let devCertificate: string;
  beforeAll(async () => {
    const service = await stage.service();
    devCertificate = join(service.directory, "tls", "cert.pem");
    await service.end("SIGTERM");
  });
});

describe("nobody there", () => {
  test.each(["status", "stats", "subscriptions"])("%s without an agent", async (command) => {
    const state = stage.newDirectory();
    await expectRefusal(
      [command, "--state", state],
      UNREACHABLE,
      new RegExp(`no agent is running in ${state} \\(--state names its directory\\)$`),
    );
  });

  test.each(["subscribe", "unsubscribe"])("%s without an agent", async (command) => {
    await expectRefusal([command, NEWS, "--state", stage.newDirectory()], UNREACHABLE, /no agent is running/);
  });

  test("what a push service says to a sender writes nothing to the terminal by itself", async () => {
    const certificate = await makeCertificate();
    const server = createServer(certificate, (_request, response) =>
      response.writeHead(400).end('{"message":"\x1b[2J\x1b]0;you\x07 are\r\nnot here"}'),
    );
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const subscription = stage.file("s", { ...SOMEBODY, endpoint: `https://localhost:${port}/p/x` });
    const args = ["send", "--subscription", subscription, "--ca", stage.file("ca.pem", certificate.ca), "x"];
    await expectRefusal(args, FAILURE, /^godwit send: 400: \?\[2J\?\]0;you\? are\?\?not here$/);
    server.close();
  });

  test("send without a push service, and without the endpoint in the message", async () => {
    const result = await stage.run(["send", "--subscription", stage.file("s", SOMEBODY), "hello"]);
    expect(result).toMatchObject({ code: UNREACHABLE, stdout: "" });
    expect(result.stderr).toMatch(/^godwit send: the push service cannot be reached: .*ECONNREFUSED/);
    expect(result.stderr).not.toContain("capability");
  });

  test("a port in use", async () => {
    const service = await stage.service();
    const args = [
      "push-service",
      "--no-tls",
      "--port",
      String(service.port),
      "--state",
      stage.newDirectory(),
      "--quiet",
    ];
    await expectRefusal(
      args,
      CONFIG,
      new RegExp(`port ${service.port} is in use \\(EADDRINUSE\\): name another one$`),
    );
    const agent = ["agent", "--service", service.origin, "--state", stage.newDirectory(), "--quiet"];
    await expectRefusal(
      [...agent, "--app-port", String(service.port)],
      CONFIG,
      new RegExp(`port ${service.port} \\(EADDRINUSE\\): name another one$`),
    );
  });

  test("a desktop without a session bus", async () => {
    const agent = ["agent", "--service", "https://localhost:1", "--state", stage.newDirectory(), "--quiet"];
    await expectRefusal([...agent, "--desktop"], UNREACHABLE, /there is no session bus$/, {
      DBUS_SESSION_BUS_ADDRESS: "disabled:",
    });
  });
});

test("a second push service on state in use is told to try again later", async () => {
  const { directory } = await stage.service();
  const second = await stage.run(["push-service", "--port", "0", "--state", directory, "--quiet"]);
  expect(second.code).toBe(75);
  expect(second.stdout).toBe("");
  expect(second.stderr).toMatch(/^godwit push-service: another push service uses .*$/m);
});

test("push-service says where MQTT is", async () => {
  const directory = stage.newDirectory();
  const service = stage.godwit(["push-service", "--port", "0", "--mqtt-port", "0", "--state", directory]);
  const ready = await service.stdout.match(/^push service ready at /);
  expect(ready).toMatch(/^push service ready at https:\/\/localhost:\d+, MQTT on port [1-9]\d*$/);
});

describe("a running agent", () => {
  let service: ServiceProcess;
  let sender: Sender;
  let agent: Program;
  let state: string;
  let subscription: PushSubscriptionJSON;
  beforeAll(async () => {
    service = await stage.service();
    sender = new Sender(service);
    state = stage.newDirectory();
    agent = stage.godwit([...agentArgs(state), "--permission", "granted"]);
    await agent.stderr.match(/^agent ready/);
    const key = ["--application-server-key", sender.keys.publicKey];
    const { stdout } = await stage.run(["subscribe", NEWS, "--state", state, ...key]);
    subscription = JSON.parse(stdout);
  });

  const agentArgs = (directory: string): string[] => [
    ...["agent", "--service", service.origin],
    ...["--ca", service.caFile, "--state", directory],
  ];
  const sendArgs = (target: PushSubscriptionJSON): string[] => [
    ...["send", "--ca", service.caFile, "--vapid-keys", stage.file("vapid.json", sender.keys)],
    ...["--subscription", stage.file("subscription.json", target)],
  ];

  test("subscribe prints what application servers need, the same each time", async () => {
    expect(Object.keys(subscription)).toEqual(["endpoint", "expirationTime", "keys"]);
    expect(Object.keys(subscription.keys)).toEqual(["p256dh", "auth"]);
    const key = ["--application-server-key", sender.keys.publicKey];
    const again = await stage.run(["subscribe", NEWS, "--state", state, ...key]);
    expect(JSON.parse(again.stdout)).toEqual(subscription);
  });

  test("subscribe --freshness urgent: a dead connection may go unnoticed for 9 min, until it is unsubscribed", async () => {
    const freshnessMs = async (): Promise<number> => {
      const { stdout } = await stage.run(["stats", "--json", "--state", state]);
      return JSON.parse(stdout).network.freshnessMs;
    };
    expect(await freshnessMs()).toBe(1_740_000);
    const alarm = ["alarm.example", "--state", state];
    expect((await stage.run(["subscribe", ...alarm, "--freshness", "urgent"])).code).toBe(0);
    expect(await freshnessMs()).toBe(540_000);
    await stage.run(["unsubscribe", ...alarm]);
    expect(await freshnessMs()).toBe(1_740_000);
  });

  test("subscribe with another key is refused", async () => {
    await expectRefusal(["subscribe", NEWS, "--state", state], 1, /subscribed already with other options$/);
  });

  test("subscribe for what is no owner is refused", async () => {
    await expectRefusal(
      ["subscribe", "https://news.example/path", "--state", state],
      USAGE,
      /is no owner: neither a web origin/,
    );
  });

  test("subscribe with a key that is none is refused", async () => {
    const args = ["subscribe", "https://other.example", "--state", state, "--application-server-key", "AAAA"];
    await expectRefusal(args, 1, /not a point on P-256$/);
  });

  test("status tells of the connection and the subscriptions", async () => {
    const { code, stdout } = await stage.run(["status", "--state", state]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^connection {4}online since \d{4}-/m);
    expect(stdout).toMatch(/^subscriptions 1$/m);
    expect(stdout).toMatch(/^device {8}[0-9a-f]{8}$/m);
  });

  test("status as JSON", async () => {
    const { stdout } = await stage.run(["status", "--state", state, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      serviceUrl: service.origin,
      link: "online",
      journalFailing: false,
    });
  });

  test("status says over MQTT, and the last fault", async () => {
    const { stdout } = await stage.run(["status", "--state", state, "--json"]);
    const lines = describeStatus({
      ...JSON.parse(stdout),
      transport: "mqtt",
      lastFault: { code: "ERR_SERVICE_UNREACHABLE", text: "the push service does not answer" },
    });
    expect(lines[0]).toMatch(/^connection {4}online over MQTT since \d{4}-/);
    expect(lines[1]).toBe("last fault    ERR_SERVICE_UNREACHABLE: the push service does not answer");
  });

  test("stats tells what the connection costs, on one page", async () => {
    const { code, stdout, stderr } = await stage.run(["stats", "--state", state]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n").length).toBeLessThanOrEqual(30);
    expect(stdout).toMatch(/^connection {4}online since \d{4}-/m);
    expect(stdout).toMatch(/^next alarm {4}in \d/m);
    expect(stdout).toMatch(/^wake-ups {6}ping 0, connect [12], /m);
    expect(stdout).toMatch(/^wake-ups\/h {4}not known before 10 min$/m);
    expect(stdout).toMatch(/^energy {8}not known before 10 min; [\d.]+ J so far \(lte\)$/m);
    expect(stdout).toMatch(
      /^when idle {5}15\.1 pings\/h, \d+ J\/day; an oracle 2\.07, \d+, bound by the subscr/m,
    );
    expect(stdout).not.toMatch(/NaN|undefined/);
    expect(stdout).not.toContain("\u001b");
  });

  test("stats as JSON, under a chosen radio and battery", async () => {
    const battery = ["--radio", "nbiot-rai", "--battery-mah", "600", "--battery-v", "3.6"];
    const { stdout } = await stage.run(["stats", "--state", state, "--json", ...battery]);
    expect(stdout.split("\n")).toHaveLength(1);
    const stats = JSON.parse(stdout);
    expect(stats).toMatchObject({
      link: "online",
      lastFault: null,
      wakeUpsPerHour: null,
      energy: { radios: ["nbiot-rai"], batteryMah: 600, batteryV: 3.6, joulesPerDay: null },
      linksLost: {},
      alarmsLate: [expect.any(Number), 0, 0, 0],
      oracle: { bound: "freshness" },
      network: { isHeld: true, idleLimitMs: null },
    });
    // A dial, and the token before it, each with a tail behind it at most.
    expect(stats.energy.joules).toBeGreaterThan(0.8);
    expect(stats.countedMs).toBeLessThan(60_000);
    const spec = readFileSync("SPEC.md", "utf8").match(/^### Stats$.*?^## /ms)?.[0];
    for (const member of Object.keys(stats)) expect(spec).toContain(`\`${member}\``);
  });

  test("subscriptions lists them", async () => {
    const { stdout } = await stage.run(["subscriptions", "--state", state]);
    expect(stdout).toBe(`1\t${NEWS}\tchannel 1\tauto\tgranted`);
    const asJson = await stage.run(["subscriptions", "--state", state, "--json"]);
    expect(JSON.parse(asJson.stdout)).toMatchObject([{ owner: NEWS, channel: 1, permission: "granted" }]);
  });

  test("send reaches the screen", async () => {
    const result = await stage.run([
      ...sendArgs(subscription),
      "--title",
      "Godwits are here",
      "--body",
      "Eleven days",
    ]);
    expect(result).toEqual({ code: 0, stdout: "accepted (201)", stderr: "" });
    await agent.stdout.match(/^\(\d+\) https:\/\/news\.example: Godwits are here \| Eleven days$/);
  });

  test("flags win over the environment, that over the file, that over defaults", async () => {
    const config = ["--config", stage.file("config.json", { ttl: 10, quiet: true })];
    const ttl = async (args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> => {
      const { stdout } = await stage.run([...sendArgs(subscription), "--json", ...args, "x"], environment);
      return JSON.parse(stdout).ttlS;
    };
    expect(await ttl([...config, "--ttl", "30"], { GODWIT_TTL: "20" })).toBe(30);
    expect(await ttl(config, { GODWIT_TTL: "20" })).toBe(20);
    expect(await ttl(config, {})).toBe(10);
    expect(await ttl([], {})).toBe(3600);
  });

  test("send to an endpoint nobody made tells the service's sentence", async () => {
    const endpoint = `${service.origin}/p/capability`;
    await expectRefusal(
      [...sendArgs({ ...subscription, endpoint }), "x"],
      1,
      /^godwit send: 404: no such endpoint$/,
    );
  });

  test("send with the wrong key tells the service's sentence", async () => {
    const args = sendArgs(subscription).with(4, stage.file("vapid.json", new Sender(service).keys));
    await expectRefusal(
      [...args, "x"],
      1,
      /^godwit send: 401: the token is not by the key of the subscription/,
    );
  });

  test("unsubscribe ends it, and sending is refused from then on", async () => {
    const mine = JSON.parse((await stage.run(["subscribe", "an-app", "--state", state])).stdout);
    expect(await stage.run(["unsubscribe", "an-app", "--state", state])).toMatchObject({
      code: 0,
      stdout: "unsubscribed",
    });
    expect(await stage.run(["unsubscribe", "an-app", "--state", state])).toMatchObject({
      code: 0,
      stdout: "there was no subscription",
    });
    await service.stderr.match(/^unregistered /);
    await expectRefusal([...sendArgs(mine), "x"], 1, /^godwit send: 410: the subscription has ended$/);
  });

  test("a second agent on the same state is told to try again", async () => {
    await expectRefusal(agentArgs(state), TRY_AGAIN, /another process uses /);
  });

  test("with --permission denied nobody may subscribe", async () => {
    const strict = stage.newDirectory();
    const program = stage.godwit([...agentArgs(strict), "--permission", "denied"]);
    await program.stderr.match(/^agent ready/);
    await expectRefusal(
      ["subscribe", NEWS, "--state", strict],
      DENIED,
      /permission for push was not granted$/,
    );
  });

  test("--quiet writes no log", async () => {
    const program = stage.godwit([...agentArgs(stage.newDirectory()), "--quiet", "--keep-connected"]);
    await service.stderr.until("it connects", (lines) => {
      return lines.filter((line) => line.startsWith("device-connected")).length >= 2 ? true : null;
    });
    await program.end("SIGTERM");
    expect(program.stderr.all.filter((line) => !line.startsWith("agent ready"))).toEqual([]);
  });

  test("--json writes reports and what is shown as objects on stdout, nothing of it as text on stderr", async () => {
    const directory = stage.newDirectory();
    const program = stage.godwit([...agentArgs(directory), "--permission", "granted", "--json"]);
    await program.stderr.match(/^agent ready/);
    const key = ["--application-server-key", sender.keys.publicKey];
    const { stdout } = await stage.run(["subscribe", NEWS, "--state", directory, ...key]);
    await stage.run([...sendArgs(JSON.parse(stdout)), "--title", "Godwits are here"]);
    await program.stdout.match(/"acknowledged"/);
    await program.end("SIGTERM");
    const objects = program.stdout.all.map((line) => JSON.parse(line));
    const all = (type: string) => objects.filter((object) => object.type === type);
    expect(all("registered")).toEqual([
      { type: "registered", device: expect.stringMatching(/^[0-9a-f]{8}$/) },
    ]);
    expect(all("display")).toEqual([{ type: "display", text: `(1) ${NEWS}: Godwits are here` }]);
    expect(all("shown")).toMatchObject([{ owner: NEWS, by: "declared" }]);
    expect(program.stderr.all.filter((line) => !line.startsWith("agent ready"))).toEqual([]);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it in order", async (signal) => {
    const directory = stage.newDirectory();
    const program = stage.godwit([...agentArgs(directory), "--keep-connected"]);
    await program.stderr.match(/^registered /);
    expect(existsSync(join(directory, "app.sock"))).toBe(true);
    expect(await program.end(signal)).toEqual({ code: 0, signal: null });
    for (const name of ["app.sock", "lock"]) expect(existsSync(join(directory, name))).toBe(false);
  });
});

const SOMEBODY: PushSubscriptionJSON = {
  endpoint: "https://localhost:1/p/capability",
  expirationTime: null,
  keys: {
    p256dh: "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM",
    auth: "tBHItJI5svbpez7KI4CCXg",
  },
};
