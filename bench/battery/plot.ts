// SPDX-License-Identifier: MIT
/** Energy against deafness of every algorithm in one scenario, both axes logarithmic, as an SVG. */

export interface Point {
  readonly name: string;
  readonly joulesDay: number;
  readonly deafMinDay: number;
}

const WIDTH = 860;
const HEIGHT = 560;
const LEFT = 70;
const BOTTOM = 60;
/** Less deafness than this is drawn as this. */
const DEAF_MIN = 0.1;

export function plotSvg(title: string, points: readonly Point[]): string {
  const xs = scale(
    points.map(({ deafMinDay }) => Math.max(deafMinDay, DEAF_MIN)),
    LEFT,
    WIDTH - 150,
  );
  const ys = scale(
    points.map(({ joulesDay }) => joulesDay),
    HEIGHT - BOTTOM,
    40,
  );
  const marks = points.map(({ name, joulesDay, deafMinDay }) => {
    const x = xs.at(Math.max(deafMinDay, DEAF_MIN)).toFixed(1);
    const y = ys.at(joulesDay).toFixed(1);
    const fill = name.startsWith("godwit") ? "#0a7" : name === "oracle" ? "#333" : "#c60";
    return `<circle cx="${x}" cy="${y}" r="5" fill="${fill}"/><text x="${x}" y="${y}" dx="8" dy="4">${name}</text>`;
  });
  const gridX = xs.ticks.map(
    (tick) =>
      `<line x1="${xs.at(tick)}" x2="${xs.at(tick)}" y1="40" y2="${HEIGHT - BOTTOM}" class="grid"/>` +
      `<text x="${xs.at(tick)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${tick}</text>`,
  );
  const gridY = ys.ticks.map(
    (tick) =>
      `<line x1="${LEFT}" x2="${WIDTH - 150}" y1="${ys.at(tick)}" y2="${ys.at(tick)}" class="grid"/>` +
      `<text x="${LEFT - 8}" y="${ys.at(tick) + 4}" text-anchor="end">${tick}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<style>.grid{stroke:#ddd}</style><rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="${LEFT}" y="24" font-size="15">${title}: joules a day against deaf minutes a day</text>`,
    ...gridX,
    ...gridY,
    ...marks,
    `<text x="${(LEFT + WIDTH - 150) / 2}" y="${HEIGHT - 14}" text-anchor="middle">deaf minutes a day</text>`,
    `<text transform="translate(18 ${HEIGHT / 2}) rotate(-90)" text-anchor="middle">joules a day</text>`,
    "</svg>",
    "",
  ].join("\n");
}

/** Logarithmic, over whole powers of ten. */
function scale(values: readonly number[], from: number, to: number) {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  return {
    at: (value: number) => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
    ticks: Array.from({ length: high - low + 1 }, (_, i) => Number((10 ** (low + i)).toPrecision(1))),
  };
}
