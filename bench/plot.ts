// SPDX-License-Identifier: MIT
/**
 * Figures as SVG: points by name, ranges by name, lines over a growing number. Each is drawn for a width, reads in light and dark, and
 * says in title and description what is seen, for those who do not see it. Knows nothing of benchmarks.
 */

import { drawLines, type LinePlot } from "./plot/lines.ts";
import { drawRanges, type RangePlot } from "./plot/ranges.ts";
import { drawScatter, type ScatterPlot } from "./plot/scatter.ts";
import { element, escapeXml, STYLE, text, textWidth } from "./plot/svg.ts";

export type { LinePlot, RangePlot, ScatterPlot };
export type Plot = ScatterPlot | RangePlot | LinePlot;

export interface Figure {
  readonly title: string;
  /** What is seen, in a sentence or two. */
  readonly description: string;
  /** Small print: where the figures come from. */
  readonly notes: readonly string[];
  readonly plot: Plot;
}

/** Where there is room. */
export const FIGURE_PX = 760;
const TITLE_PX = 15;
const NOTE_PX = 11;
const MARGIN_PX = 12;

/** One SVG document, `widthPx` wide and as high as it has to be; `hasTitle`: with the title in sight. */
export function figureSvg(figure: Figure, widthPx: number, hasTitle = true): string {
  const { title, description, notes, plot } = figure;
  const room = widthPx - 2 * MARGIN_PX;
  const titles = hasTitle ? wrap(title, room, TITLE_PX) : [];
  const notesWrapped = notes.flatMap((note) => wrap(note, room, NOTE_PX));
  const top = MARGIN_PX + titles.length * (TITLE_PX + 5) + 6;
  const drawn = draw(plot, room);
  const bottom = top + drawn.heightPx + 8;
  const heightPx = bottom + notesWrapped.length * (NOTE_PX + 4) + MARGIN_PX;
  const lines = (of: readonly string[], fromPx: number, stepPx: number, name: string) =>
    of.map((line, i) => text(MARGIN_PX, fromPx + i * stepPx, line, { class: name }));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${widthPx}" height="${heightPx}" viewBox="0 0 ${widthPx} ${heightPx}" role="img" aria-labelledby="title description">`,
    `<title id="title">${escapeXml(title)}</title>`,
    `<desc id="description">${escapeXml(description)}</desc>`,
    `<style>${STYLE}</style>`,
    element("rect", { width: "100%", height: "100%", class: "paper" }),
    ...lines(titles, MARGIN_PX + TITLE_PX, TITLE_PX + 5, "title"),
    `<g transform="translate(${MARGIN_PX} ${top})">`,
    ...drawn.elements,
    "</g>",
    ...lines(notesWrapped, bottom + NOTE_PX, NOTE_PX + 4, "note"),
    "</svg>",
    "",
  ].join("\n");
}

function draw(plot: Plot, widthPx: number) {
  switch (plot.kind) {
    case "scatter":
      return drawScatter(plot, widthPx);
    case "ranges":
      return drawRanges(plot, widthPx);
    case "lines":
      return drawLines(plot, widthPx);
  }
}

/** Lines that fit, broken between words. */
function wrap(sentence: string, widthPx: number, sizePx: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of sentence.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && textWidth(longer, sizePx) > widthPx) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}
