// SPDX-License-Identifier: MIT
/**
 * `npm run audit`: whether package-lock.json, and what is installed, is what was looked at (scripts/audit.json), and what the
 * registry knows of it (`npm audit`). With `--offline` the first alone, which `npm test` checks too.
 *
 * Exit codes: 0 nothing found; 1 something was; 75 no registry said anything about advisories.
 */

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const NODE_MODULES = "node_modules/";
const EXACT_VERSION = /^\d+\.\d+\.\d+(?:-[\w.-]+)?$/;
/** The one digest npm makes today; 64 bytes in base64. */
const INTEGRITY = /^sha512-[A-Za-z0-9+/]{86}==$/;
/** What npm runs of a package when it is installed. */
const INSTALL_SCRIPTS = ["preinstall", "install", "postinstall"];
const EXIT = { ok: 0, found: 1, usage: 2, tryAgain: 75 };

/**
 * @typedef {object} Allowed scripts/audit.json
 * @property {readonly string[]} licences SPDX expressions, as packages write them
 * @property {Readonly<Record<string, string>>} installScripts packages that have one, and what it does
 * @property {readonly string[]} runtime packages that come with Godwit
 * @property {readonly string[]} development those that build and test it
 */

/**
 * What is wrong with a lock file, in sentences; nothing where all is well.
 * @param {{ dependencies?: Record<string, string>, devDependencies?: Record<string, string> }} manifest package.json
 * @param {{ lockfileVersion: number, packages: Record<string, any> }} lock package-lock.json
 * @param {Allowed} allowed
 * @returns {string[]}
 */
export function lockFindings(manifest, lock, allowed) {
  const { "": root, ...packages } = lock.packages;
  const entries = Object.entries(packages).map(([path, entry]) => ({ path, entry, name: nameIn(path) }));
  const isDevelopment = ({ entry }) => entry.dev === true || entry.devOptional === true;
  const [runtime, all] = [entries.filter((one) => !isDevelopment(one)), entries].map(
    (some) => new Set(some.map(({ name }) => name)),
  );
  const development = [...all].filter((name) => !runtime.has(name));
  return [
    ...(lock.lockfileVersion === 3 ? [] : [`the lock file has version ${lock.lockfileVersion}, not 3`]),
    ...["dependencies", "devDependencies"].flatMap((kind) =>
      wishFindings(manifest[kind], root?.[kind], kind),
    ),
    ...entries.flatMap(({ path, entry, name }) => entryFindings(path, entry, name, allowed)),
    ...difference("runtime", [...runtime], allowed.runtime),
    ...difference("development", development, allowed.development),
  ];
}

/**
 * What is wrong with the packages that are installed: they are those of the lock file, and have no install script that it hides.
 * @param {string} directory where node_modules is
 * @param {{ packages: Record<string, any> }} lock package-lock.json
 * @param {Allowed} allowed
 * @returns {string[]}
 */
export function installedFindings(directory, lock, allowed) {
  // npm's own account of what it put there.
  const { packages } = JSON.parse(readFileSync(join(directory, NODE_MODULES, ".package-lock.json"), "utf8"));
  return Object.entries(packages).flatMap(([path, { version, integrity }]) => {
    const locked = lock.packages[path];
    if (locked === undefined) return [`${path} is installed and not in the lock file`];
    if (integrity !== locked.integrity || version !== locked.version)
      return [`${path} is installed as ${version}, which is not what the lock file says`];
    const manifest = join(directory, path, "package.json");
    const { scripts = {} } = existsSync(manifest) ? JSON.parse(readFileSync(manifest, "utf8")) : {};
    const runs = INSTALL_SCRIPTS.some((script) => script in scripts);
    return runs && !(nameIn(path) in allowed.installScripts)
      ? [`${path} runs a script when it is installed`]
      : [];
  });
}

