// SPDX-License-Identifier: MIT
/** Benchmark `bundle`: bytes of what `npm run build` made, and of that gzipped as a server sends it. The build holds them to their limits. */

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Row, rowOf } from "./harness.ts";

/** By their names in bench/budgets.json. */
const BUNDLES = [
  ["quickjs", "dist/godwit.quickjs.js"],
  ["apps", "dist/apps.browser.js"],
  ["dashboard", "dist/dashboard"],
] as const;

export async function run(): Promise<Row[]> {
  return BUNDLES.flatMap(([name, path]) => {
    const files = filesIn(path).map((file) => readFileSync(file));
    const bytes = files.reduce((sum, file) => sum + file.length, 0);
    const gzipBytes = files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0);
    const row = (of: string, value: number): Row =>
      rowOf("bundle", { name: of, runtime: "node", unit: "B", peer: null }, [value], []);
    return [row(name, bytes), row(`${name}-gzip`, gzipBytes)];
  });
}

function filesIn(path: string): string[] {
  return statSync(path).isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [path];
}
