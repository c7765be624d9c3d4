// SPDX-License-Identifier: MIT
// Goal: the report is made of recorded rows and reads everywhere. Method: a report of a few rows, looked at as text.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { BatteryRow } from "../../bench/battery/suite.ts";
import budgets from "../../bench/budgets.json" with { type: "json" };
import { type Row, rowOf } from "../../bench/harness.ts";
import { ROLES, THEMES } from "../../bench/plot/svg.ts";
import { FIGURE_PX, figureSvg } from "../../bench/plot.ts";
import { recordIn } from "../../bench/recording-process.ts";
import { gather, recordedProofs, suiteRuns, writeReport } from "../../bench/report.ts";
import { figuresOf } from "../../bench/reporting/figures.ts";
import { PROOFS as ALL_PROOFS, brokenProofs } from "../../bench/reporting/proof.ts";
import { type Recording, readRecordings, recordingLines } from "../../bench/reporting/recording.ts";
import { readArguments } from "../../bench/usage.ts";
import type { Board } from "../../scripts/board.mjs";
import { type ProofRow, writeProof } from "../../scripts/proof.mjs";

const PHONE_PX = 296;
/** Of a character of the plots' text, on average. */
const TEXT_PX = 5.6;
/** What is in the repository: the names and numbers of real rows. */
const RECORDED = readRecordings(readFileSync("bench/report/rows.jsonl", "utf8"));
const directory = mkdtempSync(join(tmpdir(), "godwit-report-"));
afterAll(() => rmSync(directory, { recursive: true }));

const board: Board = {
  ...{
    schema: "godwit-bench/1" as const,
    command: "npm run bench -- all",
    takenAt: "2026-11-23T02:00:00.000Z",
  },
  ...{ cpu: "<Cpu> & Co", cpus: 2, kernel: "Linux 6", engine: "Node 20", version: "0.1.0", commit: "abc" },
};

function row(
  suite: string,
  name: string,
  unit: string,
  value: number,
  peer: string | null = null,
  runtime = "node",
): Row {
  const around = (middle: number) => [0.9, 0.95, 1, 1.05, 1.1].map((by) => by * middle);
  return rowOf(suite, { name, runtime, unit, peer }, around(value), peer === null ? [] : around(value / 2));
}

function battery(algorithm: string, joulesDay: number, deafMinDay: number): BatteryRow {
  return {
    ...{
      suite: "battery",
      scenario: "commuter-7d",
      algorithm,
      seeds: "1-2",
      rounds: 2,
      joulesDay,
      deafMinDay,
    },
    ...{
      joulesDayLow: joulesDay * 0.9,
      joulesDayHigh: joulesDay * 1.1,
      deafMinDayLow: deafMinDay,
      deafMinDayHigh: deafMinDay,
    },
    ...{ wakeH: 7, pingH: 3, bytesH: 400, connsDay: 20, lost: 0, late60: 0, ratioOracle: joulesDay / 500 },
  };
}

const ROWS = [
  // Close to each other, as the best ones are; one without any deafness.
  ...[battery("godwit", 520, 1.5), battery("godwit-hold", 500, 1.52), battery("oracle", 501, 1.6)],
  ...[battery("gcm", 370, 211), battery("silent", 6000, 0)],
  row("decrypt", "native-200B", "us", 121, "http_ece"),
  row("decrypt", "native-200B", "us", 61, "noble", "godwitd"),
  row("parse", "parse-typical", "us", 5, "utf8+JSON+URL"),
  row("footprint", "anon-100subs", "B", 3.5e6, "node", "godwitd"),
  row("footprint", "start-to-connect", "ms", 32, "node", "godwitd"),
  row("delivery", "100x256", "us/message", 60, null, "relay"),
  row("delivery", "lmdb-100x256", "us/message", 120, "relay"),
  row("delivery", "wire-websocket", "B", 399, "autopush"),
  ...[10, 10_000].map((count) => row("growth", `dispatch-${count}subs`, "us/message", 140)),
  ...[100, 10_000].map((count) => row("growth", `put-${count}queued`, "us/message", 230)),
  ...[100, 15_000].map((count) => row("growth", `message-${count}devices`, "us/message", 300)),
];
const RECORDINGS = [{ board, rows: ROWS }];