/** What package.json asks for: one version each, and the lock file knows of the same. */
function wishFindings(wanted = {}, locked = {}, kind) {
  return [
    ...Object.entries(wanted)
      .filter(([, version]) => !EXACT_VERSION.test(version))
      .map(([name, version]) => `${kind}: ${name} is "${version}", not one version`),
    ...(isSame(wanted, locked) ? [] : [`${kind} of package.json are not those of the lock file`]),
  ];
}

function entryFindings(path, entry, name, allowed) {
  const wrong = [
    [!EXACT_VERSION.test(entry.version ?? ""), `has the version ${entry.version}`],
    [!INTEGRITY.test(entry.integrity ?? ""), "has no SHA-512"],
    // Which registry is everybody's own matter, and nothing comes from elsewhere.
    [entry.resolved !== undefined, "names where it comes from"],
    [entry.link === true || entry.inBundle === true, "is no package of a registry"],
    [entry.name !== undefined && entry.name !== name, `is ${entry.name} under another name`],
    [!allowed.licences.includes(entry.license), `has the licence ${entry.license}`],
    [
      entry.hasInstallScript === true && !(name in allowed.installScripts),
      "runs a script when it is installed",
    ],
  ];
  return wrong.filter(([isWrong]) => isWrong).map(([, what]) => `${path} ${what}`);
}

/** Names that came, and names that went, without scripts/audit.json. */
function difference(kind, present, expected) {
  const [came, went] = [
    present.filter((name) => !expected.includes(name)),
    expected.filter((name) => !present.includes(name)),
  ];
  return [
    ...came
      .sort()
      .map((name) => `${name} is new for ${kind}: look at it, and enter it in scripts/audit.json`),
    ...went.sort().map((name) => `${name} is no more for ${kind}: take it out of scripts/audit.json`),
  ];
}

function nameIn(path) {
  return path.slice(path.lastIndexOf(NODE_MODULES) + NODE_MODULES.length);
}

function isSame(one, other) {
  const [left, right] = [one, other].map((record) => JSON.stringify(Object.entries(record).sort()));
  return left === right;
}

/** Asks the registry npm is configured for. Returns the exit code. */
function askRegistry() {
  const { stdout, error } = spawnSync("npm", ["audit", "--omit", "dev", "--json"], { encoding: "utf8" });
  let report;
  try {
    report = JSON.parse(stdout);
  } catch {
    report = { message: error?.message ?? "npm said nothing that can be read" };
  }
  const counts = report.metadata?.vulnerabilities;
  if (counts === undefined) {
    console.error(
      `advisories: NOT CHECKED, no registry answered: ${report.message ?? report.error?.summary}`,
    );
    console.error("run this again where npm reaches a registry that knows advisories");
    return EXIT.tryAgain;
  }
  for (const [name, { severity, range }] of Object.entries(report.vulnerabilities ?? {}))
    console.log(`advisories: ${name} ${range}: ${severity}`);
  console.log(`advisories: ${counts.total} for what Godwit needs at run time`);
  return counts.total === 0 ? EXIT.ok : EXIT.found;
}

function main(args) {
  if (args.some((arg) => arg !== "--offline")) {
    console.error("usage: npm run audit [-- --offline]");
    return EXIT.usage;
  }
  const [manifest, lock, allowed] = ["package.json", "package-lock.json", "scripts/audit.json"].map((file) =>
    JSON.parse(readFileSync(file, "utf8")),
  );
  const isInstalled = existsSync(`${NODE_MODULES}.package-lock.json`);
  const findings = [
    ...lockFindings(manifest, lock, allowed),
    ...(isInstalled ? installedFindings(".", lock, allowed) : []),
  ];
  for (const finding of findings) console.log(`packages: ${finding}`);
  const count = Object.keys(lock.packages).length - 1;
  console.log(
    `packages: ${count} in the lock file${isInstalled ? " and as installed" : ""}, ${findings.length} findings`,
  );
  const asked = args.length > 0 ? EXIT.ok : askRegistry();
  return findings.length > 0 ? EXIT.found : asked;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exit(main(process.argv.slice(2)));
