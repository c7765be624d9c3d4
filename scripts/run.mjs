// SPDX-License-Identifier: MIT
/**
 * `npm start`, `npm test`, `npm run bench`, `npm run firmware` … on a fresh checkout: installs what package-lock.json names when it is not
 * there, builds when dist/ is older than the sources, then does the job. Plain JavaScript: nothing is installed yet.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runNode } from "./node.mjs";
import { installSystemPackages } from "./system.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
process.chdir(root);

const [job, ...args] = process.argv.slice(2);
checkNode();
install();
switch (job) {
  case "start":
    build();
    runNode(["dist/cli.js", "demo", ...args]);
    break;
  case "test":
    installSystemPackages();
    build();
    runNode(["scripts/test.mjs", ...args]);
    break;
  case "test:long":
    installSystemPackages({ long: true });
    build();
    runNode(["scripts/test-long.mjs", ...args]);
    break;
  case "fuzz":
    // The scripts of the firmware are in the targets in C.
    if (args.some((arg) => arg === "all" || arg === "c" || arg.startsWith("c-"))) build();
    runNode(["scripts/fuzz.mjs", ...args]);
    break;
  case "firmware":
    build();
    runNode(["scripts/firmware.mjs", ...args]);
    break;
  case "release:firmware":
    build();
    runNode(["scripts/release-firmware.mjs", ...args]);
    break;
  case "sbom":
    build();
    runNode(["scripts/sbom.mjs", ...args]);
    break;
  case "bench":
    build();
    // What cannot be built says why; the benchmark then says that it is missing.
    if (needsFirmware())
      spawnSync(process.execPath, ["scripts/firmware.mjs"], {
        stdio: ["ignore", process.stderr, process.stderr],
      });
    runNode(["dist/bench/run.js", ...args]);
    break;
  case "sim":
    runNode(["--enable-source-maps", await bundledSimulation(), ...args]);
    break;
  default:
    console.error(
      "usage: node scripts/run.mjs start|test|test:long|fuzz|bench|sim|firmware|release:firmware|sbom [ARGUMENTS]",
    );
    process.exit(2);
}

/** Benchmarks of godwitd: all of `--runtime quickjs`, and `footprint`, which runs also when no suite is named; in a report two more. */
function needsFirmware() {
  if (args.includes("--help")) return false;
  if (args.includes("report")) {
    const at = args.findIndex((arg) => /^--suites(=|$)/.test(arg));
    const named = at < 0 ? null : `${args[at]} ${args[at + 1]}`;
    return named === null ? !args.join(" ").includes("--from") : /decrypt|parse|footprint/.test(named);
  }
  const isNamed = args.some((arg) => ["decrypt", "parse", "growth", "battery"].includes(arg));
  return args.join(" ").includes("quickjs") || args.includes("footprint") || !isNamed;
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`Godwit needs Node 20.19 or newer; this is ${process.versions.node}.`);
  process.exit(1);
}

/**
 * Installs what the lock file names, once per lock file. Not `npm ci`: that refuses a lock without the optional binaries of
 * platforms other than the one it was made on; `--no-save` keeps to the lock just as well and leaves it alone.
 */
function install() {
  const stamp = "node_modules/.godwit-lock";
  const lock = createHash("sha256").update(readFileSync("package-lock.json")).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  console.error("installing dependencies");
  const { status } = spawnSync(
    "npm",
    ["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"],
    {
      // npm's own chatter goes to stderr: stdout belongs to the job.
      stdio: ["ignore", process.stderr, process.stderr],
      shell: process.platform === "win32",
    },
  );
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(stamp, lock);
}

/** Made anew each time: it takes a second. Imported here, since it needs what is installed. */
async function bundledSimulation() {
  const outfile = "build/simulation.mjs";
  const { bundleSimulation } = await import("./simulation.mjs");
  await bundleSimulation(outfile);
  return outfile;
}

/** Builds when something that goes into dist/ is newer than it. */
function build() {
  const built = existsSync("dist/.built") ? statSync("dist/.built").mtimeMs : 0;
  const inputs = [
    ...["src", "bench", "build.mjs", "scripts/noble-rewrites.mjs"],
    ...["package.json", "tsconfig.base.json", "tsconfig.types.json"],
  ];
  if (inputs.every((input) => newest(input) <= built)) return;
  console.error("building");
  const { status } = spawnSync(process.execPath, ["build.mjs"], {
    stdio: ["ignore", process.stderr, process.stderr],
  });
  if (status !== 0) process.exit(status ?? 1);
}

function newest(path) {
  // Benchmarks write their plots there.
  if (path === join("bench", "report")) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}
