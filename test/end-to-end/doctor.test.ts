// SPDX-License-Identifier: MIT
// Goal: the doctor names each thing that is wrong, what to do about it, and ends with the documented code; and finds nothing
// where nothing is wrong. Method: each fault is made: ports closed, certificates ended or foreign, clocks and modes changed,
// a journal damaged; at a real push service and agent, but for answers that a real one never gives.

import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { roomFinding } from "../../src/doctor/state-directory.ts";
import { loadDevCertificate } from "../../src/push-service/index.ts";
import { findRecords, flipAt, journalPath } from "./journal.ts";
import { type Program, type ServiceProcess, Stage } from "./stage.ts";

const UNREACHABLE = 69;
const CONFIG = 78;
const DAY_MS = 24 * 3600 * 1000;

interface Checked {
  readonly check: string;
  readonly result: "ok" | "warn" | "fail";
  readonly found: string;
  readonly advice: string | null;
}

let stage: Stage;
let service: ServiceProcess;
beforeAll(async () => {
  stage = new Stage();
  service = await stage.service({ args: ["--mqtt-port", "0"] });
});
afterAll(() => stage.close());

async function doctor(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const { code, stdout, stderr } = await stage.run(["doctor", "--json", ...args], environment);
  const checks = stdout.split("\n").map((line) => JSON.parse(line) as Checked);
  const of = (name: string) => checks.find(({ check }) => check.split(" ")[0] === name);
  return { code, stderr, checks, of };
}

/** Options for the real service, and a state directory of its own. */
function atService(state = stage.newDirectory()): string[] {
  return ["--service", service.origin, "--ca", service.caFile, "--state", state];
}

/** What fails, and nothing else does. */
async function expectOnly(
  args: readonly string[],
  check: string,
  code: number,
  found: RegExp,
  advice: RegExp,
) {
  const { code: actual, stderr, checks, of } = await doctor(args);
  expect(checks.filter(({ result }) => result === "fail").map((each) => each.check.split(" ")[0])).toEqual([
    check,
  ]);
  expect(of(check)?.found).toMatch(found);
  expect(of(check)?.advice).toMatch(advice);
  expect(actual).toBe(code);
  const message = `1 of ${checks.length} checks failed`;
  expect(JSON.parse(stderr)).toEqual({ error: { code: null, message } });
  return of;
}

describe("all is well", () => {
  test.each([["wss:"], ["https:", "--dialect", "autopush"]])(
    "at a service that speaks autopush (%s), whose upgrade is taken and nothing else asked",
    async (scheme, ...args) => {
      const address = service.origin.replace("https:", scheme);
      const at = ["--service", address, "--ca", service.caFile, "--state", stage.newDirectory()];
      const { code, checks, of } = await doctor([...at, ...args]);
      expect(code).toBe(0);
      expect(of("websocket")?.found).toBe("the push service takes the upgrade");
      const names = checks.map(({ check }) => check.split(" ")[0]);
      expect(names).toEqual(expect.arrayContaining(["tls", "clock"]));
      expect(names.filter((name) => ["http", "ready", "mqtt"].includes(name ?? ""))).toEqual([]);
    },
  );

  test("without an agent only that is worth a word", async () => {
    const { code, checks, stderr } = await doctor(atService());
    expect([code, stderr]).toEqual([0, ""]);
    expect(checks.filter(({ result }) => result !== "ok").map(({ check }) => check)).toEqual(["agent"]);
    expect(checks.map(({ check }) => check)).toEqual(
      expect.arrayContaining([
        "proxy",
        "dns",
        "tcp",
        "tls",
        "clock",
        "http",
        "ready",
        "websocket",
        "display",
      ]),
    );
  });

  test("and for people: a line a check, and one more where there is something to do", async () => {
    const { code, stdout } = await stage.run(["doctor", ...atService()]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok {4}websocket {2}the upgrade reaches the push service$/m);
    expect(stdout).toMatch(/^warn {2}agent {6}none is running\n {8}→ start it: /m);
    expect(stdout).not.toContain("\u001b");
  });

  test("takes no token", async () => {
    await doctor(atService());
    expect(service.stderr.all.filter((line) => line.startsWith("device-created"))).toEqual([]);
  });

  test("a broker answers where MQTT is", async () => {
    const ready = JSON.parse(service.program.stdout.all[0] ?? "");
    const url = `mqtts://localhost:${ready.mqttPort}`;
    const { code, of } = await doctor([...atService(), "--mqtt", url]);
    expect(code).toBe(0);
    expect(of("mqtt")).toMatchObject({ result: "ok", found: expect.stringMatching(/^a broker answers/) });
  });
});

