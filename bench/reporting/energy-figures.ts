// SPDX-License-Identifier: MIT
/** Energy against deafness: a figure for each scenario of the battery suite. */

import type { BatteryRow } from "../battery/suite.ts";
import { short } from "../plot/svg.ts";
import type { Draft } from "./drafts.ts";

/** The scenario that stands for all in the first figure. */
const MAIN_SCENARIO = "commuter-7d";
/** Less deafness than this is drawn as this, minutes a day. */
const DEAF_MIN = 0.1;

export function energyFigures(rows: readonly BatteryRow[]): Draft[] {
  const names = [...new Set(rows.map(({ scenario }) => scenario))];
  const sorted = names.toSorted((a, b) => Number(b === MAIN_SCENARIO) - Number(a === MAIN_SCENARIO));
  return sorted.flatMap((scenario) => {
    const used = rows.filter((row) => row.scenario === scenario && row.joulesDay > 0);
    if (used.length === 0) return [];
    const best = used.find(({ algorithm }) => algorithm === "oracle");
    const own = used.find(({ algorithm }) => algorithm === "godwit");
    const told = (row: BatteryRow | undefined) =>
      row === undefined ? "-" : `${short(row.joulesDay)} J and ${short(row.deafMinDay)} deaf minutes a day`;
    const isMain = scenario === MAIN_SCENARIO;
    return {
      name: isMain ? "energy" : `energy-${scenario.replace(/[^\w.-]/g, "_")}`,
      title: `${isMain ? "A commuter's week" : scenario}: energy against deafness, simulated`,
      description: `Each keep-alive algorithm by joules and deaf minutes a day; lower and further left is better. Godwit: ${told(own)}. The oracle, which knows every idle timeout: ${told(best)}.`,
      plot: {
        kind: "scatter",
        xLabel: "deaf minutes a day",
        yLabel: "joules a day",
        xMin: DEAF_MIN,
        points: used.map(({ algorithm, joulesDay, deafMinDay, ...row }) => ({
          xRange: [row.deafMinDayLow ?? deafMinDay, row.deafMinDayHigh ?? deafMinDay],
          yRange: [row.joulesDayLow ?? joulesDay, row.joulesDayHigh ?? joulesDay],
          name: algorithm,
          role: algorithm.startsWith("godwit") ? "ours" : algorithm === "oracle" ? "floor" : "peer",
          x: deafMinDay,
          y: joulesDay,
        })),
      },
      rows: used,
    } satisfies Draft;
  });
}
