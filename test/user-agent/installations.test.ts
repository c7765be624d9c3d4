// SPDX-License-Identifier: MIT
// Goal: installing, uninstalling and resetting at once come out as one after the other would. Method: real files in a temporary
// directory; the agent takes its time over every choice.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Choice } from "../../src/agent/events.ts";
import { nodeFileSystem } from "../../src/node/file-system.ts";
import { createNodePlatform } from "../../src/node/platform.ts";
import { Credentials } from "../../src/user-agent/credentials.ts";
import { Installations, type InstallationsOptions } from "../../src/user-agent/installations.ts";
import { InstalledApps } from "../../src/user-agent/installed-apps.ts";
import { privateFilesIn } from "../../src/user-agent/private-files.ts";

let directory: string;
let credentials: Credentials;
let installations: Installations;
let chosen: string[];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-installations-"));
  credentials = await Credentials.open({ ...around(), bootId: "a boot" });
  chosen = [];
  const userAgent = {
    async choose(choice: Choice): Promise<void> {
      for (let turns = 0; turns < 20; turns++) await new Promise((next) => setImmediate(next));
      chosen.push(choice.type);
    },
  };
  const nothing = { handleInstalled() {}, forget() {} };
  const parts = { userAgent, starter: nothing, credentials, disconnect() {} };
  const apps = await InstalledApps.open(around());
  installations = new Installations({ ...parts, apps } as unknown as InstallationsOptions);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const around = () => ({
  files: privateFilesIn(directory, nodeFileSystem),
  platform: createNodePlatform(),
});
const app = (owner: string) => ({ owner, start: null, tokenFile: null });
const onDisk = async () => (await InstalledApps.open(around())).list().map(({ owner }) => owner);

test("many installations are all on the disk", async () => {
  const owners = Array.from({ length: 20 }, (_, i) => `app-${i}`);
  await Promise.all([
    ...owners.map((owner) => installations.install(app(owner))),
    installations.uninstall("app-7"),
  ]);
  expect(await onDisk()).toEqual(owners.filter((owner) => owner !== "app-7"));
});

test("an app that is uninstalled while it is installed is not there", async () => {
  await Promise.all([installations.install(app("an-app")), installations.uninstall("an-app")]);
  expect(chosen).toEqual(["install", "uninstall"]);
  expect([installations.list(), await onDisk()]).toEqual([[], []]);
});

test("resets are all done, and the key on the disk is the last one", async () => {
  const before = readFileSync(join(directory, "page.key"), "utf8");
  await Promise.all(Array.from({ length: 5 }, () => installations.factoryReset()));
  expect(readFileSync(join(directory, "page.key"), "utf8")).not.toBe(before);
  const again = await Credentials.open({ ...around(), bootId: "a boot" });
  expect(again.pageSecret("https://a.example")).toBe(credentials.pageSecret("https://a.example"));
});

test("one that fails keeps none of the others from being done", async () => {
  rmSync(directory, { recursive: true });
  const all = [installations.install(app("an-app")), installations.uninstall("another")];
  const failed = { status: "rejected", reason: expect.objectContaining({ code: "ERR_JOURNAL_IO" }) };
  expect(await Promise.allSettled(all)).toEqual([failed, failed]);
  expect(chosen).toEqual(["install", "uninstall"]);
});
