// SPDX-License-Identifier: MIT
/** `godwit stats`: what the connection of a running agent costs, and how far from the least it is. */

import { RADIO_NAMES } from "../energy.ts";
import { spanText, threeDigits } from "../figures.ts";
import { BATTERY_MAH_MAX, BATTERY_V_MAX, RATES_AFTER_MS } from "../limits.ts";
import { type AgentStats, STATS_DEFAULTS } from "../stats.ts";
import { withAgent } from "./agent-client.ts";
import { STATE, stateOf } from "./at-agent.ts";
import type { Command } from "./command.ts";
import { faultText, overMqtt } from "./status.ts";

/** Networks printed; --json has them all. */
const NETWORKS_SHOWN_MAX = 10;

export const statsCommand: Command = {
  summary: "what its connection costs: wake-ups, bytes, energy, deaf time",
  positionals: "",
  options: {
    state: STATE,
    radio: {
      kind: "text",
      value: "WORD",
      help: "radio to estimate energy with; default: by each network",
      oneOf: RADIO_NAMES,
    },
    batteryMah: {
      kind: "number",
      value: "MAH",
      fallback: STATS_DEFAULTS.batteryMah,
      help: "capacity of the battery",
      min: 1,
      max: BATTERY_MAH_MAX,
    },
    batteryV: {
      kind: "number",
      value: "VOLTS",
      fallback: STATS_DEFAULTS.batteryV,
      help: "its voltage",
      min: 0.1,
      max: BATTERY_V_MAX,
      isFraction: true,
    },
  },
  async run(options, output) {
    const members = {
      radio: options.text("radio"),
      batteryMah: options.requiredNumber("batteryMah"),
      batteryV: options.requiredNumber("batteryV"),
    };
    const stats = (await withAgent(stateOf(options), (agent) => agent.ask("stats", members))) as AgentStats;
    if (output.isJson) return output.json(stats);
    for (const line of describeStats(stats)) output.line(line);
  },
};

/** One page for people, at most 30 lines. */
export function describeStats(stats: AgentStats): string[] {
  const notYet = `not known before ${spanText(RATES_AFTER_MS)}`;
  const { wakeUpsPerHour, energy, oracle, network, networks, lastFault, alarmsLate } = stats;
  const since =
    stats.linkSinceEpochMs === null ? "" : ` since ${new Date(stats.linkSinceEpochMs).toISOString()}`;
  const ago = (ms: number | null) => (ms === null ? "none yet" : `${spanText(ms)} ago`);
  const rates = wakeUpsPerHour === null ? notYet : counts(wakeUpsPerHour, (rate) => short(rate));
  const rode = Object.values(stats.piggybacked).reduce((sum, count) => sum + count, 0);
  const perDay =
    energy.joulesPerDay === null
      ? notYet
      : `${short(energy.joulesPerDay)} J/day, ${short(energy.batteryPercentPerDay)} % of ${energy.batteryMah} mAh at ${energy.batteryV} V`;
  const learning = network.isLearned ? "nothing left to learn" : "still learning";
  const idle = `${short(oracle.pingsPerHour)} pings/h, ${short(oracle.joulesPerDay)} J/day; an oracle ${short(oracle.oraclePingsPerHour)}, ${short(oracle.oracleJoulesPerDay)}, bound by ${BOUNDS[oracle.bound]}`;
  const shown = networks.slice(-NETWORKS_SHOWN_MAX).reverse();
  const lines: readonly (readonly [string, string | null])[] = [
    ["connection", `${stats.link}${overMqtt(stats)}${since}`],
    ["last fault", lastFault === null ? null : faultText(lastFault)],
    ["next try", stats.retryInMs === null ? null : `in ${spanText(stats.retryInMs)}`],
    ["next alarm", stats.alarmInMs === null ? "none" : `in ${spanText(stats.alarmInMs)}`],
    ["last frame", ago(stats.lastReceivedAgoMs)],
    ["last message", ago(stats.lastMessageAgoMs)],
    ["round trip", stats.rttMs === null ? "not known yet" : `${Math.round(stats.rttMs)} ms`],
    ["counted for", stats.countedMs === null ? "nothing yet" : spanText(stats.countedMs)],
    ["wake-ups", `${counts(stats.wakeUps)}; ${rode} more rode along`],
    ["wake-ups/h", rates],
    ["by hour", `${stats.wakeUpsByHour.join(" ")} (the present one last)`],
    ["wire bytes", `${stats.wireBytes}, ${short(stats.wireBytesPerHour)} an hour`],
    ["energy", `${perDay}; ${short(energy.joules)} J so far (${energy.radios.join(", ")})`],
    [
      "deaf",
      `at most ${spanText(stats.deafMs)}, ${stats.deafMsPerDay === null ? "-" : spanText(stats.deafMsPerDay)} a day`,
    ],
    ["links lost", counts(stats.linksLost)],
    ["tries failed", counts(stats.triesFailed)],
    [
      "alarms late",
      `${alarmsLate.join(" / ")} by up to 1 s / 10 s / 1 min / more; at most ${spanText(stats.alarmLateMsMax)}`,
    ],
    ["when idle", idle],
    ["network", `${name(network.label)}: a ping after ${spanText(network.intervalMs)}, ${learning}`],
  ];
  return [
    ...lines.flatMap(([what, text]) => (text === null ? [] : [`${what.padEnd(14)}${text}`])),
    ...shown.map(({ label, loMs, hiMs, confidence, losses }) => {
      const hi = hiMs === null ? "…" : spanText(hiMs);
      return `  ${name(label)}: survives [${spanText(loMs)}, ${hi}], confidence ${confidence}, ${losses} lost`;
    }),
    ...(networks.length > shown.length ? [`  and ${networks.length - shown.length} more (--json)`] : []),
  ];
}

const BOUNDS = {
  freshness: "the subscriptions' freshness",
  service: "the service's idle limit",
  network: "the network",
} as const;

/** A label is whatever a network calls itself: it must not write to the terminal. */
function name(label: string): string {
  return label === "" ? "unnamed" : label.replace(/\p{C}/gu, "?");
}

function counts(byCause: Readonly<Record<string, number>>, text: (count: number) => string = String): string {
  const parts = Object.entries(byCause).map(([cause, count]) => `${cause} ${text(count)}`);
  return parts.length === 0 ? "none" : parts.join(", ");
}

function short(value: number | null): string {
  return value === null ? "-" : threeDigits(value);
}
