// SPDX-License-Identifier: MIT
/**
 * Bills of materials, CycloneDX 1.5. `npm run sbom` writes two into build/sbom: of the npm package, with what it needs at run time
 * and what is inside of its bundles; and of the firmware, with the engine, the libraries of the system that godwitd is linked with
 * here, and the scripts in it. A release of the firmware brings one of its own, in which the libraries have no version yet.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** Of what npm prints. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const SCRIPT_DIRECTORIES = ["dist/firmware", "dist/dashboard"];
const GODWITD = "build/firmware/godwitd";
const DIRECTORY = "build/sbom";

/**
 * Of the system, never brought along. `versionMin` is what CMakeLists.txt and README.md ask for; `files` are the shared objects
 * they are, by their names up to ".so", which is how a linked program names them. What `isLoaded` godwitd opens by itself.
 */
const LIBRARIES = [
  { name: "libwebsockets", versionMin: "4.1", licence: "MIT", scope: "required", files: ["libwebsockets"] },
  {
    ...{ name: "libmosquitto", versionMin: "2.0", licence: "EPL-2.0 OR BSD-3-Clause", scope: "required" },
    files: ["libmosquitto"],
  },
  {
    ...{ name: "openssl", versionMin: "3.0", licence: "Apache-2.0", scope: "required" },
    files: ["libssl", "libcrypto"],
  },
  {
    ...{ name: "mbedtls", versionMin: "2.28", licence: "Apache-2.0 OR GPL-2.0-or-later", scope: "optional" },
    ...{ option: "GODWIT_CRYPTO=mbedtls", files: ["libmbedcrypto"] },
  },
  {
    ...{ name: "libsystemd", versionMin: "247", licence: "LGPL-2.1-or-later", scope: "optional" },
    ...{ option: "GODWIT_SYSTEMD=on, GODWIT_DBUS=sdbus", files: ["libsystemd"], isLoaded: true },
  },
];

/** Why there is no bill, in words for whoever asked for it. */
export class BillError extends Error {}

/**
 * Bill of the firmware: of a release, or of what was built here.
 * @param {object} of
 * @param {string} of.root where dist/ is: hashes are of the files in it
 * @param {string} of.version
 * @param {number} of.epochS when, seconds since 1970
 * @param {Record<string, { packages: readonly string[] }>} of.bundles dist/bundles.json
 * @param {object} of.quickJs quickjs-ng.lock.json
 * @param {object} of.npmBill what `npm sbom` says of the whole project
 * @param {string | null} of.program godwitd as built here, its path from `root`: its libraries then have versions; null for sources
 * @throws {BillError} when npm does not name a package
 */
export function firmwareBill({ root, version, epochS, bundles, quickJs, npmBill, program }) {
  const scripts = SCRIPT_DIRECTORIES.flatMap((directory) =>
    readdirSync(join(root, directory))
      .sort()
      .map((file) => fileComponent(root, `${directory}/${file}`)),
  );
  const inScripts = bundledIn(
    scripts.map(({ name }) => name),
    bundles,
    npmBill,
  );
  const engine = quickJsComponent(quickJs);
  const linked = program === null ? null : linkedLibraries(join(root, program));
  const libraries =
    linked === null
      ? LIBRARIES.map((library) => libraryComponent(library))
      : linked.map(({ library, ...found }) => libraryComponent(library, found));
  const programs = program === null ? [] : [fileComponent(root, program)];
  const own = [...inScripts.components, engine, ...libraries];
  return bill({
    main: {
      ...{ type: "firmware", name: "godwit-firmware", version },
      description: "Web Push user agent for firmware images: godwitd and libgodwit",
    },
    epochS,
    components: [...own, ...scripts, ...programs],
    needed: refsOf(own),
    dependencies: [
      ...inScripts.dependencies,
      ...[engine, ...libraries].map((part) => ({ ref: part["bom-ref"], dependsOn: [] })),
      ...programs.map((part) => ({ ref: part["bom-ref"], dependsOn: refsOf([engine, ...libraries]) })),
    ],
  });
}

/**
 * Bill of the npm package: what is installed with it, on any platform, and its bundles with what is inside of them.
 * @param {object} of
 * @param {string} of.root where dist/ is
 * @param {string} of.version
 * @param {number} of.epochS when, seconds since 1970
 * @param {Record<string, { packages: readonly string[] }>} of.bundles dist/bundles.json
 * @param {object} of.npmBill what `npm sbom` says of the whole project
 */
export function packageBill({ root, version, epochS, bundles, npmBill }) {
  const [own] = npmBill.dependencies.filter(({ ref }) => ref === npmBill.metadata.component["bom-ref"]);
  const files = Object.keys(bundles)
    .sort()
    .map((name) => fileComponent(root, name));
  return bill({
    main: {
      ...{ type: "library", name: "godwit", version, purl: `pkg:npm/godwit@${version}` },
      description: "Web Push user agent for constrained devices, with a push service",
    },
    epochS,
    components: [...npmBill.components, ...files],
    needed: own.dependsOn,
    dependencies: [
      ...npmBill.dependencies.filter((entry) => entry !== own),
      ...bundledIn(
        files.map(({ name }) => name),
        bundles,
        npmBill,
      ).dependencies.filter(({ ref }) => ref in bundles),
    ],
  });
}

