// SPDX-License-Identifier: MIT
/**
 * Runs the pure specs inside QuickJS-ng: each is bundled with our stand-in for vitest and evaluated in an engine of its own,
 * that of the firmware when its `spec_runner` is given, else quickjs-wasi.
 * `node test/quickjs/run.mjs [--runner program] [--json-out file] [--slow-ms N] [path part…]`; exit code 1 when a test fails
 * or none ran, 2 on wrong usage.
 */

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { nobleRewrites } from "../../scripts/noble-rewrites.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "..", "..");
/** Folders whose specs import nothing of a runtime. */
const PURE_FOLDERS = ["webpush", "declarative", "wire", "journal", "agent"];
/** Specs of pure modules in folders that are not pure as a whole. */
const PURE_SPECS = [
  "push-service/session.test.ts",
  "push-service/outbox.test.ts",
  "push-service/autopush-session.test.ts",
  "user-agent/app-door.test.ts",
  "user-agent/process-table.test.ts",
  "user-agent/service-urls.test.ts",
];
/** Specs of what only the firmware's engine has: its bridge. */
const NATIVE_SPECS = ["quickjs/native-provider.spec.ts"];
/** With more, deep recursion leaves quickjs-wasi as a host error instead of an exception. */
const STACK_BYTES_MAX = 65_536;
/** A spec that computes longer than this is stopped. */
const SPEC_MS_MAX = 300_000;

/** @typedef {{ name: string, outcome: "passed" | "failed" | "skipped", durationMs: number, error: string | null }} TestReport */

const { values, positionals } = readArguments();
const { runner } = values;
const evaluate = runner === undefined ? await inWasi() : inProgram(resolve(runner));
const counts = { passed: 0, failed: 0, skipped: 0 };
const startMs = performance.now();
const waiting = specs(positionals);

// An engine in this process has it to itself; programs run beside each other.
await Promise.all(Array.from({ length: runner === undefined ? 1 : availableParallelism() }, runWaiting));

async function runWaiting() {
  for (let spec = waiting.shift(); spec !== undefined; spec = waiting.shift()) await runAndPrint(spec);
}

/** @param {string} spec */
async function runAndPrint(spec) {
  const specStartMs = performance.now();
  const reports = await runSpec(spec);
  const own = { passed: 0, failed: 0, skipped: 0 };
  for (const report of reports) own[report.outcome]++;
  for (const outcome of /** @type {const} */ (["passed", "failed", "skipped"]))
    counts[outcome] += own[outcome];
  const { passed, failed, skipped } = own;
  const seconds = ((performance.now() - specStartMs) / 1000).toFixed(1);
  const name = relative(ROOT, spec);
  console.log(
    `${failed > 0 ? "FAIL" : "ok  "} ${name}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${seconds} s`,
  );
  for (const { name: test, outcome, durationMs, error } of reports) {
    if (outcome === "failed") console.log(`  failed: ${test}\n${indent(error ?? "")}`);
    else if (durationMs >= Number(values["slow-ms"])) console.log(`  slow: ${test}: ${durationMs} ms`);
  }
}

const totalS = ((performance.now() - startMs) / 1000).toFixed(1);
console.log(
  `quickjs: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped in ${totalS} s`,
);
if (values["json-out"] !== undefined) writeFileSync(values["json-out"], `${JSON.stringify(counts)}\n`);
if (counts.passed + counts.failed === 0) console.error("quickjs: no test ran");
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        runner: { type: "string" },
        "json-out": { type: "string" },
        "slow-ms": { type: "string", default: "2000" },
      },
    });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}

/**
 * Pure specs whose path holds one of `parts`, or all.
 * @param {readonly string[]} parts
 */
function specs(parts) {
  const folders = PURE_FOLDERS.map((folder) => join(ROOT, "test", folder)).filter((folder) =>
    existsSync(folder),
  );
  return folders
    .flatMap((folder) => readdirSync(folder, { recursive: true }).map((file) => join(folder, String(file))))
    .filter((file) => file.endsWith(".test.ts"))
    .concat(
      [...PURE_SPECS, ...(runner === undefined ? [] : NATIVE_SPECS)].map((spec) => join(ROOT, "test", spec)),
    )
    .filter((file) => parts.length === 0 || parts.some((part) => relative(ROOT, file).includes(part)))
    .sort();
}

/**
 * Bundles and runs one spec. What keeps it from running is one failed test.
 * @param {string} spec
 * @returns {Promise<TestReport[]>}
 */
