// SPDX-License-Identifier: MIT
/**
 * What README.md and docs/operating-a-push-service.md claim in numbers: written from the recorded rows and bench/budgets.json, each with a
 * link to the figure of the report that it stands in.
 */

import type { BatteryRow } from "../battery/suite.ts";
import type { BatteryBudget } from "../battery.ts";
import { type Budget, budgetName, type Row } from "../harness.ts";
import { short } from "../plot/svg.ts";
import { valueText } from "./drafts.ts";
import type { MadeFigure } from "./figures.ts";
import { isBattery, isMeasured } from "./recording.ts";

/** bench/budgets.json. */
export interface AllBudgets {
  readonly bundle: Readonly<
    Record<string, { readonly bytesMax: number; readonly gzipBytesMax: number } | undefined>
  >;
  readonly bench: Readonly<Record<string, Readonly<Record<string, Budget | undefined>>>>;
  readonly battery: Readonly<Record<string, BatteryBudget | undefined>>;
}

/** A claim that is checked: what, beside what, and its case. */
const CLAIMS: readonly (readonly [what: string, beside: string, suite: string, name: string])[] = [
  ["decrypt 200 B with node:crypto", "`http_ece`", "decrypt", "native-200B"],
  ["all but the ECDH, noble, 200 B", "bare noble ECDH", "decrypt", "noble-overhead-200B"],
  ["decrypt 200 B in `godwitd`, OpenSSL", "noble in the same engine", "decrypt", "native-200B@godwitd"],
  [
    "read a declarative message with two actions",
    "its bare `TextDecoder`, `JSON.parse`, `URL` calls",
    "parse",
    "parse-typical",
  ],
  ["`godwitd` over TLS with 100 subscriptions, anonymous memory", "", "footprint", "anon-100subs@godwitd"],
  ["the same, resident, with its shared libraries", "", "footprint", "rss-100subs@godwitd"],
  ["from exec until it dials", "agent on Node", "footprint", "start-to-connect@godwitd"],
  ["`godwitd` stripped, without shared libraries", "", "footprint", "stripped@godwitd"],
  ["a message to one of 10,000 subscriptions", "one of 10", "growth", "dispatch-10000subs"],
  ["each of 10,000 queued messages, drained", "each of 100", "growth", "drain-10000msgs"],
  ["acknowledgements of those", "", "growth", "drain-acks-10000msgs"],
  ["the push service takes one more behind 10,000", "behind 100", "growth", "put-10000queued"],
  ["and with 15,000 devices connected", "100", "growth", "message-15000devices"],
  [
    "a message through the push service with LMDB, every 201 flushed, 100 devices, 256 POSTs under way",
    "`node:http` and `ws` relay that keeps nothing",
    "delivery",
    "lmdb-100x256",
  ],
  [
    "bytes of a message that comes by itself, and its acknowledgement, WebSocket",
    "dialect `autopush`",
    "delivery",
    "wire-websocket",
  ],
  ["the same, MQTT", "dialect `autopush`", "delivery", "wire-mqtt"],
  ["a connected device that is idle, in the push service's memory", "", "delivery", "idle-connection"],
  ["a commuter's week, energy", "an oracle that knows every idle timeout", "battery", "commuter-7d/godwit"],
  ["the same, low urgency may wait 20 min", "the oracle", "battery", "commuter-7d/godwit-hold"],
  ["QuickJS bundle of the agent, and gzipped", "", "bundle", "quickjs"],
  ["`godwit/apps` for pages, and gzipped", "", "bundle", "apps"],
];
const NOT_MEASURED = "not measured";
/** An estimate of less than this says nothing, J/day. */
const JOULES_DAY_MIN = 20;

/** Finds rows and the figures they stand in. */
export class Claims {
  readonly #figures: readonly MadeFigure[];
  readonly #report: string;

  /** `report`: the page, from the document that links to it. */
  constructor(figures: readonly MadeFigure[], report: string) {
    this.#figures = figures;
    this.#report = report;
  }

