// SPDX-License-Identifier: MIT
/** What the figures of this process belong to: the machine, the runtime, the commit. As `godwitd bench` tells it of a board. */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { arch, cpus, loadavg, release, type } from "node:os";

/**
 * `command`: what made the rows, as one would type it. The present directory is the repository's root.
 *
 * @param {string} command
 * @returns {import("./board.mjs").Board}
 */
export function nodeBoard(command) {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  const all = cpus();
  return {
    schema: "godwit-bench/1",
    ...circumstances(command),
    model: firstLineOf("/sys/devices/virtual/dmi/id/product_name") ?? firstLineOf("/proc/device-tree/model"),
    cpu: all[0]?.model ?? null,
    cpus: all.length,
    governor: firstLineOf("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    kernel: `${type()} ${release()}`,
    machine: arch(),
    engine: `Node ${process.versions.node}`,
    crypto: `OpenSSL ${process.versions.openssl}`,
    version,
    commit: presentCommit(),
  };
}

/**
 * Load of the minute before: figures of a machine that was busy with something else say so.
 *
 * @param {string} command
 */
export function circumstances(command) {
  const load = Math.round((loadavg()[0] ?? 0) * 10) / 10;
  return { command, takenAt: new Date().toISOString(), load };
}

/** @param {string} path */
function firstLineOf(path) {
  if (!existsSync(path)) return null;
  return (
    readFileSync(path, "latin1")
      .split(/[\n\0]/)[0]
      ?.trim() || null
  );
}

/** With `+` when there is more in the directory than in the commit; null outside of a repository. */
function presentCommit() {
  const { status, stdout } = spawnSync("git", ["describe", "--always", "--dirty=+", "--exclude=*"], {
    encoding: "utf8",
  });
  return status === 0 ? stdout.trim() : null;
}
