// SPDX-License-Identifier: MIT
// Goal: the C host tells the same networks by the same names as the Node host, when they change and not else. Method: both in
// one network namespace, whose cables, routers and routes the test changes; needs root and iproute2.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import {
  buildMonitor,
  cableToRouter,
  type Namespace,
  namespaceProblem,
  OTHER_MAC,
  OVER_ETH0,
} from "../network-namespace.ts";
import { FIRMWARE_BUILD, isFirmwareBuilt } from "./driver.ts";

const problem = isFirmwareBuilt ? namespaceProblem() : "the firmware is not built (npm run firmware)";
if (problem !== null) console.warn(`test/firmware/network.test.ts is skipped: ${problem}`);

const BRIDGE_SCRIPT = `
const print = (value) => bridge.say(JSON.stringify(value));
bridge.listen({
  line() { if (!bridge.watchNetwork()) print("not watching"); },
  look() {},
  network(label, kind, metered, hasNewAddress) {
    print(label === null ? null : { label, kind, metered, ...(hasNewAddress ? { hasNewAddress } : {}) });
  },
});
`;

let directory: string;
let device: Namespace;
let router: Namespace;
let watchers: Watcher[];

/** A process that prints what it is told of the network. */
class Watcher {
  readonly child: ChildProcess;
  readonly #lines: unknown[] = [];
  #arrived: () => void = () => {};

  constructor(command: readonly string[]) {
    const [program = "", ...args] = [...device.prefix, ...command];
    this.child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    if (this.child.stdout === null) throw new Error("stdout is piped");
    createInterface({ input: this.child.stdout }).on("line", (line) => {
      this.#lines.push(JSON.parse(line));
      this.#arrived();
    });
    watchers.push(this);
  }

  async next(): Promise<unknown> {
    while (this.#lines.length === 0) {
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    }
    return this.#lines.shift();
  }

  /** What nobody took. */
  get rest(): readonly unknown[] {
    return this.#lines;
  }

  /** Ends it as its program would; it has to leave with 0, which a sanitizer's finding does not. */
  async end(): Promise<void> {
    const closed = once(this.child, "close");
    this.child.stdin?.end();
    expect(await closed).toEqual([0, null]);
  }
}

function startBridge(): Watcher {
  const watcher = new Watcher([join(FIRMWARE_BUILD, "test", "script_driver"), join(directory, "watch.js")]);
  watcher.child.stdin?.write("watch\n");
  return watcher;
}

