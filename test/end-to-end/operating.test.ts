// SPDX-License-Identifier: MIT
// Goal: a running push service obeys its operator: keys rotate at SIGHUP, it leaves gracefully, its administrator's token works, and
// what cannot work is said with 78. Method: real processes; the agent's endpoint stays the same through all of it.

import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Stage } from "./stage.ts";

const TOKEN = "the-administrators-token-0123456789abcdef";
const CONFIG = 78;
let stage: Stage;
beforeAll(() => {
  stage = new Stage();
});
afterAll(() => stage.close());

describe("a running service", () => {
  test("rotates its keys at SIGHUP, and goes on with what it has when the file is no ring", async () => {
    const service = await stage.service();
    const { json } = await service.request("POST", "/v1/token");
    const before = String(json.uaToken);
    const rotated = await stage.run(["keyring", "rotate", "--state", service.directory, "--json"]);
    const { current, keys } = JSON.parse(rotated.stdout) as { current: string; keys: string[] };
    expect([rotated.code, keys.length, keys.includes(current)]).toEqual([0, 2, true]);
    service.program.child.kill("SIGHUP");
    await service.stderr.match(/^reloaded keys=2$/);
    const refreshed = await service.request("POST", "/v1/token", { Authorization: `Bearer ${before}` });
    expect(refreshed.json.uaid).toBe(json.uaid);
    const sealedBy = Buffer.from(String(refreshed.json.uaToken), "base64url").subarray(0, 4).toString("hex");
    expect(sealedBy).toBe(current);
    writeFileSync(join(service.directory, "keys.json"), "{}");
    service.program.child.kill("SIGHUP");
    await service.stderr.match(/^not reloaded: .*keys\.json is not a key ring$/);
    const still = await service.request("POST", "/v1/token", { Authorization: `Bearer ${before}` });
    expect(still.json.uaid).toBe(json.uaid);
    expect(service.stderr.all.join("\n")).not.toContain(before);
    await service.end("SIGTERM");
  });

  test("leaves when its administrator says so, and its log is JSON throughout", async () => {
    const tokenFile = stage.file("token", `${TOKEN}\n`);
    const args = ["--admin-listen", "127.0.0.1:0", "--admin-token-file", tokenFile, "--log-format", "json"];
    const service = await stage.service({ args });
    const { adminPort } = JSON.parse(service.program.stdout.all[0] ?? "{}") as { adminPort: number };
    const headers = { Authorization: `Bearer ${TOKEN}` };
    const drain = () => fetch(`http://127.0.0.1:${adminPort}/v1/drain`, { method: "POST", headers });
    expect((await drain()).status).toBe(202);
    expect(await service.program.exited).toEqual({ code: 0, signal: null });
    const events = service.stderr.all.map((line) => JSON.parse(line) as { atEpochMs: number; event: string });
    expect(events.every(({ atEpochMs }) => atEpochMs > 1_700_000_000_000)).toBe(true);
    expect(events.map(({ event }) => event)).toEqual([
      "note",
      "admin-listening",
      "listening",
      "draining",
      "stopped",
    ]);
    expect(service.stderr.all.join("\n")).not.toContain(TOKEN);
  });

  test("is not ready for its delay before it leaves at SIGTERM", async () => {
    const service = await stage.service({ args: ["--drain-delay", "3600"] });
    service.program.child.kill("SIGTERM");
    await service.stderr.match(/^draining links=0 delayS=3600 spreadS=0$/);
    expect((await service.request("GET", "/readyz")).status).toBe(503);
    expect((await service.request("POST", "/v1/token")).status).toBe(200);
    await service.end("SIGKILL");
  });
});

