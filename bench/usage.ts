// SPDX-License-Identifier: MIT
/** What the benchmark program takes: its arguments, checked before anything runs, and its help. */

import { readFileSync } from "node:fs";
import { parseArguments, whyUnreadable } from "../src/configuration/arguments.ts";
import { ALGORITHMS } from "./battery/algorithms/index.ts";
import { parseScenario, type Scenario } from "./battery/scenario.ts";
import { SCENARIOS } from "./battery/scenarios.ts";
import { ROUNDS_MIN } from "./harness.ts";

/** Suites that measure, in the order they run; `battery`, which simulates, comes last. */
export const MEASURING = ["bundle", "decrypt", "parse", "footprint", "delivery", "growth"] as const;
export const SUITES = [...MEASURING, "battery"] as const;
/** Those of `godwitd bench`. */
export const FIRMWARE_SUITES = ["decrypt", "parse", "wire", "journal", "startup"] as const;
export type Suite = (typeof SUITES)[number];
export type FirmwareSuite = (typeof FIRMWARE_SUITES)[number];

export const RUNTIMES = ["node", "quickjs"] as const;
export type Runtime = (typeof RUNTIMES)[number];

export interface BenchArguments {
  readonly isHelp: boolean;
  readonly isJson: boolean;
  readonly isCheck: boolean;
  /** Few rounds, seeds and devices: to see that it works. */
  readonly isQuick: boolean;
  /** Only what is counted and not timed; `suites` are those that have such. */
  readonly isCounted: boolean;
  readonly runtime: Runtime;
  readonly suites: readonly Suite[];
  /** With the runtime quickjs, in place of `suites`. */
  readonly firmwareSuites: readonly FirmwareSuite[];
  readonly rounds: number;
  readonly battery: BatteryArguments;
  /** Everything in one report; `suites` are those that are measured for it. */
  readonly report: ReportArguments | null;
}

export interface ReportArguments {
  /** Rows recorded before, for what is not measured now; null for none. */
  readonly from: string | null;
}

export interface BatteryArguments {
  /** By name; a file stands under its path. */
  readonly scenarios: Readonly<Record<string, (seed: number) => Scenario>>;
  /** Nothing was chosen: every scenario with a name, and the herd. */
  readonly isAll: boolean;
  readonly fromSeed: number;
  readonly toSeed: number;
  readonly isGraceful: boolean;
}

/** Suites that say themselves how often they measure. */
export const WITHOUT_ROUNDS: readonly Suite[] = ["bundle", "footprint", "delivery", "battery"];
/** Suites with figures that no other load changes. */
const COUNTED: readonly Suite[] = ["bundle", "decrypt", "delivery", "growth"];
const QUICK_SCENARIO = "commuter-7d";
const QUICK_SEEDS = "1-2";
/** In place of suites. */
const REPORT = "report";
/** Options that mean something to one kind of suite only. */
const OF_BATTERY = ["scenario", "seeds", "graceful"];
const OF_REPORT = ["suites", "from"];

/**
 * Reads what stands behind `npm run bench --`.
 *
 * @throws {Error} with one sentence saying what is wrong
 */
export function readArguments(args: readonly string[]): BenchArguments {
  const { values, positionals } = parseArguments(args, {
    help: { type: "boolean" },
    json: { type: "boolean" },
    check: { type: "boolean" },
    runtime: { type: "string" },
    rounds: { type: "string" },
    scenario: { type: "string" },
    seeds: { type: "string" },
    graceful: { type: "boolean" },
    suites: { type: "string" },
    from: { type: "string" },
    quick: { type: "boolean" },
    counted: { type: "boolean" },
  });
  const isReport = positionals.includes(REPORT);
  if (isReport && positionals.length > 1) throw new Error("a report takes its suites with --suites");
  if (!isReport) {
    const stray = OF_REPORT.find((name) => values[name] !== undefined);
    if (stray !== undefined) throw new Error(`--${stray} means nothing without ${REPORT}`);
  } else if (values.runtime !== undefined) throw new Error("a report has both runtimes");
  const named = isReport
    ? reportSuites(values.suites as string | undefined, values.from as string | undefined)
    : positionals;
  const runtime = RUNTIMES.find((name) => name === (values.runtime ?? "node"));
  if (runtime === undefined) throw new Error(`--runtime must be one of ${RUNTIMES.join(", ")}`);
  const firmwareSuites = runtime === "node" ? [] : chosen(positionals, FIRMWARE_SUITES);
  const isCounted = values.counted === true;
  if (isCounted && (isReport || runtime !== "node")) throw new Error("--counted is for suites on Node");
  const suites = named === null || runtime !== "node" ? [] : chosen(named, isCounted ? COUNTED : SUITES);
  const hasRounds = firmwareSuites.length > 0 || suites.some((suite) => !WITHOUT_ROUNDS.includes(suite));
  const useless =
    (!hasRounds && values.rounds !== undefined && "rounds") ||
    (!suites.includes("battery") && OF_BATTERY.find((name) => values[name] !== undefined));
  if (useless)
    throw new Error(`--${useless} means nothing to ${[...suites, ...firmwareSuites].join(" and ")}`);
  const rounds = Number(values.rounds ?? ROUNDS_MIN);
  if (!Number.isInteger(rounds) || rounds < ROUNDS_MIN)
    throw new Error(`--rounds must be a whole number from ${ROUNDS_MIN}`);
  const isHelp = values.help === true;
  const isCheck = values.check === true;
  const isQuick = values.quick === true;
  const scenario = (values.scenario as string | undefined) ?? (isQuick ? QUICK_SCENARIO : undefined);
  return {
    isHelp,
    isQuick,
    isCounted,
    isJson: values.json === true,
    isCheck,
    runtime,
    suites,
    firmwareSuites,
    rounds,
    battery: {
      scenarios: scenario === undefined || isHelp ? SCENARIOS : { [scenario]: scenarioOf(scenario) },
      isAll: scenario === undefined,
      ...readSeeds((values.seeds as string | undefined) ?? (isQuick ? QUICK_SEEDS : "1-20")),
      isGraceful: values.graceful === true || isCheck || isReport,
    },
    report: isReport ? { from: (values.from as string | undefined) ?? null } : null,
  };
}

