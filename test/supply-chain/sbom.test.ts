// SPDX-License-Identifier: MIT
// Goal: the bills of materials name what is really there. Method: packages as Node finds them from ours, what esbuild says it put
// into each script and what it left to be imported, and what the loader is told by godwitd, each found out again without the
// bill's own code, and compared.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { build } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import { type Bill, type Bundles, firmwareBill, npmBill, packageBill } from "../../scripts/sbom.mjs";
import { FIRMWARE_BUILD } from "../firmware/driver.ts";

interface Manifest {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
const read = <T>(path: string) => JSON.parse(readFileSync(path, "utf8")) as T;
const { version, dependencies = {} } = read<Manifest>("package.json");
const GODWITD = relative(".", join(FIRMWARE_BUILD, "godwitd"));

let bundles: Bundles;
let made: Parameters<typeof packageBill>[0];
let ofPackage: Bill;

beforeAll(() => {
  bundles = read<Bundles>("dist/bundles.json");
  made = { root: ".", version, epochS: 1_800_000_000, bundles, npmBill: npmBill() };
  ofPackage = packageBill(made);
});

const dependsOn = (bill: Bill, ref: string) =>
  bill.dependencies.find((entry) => entry.ref === ref)?.dependsOn;

/** Nothing is named twice, or depends on what is not there. */
function expectWhole(bill: Bill): void {
  const refs = bill.components.map((component) => component["bom-ref"]);
  expect(bill).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5" });
  expect(new Set(refs).size).toBe(refs.length);
  expect(bill.dependencies.map(({ ref }) => ref).sort()).toEqual(
    [bill.metadata.component["bom-ref"], ...refs].sort(),
  );
  expect(bill.dependencies.flatMap((entry) => entry.dependsOn).filter((ref) => !refs.includes(ref))).toEqual(
    [],
  );
}

describe("the npm package", () => {
  test("its bill is whole, and each package in it has a digest and a licence", () => {
    expectWhole(ofPackage);
    const packages = ofPackage.components.filter(({ type }) => type === "library");
    expect(packages.filter(({ hashes }) => hashes?.[0]?.alg !== "SHA-512")).toEqual([]);
    expect(packages.filter(({ licenses }) => licenses === undefined || licenses.length === 0)).toEqual([]);
  });

  test("names what Node finds from here, and besides only what is for other systems", () => {
    const found = installed(".", Object.keys(dependencies));
    const named = ofPackage.components.filter(({ type }) => type === "library");
    const refs = new Set(named.map(({ name, version }) => `${name}@${version}`));
    expect([...found].filter((name) => !refs.has(name))).toEqual([]);
    expect(found.size).toBeGreaterThan(90);
    const elsewhere = [...refs].filter((name) => !found.has(name));
    expect(elsewhere.filter((name) => !/^@(lmdb|msgpackr-extract)\//.test(name))).toEqual([]);
  });

  test("what the built library imports is what it depends on", async () => {
    const { metafile } = await build({
      entryPoints: ["dist/index.js", "dist/push-service.js", "dist/cli.js", "dist/apps-process.js"],
      bundle: true,
      write: false,
      outdir: "unused",
      format: "esm",
      platform: "node",
      packages: "external",
      metafile: true,
      logLevel: "error",
    });
    const imported = Object.values(metafile.outputs)
      .flatMap(({ imports }) => imports)
      .filter(({ external, path }) => external === true && !path.startsWith("node:"))
      .map(({ path }) => packageOf(path));
    const wanted = dependsOn(ofPackage, `godwit@${version}`)?.map((ref) =>
      ref.slice(0, ref.lastIndexOf("@")),
    );
    expect([...new Set(imported)].sort()).toEqual([...(wanted ?? [])].sort());
  });
});

describe("scripts that need nothing else", () => {
  test("each has in it what its bill says", async () => {
    expect(Object.keys(bundles).length).toBeGreaterThan(7);
    for (const [file, { entry }] of Object.entries(bundles)) {
      const { metafile } = await build({
        entryPoints: [entry],
        bundle: true,
        write: false,
        outdir: "unused",
        platform: "neutral",
        mainFields: ["module", "main"],
        metafile: true,
        logLevel: "error",
      });
      const [output] = Object.values(metafile.outputs);
      const inside = Object.keys(output?.inputs ?? {})
        .filter((path) => path.includes("node_modules/"))
        .filter((path) => (output?.inputs[path]?.bytesInOutput ?? 0) > 0)
        .map((path) => packageOf(path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)));
      const said = dependsOn(ofPackage, file)?.map((ref) => ref.slice(0, ref.lastIndexOf("@")));
      expect([file, said]).toEqual([file, [...new Set(inside)].sort()]);
      const bytes = readFileSync(file);
      expect(ofPackage.components.find(({ name }) => name === file)?.hashes?.[0]?.content).toBe(
        sha256(bytes),
      );
    }
  });
});

describe("the firmware", () => {
  const quickJs = read<object>("firmware-bridge/quickjs-ng.lock.json");

  test("as sources: its libraries have no version, but the least that will do", () => {
    const bill = firmwareBill({ ...made, quickJs, program: null });
    expectWhole(bill);
    const libraries = bill.components.filter(({ type, purl }) => type === "library" && purl === undefined);
    expect(libraries.length).toBeGreaterThan(3);
    expect(libraries.filter(({ properties }) => properties?.[0]?.name !== "godwit:versionMin")).toEqual([]);
  });

  describe.skipIf(!existsSync(GODWITD))("as built", () => {
    let bill: Bill;
    beforeAll(() => {
      bill = firmwareBill({ ...made, quickJs, program: GODWITD });
    });

    test("names what godwitd is linked with, and loads", () => {
      expectWhole(bill);
      const sonames = bill.components.flatMap(({ properties = [] }) =>
        properties.filter(({ name }) => name === "godwit:soname").map(({ value }) => value),
      );
      const { stdout } = spawnSync("objdump", ["--private-headers", GODWITD], { encoding: "utf8" });
      const needed = [...stdout.matchAll(/^\s*NEEDED\s+(\S+)/gm)].map(([, name]) => name);
      const loaded = readFileSync(GODWITD, "latin1").match(/lib[a-z]+\.so\.\d+/g) ?? [];
      expect(needed.some((name) => name?.startsWith("libwebsockets.so."))).toBe(true);
      expect(sonames.sort()).toEqual([...new Set([...needed, ...loaded])].sort());
      const program = bill.components.find(({ name }) => name === GODWITD);
      expect(program?.hashes?.[0]?.content).toBe(sha256(readFileSync(GODWITD)));
    });

    test.skipIf(!existsSync("/var/lib/dpkg/status")).each([
      ["libwebsockets", "libwebsockets"],
      ["libmosquitto", "libmosquitto"],
      ["openssl", "libssl"],
    ])("the version of %s is the one pkg-config knows", (library, name) => {
      const known = spawnSync("pkg-config", ["--modversion", name], { encoding: "utf8" }).stdout;
      const version = bill.components.find(({ name }) => name === library)?.version ?? "";
      // Debian's libwebsockets ends its own with a dash.
      expect(version.split(/[-+~]/)[0]).toBe(known.trim().replace(/-$/, ""));
    });
  });
});

/** "name@version" of every package that Node finds for these names, and what these need, from `directory`. */
function installed(directory: string, names: readonly string[], found = new Set<string>()): Set<string> {
  for (const name of names) {
    const at = locate(directory, name);
    if (at === null) continue;
    const {
      version,
      dependencies = {},
      optionalDependencies = {},
    } = read<Manifest>(join(at, "package.json"));
    if (found.has(`${name}@${version}`)) continue;
    found.add(`${name}@${version}`);
    installed(at, Object.keys({ ...dependencies, ...optionalDependencies }), found);
  }
  return found;
}

function locate(directory: string, name: string): string | null {
  for (let at = directory; ; at = dirname(at)) {
    const candidate = join(at, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return candidate;
    if (at === dirname(at)) return null;
  }
}

function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