describe("godwit keyring", () => {
  test("adds a key that only opens, then uses it; the file stays its owner's alone", async () => {
    const service = await stage.service();
    await service.end("SIGTERM");
    const state = ["--state", service.directory, "--json"];
    const ring = async (...args: string[]) => {
      const { stdout } = await stage.run(["keyring", ...args, ...state]);
      return JSON.parse(stdout) as { current: string; keys: string[] };
    };
    const before = await ring();
    const added = await ring("add");
    expect(added).toMatchObject({ current: before.current });
    const [next] = added.keys.filter((key) => !before.keys.includes(key));
    const used = await ring("use", String(next));
    expect([used.current, [...used.keys].sort()]).toEqual([next, [...added.keys].sort()]);
    expect(statSync(join(service.directory, "keys.json")).mode & 0o777).toBe(0o600);
    const unknown = await stage.run(["keyring", "use", "00000000", ...state]);
    expect([unknown.code, JSON.parse(unknown.stderr).error.code]).toEqual([CONFIG, "ERR_KEYRING"]);
  });

  test("removes a key that does not seal, once it is told that this is meant; its tokens are void then", async () => {
    const service = await stage.service();
    const { json } = await service.request("POST", "/v1/token");
    const keyring = (...args: string[]) => stage.run(["keyring", ...args, "--state", service.directory]);
    const [old] = (await keyring()).stdout.split(/\s/);
    const refused = await keyring("remove", String(old), "--yes");
    expect([refused.code, refused.stderr]).toEqual([
      CONFIG,
      expect.stringMatching(/seals: use another key first/),
    ]);
    const rotated = (await keyring("rotate")).stdout;
    const asked = await keyring("remove", String(old));
    expect([asked.code, asked.stderr]).toEqual([
      2,
      expect.stringMatching(/is void without it.*\n.*give --yes$/),
    ]);
    expect((await keyring()).stdout).toBe(rotated);
    const removed = await keyring("remove", String(old), "--yes");
    expect([removed.code, removed.stdout]).toEqual([0, rotated.split("\n")[0]]);
    service.program.child.kill("SIGHUP");
    await service.stderr.match(/^reloaded keys=1$/);
    const again = await service.request("POST", "/v1/token", { Authorization: `Bearer ${json.uaToken}` });
    expect(again.json.uaid).not.toBe(json.uaid);
    await service.end("SIGTERM");
  });

  test("makes no ring where there is none", async () => {
    const directory = stage.newDirectory();
    const { code, stderr } = await stage.run(["keyring", "rotate", "--state", directory]);
    expect([code, stderr]).toEqual([CONFIG, `godwit keyring rotate: ${directory}/keys.json is missing`]);
  });
});

describe("a configuration that cannot work", () => {
  test.each([
    [
      "an administrator's token without a listener",
      () => ["--admin-token-file", token()],
      /only with --admin-listen$/,
    ],
    ["no port", () => ["--admin-listen", "127.0.0.1"], /must be like 127\.0\.0\.1:9464/],
    ["a port too high", () => ["--admin-listen", "[::1]:70000"], /must be like 127\.0\.0\.1:9464/],
    [
      "a token in the clear",
      () => ["--admin-listen", "0.0.0.0:0", "--admin-token-file", token()],
      /must be on loopback/,
    ],
    [
      "a short token",
      () => ["--admin-listen", "127.0.0.1:0", "--admin-token-file", token("short")],
      /at least 32 characters/,
    ],
    [
      "a token others read",
      () => ["--admin-listen", "127.0.0.1:0", "--admin-token-file", token(TOKEN, 0o644)],
      /mode 0600$/,
    ],
    [
      "certificates of devices without TLS",
      () => ["--no-tls", "--enrolment-ca", "x.pem"],
      /--enrolment-ca needs TLS here/,
    ],
    ["an authority that is none", () => ["--enrolment-ca", token()], /does not hold PEM certificates$/],
    ["a rate of nothing", () => ["--token-rate", "0"], /--token-rate must be a whole number from 1 /],
  ])("is refused: %s", async (_what, args, message) => {
    const { code, stderr } = await stage.run([
      "push-service",
      "--state",
      stage.newDirectory(),
      "--port",
      "0",
      ...args(),
    ]);
    expect([code, stderr]).toEqual([
      args().includes("--token-rate") ? 2 : CONFIG,
      expect.stringMatching(message),
    ]);
  });

  const token = (text = TOKEN, mode?: number): string => stage.file("token", text, mode);
});
