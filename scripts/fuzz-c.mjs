// SPDX-License-Identifier: MIT
/** The fuzzers of the C host, test/fuzz/c: built with clang into build/fuzz-c, run by libFuzzer. Used by fuzz.mjs. */

import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative, resolve } from "node:path";
import { whyNoFirmware } from "./firmware.mjs";
import { quickJsSource } from "./quickjs-ng.mjs";
import { missingFuzzPackages } from "./system.mjs";

const DIRECTORY = resolve("build/fuzz-c");
const SOURCES = resolve("firmware-bridge/src");
/** An input that is still being read after this hangs. By the clock on the wall: the machine may be busy with other things. */
const INPUT_S_MAX = 30;
/** Beginnings of the sources, below {@link SOURCES}, whose lines count for a target. */
const COVERS = {
  "c-api": ["api"],
  "c-app-socket": ["daemon/app_socket", "daemon/listener"],
  "c-bus": ["daemon/bus_values"],
  "c-config": ["daemon/config"],
  "c-crypto": ["crypto_"],
  "c-lines": ["daemon/lines"],
  "c-link": ["websocket", "http", "headers", "dial", "proxy"],
  "c-mqtt": ["mqtt", "stream.c"],
  "c-network": ["netlink", "network_read", "network_facts", "network_wifi"],
  "c-state": ["storage", "quota"],
  "c-text": ["text"],
  "c-url": ["url"],
};

/** Their names, as targets of fuzz.mjs: `c-url` is test/fuzz/c/url_fuzz.c. */
export const C_TARGETS = readdirSync("test/fuzz/c")
  .filter((file) => file.endsWith("_fuzz.c"))
  .map((file) => `c-${file.slice(0, -"_fuzz.c".length).replaceAll("_", "-")}`)
  .sort();

/** Why they cannot be built here, with what to do about it; null when they can. */
export function whyNoCFuzzers() {
  if (!existsSync("dist/firmware")) return "dist/firmware is missing: npm run build";
  return missingFuzzPackages() ?? whyNoFirmware();
}

/** Builds the programs of targets. False when that failed, and the compiler has said why. */
export function buildCFuzzers(names) {
  const settings = {
    CMAKE_BUILD_TYPE: "RelWithDebInfo",
    CMAKE_C_COMPILER: "clang",
    GODWIT_BUNDLE: resolve("dist/firmware"),
    QUICKJS_NG_SRC: quickJsSource(),
    GODWIT_SYSTEMD: "on",
    GODWIT_DBUS: "sdbus",
  };
  const definitions = Object.entries(settings).map(([key, value]) => `-D${key}=${value}`);
  // The time of the build is in every file: with another one each time all would be compiled again.
  const env = { ...process.env, SOURCE_DATE_EPOCH: "1700000000" };
  const cmake = (...args) =>
    spawnSync("cmake", args, { stdio: ["ignore", process.stderr, process.stderr], env }).status === 0;
  return (
    cmake("-S", "test/fuzz/c", "-B", DIRECTORY, ...definitions) &&
    cmake(
      "--build",
      DIRECTORY,
      "--parallel",
      String(availableParallelism()),
      "--target",
      ...names.map(programOf),
    )
  );
}

/**
 * Runs a target that was built to its end: libFuzzer's own output goes to a file, findings to stdout.
 *
 * @param {string} name
 * @param {{ inputs: readonly Uint8Array[], seconds: number, seed: number, replay?: string, minimise: boolean }} order
 * @returns {Promise<{ findings: number, runs: number, perSecond: number, inputsKept: number, lines: readonly object[],
 *   kept: readonly Uint8Array[] }>} lines as LinesReached of test/fuzz/coverage.ts; kept: the fewest inputs, where they are wanted
 */
