// SPDX-License-Identifier: MIT
/**
 * Builds everything into dist/: the Node library with its types, the command line, the QuickJS bundle, the scripts of the firmware
 * and its limits, the scripts for pages, the benchmarks. Fails when a bundle is over its budget (bench/budgets.json) or one for
 * QuickJS would need anything from outside.
 *
 *   node build.mjs            all of it
 *   node build.mjs --quick    without the type declarations
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";
import { nobleRewrites } from "./scripts/noble-rewrites.mjs";

const quick = process.argv.includes("--quick");
const { version } = JSON.parse(readFileSync("package.json", "utf8"));
const budgets = JSON.parse(readFileSync("bench/budgets.json", "utf8")).bundle;

/** Library entry points by the name of their file in dist/. */
const ENTRIES = {
  index: "src/index.ts",
  agent: "src/agent/index.ts",
  webpush: "src/webpush/index.ts",
  declarative: "src/declarative/index.ts",
  apps: "src/apps/index.ts",
  "apps-install": "src/apps/install-entry.ts",
  "apps-process": "src/apps/process.ts",
  "push-service": "src/push-service/index.ts",
  cli: "src/cli/main.ts",
};

/** Scripts of the firmware by the name of their file in dist/firmware. */
const FIRMWARE_SCRIPTS = {
  embedding: "src/quickjs/embedding.ts",
  daemon: "src/quickjs/daemon.ts",
  doctor: "src/quickjs/doctor.ts",
  config: "src/quickjs/config.ts",
  bench: "bench/godwitd.ts",
};

const shared = {
  bundle: true,
  format: "esm",
  target: "es2023",
  define: { __GODWIT_VERSION__: JSON.stringify(version) },
  logLevel: "warning",
};

/**
 * Names the agent's parts call each other by, what only frames and records have, and some of noble's, shortened in
 * the QuickJS bundle. None of them is known to a host, stands in the status or is used as text;
 * test/node/quickjs-bundle.test.ts runs the bundle to show it.
 */
const INTERNAL_NAMES = namesOf(`
  handle[A-Z]\\w* nextDeadline persistence registry deliveries requests listener backoff emit riders byChannel byId ofOwner
  markHandled takeRiders needsService declaredFor isInHand noteShown noteBadge overdueAtMs canDeliver
  journalAtMs notBeforeMs giveUpAtMs requestIds retryAtMs isSent budgetEndMs mustCheckpoint
  isCheckpointDue appendBytes checkpointBytes abandonSegment subscriptionIdMax notificationIdMax provenSinceMs
  pendingUnregisters heartbeat idleSinceMs provenMs generatedToken handledIds sentMs
  service known endChannels fetchToken senderPublicKey idleMs handledEpoch isDoubted notificationJson authority nextLinkId
  expiresEpochMs recordBytes disposition queue isGrowing handed deviceSecret failures fixedMs freeAtMs phase
  trial receivedEpochMs itemsMax depthMax runId textOrNull receivedMs budget intOrNull isShown
  isAffordable bytesOrNull skippedBytes journal note held startMs keep flush why record fields number answered
  oneOf clock inbox oldView isFailing idMax isOnline acks linkLost erased batch isNeeded sinceMs dropAll onTrial
  canaryFailed sinceEpochMs setFreshness isExhausted listOrNull limitBytes recall mainFailed countPing
  setWanted survived isSecret channelsDigest isTrusted countMessage countWakeUp countReceived countSent countLost countPong
  countCanaries storeEpoch registrationId saysNotification ttlLeftS idleLimitS reconnectSpreadS freshUaToken isRestored isDeclared declaredMs
  abandonToken isStoring dueMs current declared plaintext store erase entry writer segmentBytes header isSealed endsClean
  actionUrl actionUrlOptional maxActions heartbeatS wrongType outputLen blockLen digestInto destroyed finished _cloneInto
  nonceLength iHash oHash baseCanBeBlinded toAffine fromAffine clearCofactor isTorsionFree allowInfinityPoint
  wnafPrecomputes getWnafPrecomputes wnafCachedCT validateMulInput assertPoint assertValidity modFromBytes allowedLengths
  publicKeyUncompressed publicKeyHasPrefix varSizeNonce nBitLength nByteLength mulUnsafe isValidNot0 roundClean
  sealedRecords counts segment setWindowSize hasWindowSize buildWnafTable shouldBlind mulCTBlinded fixedWindowCT
  trials safeMs targetMs verdictMs isPinging worthwhileAges nextAtMs tryOne settle isBlind smoothedMs isMet
  isProbed takeAnswer isPong canSpare expectedMs hopefulAges isTrial isThere timeoutAtMs
  dialer transports startTrial webSocketUrl isMqtt canaryRequest dialWebSocket hasToken
  isPaused permissionOf permissions departure activations badges changes usage owesChange isPending silentUntilMs isSpentTold isLowTold
  startAskedMs isClosing closableMs appRequests mustHold resumedMs waitingFor holdIfPaused takeQuestion setQuestion closeByApp isAsked
  settleAll findUnused hasWaiting startApps expire memory touch identity asked noteHandled noteDone giveUp
  cancelStores endAll ownerOf dismissals drop fromBytes toBytes restore waitsUntilMs requestStart fragment isErasing
  admits spend refill lose generation isConfirmed stamp isAwaiting records active counter mulSecret precomputes tell maxOf lastMs expect finish sealed probeUrl query forget take unavailable
  precompute negate double multiply isOdd windowSize _updateBlock _lengths tagLength tagMask isLE authKey sync toHex randomBytes
  areKnown bodyBytes holdPaused setLeastUrgency ecdhSecret keyInfo cekBlock nonceBlock
  isBehind whenFoundIsDurable journalUrgently continues isIdle
  multiplyUnsafe _cloneIntoMeta suspect pendingForget isReset scheme canXOF basises padOffset
`);