describe("a running agent", () => {
  let agent: Program;
  let state: string;
  beforeAll(async () => {
    state = stage.newDirectory();
    agent = stage.godwit(["agent", ...atService(state), "--keep-connected"]);
    await agent.stderr.match(/^registered /);
  });

  test("is asked how it is", async () => {
    const { code, of, checks } = await doctor(atService(state));
    expect(of("agent")).toMatchObject({ result: "ok", found: "running, online" });
    expect(of("journal")?.found).toMatch(/^whole, \d+ bytes, 0 subscriptions$/);
    expect(of("reserve")?.result).toBe("ok");
    expect(checks.filter(({ result }) => result !== "ok")).toEqual([]);
    expect(code).toBe(0);
  });

  test("says which push service, when nobody else does", async () => {
    const { code, of } = await doctor(["--ca", service.caFile, "--state", state]);
    expect([code, of("http")?.result]).toEqual([0, "ok"]);
  });

  test("a file in its directory that others may read is named, and not what is in it", async () => {
    const path = journalPath(state);
    chmodSync(path, 0o644);
    await expectOnly(atService(state), "files", CONFIG, /^others may read .*journal-[01]$/, /^chmod 600 /);
    chmodSync(path, 0o600);
  });

  test("a token of an app that others may read is named", async () => {
    await stage.run(["apps", "install", "an-app", "--state", state]);
    const path = join(state, "app-tokens", "an-app");
    chmodSync(path, 0o644);
    await expectOnly(
      atService(state),
      "files",
      CONFIG,
      /^others may read .*app-tokens\/an-app$/,
      /^chmod 600 /,
    );
    await stage.run(["apps", "uninstall", "an-app", "--state", state]);
  });

  test("tells of choices that keep everything away, and how to take them back", async () => {
    const choices = async () => (await doctor(atService(state))).of("choices");
    expect(await choices()).toMatchObject({
      result: "ok",
      found: "0 of 0 apps are denied, paused or opted out",
    });
    for (const command of ["pause", "optout"]) {
      await stage.run([command, "--all", "--state", state]);
      const advice = `to take it back: godwit ${command} --all --undo`;
      expect(await choices()).toMatchObject({ result: "warn", advice });
      await stage.run([command, "--all", "--undo", "--state", state]);
    }
    const asking = stage.godwit(["subscribe", "an-app", "--state", state]);
    await asking.stderr.match(/^waiting for permission/);
    expect(await choices()).toMatchObject({ result: "warn", found: "an-app waits for permission" });
    await stage.run(["permission", "answer", "an-app", "denied", "--state", state]);
    await asking.exited;
    expect((await choices())?.found).toBe("1 of 1 apps are denied, paused or opted out");
  });

  test("tells its last fault", async () => {
    const lonely = stage.newDirectory();
    const gone = await stage.service();
    await gone.end("SIGTERM");
    const program = stage.godwit([
      ...["agent", "--service", gone.origin, "--ca", gone.caFile],
      ...["--state", lonely, "--keep-connected"],
    ]);
    await program.stderr.match(/^fault code=ERR_SERVICE_UNREACHABLE/);
    const { code, of } = await doctor(["--state", lonely, "--ca", gone.caFile]);
    expect(of("agent")).toMatchObject({ result: "warn", found: expect.stringMatching(/last fault ERR_/) });
    expect(of("tcp")?.result).toBe("fail");
    expect(code).toBe(UNREACHABLE);
  });
});

