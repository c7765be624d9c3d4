// SPDX-License-Identifier: MIT
/**
 * Debian packages that tests use, and those the firmware is built with: installed when we are root and apt-get is there, else
 * named, and what needs them is counted as skipped. None of them is needed to run Godwit on Node.
 */

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** What tests use. Package → a program it brings, or with a slash a file. */
export const TEST_PACKAGES = {
  mosquitto: "mosquitto_ctrl",
  "redis-server": "redis-server",
  iproute2: "ip",
  strace: "strace",
  // A browser for the pages, with letters to draw.
  chromium: "chromium",
  // One that is a user agent itself, and what makes it trust a development certificate.
  "firefox-esr": "firefox-esr",
  "libnss3-tools": "certutil",
  "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
  // A bus of our own, and a desktop's notification server on a screen nobody sees.
  dbus: "dbus-daemon",
  dunst: "dunst",
  xvfb: "Xvfb",
  // The firmware's header is for C++ too, and how well its units are hardened systemd says.
  "g++": "g++",
  systemd: "systemd-analyze",
};
/** To build and test the firmware. */
export const FIRMWARE_PACKAGES = {
  gcc: "gcc",
  "libc6-dev": "/usr/include/stdio.h",
  make: "make",
  cmake: "cmake",
  "pkg-config": "pkg-config",
  "libwebsockets-dev": "/usr/include/libwebsockets.h",
  "libmosquitto-dev": "/usr/include/mosquitto.h",
  "libssl-dev": "/usr/include/openssl/ssl.h",
  "libmbedtls-dev": "/usr/include/mbedtls/version.h",
  "libsystemd-dev": "/usr/include/systemd/sd-daemon.h",
  // libwebsockets.h includes one of its headers.
  "libcap-dev": "/usr/include/sys/capability.h",
};
/** Besides for `npm run test:long`. */
const LONG_PACKAGES = { valgrind: "valgrind" };
/** Besides to fuzz the firmware: clang, its libFuzzer, which lies where only clang finds it, and what tells which lines ran. */
const FUZZ_PACKAGES = ["clang", "libclang-rt-dev", "llvm"];
/** Debian puts some of them outside the PATH of ordinary users. */
const PATH = `${process.env.PATH ?? ""}:/usr/sbin:/sbin`.split(delimiter);

/** Installs what tests use and is missing, or says how. */
export function installSystemPackages({ long = false } = {}) {
  install(
    { ...TEST_PACKAGES, ...FIRMWARE_PACKAGES, ...(long ? LONG_PACKAGES : {}) },
    "Some tests will be skipped.",
  );
}

/** Installs what the firmware is built with. False, and the command is printed, when something is still missing. */
export function installFirmwarePackages() {
  return install(FIRMWARE_PACKAGES, "The firmware cannot be built.");
}

/** What to do about packages the firmware is built with; null when all are there. */
export function missingFirmwarePackages() {
  const names = missing(FIRMWARE_PACKAGES);
  return names.length === 0 ? null : `on Debian, as root: ${commandFor(names)}`;
}

/** Installs what the firmware is fuzzed with and is missing, or says how. */
export function installFuzzPackages() {
  if (hasFuzzPackages() || process.getuid?.() !== 0 || !isInstalled("apt-get")) return;
  console.error(`installing ${FUZZ_PACKAGES.join(", ")}`);
  if (apt("update")) aptInstall(FUZZ_PACKAGES);
}

/** What to do about packages the firmware is fuzzed with; null when all are there. */
export function missingFuzzPackages() {
  return hasFuzzPackages() ? null : `on Debian, as root: ${commandFor(FUZZ_PACKAGES)}`;
}

function hasFuzzPackages() {
  return isInstalled("llvm-cov") && isInstalled("llvm-profdata") && hasLibFuzzer();
}

/** Whether clang makes a program with it. */
function hasLibFuzzer() {
  const source = "int LLVMFuzzerTestOneInput(const char *at, long bytes) { return at != 0 && bytes < 0; }";
  const args = ["-fsanitize=fuzzer,address", "-x", "c", "-", "-o", "/dev/null"];
  return spawnSync("clang", args, { input: source, stdio: ["pipe", "ignore", "ignore"] }).status === 0;
}

function install(packages, without) {
  const names = missing(packages);
  if (names.length === 0) return true;
  if (process.getuid?.() !== 0 || !isInstalled("apt-get")) {
    console.error(`${without} On Debian, as root: ${commandFor(names)}`);
    return false;
  }
  console.error(`installing ${names.join(", ")}`);
  // One that this system's archive has not keeps no other away.
  if (apt("update") && !aptInstall(names)) for (const name of names) aptInstall([name]);
  const left = missing(packages);
  if (left.length === 0) return true;
  console.error(`${without} This failed: ${commandFor(left)}`);
  return false;
}

function missing(packages) {
  return Object.entries(packages)
    .filter(([, program]) => !isInstalled(program))
    .map(([name]) => name);
}

function commandFor(names) {
  return `apt-get install -y --no-install-recommends ${names.join(" ")}`;
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

function aptInstall(names) {
  return apt(...commandFor(names).split(" ").slice(1));
}

function apt(...args) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", args, { env, stdio: ["ignore", process.stderr, process.stderr] }).status === 0;
}
