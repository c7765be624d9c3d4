// SPDX-License-Identifier: MIT
// Goal: what the kernel does to a network reaches the agent's host as the events it should. Method: a process with the real
// monitor in a network namespace, whose cables and routers the test plugs, unplugs and replaces; needs root and iproute2.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import {
  buildMonitor,
  cableToRouter,
  type Namespace,
  namespaceProblem,
  OTHER_MAC,
  OVER_ETH0,
} from "../network-namespace.ts";

const problem = namespaceProblem();
if (problem !== null) console.warn(`network-namespace.test.ts is skipped: ${problem}`);

let directory: string;
let device: Namespace;
let router: Namespace;
let child: ChildProcess;
/** What the process printed and the test has not taken yet. */
let lines: unknown[];
let arrived: () => void;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-namespace-"));
  await buildMonitor(
    join(directory, "monitor.mjs"),
    `process.on("SIGTERM", () => process.exit()); print("started");`,
  );
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

beforeEach(() => {
  if (problem !== null) return;
  ({ device, router } = cableToRouter());
  lines = [];
});
afterEach(async () => {
  if (problem !== null) return;
  child.kill("SIGKILL");
  device.close();
  router.close();
});

/** Starts the process; resolves with what it printed at the start. */
async function start(): Promise<unknown[]> {
  const [command = "", ...args] = [...device.prefix, process.execPath, join(directory, "monitor.mjs")];
  child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  if (child.stdout === null) throw new Error("stdout is piped");
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push(JSON.parse(line));
    arrived?.();
  });
  const first: unknown[] = [];
  for (let line = await next(); line !== "started"; line = await next()) first.push(line);
  return first;
}

async function next(): Promise<unknown> {
  while (lines.length === 0) {
    await new Promise<void>((resolve) => {
      arrived = resolve;
    });
  }
  return lines.shift();
}

function plugIn(): void {
  device.ip("link set eth0 up");
  device.ip("route add default via 192.0.2.1");
}

/** The one child of the process: iproute2's monitor. */
function monitorPid(): number {
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
  const pids = children
    .map(Number)
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("monitor"));
  expect(pids).toHaveLength(1);
  return pids[0] ?? 0;
}

/** Nobody tells of the end of somebody else's child. */
async function ended(pid: number): Promise<void> {
  await vi.waitFor(() => {
    let state = "";
    try {
      state = readFileSync(`/proc/${pid}/stat`, "utf8");
    } catch {
      return;
    }
    // A zombie is one that only waits to be noticed by its new parent.
    expect(state).toMatch(/\) Z /);
  }, 5_000);
}

test.skipIf(problem !== null)("a cable pulled at the far end and put back, and one never there", async () => {
  expect(await start()).toEqual([null]);
  plugIn();
  expect(await next()).toEqual(OVER_ETH0);
  router.ip("link set lan0 down");
  expect(await next()).toBeNull();
  router.ip("link set lan0 up");
  expect(await next()).toEqual(OVER_ETH0);
  device.ip("link set eth0 down");
  expect(await next()).toBeNull();
});

test.skipIf(problem !== null)("another router under the same address is another network", async () => {
  plugIn();
  expect(await start()).toEqual([OVER_ETH0]);
  router.ip("link set lan0 down");
  expect(await next()).toBeNull();
  router.ip(`link set lan0 address ${OTHER_MAC}`);
  router.ip("link set lan0 up");
  expect(await next()).toEqual({ ...OVER_ETH0, label: `ethernet:eth0@${OTHER_MAC}` });
});

test.skipIf(problem !== null)("a better way out is taken, also over IPv6, and left again", async () => {
  plugIn();
  device.connect("eth1", router, "lan1");
  router.ip(`link set lan1 address ${OTHER_MAC}`);
  router.ip("address add 198.51.100.1/24 dev lan1");
  router.ip("address add fe80::1/64 dev lan1 nodad");
  router.ip("link set lan1 up");
  expect(await start()).toEqual([OVER_ETH0]);
  device.ip("link set eth1 up");
  device.ip("address add 198.51.100.5/24 dev eth1");
  device.ip("route replace default via 198.51.100.1 dev eth1");
  const overEth1 = { ...OVER_ETH0, label: `ethernet:eth1@${OTHER_MAC}` };
  expect(await next()).toEqual(overEth1);
  device.ip("route replace default via 192.0.2.1 dev eth0");
  expect(await next()).toEqual(OVER_ETH0);
  device.ip("-6 route add default via fe80::1 dev eth1");
  device.ip("address flush dev eth0");
  expect(await next()).toEqual(overEth1);
});

test.skipIf(problem !== null)("another address under the same label is told, one more is not", async () => {
  plugIn();
  expect(await start()).toEqual([OVER_ETH0]);
  device.ip("address add 192.0.2.6/25 dev eth0");
  device.ip("address add 2001:db8::5/64 dev eth0 nodad");
  device.ip("address delete 192.0.2.5/24 dev eth0");
  expect(await next()).toEqual({ ...OVER_ETH0, hasNewAddress: true });
  device.ip("link set eth0 down");
  expect(await next()).toBeNull();
});

test.skipIf(problem !== null)("a router that does not answer is called by its address", async () => {
  device.ip("link set eth0 up");
  device.ip("route add default via 192.0.2.99");
  expect(await start()).toEqual([{ ...OVER_ETH0, label: "ethernet:eth0@192.0.2.99" }]);
});

test.skipIf(problem !== null)(
  "without a default route, an address that reaches further is a network",
  async () => {
    device.ip("link set eth0 up");
    expect(await start()).toEqual([{ ...OVER_ETH0, label: "ethernet:eth0" }]);
    device.ip("address flush dev eth0");
    expect(await next()).toBeNull();
  },
);

test.skipIf(problem !== null)("the monitor ends with its process", async () => {
  plugIn();
  await start();
  const pid = monitorPid();
  child.kill("SIGTERM");
  await once(child, "exit");
  await ended(pid);
});

test.skipIf(problem !== null)(
  "when the process is killed, the monitor ends with the next event",
  async () => {
    plugIn();
    await start();
    const pid = monitorPid();
    child.kill("SIGKILL");
    await once(child, "exit");
    device.ip("link set eth0 down");
    await ended(pid);
  },
);
