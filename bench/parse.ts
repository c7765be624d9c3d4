// SPDX-License-Identifier: MIT
/**
 * Benchmark `parse`: whole parses of declarative messages beside their bare primitives, and the memory one message costs.
 * The primitives are the engine's own, so that they cannot slow down with our code: on Node UTF-8 decoding, JSON.parse and
 * one URL parse per URL; inside QuickJS, where quickjs-wasi is installed, JSON.parse, since it has nothing else.
 */

import { type BenchCase, type MeasureOptions, measure, microseconds, type Row } from "./harness.ts";
import { parseAllocationRows } from "./parse-allocation.ts";
import { PARSE_WORK, type ParseWork, parsing, primitives } from "./parse-cases.ts";
import { openQuickJs } from "./quickjs.ts";

const SUITE = "parse";
const PRIMITIVES = "utf8+JSON+URL";
const QUICKJS_PRIMITIVES = "JSON";
/** Calls per sample, for samples of several milliseconds. */
const NODE_CALLS = 2000;
const QUICKJS_CALLS = 50;

/** Measures every case of this suite. */
export async function run(options: MeasureOptions = {}): Promise<Row[]> {
  const works = Object.entries(PARSE_WORK);
  const quickJs = await openQuickJs("quickjs-parse.ts");
  const cases = works.map(([name, work]) => nodeCase(name, work));
  if (quickJs !== null) {
    const sample = (what: string) => () => quickJs.callNumber("sample", what, QUICKJS_CALLS);
    for (const [name] of works) {
      const ours = sample(`parse-${name}`);
      const theirs = sample(`json-${name}`);
      const peer = QUICKJS_PRIMITIVES;
      cases.push({ name: `parse-${name}`, runtime: "quickjs", unit: "us", ours, peer, theirs });
    }
  }
  const rows = measure(SUITE, cases, options);
  quickJs?.close();
  return [...rows, ...parseAllocationRows(SUITE, options)];
}

function nodeCase(name: string, work: ParseWork): BenchCase {
  return {
    name: `parse-${name}`,
    runtime: "node",
    unit: "us",
    ours: microseconds(NODE_CALLS, parsing(work)),
    peer: PRIMITIVES,
    theirs: microseconds(NODE_CALLS, primitives(work, nodeUrl)),
  };
}

/** As a parser would: the base is an argument only where it matters. */
export function nodeUrl(text: string, base: string): string {
  return (text.startsWith("/") ? new URL(text, base) : new URL(text)).href;
}
