// SPDX-License-Identifier: MIT
/**
 * `npm run fuzz -- TARGET… --seconds N`: searches for inputs for which a property of test/fuzz/targets does not hold, guided by
 * coverage. Before that it replays the inputs of test/fuzz/corpus and test/fuzz/regressions. docs/fuzzing.md has the rest.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { build } from "esbuild";
import { buildCFuzzers, C_TARGETS, runCFuzzer, whyNoCFuzzers } from "./fuzz-c.mjs";
import { writeProof } from "./proof.mjs";

const OUT = "build/fuzz";
/** The present input as the worker shows it; longer ones are shown in part. */
const INPUT_BYTES_MAX = 1024 * 1024;
/** What a target's thread may keep in V8's heap, MB. */
const HEAP_MB_MAX = 512;
const USAGE = `usage: npm run fuzz -- TARGET…|all|ts|c [--seconds N] [--jobs N] [--seed N] [--minimise] [--replay FILE]
  --seconds N    search for this long for each target (default 60; 0: only replay what is known)
  --jobs N       so many targets at once (default 1)
  --seed N       of the random changes (default: another one each time)
  --minimise     in the end write the fewest inputs that reach as much to test/fuzz/corpus
  --replay FILE  run that input alone
  --files        coverage by source file
  --missed       and the lines that were not reached
  --report       puts the figures into bench/report/proof, for the report
  --hang-ms N    an input that is still being read after this hangs (default 10000)
targets: `;

/** The names of the targets in TypeScript. */
export const TARGETS = readdirSync("test/fuzz/targets")
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -3))
  .sort();

const { names, options } = readArguments();
await bundle(names.filter((name) => !C_TARGETS.includes(name)));
let findings = 0;
/** For the report. */
const rows = [];
const waiting = buildable(names);
await Promise.all(
  Array.from({ length: options.jobs }, async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const found = await (C_TARGETS.includes(name) ? runC(name) : run(name));
      // Only now: others may have found something meanwhile.
      findings += found;
    }
  }),
);
if (options.report && rows.length > 0)
  writeProof("fuzz", `npm run fuzz -- ${process.argv.slice(2).join(" ")}`, rows);
process.exitCode = findings > 0 ? 1 : 0;

function readArguments() {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        seconds: { type: "string", default: "60" },
        jobs: { type: "string", default: "1" },
        seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
        minimise: { type: "boolean", default: false },
        files: { type: "boolean", default: false },
        missed: { type: "boolean", default: false },
        report: { type: "boolean", default: false },
        replay: { type: "string" },
        "hang-ms": { type: "string", default: "10000" },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    return refuse(error.message);
  }
  const { positionals, values } = parsed;
  const groups = { all: [...TARGETS, ...C_TARGETS], ts: TARGETS, c: C_TARGETS };
  const named = positionals.flatMap((name) => groups[name] ?? [name]);
  // One that is no target of all has its path for a name.
  const unknown = named.find((name) => !groups.all.includes(name) && !name.endsWith(".ts"));
  if (values.help || named.length === 0) return refuse("");
  if (unknown !== undefined) return refuse(`there is no target ${unknown}`);
  const seconds = Number(values.seconds);
  const seed = Number(values.seed);
  const hangMs = Number(values["hang-ms"]);
  const jobs = Number(values.jobs);
  if (!(seconds >= 0) || !Number.isInteger(seed) || !(hangMs > 0) || !(jobs > 0))
    return refuse("--seconds, --jobs, --seed and --hang-ms are numbers");
  const { minimise, files, missed, report, replay } = values;
  return { names: named, options: { seconds, jobs, seed, hangMs, minimise, files, missed, report, replay } };
}

function refuse(why) {
  if (why !== "") console.error(`fuzz: ${why}`);
  console.error(USAGE + [...TARGETS, ...C_TARGETS].join(", "));
  process.exit(2);
}

/** One script for each target, with everything of ours in it, so that it is what coverage is counted of. */
async function bundle(targets) {
  const shared = { bundle: true, platform: "node", format: "esm", target: "es2023", packages: "external" };
  await build({
    ...shared,
    entryPoints: Object.fromEntries(
      targets.map((name) => [
        basename(name, ".ts"),
        name.endsWith(".ts") ? name : `test/fuzz/targets/${name}.ts`,
      ]),
    ),
    outdir: OUT,
    outExtension: { ".js": ".mjs" },
    sourcemap: "inline",
    logLevel: "error",
  });
  await build({
    ...shared,
    stdin: {
      contents: `
        import { workerData } from "node:worker_threads";
        import { Coverage } from "./test/fuzz/coverage.ts";
        import { work } from "./test/fuzz/worker.ts";
        const coverage = new Coverage(workerData.url);
        const { target } = await import(workerData.url);
        await work(target, coverage);`,
      resolveDir: process.cwd(),
      loader: "ts",
    },
    outfile: `${OUT}/worker.mjs`,
    logLevel: "error",
  });
}