const zero = { value: 0, unit: "", valueMax: 0 };
const PROOF_ROWS: readonly Omit<ProofRow, "suite">[] = [
  { case: "worlds", figures: { events: { value: 1_000_123, unit: "" }, lost: zero } },
];
const SOAKED: ProofRow = {
  ...{ suite: "soak", case: "half an hour" },
  figures: {
    memory: {
      ...{ value: 61.5, unit: "MB", valueMax: 64 },
      series: Array.from({ length: 60 }, (_, i) => [i * 30, 60 + (i % 3)] as const),
    },
    lost: zero,
  },
};
const PROOFS = [{ board, rows: [SOAKED] }];

const NAMES = [
  ...["energy", "decrypt", "parse", "bytes", "footprint", "start", "delivery"],
  ...["growth-subscriptions", "growth-queued", "growth-devices"],
];

/** Names of elements that are not closed in order, or attributes that are none. */
function faultsOf(markup: string, areVoid: readonly string[] = []): string[] {
  const open: string[] = [];
  const faults: string[] = [];
  for (const [whole, slash, name = "", attributes = "", self] of markup.matchAll(
    /<(\/?)([a-zA-Z][\w-]*)((?:[^<>"]|"[^"<>]*")*?)(\/?)>/g,
  )) {
    if (slash === "/") {
      if (open.pop() !== name) faults.push(whole);
    } else if (self !== "/" && !areVoid.includes(name)) open.push(name);
    if (attributes.replace(/\s+[\w:-]+="[^"]*"/g, "").trim() !== "") faults.push(whole);
  }
  const plain = markup.replace(/<style>[\s\S]*?<\/style>/g, "").replace(/<[^>]*>/g, "");
  return [...faults, ...open, ...(plain.match(/[<>]|&(?!(amp|lt|gt|quot);)/g) ?? [])];
}

describe("a report of a few rows", () => {
  const paths = writeReport(RECORDINGS, PROOFS, budgets.bench, directory);
  const page = readFileSync(join(directory, "index.html"), "utf8");

  test("is a page, the rows, and a figure for each kind of them", () => {
    const figures = NAMES.map((name) => `${name}.svg`);
    expect(paths.map((path) => path.slice(directory.length + 1))).toEqual([
      "index.html",
      "rows.jsonl",
      ...figures,
    ]);
    expect(readRecordings(readFileSync(join(directory, "rows.jsonl"), "utf8"))).toEqual(
      JSON.parse(JSON.stringify(RECORDINGS)),
    );
  });

  test("is whole, without a script, and asks nobody for anything", () => {
    expect(faultsOf(page.replace("<!doctype html>", ""), ["meta", "img", "source"])).toEqual([]);
    expect(page).not.toMatch(/<script|<link|<iframe|@import|url\(|\son\w+=/);
    const addresses = [...page.matchAll(/(?:src|srcset|href)="([^"]{0,20})/g)].map(([, address]) => address);
    expect(addresses.filter((address) => !/^(#|data:image\/svg\+xml;)/.test(address ?? ""))).toEqual([]);
  });

  test("says in words what each figure shows, and leads to it", () => {
    const alts = [...page.matchAll(/<img [^>]*alt="([^"]*)"/g)].map(([, alt]) => alt ?? "");
    // One of the soak's memory.
    expect(alts).toHaveLength(NAMES.length + 1);
    for (const alt of alts) expect(alt.length).toBeGreaterThan(80);
    for (const name of [...NAMES, ...ALL_PROOFS.map(({ suite }) => suite)]) {
      expect(page.match(new RegExp(` id="${name}"`, "g"))).toHaveLength(1);
      expect(page).toContain(`href="#${name}"`);
    }
    expect(page).toContain("&lt;Cpu&gt; &amp; Co, 2 CPUs");
  });

  test("has the numbers of each figure in a table, with the limit", () => {
    const section = page.slice(page.indexOf('id="decrypt"'), page.indexOf('id="parse"'));
    expect(section).toMatch(
      /native-200B<\/th><td>node<\/td><td class="number">121 µs<\/td><td class="number">115 – 127<\/td><td class="number">5<\/td><td>http_ece<\/td>/,
    );
    expect(section).toMatch(/<td class="number">2\.000<\/td><td>× 0\.95<\/td>/);
    expect(page.match(/<table>/g)?.length).toBe(page.match(/<caption>/g)?.length);
  });

  test.each([FIGURE_PX, PHONE_PX])(
    "its figures are whole at %i px, told in words, and no text leaves them",
    (widthPx) => {
      for (const { name, figure } of figuresOf(RECORDINGS)) {
        const svg = figureSvg(figure, widthPx);
        expect([name, faultsOf(svg)]).toEqual([name, []]);
        expect(svg).not.toMatch(/NaN|Infinity|undefined/);
        expect(svg).toMatch(/<title id="title">[^<]{15,}<\/title>/);
        expect(svg).toMatch(/<desc id="description">[^<]{60,}<\/desc>/);
        // Lines are broken where they have to be.
        const words = [...svg.matchAll(/<text[^>]*>([^<]*)</g)].map(([, line]) => line).join(" ");
        expect(words).toContain("npm run bench -- all");
        expect(words).toContain("&lt;Cpu&gt; &amp; Co");
        expect(words).toMatch(/whiskers are quartiles of \d+ (rounds|seeds)/);
        for (const [, attributes = "", content = ""] of svg.matchAll(/<text([^>]*)>([^<]*)</g)) {
          const x = Number(/ x="([-\d.]+)"/.exec(attributes)?.[1]);
          // Rather less than is reckoned with, so that only what is far outside counts.
          const width = content.length * 5;
          const [from, to] = /class="[^"]*end/.test(attributes) ? [x - width, x] : [x, x + width];
          expect([content, from >= -16 && to <= widthPx + 4]).toEqual([content, true]);
        }
      }
    },
  );

  test("what the long suites found is in it, with its limits, and what was not run is said", () => {
    const section = (suite: string) => page.slice(page.indexOf(`id="${suite}"`)).split("</section>")[0] ?? "";
    expect(section("soak")).toMatch(/<th scope="row">half an hour<\/th><td>61\.5 MB \(≤ 64\)<\/td>/);
    expect(section("soak")).toContain("npm run bench -- all, 2026-11-23. &lt;Cpu&gt; &amp; Co, 2 CPUs");
    expect(section("chaos")).toContain("Not run: <code>npm run test:long -- chaos</code>");
  });

  test.each([FIGURE_PX, PHONE_PX])("no text stands on another, at %i px", (widthPx) => {
    for (const { name, figure } of figuresOf(RECORDED)) {
      const plot = figureSvg(figure, widthPx).split("<g ")[1]?.split("</g>")[0] ?? "";
      const texts = [...plot.matchAll(/<text([^>]*)>([^<]*)</g)].map(([, attributes = "", content = ""]) => {
        const [x, y] = [/ x="([-\d.]+)"/, / y="([-\d.]+)"/].map((one) => Number(one.exec(attributes)?.[1]));
        const width = content.length * TEXT_PX;
        const left =
          (x ?? 0) - (/\bend"/.test(attributes) ? width : attributes.includes("middle") ? width / 2 : 0);
        return { content, y: y ?? 0, left, right: left + width };
      });
      const overlaps = texts.flatMap((a, i) =>
        texts
          .slice(i + 1)
          .filter((b) => Math.abs(a.y - b.y) < 8 && a.left < b.right && b.left < a.right)
          .map((b) => `${a.content} | ${b.content}`),
      );
      expect([name, overlaps]).toEqual([name, []]);
    }
  });

  test("every algorithm is named in the figure of energy", () => {
    const svg = readFileSync(join(directory, "energy.svg"), "utf8");
    for (const name of ["godwit", "godwit-hold", "oracle", "gcm", "silent"])
      expect(svg).toContain(`>${name}<`);
    expect(svg).toContain("≤ 0.1");
  });

  test("text and marks stand out from the paper, in light and in dark", () => {
    for (const { paper, text, note, roles } of Object.values(THEMES)) {
      for (const ink of [text, note]) expect(contrast(ink, paper)).toBeGreaterThanOrEqual(4.5);
      for (const role of ROLES) expect(contrast(roles[role], paper)).toBeGreaterThanOrEqual(3);
    }
  });

  test("what could not be measured is no row", () => {
    const none = rowOf("decrypt", { name: "none", runtime: "node", unit: "us", peer: null }, [], []);
    expect(recordingLines([{ board, rows: [none] }])).toBe(recordingLines([{ board, rows: [] }]));
  });

  test("a line that is no row is named", () => {
    const good = recordingLines(RECORDINGS);
    for (const bad of ["{", "{}", '{"suite":"decrypt"}', '{"suite":"battery","scenario":"a"}', "7"])
      expect(() => readRecordings(`${good}${bad}\n`)).toThrow(
        `line ${ROWS.length + 2} is neither a row nor a machine`,
      );
    const [first] = readRecordings(`${JSON.stringify(ROWS[5])}\n`);
    expect(first).toMatchObject({ board: null, rows: [{ case: "native-200B" }] });
  });
});

describe("proofs", () => {
  test("a later run of a case replaces its row, and others stay", () => {
    const proofs = join(directory, "proof");
    writeProof("simulation", "first", [...PROOF_ROWS, { case: "other", figures: { lost: zero } }], proofs);
    writeProof("simulation", "second", PROOF_ROWS, proofs);
    writeProof("simulation", "third", [{ case: "other", figures: { lost: zero } }], proofs);
    const recordings = recordedProofs(proofs);
    expect(recordings.map(({ board: of, rows }) => [of?.command, rows])).toEqual([
      ["second", [{ suite: "simulation", ...PROOF_ROWS[0] }]],
      ["third", [{ suite: "simulation", case: "other", figures: { lost: zero } }]],
    ]);
  });

  test("what is not as it is held to is said", () => {
    expect(brokenProofs([SOAKED])).toEqual([]);
    const lost = {
      ...SOAKED,
      figures: { lost: { ...zero, value: 2 }, seen: { value: 1, unit: "", valueMin: 3 } },
    };
    expect(brokenProofs([lost])).toEqual([
      "soak half an hour: lost 2, limit ≤ 0",
      "soak half an hour: seen 1, limit ≥ 3",
    ]);
  });
});

describe("gathering", () => {
  const runs = suiteRuns(readArguments(["report", "--suites", "decrypt,growth"]));
  const rowsOf = (recordings: readonly Recording[]) =>
    recordings.flatMap(({ rows }) =>
      rows.map((one) => ("runtime" in one ? `${one.case}@${one.runtime}` : "")),
    );

  test("a suite that fails takes no other's rows along, and keeps what was recorded before", async () => {
    const earlier = [{ board, rows: ROWS.filter(({ suite }) => suite === "decrypt" || suite === "growth") }];
    const seen: string[][] = [];
    const failures = await gather(
      runs,
      earlier,
      async ({ args }) => {
        if (args.includes("quickjs")) throw new Error("took too long");
        return [{ board, rows: [row(args[0] ?? "", "new", "us", 1)] }];
      },
      (all) => seen.push(rowsOf(all)),
    );
    expect(failures).toEqual(["--runtime quickjs decrypt --json: took too long"]);
    expect(seen.map(({ length }) => length)).toEqual([8, 8, 8, 3]);
    expect(seen.at(-1)).toEqual(["native-200B@godwitd", "new@node", "new@node"]);
  });

  test("a process that hangs is ended with what it started", async () => {
    const hanging =
      "process.stdout.write(String(require('child_process').spawn('sleep', ['600']).pid)); setInterval(() => {}, 1000)";
    await expect(recordIn(["-e", hanging], 1)).rejects.toThrow(/^took longer than 0 s and was ended$/);
    await expect(recordIn(["-e", "process.exit(3)"], 60_000)).rejects.toThrow(/^ended with 3$/);
    await expect(recordIn(["-e", "console.log('no row')"], 60_000)).rejects.toThrow(/^line 1 is neither/);
    const line = JSON.stringify(ROWS[5]);
    expect(await recordIn(["-e", `console.log(${JSON.stringify(line)})`], 60_000)).toMatchObject([
      { rows: [{ case: "native-200B" }] },
    ]);
  });
});

/** WCAG 2.2: of two colours as #rrggbb. */
function contrast(a: string, b: string): number {
  const light = (colour: string) =>
    [1, 3, 5]
      .map((at) => Number.parseInt(colour.slice(at, at + 2), 16) / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
      .reduce((sum, one, i) => sum + one * ([0.2126, 0.7152, 0.0722][i] ?? 0), 0);
  const [high, low] = [light(a), light(b)].toSorted((x, y) => y - x);
  return ((high ?? 0) + 0.05) / ((low ?? 0) + 0.05);
}
