// SPDX-License-Identifier: MIT
/**
 * Runs a pure benchmark entry inside QuickJS (quickjs-wasi): bundles it with esbuild, evaluates it, calls its globals. Both
 * packages are development tools, so without them there is no QuickJS column.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Above this, deep recursion leaves the engine as a host error. */
const STACK_BYTES_MAX = 65_536;

/** A running engine with one entry evaluated. */
export interface QuickJsBench {
  /** The number a global function of the entry returns. */
  callNumber(name: string, ...parameters: readonly (string | number)[]): number;
  close(): void;
}

/**
 * Evaluates bench/`entry`, which finds `nowMs()` among its globals. Null, with a note on stderr, when quickjs-wasi or
 * esbuild is missing.
 */
export async function openQuickJs(entry: string): Promise<QuickJsBench | null> {
  const tools = await loadTools();
  if (tools === null) {
    process.stderr.write("bench: quickjs-wasi or esbuild is not installed, no quickjs column\n");
    return null;
  }
  const { QuickJS, build } = tools;
  const bundle = await build({
    entryPoints: [join(repositoryRoot(), "bench", entry)],
    bundle: true,
    write: false,
    format: "iife",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2023",
    minify: true,
  });
  const wasm = readFileSync(createRequire(import.meta.url).resolve("quickjs-wasi/quickjs.wasm"));
  const vm = await QuickJS.create({ wasm, maxStackSize: STACK_BYTES_MAX });
  vm.setProp(
    vm.global,
    "nowMs",
    vm.newFunction("nowMs", () => vm.newNumber(performance.now())),
  );
  vm.evalCode(bundle.outputFiles[0]?.text ?? "", entry).dispose();
  return {
    callNumber(name, ...parameters) {
      const call = `${name}(${parameters.map((parameter) => JSON.stringify(parameter)).join(",")})`;
      return vm.evalCode(call).consume((handle) => handle.toNumber());
    },
    close: () => vm.dispose(),
  };
}

async function loadTools() {
  try {
    const [{ QuickJS }, { build }] = await Promise.all([import("quickjs-wasi"), import("esbuild")]);
    return { QuickJS, build };
  } catch {
    return null;
  }
}

/** The nearest folder upwards that has the benchmark's sources: this file runs from dist/bench. */
export function repositoryRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, "bench", "budgets.json"))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error("bench/budgets.json is not in any folder above");
    folder = parent;
  }
  return folder;
}