/**
 * What npm says of the packages in package-lock.json that are needed at run time. It asks nobody. Not by `--omit dev`, which leaves
 * out what packages for development need as well: they are marked, and left out here.
 */
export function npmBill() {
  const { dependencies: wanted } = JSON.parse(readFileSync("package.json", "utf8"));
  const { metadata, components, dependencies } = JSON.parse(
    output("npm", ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"]),
  );
  const needed = components.filter(
    ({ properties }) => !properties.some(({ name }) => name === "cdx:npm:package:development"),
  );
  const own = metadata.component["bom-ref"];
  const refs = new Set(refsOf(needed));
  const isDirect = new Set(refsOf(needed.filter(({ name }) => name in wanted)));
  return {
    metadata,
    components: needed,
    dependencies: dependencies
      .filter(({ ref }) => ref === own || refs.has(ref))
      .map(({ ref, dependsOn }) => ({
        ref,
        dependsOn: dependsOn.filter((on) => (ref === own ? isDirect : refs).has(on)),
      })),
  };
}

/** https://reproducible-builds.org/specs/source-date-epoch/; without it that of the commit. */
export function sourceDateEpochS() {
  const given = process.env.SOURCE_DATE_EPOCH || output("git", ["log", "-1", "--format=%ct"]).trim();
  if (!/^\d{1,11}$/.test(given)) throw new BillError(`SOURCE_DATE_EPOCH is ${given}: no seconds since 1970`);
  return Number(given);
}

/** Components of the packages in these files, and what depends on what among files and packages. */
function bundledIn(files, bundles, npmBill) {
  const wanted = [...new Set(files.flatMap((file) => bundles[file]?.packages ?? []))].sort();
  const refs = new Map(
    wanted.map((name) => {
      const found = npmBill.components.filter((component) => component.name === name);
      if (found.length !== 1) throw new BillError(`npm sbom names ${found.length} times ${name}`);
      return [name, found[0]];
    }),
  );
  const components = [...refs.values()];
  const names = new Set(refsOf(components));
  const among = npmBill.dependencies.filter(({ ref }) => names.has(ref));
  return {
    components,
    dependencies: [
      ...among.map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((on) => names.has(on)) })),
      ...files.map((ref) => ({
        ref,
        dependsOn: refsOf((bundles[ref]?.packages ?? []).map((name) => refs.get(name))),
      })),
    ],
  };
}

function bill({ main: { type, name, version, ...rest }, epochS, components, needed, dependencies }) {
  const ref = `${name}@${version}`;
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.5.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    serialNumber: serialNumber([ref, String(epochS), ...components.map((part) => JSON.stringify(part))]),
    version: 1,
    metadata: {
      timestamp: new Date(epochS * 1000).toISOString(),
      lifecycles: [{ phase: "build" }],
      component: { "bom-ref": ref, type, name, version, ...rest, licenses: [{ license: { id: "MIT" } }] },
    },
    components,
    dependencies: [{ ref, dependsOn: needed }, ...dependencies],
  };
}

/** The hash is that of the Debian package; the tree's, as in the lock file, is what the build sees. */
function quickJsComponent({ package: name, version, suite, sha256, source }) {
  const [upstream] = version.split("-");
  return {
    ...{ "bom-ref": `quickjs-ng@${version}`, type: "library", name: "quickjs-ng", version: upstream },
    scope: "required",
    description: "JavaScript engine, compiled in; its source is quickjs-ng/",
    hashes: [{ alg: "SHA-256", content: sha256 }],
    licenses: [{ license: { id: "MIT" } }],
    purl: `pkg:deb/debian/${name}@${version}?arch=all&distro=${suite}`,
    properties: [{ name: "godwit:treeSha256", value: source.sha256 }],
  };
}

/** Which version it is, the image decides; of a program that is linked here, the system here: `found`. */
function libraryComponent({ name, versionMin, licence, scope, option }, found = null) {
  const properties = [
    ...(versionMin === undefined ? [] : [["versionMin", versionMin]]),
    ...(option === undefined ? [] : [["cmakeOption", option]]),
    ...(found === null ? [] : found.sonames.map((soname) => ["soname", soname])),
  ];
  const licences = licence?.includes(" ") ? [{ expression: licence }] : [{ license: { id: licence } }];
  return {
    ...{ "bom-ref": name, type: "library", name, scope },
    ...(found?.version
      ? { version: found.version, purl: `pkg:deb/${found.distribution}/${found.package}@${found.version}` }
      : {}),
    description: "Library of the system, linked or loaded; not in the tarball",
    ...(licence === undefined ? {} : { licenses: licences }),
    properties: properties.map(([key, value]) => ({ name: `godwit:${key}`, value })),
  };
}

