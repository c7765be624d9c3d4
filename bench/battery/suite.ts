// SPDX-License-Identifier: MIT
/** Runs scenarios over seeds, Godwit beside every other algorithm, and puts the medians into lines. */

import { RADIO_OF_KIND } from "../../src/energy.ts";
import { STATS_DEFAULTS, statsOf } from "../../src/stats.ts";
import { median, quantile } from "../harness.ts";
import { ALGORITHMS } from "./algorithms/index.ts";
import { oracle } from "./algorithms/oracle.ts";
import { GodwitWorld } from "./godwit-world.ts";
import { ModelWorld } from "./model-world.ts";
import type { GodwitResult, RunResult } from "./result.ts";
import { graceful, type Scenario } from "./scenario.ts";

/** One printed line: medians over seeds, except `lost` and `late60`, which are sums. */
export interface BatteryRow extends Omit<RunResult, "networks"> {
  readonly suite: "battery";
  readonly scenario: string;
  readonly algorithm: string;
  readonly seeds: string;
  /** Number of seeds, and quartiles over them. */
  readonly rounds: number;
  readonly joulesDayLow: number;
  readonly joulesDayHigh: number;
  readonly deafMinDayLow: number;
  readonly deafMinDayHigh: number;
  /** Median over seeds of joules over the oracle's joules of that seed. */
  readonly ratioOracle: number;
  /** Godwit only: see {@link GodwitResult}; maxima over seeds. */
  readonly natLossesPerNetworkMax?: number;
  readonly natLossesOver245s?: number;
  readonly clientWakesHourMax?: number;
  readonly probes12hMax?: number;
  readonly wakesWithoutNetwork?: number;
  readonly journalWrites?: number;
  readonly learnedAfterS?: number | null;
  /** Share of the networks on which the device kept a link, of all there were. */
  readonly networksHeldShare?: number;
  /** Like `ratioOracle`, over those networks only. */
  readonly ratioOracleHeld?: number;
  /** Like `deafMinDay`, over those networks only: minutes a day of the whole run. */
  readonly deafMinDayHeld?: number;
  /** Median of the joules that `godwit stats` would tell over those that were spent; `godwit` only. */
  readonly joulesToldRatio?: number;
}

export interface BatteryOptions {
  readonly scenario: (seed: number) => Scenario;
  readonly fromSeed: number;
  readonly toSeed: number;
  readonly isGraceful: boolean;
  /** Only the oracle and Godwit. */
  readonly isQuick?: boolean;
}

/** Low-urgency window of `godwit-hold`, s. */
const HOLD_S = 1200;
const DAY_S = 86_400;

export function runScenario(options: BatteryOptions): BatteryRow[] {
  const { fromSeed, toSeed, isGraceful, isQuick = false } = options;
  const runs = new Map<string, RunResult[]>();
  const toldRatios: number[] = [];
  const add = (name: string, result: RunResult): void => {
    runs.set(name, [...(runs.get(name) ?? []), result]);
  };
  let name = "";
  for (let seed = fromSeed; seed <= toSeed; seed++) {
    const made = options.scenario(seed);
    const scenario = isGraceful ? graceful(made) : made;
    name = scenario.name;
    const world = new GodwitWorld(scenario, { windowS: 0, seed });
    const result = world.run();
    add("godwit", result);
    toldRatios.push(joulesTold(world, scenario) / ((result.joulesDay * scenario.durationS) / DAY_S));
    add("godwit-hold", new GodwitWorld(scenario, { windowS: HOLD_S, seed }).run());
    for (const algorithm of isQuick ? [oracle] : ALGORITHMS)
      add(algorithm.name, new ModelWorld(scenario, algorithm.create()).run());
  }
  const floor = runs.get(oracle.name) ?? [];
  return [...runs].map(([algorithm, results]) => ({
    suite: "battery",
    scenario: name,
    algorithm,
    seeds: `${fromSeed}-${toSeed}`,
    ...medians(results),
    ...quartiles(results),
    ratioOracle: median(results.map(({ joulesDay }, i) => joulesDay / (floor[i]?.joulesDay ?? Number.NaN))),
    ...(isGodwit(results) ? { ...extras(results), ...heldOnly(results, floor) } : {}),
    ...(algorithm === "godwit" ? { joulesToldRatio: median(toldRatios) } : {}),
  }));
}

