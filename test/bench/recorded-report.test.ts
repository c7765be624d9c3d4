// SPDX-License-Identifier: MIT
// Goal: README.md claims nothing that the report has no figure for. Method: the rows and figures that are in the repository, beside what
// README.md shows and says.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import budgets from "../../bench/budgets.json" with { type: "json" };
import { budgetName } from "../../bench/harness.ts";
import { FIGURE_PX, figureSvg } from "../../bench/plot.ts";
import { figuresOf } from "../../bench/reporting/figures.ts";
import { isBattery, isMeasured, readRecordings } from "../../bench/reporting/recording.ts";

describe("the report in the repository", () => {
  const REPORT = "bench/report";
  const readme = readFileSync("README.md", "utf8");
  const recordings = readRecordings(readFileSync(`${REPORT}/rows.jsonl`, "utf8"));
  const rows = recordings.flatMap((recording) => recording.rows);
  const shown = [...readme.matchAll(/!\[([^\]]*)\]\((bench\/report\/[^)]+)\)/g)];

  test("the figures that README.md shows are there, are told in words, and are those of the rows", () => {
    expect(shown.length).toBeGreaterThan(3);
    const made = new Map(figuresOf(recordings).map(({ name, figure }) => [name, figure]));
    for (const [, alt = "", path = ""] of shown) {
      expect(alt.length).toBeGreaterThan(20);
      const figure = made.get(path.slice(REPORT.length + 1, -".svg".length));
      if (figure === undefined) throw new Error(`no rows for ${path}`);
      expect(readFileSync(path, "utf8")).toBe(figureSvg(figure, FIGURE_PX));
    }
  });

  test("nothing else lies there but for what a run leaves", () => {
    const shownFiles = shown.map(([, , path = ""]) => path.slice(REPORT.length + 1));
    const ignored = readFileSync(".gitignore", "utf8");
    for (const name of shownFiles) expect(ignored).toContain(`!${REPORT}/${name}\n`);
    for (const name of shownFiles) expect(readdirSync(REPORT)).toContain(name);
  });

  test("README.md says the limits that are checked, of cases that were measured", () => {
    const claims = [...readme.matchAll(/^\|.*\| ([^|]+) \| `(\w+) ([^`]+)` \|$/gm)];
    expect(claims.length).toBeGreaterThan(12);
    for (const [, limits = "", suite = "", name = ""] of claims) {
      const said = [...limits.matchAll(/([\d.]+) (×|MB|ms|KiB|frames)/g)].map(
        ([, number, unit = ""]) => Number(number) * ({ MB: 1e6, KiB: 1024 }[unit] ?? 1),
      );
      expect([name, said.toSorted()]).toEqual([name, limitsOf(suite, name).toSorted()]);
      if (suite === "bundle") continue;
      const isThere = rows.some((one) =>
        isBattery(one)
          ? `${one.scenario}/${one.algorithm}` === name
          : isMeasured(one) && one.suite === suite && budgetName(one) === name,
      );
      expect([name, isThere]).toEqual([name, true]);
    }
  });

  test("says what it was measured on", () => {
    for (const { board: of } of recordings)
      expect(of).toMatchObject({
        command: expect.stringMatching(/^npm run bench -- /),
        cpus: expect.any(Number),
      });
  });

  /** Numbers of bench/budgets.json. */
  function limitsOf(suite: string, name: string): number[] {
    const {
      bench,
      battery: energy,
      bundle,
    } = budgets as unknown as Record<string, Record<string, Record<string, unknown>>>;
    if (suite === "battery") return [Number(energy?.[name]?.ratioOracleMax)];
    return Object.values(
      (suite === "bundle" ? bundle?.[name] : bench?.[suite]?.[name]) as Record<string, number>,
    );
  }
});
