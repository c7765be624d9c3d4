// SPDX-License-Identifier: MIT
// Goal: the benchmark program refuses wrong input with one plain line and exit code 2 before anything runs, and helps. Method:
// reads arguments, and runs the program once for what only it does.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ALGORITHMS } from "../../bench/battery/algorithms/index.ts";
import { SCENARIOS } from "../../bench/battery/scenarios.ts";
import { FIRMWARE_SUITES, help, readArguments, SUITES } from "../../bench/usage.ts";

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "godwit-bench-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const SCENARIO = {
  stretches: [{ fromS: 0, toS: 60, radio: "wifi", network: "home", idleTimeoutS: 600 }],
};

describe("arguments", () => {
  test("without any: every suite, every scenario, 20 seeds", () => {
    expect(readArguments([])).toMatchObject({
      isHelp: false,
      suites: SUITES,
      battery: { scenarios: SCENARIOS, isAll: true, fromSeed: 1, toSeed: 20, isGraceful: false },
    });
  });

  test("the runtime of the firmware has suites of its own", () => {
    expect(readArguments(["--runtime", "quickjs"])).toMatchObject({
      runtime: "quickjs",
      suites: [],
      firmwareSuites: FIRMWARE_SUITES,
    });
    const given = readArguments(["--runtime", "quickjs", "journal", "decrypt", "--rounds", "50", "--check"]);
    expect(given).toMatchObject({ firmwareSuites: ["decrypt", "journal"], rounds: 50, isCheck: true });
  });

  test("a report: of everything, of some suites, of rows recorded before", () => {
    const report = { from: null };
    expect(readArguments(["report"])).toMatchObject({
      suites: SUITES,
      report,
      battery: { isGraceful: true },
    });
    expect(readArguments(["decrypt"]).report).toBeNull();
    const some = readArguments(["report", "--suites", "growth,decrypt", "--from", "a.jsonl", "--quick"]);
    expect(some).toMatchObject({ suites: ["decrypt", "growth"], report: { from: "a.jsonl" }, isQuick: true });
    expect(readArguments(["report", "--from", "a.jsonl"])).toMatchObject({ suites: [] });
  });

  test("a scenario, a seed, a check", () => {
    const given = readArguments(["battery", "--scenario", "flappy", "--seeds", "7", "--check"]);
    const battery = { isAll: false, fromSeed: 7, toSeed: 7, isGraceful: true };
    expect(given).toMatchObject({ suites: ["battery"], isCheck: true, battery });
    expect(Object.keys(given.battery.scenarios)).toEqual(["flappy"]);
  });

  test("a scenario file", () => {
    const path = file("good.json", JSON.stringify(SCENARIO));
    const { scenarios } = readArguments(["battery", "--scenario", path]).battery;
    expect(scenarios[path]?.(1)).toMatchObject({ name: "file", durationS: 60 });
  });

  test.each([
    [["--bogus"], /^unknown option --bogus$/],
    [["--runtime", "deno"], /^--runtime must be one of node, quickjs$/],
    [["wire"], /^no suite wire; there are bundle, decrypt, parse, footprint, delivery, growth, battery$/],
    [
      ["--runtime", "quickjs", "battery"],
      /^no suite battery; there are decrypt, parse, wire, journal, startup$/,
    ],
    [["--runtime", "quickjs", "wire", "--seeds", "1"], /^--seeds means nothing to wire$/],
    [["batery"], /^no suite batery; there are bundle, decrypt, parse, footprint, delivery, growth, battery$/],
    [["battery", "--scenario", "nosuch"], /^no scenario and no file nosuch; there are commuter-1d, /],
    [["battery", "--scenario", "constructor"], /^no scenario and no file constructor/],
    [["battery", "--scenario", "src"], /^scenario file src is a directory$/],
    [["battery", "--scenario"], /^--scenario needs a value$/],
    [["battery", "--seeds", "3-1"], /^--seeds must be a number or a rising range such as 1-20$/],
    [["battery", "--seeds", "few"], /^--seeds must be/],
    [["battery", "--rounds", "50"], /^--rounds means nothing to battery$/],
    [["decrypt", "--seeds", "1"], /^--seeds means nothing to decrypt$/],
    [["report", "decrypt"], /^a report takes its suites with --suites$/],
    [["report", "--suites", "decrypt,all"], /^no suite all; there are /],
    [["report", "--runtime", "node"], /^a report has both runtimes$/],
    [["decrypt", "--from", "rows.jsonl"], /^--from means nothing without report$/],
    [["decrypt", "--rounds", "4"], /^--rounds must be a whole number from 40$/],
  ])("%j are refused", (args, message) => {
    expect(() => readArguments(args)).toThrow(message);
  });

  test.each([
    ["no JSON", "{", /bad\.json: is not JSON: /],
    [
      "a wrong member",
      JSON.stringify({ ...SCENARIO, spread: 1 }),
      /bad\.json: scenario\.spread: is not known/,
    ],
  ])("a scenario file with %s is refused by its name", (_what, text, message) => {
    const path = file("bad.json", text);
    expect(() => readArguments(["battery", "--scenario", path])).toThrow(message);
  });
});

describe("the program", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ["dist/bench/run.js", ...args], { encoding: "utf8" });

  test.each([[["--help"]], [["battery", "--help"]]])("%j helps, and runs nothing", (args) => {
    expect(run(...args)).toMatchObject({ status: 0, stdout: help(), stderr: "" });
  });

  test("the help names suites, scenarios and algorithms", () => {
    const algorithms = ALGORITHMS.map(({ name }) => name);
    for (const name of [...SUITES, ...Object.keys(SCENARIOS), ...algorithms, "godwit-hold"])
      expect(help()).toMatch(new RegExp(`[ \n]${name.replace(".", "\\.")}[ ,\n]`));
    for (const line of help().split("\n")) expect(line.length).toBeLessThanOrEqual(110);
  });

  test("wrong input ends it with 2 and one line", () => {
    expect(run("battery", "--scenario", "nosuch")).toMatchObject({
      status: 2,
      stdout: "",
      stderr: expect.stringMatching(/^bench: no scenario and no file nosuch; .*--help tells more\n$/),
    });
  });
});