/** Both hosts; what they tell next has to be the same. */
function startBoth() {
  const all = [startBridge(), new Watcher([process.execPath, join(directory, "monitor.mjs")])];
  return {
    next: async (): Promise<unknown> => {
      const [ours, nodes] = await Promise.all(all.map((watcher) => watcher.next()));
      expect(ours).toEqual(nodes);
      return ours;
    },
    end: async (): Promise<void> => {
      for (const watcher of all) await watcher.end();
      expect(all.flatMap(({ rest }) => rest)).toEqual([]);
    },
  };
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-network-"));
  writeFileSync(join(directory, "watch.js"), BRIDGE_SCRIPT);
  await buildMonitor(
    join(directory, "monitor.mjs"),
    `process.stdin.on("end", () => process.exit()).resume();`,
  );
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

beforeEach(() => {
  if (problem !== null) return;
  watchers = [];
  ({ device, router } = cableToRouter());
});
afterEach(() => {
  if (problem !== null) return;
  for (const { child } of watchers) child.kill("SIGKILL");
  device.close();
  router.close();
});

function plugIn(): void {
  device.ip("link set eth0 up");
  device.ip("route add default via 192.0.2.1");
}

/** A second way out, over eth1, whose router is 198.51.100.1 and fe80::1. */
function addSecond(): void {
  device.connect("eth1", router, "lan1");
  router.ip(`link set lan1 address ${OTHER_MAC}`);
  router.ip("address add 198.51.100.1/24 dev lan1");
  router.ip("address add fe80::1/64 dev lan1 nodad");
  router.ip("link set lan1 up");
  device.ip("link set eth1 up");
  device.ip("address add 198.51.100.5/24 dev eth1");
}

describe.skipIf(problem !== null)("network", () => {
  test("a cable pulled at the far end and put back, and one never there", async () => {
    const both = startBoth();
    expect(await both.next()).toBeNull();
    plugIn();
    expect(await both.next()).toEqual(OVER_ETH0);
    router.ip("link set lan0 down");
    expect(await both.next()).toBeNull();
    router.ip("link set lan0 up");
    expect(await both.next()).toEqual(OVER_ETH0);
    device.ip("link set eth0 down");
    expect(await both.next()).toBeNull();
    await both.end();
  });

  test("another router under the same address is another network", async () => {
    plugIn();
    const both = startBoth();
    expect(await both.next()).toEqual(OVER_ETH0);
    router.ip("link set lan0 down");
    expect(await both.next()).toBeNull();
    router.ip(`link set lan0 address ${OTHER_MAC}`);
    router.ip("link set lan0 up");
    expect(await both.next()).toEqual({ ...OVER_ETH0, label: `ethernet:eth0@${OTHER_MAC}` });
    await both.end();
  });

  test("a better way out is taken, also over IPv6, and left again", async () => {
    plugIn();
    addSecond();
    const both = startBoth();
    expect(await both.next()).toEqual(OVER_ETH0);
    const overEth1 = { ...OVER_ETH0, label: `ethernet:eth1@${OTHER_MAC}` };
    device.ip("route replace default via 198.51.100.1 dev eth1");
    expect(await both.next()).toEqual(overEth1);
    device.ip("route replace default via 192.0.2.1 dev eth0");
    expect(await both.next()).toEqual(OVER_ETH0);
    device.ip("-6 route add default via fe80::1 dev eth1");
    device.ip("address flush dev eth0");
    expect(await both.next()).toEqual(overEth1);
    await both.end();
  });

  test("another address under the same label is told, one more is not", async () => {
    plugIn();
    const both = startBoth();
    expect(await both.next()).toEqual(OVER_ETH0);
    device.ip("address add 192.0.2.6/25 dev eth0");
    device.ip("address add 2001:db8::5/64 dev eth0 nodad");
    device.ip("address delete 192.0.2.5/24 dev eth0");
    expect(await both.next()).toEqual({ ...OVER_ETH0, hasNewAddress: true });
    device.ip("link set eth0 down");
    expect(await both.next()).toBeNull();
    await both.end();
  });

  /** Words for ip in the device's namespace, eth0 being up. */
  const setups: readonly (readonly [string, readonly string[]])[] = [
    ["an address and no route", []],
    [
      "an address good on its own link only",
      ["address flush dev eth0", "address add 169.254.3.4/16 dev eth0 scope link"],
    ],
    ["a router that does not answer", ["route add default via 192.0.2.99"]],
    ["a route without a router", ["route add default dev eth0"]],
    [
      "the lowest metric",
      ["route add default via 198.51.100.1 dev eth1 metric 20", "route add default via 192.0.2.1 metric 30"],
    ],
    [
      "routes that lead nowhere",
      ["route add unreachable default metric 1", "route add default via 192.0.2.1 metric 30"],
    ],
    [
      "a route of another table",
      ["route add default via 198.51.100.1 dev eth1 table 99", "route add default via 192.0.2.1"],
    ],
    ["several hops", ["route add default nexthop via 192.0.2.1 nexthop via 198.51.100.1"]],
    [
      "several hops, the first of them down",
      ["route add default nexthop via 198.51.100.1 dev eth1 nexthop via 192.0.2.1", "link set eth1 down"],
    ],
    ["a router of IPv6 for IPv4", ["route add default via inet6 fe80::1 dev eth1"]],
    ["IPv6 alone", ["address flush dev eth0", "-6 route add default via fe80::1 dev eth1 metric 5"]],
    [
      "several hops of IPv6",
      ["-6 route add default nexthop via fe80::1 dev eth1 nexthop via fe80::2 dev eth0"],
    ],
    [
      "a modem",
      ["link set eth1 down", "link set eth1 name wwan0", "link set wwan0 up", "route add default dev wwan0"],
    ],
    [
      "a modem behind a router",
      [
        "link set eth1 down",
        "link set eth1 name rmnet_data0",
        "link set rmnet_data0 up",
        "route add default via 198.51.100.1 dev rmnet_data0",
      ],
    ],
    [
      "a name that reads as an option",
      [
        "link set eth1 down",
        "link set eth1 name -eth",
        "link set dev -eth up",
        "route add default via 198.51.100.1 dev -eth",
      ],
    ],
    [
      "a name with odd characters",
      [
        "link set eth1 down",
        "link set eth1 name e<h'\"1\u007f",
        "link set dev e<h'\"1\u007f up",
        "route add default via 198.51.100.1 dev e<h'\"1\u007f",
      ],
    ],
  ];
  test.each(setups)("it is called the same: %s", async (_what, words) => {
    device.ip("link set eth0 up");
    addSecond();
    for (const command of words) device.ip(command);
    const both = startBoth();
    expect(await both.next()).not.toBe("not watching");
    await both.end();
  });

  /** Voluntary ones: how often it went to sleep. */
  function sleeps({ child }: Watcher): number {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]);
  }

  test("while nothing changes it makes no system call", async () => {
    plugIn();
    const bridge = startBridge();
    expect(await bridge.next()).toEqual(OVER_ETH0);
    // The claim is about time on the wall. A new interface has things to say for some seconds.
    const counts = [sleeps(bridge)];
    do {
      await wait(5_000);
      counts.push(sleeps(bridge));
    } while (counts.at(-1) !== counts.at(-2) && counts.length < 5);
    expect(counts.at(-1)).toBe(counts.at(-2));
    await bridge.end();
  });

  test("addresses that are renewed and routes that lead elsewhere are no news", async () => {
    plugIn();
    device.ip("address add 2001:db8::5/64 dev eth0 nodad valid_lft 900 preferred_lft 900");
    const bridge = startBridge();
    expect(await bridge.next()).toEqual(OVER_ETH0);
    const before = sleeps(bridge);
    for (let i = 0; i < 20; i++) {
      device.ip(
        `address change 2001:db8::5/64 dev eth0 nodad valid_lft ${1000 + i} preferred_lft ${1000 + i}`,
      );
      device.ip(`route add 203.0.113.${i}/32 via 192.0.2.1`);
    }
    // Told once, and nothing was read in between: each of the 40 messages woke it at most once.
    device.ip("link set eth0 down");
    expect(await bridge.next()).toBeNull();
    expect(sleeps(bridge) - before).toBeLessThanOrEqual(40 + 4);
    await bridge.end();
  });

  test("a flood of changes costs two wake-ups for each time the state is read", async () => {
    plugIn();
    const bridge = startBridge();
    expect(await bridge.next()).toEqual(OVER_ETH0);
    const changes = Array.from({ length: 4_000 }, (_, i) => `link set lo mtu ${65_000 + (i % 2)}`);
    writeFileSync(join(directory, "changes"), `${changes.join("\n")}\n`);
    const before = sleeps(bridge);
    const startMs = performance.now();
    device.ip(`-batch ${join(directory, "changes")}`);
    device.ip("link set eth0 down");
    // Behind the flood: it has heard all of it.
    expect(await bridge.next()).toBeNull();
    const readings = 1 + (performance.now() - startMs) / 300;
    // On a fast machine it went through without a pause, and sleeps only behind its answer.
    await vi.waitUntil(() => sleeps(bridge) > before, { timeout: 10_000 });
    const during = sleeps(bridge) - before;
    expect(during).toBeGreaterThan(0);
    expect(during).toBeLessThanOrEqual(2 * readings + 4);
    await bridge.end();
  });
});
