// SPDX-License-Identifier: MIT
/**
 * Memory per parsed message beside the share of its bare primitives, in a child process that has room not to collect. The
 * parent starts the child; the child measures.
 */

import { spawnSync } from "node:child_process";
import { bytesPerCall, CHILD_FLAGS } from "./decrypt-allocation.ts";
import { type MeasureOptions, ROUNDS_MIN, type Row, rowOf } from "./harness.ts";
import { nodeUrl } from "./parse.ts";
import { PARSE_WORK, parsing, primitives } from "./parse-cases.ts";

/** The argument that makes bench/run.ts the child. */
export const PARSE_ALLOCATION_CHILD = "--child=parse-allocation";
const WARM_UP_CALLS = 5000;

/** What the child prints: bytes per message, one number a round, by message. */
type Samples = Readonly<Record<string, { readonly parse: number[]; readonly primitives: number[] }>>;

/** Rows `alloc-*`, bytes per message. */
export function parseAllocationRows(suite: string, { rounds = ROUNDS_MIN }: MeasureOptions): Row[] {
  const script = process.argv[1];
  if (script === undefined) throw new Error("the allocation cases need bench/run as the main script");
  const child = spawnSync(
    process.execPath,
    [...CHILD_FLAGS, script, PARSE_ALLOCATION_CHILD, String(rounds)],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  if (child.status !== 0) throw new Error(`the allocation child failed with status ${child.status}`);
  return Object.entries(JSON.parse(child.stdout) as Samples).map(([name, samples]) =>
    rowOf(
      suite,
      { name: `alloc-${name}`, runtime: "node", unit: "B", peer: "primitives' share" },
      samples.parse,
      samples.primitives,
    ),
  );
}

/** The child's part: prints {@link Samples} as JSON. */
export function runParseAllocationChild(rounds: number): void {
  const sides = Object.entries(PARSE_WORK).map(([name, work]) => ({
    name,
    parse: parsing(work),
    primitives: primitives(work, nodeUrl),
    samples: { parse: [] as number[], primitives: [] as number[] },
  }));
  for (const { parse, primitives: bare } of sides) {
    for (let i = 0; i < WARM_UP_CALLS; i++) {
      parse();
      bare();
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const { parse, primitives: bare, samples } of sides) {
      samples.parse.push(bytesPerCall(parse));
      samples.primitives.push(bytesPerCall(bare));
    }
  }
  process.stdout.write(JSON.stringify(Object.fromEntries(sides.map(({ name, samples }) => [name, samples]))));
}
