// SPDX-License-Identifier: MIT
// Goal: the agent hears of each change of the network once, pays nothing for noise, and never ends up silent because the
// monitor failed. Method: the real monitor and user agent with an `ip` of the test's own, first in the path: its answers are
// files, what its monitor prints comes through a FIFO. The kernel's own events are in network-namespace.test.ts.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  createWriteStream,
  mkdtempSync,
  readFileSync,
  rmSync,
  type WriteStream,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { AgentEvent, Network, Report } from "../../src/agent/events.ts";
import { readClock } from "../../src/node/alarm.ts";
import { NodeMachine } from "../../src/node/machine.ts";
import { NetworkMonitor, type NetworkMonitorOptions } from "../../src/node/network.ts";
import { createUserAgent } from "../../src/node/user-agent.ts";

const IP = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$*" >> calls
case "$*" in
  *monitor*) exec cat fifo ;;
  *-6*) echo '[]' ;;
  *route*) cat routes ;;
  *address*) cat addresses ;;
  *neigh*) echo '[{"lladdr":"02:00:00:00:00:01"}]' ;;
esac
`;
const ROUTE = '[{"dst":"default","gateway":"192.168.1.1","dev":"gwtest0","flags":[]}]';
const LINKS = '[{"ifname":"gwtest0","flags":["UP","LOWER_UP"],"link_type":"ether","addr_info":[]}]';
const HOME: Network = { label: "ethernet:gwtest0@02:00:00:00:00:01", kind: "ethernet", metered: false };
const LINE = "2: gwtest0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 state UP \\    link/ether\n";
const addressLine = (lifetimeS: number) =>
  `2: gwtest0    inet6 2001:db8::5/64 scope global dynamic \\       valid_lft ${lifetimeS}sec preferred_lft ${lifetimeS}sec\n`;

let directory: string;
let monitor: NetworkMonitor;
let changes: (Network | null)[];
let faults: string[];
let triggers: number;
let newAddresses: Network[];
let watchers: (() => void)[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "godwit-network-"));
  writeFileSync(join(directory, "ip"), IP);
  chmodSync(join(directory, "ip"), 0o755);
  execFileSync("mkfifo", [join(directory, "fifo")]);
  vi.stubEnv("PATH", `${directory}:${process.env.PATH}`);
  changes = [];
  faults = [];
  triggers = 0;
  newAddresses = [];
  watchers = [];
});
afterEach(() => {
  monitor?.close();
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

function create(options: Partial<NetworkMonitorOptions> = {}): NetworkMonitor {
  monitor = new NetworkMonitor({
    onChange: (network) => {
      changes.push(network);
      look();
    },
    onNewAddress: (network) => {
      newAddresses.push(network);
      look();
    },
    onTrigger: () => {
      triggers++;
      look();
    },
    onFault: (text) => {
      faults.push(text);
      look();
    },
    ...options,
  });
  return monitor;
}

function look(): void {
  for (const watcher of [...watchers]) watcher();
}

/** Resolves once `isSo`; asked again whenever something happened. */
function until(isSo: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const watcher = (): void => {
      if (!isSo()) return;
      watchers = watchers.filter((one) => one !== watcher);
      resolve();
    };
    watchers.push(watcher);
    watcher();
  });
}

/** A reader of which the test knows how often it was asked. */
class CountingReader {
  network: Network | null | undefined = HOME;
  addresses: readonly string[] = [];
  reads = 0;

  async read(): Promise<Network | null | undefined> {
    this.reads++;
    // After the monitor has seen the answer.
    setImmediate(look);
    return this.network;
  }
}

function isOnline(online: boolean): void {
  writeFileSync(join(directory, "routes"), online ? ROUTE : "[]");
  writeFileSync(join(directory, "addresses"), LINKS);
}

/** The end of the pipe the monitor's lines go in; opens as soon as the monitor reads. */
async function openPipe(): Promise<WriteStream> {
  const pipe = createWriteStream(join(directory, "fifo"));
  await once(pipe, "open");
  return pipe;
}

describe("with iproute2", () => {
  test("the network at the start, its end and its return are told once each", async () => {
    isOnline(true);
    await create().start();
    expect(changes).toEqual([HOME]);
    const pipe = await openPipe();
    isOnline(false);
    pipe.write(LINE);
    await until(() => changes.length === 2);
    isOnline(true);
    pipe.write(LINE.repeat(3));
    await until(() => changes.length === 3);
    expect(changes).toEqual([HOME, null, HOME]);
    expect(faults).toEqual([]);
    pipe.destroy();
  });

  test("a label is kept when the router does not tell its address a second time", async () => {
    isOnline(true);
    await create().start();
    const pipe = await openPipe();
    writeFileSync(join(directory, "ip"), IP.replace('[{"lladdr":"02:00:00:00:00:01"}]', "[]"));
    // Another network in between would be told; the way back ends the wait.
    writeFileSync(join(directory, "addresses"), LINKS.replace("UP", "DORMANT"));
    pipe.write(LINE);
    await until(() => triggers === 1);
    const asked = () => readFileSync(join(directory, "calls"), "utf8").split("neighbour").length - 1;
    const before = asked();
    await vi.waitFor(() => expect(asked()).toBeGreaterThan(before + 3));
    isOnline(false);
    pipe.write(LINE);
    await until(() => changes.length === 2);
    expect(changes).toEqual([HOME, null]);
    pipe.destroy();
  });
});

describe("noise", () => {
  test("a thousand lines are one look or two", async () => {
    const reader = new CountingReader();
    await create({ reader }).start();
    const pipe = await openPipe();
    // The second look is for what happened before the monitor listened.
    await until(() => reader.reads === 2);
    pipe.write(LINE.repeat(1000));
    await until(() => reader.reads === 3);
    reader.network = null;
    pipe.write(LINE);
    await until(() => changes.length === 2);
    // On a busy machine the lines arrive in pieces.
    expect(reader.reads).toBeLessThanOrEqual(6);
    pipe.destroy();
  });

  test("lifetimes a router renews are no reason to look, but one for the alarm", async () => {
    const reader = new CountingReader();
    await create({ reader }).start();
    const pipe = await openPipe();
    await until(() => reader.reads === 2);
    pipe.write(addressLine(1800));
    await until(() => reader.reads === 3);
    for (const lifetimeS of [1799, 1800, 1700]) {
      const before = triggers;
      pipe.write(addressLine(lifetimeS));
      await until(() => triggers > before);
    }
    // Gone and there again is another matter.
    reader.network = null;
    pipe.write(`Deleted ${addressLine(1700)}`);
    await until(() => changes.length === 2);
    expect(reader.reads).toBe(4);
    expect(triggers).toBe(5);
    pipe.destroy();
  });
});

describe("an address that is gone", () => {
  test("is told with the network it was on, and once", async () => {
    const reader = new CountingReader();
    reader.addresses = ["192.0.2.5"];
    await create({ reader }).start();
    const pipe = await openPipe();
    await until(() => reader.reads === 2);
    reader.addresses = ["192.0.2.6"];
    pipe.write(LINE);
    await until(() => newAddresses.length === 1);
    const before = reader.reads;
    pipe.write(LINE);
    await until(() => reader.reads > before);
    // Another network has its own.
    reader.network = { ...HOME, label: "wifi:Cafe" };
    reader.addresses = ["198.51.100.5"];
    pipe.write(LINE);
    await until(() => changes.length === 2);
    expect(newAddresses).toEqual([HOME]);
    pipe.destroy();
  });

  test("is an event for the agent", async () => {
    const events: AgentEvent[] = [];
    const machine = new NodeMachine({
      ca: null,
      now: () => readClock(true),
      dispatch: (event) => {
        events.push(event);
        look();
      },
      fault: (text) => faults.push(text),
    });
    const hasAddress = (local: string) => {
      const links = [{ ...JSON.parse(LINKS)[0], addr_info: [{ local, scope: "global" }] }];
      writeFileSync(join(directory, "addresses"), JSON.stringify(links));
    };
    isOnline(true);
    hasAddress("192.0.2.5");
    await machine.watchNetwork();
    const pipe = await openPipe();
    hasAddress("192.0.2.6");
    pipe.write(LINE);
    await until(() => events.length === 2);
    machine.close();
    pipe.destroy();
    expect(events).toEqual([
      { type: "networkChanged", network: HOME },
      { type: "networkChanged", network: HOME, hasNewAddress: true },
    ]);
  });
});

describe("failures", () => {
  test("without an ip command there is one report, and nothing is waited for", async () => {
    isOnline(true);
    await create({ command: [join(directory, "missing")] }).start();
    await until(() => faults.length === 1);
    expect(faults).toEqual(["there is no ip command (iproute2)"]);
    expect(changes).toEqual([HOME]);
  });

  test("no network is never believed of a monitor that ends at once, however often it is started again", async () => {
    const reader = new CountingReader();
    reader.network = null;
    await create({ reader, command: ["false"] }).start();
    // One reading at the start, one behind it, one behind the second start.
    await until(() => reader.reads === 3);
    expect(changes).toEqual([{ label: "", kind: "unknown", metered: false }]);
  });

  test("a monitor that ends while there is no network leaves the agent trying by itself, and comes back", async () => {
    isOnline(false);
    await create().start();
    expect(changes).toEqual([null]);
    (await openPipe()).destroy();
    await until(() => changes.length === 2);
    expect(changes[1]).toEqual({ label: "", kind: "unknown", metered: false });
    // The next monitor finds out how things stand, and hears of what follows.
    const pipe = await openPipe();
    await until(() => changes.length === 3);
    expect(changes[2]).toBeNull();
    isOnline(true);
    pipe.write(LINE);
    await until(() => changes.length === 4);
    expect(changes[3]).toEqual(HOME);
    expect(faults).toEqual(["ip monitor ended"]);
    pipe.destroy();
  });

  test.each(["{", "\u0000\u0001", "[".repeat(100_000), "x".repeat(3_000_000)])(
    "a garbled answer leaves things as they were, with one report (%#)",
    async (text) => {
      isOnline(true);
      await create().start();
      const pipe = await openPipe();
      writeFileSync(join(directory, "routes"), text);
      pipe.write(LINE);
      await until(() => faults.length === 1);
      isOnline(false);
      pipe.write(LINE);
      await until(() => changes.length === 2);
      expect(changes).toEqual([HOME, null]);
      expect(faults).toEqual(["the state of the network cannot be read"]);
      pipe.destroy();
    },
  );

  test("the monitor's process ends with close()", async () => {
    isOnline(true);
    await create().start();
    const pipe = await openPipe();
    const broken = once(pipe, "error");
    monitor.close();
    const write = (): void => void pipe.write(LINE, (error) => error ?? setImmediate(write));
    write();
    expect(await broken).toMatchObject([{ code: "EPIPE" }]);
  });
});

describe("the user agent", () => {
  const reports: Report[] = [];
  const start = (more: object = {}) =>
    createUserAgent({
      serviceUrl: "https://push.invalid",
      stateDirectory: join(directory, "state"),
      onReport: (report) => {
        reports.push(report);
        look();
      },
      ...more,
    });
  beforeEach(() => void reports.splice(0));

  test("is offline without a network, and comes back with it", async () => {
    isOnline(false);
    const userAgent = await start({ keepConnected: true });
    try {
      expect(userAgent.status().link).toBe("offline");
      const pipe = await openPipe();
      isOnline(true);
      pipe.write(LINE);
      await until(() => userAgent.status().link !== "offline");
      expect(reports.filter(({ type }) => type === "fault")).toEqual([]);
      pipe.destroy();
    } finally {
      await userAgent.close();
    }
  });

  test("goes on without a monitor, and reports that once, without names of networks", async () => {
    writeFileSync(join(directory, "ip"), "#!/bin/sh\nexit 1\n");
    const userAgent = await start();
    await until(() => reports.some(({ type }) => type === "fault"));
    expect(userAgent.status().link).toBe("idle");
    await userAgent.close();
    expect(reports.filter(({ type }) => type === "fault")).toMatchObject([{ code: "ERR_NETWORK_MONITOR" }]);
  });

  test.each([
    ["a service on loopback", { serviceUrl: "https://localhost:1" }],
    ["watchNetwork: false", { watchNetwork: false }],
  ])("starts no monitor for %s", async (_name, options) => {
    isOnline(true);
    await (await start(options)).close();
    expect(() => readFileSync(join(directory, "calls"))).toThrow("ENOENT");
  });
});