/**
 * The same for the scripts of pages: names only we use, of classes pages do not see, and of an `App` what connects it to the agent.
 * test/apps/bundle.test.ts runs the scripts.
 */
const INTERNAL_PAGE_NAMES = namesOf(`
  credential isWanted handleOpen handleLost triesLeft isSent timer isEnded hurry tell
  note forget take compare waTokens before after view extend settled handler listener
  handleListenersChanged hasListeners handlesSubscriptionChange deliver handleClick handleSubscriptionChange handleWarning
`);

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist", { recursive: true });

await build({
  ...shared,
  entryPoints: ENTRIES,
  outdir: "dist",
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
  platform: "node",
  // Dependencies stay npm packages of their own: patched by their users, not by our next release.
  packages: "external",
  sourcemap: true,
});
chmodSync("dist/cli.js", 0o755);

await build({
  ...shared,
  entryPoints: { run: "bench/run.ts" },
  outdir: "dist/bench",
  splitting: true,
  platform: "node",
  packages: "external",
});

// One page for browsers; the agent serves it from memory.
const dashboard = await build({
  ...shared,
  entryPoints: { dashboard: "src/dashboard/main.ts", style: "src/dashboard/style.css" },
  outdir: "dist/dashboard",
  platform: "browser",
  minify: true,
  metafile: true,
});
for (const name of ["index.html", "icon.svg"])
  copyFileSync(`src/dashboard/${name}`, `dist/dashboard/${name}`);

/** What scripts that need nothing else have in them of others: { entry, packages } by the name of the file. */
const bundles = {
  "dist/dashboard/dashboard.js": { entry: "src/dashboard/main.ts", packages: packagesIn(dashboard.metafile) },
};

await buildForQuickJs("src/quickjs/main.ts", "dist/godwit.quickjs.js", budgets.quickjs, {
  mangleProps: INTERNAL_NAMES,
});

/** What firmware-bridge compiles into libgodwit and godwitd: a script for each, and the bounds its C shares with us. */
for (const [name, entry] of Object.entries(FIRMWARE_SCRIPTS)) {
  await buildForQuickJs(entry, `dist/firmware/${name}.js`, budgets[`firmware/${name}`], {
    plugins: [nobleRewrites],
    ...(name === "config"
      ? { define: { ...shared.define, __GODWIT_KNOWN_OPTIONS__: await knownOptions() } }
      : {}),
  });
}
await writeLimits("dist/firmware/script_limits.h");

checkSize("dist/dashboard", budgets.dashboard);

/** For pages without a bundler: a module, and a script that installs `pushManager` as soon as it is loaded. */
const PAGE_SCRIPTS = {
  "dist/apps.browser.js": { entry: "src/apps/index.ts", format: "esm" },
  "dist/apps.install.js": { entry: "src/apps/install-entry.ts", format: "iife" },
};
for (const [outfile, { entry, format }] of Object.entries(PAGE_SCRIPTS)) {
  const { metafile } = await build({
    ...shared,
    entryPoints: [entry],
    outfile,
    format,
    platform: "neutral",
    minify: true,
    metafile: true,
    mangleProps: INTERNAL_PAGE_NAMES,
  });
  bundles[outfile] = { entry, packages: packagesIn(metafile) };
  // A function put into its only caller takes less space here, and more when gzipped, as pages get it.
  await shorten(outfile, { module: format === "esm", compress: { inline: 1, reduce_funcs: false } });
  checkSize(outfile, budgets.apps);
}
// For bills of materials, and the licences a release brings.
writeFileSync("dist/bundles.json", `${JSON.stringify(bundles, null, 2)}\n`);

if (!quick) {
  run("tsc", ["-p", "tsconfig.types.json"]);
}
writeFileSync("dist/.built", version);

/** JSON of the options of all commands, without what only help needs: a configuration file that godwitd reads may hold any of them. */
async function knownOptions() {
  const outfile = "dist/.known-options.mjs";
  const entry =
    'export { COMMANDS } from "./src/cli/commands.ts"; export { knownOptions } from "./src/cli/find-command.ts";';
  await build({
    ...shared,
    stdin: { contents: entry, resolveDir: process.cwd(), loader: "ts" },
    outfile,
    platform: "node",
    packages: "external",
  });
  const { COMMANDS, knownOptions } = await import(pathToFileURL(outfile).href);
  rmSync(outfile);
  return JSON.stringify(knownOptions(COMMANDS), (name, value) => (name === "help" ? "" : value));
}

