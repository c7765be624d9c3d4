// SPDX-License-Identifier: MIT
// Goal: a network keeps its label when a tool fails once, since another label closes a good link. Method: the real reader
// with tools of the test's own, first in the path, whose answers are files, and a folder in place of /sys/class/net.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { NetworkReader } from "../../src/node/network-reader.ts";

let directory: string;
let reader: NetworkReader;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "godwit-reader-"));
  vi.stubEnv("PATH", `${directory}:${process.env.PATH}`);
  mkdirSync(join(directory, "devices/wlan0/wireless"), { recursive: true });
  reader = new NetworkReader(new AbortController().signal, join(directory, "devices"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

function tool(name: string, script: string): void {
  writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(directory, name), 0o755);
}

function says(name: string, text: string): void {
  tool(name, `cat <<'END'\n${text}\nEND`);
}

function fails(name: string): void {
  tool(name, "exit 1");
}

function isOver(dev: string, gateway: string | undefined): void {
  const routes = JSON.stringify([{ dst: "default", gateway, dev, flags: [] }]);
  const links = JSON.stringify([{ ifname: dev, flags: ["UP", "LOWER_UP"], link_type: "ether" }]);
  tool(
    "ip",
    `case "$*" in
  *-6*) echo '[]' ;;
  *route*) echo '${routes}' ;;
  *address*) echo '${links}' ;;
  *neigh*) echo '[{"lladdr":"02:00:00:00:00:01"}]' ;;
esac`,
  );
}

async function label(): Promise<string | undefined> {
  return (await reader.read())?.label;
}

const modem = (code: string) => JSON.stringify({ modem: { "3gpp": { "operator-code": code } } });

test("the operator stays when ModemManager is silent, and is another when it says so", async () => {
  isOver("wwan0", undefined);
  says("mmcli", modem("26201"));
  expect(await label()).toBe("cellular:26201");
  fails("mmcli");
  expect(await label()).toBe("cellular:26201");
  says("mmcli", modem("--"));
  expect(await label()).toBe("cellular:26201");
  says("mmcli", modem("26202"));
  expect(await label()).toBe("cellular:26202");
  fails("mmcli");
  isOver("wwan1", undefined);
  expect(await label()).toBe("cellular:wwan1");
});

test("the Wi-Fi's name stays when no tool tells it, as long as the router is the same", async () => {
  isOver("wlan0", "192.168.1.1");
  says("iw", "Connected to 02:00:00:00:00:01 (on wlan0)\n\tSSID: Home");
  fails("iwgetid");
  expect(await label()).toBe("wifi:Home");
  fails("iw");
  expect(await label()).toBe("wifi:Home");
  says("iw", "\tSSID: Cafe");
  expect(await label()).toBe("wifi:Cafe");
  fails("iw");
  isOver("wlan0", "192.168.2.1");
  expect(await label()).toBe("wifi@02:00:00:00:00:01");
});
