// SPDX-License-Identifier: MIT
/**
 * `npm run firmware`: godwitd and libgodwit.a in build/firmware, by CMake, of the scripts in dist/firmware and the source of
 * QuickJS-ng (quickjs-ng.mjs). `npm run firmware -- --debug` is the same for working on it, and so are `--sanitize` and
 * `--gc-stress`, each in a directory of its own; what follows `--` goes to CMake.
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { canHaveQuickJsSource, QuickJsSourceError, quickJsSource } from "./quickjs-ng.mjs";
import { missingFirmwarePackages } from "./system.mjs";

/** Builds by name: directory under build/, and what CMake is told besides. */
export const BUILDS = {
  firmware: { CMAKE_BUILD_TYPE: "MinSizeRel" },
  "firmware-mbedtls": { CMAKE_BUILD_TYPE: "MinSizeRel", GODWIT_CRYPTO: "mbedtls" },
  // Messages are decrypted by the script.
  "firmware-noble": { CMAKE_BUILD_TYPE: "MinSizeRel", GODWIT_CRYPTO: "none" },
  "firmware-debug": { CMAKE_BUILD_TYPE: "Debug" },
  "firmware-sanitize": { CMAKE_BUILD_TYPE: "Debug", GODWIT_SANITIZE: "ON" },
  "firmware-gc-stress": { CMAKE_BUILD_TYPE: "Debug", GODWIT_GC_STRESS: "ON" },
};

/** Why the firmware cannot be built here, with what to do about it; null when it can. */
export function whyNoFirmware() {
  const packages = missingFirmwarePackages();
  if (packages !== null) return packages;
  return canHaveQuickJsSource()
    ? null
    : "there is no apt to fetch QuickJS-ng with: give its source in QUICKJS_NG_SRC";
}

/**
 * Builds one of {@link BUILDS} and returns its directory, or null when it failed. What the tools print goes to stderr.
 * @param {keyof typeof BUILDS} name
 * @param {readonly string[]} more for CMake
 */
export function buildFirmware(name = "firmware", more = []) {
  const directory = resolve("build", name);
  const settings = {
    GODWIT_BUNDLE: resolve("dist/firmware"),
    QUICKJS_NG_SRC: quickJsSource(),
    GODWIT_SYSTEMD: "on",
    GODWIT_DBUS: "sdbus",
    GODWIT_WERROR: "ON",
    GODWIT_COMMIT: commit(),
    ...BUILDS[name],
  };
  const definitions = Object.entries(settings).map(([key, value]) => `-D${key}=${value}`);
  const isBuilt =
    cmake("-S", "firmware-bridge", "-B", directory, ...definitions, ...more) &&
    cmake("--build", directory, "--parallel", String(availableParallelism()));
  return isBuilt ? directory : null;
}

/** Short, or "" where there is no repository; with a "+" behind it when something was changed since. */
export function commit() {
  const { status, stdout } = spawnSync("git", ["describe", "--always", "--dirty=+", "--exclude", "*"], {
    encoding: "utf8",
  });
  return status === 0 ? stdout.trim() : "";
}

function cmake(...args) {
  const { status } = spawnSync("cmake", args, { stdio: ["ignore", process.stderr, process.stderr] });
  return status === 0;
}

/** What a device pays for it. */
function printSizes(directory) {
  const scratch = mkdtempSync(join(tmpdir(), "godwit-sizes-"));
  for (const name of ["libgodwit.a", "godwitd"]) {
    const path = join(directory, name);
    if (!existsSync(path)) continue;
    const copy = join(scratch, name);
    copyFileSync(path, copy);
    const isStripped = spawnSync("strip", ["--strip-unneeded", copy]).status === 0;
    console.log(
      `${path}: ${statSync(path).size} bytes${isStripped ? `, stripped ${statSync(copy).size}` : ""}`,
    );
  }
  rmSync(scratch, { recursive: true, force: true });
}

/** The version stands in two files, since image builders have no npm. */
function checkVersion() {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  if (readFileSync("firmware-bridge/CMakeLists.txt", "utf8").includes(`project(godwit VERSION ${version} `))
    return;
  fail(`firmware-bridge/CMakeLists.txt does not name version ${version}`);
}

function fail(message) {
  console.error(`firmware: ${message}`);
  process.exit(1);
}

function main(args) {
  const split = args.indexOf("--");
  const own = split < 0 ? args : args.slice(0, split);
  const names = {
    "--debug": "firmware-debug",
    "--sanitize": "firmware-sanitize",
    "--gc-stress": "firmware-gc-stress",
  };
  const unknown = own.find((arg) => names[arg] === undefined);
  if (unknown !== undefined || own.length > 1) {
    console.error("usage: npm run firmware [-- --debug|--sanitize|--gc-stress [-- CMAKE ARGUMENTS]]");
    process.exit(2);
  }
  checkVersion();
  const why = whyNoFirmware();
  if (why !== null) fail(why);
  try {
    const directory = buildFirmware(names[own[0]], split < 0 ? [] : args.slice(split + 1));
    if (directory === null) process.exit(1);
    printSizes(directory);
  } catch (error) {
    if (!(error instanceof QuickJsSourceError)) throw error;
    fail(error.message);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main(process.argv.slice(2));
