// SPDX-License-Identifier: MIT
// Goal: proofs of the app socket hold as long as they should and no longer, and their files are for the agent's user alone. Method: real
// files in a temporary directory; the clock and the boot are arguments.

import { createHmac } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DASHBOARD_CODE_MS_MAX, DASHBOARD_CODES_MAX, DASHBOARD_SESSION_MS_MAX } from "../../src/limits.ts";
import { nodeFileSystem } from "../../src/node/file-system.ts";
import { createNodePlatform } from "../../src/node/platform.ts";
import { Credentials, type Proof } from "../../src/user-agent/credentials.ts";
import { InstalledApps } from "../../src/user-agent/installed-apps.ts";
import { privateFilesIn } from "../../src/user-agent/private-files.ts";

const FILES = ["admin.token", "shell.token", "page.key"] as const;
const START_MS = 1_700_000_000_000;

let directory: string;
let epochMs: number;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "godwit-credentials-"));
  epochMs = START_MS;
});
afterEach(() => rmSync(directory, { recursive: true }));

const around = () => ({
  files: privateFilesIn(directory, nodeFileSystem),
  platform: { ...createNodePlatform(), epochMs: () => epochMs },
});
const open = (bootId = "a boot") => Credentials.open({ ...around(), bootId });
const openApps = () => InstalledApps.open(around());
const textOf = (name: string) => readFileSync(join(directory, name), "utf8").trim();

