// SPDX-License-Identifier: MIT
/**
 * Debian packages that tests use: installed when we are root and apt-get is there, else named, and what needs them is
 * counted as skipped. None of them is needed to run Godwit.
 */

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Package → a program it brings, or with a slash a file. */
const PACKAGES = {
  mosquitto: "mosquitto_ctrl",
  iproute2: "ip",
  strace: "strace",
  // A browser for the pages, with letters to draw.
  chromium: "chromium",
  "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
  // A bus of our own, and a desktop's notification server on a screen nobody sees.
  dbus: "dbus-daemon",
  dunst: "dunst",
  xvfb: "Xvfb",
};
/** Debian puts some of them outside the PATH of ordinary users. */
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`.split(delimiter);

/** Installs what is missing, or says how. */
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
  return program.includes("/") ? isThere(program, constants.R_OK) : whereIs(program) !== null;
}

function whereIs(program) {
  return (
    PATH.map((directory) => join(directory, program)).find((path) => isThere(path, constants.X_OK)) ?? null
  );
}

function isThere(path, mode) {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", args, { env, stdio: ["ignore", process.stderr, process.stderr] }).status === 0;
}
