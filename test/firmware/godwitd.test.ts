// SPDX-License-Identifier: MIT
// Goal: godwitd is configured like `godwit agent`, and is a daemon as supervisors expect one. Method: the built program beside
// `godwit agent`, given the same, and compared; a real push service; what is on disk is handed from one to the other.

import {
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { STATE_QUOTA_BYTES_MIN } from "../../src/limits.ts";
import { SocketClient } from "../end-to-end/socket-client.ts";
import { GODWITD, type Program, Sender, type ServiceProcess, Stage } from "../end-to-end/stage.ts";

const OK = 0;
const USAGE = 2;
const TRY_AGAIN = 75;
const CONFIG = 78;
const NEWS = "https://news.example";

const isBuilt = existsSync(GODWITD);
if (!isBuilt) console.warn("godwitd.test.ts is left out: npm run firmware builds it");

describe.skipIf(!isBuilt)("godwitd", () => {
  let stage: Stage;
  let service: ServiceProcess;
  beforeAll(async () => {
    stage = new Stage();
    service = await stage.service();
  });
  afterAll(() => stage.close());

  function start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Program {
    const env = stage.environment(environment);
    return stage.start("godwitd", [GODWITD, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  }
  const run = (args: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
    stage.ended(start(args, environment));
  const runAgent = (args: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
    stage.run(["agent", ...args], environment);
  const atService = (state: string) => [
    ...["--service", service.origin, "--ca", service.caFile, "--state", state, "--permission", "granted"],
  ];

  async function ready(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Program> {
    const program = start(args, environment);
    await program.stderr.match(/^agent ready/);
    return program;
  }

  test("says its version and its options, which are those of godwit agent and more, but that it records nothing", async () => {
    expect(await run(["--version"])).toEqual(await stage.run(["--version"]));
    const [own, agents] = [await run(["--help"]), await stage.run(["agent", "--help"])];
    const optionsOf = (text: string) => text.split("\n").filter((line) => line.startsWith("  --"));
    const shared = optionsOf(agents.stdout).filter((line) => !line.startsWith("  --record "));
    expect(own).toMatchObject({ code: OK, stderr: "" });
    expect(optionsOf(own.stdout)).toEqual(expect.arrayContaining(shared));
    expect(own.stdout).toMatch(/--state-quota BYTES/);
    expect(await run(["--record", "trace"])).toMatchObject({ code: USAGE, stdout: "" });
  });

  describe("refuses what godwit agent refuses, in the same words", () => {
    const somewhere = ["--service", "https://push.example"];
    test.each<[number, string, readonly string[], NodeJS.ProcessEnv]>([
      [USAGE, "no service", [], {}],
      [USAGE, "an unknown option", ["--frobnicate"], {}],
      [USAGE, "a short option", ["-x"], {}],
      [USAGE, "an option without its value", ["--service"], {}],
      [USAGE, "a forgotten value", ["--service", "--quiet"], {}],
      [USAGE, "a flag with a value", ["--quiet=no"], {}],
      [USAGE, "a number that is none", ["--heartbeat", "often"], {}],
      [USAGE, "a number out of bounds", ["--heartbeat", "1"], {}],
      [USAGE, "a word there is not", ["--permission", "maybe"], {}],
      [USAGE, "an argument", [...somewhere, "please"], {}],
      [CONFIG, "a service that is no URL", ["--service", "push.example"], {}],
      [CONFIG, "plain http to somewhere", ["--service", "http://push.example"], {}],
      [CONFIG, "MQTT that is no URL", [...somewhere, "--mqtt", "push.example"], {}],
      [CONFIG, "a file that is not there", [...somewhere, "--ca", "/nonexistent/ca.pem"], {}],
      [CONFIG, "certificates that are none", [...somewhere, "--ca", "package.json"], {}],
      [CONFIG, "a policy that is none", [...somewhere, "--policy", "package.json"], {}],
      [CONFIG, "a policy and a permission", [...somewhere, "--policy", "x", "--permission", "ask"], {}],
      [CONFIG, "a key that others may read", [...somewhere, "--device-key-file", "package.json"], {}],
      [CONFIG, "a configuration file that is not there", ["--config", "/nonexistent.json"], {}],
      [CONFIG, "a configuration file that is no JSON", ["--config", "README.md"], {}],
      [CONFIG, "a file with unknown keys", ["--config", "package.json"], {}],
      [CONFIG, "a misspelt variable", somewhere, { GODWIT_SERVCE: "https://push.example" }],
      [CONFIG, "a variable out of bounds", somewhere, { GODWIT_WINDOW: "-1" }],
    ])("%i: %s", async (code, _, given, environment) => {
      const args = [...given, ...(given.includes("--state") ? [] : ["--state", stage.newDirectory()])];
      const [own, agents] = await Promise.all([run(args, environment), runAgent(args, environment)]);
      expect(own).toMatchObject({ code, stdout: "" });
      const nameless = (text: string) => text.replace(/^(godwitd|godwit agent): /, "");
      // What the parsers of JSON say differs.
      const words = (text: string) => nameless(text).replace(/(README\.md: ).*/s, "$1");
      expect({ ...own, stderr: words(own.stderr) }).toEqual({ ...agents, stderr: words(agents.stderr) });
    });
  });

  test("flags count over variables, variables over the file, and the file may be shared with godwit", async () => {
    const state = stage.newDirectory();
    const config = stage.file("config.json", {
      ...{ service: "https://127.0.0.1:1", state: "/nowhere", permission: "granted" },
      // Of other commands, and of godwitd alone.
      ...{ radio: "lte", stateQuota: 1_048_576, dashboardFiles: "/usr/share/godwit/dashboard" },
    });
    const environment = { GODWIT_CONFIG: config, GODWIT_SERVICE: "https://127.0.0.1:2", GODWIT_STATE: "/no" };
    const program = await ready(["--state", state], environment);
    const status = await stage.run(["status", "--json", "--state", state]);
    expect(JSON.parse(status.stdout)).toMatchObject({ serviceUrl: "https://127.0.0.1:2" });
    expect(await stage.run(["config", "check", "--config", config])).toMatchObject({ code: OK });
    expect(await program.end("SIGINT")).toEqual({ code: OK, signal: null });
  });

  test("the least quota does for 60 subscriptions, renewed and read again; less is refused", async () => {
    const state = stage.newDirectory();
    const args = [...atService(state), "--state-quota", String(STATE_QUOTA_BYTES_MIN)];
    const program = await ready(args);
    const token = readFileSync(join(state, "admin.token"), "utf8").trim();
    const admin = await SocketClient.enter({ at: join(state, "app.sock") }, { role: "admin", token });
    const { publicKey } = new Sender(service).keys;
    const owners = Array.from({ length: 60 }, (_, i) => `https://app${i}.example`);
    const members = { applicationServerKey: publicKey, freshness: null };
    const each = (type: string) => Promise.all(owners.map((owner) => admin.ask(type, { ...members, owner })));
    await each("subscribe");
    await each("unsubscribe");
    await each("subscribe");
    await admin.close();
    await program.end("SIGTERM");
    const again = await ready(args);
    const status = await stage.run(["status", "--json", "--state", state]);
    expect(JSON.parse(status.stdout)).toMatchObject({ journalFailing: false });
    expect(JSON.parse(status.stdout).subscriptions).toHaveLength(owners.length);
    await again.end("SIGTERM");
    const faults = [...program.stderr.all, ...again.stderr.all].filter((line) => line.startsWith("fault "));
    expect(faults).toEqual([]);
    const least = `must be a whole number from ${STATE_QUOTA_BYTES_MIN} to`;
    const stateQuota = STATE_QUOTA_BYTES_MIN - 1;
    const message = expect.stringContaining(least);
    expect(await run([...args.slice(0, -1), String(stateQuota)])).toMatchObject({
      code: USAGE,
      stderr: message,
    });
    const config = stage.file("config.json", { stateQuota });
    expect(await run([...atService(state), "--config", config])).toMatchObject({
      code: CONFIG,
      stderr: message,
    });
  });

  test("a state directory in use is for another try, whoever uses it", async () => {
    const state = stage.newDirectory();
    const program = await ready(atService(state));
    const message = expect.stringContaining("uses");
    expect(await runAgent(atService(state))).toMatchObject({ code: TRY_AGAIN, stderr: message });
    expect(await run(atService(state))).toMatchObject({ code: TRY_AGAIN, stderr: message });
    await program.end("SIGTERM");
    const agent = stage.godwit(["agent", ...atService(state)]);
    await agent.stderr.match(/^agent ready/);
    expect(await run(atService(state))).toMatchObject({ code: TRY_AGAIN, stderr: message });
    await agent.end("SIGTERM");
  });

  test("takes over what godwit agent left, sealed by the same key, and the other way round", async () => {
    const state = stage.newDirectory();
    const key = stage.file("device.key", Buffer.alloc(32, 7).toString("base64url"));
    const args = [...atService(state), "--device-key-file", key];
    const agent = stage.godwit(["agent", ...args]);
    await agent.stderr.match(/^agent ready/);
    const made = await stage.run(["subscribe", NEWS, "--state", state]);
    expect(made.code, made.stderr).toBe(OK);
    await agent.end("SIGTERM");
    const program = await ready(args);
    await program.stderr.match(/^registered /);
    // Who has a subscription is not told how to get one.
    const hints = (lines: readonly string[]) => lines.filter((line) => line.startsWith("idle: nothing is"));
    expect([agent, program].map(({ stderr }) => hints(stderr.all).length)).toEqual([1, 0]);
    expect(hints(agent.stderr.all)[0]).toContain(`godwit subscribe OWNER --state ${state}`);
    expect(await stage.run(["subscribe", NEWS, "--state", state])).toEqual(made);
    await program.end("SIGTERM");
    // No start mends that: neither host is to be started again.
    const sealed = { code: CONFIG, stderr: expect.stringContaining("device key, or there is none now") };
    expect(await run(atService(state))).toMatchObject(sealed);
    expect(await runAgent(atService(state))).toMatchObject(sealed);
    const again = stage.godwit(["agent", ...args]);
    await again.stderr.match(/^agent ready/);
    expect(await stage.run(["subscribe", NEWS, "--state", state])).toEqual(made);
    await again.end("SIGTERM");
  });

  test("--json writes reports and the screen as objects, and an error as one", async () => {
    const state = stage.newDirectory();
    const program = await ready([...atService(state), "--json"]);
    expect((await stage.run(["subscribe", NEWS, "--state", state])).code).toBe(OK);
    await program.stdout.match(/"type":"subscribed"/);
    expect(await program.end("SIGTERM")).toEqual({ code: OK, signal: null });
    for (const line of program.stdout.all)
      expect(JSON.parse(line)).toMatchObject({ type: expect.any(String) });
    const { stderr } = await run(["--json", "--frobnicate"]);
    expect(JSON.parse(stderr)).toEqual({ error: { code: null, message: "unknown option --frobnicate" } });
  });

  test("lines for the journal carry their priorities, and no screen is made of it", async () => {
    const log = join(stage.newDirectory(), "log");
    writeFileSync(log, "");
    const fd = openSync(log, "a");
    const { dev, ino } = fstatSync(fd);
    const state = stage.newDirectory();
    const env = stage.environment({ JOURNAL_STREAM: `${dev}:${ino}` });
    const program = stage.start("godwitd", [GODWITD, ...atService(state)], {
      stdio: ["ignore", "pipe", "pipe"],
      env,
    });
    // Its stderr is a pipe, which is not the journal.
    expect(await program.stderr.match(/agent ready/)).toMatch(/^agent ready/);
    await program.end("SIGTERM");
    const shell = ["sh", "-c", 'exec "$@" 2>>"$LOG" >>"$LOG"', "sh", GODWITD, ...atService(state)];
    const daemon = stage.start("godwitd", shell, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...env, LOG: log },
    });
    const lines = () => readFileSync(log, "utf8").split("\n").filter(Boolean);
    await vi.waitUntil(() => lines().some((line) => line.includes("agent ready")), { timeout: 20_000 });
    await daemon.end("SIGTERM");
    expect(lines()).toContain(`<5>agent ready, state in ${state}`);
    expect(lines().filter((line) => !/^<[3-7]>/.test(line))).toEqual([]);
  });

  test("SIGHUP changes nothing, since the configuration is read at the start", async () => {
    const state = stage.newDirectory();
    const program = await ready(atService(state));
    program.child.kill("SIGHUP");
    expect((await stage.run(["status", "--state", state])).code).toBe(OK);
    expect(await program.end("SIGTERM")).toEqual({ code: OK, signal: null });
    expect(existsSync(join(state, "app.sock"))).toBe(false);
  });

  test("a certificate bundle in the place of the system's is read anew for each connection", async () => {
    const state = stage.newDirectory();
    const other = await stage.service();
    const bundle = stage.file("bundle.pem", readFileSync(other.caFile, "utf8"));
    const args = ["--service", service.origin, "--state", state, "--ca-bundle", bundle, "--keep-connected"];
    const program = await ready(args);
    await program.stderr.match(/^linkClosed .*cause=tls/);
    writeFileSync(bundle, service.ca);
    await program.stderr.match(/^registered /);
    await program.end("SIGTERM");
    await other.end("SIGTERM");
    expect(await run([...args.slice(0, 4), "--ca-bundle", "package.json"])).toMatchObject({ code: CONFIG });
  });

  test("nothing of its own takes the place of stdin, stdout or stderr that it was started without", async () => {
    const state = stage.newDirectory();
    const command = ["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', GODWITD, ...atService(state)];
    const env = stage.environment({});
    const program = stage.start("godwitd", command, { stdio: ["ignore", "pipe", "pipe"], env });
    await vi.waitUntil(() => existsSync(join(state, "app.sock")), { timeout: 20_000 });
    const { pid } = program.child;
    const standard = [0, 1, 2].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    expect(standard).toEqual(["/dev/null", "/dev/null", "/dev/null"]);
    expect(await program.end("SIGTERM")).toEqual({ code: OK, signal: null });
  });

  test("an app it starts gets three descriptors, a group and a session of signals of its own", async () => {
    const state = stage.newDirectory();
    const program = await ready([...atService(state), "--app-port", "0"]);
    const token = readFileSync(join(state, "admin.token"), "utf8").trim();
    const admin = await SocketClient.enter({ at: join(state, "app.sock") }, { role: "admin", token });
    const seen = join(stage.newDirectory(), "seen");
    // `ls` opens the directory it lists.
    const script = `{ ls -1 /proc/self/fd | wc -l; readlink /proc/self/fd/0 /proc/self/fd/1; cut -d' ' -f1,5 /proc/$$/stat; grep SigBlk /proc/self/status; } > '${seen}.new'; mv '${seen}.new' '${seen}'; exec sleep 600`;
    await admin.ask("installApp", { owner: "an-app", start: ["sh", "-c", script], tokenFile: null });
    await admin.ask("setPermission", { owner: "an-app", permission: "granted" });
    const sender = new Sender(service);
    const subscription = await admin.ask("subscribe", {
      ...{ owner: "an-app", applicationServerKey: sender.keys.publicKey, freshness: null },
    });
    await sender.send(subscription as never, "for an app that is not there");
    await vi.waitUntil(() => existsSync(seen), { timeout: 20_000 });
    const [descriptors, stdin, , ids = "", blocked = ""] = readFileSync(seen, "utf8").split("\n");
    expect({ descriptors, stdin }).toEqual({ descriptors: "4", stdin: "/dev/null" });
    const [pid, group] = ids.split(" ").map(Number);
    expect(group).toBe(pid);
    expect(Number(`0x${blocked.split("\t")[1]}`)).toBe(0);
    expect(await program.end("SIGTERM")).toEqual({ code: OK, signal: null });
    expect(() => statSync(`/proc/${pid}`)).toThrow();
  });
});
