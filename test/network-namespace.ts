// SPDX-License-Identifier: MIT
/** A network of a test's own: a device and its routers in Linux network namespaces, joined by virtual cables. No tests here. */

import { execFileSync, spawnSync } from "node:child_process";

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
