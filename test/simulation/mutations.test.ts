// SPDX-License-Identifier: MIT
// Goal: the simulation sees defects. Method: each known one is put into the sources while they are bundled, and has to break a rule of
// its own within 256 seeds; two of them in `npm test`, all in `npm run test:long -- mutations`.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { writeProof } from "../../scripts/proof.mjs";
import { MUTATIONS } from "./mutations.ts";
import { bundled, run } from "./program.ts";

const QUICK = ["skipped fsync", "secret logged"];
const isLong = process.env.GODWIT_LONG === "1";

/** Bundled before the tests, since what is bundled is removed behind all of them. */
const PROGRAMS = await Promise.all(
  MUTATIONS.filter(({ name }) => isLong || QUICK.includes(name)).map(async (mutation) => ({
    ...mutation,
    program: await bundled(mutation),
  })),
);

test.each(MUTATIONS)("there is one place for: $name", ({ file, find }) => {
  expect(readFileSync(file, "utf8").split(find)).toHaveLength(2);
});

test.each(PROGRAMS)("$name", { timeout: 600_000 }, async ({ name, program, rules }) => {
  const { output } = await run(program, "--seeds", "1-256", "--json", "--no-shrink", "--stop");
  const { failures } = JSON.parse(output);
  expect(failures).toHaveLength(1);
  const { seed, violation } = failures[0];
  expect(rules).toContain(violation.split(":", 1)[0]);
  if (!isLong) return;
  const figures = { "first seed that sees it": { value: seed, unit: "", valueMax: 256 } };
  writeProof("mutations", "npm run test:long -- mutations", [{ case: name, figures }]);
});
