// SPDX-License-Identifier: MIT
// Goal: README.md and the guide for operators claim nothing that the report has no figure for. Method: the rows, the page and the figures that
// are in the repository, beside what the documents show and say.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import budgets from "../../bench/budgets.json" with { type: "json" };
import { type Budget, budgetName } from "../../bench/harness.ts";
import { FIGURE_PX, figureSvg } from "../../bench/plot.ts";
import { recordedProofs, writtenDocuments } from "../../bench/report.ts";
import { figuresOf } from "../../bench/reporting/figures.ts";
import { reportPage } from "../../bench/reporting/page.ts";
import { isBattery, isMeasured, readRecordings } from "../../bench/reporting/recording.ts";

const DOCUMENTS = ["README.md", "docs/operating-a-push-service.md"];
describe("the report in the repository", () => {
  const REPORT = "bench/report";
  const readme = readFileSync("README.md", "utf8");
  const recordings = readRecordings(readFileSync(`${REPORT}/rows.jsonl`, "utf8"));
  const rows = recordings.flatMap((recording) => recording.rows);
  const figures = figuresOf(recordings);
  const page = readFileSync(`${REPORT}/index.html`, "utf8");
  const shown = [...readme.matchAll(/!\[([^\]]*)\]\((bench\/report\/[^)]+)\)/g)];

  test("the figures that README.md shows are there, are told in words, and are those of the rows", () => {
    expect(shown.length).toBeGreaterThan(3);
    const made = new Map(figures.map(({ name, figure }) => [name, figure]));
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

  test("the page is that of the rows (else: npm run bench -- report --from bench/report/rows.jsonl)", () => {
    expect(
      page === reportPage({ figures, recordings, proofs: recordedProofs(), budgets: budgets.bench }),
    ).toBe(true);
  });

  test.each(writtenDocuments(recordings, budgets))(
    "%s has the numbers of the rows (else: likewise)",
    (path, text) => {
      expect(readFileSync(path, "utf8")).toBe(text);
    },
  );

  test("README.md says the limits that are checked, and what was measured of each", () => {
    const claims = [...readme.matchAll(/^\|.*\| ([^|]+) \| ([^|]+) \| `(\w+) ([^`]+)` \|$/gm)];
    expect(claims.length).toBeGreaterThan(12);
    for (const [, limits = "", measured = "", suite = "", name = ""] of claims) {
      const { limit, found } = recorded(suite, name);
      expect([name, numbersIn(limits)]).toEqual([name, limit]);
      const said = numbersIn(measured);
      expect([name, said.length]).toEqual([name, found.length]);
      // Rounded for people.
      for (const [i, number] of said.entries())
        expect(Math.abs(number / (found[i] ?? 0) - 1), `${name} ${number}`).toBeLessThan(0.02);
    }
  });

  test("each number that was measured leads to its figure on the page, which has it in its table", () => {
    for (const [path, links] of [...DOCUMENTS].map((path) => [path, linksIn(path)] as const)) {
      expect(links.length).toBeGreaterThan(0);
      for (const [, , anchor = ""] of links)
        expect([path, page.split(`<section id="${anchor}">`).length]).toEqual([path, 2]);
    }
    const claims = [
      ...readme.matchAll(/\(bench\/report\/index\.html#([^)]+)\) \| `(\w+) ([^`/@]+)[^`]*` \|$/gm),
    ];
    expect(claims.length).toBeGreaterThan(12);
    for (const [, anchor = "", , name = ""] of claims) {
      const section = page.split(`<section id="${anchor}">`)[1]?.split("</section>")[0] ?? "";
      expect([anchor, section.includes(`<tr><th scope="row">${name}</th>`)]).toEqual([anchor, true]);
    }
  });

  test("README.md has no number with the unit of a measurement beside those", () => {
    const prose = readme
      .replace(/<!-- begin (\w+) -->[\s\S]*?<!-- end \1 -->/g, "")
      .replace(/^```[\s\S]*?^```$/gm, "")
      .replace(/`[^`\n]*`/g, "");
    const found = [
      ...prose.matchAll(
        /.{0,30}\b\d[\d.,]* ?(?:µs|KB|MB|MiB|J|%|×|wake-ups|messages a second|ms of)(?![\w/]).{0,20}/g,
      ),
    ];
    expect(found.map(([told]) => told)).toEqual([]);
  });

  test("says what it was measured on", () => {
    for (const { board: of } of recordings)
      expect(of).toMatchObject({
        command: expect.stringMatching(/^npm run bench -- /),
        cpus: expect.any(Number),
      });
  });

  /** Of a case: the numbers of bench/budgets.json, and beside each the one in the rows. */
  function recorded(suite: string, name: string): { limit: number[]; found: number[] } {
    const {
      bench,
      battery: energy,
      bundle,
    } = budgets as unknown as Record<string, Record<string, Record<string, unknown>>>;
    if (suite === "battery") {
      const row = rows.filter(isBattery).find((one) => `${one.scenario}/${one.algorithm}` === name);
      return { limit: [Number(energy?.[name]?.ratioOracleMax)], found: [row?.ratioOracle ?? Number.NaN] };
    }
    const rowOf = (of: string) =>
      rows.filter(isMeasured).find((one) => one.suite === suite && budgetName(one) === of);
    if (suite === "bundle") {
      const limit = Object.values(bundle?.[name] as Record<string, number>);
      return { limit, found: [name, `${name}-gzip`].map((of) => rowOf(of)?.value ?? Number.NaN) };
    }
    const { valueMax, ratioMax } = (bench?.[suite]?.[name] ?? {}) as Budget;
    const limits = [valueMax, ratioMax];
    const own = [rowOf(name)?.value, rowOf(name)?.ratio];
    return {
      limit: limits.filter((one) => one !== undefined),
      found: own.map(Number).filter((_, i) => limits[i] !== undefined),
    };
  }
});

function numbersIn(cell: string): number[] {
  return [...cell.matchAll(/([\d.,]+) (×|MB|ms|KiB|frames|bytes)/g)].map(
    ([, number = "", unit = ""]) => Number(number.replaceAll(",", "")) * ({ MB: 1e6, KiB: 1024 }[unit] ?? 1),
  );
}

function linksIn(path: string) {
  return [...readFileSync(path, "utf8").matchAll(/\[([^\]]*)\]\([./]*bench\/report\/index\.html#([^)]+)\)/g)];
}
