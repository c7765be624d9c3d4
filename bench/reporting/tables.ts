// SPDX-License-Identifier: MIT
/** Rows as tables of the page: each with a caption, wider than a phone and therefore scrolling by itself. */

import type { ProofRow } from "../../scripts/proof.mjs";
import { type Budget, budgetName, type Row } from "../harness.ts";
import { escapeXml, short } from "../plot/svg.ts";
import { valueText } from "./drafts.ts";
import { proofText } from "./proof.ts";
import { isBattery } from "./recording.ts";

/** By suite and case, as bench/budgets.json has them. */
export type Budgets = Readonly<Record<string, Readonly<Record<string, Budget>>>>;

export function measuredTable(caption: string, rows: readonly Row[], budgets: Budgets): string {
  const heads = [
    "case",
    "runtime",
    "median",
    "quartiles",
    "rounds",
    "beside",
    "median",
    "quartiles",
    "ratio",
    "limit",
  ];
  const lines = rows.map((row) => [
    row.case,
    row.runtime,
    valueText(row.value, row.unit),
    quartiles(row.low, row.high),
    row.rounds === undefined ? "" : String(row.rounds),
    row.peer ?? "",
    row.peerValue === null ? "" : valueText(row.peerValue, row.unit),
    quartiles(row.peerLow, row.peerHigh),
    row.ratio === null ? "" : row.ratio.toFixed(3),
    limitText(budgets[row.suite]?.[budgetName(row)]),
  ]);
  return tableOf(caption, heads, lines);
}

export function batteryTable(caption: string, rows: readonly Parameters<typeof isBattery>[0][]): string {
  const heads = [
    "scenario",
    "algorithm",
    "J/day",
    "quartiles",
    "deaf min/day",
    "quartiles",
    "lost",
    "wake-ups/h",
    "× oracle",
    "seeds",
  ];
  const lines = rows
    .filter(isBattery)
    .map((row) => [
      row.scenario,
      row.algorithm,
      short(row.joulesDay),
      quartiles(row.joulesDayLow, row.joulesDayHigh),
      short(row.deafMinDay),
      quartiles(row.deafMinDayLow, row.deafMinDayHigh),
      String(row.lost),
      short(row.wakeH),
      row.ratioOracle === null ? "" : row.ratioOracle.toFixed(3),
      row.seeds,
    ]);
  return tableOf(caption, heads, lines);
}

/** A column for each name of a figure. */
export function proofTable(caption: string, rows: readonly ProofRow[]): string {
  const names = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))];
  const lines = rows.map((row) => [
    row.case,
    ...names.map((name) => {
      const figure = row.figures[name];
      return figure === undefined ? "" : proofText(figure);
    }),
  ]);
  return tableOf(caption, ["case", ...names], lines);
}

function quartiles(low: number | null | undefined, high: number | null | undefined): string {
  return typeof low === "number" && typeof high === "number" ? `${short(low)} – ${short(high)}` : "";
}

/** What `--check` holds it to. */
function limitText(budget: Budget | undefined): string {
  const { ratioMax, valueMax } = budget ?? {};
  return [ratioMax === undefined ? "" : `× ${ratioMax}`, valueMax === undefined ? "" : short(valueMax)]
    .filter((one) => one !== "")
    .join(", ");
}

/** What begins with a number, and says no more than its unit. */
const NUMBER = /^[\d.,]+( ?– ?[\d.,]+)?( \S+)?$/;

/** Wider than a phone, so it scrolls by itself. */
function tableOf(caption: string, heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) =>
    `<tr><th scope="row">${escapeXml(cells[0] ?? "")}</th>${cells
      .slice(1)
      .map((cell) => `<td${NUMBER.test(cell) ? ' class="number"' : ""}>${escapeXml(cell)}</td>`)
      .join("")}</tr>`;
  return [
    `<div class="scroll" role="region" tabindex="0" aria-label="${escapeXml(caption)}">`,
    `<table>\n<caption>${escapeXml(caption)}</caption>`,
    `<thead><tr>${heads.map((head) => `<th scope="col">${escapeXml(head)}</th>`).join("")}</tr></thead>`,
    `<tbody>\n${lines.map(row).join("\n")}\n</tbody>\n</table>\n</div>`,
  ].join("\n");
}