/**
 * What a program names as needed, and what it opens by itself, by library: { library, sonames, package, version, distribution },
 * the last three of the Debian package it is from, null where there is none.
 * @throws {BillError} without readelf or ldd
 */
export function linkedLibraries(program) {
  const dynamic = output("readelf", ["--dynamic", "--wide", program]);
  const needed = [...dynamic.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].map(([, name]) => name);
  const paths = new Map(
    [...output("ldd", [program]).matchAll(/^\s*(\S+) => (\/\S+)/gm)].map(([, name, path]) => [name, path]),
  );
  const loaded = LIBRARIES.filter(({ isLoaded }) => isLoaded).flatMap((library) => {
    const [path] = library.files.flatMap((file) => [
      ...readFileSync(program, "latin1").matchAll(new RegExp(`${file}\\.so\\.\\d+`, "g")),
    ]);
    return path === undefined ? [] : [path[0]];
  });
  const found = new Map();
  for (const soname of [...needed, ...loaded]) {
    const stem = soname.replace(/\.so.*$/, "");
    const known = LIBRARIES.find(({ files }) => files.includes(stem));
    const origin = originOf(paths.get(soname) ?? loadedFrom(soname));
    const name = known?.name ?? origin.source ?? stem;
    const library = known ?? { name, scope: "required" };
    const before = found.get(name);
    if (before === undefined) found.set(name, { library, sonames: [soname], ...origin });
    else before.sonames.push(soname);
  }
  return [...found.values()];
}

/** Where the loader finds a library that a program opens; null where it is not installed. */
function loadedFrom(soname) {
  const { stdout } = spawnSync("/sbin/ldconfig", ["-p"], { encoding: "utf8" });
  return (
    (stdout ?? "").match(new RegExp(`^\\s*${soname.replaceAll(".", "\\.")} .*=> (/\\S+)`, "m"))?.[1] ?? null
  );
}

/** Debian package a file is from. With merged /usr, dpkg may know it by either name. */
function originOf(path) {
  const none = { package: null, source: null, version: null, distribution: null };
  if (path === null) return none;
  const names = path.startsWith("/usr/") ? [path, path.slice(4)] : [path, `/usr${path}`];
  for (const name of names) {
    const owner = spawnSync("dpkg-query", ["--search", name], { encoding: "utf8" });
    if (owner.status !== 0) continue;
    const of = owner.stdout.slice(0, owner.stdout.lastIndexOf(": "));
    // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query puts them in.
    const format = "${Package} ${source:Package} ${Version}";
    const shown = output("dpkg-query", ["--show", "--showformat", format, of]);
    const [pkg, source, version] = shown.split(" ");
    const distribution = readFileSync("/etc/os-release", "utf8").match(/^ID=(\w+)/m)?.[1] ?? "debian";
    return { package: pkg, source, version, distribution };
  }
  return none;
}

function fileComponent(root, name) {
  const content = createHash("sha256")
    .update(readFileSync(join(root, name)))
    .digest("hex");
  return {
    ...{ "bom-ref": name, type: "file", name, hashes: [{ alg: "SHA-256", content }] },
    licenses: [{ license: { id: "MIT" } }],
  };
}

function refsOf(components) {
  return components.map((component) => component["bom-ref"]);
}

/** A name-based UUID (RFC 9562, version 8): the same bill has the same. */
function serialNumber(parts) {
  const hash = createHash("sha256").update(parts.join("\n")).digest().subarray(0, 16);
  hash[6] = (hash[6] & 0x0f) | 0x80;
  hash[8] = (hash[8] & 0x3f) | 0x80;
  return `urn:uuid:${hash.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")}`;
}

function output(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: "utf8",
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  if (status !== 0) throw new BillError(`${program} ${args[0]} failed: ${error?.message ?? stderr}`);
  return stdout;
}

/** Writes both bills into build/sbom, in the repository with dist/ built; that of the firmware needs godwitd. */
function main() {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  const bundles = JSON.parse(readFileSync("dist/bundles.json", "utf8"));
  const common = { root: ".", version, epochS: sourceDateEpochS(), bundles, npmBill: npmBill() };
  const quickJs = JSON.parse(readFileSync("firmware-bridge/quickjs-ng.lock.json", "utf8"));
  const program = existsSync(GODWITD) ? GODWITD : null;
  if (program === null) console.error(`${GODWITD} is not built: the firmware's libraries have no versions`);
  mkdirSync(DIRECTORY, { recursive: true });
  for (const [name, made] of [
    ["godwit", packageBill(common)],
    ["godwit-firmware", firmwareBill({ ...common, quickJs, program })],
  ]) {
    const file = join(DIRECTORY, `${name}-${version}.cdx.json`);
    writeFileSync(file, `${JSON.stringify(made, null, 2)}\n`);
    console.log(`${file}: ${made.components.length} components`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    main();
  } catch (error) {
    if (!(error instanceof BillError)) throw error;
    console.error(`sbom: ${error.message}`);
    process.exit(1);
  }
}
