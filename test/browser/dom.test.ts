// SPDX-License-Identifier: MIT
// Goal: bringing a page up to date gives what drawing it anew would, and keeps every element that is still there, with focus and
// what is folded open. Method: random pairs of trees, drawn by the dashboard's own code in Chromium.

import { build } from "esbuild";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fc } from "../properties.ts";
import { BROWSER_TEST_MS_MAX, CHROMIUM, launchChromium, newPage, type TestBrowser } from "./chromium.ts";

type Tree =
  | string
  | { readonly tag: string; readonly key: string | null; readonly children: readonly Tree[] };

const { tree: trees } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom("a", "b", "<i>"),
    fc.record({
      tag: fc.constantFrom("p", "ul", "button"),
      key: fc.option(fc.constantFrom("1", "2", "3", "4"), { nil: null }),
      children: fc.uniqueArray(tie("tree"), {
        maxLength: 5,
        // Two with one key beside each other are nothing a page has, and two texts would become one.
        selector: (tree) => (typeof tree === "string" ? "text" : (tree.key ?? tree)),
      }),
    }),
  ),
}));
const lists = fc.uniqueArray(trees, {
  maxLength: 6,
  selector: (tree) => (typeof tree === "string" ? "text" : (tree.key ?? tree)),
});

describe.skipIf(CHROMIUM === null)("update", { timeout: BROWSER_TEST_MS_MAX }, () => {
  let browser: TestBrowser;
  let page: Page;

  beforeAll(async () => {
    const { outputFiles } = await build({
      stdin: {
        contents: `
          import { h, update } from "./src/dashboard/dom.ts";
          const draw = (tree) =>
            typeof tree === "string" ? tree : h(tree.tag, { key: tree.key, tabindex: 0 }, tree.children.map(draw));
          globalThis.into = (target, trees) => update(target, trees.map(draw));
        `,
        resolveDir: process.cwd(),
      },
      bundle: true,
      write: false,
      format: "iife",
    });
    browser = await launchChromium();
    page = await newPage(browser.browser);
    await page.setContent("<main></main><aside></aside>");
    await page.evaluate(outputFiles[0]?.text ?? "");
  }, BROWSER_TEST_MS_MAX);
  afterAll(() => browser?.close());

  test("from any page to any other is the other, as drawn anew", async () => {
    await fc.assert(
      fc.asyncProperty(lists, lists, async (before, after) => {
        const [updated, anew] = (await page.evaluate(`(() => {
          const [at, fresh] = [document.querySelector("main"), document.querySelector("aside")];
          at.replaceChildren();
          fresh.replaceChildren();
          into(at, ${JSON.stringify(before)});
          into(at, ${JSON.stringify(after)});
          into(fresh, ${JSON.stringify(after)});
          return [at.innerHTML, fresh.innerHTML];
        })()`)) as [string, string];
        expect(updated).toBe(anew);
      }),
      { numRuns: 300 },
    );
  });

  test("what has a key and is there before and after is the same element; others come and go around the focus", async () => {
    const keys = fc.uniqueArray(fc.constantFrom("1", "2", "3", "4", "5", "6"), { minLength: 1 });
    const item = (key: string): Tree => ({ tag: "button", key, children: [key] });
    await fc.assert(
      fc.asyncProperty(keys, keys, async (before, after) => {
        const kept = before.filter((key) => after.includes(key));
        // In another order one would have to move, which takes the focus.
        const sorted = [...after].sort((a, b) => before.indexOf(a) - before.indexOf(b));
        const [focus = null] = kept;
        const result = await page.evaluate(`(() => {
          const at = document.querySelector("main");
          at.replaceChildren();
          into(at, ${JSON.stringify(before.map(item))});
          const were = new Map([...at.children].map((child) => [child.dataset.key, child]));
          were.get(${JSON.stringify(focus)})?.focus();
          into(at, ${JSON.stringify(sorted.map(item))});
          const same = [...at.children].filter((child) => were.get(child.dataset.key) === child);
          return [same.map((child) => child.dataset.key).sort(), document.activeElement.dataset.key ?? null];
        })()`);
        expect(result).toEqual([kept.sort(), focus]);
      }),
      { numRuns: 200 },
    );
  });

  test("what is folded open stays so", async () => {
    const open = await page.evaluate(`(() => {
      const at = document.querySelector("main");
      const draw = (text) => into(at, [{ tag: "details", key: null, children: [text] }]);
      at.replaceChildren();
      draw("one");
      at.firstChild.open = true;
      draw("two");
      return [at.firstChild.open, at.textContent];
    })()`);
    expect(open).toEqual([true, "two"]);
  });
});
