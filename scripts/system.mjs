// SPDX-License-Identifier: MIT
/**
 * Debian packages that tests use: installed when we are root and apt-get is there, else named, and what needs them is
 * counted as skipped. None of them is needed to run Godwit.
 */

import { spawnSync } from "node:child_process";

/** Package → a program it brings. */
const PACKAGES = { mosquitto: "mosquitto_ctrl", iproute2: "ip", strace: "strace" };
/** Debian puts some of them outside the PATH of ordinary users. */
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`;

export function installSystemPackages() {
  const missing = Object.entries(PACKAGES).filter(([, program]) => !isInstalled(program));
  if (missing.length === 0) return;
  const names = missing.map(([name]) => name);
  const command = `apt-get install -y --no-install-recommends ${names.join(" ")}`;
  if (process.getuid?.() !== 0 || !isInstalled("apt-get")) {
    console.error(`Some tests will be skipped. On Debian, as root: ${command}`);
    return;
  }
  console.error(`installing ${names.join(", ")}`);
  if (!apt("update") || !apt(...command.split(" ").slice(1)))
    console.error(`Some tests will be skipped: this failed: ${command}`);
}

function isInstalled(program) {
  return spawnSync(program, ["--version"], { env: { PATH }, stdio: "ignore" }).error === undefined;
}

function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", args, { env, stdio: ["ignore", process.stderr, process.stderr] }).status === 0;
}
