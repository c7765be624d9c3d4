// SPDX-License-Identifier: MIT
/** What the connection costs: two plots by the hour, the same as a table, and the rates. */

import { RADIO_NAMES, type RadioName } from "../energy.ts";
import { spanText } from "../figures.ts";
import { RATES_AFTER_MS } from "../limits.ts";
import { STATS_DEFAULTS, statsOf } from "../stats.ts";
import { type Child, h, svg } from "./dom.ts";
import type { Model } from "./model.ts";
import { barsOf, type PlotHour, plotHours } from "./plot.ts";
import { clockText, numberText } from "./words.ts";

/** Of the drawing; it is stretched to the room there is. */
const [WIDTH, HEIGHT] = [240, 72];

export function energySection(model: Model, chooseRadio: (radio: RadioName | null) => void): Child[] {
  const hours = plotHours(model, model.radio);
  const stats = statsOf(model.status, { ...STATS_DEFAULTS, radio: model.radio });
  const { energy, wakeUpsPerHour, countedMs } = stats;
  const counted = countedMs === null ? "Nothing is counted yet." : `Counted for ${spanText(countedMs)}.`;
  const rates =
    wakeUpsPerHour === null
      ? `Rates are told after ${spanText(RATES_AFTER_MS)}.`
      : `${numberText(wakeUpsPerHour.all)} wake-ups an hour on average, about ${numberText(energy.joulesPerDay)} J a day: ${numberText(energy.batteryPercentPerDay)} % of a ${energy.batteryMah} mAh battery at ${energy.batteryV} V.`;
  return [
    h("p", {}, `${counted} ${rates}`),
    plot("Wake-ups per hour", "wake-ups", hours, ({ wakeUps }) => wakeUps, model),
    plot("Joules per hour, estimated", "J", hours, ({ joules }) => joules, model),
    h(
      "p",
      { class: "row" },
      h("label", { for: "radio" }, "Estimate for"),
      radioChoice(energy.radios, chooseRadio),
    ),
    h("details", {}, h("summary", {}, "The figures as a table"), table(hours, model.atEpochMs)),
  ];
}

function plot(
  title: string,
  unit: string,
  hours: readonly PlotHour[],
  figureOf: (hour: PlotHour) => number | null,
  { atEpochMs }: Model,
): HTMLElement {
  const values = hours.map(figureOf);
  const { max, bars } = barsOf(values, WIDTH, HEIGHT);
  const known = values.filter((value) => value !== null);
  const sum = known.reduce((total, value) => total + value, 0);
  const last = values.at(-1) ?? null;
  const summary = `${title}: the last hour ${numberText(last)}, in all ${numberText(sum)} ${unit} in ${known.length} of ${hours.length} hours, at most ${numberText(Math.max(0, ...known))}.`;
  const drawing = svg(
    "svg",
    {
      role: "img",
      "aria-label": summary,
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      class: "plot",
    },
    ...[0, 0.5, 1].map((share) =>
      svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * share, y2: HEIGHT * share }),
    ),
    ...bars.map((bar, index) => {
      const hour = hours[index];
      if (bar === null || hour === undefined) return null;
      const from = clockText(hour.fromEpochMs, atEpochMs);
      const { x, y, width, height } = bar;
      const label = svg("title", {}, `${from}: ${numberText(figureOf(hour))} ${unit}`);
      return svg("rect", { class: "bar", x, y, width, height }, label);
    }),
  );
  const [first, middle] = [hours[0], hours[hours.length / 2]].map((hour) =>
    hour === undefined ? "" : clockText(hour.fromEpochMs, hour.fromEpochMs),
  );
  return h(
    "figure",
    {},
    h("figcaption", {}, title),
    h("div", { class: "axes" }, axis("y", numberText(max), numberText(max / 2), "0"), drawing),
    axis("x", first ?? "", middle ?? "", clockText(atEpochMs, atEpochMs)),
  );
}

/** The drawing's label has it in words. */
function axis(which: "x" | "y", ...labels: readonly string[]): HTMLElement {
  return h("div", { class: which, "aria-hidden": "true" }, ...labels.map((label) => h("span", {}, label)));
}

function radioChoice(radios: readonly RadioName[], choose: (radio: RadioName | null) => void): HTMLElement {
  const onchange = ({ target }: Event): void => {
    const { value } = target as HTMLSelectElement;
    choose(RADIO_NAMES.find((name) => name === value) ?? null);
  };
  return h(
    "select",
    { id: "radio", onchange },
    h("option", { value: "" }, `the networks used (${radios.join(", ")})`),
    ...RADIO_NAMES.map((name) => h("option", { value: name }, name)),
  );
}

function table(hours: readonly PlotHour[], nowEpochMs: number): HTMLElement {
  const known = hours.filter(({ wakeUps }) => wakeUps !== null).reverse();
  const row = ({ fromEpochMs, wakeUps, joules }: PlotHour) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, clockText(fromEpochMs, nowEpochMs)),
      h("td", {}, numberText(wakeUps)),
      h("td", {}, numberText(joules)),
    );
  const head = ["Hour from", "Wake-ups", "Joules (estimate)"].map((text) => h("th", { scope: "col" }, text));
  return h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, known.map(row)));
}
