// SPDX-License-Identifier: MIT
/** A network of a test's own: a device and its routers in Linux network namespaces, joined by virtual cables. No tests here. */

import { execFileSync, spawnSync } from "node:child_process";
import { build } from "esbuild";
import type { Network } from "../src/agent/events.ts";

export const ROUTER_MAC = "02:00:00:00:00:01";
export const OTHER_MAC = "02:00:00:00:00:02";
/** What hosts call the network of {@link cableToRouter}. */
export const OVER_ETH0: Network = { label: `ethernet:eth0@${ROUTER_MAC}`, kind: "ethernet", metered: false };

/** The Node host's monitor, which prints what it tells as JSON lines. */
const MONITOR = `
import { NetworkMonitor } from "./src/node/network.ts";
const print = (value) => console.log(JSON.stringify(value));
const monitor = new NetworkMonitor({
  onChange: print,
  onNewAddress: (network) => print({ ...network, hasNewAddress: true }),
  onTrigger: () => {},
  onFault: (text) => print({ fault: text }),
});
await monitor.start();
`;

/** Makes a program of that monitor at `outfile`. @param rest what it does once the monitor has started */
export async function buildMonitor(outfile: string, rest: string): Promise<void> {
  await build({
    stdin: { contents: `${MONITOR}${rest}`, resolveDir: process.cwd() },
    bundle: true,
    platform: "node",
    format: "esm",
    outfile,
  });
}

/** A device with an address on a cable, eth0, to a router that is up; the device's end is down. */
export function cableToRouter(): { readonly device: Namespace; readonly router: Namespace } {
  const device = new Namespace();
  const router = new Namespace();
  device.connect("eth0", router, "lan0");
  router.ip(`link set lan0 address ${ROUTER_MAC}`);
  router.ip("address add 192.0.2.1/24 dev lan0");
  router.ip("link set lan0 up");
  device.ip("address add 192.0.2.5/24 dev eth0");
  return { device, router };
}

let lastNumber = 0;

/** Why there can be no namespaces here, or null. */
export function namespaceProblem(): string | null {
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const probe = `gw-probe-${process.pid}`;
  const { error, status, stderr } = spawnSync("ip", ["netns", "add", probe], { encoding: "utf8" });
  if (error !== undefined) return "there is no ip command (iproute2)";
  if (status !== 0) return stderr.trim();
  execFileSync("ip", ["netns", "delete", probe]);
  return null;
}

/** One namespace; gone, with every cable in it, after {@link close}. Processes in it are the caller's. */
export class Namespace {
  readonly name = `gw-${process.pid}-${++lastNumber}`;

  constructor() {
    execFileSync("ip", ["netns", "add", this.name]);
    this.ip("link set lo up");
  }

  /** `ip` inside, with these words. */
  ip(words: string): string {
    return execFileSync("ip", ["-n", this.name, ...words.split(" ")], { encoding: "utf8" });
  }

  /** What stands before a command to run it inside. */
  get prefix(): string[] {
    return ["ip", "netns", "exec", this.name];
  }

  /** A cable from `device` in here to `otherDevice` there; both ends down. */
  connect(device: string, other: Namespace, otherDevice: string): void {
    this.ip(`link add ${device} type veth peer name ${otherDevice} netns ${other.name}`);
  }

  close(): void {
    execFileSync("ip", ["netns", "delete", this.name]);
  }
}
