// SPDX-License-Identifier: MIT
// Goal: docs/security-review.md claims nothing that no test shows. Method: each test it names is looked for in the file it names, as the
// title of a test or of one of its cases; each line of its tables has such a test, or says in so many words that there is none.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const DOCUMENT = "docs/security-review.md";
const TEXT = readFileSync(DOCUMENT, "utf8");
/** [name](../file): `test`, `test` */
const EVIDENCE = /\[[^\]]+\]\(\.\.\/((?:test|firmware-bridge\/test|scripts)\/[^)#]+)\)((?:[:,] `[^`]+`)*)/g;

interface Named {
  readonly file: string;
  readonly titles: readonly string[];
}

function evidenceIn(text: string): Named[] {
  return [...text.matchAll(EVIDENCE)].map(([, file = "", titles = ""]) => ({
    file,
    titles: [...titles.matchAll(/`([^`]+)`/g)].map(([, title = ""]) => title),
  }));
}

/** True for the title of a test, or of a case of one: a text in the first place, or a key; in C a function that is run. */
function hasTest(source: string, title: string): boolean {
  const quoted = ['"', "'", "`"].map((quote) => `${quote}${title}${quote}`);
  const inOrder = new RegExp(`RUN\\(${title.replaceAll(/[^\w]/g, "")}\\)`);
  return quoted.some((text) => isTitle(source, text)) || (/^\w+$/.test(title) && inOrder.test(source));
}

function isTitle(source: string, text: string): boolean {
  for (let at = source.indexOf(text); at >= 0; at = source.indexOf(text, at + 1)) {
    const [before, behind] = [source.slice(0, at).trimEnd(), source.slice(at + text.length).trimStart()];
    if (/[([]$/.test(before) && /^[,\]]/.test(behind)) return true;
    if (/[{,]$/.test(before) && /^[:,\]]/.test(behind)) return true;
    if (/\bname:$/.test(before)) return true;
  }
  return false;
}

const sections = TEXT.split(/^## /m)
  .slice(1)
  .map((section) => ({ title: section.split("\n", 1)[0] ?? "", text: section }));
/** Rows of a section's tables, as their cells. */
const rowsOf = (text: string) =>
  text
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\|[-| ]+\|$/.test(line))
    .slice(1)
    .map((line) => line.slice(1, -1).split(/\s*\|\s*/));

describe("docs/security-review.md", () => {
  const named = evidenceIn(TEXT);

  test("names well over a hundred tests", () => {
    expect(named.flatMap(({ titles }) => titles).length).toBeGreaterThan(150);
  });

  test.each(named.map(({ file, titles }) => [file, titles] as const))(
    "%s has the tests named",
    (file, titles) => {
      expect(existsSync(file)).toBe(true);
      const source = readFileSync(file, "utf8");
      expect(titles.filter((title) => !hasTest(source, title))).toEqual([]);
    },
  );

  test.each(sections.filter(({ text }) => text.includes("Shown by |")))(
    "each line of $title has a test, or says that there is none",
    ({ text }) => {
      const rows = rowsOf(text);
      expect(rows.length).toBeGreaterThan(2);
      const unshown = rows.filter((cells) => {
        const last = cells.at(-1)?.trim() ?? "";
        return evidenceIn(last).length === 0 && !last.startsWith("—");
      });
      expect(unshown).toEqual([]);
    },
  );

  test("each dependency of the package stands there with the version that is locked", () => {
    const { dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
      readonly dependencies: Readonly<Record<string, string>>;
    };
    const table = TEXT.slice(TEXT.indexOf("### npm"), TEXT.indexOf("### C"));
    const missing = Object.entries(dependencies).filter(([name, version]) => {
      const row = rowsOf(table).find(([first]) => first?.includes(`\`${name}\``));
      return row?.[0]?.includes(version) !== true;
    });
    expect(missing).toEqual([]);
  });

  test("a test that is not there is missed, and so is a word that is no test", () => {
    const source = readFileSync(join("test", "docs", "review.test.ts"), "utf8");
    expect(hasTest(source, "names well over a hundred tests")).toBe(true);
    expect(hasTest(source, "names well over a thousand tests")).toBe(false);
    expect(hasTest(source, "utf8")).toBe(false);
    expect(hasTest("    RUN(numbers_out_of_range);", "numbers_out_of_range")).toBe(true);
    expect(hasTest("    RUN(numbers_out_of_range);", "numbers")).toBe(false);
  });
});
