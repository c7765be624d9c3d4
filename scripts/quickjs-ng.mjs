// SPDX-License-Identifier: MIT
/**
 * The source of QuickJS-ng: from `QUICKJS_NG_SRC`, or the Debian package `qjs-src`, fetched by the apt client into
 * build/cache. The system's own sources, lists and packages are left alone. What is fetched has to be, byte for byte, what
 * firmware-bridge/quickjs-ng.lock.json says.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

const LOCK = "firmware-bridge/quickjs-ng.lock.json";
const CACHE = resolve("build/cache/quickjs-ng");
const KEYRINGS = ["gpg", "pgp"].map((suffix) => `/usr/share/keyrings/debian-archive-keyring.${suffix}`);

/** What went wrong, in words for whoever builds. */
export class QuickJsSourceError extends Error {}

/**
 * Directory with quickjs.c; fetched when it is not there yet.
 * @throws {QuickJsSourceError}
 */
export function quickJsSource() {
  const lock = JSON.parse(readFileSync(LOCK, "utf8"));
  const own = process.env.QUICKJS_NG_SRC;
  if (own !== undefined && own !== "") return ownSource(resolve(own), lock);
  const unpacked = join(CACHE, lock.version);
  const source = join(unpacked, lock.source.directory);
  if (!existsSync(source)) fetch(lock, unpacked);
  const hash = hashOfTree(source);
  if (hash !== lock.source.sha256) {
    throw new QuickJsSourceError(
      `${source} is not what ${LOCK} says (SHA-256 ${hash}): remove ${CACHE} to fetch it again`,
    );
  }
  return source;
}

/**
 * The same, and it is what the lock file says also where `QUICKJS_NG_SRC` names it; with the lock.
 * @throws {QuickJsSourceError}
 */
export function lockedQuickJsSource() {
  const lock = JSON.parse(readFileSync(LOCK, "utf8"));
  const source = quickJsSource();
  const hash = hashOfTree(source);
  if (hash !== lock.source.sha256)
    throw new QuickJsSourceError(
      `${source} is not what ${LOCK} says (SHA-256 ${hash}): a release has what is tested`,
    );
  return { source, lock };
}

/** True when it is there already, or can be fetched. */
export function canHaveQuickJsSource() {
  if (process.env.QUICKJS_NG_SRC) return true;
  if (existsSync(join(CACHE, JSON.parse(readFileSync(LOCK, "utf8")).version))) return true;
  return ["apt-get", "dpkg-deb"].every((program) => spawnSync(program, ["--version"]).status === 0);
}

function ownSource(source, lock) {
  if (!existsSync(join(source, "quickjs.c")))
    throw new QuickJsSourceError(`QUICKJS_NG_SRC (${source}) holds no quickjs.c`);
  const header = readFileSync(join(source, "quickjs.h"), "utf8");
  const version = ["MAJOR", "MINOR", "PATCH"].map(
    (part) => header.match(new RegExp(`QJS_VERSION_${part}\\s+(\\d+)`))?.[1],
  );
  if (!lock.version.startsWith(`${version.join(".")}-`))
    console.error(`QUICKJS_NG_SRC is ${version.join(".")}; Godwit is tested with ${lock.version}`);
  return source;
}

/** Downloads the package, checks it, and unpacks it to `unpacked`. */
function fetch(lock, unpacked) {
  const apt = aptDirectories();
  const [keyring] = KEYRINGS.filter((path) => existsSync(path));
  if (keyring === undefined)
    throw new QuickJsSourceError(`none of ${KEYRINGS.join(", ")} is there; ${elsewhere()}`);
  const archive = archiveAddress(apt);
  console.error(`fetching ${lock.package} ${lock.version} from ${archive} ${lock.suite}`);
  writeFileSync(apt.sources, `deb [signed-by=${keyring}] ${archive} ${lock.suite} main\n`);
  run("apt-get", [...apt.options, "update"], apt.downloads);
  run("apt-get", [...apt.options, "download", `${lock.package}=${lock.version}`], apt.downloads);
  const [name] = readdirSync(apt.downloads).filter((file) => file.endsWith(".deb"));
  if (name === undefined) throw new QuickJsSourceError("apt-get download left no package");
  const file = join(apt.downloads, name);
  const hash = createHash("sha256").update(readFileSync(file)).digest("hex");
  if (hash !== lock.sha256) {
    throw new QuickJsSourceError(
      `${name} has SHA-256 ${hash}, not the one in ${LOCK}: do not use it. If Debian rebuilt the package, look at what ` +
        `changed and update ${LOCK}, or ${elsewhere()}`,
    );
  }
  const unfinished = `${unpacked}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  run("dpkg-deb", ["-x", file, unfinished], apt.downloads);
  renameSync(unfinished, unpacked);
  rmSync(apt.root, { recursive: true, force: true });
}

/** Everything apt writes, in a directory of our own. */
function aptDirectories() {
  const root = join(CACHE, "apt");
  rmSync(root, { recursive: true, force: true });
  const [lists, cache, downloads] = ["lists", "cache", "downloads"].map((name) => join(root, name));
  for (const directory of [join(lists, "partial"), join(cache, "archives", "partial"), downloads])
    mkdirSync(directory, { recursive: true });
  const sources = join(root, "sources.list");
  const settings = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "-",
    "Dir::State::lists": lists,
    "Dir::Cache": cache,
    "Acquire::Languages": "none",
    // Its own user may not write into a directory of ours.
    "APT::Sandbox::User": "root",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return { root, lists, sources, downloads, options };
}

/** Base address of the Debian archive the system itself uses: a mirror, or a proxy, is there for a reason. */
function archiveAddress({ lists }) {
  const { stdout } = spawnSync("apt-get", ["update", "--print-uris", "-o", `Dir::State::lists=${lists}`], {
    encoding: "utf8",
  });
  const releases = [...(stdout ?? "").matchAll(/^'([^']+)\/dists\/([^/']+)\/InRelease'/gm)];
  const address = releases.find(([, base, suite]) => /debian/.test(base) && !suite.includes("-"))?.[1];
  if (address === undefined) throw new QuickJsSourceError(`apt names no Debian archive; ${elsewhere()}`);
  return address;
}

function run(program, args, cwd) {
  const { status, error } = spawnSync(program, args, {
    cwd,
    stdio: ["ignore", process.stderr, process.stderr],
  });
  if (status !== 0) {
    const why = error === undefined ? `exit code ${status}` : error.message;
    throw new QuickJsSourceError(`${program} failed (${why}); ${elsewhere()}`);
  }
}

function elsewhere() {
  return "give the source of QuickJS-ng in QUICKJS_NG_SRC";
}

/** SHA-256 over "<SHA-256>  <path>" of each file, by path, as sha256sum prints them. */
function hashOfTree(directory) {
  const total = createHash("sha256");
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(directory.length + 1))
    .sort();
  for (const file of files) {
    const hash = createHash("sha256")
      .update(readFileSync(join(directory, file)))
      .digest("hex");
    total.update(`${hash}  ${file}\n`);
  }
  return total.digest("hex");
}
