// SPDX-License-Identifier: MIT
/**
 * `npm run release:firmware`: build/release/godwit-firmware-VERSION.tar.gz, from which godwitd and libgodwit.a are built with
 * CMake, a C compiler and the libraries alone. In it: the scripts as built, the dashboard, all C, QuickJS-ng as fetched,
 * licences, a bill of materials (CycloneDX 1.5) and the hash of each file. The same commit gives the same bytes.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { commit } from "./firmware.mjs";
import { lockedQuickJsSource, QuickJsSourceError } from "./quickjs-ng.mjs";
import { BillError, firmwareBill, npmBill, sourceDateEpochS } from "./sbom.mjs";

/** As they are in the repository: the C part, what its documents lead to, and what C and script have agreed on. */
const TRACKED = [
  ...["firmware-bridge", "LICENSE", "CHANGELOG.md", "SPEC.md", "SECURITY.md", "ARCHITECTURE.md"],
  ...["src/limits.ts", "src/quickjs/*.d.ts", "src/quickjs/options.ts"],
];
const BUILT = ["dist/firmware", "dist/dashboard"];
/** The repository's README.md is about a checkout with npm, and leads to what is not in here. */
const README = `# Godwit for firmware

A Web Push user agent for devices: \`godwitd\`, a daemon, and \`libgodwit.a\`, to link into a program of yours.

\`\`\`sh
sha256sum --check --quiet SHA256SUMS
cmake -S firmware-bridge -B build && cmake --build build
ctest --test-dir build
cmake --install build --prefix /usr
\`\`\`

- [firmware-bridge/README.md](firmware-bridge/README.md): what it needs, build options, the daemon, embedding
- [firmware-bridge/include/godwit.h](firmware-bridge/include/godwit.h): the C API, with [a whole program](firmware-bridge/examples/feature-phone/main.c)
- [SPEC.md](SPEC.md): options, error codes, wire and disk; [SECURITY.md](SECURITY.md); [CHANGELOG.md](CHANGELOG.md); [LICENSE](LICENSE), \`licences/\`

What else the documents name is in the repository.
`;
/** Of everything printed by one command. */
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

/** What is missing for a release, in words for whoever makes it. */
export class ReleaseError extends Error {}

/**
 * Writes the tarball, and its hash beside it; returns the tarball's path. To be called in the repository, with dist/ built.
 * @param {string} directory where to
 * @throws {ReleaseError|BillError|QuickJsSourceError}
 */
export function releaseFirmware(directory) {
  const { version } = JSON.parse(readFileSync("package.json", "utf8"));
  const epochS = sourceDateEpochS();
  const name = `godwit-firmware-${version}`;
  const stage = mkdtempSync(join(tmpdir(), "godwit-release-"));
  try {
    const root = join(stage, name);
    for (const path of output("git", ["ls-files", "-z", ...TRACKED])
      .split("\0")
      .filter(Boolean))
      copy(path, join(root, path));
    writeFileSync(join(root, "README.md"), README);
    // Where there is no repository, `godwitd bench` tells of this one.
    writeFileSync(join(root, "COMMIT"), `${commit()}\n`);
    for (const path of BUILT) cpSync(path, join(root, path), { recursive: true });
    const quickJs = lockedQuickJsSource();
    cpSync(quickJs.source, join(root, "quickjs-ng"), { recursive: true });
    const bundles = JSON.parse(readFileSync("dist/bundles.json", "utf8"));
    const bill = firmwareBill({
      root,
      version,
      epochS,
      bundles,
      quickJs: quickJs.lock,
      npmBill: npmBill(),
      program: null,
    });
    const packages = bill.components.filter(({ purl }) => purl?.startsWith("pkg:npm/"));
    addLicences(
      join(root, "licences"),
      packages.map(({ name }) => name),
      quickJs.source,
    );
    writeFileSync(join(root, "sbom.cdx.json"), `${JSON.stringify(bill, null, 2)}\n`);
    writeFileSync(join(root, "SHA256SUMS"), hashesOf(root));
    mkdirSync(directory, { recursive: true });
    const tarball = join(directory, `${name}.tar.gz`);
    const bytes = gzipSync(archive(stage, name, epochS), { level: 9 });
    writeFileSync(tarball, bytes);
    writeFileSync(`${tarball}.sha256`, `${sha256(bytes)}  ${name}.tar.gz\n`);
    return tarball;
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

/** One licence file for each part of others that is in the tarball. */
function addLicences(directory, packages, quickJsSource) {
  mkdirSync(directory, { recursive: true });
  for (const name of packages) {
    const from = join("node_modules", name);
    const file = readdirSync(from).find((file) => /^licen[cs]e/i.test(file));
    if (file === undefined) throw new ReleaseError(`${name} brings no licence`);
    copyFileSync(join(from, file), join(directory, `${name.replace("/", "-").replace("@", "")}.txt`));
  }
  const [notice] = readFileSync(join(quickJsSource, "quickjs.c"), "utf8").match(/^\/\*.*?\*\//s) ?? [""];
  if (!notice.includes("Permission is hereby granted"))
    throw new ReleaseError("quickjs.c does not begin with its licence");
  writeFileSync(join(directory, "quickjs-ng.txt"), `${notice}\n`);
}

/** As sha256sum prints and checks them. */
function hashesOf(root) {
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
    .sort();
  return files.map((file) => `${sha256(readFileSync(join(root, file)))}  ${file}\n`).join("");
}

/** Nothing in it depends on who makes it, where and when. */
function archive(stage, name, epochS) {
  const { status, stdout, stderr } = spawnSync(
    "tar",
    [
      ...["--create", "--format=ustar", "--sort=name", `--mtime=@${epochS}`],
      ...["--owner=0", "--group=0", "--numeric-owner", "--mode=a+rX,u+w,go-w"],
      ...["--directory", stage, name],
    ],
    { env: { ...process.env, LC_ALL: "C" }, maxBuffer: OUTPUT_BYTES_MAX },
  );
  if (status !== 0) throw new ReleaseError(`GNU tar is needed: ${stderr}`);
  return stdout;
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

function output(program, args) {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: "utf8",
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  if (status !== 0) throw new ReleaseError(`${program} ${args[0]} failed: ${error?.message ?? stderr}`);
  return stdout;
}

function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

function main(args) {
  if (args.length > 0) {
    console.error("usage: npm run release:firmware");
    process.exit(2);
  }
  try {
    for (const path of BUILT)
      if (!existsSync(path)) throw new ReleaseError(`there is no ${path}: node build.mjs makes it`);
    const tarball = releaseFirmware(resolve("build/release"));
    console.log(`${tarball}: ${readFileSync(tarball).length} bytes`);
    console.log(readFileSync(`${tarball}.sha256`, "utf8").trim());
  } catch (error) {
    if (![ReleaseError, BillError, QuickJsSourceError].some((kind) => error instanceof kind)) throw error;
    console.error(`release: ${error.message}`);
    process.exit(1);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main(process.argv.slice(2));
