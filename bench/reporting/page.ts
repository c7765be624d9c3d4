// SPDX-License-Identifier: MIT
/**
 * The report as one page: figures in both widths inside it, the rows of each as a table, what it was measured on. No script, nothing
 * from elsewhere.
 */

import { escapeXml, THEMES, type Theme } from "../plot/svg.ts";
import { FIGURE_PX, type Figure, figureSvg } from "../plot.ts";
import { type MadeFigure, machineOf } from "./figures.ts";
import { PROOFS, type Proof, proofFigures } from "./proof.ts";
import { isBattery, isMeasured, isProof, type Recording } from "./recording.ts";
import { type Budgets, batteryTable, measuredTable, proofTable } from "./tables.ts";

/** Of figures on a phone: 320 px less the margins of the page. */
const NARROW_PX = 296;

export interface Page {
  readonly figures: readonly MadeFigure[];
  readonly recordings: readonly Recording[];
  /** Of the long suites. */
  readonly proofs: readonly Recording[];
  readonly budgets: Budgets;
}

export function reportPage({ figures, recordings, proofs, budgets }: Page): string {
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
    `<title>Godwit: what it costs, and what was proved of it</title>\n<style>${CSS}</style>\n</head>\n<body>`,
    "<header>\n<h1>Godwit: what it costs, and what was proved of it</h1>",
    "<p>Every figure is measured beside its peers, each side in every round, in changing order; energy is simulated. Compare figures of one machine with each other, and ratios across machines. Less is better, but for messages a second.</p>",
    ...(taken.length === 0 ? [] : [`<p>Taken ${when(taken)} on:</p>`]),
    ...(machines.length === 0
      ? ["<p>On what it was measured was not written down.</p>"]
      : [`<ul>${machines.map((machine) => `<li>${escapeXml(machine)}</li>`).join("")}</ul>`]),
    `<nav aria-label="Figures"><ol>${figures.map(({ name, figure }) => `<li><a href="#${name}">${escapeXml(figure.title)}</a></li>`).join("")}${PROOFS.map(({ suite, title }) => `<li><a href="#${suite}">${escapeXml(title)}</a></li>`).join("")}<li><a href="#rows">All rows</a></li></ol></nav>`,
    "</header>\n<main>",
    ...figures.map((one) => sectionOf(one, budgets)),
    ...PROOFS.map((proof) => proofSectionOf(proof, proofs)),
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

function sectionOf({ name, figure, rows }: MadeFigure, budgets: Budgets): string {
  const measured = rows.filter(isMeasured);
  const table =
    measured.length > 0
      ? measuredTable(figure.title, measured, budgets)
      : batteryTable(figure.title, rows.filter(isBattery));
  return [
    `<section id="${name}">\n<h2>${escapeXml(figure.title)}</h2>`,
    `<p>${escapeXml(figure.description)}</p>`,
    pictureOf(figure),
    `<details><summary>The numbers</summary>\n${table}\n</details>\n</section>`,
  ].join("\n");
}

/** The figure in both widths; the section's heading is its title already. */
function pictureOf(figure: Figure): string {
  const alt = escapeXml(`${figure.title}. ${figure.description} The table below has the numbers.`);
  return [
    "<figure>\n<picture>",
    `<source media="(max-width: ${FIGURE_PX + 40}px)" srcset="${dataUrl(figureSvg(figure, NARROW_PX, false))}">`,
    `<img src="${dataUrl(figureSvg(figure, FIGURE_PX, false))}" alt="${alt}">`,
    "</picture>\n</figure>",
  ].join("\n");
}

/** What a long suite found, or that it was not run. */
function proofSectionOf({ suite, title, description, command }: Proof, proofs: readonly Recording[]): string {
  const own = proofs
    .map(({ board, rows }) => ({ board, rows: rows.filter(isProof).filter((row) => row.suite === suite) }))
    .filter(({ rows }) => rows.length > 0);
  const rows = own.flatMap((recording) => recording.rows);
  const notes = [
    ...new Set(
      own.map(({ board }) =>
        board === null
          ? "machine not recorded"
          : `${board.command}, ${String(board.takenAt).slice(0, 10)}. ${machineOf(board)}`,
      ),
    ),
  ];
  const found =
    rows.length === 0
      ? [`<p class="note">Not run: <code>${escapeXml(command)}</code> does.</p>`]
      : [
          proofTable(title, rows),
          ...notes.map((note) => `<p class="note">${escapeXml(note)}</p>`),
          ...proofFigures(title, rows, notes).map(pictureOf),
        ];
  return [
    `<section id="${suite}">\n<h2>${escapeXml(title)}</h2>`,
    `<p>${escapeXml(description)}</p>`,
    ...found,
    "</section>",
  ].join("\n");
}

function suiteOf(suite: string, recordings: readonly Recording[], budgets: Budgets): string {
  const rows = recordings.flatMap((recording) => recording.rows.filter((row) => row.suite === suite));
  const battery = rows.filter(isBattery);
  const caption = `Every row of ${suite}`;
  const table =
    battery.length > 0
      ? batteryTable(caption, battery)
      : measuredTable(caption, rows.filter(isMeasured), budgets);
  return `<details><summary>${escapeXml(suite)}</summary>\n${table}\n</details>`;
}

function dataUrl(svg: string): string {
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
}

const variables = ({ paper, text, note, grid, roles }: Theme): string =>
  `--paper:${paper};--text:${text};--note:${note};--grid:${grid};--link:${roles.other}`;

const CSS = [
  `:root{color-scheme:light dark;${variables(THEMES.light)}}`,
  `@media(prefers-color-scheme:dark){:root{${variables(THEMES.dark)}}}`,
  "body{margin:0 auto;max-width:60rem;padding:0 12px 48px;background:var(--paper);color:var(--text);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}",
  "h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.2rem;line-height:1.3;margin-top:2.5rem}a{color:var(--link)}",
  "p,header ul{max-width:46rem}.note{font-size:.85rem;color:var(--note)}code{font-size:.9em}",
  `figure{margin:0}img{display:block;width:100%;max-width:${FIGURE_PX}px;height:auto}@media(max-width:${FIGURE_PX + 40}px){img{max-width:${1.5 * NARROW_PX}px}}`,
  "nav ol,header ul{padding-left:1.4rem}",
  "summary{cursor:pointer;padding:4px 0}.scroll{overflow-x:auto;border:1px solid var(--grid)}",
  "table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;overflow-wrap:normal}caption{text-align:start;padding:4px 8px;color:var(--note)}",
  "th,td{padding:3px 8px;text-align:start;white-space:nowrap;border-top:1px solid var(--grid);font-weight:400}thead th{font-weight:600}td.number{text-align:end}",
].join("\n");