describe("files", () => {
  test("are made with 256 random bits each, and kept", async () => {
    await open();
    const texts = FILES.map(textOf);
    expect(texts).toEqual(FILES.map(() => expect.stringMatching(/^[\w-]{43}$/)));
    expect(new Set(texts).size).toBe(3);
    expect(FILES.map((name) => statSync(join(directory, name)).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
    await open();
    expect(FILES.map(textOf)).toEqual(texts);
  });

  test.each(FILES)("%s that others may read is refused", async (name) => {
    await open();
    chmodSync(join(directory, name), 0o640);
    await expect(open()).rejects.toMatchObject({
      code: "ERR_CONFIG",
      message: expect.stringContaining("mode 0600"),
    });
  });

  test.each(["", "short", "x".repeat(44), `${"x".repeat(42)}!`])(
    "a token file with %j is refused",
    async (text) => {
      writeFileSync(join(directory, "shell.token"), text, { mode: 0o600 });
      await expect(open()).rejects.toMatchObject({ code: "ERR_CONFIG" });
    },
  );

  test("a file that cannot be written is an error of the disk, and none of its text", async () => {
    rmSync(directory, { recursive: true });
    const failed = open();
    await expect(failed).rejects.toMatchObject({ code: "ERR_JOURNAL_IO" });
    writeFileSync(directory, "");
    await expect(open()).rejects.toMatchObject({ code: "ERR_JOURNAL_IO" });
  });
});

/** As a page proves a secret. */
function proofBy(secret: string): Proof {
  const [challenge, agentOrigin] = ["challenge", "http://127.0.0.1:1"];
  const proof = createHmac("sha256", secret).update(`${challenge}\0${agentOrigin}`).digest("base64url");
  return { proof, challenge, agentOrigin };
}

describe("page secrets", () => {
  test("stay over a restart of the agent, and are others for each owner, boot and key", async () => {
    const [before, again] = [await open(), await open()];
    const proof = proofBy(before.pageSecret("https://a.example"));
    expect(again.isPage("https://a.example", proof)).toBe(true);
    expect(again.isPage("https://b.example", proof)).toBe(false);
    expect((await open("another boot")).isPage("https://a.example", proof)).toBe(false);
    await again.renewPageKey();
    expect(again.isPage("https://a.example", proof)).toBe(false);
    expect((await open()).pageSecret("https://a.example")).toBe(again.pageSecret("https://a.example"));
  });

  test.each([
    ["the secret itself", (secret: string) => ({ proof: secret })],
    ["a proof to another challenge", () => ({ challenge: "another" })],
    ["a proof for another port", () => ({ agentOrigin: "http://127.0.0.1:2" })],
    [
      "a proof whose parts are cut elsewhere",
      () => ({ challenge: "challeng", agentOrigin: "ehttp://127.0.0.1:1" }),
    ],
    ["nothing", () => ({ proof: "" })],
  ])("%s proves nothing", async (_, change) => {
    const credentials = await open();
    const secret = credentials.pageSecret("https://a.example");
    expect(credentials.isPage("https://a.example", { ...proofBy(secret), ...change(secret) })).toBe(false);
  });
});

describe("the dashboard", () => {
  /** As a page proves it. */
  function endOf(credentials: Credentials, session: string): number | null {
    const [claims = "", key = ""] = session.split(/\.(?=[^.]*$)/);
    return credentials.sessionEndEpochMs(claims, proofBy(key));
  }

  test("a code works once, and for five minutes", async () => {
    const credentials = await open();
    const [code, late] = [credentials.newDashboardCode(), credentials.newDashboardCode()];
    expect(credentials.useDashboardCode(code)).not.toBeNull();
    expect(credentials.useDashboardCode(code)).toBeNull();
    epochMs += DASHBOARD_CODE_MS_MAX + 1;
    expect(credentials.useDashboardCode(late)).toBeNull();
    expect(credentials.useDashboardCode("")).toBeNull();
  });

  test("of too many codes the oldest is forgotten", async () => {
    const credentials = await open();
    const codes = Array.from({ length: DASHBOARD_CODES_MAX + 1 }, () => credentials.newDashboardCode());
    const used = codes.map((code) => credentials.useDashboardCode(code) !== null);
    expect(used).toEqual(codes.map((_, i) => i > 0));
  });

  test("a session lasts twelve hours, over a restart too, and ends when the administrator's token does", async () => {
    const credentials = await open();
    const { session = "" } = credentials.useDashboardCode(credentials.newDashboardCode()) ?? {};
    const endEpochMs = START_MS + DASHBOARD_SESSION_MS_MAX;
    expect(endOf(await open(), session)).toBe(endEpochMs);
    epochMs = endEpochMs - 1;
    expect(endOf(credentials, session)).toBe(endEpochMs);
    epochMs = endEpochMs;
    expect(endOf(credentials, session)).toBeNull();
    epochMs = START_MS;
    rmSync(join(directory, "admin.token"));
    expect(endOf(await open(), session)).toBeNull();
  });

  test.each(["", ".", "..", "9999999999999", "Infinity.x.", "NaN.x.y"])(
    "%j is no session",
    async (session) => {
      expect(endOf(await open(), session)).toBeNull();
    },
  );
});

describe("installed apps", () => {
  const path = () => join(directory, "apps.json");
  const app = (owner: string) => ({ owner, start: ["/bin/app", "-x"], tokenFile: "/run/token" });

  test("are read again, of their tokens only the hash is kept", async () => {
    const apps = await openApps();
    const token = await apps.install(app("an-app"));
    const again = await openApps();
    expect(again.list()).toEqual([app("an-app")]);
    expect(again.isToken("an-app", token)).toBe(true);
    expect(again.isToken("another", token)).toBe(false);
    expect(again.isToken("an-app", "")).toBe(false);
    expect(again.isToken("another", "")).toBe(false);
    expect(readFileSync(path(), "utf8")).not.toContain(token);
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });

  test("without a disk none is installed, and one that is uninstalled is; the next change is written down with it", async () => {
    const apps = await openApps();
    const [token] = [await apps.install(app("an-app")), await apps.install(app("another"))];
    rmSync(directory, { recursive: true });
    await expect(apps.install(app("an-app"))).rejects.toMatchObject({ code: "ERR_JOURNAL_IO" });
    expect(apps.isToken("an-app", token)).toBe(true);
    await expect(apps.uninstall("an-app")).rejects.toMatchObject({ code: "ERR_JOURNAL_IO" });
    expect(apps.isToken("an-app", token)).toBe(false);
    mkdirSync(directory);
    await apps.uninstall("an-app");
    expect((await openApps()).list()).toEqual([app("another")]);
  });

  test.each([
    "{",
    "null",
    "[]",
    '{"apps":{}}',
    '{"apps":[null]}',
    '{"apps":[{"owner":"An App","start":null,"tokenFile":null,"tokenDigest":""}]}',
    '{"apps":[{"owner":"an-app","start":"rm -rf /","tokenFile":null,"tokenDigest":""}]}',
    '{"apps":[{"owner":"an-app","start":[],"tokenFile":null,"tokenDigest":""}]}',
    '{"apps":[{"owner":"an-app","start":[1],"tokenFile":null,"tokenDigest":""}]}',
    '{"apps":[{"owner":"an-app","start":null,"tokenFile":1,"tokenDigest":""}]}',
    '{"apps":[{"owner":"an-app","start":null,"tokenFile":null}]}',
  ])("%s is refused, not guessed at", async (text) => {
    writeFileSync(path(), text, { mode: 0o600 });
    await expect(openApps()).rejects.toMatchObject({ code: "ERR_CONFIG" });
  });

  test("a list that others may write is refused", async () => {
    writeFileSync(path(), '{"apps":[]}');
    chmodSync(path(), 0o602);
    await expect(openApps()).rejects.toMatchObject({ code: "ERR_CONFIG" });
  });
});
