// SPDX-License-Identifier: MIT
// Goal: `godwitd doctor` names what does not work on this device and what to do, ends with the documented code, and finds nothing
// where nothing is wrong. Method: the real program at a real push service; each fault is made: a capability taken away, a file's mode,
// an authority it does not know, another machine's id, a configuration that cannot be read.

import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ServiceProcess, Stage } from "../end-to-end/stage.ts";
import { FIRMWARE_BUILD } from "./driver.ts";

const GODWITD = join(FIRMWARE_BUILD, "godwitd");
const UNREACHABLE = 69;
const CONFIG = 78;
/** What a machine of which nothing is known may lack; the rest has to be well. */
const OF_THE_MACHINE = ["alarm", "wake lock", "machine", "network"];
const isRoot = process.getuid?.() === 0;
const hasSetpriv = spawnSync("setpriv", ["--version"]).status === 0;
const hasUnshare = spawnSync("unshare", ["--map-root-user", "--mount", "true"]).status === 0;

interface Checked {
  readonly check: string;
  readonly result: "ok" | "warn" | "fail";
  readonly found: string;
  readonly advice: string | null;
}

describe.skipIf(!existsSync(GODWITD))("godwitd doctor", () => {
  let stage: Stage;
  let service: ServiceProcess;
  beforeAll(async () => {
    stage = new Stage();
    service = await stage.service();
  });
  afterAll(() => stage.close());

  function godwitd(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    prefix: readonly string[] = [],
  ) {
    const env = stage.environment(environment);
    return stage.start("godwitd", [...prefix, GODWITD, ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  }

  async function doctor(
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
    prefix: readonly string[] = [],
  ) {
    const program = godwitd(["doctor", "--json", ...args], environment, prefix);
    const { code, stdout, stderr } = await stage.ended(program);
    const checks = stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Checked);
    const of = (name: string) => checks.find(({ check }) => check === name);
    const failed = checks.filter(({ result }) => result === "fail").map(({ check }) => check);
    return { code, stderr, checks, of, failed };
  }

  /** Options for the real service, and a state directory of its own. */
  function atService(state = stage.newDirectory()): string[] {
    return ["--service", service.origin, "--ca", service.caFile, "--state", state];
  }

  test("finds nothing where nothing is wrong, and changes nothing", async () => {
    const state = stage.newDirectory();
    const { code, stderr, checks, of } = await doctor(atService(state));
    expect([code, stderr]).toEqual([0, ""]);
    const noted = checks.filter(({ result }) => result !== "ok").map(({ check }) => check);
    expect(noted.filter((check) => !OF_THE_MACHINE.includes(check))).toEqual(["agent"]);
    expect(checks.map(({ check }) => check)).toEqual([
      ...["config", "ca", "state", "files", "journal", "disk", "agent", "machine", "alarm", "wake lock"],
      ...["clock", "crypto", "trust", "network", "tls", "http", "ready"],
    ]);
    expect(of("http")?.found).toBe("a push service answers");
    expect(of("network")).toMatchObject({ result: "ok", found: expect.stringContaining("on this machine") });
    expect(readdirSync(state)).toEqual([]);
  });

  test("and for people: a line a check, and one more where there is something to do", async () => {
    const { code, stdout } = await stage.ended(godwitd(["doctor", ...atService()]));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok {4}http {7}a push service answers$/m);
    expect(stdout).toMatch(/^warn {2}agent {6}none is running\n {8}→ start it: /m);
    expect(stdout).not.toContain("\u001b");
  });

  test("of a service that speaks autopush it asks for no more than any answer", async () => {
    const { code, checks, of } = await doctor([
      ...atService(),
      "--service",
      service.origin.replace("https:", "wss:"),
    ]);
    expect(code).toBe(0);
    expect(of("http")?.found).toMatch(/^something answers \(status 4\d\d\)/);
    expect(checks.map(({ check }) => check)).not.toContain("ready");
  });

  test("takes no token", async () => {
    await doctor(atService());
    expect(service.stderr.all.filter((line) => line.startsWith("device-created"))).toEqual([]);
  });

  // Whoever is not root cannot wake the machine in the first place.
  test.skipIf(isRoot && !hasSetpriv)("says when alarms cannot wake the machine", async () => {
    const dropped = ["setpriv", "--bounding-set=-wake_alarm", "--inh-caps=-wake_alarm", "--"];
    const { code, of } = await doctor(atService(), {}, isRoot ? dropped : []);
    expect(of("alarm")).toMatchObject({
      result: "warn",
      found: expect.stringContaining("(EPERM)"),
      advice: expect.stringContaining("CAP_WAKE_ALARM"),
    });
    expect(code).toBe(0);
  });

  test("says that nothing listens where the service should be", async () => {
    const { code, failed, of } = await doctor([...atService(), "--service", "https://localhost:1"]);
    expect([code, failed]).toEqual([UNREACHABLE, ["http"]]);
    expect(of("http")).toMatchObject({
      found: "no answer from https://localhost:1 (refused)",
      advice: expect.stringMatching(/^nothing listens there/),
    });
  });

  test("says that the certificate is not trusted", async () => {
    const { code, failed } = await doctor(["--service", service.origin, "--state", stage.newDirectory()]);
    expect([code, failed]).toEqual([UNREACHABLE, ["tls"]]);
  });

  test("says that something else answers", async () => {
    const portal = createServer((_request, response) => response.end("<html>log in</html>"));
    await new Promise<void>((resolve) => portal.listen(0, "127.0.0.1", resolve));
    const { port } = portal.address() as AddressInfo;
    const { code, failed, of } = await doctor([
      ...["--service", `http://127.0.0.1:${port}`, "--state", stage.newDirectory()],
    ]);
    portal.close();
    expect([code, failed]).toEqual([UNREACHABLE, ["http"]]);
    expect(of("http")?.found).toBe("something else answers (status 200)");
  });

  test("says that others may read the state directory, and that there are no certificates", async () => {
    const state = stage.newDirectory();
    chmodSync(state, 0o755);
    const bundle = stage.file("empty.pem", "");
    const { code, failed, of } = await doctor([
      ...["--state", state, "--ca-bundle", bundle, "--service", service.origin],
    ]);
    expect([code, failed]).toEqual([CONFIG, ["state", "trust", "tls"]]);
    expect(of("state")?.advice).toBe(`chmod 700 ${state}`);
    expect(of("trust")?.found).toBe(
      `${bundle} holds no certificate: no push service can be reached over TLS`,
    );
  });

  test("counts what a bundle holds", async () => {
    const { code, of } = await doctor([
      ...["--service", service.origin, "--ca-bundle", service.caFile, "--state", stage.newDirectory()],
    ]);
    expect([code, of("trust")?.found]).toEqual([0, `1 certificates in ${service.caFile}`]);
  });

  test("nobody is asked for a certificate's passphrase", async () => {
    const pem = new X509Certificate(readFileSync(service.caFile)).raw.toString("base64").match(/.{1,64}/g);
    const file = stage.file(
      "passphrase.pem",
      [
        "-----BEGIN CERTIFICATE-----",
        "Proc-Type: 4,ENCRYPTED",
        "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF",
        "",
        ...(pem ?? []),
        ...["-----END CERTIFICATE-----", ""],
      ].join("\n"),
    );
    // Without a terminal OpenSSL would ask stdin, which says nothing here.
    const options = { stdio: "pipe", detached: true, env: stage.environment({}) } as const;
    const at = [GODWITD, "--service", service.origin, "--state", stage.newDirectory()];
    const agent = await stage.ended(stage.start("godwitd", [...at, "--ca", file], options));
    expect([agent.code, agent.stderr]).toEqual([CONFIG, `godwitd: ${file} does not hold PEM certificates`]);
    const looked = [GODWITD, "doctor", ...at.slice(1), "--ca-bundle", file];
    const { code, stdout } = await stage.ended(stage.start("godwitd", looked, options));
    expect(code).toBe(CONFIG);
    expect(stdout).toMatch(/^fail {2}trust .* holds no certificate/m);
    expect(stdout).toMatch(/^fail {2}tls /m);
  });

  test("says how full the quota is, folders counted as the agent counts them", async () => {
    const state = stage.newDirectory();
    mkdirSync(join(state, "apps", "deeper"), { recursive: true, mode: 0o700 });
    symlinkSync("something", join(state, "link"));
    for (const name of ["something", "apps/something", "apps/deeper/something"])
      writeFileSync(join(state, name), new Uint8Array(50_000), { mode: 0o600 });
    const { code, of } = await doctor([...atService(state), "--state-quota", "196608"]);
    expect(of("quota")).toMatchObject({ result: "warn", found: "150000 of 196608 bytes used" });
    expect(code).toBe(0);
  });

  test("says that the helper cannot be started", async () => {
    const helper = stage.file("helper.sh", "#!/bin/sh\n", 0o600);
    const { code, failed, of } = await doctor([...atService(), "--helper", helper]);
    expect([code, failed]).toEqual([CONFIG, ["helper"]]);
    expect(of("helper")?.found).toBe(`${helper} cannot be started (EACCES)`);
    chmodSync(helper, 0o755);
    expect((await doctor([...atService(), "--helper", helper])).of("helper")?.result).toBe("ok");
  });

  test("says that no desktop shows notifications", async () => {
    const { of } = await doctor([...atService(), "--desktop"], {
      DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(stage.newDirectory(), "bus")}`,
    });
    expect(of("display")?.result).toMatch(/^(warn|fail)$/);
    expect(of("display")?.advice).toContain("--desktop");
  });

  test("goes on with what a broken configuration has nothing to do with", async () => {
    const config = stage.file("config.json", '{ "sevice": "https://push.example" }');
    const { code, failed, of, stderr } = await doctor(["--config", config]);
    expect([code, failed]).toEqual([CONFIG, ["config"]]);
    expect(of("config")?.found).toBe(`${config}: unknown key "sevice"`);
    expect(of("crypto")?.result).toBe("ok");
    expect(JSON.parse(stderr).error.message).toMatch(/^1 of \d+ checks failed$/);
  });

  test("says that no service is named, and what it does not understand", async () => {
    const { code, failed } = await doctor(["--state", stage.newDirectory()]);
    expect([code, failed]).toEqual([CONFIG, ["service"]]);
    for (const args of [["--nonsense"], ["an-argument"]]) expect((await doctor(args)).code).toBe(2);
  });

  describe("of a state directory with an agent's journal", () => {
    let state: string;
    beforeAll(async () => {
      state = stage.newDirectory();
      mkdirSync(state, { recursive: true, mode: 0o700 });
    });

    test("says who uses it, and that the journal is whole", async () => {
      const agent = godwitd([...atService(state), "--keep-connected"]);
      await agent.stderr.match(/^registered /);
      const { code, of } = await doctor(atService(state));
      expect(code).toBe(0);
      expect(of("agent")?.found).toMatch(new RegExp(`^process ${agent.child.pid} uses ${state};`));
      expect(of("journal")?.found).toMatch(/^whole, \d+ bytes, 0 subscriptions$/);
      expect(of("reserve")?.result).toBe("ok");
      agent.child.kill("SIGTERM");
      expect((await agent.exited).code).toBe(0);
    });

    test.skipIf(!hasUnshare)(
      "says that it is another machine's, and a copied image starts afresh",
      async () => {
        const id = stage.file("machine-id", "0123456789abcdef0123456789abcdef\n", 0o644);
        const script = `mount --bind ${id} /etc/machine-id && exec "$@"`;
        const elsewhere = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"];
        const { code, of } = await doctor(atService(state), {}, elsewhere);
        expect(code).toBe(0);
        expect(of("journal")).toMatchObject({
          result: "warn",
          found: "of another device: it is ignored and written anew",
        });
        const agent = godwitd([...atService(state), "--keep-connected"], {}, elsewhere);
        await agent.stderr.match(/^registered /);
        expect((await doctor(atService(state), {}, elsewhere)).of("journal")?.found).toMatch(/^whole/);
        agent.child.kill("SIGTERM");
        expect((await agent.exited).code).toBe(0);
      },
    );
  });
});