/** One script that any QuickJS can evaluate: an error when it would need anything from outside, or is over its budget. */
async function buildForQuickJs(entry, outfile, budget, { plugins = [], ...options } = {}) {
  const { metafile } = await build({
    ...shared,
    ...options,
    // A script and no module: any engine can evaluate it, and it is used through what it puts on globalThis.
    format: "iife",
    entryPoints: [entry],
    outfile,
    // Neutral: no condition "node" in anybody's exports, no built-in modules; what cannot be bundled is an error.
    platform: "neutral",
    mainFields: ["module", "main"],
    minify: true,
    metafile: true,
    plugins: [{ name: "globals", setup: keepGlobals }, ...plugins],
  });
  const outside = Object.values(metafile.outputs).flatMap(({ imports }) => imports.filter((i) => i.external));
  if (outside.length > 0) fail(`${outfile} imports ${outside.map((i) => i.path).join(", ")}`);
  await shorten(outfile);
  checkSize(outfile, budget);
  bundles[outfile] = { entry, packages: packagesIn(metafile) };
}

/** npm packages a bundle has something of, sorted. */
function packagesIn({ outputs }) {
  const inputs = Object.values(outputs).flatMap((output) => Object.entries(output.inputs));
  const names = inputs.flatMap(([path, { bytesInOutput }]) => {
    const [, name] = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? [];
    return name === undefined || bytesInOutput === 0 ? [] : [name];
  });
  return [...new Set(names)].sort();
}

/** package.json says that no module of ours has side effects; this one is imported for nothing else. */
function keepGlobals(plugin) {
  plugin.onResolve({ filter: /\/globals\.ts$/ }, ({ path, resolveDir }) => ({
    path: resolve(resolveDir, path),
    sideEffects: true,
  }));
}

/** Every numeric constant of src/limits.ts for C: what both sides bound is written down once. */
async function writeLimits(outfile) {
  const { outputFiles } = await build({ ...shared, entryPoints: ["src/limits.ts"], write: false });
  const limits = await import(`data:text/javascript,${encodeURIComponent(outputFiles[0].text)}`);
  const lines = Object.entries(limits)
    .filter(([, value]) => typeof value === "number")
    .map(([name, value]) => `#define LIMIT_${name} ${cNumber(value)}`)
    .sort();
  const text = [
    "/* SPDX-License-Identifier: MIT */",
    "/* Made by build.mjs of src/limits.ts, where each bound is explained. */",
    "#ifndef GODWIT_LIMITS_H",
    "#define GODWIT_LIMITS_H",
    "#include <stdint.h>",
    ...lines,
    "#endif",
    "",
  ];
  writeFileSync(outfile, text.join("\n"));
}

/** As an int where it is one everywhere, else as 64 bits; a fraction as a double. */
function cNumber(value) {
  if (!Number.isInteger(value)) return String(value);
  return Math.abs(value) <= 0x7fff_ffff ? String(value) : `INT64_C(${BigInt(value)})`;
}

/** esbuild bundles and shortens; terser, which looks further, takes another 2 % off, and 4 % of the gzipped size. */
async function shorten(file, { module = false, compress = {} } = {}) {
  const { code } = await minify(readFileSync(file, "utf8"), {
    module,
    compress: {
      passes: 5,
      sequences: false,
      toplevel: true,
      ...compress,
      unsafe_arrows: true,
      pure_getters: true,
      keep_fargs: false,
      global_defs: {
        "@Number.POSITIVE_INFINITY": "1/0",
        "@Number.NEGATIVE_INFINITY": "-1/0",
        "@Number.MAX_SAFE_INTEGER": "9007199254740991",
      },
    },
    mangle: { toplevel: true },
    ecma: 2020,
  });
  writeFileSync(file, code);
}

/** Matches each of the words, which may be patterns, and nothing else. */
function namesOf(words) {
  return new RegExp(`^(${words.trim().split(/\s+/).join("|")})$`);
}

/** Of one file, or of all in a directory. */
function checkSize(path, { bytesMax, gzipBytesMax }) {
  const names = statSync(path).isDirectory() ? readdirSync(path).map((name) => `${path}/${name}`) : [path];
  const files = names.map((name) => readFileSync(name));
  const bytes = files.reduce((sum, file) => sum + file.length, 0);
  const gzipBytes = files.reduce((sum, file) => sum + gzipSync(file, { level: 9 }).length, 0);
  console.log(`${path}: ${bytes} bytes (limit ${bytesMax}), ${gzipBytes} gzipped (limit ${gzipBytesMax})`);
  if (bytes > bytesMax || gzipBytes > gzipBytesMax) fail(`${path} is over its budget`);
}

function run(command, args) {
  const { status } = spawnSync(`node_modules/.bin/${command}`, args, { stdio: "inherit" });
  if (status !== 0) fail(`${command} failed`);
}

function fail(message) {
  console.error(`build: ${message}`);
  process.exit(1);
}
