// SPDX-License-Identifier: MIT
/**
 * The report as one page: figures in both widths inside it, the rows of each as a table, what it was measured on. No script, nothing
 * from elsewhere.
 */

import { type Budget, budgetName, type Row } from "../harness.ts";
import { escapeXml, short, THEMES, type Theme } from "../plot/svg.ts";
import { FIGURE_PX, figureSvg } from "../plot.ts";
import { type MadeFigure, machineOf, valueText } from "./figures.ts";
import { isBattery, isMeasured, type Recording } from "./recording.ts";

const NARROW_PX = 336;

export interface Page {
  readonly figures: readonly MadeFigure[];
  readonly recordings: readonly Recording[];
  /** By suite and case, as bench/budgets.json has them. */
  readonly budgets: Readonly<Record<string, Readonly<Record<string, Budget>>>>;
}

export function reportPage({ figures, recordings, budgets }: Page): string {
  const boards = recordings.flatMap(({ board }) => (board === null ? [] : [board]));
  const taken = boards
    .map(({ takenAt }) => takenAt)
    .filter((one) => typeof one === "string")
    .toSorted();
  const machines = [...new Set(boards.map(machineOf))];
  const suites = [...new Set(recordings.flatMap(({ rows }) => rows.map(({ suite }) => suite)))];
  return [
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<title>Godwit: what it costs</title>\n<style>${CSS}</style>\n</head>\n<body>`,
    "<header>\n<h1>Godwit: what it costs</h1>",
    "<p>Every figure is measured beside its peers, each side in every round, in changing order; energy is simulated. Compare figures of one machine with each other, and ratios across machines. Less is better, but for messages a second.</p>",
    ...(taken.length === 0 ? [] : [`<p>Taken ${when(taken)} on:</p>`]),
    ...(machines.length === 0
      ? ["<p>On what it was measured was not written down.</p>"]
      : [`<ul>${machines.map((machine) => `<li>${escapeXml(machine)}</li>`).join("")}</ul>`]),
    `<nav aria-label="Figures"><ol>${figures.map(({ name, figure }) => `<li><a href="#${name}">${escapeXml(figure.title)}</a></li>`).join("")}<li><a href="#rows">All rows</a></li></ol></nav>`,
    "</header>\n<main>",
    ...figures.map((one) => sectionOf(one, budgets)),
    '<section id="rows">\n<h2>All rows</h2>',
    ...suites.map((suite) => suiteOf(suite, recordings, budgets)),
    "</section>\n</main>\n</body>\n</html>\n",
  ].join("\n");
}

function when(taken: readonly (string | number | null | undefined)[]): string {
  const [first, last] = [String(taken[0]).slice(0, 16), String(taken.at(-1)).slice(0, 16)].map((one) =>
    one.replace("T", " "),
  );
  return first === last ? `${first} UTC` : `${first} to ${last} UTC`;
}

function sectionOf({ name, figure, rows }: MadeFigure, budgets: Page["budgets"]): string {
  const alt = escapeXml(`${figure.title}. ${figure.description} The table below has the numbers.`);
  const measured = rows.filter(isMeasured);
  const table =
    measured.length > 0
      ? measuredTable(figure.title, measured, budgets)
      : batteryTable(figure.title, rows.filter(isBattery));
  return [
    `<section id="${name}">\n<h2>${escapeXml(figure.title)}</h2>`,
    `<p>${escapeXml(figure.description)}</p>`,
    "<figure>\n<picture>",
    `<source media="(max-width: ${FIGURE_PX + 40}px)" srcset="${dataUrl(figureSvg(figure, NARROW_PX))}">`,
    `<img src="${dataUrl(figureSvg(figure, FIGURE_PX))}" alt="${alt}">`,
    "</picture>\n</figure>",
    `<details><summary>The numbers</summary>\n${table}\n</details>\n</section>`,
  ].join("\n");
}

function suiteOf(suite: string, recordings: readonly Recording[], budgets: Page["budgets"]): string {
  const rows = recordings.flatMap((recording) => recording.rows.filter((row) => row.suite === suite));
  const battery = rows.filter(isBattery);
  const caption = `Every row of ${suite}`;
  const table =
    battery.length > 0
      ? batteryTable(caption, battery)
      : measuredTable(caption, rows.filter(isMeasured), budgets);
  return `<details><summary>${escapeXml(suite)}</summary>\n${table}\n</details>`;
}

function measuredTable(caption: string, rows: readonly Row[], budgets: Page["budgets"]): string {
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

function batteryTable(caption: string, rows: readonly Parameters<typeof isBattery>[0][]): string {
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

/** Wider than a phone, so it scrolls by itself. */
function tableOf(caption: string, heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) =>
    `<tr><th scope="row">${escapeXml(cells[0] ?? "")}</th>${cells
      .slice(1)
      .map((cell) => `<td>${escapeXml(cell)}</td>`)
      .join("")}</tr>`;
  return [
    `<div class="scroll" role="region" tabindex="0" aria-label="${escapeXml(caption)}">`,
    `<table>\n<caption>${escapeXml(caption)}</caption>`,
    `<thead><tr>${heads.map((head) => `<th scope="col">${escapeXml(head)}</th>`).join("")}</tr></thead>`,
    `<tbody>\n${lines.map(row).join("\n")}\n</tbody>\n</table>\n</div>`,
  ].join("\n");
}

function dataUrl(svg: string): string {
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
}

const variables = ({ paper, text, note, grid, roles }: Theme): string =>
  `--paper:${paper};--text:${text};--note:${note};--grid:${grid};--link:${roles.other}`;

const CSS = [
  `:root{color-scheme:light dark;${variables(THEMES.light)}}`,
  `@media(prefers-color-scheme:dark){:root{${variables(THEMES.dark)}}}`,
  "body{margin:0 auto;max-width:800px;padding:0 12px 48px;background:var(--paper);color:var(--text);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}",
  "h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;line-height:1.3;margin-top:2.5rem}a{color:var(--link)}",
  "figure{margin:0}img{display:block;max-width:100%;height:auto}nav ol,header ul{padding-left:1.4rem}",
  "summary{cursor:pointer;padding:4px 0}.scroll{overflow-x:auto;border:1px solid var(--grid)}",
  "table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}caption{text-align:start;padding:4px 8px;color:var(--note)}",
  "th,td{padding:3px 8px;text-align:start;white-space:nowrap;border-top:1px solid var(--grid);font-weight:400}thead th{font-weight:600}",
].join("\n");