describe("the way to the push service", () => {
  test("none is named", async () => {
    await expectOnly(["--state", stage.newDirectory()], "service", CONFIG, /no push service/, /--service/);
  });

  test.each([
    ["plain http elsewhere", "http://push.example", /loopback/],
    ["no URL", "push.example", /https URL/],
  ])("a service URL that is %s", async (_what, url, found) => {
    const args = ["--service", url, "--state", stage.newDirectory()];
    await expectOnly(args, "service", CONFIG, found, /option/);
  });

  test("a name that is none", async () => {
    // Longer than a label may be: no resolver is asked.
    const args = ["--service", `https://${"x".repeat(64)}.localhost`, "--state", stage.newDirectory()];
    await expectOnly(args, "dns", UNREACHABLE, /has no address/, /getent hosts/);
  });

  test("a closed port", async () => {
    const gone = await stage.service();
    await gone.end("SIGTERM");
    const args = ["--service", gone.origin, "--ca", gone.caFile, "--state", stage.newDirectory()];
    await expectOnly(args, "tcp", UNREACHABLE, /ECONNREFUSED$/, /nothing listens there/);
  });

  test("a port where nobody speaks TLS", async () => {
    const { origin } = await answering(() => ({ status: 200 }));
    const args = ["--service", origin.replace("http:", "https:"), "--state", stage.newDirectory()];
    await expectOnly(args, "http", UNREACHABLE, /^no answer from /, /right scheme and port/);
  });

  test("a certificate by nobody we trust", async () => {
    const args = ["--service", service.origin, "--state", stage.newDirectory()];
    const found = /^the certificate is by Godwit development CA .*, which is not trusted \(SELF_SIGNED/;
    const of = await expectOnly(args, "tls", UNREACHABLE, found, /give --ca the authority's certificate/);
    expect(of("clock")?.result).toBe("ok");
  });

  test("the certificate authority of another service", async () => {
    const other = await stage.service();
    const args = ["--service", service.origin, "--ca", other.caFile, "--state", stage.newDirectory()];
    await expectOnly(args, "tls", UNREACHABLE, /not trusted/, /--ca/);
  });

  test("a certificate that has ended", async () => {
    const { origin, caFile } = await serviceWithCertificate({ nowMs: Date.now() - 900 * DAY_MS });
    const args = ["--service", origin, "--ca", caFile, "--state", stage.newDirectory()];
    await expectOnly(args, "tls", UNREACHABLE, /^the certificate ended 20/, /renew it/);
  });

  test("a certificate that ends within a week is worth a word", async () => {
    const { origin, caFile } = await serviceWithCertificate({ nowMs: Date.now() - 820 * DAY_MS });
    const { code, of } = await doctor([
      ...["--service", origin, "--ca", caFile],
      ...["--state", stage.newDirectory()],
    ]);
    expect(code).toBe(0);
    expect(of("tls")).toMatchObject({ result: "warn", advice: expect.stringMatching(/renew/) });
  });

  test("a file of certificates that is not there", async () => {
    const args = ["--service", service.origin, "--ca", "/nowhere.pem", "--state", stage.newDirectory()];
    const { code, of } = await doctor(args);
    expect(of("ca")).toMatchObject({ result: "fail", found: "/nowhere.pem is not there" });
    expect(code).toBe(CONFIG);
  });

  test.each([
    ["a minute", 60_000, "warn", 0],
    ["an hour", 3_600_000, "fail", 1],
    ["an hour the other way", -3_600_000, "fail", 1],
  ])("a clock that is %s off", async (_what, offMs, result, code) => {
    const { origin } = await answering(like({ date: new Date(Date.now() - offMs).toUTCString() }));
    const answer = await doctor(["--service", origin, "--state", stage.newDirectory()]);
    expect(answer.of("clock")).toMatchObject({
      result,
      found: expect.stringMatching(
        offMs > 0 ? /^this clock is \d+ s ahead of / : /^this clock is \d+ s behind /,
      ),
      advice: expect.stringMatching(/^set this device's clock/),
    });
    expect(answer.code).toBe(code);
  });

  test("a page to log in instead of the push service", async () => {
    const { origin } = await answering(() => ({
      status: 302,
      headers: { Location: "http://login.example/" },
    }));
    const args = ["--service", origin, "--state", stage.newDirectory()];
    await expectOnly(args, "http", UNREACHABLE, /^something else answers \(status 302\)$/, /log in first/);
  });

  test("something on the way that takes the upgrade out", async () => {
    const { origin } = await answering(like({}, { upgrade: [426, 313] }));
    const args = ["--service", origin, "--state", stage.newDirectory()];
    await expectOnly(args, "websocket", UNREACHABLE, /takes the upgrade out$/, /use MQTT/);
  });

  test("a push service that cannot store messages", async () => {
    const { origin } = await answering(like({}, { ready: 503 }));
    const { of } = await doctor(["--service", origin, "--state", stage.newDirectory()]);
    expect(of("ready")).toMatchObject({ result: "fail", found: expect.stringMatching(/status 503/) });
  });

  test("no broker where MQTT should be", async () => {
    const { origin } = await answering(() => ({ status: 200 }));
    const { port } = new URL(origin);
    const args = [...atService(), "--mqtt", `mqtt://localhost:${port}`];
    await expectOnly(args, "mqtt", UNREACHABLE, /^no broker answers: /, /--mqtt-port/);
  });

  test("a broker with a certificate nobody trusts", async () => {
    const ready = JSON.parse(service.program.stdout.all[0] ?? "");
    const other = await stage.service();
    const { of } = await doctor([
      ...["--service", other.origin, "--ca", other.caFile, "--state", stage.newDirectory()],
      ...["--mqtt", `mqtts://localhost:${ready.mqttPort}`],
    ]);
    expect(of("mqtt")).toMatchObject({ result: "fail", found: expect.stringMatching(/not trusted/) });
  });

  test("a proxy that is told without its password, and does not answer", async () => {
    const gone = await stage.service();
    await gone.end("SIGTERM");
    const proxy = { HTTPS_PROXY: `http://me:hunter2@localhost:${gone.port}` };
    const { code, of, checks } = await doctor(
      ["--service", "https://push.example", "--state", stage.newDirectory()],
      proxy,
    );
    expect(of("proxy")).toMatchObject({ found: `localhost:${gone.port}, from the environment` });
    expect(of("http")).toMatchObject({ result: "fail", advice: expect.stringMatching(/NO_PROXY/) });
    expect(JSON.stringify(checks)).not.toContain("hunter2");
    expect(code).toBe(UNREACHABLE);
  });
});

describe("the state directory", () => {
  test("others may look inside", async () => {
    const state = stage.newDirectory();
    chmodSync(state, 0o755);
    await expectOnly(atService(state), "state", CONFIG, /has mode 0755/, new RegExp(`^chmod 700 ${state}$`));
  });

  test("is a file", async () => {
    const state = stage.file("state", "");
    await expectOnly(atService(state), "state", CONFIG, /is no directory$/, /--state/);
  });

  test("holds a damaged journal", async () => {
    const state = stage.newDirectory();
    const agent = stage.godwit(["agent", ...atService(state), "--permission", "granted"]);
    await agent.stderr.match(/^agent ready/);
    expect((await stage.run(["subscribe", "https://news.example", "--state", state])).code).toBe(0);
    await agent.end("SIGKILL");
    const path = journalPath(state);
    const intact = readFileSync(path);
    const [{ start, end } = { start: 0, end: 0 }] = findRecords(new Uint8Array(intact), () => true);
    flipAt(path, Math.floor((start + end) / 2));
    await expectOnly(
      atService(state),
      "journal",
      1,
      /^damaged: 1 bad place, \d+ records? saved/,
      /start the agent/,
    );
    writeFileSync(path, "not a journal");
    await expectOnly(atService(state), "journal", 1, /^damaged: no segment can be read$/, /start the agent/);
    writeFileSync(path, intact);
    const { code, of } = await doctor(atService(state));
    expect(of("journal")?.found).toMatch(/^whole, .* 1 subscription$/);
    expect([code, existsSync(join(state, "journal.new"))]).toEqual([0, false]);
  });

  test("was sealed under another device key", async () => {
    const state = stage.newDirectory();
    const key = (fill: number) => stage.file("key", Buffer.alloc(32, fill).toString("base64url"));
    const args = ["agent", ...atService(state), "--device-key-file", key(1), "--keep-connected"];
    const agent = stage.godwit(args);
    await agent.stderr.match(/^registered /);
    await agent.end("SIGTERM");
    const other = [...atService(state), "--device-key-file", key(2)];
    await expectOnly(other, "journal", CONFIG, /^sealed under another device key/, /--device-key-file/);
    await expectOnly(atService(state), "journal", CONFIG, /or there is none now$/, /--device-key-file/);
    expect((await doctor([...atService(state), "--device-key-file", key(1)])).code).toBe(0);
  });

  test("a device key that others may read", async () => {
    const file = stage.file("key", Buffer.alloc(32).toString("base64url"), 0o644);
    const { code, of } = await doctor([...atService(), "--device-key-file", file]);
    expect(of("device")).toMatchObject({ result: "fail", found: expect.stringMatching(/mode 0600$/) });
    expect(code).toBe(CONFIG);
  });

  test.each([
    [1024 ** 3, "ok"],
    [1024 ** 2, "warn"],
    [0, "fail"],
  ])("%i bytes of free disk", (bytes, result) => {
    expect(roomFinding("/somewhere", bytes).result).toBe(result);
  });

  test("a directory that a process holds without answering", async () => {
    const state = stage.newDirectory();
    const agent = await stage.agent({ service, stateDirectory: state, owners: [] });
    const { code, of } = await doctor(atService(state));
    expect(of("agent")).toMatchObject({
      result: "warn",
      found: expect.stringMatching(new RegExp(`^process ${agent.child.pid} uses `)),
    });
    expect(code).toBe(0);
  });
});

interface FakeAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An HTTP server that says what the test wants; upgrades are requests like others to it. */
async function answering(answer: (path: string) => FakeAnswer): Promise<{ server: Server; origin: string }> {
  const server = createServer((request, response) => {
    const { status, headers = {}, body = "" } = answer(request.url ?? "");
    response.writeHead(status, { Connection: "close", ...headers }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stage.defer(() => server.close());
  return { server, origin: `http://localhost:${(server.address() as AddressInfo).port}` };
}

interface Likeness {
  readonly ready?: number;
  readonly upgrade?: readonly [status: number, errno: number];
}

/** As a push service answers, with other headers. */
function like(
  headers: Readonly<Record<string, string>>,
  { ready = 200, upgrade: [status, errno] = [401, 310] }: Likeness = {},
) {
  return (path: string): FakeAnswer => {
    if (path === "/v1/token") return { status: 405, headers, body: '{"code":405,"errno":321}' };
    if (path === "/readyz") return { status: ready, headers, body: "{}" };
    return { status, headers, body: JSON.stringify({ code: status, errno }) };
  };
}

/** A push service with a certificate made at another time. */
async function serviceWithCertificate({ nowMs }: { readonly nowMs: number }) {
  const directory = stage.newDirectory();
  await loadDevCertificate({ directory, nowMs });
  const at = (name: string) => join(directory, name);
  const program = stage.godwit([
    ...["push-service", "--json", "--port", "0", "--state", stage.newDirectory()],
    ...["--tls-cert", at("cert.pem"), "--tls-key", at("key.pem")],
  ]);
  const ready = await program.stdout.until("it is ready", (lines) => lines[0] ?? null);
  return { origin: JSON.parse(ready).origin as string, caFile: at("ca.pem") };
}
