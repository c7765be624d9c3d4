// SPDX-License-Identifier: MIT
/**
 * `npm run test:long`: what takes too long for every change. Each suite has a name; `npm run test:long -- NAME…` runs those,
 * `-- --list` names them. Ends with one line as `npm test` does. To add one, add it to {@link SUITES}.
 */

import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { buildFirmware, whyNoFirmware } from "./firmware.mjs";
import { writeProof } from "./proof.mjs";
import { installFuzzPackages } from "./system.mjs";
import { Tally } from "./tally.mjs";

/** For vitest: what the specs wait for has bounds of its own. */
const SLOW_GODWITD = ["--project", "godwitd", "--test-timeout=600000", "--hook-timeout=600000"];
/** Before a command: leaks and errors make it exit with 99. */
const VALGRIND = [
  ...["valgrind", "--quiet", "--error-exitcode=99"],
  ...["--leak-check=full", "--errors-for-leak-kinds=definite,indirect,possible"],
];
/** Those in which the agent starts no program: valgrind 3.19 knows no pidfd_open(). */
const VALGRIND_SPECS = [
  ...["test/firmware/receive", "test/end-to-end/delivery"],
  ...["test/end-to-end/app-socket-pages", "test/end-to-end/app-socket-people"],
  "test/end-to-end/app-socket-strangers",
];
/**
 * Garbage is collected after every so many allocations of the script, in these of the pure specs (none: all). At every one those of
 * whole agents would take hours. Primes, so that a loop of the script is not always met at the same place.
 */
const GC_STRESS_SPECS = /** @type {const} */ ([
  [1, ["declarative/activation", "declarative/app-", "declarative/badge", "declarative/disposition"]],
  [11, ["declarative/display", "declarative/url", "declarative/vectors", "push-service/", "user-agent/"]],
  [11, ["journal/crc32c", "journal/record-codec", "journal/seal", "journal/state", "journal/writer"]],
  [11, ["webpush/aesgcm", "webpush/base64url", "webpush/noble", "wire/godwit"]],
  [1009, []],
]);
/** Likewise in godwitd. */
const GC_STRESS_PERIOD_OF_GODWITD = 101;

const tally = new Tally();