export async function runCFuzzer(name, { inputs, seconds, seed, replay, minimise }) {
  const program = join(DIRECTORY, programOf(name));
  const scratch = join(DIRECTORY, "inputs", name);
  rmSync(scratch, { recursive: true, force: true });
  for (const part of ["known", "found", "fewest"]) mkdirSync(join(scratch, part), { recursive: true });
  mkdirSync("build/fuzz/findings", { recursive: true });
  for (const [index, input] of inputs.entries()) writeFileSync(join(scratch, "known", String(index)), input);
  const shared = [
    `-timeout=${INPUT_S_MAX}`,
    "-rss_limit_mb=2048",
    "-print_final_stats=1",
    `-seed=${seed % 0x7fff_ffff}`,
  ];
  const search = seconds > 0 ? [`-max_total_time=${seconds}`] : ["-runs=0"];
  const artifacts = `-artifact_prefix=build/fuzz/findings/${name}-`;
  const corpora = [join(scratch, "found"), join(scratch, "known")];
  const args = replay === undefined ? [...search, "-max_len=20000", ...corpora] : [replay];
  const profile = join(scratch, "profile");
  const { status, output } = await spoken(
    program,
    [...shared, artifacts, ...args],
    join(scratch, "log"),
    profile,
  );
  const number = (pattern) => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0);
  const result = {
    findings: status === 0 ? 0 : 1,
    runs: number(/number_of_executed_units: (\d+)/g),
    perSecond: number(/average_exec_per_sec: +(\d+)/g),
    inputsKept: number(/corp: (\d+)/g),
    lines: linesReached(name, program, profile),
    kept: [],
  };
  if (status !== 0) {
    const file = /Test unit written to (\S+)/.exec(output)?.[1] ?? replay ?? "";
    const why = output.split("\n").filter((line) => !/^(#|INFO|\t?NEW_FUNC|stat::)/.test(line));
    console.log(
      `${name}: FOUND ${why.slice(-60).join("\n")}\n  again: npm run fuzz -- ${name} --replay ${file}`,
    );
    return result;
  }
  if (!minimise) return result;
  const fewest = join(scratch, "fewest");
  const merging = ["-merge=1", `-timeout=${INPUT_S_MAX}`, artifacts];
  await spoken(program, [...merging, fewest, ...corpora], join(scratch, "merge.log"), profile);
  return { ...result, kept: readdirSync(fewest).map((file) => readFileSync(join(fewest, file))) };
}

/** Of the sources a target is about. A program that crashed has written no profile: then none. */
function linesReached(name, program, profile) {
  const merged = `${profile}.merged`;
  const merge = spawnSync("llvm-profdata", ["merge", "-sparse", "-o", merged, profile]);
  if (merge.status !== 0) return [];
  const { stdout } = spawnSync("llvm-cov", ["export", "-instr-profile", merged, program], {
    encoding: "utf8",
    maxBuffer: 512 * 1024 * 1024,
  });
  return JSON.parse(stdout).data[0].files.flatMap(({ filename, segments, summary }) => {
    const file = relative(SOURCES, filename);
    if (!COVERS[name].some((path) => file.startsWith(path)) || summary.lines.covered === 0) return [];
    const { covered: reached, count: lines } = summary.lines;
    return [{ file: relative(".", filename), reached, lines, missed: missedRegions(filename, segments) }];
  });
}

/** The first line of each part that never ran. */
function missedRegions(filename, segments) {
  const source = readFileSync(filename, "utf8").split("\n");
  // Of [line, column, count, hasCount, isRegionEntry, isGapRegion].
  const numbers = segments
    .filter(([, , count, hasCount, isEntry, isGap]) => count === 0 && hasCount && isEntry && !isGap)
    .map(([line]) => line);
  return [...new Set(numbers)].map((line) => `${line}: ${source[line - 1]}`);
}

/** `c-app-socket` → `app_socket_fuzz`. */
function programOf(name) {
  return `${name.slice(2).replaceAll("-", "_")}_fuzz`;
}

/** What a program said, and its exit code; all of it is in `log` too. Which lines ran goes to the file `profile`. */
function spoken(program, args, log, profile) {
  const file = openSync(log, "w");
  const env = { ...process.env, LLVM_PROFILE_FILE: profile };
  const child = spawn(program, args, { stdio: ["ignore", file, file], env });
  return new Promise((done) => {
    child.on("close", (status) => {
      closeSync(file);
      done({ status: status ?? 1, output: readFileSync(log, "utf8") });
    });
  });
}