async function runSpec(spec) {
  try {
    const reports = await evaluate(await bundle(spec), relative(ROOT, spec));
    if (reports.length === 0) throw new Error("the spec holds no test");
    return reports;
  } catch (error) {
    const text =
      error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ""}` : String(error);
    return [{ name: "the spec as a whole", outcome: "failed", durationMs: 0, error: text }];
  }
}

/** @param {string} spec */
async function bundle(spec) {
  const entry = [
    `import ${JSON.stringify(join(HERE, "shims.ts"))};`,
    `import ${JSON.stringify(spec)};`,
    `import { runAll } from "vitest";`,
    "globalThis.__run = () => runAll().then((reports) => { globalThis.__reports = JSON.stringify(reports); });",
  ];
  const result = await build({
    stdin: { contents: entry.join("\n"), resolveDir: ROOT, loader: "ts" },
    bundle: true,
    write: false,
    format: "iife",
    platform: "neutral",
    target: "es2023",
    mainFields: ["module", "main"],
    conditions: ["import"],
    alias: { vitest: join(HERE, "vitest.ts") },
    plugins: [
      { name: "raw", setup: resolveRaw },
      { name: "specs", setup: keepSpecs },
      // As the firmware has it; Node runs the specs with noble as it is.
      nobleRewrites,
    ],
    logLevel: "silent",
  });
  return result.outputFiles[0]?.text ?? "";
}

/**
 * `file?raw` is the text of the file, as in vitest.
 * @param {import("esbuild").PluginBuild} plugin
 */
function resolveRaw(plugin) {
  plugin.onResolve({ filter: /\?raw$/ }, ({ path, resolveDir }) => ({
    path: join(resolveDir, path.slice(0, -"?raw".length)),
    namespace: "raw",
  }));
  plugin.onLoad({ filter: /.*/, namespace: "raw" }, ({ path }) => ({
    contents: readFileSync(path, "utf8"),
    loader: "text",
  }));
}

/**
 * package.json says that no file has side effects, but those of a spec are what it is imported for. (Telling esbuild to
 * ignore such claims altogether would also keep the unused parts of noble, which need TextEncoder.)
 * @param {import("esbuild").PluginBuild} plugin
 */
function keepSpecs(plugin) {
  plugin.onResolve({ filter: /\.ts$/ }, ({ path, resolveDir }) => {
    const file = resolve(resolveDir, path);
    return file.startsWith(join(ROOT, "test")) ? { path: file, sideEffects: true } : undefined;
  });
}

/**
 * The engine of npm, in this process.
 * @returns {Promise<(code: string, name: string) => Promise<TestReport[]>>}
 */
async function inWasi() {
  const { QuickJS } = await import("quickjs-wasi");
  const wasm = await WebAssembly.compile(
    readFileSync(fileURLToPath(import.meta.resolve("quickjs-wasi/quickjs.wasm"))),
  );
  return async (code, name) => {
    const deadlineMs = performance.now() + SPEC_MS_MAX;
    const vm = await QuickJS.create({
      wasm,
      maxStackSize: STACK_BYTES_MAX,
      interruptHandler: () => performance.now() > deadlineMs,
    });
    try {
      vm.evalCode(code, name).dispose();
      vm.evalCode("__run()").dispose();
      for (;;) {
        vm.executePendingJobs();
        const reports = vm.evalCode("globalThis.__reports ?? null").consume((handle) => vm.dump(handle));
        if (typeof reports === "string") return JSON.parse(reports);
        const hasFired = vm.evalCode("__fireTimer()").consume((handle) => vm.dump(handle));
        if (hasFired !== true) throw new Error("a test waits for something that never happens");
      }
    } finally {
      vm.dispose();
    }
  };
}

/**
 * The engine of the firmware, a process for each spec. One that crashes, or leaks a value, failed.
 * @param {string} program
 * @returns {(code: string, name: string) => Promise<TestReport[]>}
 */
function inProgram(program) {
  return (code, name) => {
    const directory = mkdtempSync(join(tmpdir(), "godwit-spec-"));
    const file = join(directory, "spec.js");
    writeFileSync(file, code);
    return new Promise((fulfil, refuse) => {
      execFile(
        program,
        [file, name, String(SPEC_MS_MAX)],
        { maxBuffer: 1 << 28 },
        (error, stdout, stderr) => {
          rmSync(directory, { recursive: true, force: true });
          if (error === null) fulfil(JSON.parse(stdout));
          // A leak is told on stdout, behind the reports.
          else
            refuse(
              new Error(`${error.signal ?? `exit code ${error.code}`}: ${stderr}${stdout.slice(-2000)}`),
            );
        },
      );
    });
  };
}

/** @param {string} text */
function indent(text) {
  return text
    .split("\n")
    .slice(0, 12)
    .map((line) => `    ${line}`)
    .join("\n");
}