/** Each gets the directories of builds from `built`, which builds them when they are first asked for. */
const SUITES = {
  sanitizers() {
    const directory = built("firmware-sanitize");
    if (directory === null) return;
    reportLeakIsSeen("ASan", join(directory, "test"), []);
    tally.ctest("C under ASan and UBSan", directory);
    tally.vitest("firmware's specs under ASan and UBSan", ["test/firmware"], {
      GODWIT_FIRMWARE_BUILD: "firmware-sanitize",
    });
    const specs = ["app-socket", "apps-process", "delivery"].map((name) => `test/end-to-end/${name}`);
    tally.vitest(
      "godwitd's app socket and dialects under ASan and UBSan",
      ["--project", "godwitd", ...specs],
      {
        GODWIT_FIRMWARE_BUILD: "firmware-sanitize",
      },
    );
  },
  "sanitizers-specs"() {
    const directory = built("firmware-sanitize");
    if (directory === null) return;
    tally.pureSpecs("pure specs under ASan and UBSan", join(directory, "test", "spec_runner"));
  },
  "memory-faults"() {
    const directory = built("firmware");
    if (directory === null) return;
    // Every allocation of each API call and of the start, not a sample.
    const env = { ...process.env, GODWIT_TEST_ALL: "1" };
    tally.check("each allocation of an agent fails once", join(directory, "test", "api_memory"), [], { env });
  },
  "gc-stress"() {
    const directory = built("firmware-gc-stress");
    if (directory === null) return;
    // Each says itself how often (firmware-bridge/test/CMakeLists.txt).
    tally.ctest("C, garbage collected all the time", directory);
    const runner = join(directory, "test", "spec_runner");
    for (const [period, specs] of GC_STRESS_SPECS)
      tally.pureSpecs(`pure specs, garbage collected every ${period} allocations`, runner, specs, {
        TEST_GC_PERIOD: String(period),
      });
    tally.vitest("godwitd, garbage collected all the time", [...SLOW_GODWITD, "test/firmware/receive"], {
      GODWIT_FIRMWARE_BUILD: "firmware-gc-stress",
      GODWIT_FIRMWARE_WRAPPER: `env TEST_GC_PERIOD=${GC_STRESS_PERIOD_OF_GODWITD}`,
    });
  },
  valgrind() {
    const directory = built("firmware-debug");
    if (directory === null) return;
    if (spawnSync("valgrind", ["--version"]).status !== 0) {
      tally.skip("valgrind", "on Debian, as root: apt-get install -y --no-install-recommends valgrind");
      return;
    }
    const tests = join(directory, "test");
    const names = readdirSync(tests).filter((file) => file.endsWith("_test") || file === "api_memory");
    const [valgrind, ...options] = VALGRIND;
    reportLeakIsSeen("valgrind", tests, VALGRIND);
    for (const name of names)
      tally.check(`${name} under valgrind`, valgrind, [...options, join(tests, name)]);
    tally.vitest("godwitd under valgrind", [...SLOW_GODWITD, ...VALGRIND_SPECS], {
      GODWIT_FIRMWARE_BUILD: "firmware-debug",
      GODWIT_FIRMWARE_WRAPPER: VALGRIND.join(" "),
    });
  },
  /** Other cryptography than OpenSSL's: the host's contract, and messages from end to end. */
  cryptography() {
    for (const name of /** @type {const} */ (["firmware-mbedtls", "firmware-noble"])) {
      const directory = built(name);
      if (directory === null) continue;
      if (name === "firmware-mbedtls") tally.ctest(`C, ${name}`, directory, ["--tests-regex", "crypto_test"]);
      const build = { GODWIT_FIRMWARE_BUILD: name };
      tally.vitest(`contract, ${name}`, ["--project", "node", "test/firmware/contract.test.ts"], build);
      tally.vitest(`received, ${name}`, ["--project", "godwitd", "test/firmware/receive.test.ts"], build);
    }
  },
  release() {
    if (built("firmware") === null) return;
    tally.vitest("the release, built and tested whole", ["test/firmware/release.test.ts"], {
      GODWIT_LONG: "1",
    });
  },
  "power-cuts"() {
    if (built("firmware") === null) return;
    tally.vitest("every power cut", ["test/firmware/power-cut.test.ts"], { GODWIT_LONG: "1" });
  },
  /** The journal at every cut of a 500-operation history, and at 100,000 random ones; TEST_CUTS_SEED of an earlier run. */
  "journal-cuts"() {
    const specs = ["--project", "node", "test/power-cuts"];
    tally.vitest("every power cut of a history, and random ones", specs, { GODWIT_LONG: "1" });
  },
  /** Ten minutes, or FUZZ_SECONDS, of each target. */
  fuzz() {
    const { FUZZ_SECONDS = "600" } = process.env;
    installFuzzPackages();
    // Its figures and findings are to be seen while it runs.
    const { status } = spawnSync(
      process.execPath,
      ["scripts/fuzz.mjs", "all", "--jobs", "2", "--seconds", FUZZ_SECONDS, "--report"],
      {
        stdio: "inherit",
      },
    );
    tally.report(`fuzzing, ${FUZZ_SECONDS} s each`, status === 0);
  },
  /** Ten seeds of their own. One that fails is in the output: TEST_PROPERTIES_SEED shows it again. */
  properties() {
    const specs = spawnSync("grep", ["-rl", "--include=*.test.ts", "properties.ts", "test"], {
      encoding: "utf8",
    });
    const files = specs.stdout.trim().split("\n");
    for (let round = 0; round < 10; round++) {
      const seed = String(randomInt(2 ** 31));
      tally.vitest(`properties, seed ${seed}`, ["--project", "node", ...files], {
        TEST_PROPERTIES_SEED: seed,
      });
    }
  },
  /** A shard of Redis that is away for longer than devices are kept. */
  redis() {
    tally.vitest("an outage of Redis", ["--project", "node", "test/push-service/redis-outage"], {
      GODWIT_LONG: "1",
    });
  },
  /** A million things that happen to messages, or TEST_SIMULATION_EVENTS; what it finds is a row of the report. */
  simulation() {
    const { TEST_SIMULATION_EVENTS = "1000000" } = process.env;
    const events = ["--seeds", "1-256", "--events", TEST_SIMULATION_EVENTS, "--json"];
    const { status, stdout } = spawnSync(process.execPath, ["scripts/run.mjs", "sim", ...events], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    const report = status === 0 || status === 1 ? JSON.parse(stdout) : null;
    if (report !== null) writeProof("simulation", "npm run test:long -- simulation", [simulationRow(report)]);
    tally.report("simulated worlds", status === 0, JSON.stringify(report?.failures));
  },
  /** The push service's store on disk: power cuts, kills and failing writes at each step. */
  lmdb() {
    if (built("firmware") === null) return;
    const spec = ["--project", "node", "test/simulation/lmdb-power-cut"];
    tally.vitest("the store on disk, cut off at every step", spec, { GODWIT_LONG: "1" });
  },
  /** Each known defect is seen by the simulation. */
  mutations() {
    const mutations = ["--project", "node", "test/simulation/mutations.test.ts"];
    tally.vitest("defects that the simulation has to see", mutations, { GODWIT_LONG: "1" });
  },
  /** What is recorded of the devices of 256 worlds is replayed with the same effects. */
  replays() {
    const replays = ["--project", "node", "test/simulation/replay.test.ts"];
    tally.vitest("recorded traces, replayed", replays, { GODWIT_LONG: "1" });
  },
  /** Half an hour, or TEST_SOAK_S seconds; TEST_SOAK_SEED of an earlier run, TEST_AGENT=godwitd for that agent. */
  soak() {
    const { TEST_SOAK_S = "1800", TEST_AGENT = "node" } = process.env;
    if (TEST_AGENT === "godwitd" && built("firmware") === null) return;
    const specs = ["--project", "node", "test/soak"];
    tally.vitest(`half an hour of 50 apps, ${TEST_AGENT}`, specs, { TEST_SOAK_S });
  },
  /** Three minutes, or TEST_CHAOS_S seconds; TEST_CHAOS_SEED of an earlier run. */
  chaos() {
    const { TEST_CHAOS_S = "180" } = process.env;
    tally.vitest("a fleet whose processes die and stall", ["--project", "node", "test/chaos"], {
      TEST_CHAOS_S,
    });
  },
};

function simulationRow({ seeds, messages, messageEvents, markedRepeats, simulatedMs, failures }) {
  const broken = (isIt) => failures.filter(({ violation }) => isIt(violation.split(":", 1)[0])).length;
  const none = (value) => ({ value, unit: "", valueMax: 0 });
  const named = {
    "nothing lost": "messages lost",
    "exactly once": "handled or shown twice",
    "repeats are marked": "repeats without a mark",
    "no secret in a log": "secrets in logs",
    bounds: "bounds broken",
  };
  const figures = {
    worlds: { value: seeds, unit: "" },
    messages: { value: messages, unit: "" },
    "message-events": { value: messageEvents, unit: "" },
    "simulated time": { value: Math.round(simulatedMs / 86_400_000), unit: "days" },
    "repeats marked": { value: markedRepeats, unit: "" },
    ...Object.fromEntries(
      Object.entries(named).map(([rule, name]) => [name, none(broken((one) => one === rule))]),
    ),
    "other rules broken": none(broken((one) => named[one] === undefined)),
  };
  return { case: "worlds of real agents and the real push service", figures };
}

/** A gate that lets a leak through says nothing about the rest: a program that leaks, and ends with 0 by itself, has to fail. */
function reportLeakIsSeen(gate, tests, prefix) {
  const [program, ...args] = [...prefix, join(tests, "leak_driver")];
  const { status, stderr } = spawnSync(program, args, { encoding: "utf8" });
  const isSeen = typeof status === "number" && status !== 0 && /definitely lost|Direct leak/.test(stderr);
  tally.report(`${gate} sees a leak`, isSeen, `exit code ${status}: ${stderr}`);
}

/** Directory of a firmware build, or null: then it is counted as failed, or skipped. */
function built(name) {
  const why = whyNoFirmware();
  if (why !== null) {
    tally.skip(name, why);
    return null;
  }
  const directory = buildFirmware(name);
  if (directory === null) tally.report(`${name} builds`, false);
  return directory;
}

const names = process.argv.slice(2);
const unknown = names.find((name) => name !== "--list" && SUITES[name] === undefined);
if (unknown !== undefined) {
  console.error(`test:long: no suite ${unknown}; there are ${Object.keys(SUITES).join(", ")}`);
  process.exit(2);
}
if (names.includes("--list")) {
  console.log(Object.keys(SUITES).join("\n"));
} else {
  for (const name of names.length > 0 ? names : Object.keys(SUITES)) SUITES[name]();
  process.exitCode = tally.end();
}
