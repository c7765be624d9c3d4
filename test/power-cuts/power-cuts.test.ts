// SPDX-License-Identifier: MIT
// Goal: whenever the power goes, what was reported durable is there at the next start, what was ended is not, nothing is invented, and the
// journal goes on. Method: histories drawn from seeds, through the agent's persistence and the state directory on a flash in memory; at
// each effect on it every disk, or one that is drawn, that a cut may leave is started on, cut again meanwhile, and held against a second
// account of what there is to know. A few here; all, and every defect, with GODWIT_LONG (`npm run test:long -- journal-cuts`; TEST_CUTS_SEED: of an earlier run).

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeProof } from "../../scripts/proof.mjs";
import { mutate } from "../../scripts/simulation.mjs";
import * as cuts from "./cuts.ts";
import { DEFECTS, type Defect } from "./defects.ts";

const isLong = process.env.GODWIT_LONG === "1";
const OPERATIONS = isLong ? 500 : 4;
const RANDOM_CUTS = isLong ? 100_000 : 40;
/** Each defect has to be seen within so many drawn cuts of one of so many seeds: some need what seldom comes together. */
const DEFECT_CUTS = 3_000;
const DEFECT_SEEDS = 5;
const LONG_MS = 6 * 3_600_000;
const seed = Number(process.env.TEST_CUTS_SEED ?? 1);

test("every cut of one history", { timeout: LONG_MS }, async () => {
  const figures = await cuts.everyCut(seed, OPERATIONS);
  tell(`every cut of ${OPERATIONS} operations`, figures);
  expect(figures.operations).toBe(OPERATIONS);
  expect(figures.firstCuts).toBeGreaterThan(figures.moments);
  expect(figures.secondCuts).toBeGreaterThan(figures.firstCuts);
});

test("random cuts of random histories", { timeout: LONG_MS }, async () => {
  const figures = await cuts.randomCuts(seed, RANDOM_CUTS);
  tell("random cuts", figures);
  expect(figures.firstCuts).toBe(RANDOM_CUTS);
  expect(figures.secondCuts).toBeGreaterThan(RANDOM_CUTS / 2);
});

describe("a defect is seen:", () => {
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "godwit-cuts-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each(isLong ? DEFECTS : DEFECTS.slice(0, 2))("$name", { timeout: LONG_MS }, async (defect) => {
    const { randomCuts } = await withDefect(defect, directory);
    let wrong: unknown = null;
    for (let from = 1; from <= DEFECT_SEEDS && wrong === null; from++)
      await randomCuts(from, DEFECT_CUTS).catch((error: unknown) => {
        wrong = error;
      });
    expect(String(wrong)).toMatch(defect.wrong);
  });
});

/** The cuts over sources that have the defect. */
async function withDefect(defect: Defect, directory: string): Promise<typeof cuts> {
  const outfile = join(directory, `${DEFECTS.indexOf(defect)}.mjs`);
  await build({
    entryPoints: [fileURLToPath(new URL("cuts.ts", import.meta.url))],
    ...{ outfile, bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "error" },
    plugins: [mutate(defect)],
  });
  return import(pathToFileURL(outfile).href);
}

/** For the report; what is wrong has thrown by now. */
function tell(name: string, figures: cuts.Figures): void {
  if (!isLong) return;
  console.info(`${name}, seed ${seed}: ${JSON.stringify(figures)}`);
  const count = (value: number) => ({ value, unit: "" });
  const { histories, operations, moments, firstCuts, secondCuts } = figures;
  const row = {
    case: name,
    figures: {
      histories: count(histories),
      operations: count(operations),
      "effects on the flash": count(moments),
      "cuts survived": count(firstCuts),
      "second cuts survived": count(secondCuts),
      wrong: { ...count(0), valueMax: 0 },
    },
  };
  writeProof("power-cuts", `TEST_CUTS_SEED=${seed} npm run test:long -- journal-cuts`, [row]);
}