/** Those to measure: the ones that are named, else all (an empty list) or, where there are rows already, none (null). */
function reportSuites(names: string | undefined, from: string | undefined): string[] | null {
  if (names !== undefined) return names.split(",");
  return from === undefined ? [] : null;
}

/** Those of `suites` that are named, or all. */
function chosen<Name extends string>(names: readonly string[], suites: readonly Name[]): Name[] {
  const unknown = names.find((name) => !suites.some((suite) => suite === name));
  if (unknown !== undefined) throw new Error(`no suite ${unknown}; there are ${suites.join(", ")}`);
  return suites.filter((suite) => names.length === 0 || names.includes(suite));
}

function readSeeds(text: string): { fromSeed: number; toSeed: number } {
  const match = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(text);
  const fromSeed = Number(match?.[1]);
  const toSeed = Number(match?.[2] ?? fromSeed);
  if (!(fromSeed <= toSeed)) throw new Error("--seeds must be a number or a rising range such as 1-20");
  return { fromSeed, toSeed };
}

function scenarioOf(name: string): (seed: number) => Scenario {
  const known = Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name] : undefined;
  if (known !== undefined) return known;
  let text: string;
  try {
    text = readFileSync(name, "utf8");
  } catch (error) {
    const why = whyUnreadable(error);
    throw new Error(
      why === "is not there"
        ? `no scenario and no file ${name}; there are ${Object.keys(SCENARIOS).join(", ")}`
        : `scenario file ${name} ${why}`,
    );
  }
  try {
    const scenario = parseScenario(text);
    return () => scenario;
  } catch (error) {
    throw new Error(`scenario file ${name}: ${(error as Error).message}`);
  }
}

export function help(): string {
  const algorithms = ["godwit", "godwit-hold", ...ALGORITHMS.map(({ name }) => name)];
  return `usage: npm run bench -- [SUITE…] [OPTIONS]
       npm run bench -- report [--suites A,B] [--from FILE]

suites (default: all of them)
  bundle               bytes of what the build made, and of that gzipped
  decrypt              one message: Godwit beside http_ece and beside the bare ECDH, and in QuickJS
  parse                one declarative message beside the bare parsers it needs, and in QuickJS
  footprint            memory, flash and start of the agent: godwitd beside Node and mosquitto_sub
  delivery             the push service: from POST to device by each store, beside a relay without one
  growth               how costs grow: 10,000 subscriptions, 10,000 queued messages, 15,000 devices
  battery              simulated days of a device: energy and deafness of Godwit and of published algorithms

suites of --runtime quickjs, which runs \`godwitd bench\` of the firmware's build
  decrypt              one message by noble beside the bare ECDH, natively beside noble
  parse                one declarative message beside JSON.parse; UTF-8 natively beside the script's own
  wire                 one frame beside JSON.parse of the same message
  journal              a record; a journal of 100 subscriptions, written, read, and an agent started with it
  startup              the daemon's script made ready, in this process and in one of its own

report: all suites on Node, decrypt and parse of the firmware too, each a process of its own, and what the
long suites left in bench/report/proof: bench/report/index.html, its figures, beside them rows.jsonl, which
it was made of, and the figures in README.md. What failed is left out and said in the end, with exit code 1.
  --suites A,B         measure these only (default: all, or none with --from)
  --from FILE          rows recorded before, for what is not measured now

options
  --runtime NAME       node (the default), or quickjs: the engine of the firmware
  --counted            bundle, decrypt, delivery, growth: only what is counted and not timed, as npm test
                       checks it: bytes, allocations, bytes on the wire, frames of acknowledgement
  --quick              few rounds, seeds and devices: to see that it works; a report goes to build/report
  --json               one JSON object per line instead of tables
  --check              exit code 1 when a limit of bench/budgets.json is broken; battery: as with --graceful
  --rounds N           decrypt, parse: samples of each side (${ROUNDS_MIN}, the default, or more)
  --scenario NAME|FILE battery: one scenario only (default: all with a name, and the herd of 100,000 devices)
  --seeds A-B          battery: one seed or a range (default 1-20; random-nats among all: three)
  --graceful           battery: the service closes connections in order when it restarts
  --help               this text

scenarios: ${wrapped(Object.keys(SCENARIOS))}
a FILE is JSON, see "Battery scenarios" in SPEC.md

algorithms: ${wrapped(algorithms)}
`;
}

/** Names with commas, on lines of at most 100 characters. */
function wrapped(names: readonly string[]): string {
  return names.join(", ").replace(/(.{60,90}?,) /g, "$1\n  ");
}