/** Those that can be run; where the C host cannot be built that is said, and no finding, but for what does not compile. */
function buildable(all) {
  const inC = all.filter((name) => C_TARGETS.includes(name));
  if (inC.length === 0) return [...all];
  const why = whyNoCFuzzers();
  if (why !== null) console.log(`skipped ${inC.join(", ")}: ${why}`);
  else if (buildCFuzzers(inC)) return [...all];
  else findings++;
  return all.filter((name) => !inC.includes(name));
}

/** Runs one target in C; how many findings there were. */
async function runC(name) {
  const result = await runCFuzzer(name, { ...options, inputs: knownInputs(name) });
  tell(name, { ...result, outcomes: null });
  return result.findings;
}

/** Runs one target to its end; how many findings there were. */
function run(name) {
  const { seconds, seed, hangMs, minimise, replay } = options;
  const present = new SharedArrayBuffer(8 + INPUT_BYTES_MAX);
  const numbers = new Int32Array(present, 0, 2);
  const worker = new Worker(resolve(`${OUT}/worker.mjs`), {
    workerData: {
      url: new URL(`file://${resolve(`${OUT}/${basename(name, ".ts")}.mjs`)}`).href,
      inputs: replay === undefined ? knownInputs(name) : [new Uint8Array(readFileSync(replay))],
      searchMs: replay === undefined ? seconds * 1000 : 0,
      seed,
      isMinimised: minimise,
      present,
    },
    execArgv: ["--enable-source-maps"],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
  });
  let findings = 0;
  const report = (input, text) => {
    findings++;
    const file = writeFinding(name, input);
    console.log(
      `${name}: FOUND ${text}\n  ${input.length} bytes; again: npm run fuzz -- ${name} --replay ${file}`,
    );
  };
  const presentInput = () => new Uint8Array(present, 8, numbers[1]).slice();
  return new Promise((done) => {
    let seen = -1;
    const watch = setInterval(() => {
      const read = Atomics.load(numbers, 0);
      if (read === seen && read > 0) {
        report(presentInput(), `an input that is not read within ${hangMs} ms`);
        worker.terminate();
      }
      seen = read;
    }, hangMs);
    worker.on("message", (message) => {
      if (message.type === "finding") report(message.input, message.text);
      else
        tell(name, { ...message, perSecond: Math.round((1000 * message.runs) / message.tookMs), findings });
      // What is left is the tidying up, which no input makes slow.
      if (message.type === "end") clearInterval(watch);
    });
    // Out of memory, or an error that nobody waits for.
    worker.on("error", (error) => report(presentInput(), error.stack ?? String(error)));
    worker.on("exit", () => {
      clearInterval(watch);
      done(findings);
    });
  });
}

/** One line of what a target came to, its row, and its corpus where that is wanted. */
function tell(name, { runs, perSecond, lines, outcomes, inputsKept, kept, findings }) {
  const reached = lines.reduce((sum, file) => sum + file.reached, 0);
  const all = lines.reduce((sum, file) => sum + file.lines, 0);
  const percent = all === 0 ? 0 : Math.round((1000 * reached) / all) / 10;
  const said = outcomes === null ? "" : `, ${outcomes} outcomes`;
  console.log(
    `${name}: ${runs} executions (${perSecond}/s), ${reached} of ${all} lines reached (${percent} %)${said}, ${inputsKept} inputs, seed ${options.seed}`,
  );
  for (const { file, reached: some, lines: of, missed } of lines) {
    if (options.files || options.missed) console.log(`  ${file}: ${some} of ${of}`);
    if (options.missed) for (const line of missed) console.log(`    ${line}`);
  }
  rows.push({
    case: basename(name, ".ts"),
    figures: {
      executions: { value: runs, unit: "" },
      "lines reached": { value: percent, unit: "%" },
      "lines concerned": { value: all, unit: "" },
      "inputs in the corpus": { value: kept.length > 0 ? kept.length : knownInputs(name).length, unit: "" },
      findings: { value: findings, unit: "", valueMax: 0 },
    },
  });
  if (kept.length > 0) writeCorpus(name, kept);
}

/** Those of corpus and regressions: one a line, in base64; lines that begin with # say something of the next. */
function knownInputs(name) {
  return ["corpus", "regressions"].flatMap((kind) => {
    const file = `test/fuzz/${kind}/${name}.txt`;
    if (!existsSync(file)) return [];
    const inputs = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    return inputs.map((line) => new Uint8Array(Buffer.from(line, "base64")));
  });
}

function writeCorpus(name, inputs) {
  const lines = inputs.map((input) => Buffer.from(input).toString("base64"));
  writeFileSync(
    `test/fuzz/corpus/${name}.txt`,
    `# Written by npm run fuzz -- ${name} --minimise\n${lines.join("\n")}\n`,
  );
}

function writeFinding(name, input) {
  mkdirSync(`${OUT}/findings`, { recursive: true });
  const digest = createHash("sha256").update(input).digest("hex").slice(0, 12);
  const file = join(OUT, "findings", `${basename(name, ".ts")}-${digest}`);
  writeFileSync(file, input);
  return file;
}