/** As `godwit stats` has it; a radio that no kind of network tells of is chosen where there is no other. */
function joulesTold({ status }: GodwitWorld, { stretches }: Scenario): number {
  const [radio = null, ...others] = new Set(stretches.flatMap((stretch) => stretch.radio ?? []));
  const isTold = radio === null || others.length > 0 || Object.values(RADIO_OF_KIND).includes(radio);
  return statsOf(status, { ...STATS_DEFAULTS, radio: isTold ? null : radio }).energy.joules;
}

type Figure = Exclude<keyof RunResult, "networks">;

function medians(results: readonly RunResult[]): Pick<RunResult, Figure> {
  const of = (key: Figure) => median(results.map((result) => result[key]));
  const sum = (key: Figure) => results.reduce((total, result) => total + result[key], 0);
  return {
    wakeH: of("wakeH"),
    pingH: of("pingH"),
    bytesH: of("bytesH"),
    joulesDay: of("joulesDay"),
    connsDay: of("connsDay"),
    deafMinDay: of("deafMinDay"),
    lost: sum("lost"),
    late60: sum("late60"),
  };
}

function quartiles(results: readonly RunResult[]) {
  const of = (key: Figure, share: number) =>
    quantile(
      results.map((result) => result[key]),
      share,
    );
  return {
    rounds: results.length,
    joulesDayLow: of("joulesDay", 0.25),
    joulesDayHigh: of("joulesDay", 0.75),
    deafMinDayLow: of("deafMinDay", 0.25),
    deafMinDayHigh: of("deafMinDay", 0.75),
  };
}

function isGodwit(results: readonly RunResult[]): results is readonly GodwitResult[] {
  return results.every((result) => "natLosses" in result);
}

function extras(results: readonly GodwitResult[]): Partial<BatteryRow> {
  const losses = results.flatMap(({ natLosses }) => Object.values(natLosses));
  const learned = results.map(({ learnedAfterS }) => learnedAfterS);
  return {
    natLossesPerNetworkMax: Math.max(0, ...losses.map(({ count }) => count)),
    natLossesOver245s: losses.reduce(
      (sum, { count, idleTimeoutS }) => sum + (idleTimeoutS > 245 ? count : 0),
      0,
    ),
    clientWakesHourMax: Math.max(...results.map(({ clientWakesHourMax }) => clientWakesHourMax)),
    probes12hMax: Math.max(...results.map(({ probes12hMax }) => probes12hMax)),
    journalWrites: Math.max(...results.map(({ journalWrites }) => journalWrites)),
    wakesWithoutNetwork: Math.max(...results.map(({ wakesWithoutNetwork }) => wakesWithoutNetwork)),
    learnedAfterS: learned.some((s) => s === null) ? null : median(learned.map((s) => s ?? 0)),
  };
}

/** A network that is only visited costs less than the oracle spends on it: these figures leave it out. */
function heldOnly(results: readonly GodwitResult[], floor: readonly RunResult[]): Partial<BatteryRow> {
  const each = results.map(({ networks }, i) => {
    const held = Object.entries(networks).filter(([, { isHeld }]) => isHeld);
    const joulesDay = held.reduce((sum, [, share]) => sum + share.joulesDay, 0);
    const oracleDay = held.reduce((sum, [name]) => sum + (floor[i]?.networks[name]?.joulesDay ?? 0), 0);
    return {
      share: held.length / Object.keys(networks).length,
      ratio: joulesDay / oracleDay,
      deafMinDay: held.reduce((sum, [, share]) => sum + share.deafMinDay, 0),
    };
  });
  return {
    networksHeldShare: median(each.map(({ share }) => share)),
    ratioOracleHeld: median(each.map(({ ratio }) => ratio)),
    deafMinDayHeld: median(each.map(({ deafMinDay }) => deafMinDay)),
  };
}