  /** Of README.md: limits, and what was measured. */
  table(budgets: AllBudgets): string {
    const lines = CLAIMS.map(([what, beside, suite, name]) => {
      const [limit, measured] = this.#limitAndMeasured(budgets, suite, name);
      return `| ${[what, beside, limit, measured, `\`${suite} ${name}\``].join(" | ")} |`;
    });
    return ["| | Beside | At most | Measured | Case |", "|---|---|---|---|---|", ...lines].join("\n");
  }

  /** Of README.md: what the agent today cannot hold. */
  limits(): string {
    const row = this.#battery("random-nats/godwit");
    const { networksHeldShare: held, ratioOracleHeld, deafMinDayHeld } = row ?? {};
    const said =
      row === null || held === undefined || ratioOracleHeld === undefined || deafMinDayHeld === undefined
        ? NOT_MEASURED
        : this.#linked(
            row,
            `${two(row.ratioOracle)} of the oracle's energy and ${short(Math.round(row.deafMinDay))} deaf minutes a day over all networks, ` +
              `${two(ratioOracleHeld)} and ${two(deafMinDayHeld)} deaf minutes over the ${Math.round(held * 100)} % that are held`,
          );
    return `Where a network forgets idle links within a few minutes, the agent today prefers battery to being reachable at every moment: 30 wake-ups an hour
cannot hold a link that is forgotten within two minutes. Scenario \`random-nats\`: ${said}.`;
  }

  /** Of README.md: how far the estimate of \`godwit stats\` is from what the simulator spent. */
  estimate(): string {
    const rows = this.#figures.flatMap(({ rows: of }) => of.filter(isBattery));
    const told = rows.filter(({ joulesToldRatio }) => typeof joulesToldRatio === "number");
    const off = ({ joulesToldRatio = Number.NaN }: BatteryRow) => Math.abs(joulesToldRatio - 1);
    const worst = told
      .filter(({ joulesDay }) => joulesDay >= JOULES_DAY_MIN)
      .toSorted((a, b) => off(b) - off(a))[0];
    const said =
      worst === undefined
        ? NOT_MEASURED
        : this.#linked(
            worst,
            `within ${Math.ceil(off(worst) * 100)} % of what a day took (scenario \`${worst.scenario}\`)`,
          );
    return `Joules are an estimate from counters and published radio models, not a measurement: good to compare with, and in the simulator ${said}.`;
  }

  /** Of docs/operating-a-push-service.md. */
  sizing(): string {
    const cell = (name: string, text: (row: Row) => string) => {
      const row = this.#row("delivery", name);
      return row === null ? NOT_MEASURED : this.#linked(row, text(row));
    };
    const kilobytes = ({ value }: Row) => `${short(value / 1000)} KB`;
    const milliseconds = ({ value }: Row) => `${short(value / 1000)} ms of a core`;
    return [
      "| | plain, behind a proxy with TLS | TLS in the process |",
      "|---|---|---|",
      `| an idle device, resident memory | ${cell("idle-connection", kilobytes)} | ${cell("idle-connection-tls", kilobytes)} |`,
      `| a device that comes, token and link | ${cell("connect-cpu", milliseconds)} | ${cell("connect-cpu-tls", milliseconds)} |`,
      `| a message of 200 B stored for an absent device, on disk | ${this.#stored()} | |`,
      `| a message of 200 B to a connected device: POST, flush, delivery, acknowledgement (LMDB, 100 devices, 256 POSTs under way) | ${cell("lmdb-100x256-cpu", milliseconds)} | |`,
    ].join("\n");
  }

  #stored(): string {
    const row = this.#row("growth", "stored-10000queued");
    return row === null ? NOT_MEASURED : this.#linked(row, valueText(row.value, "B"));
  }

  #limitAndMeasured(budgets: AllBudgets, suite: string, name: string): [limit: string, measured: string] {
    if (suite === "bundle") {
      const { bytesMax = Number.NaN, gzipBytesMax = Number.NaN } = budgets.bundle[name] ?? {};
      const [plain, zipped] = [this.#row(suite, name), this.#row(suite, `${name}-gzip`)];
      const both = (a: number, b: number) => [a, b].map((bytes) => `${short(bytes / 1024)} KiB`).join(", ");
      const measured = plain && zipped ? this.#linked(plain, both(plain.value, zipped.value)) : NOT_MEASURED;
      return [both(bytesMax, gzipBytesMax), measured];
    }
    if (suite === "battery") {
      const row = this.#battery(name);
      const limit = `${budgets.battery[name]?.ratioOracleMax} ×`;
      return [limit, row === null ? NOT_MEASURED : this.#linked(row, `${two(row.ratioOracle)} ×`)];
    }
    const row = this.#row(suite, name);
    const budget = budgets.bench[suite]?.[name] ?? {};
    const { valueMax = Number.NaN, ratioMax = Number.NaN } = budget;
    const limit = limited(budget, { value: valueMax, unit: row?.unit ?? "", ratio: String(ratioMax) });
    return [
      limit,
      row === null
        ? NOT_MEASURED
        : this.#linked(row, limited(budget, { ...row, ratio: two(row.ratio ?? Number.NaN) })),
    ];
  }

  #row(suite: string, name: string): Row | null {
    const all = this.#figures.flatMap(({ rows }) => rows.filter(isMeasured));
    return all.find((row) => row.suite === suite && budgetName(row) === name) ?? null;
  }

  #battery(name: string): BatteryRow | null {
    const all = this.#figures.flatMap(({ rows }) => rows.filter(isBattery));
    return all.find((row) => `${row.scenario}/${row.algorithm}` === name) ?? null;
  }

  #linked(row: Row | BatteryRow, text: string): string {
    const figure = this.#figures.find(({ rows }) => rows.includes(row));
    return `[${text}](${this.#report}#${figure?.name ?? "rows"})`;
  }
}

/** A value where one is limited, a ratio where one is. */
function limited(
  budget: Budget,
  { value, unit, ratio }: { value: number; unit: string; ratio: string },
): string {
  const said = [
    budget.valueMax === undefined ? "" : valueText(value, unit),
    budget.ratioMax === undefined ? "" : `${ratio} ×`,
  ];
  return said.filter((one) => one !== "").join(", ");
}

/** Two digits behind the point, or the first two that mean something. */
function two(value: number): string {
  return value < 0.1 ? value.toPrecision(2) : String(Number(value.toFixed(2)));
}
