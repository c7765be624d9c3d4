// SPDX-License-Identifier: MIT
// Goal: somebody who has just cloned the repository gets from `npm start` to a clicked notification by what it prints, and
// Ctrl-C leaves nothing behind. Method: npm itself in a copy of the checkout without dist/, and the printed commands in it.
// What npm would install is lent to the copy: no test goes to a registry.

import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Program, Stage } from "./stage.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NOT_CLONED = ["node_modules", "dist", ".git", join("bench", "report")];
/** It builds everything first, on two cores with others at work. */
const BUILD_MS_MAX = 90_000;
const TEST_MS_MAX = 120_000;

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.close());

function clone(): string {
  const directory = join(stage.newDirectory(), "godwit");
  cpSync(ROOT, directory, {
    recursive: true,
    filter: (source) => !NOT_CLONED.includes(relative(ROOT, source)),
  });
  const modules = join(directory, "node_modules");
  mkdirSync(modules);
  for (const name of readdirSync(join(ROOT, "node_modules")))
    if (name !== ".godwit-lock") symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  const lock = readFileSync(join(directory, "package-lock.json"));
  writeFileSync(join(modules, ".godwit-lock"), createHash("sha256").update(lock).digest("hex"));
  return directory;
}

/** In a process group of its own, as in a terminal. */
function run(directory: string, command: readonly string[], temporary: string): Program {
  return stage.start(command.join(" "), command, {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
    env: stage.environment({ TMPDIR: temporary, npm_config_update_notifier: "false" }),
    detached: true,
  });
}

test("npm start in a fresh clone, a notification clicked, a push sent, Ctrl-C", {
  timeout: TEST_MS_MAX,
}, async () => {
  const directory = clone();
  const temporary = stage.newDirectory();
  const start = run(directory, ["npm", "start"], temporary);
  await start.stderr.until(
    "everything is built and running",
    (lines) => lines.find((line) => line.includes("Ctrl-C ends it")) ?? null,
    BUILD_MS_MAX,
  );
  const follow = async (which: RegExp): Promise<string> => {
    const advice = await start.stderr.match(which);
    const words = advice.slice(advice.indexOf("npx ")).match(/"[^"]*"|\S+/g) ?? [];
    const program = run(
      directory,
      words.map((word) => word.replaceAll('"', "")),
      temporary,
    );
    expect((await program.exited).code).toBe(0);
    return program.stdout.all.join("\n");
  };
  expect(await follow(/npx godwit notifications --state/)).toContain("Godwits reach New Zealand");
  expect(await follow(/npx godwit notifications click/)).toMatch(/^clicked: opens https:\/\/news\.example\//);
  await start.stdout.match(/was clicked: its link https:\/\/news\.example\/stories\/godwits opens$/);
  expect(await follow(/npx godwit send/)).toBe("accepted (201)");
  await start.stdout.match(/screen: \(3\) https:\/\/news\.example: Hello$/);
  process.kill(-(start.child.pid ?? Number.NaN), "SIGINT");
  // npm itself ends by the signal, when everything below it is gone; nobody complains.
  await start.exited;
  expect(start.stderr.all.filter((line) => /^(npm error|godwit demo:)/.test(line))).toEqual([]);
  expect(readdirSync(temporary).filter((name) => name.startsWith("godwit"))).toEqual([]);
});
