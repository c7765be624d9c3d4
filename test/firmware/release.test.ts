// SPDX-License-Identifier: MIT
// Goal: whoever has the release's tarball, CMake, a C compiler and the libraries has godwitd; what is in it is named, licensed,
// hashed, and the same each time. Method: make it twice, unpack one in an empty directory, and build there with a PATH
// whose node and npm only note that they were called. With `GODWIT_LONG=1` all of it is built as it is for devices, and CTest run;
// else the daemon alone, without optimisation, which takes a third of the time.

import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { releaseFirmware } from "../../scripts/release-firmware.mjs";
import type { Bill } from "../../scripts/sbom.mjs";
import { FIRMWARE_BUILD, isFirmwareBuilt } from "./driver.ts";

const isLong = process.env.GODWIT_LONG === "1";
const BUILD_MS_MAX = 900_000;
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { readonly version: string };

// Where the firmware can be built, it has been: by `npm test`, or `npm run firmware`.
describe.skipIf(!isFirmwareBuilt)("release tarball", () => {
  let directory: string;
  let tarball: string;
  let root: string;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "godwit-release-"));
    tarball = releaseFirmware(join(directory, "one"));
    const { status } = spawnSync("tar", ["--extract", "--file", tarball, "--directory", directory]);
    expect(status).toBe(0);
    root = join(directory, `godwit-firmware-${version}`);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test("is the same each time", () => {
    const again = releaseFirmware(join(directory, "two"));
    expect(basename(again)).toBe(basename(tarball));
    expect(readFileSync(again).equals(readFileSync(tarball))).toBe(true);
  });

  test("is named with its hash", () => {
    const check = spawnSync("sha256sum", ["--check", `${basename(tarball)}.sha256`], {
      cwd: join(directory, "one"),
    });
    expect(check.status).toBe(0);
  });

  test("holds the hash of each file, and no other file", () => {
    expect(spawnSync("sha256sum", ["--check", "--quiet", "SHA256SUMS"], { cwd: root }).status).toBe(0);
    const listed = readFileSync(join(root, "SHA256SUMS"), "utf8")
      .trim()
      .split("\n")
      .map((line) => line.slice(66));
    const present = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
    expect([...listed, "SHA256SUMS"].sort()).toEqual(present.sort());
  });

  test("its README leads to nothing that is not there", () => {
    const links = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/\]\(([^)]+)\)/g)].map(
      ([, to]) => to ?? "",
    );
    expect(links.length).toBeGreaterThan(5);
    expect(links.filter((to) => !existsSync(join(root, to)))).toEqual([]);
  });

  test("brings the licence of everything in it", () => {
    expect(readFileSync(join(root, "LICENSE"), "utf8")).toContain("MIT License");
    const names = readdirSync(join(root, "licences")).sort();
    expect(names).toEqual(["noble-ciphers.txt", "noble-curves.txt", "noble-hashes.txt", "quickjs-ng.txt"]);
    for (const name of names)
      expect(readFileSync(join(root, "licences", name), "utf8")).toContain("Permission is hereby granted");
  });

  test("says what it is made of", () => {
    const bill = JSON.parse(readFileSync(join(root, "sbom.cdx.json"), "utf8")) as Bill;
    expect(bill).toMatchObject({ bomFormat: "CycloneDX", specVersion: "1.5" });
    expect(bill.serialNumber).toMatch(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-/,
    );
    expect(bill.metadata.component).toMatchObject({ name: "godwit-firmware", version });
    const refs = bill.components.map((component) => component["bom-ref"]);
    expect(new Set(refs).size).toBe(refs.length);
    expect(bill.dependencies.map(({ ref }) => ref).sort()).toEqual(
      [bill.metadata.component["bom-ref"], ...refs].sort(),
    );
    for (const { dependsOn } of bill.dependencies)
      expect(dependsOn.filter((ref) => !refs.includes(ref))).toEqual([]);
    const libraries = bill.components.filter(({ type }) => type === "library").map(({ name }) => name);
    expect(libraries).toEqual([
      ...["@noble/ciphers", "@noble/curves", "@noble/hashes", "quickjs-ng"],
      ...["libwebsockets", "libmosquitto", "openssl", "mbedtls", "libsystemd"],
    ]);
    for (const { licenses, hashes, properties } of bill.components) {
      expect(licenses?.every(({ license, expression }) => (license?.id ?? expression) !== undefined)).toBe(
        true,
      );
      // What is not in the tarball has no hash, and says which version it takes.
      expect(hashes !== undefined || properties?.some(({ name }) => name === "godwit:versionMin")).toBe(true);
    }
  });

  test("names in its bill the very files and engine it holds", () => {
    const bill = JSON.parse(readFileSync(join(root, "sbom.cdx.json"), "utf8")) as Bill;
    const files = bill.components.filter(({ type }) => type === "file");
    for (const { name, hashes } of files) expect(hashes?.[0]?.content).toBe(sha256(join(root, name)));
    expect(files.map(({ name }) => name).sort()).toEqual(
      ["firmware", "dashboard"]
        .flatMap((part) => readdirSync(join(root, "dist", part)).map((name) => `dist/${part}/${name}`))
        .sort(),
    );
    const engine = bill.components.find(({ name }) => name === "quickjs-ng");
    const tree = createHash("sha256");
    for (const name of readdirSync(join(root, "quickjs-ng")).sort())
      tree.update(`${sha256(join(root, "quickjs-ng", name))}  ${name}\n`);
    expect(engine?.properties).toContainEqual({ name: "godwit:treeSha256", value: tree.digest("hex") });
  });

  test("names no place of the machine it was made on", () => {
    // The engine's own files are as they were fetched.
    const ours = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !path.startsWith(join(root, "quickjs-ng")));
    expect(ours.filter((path) => readFileSync(path).includes(process.cwd()))).toEqual([]);
  });

  test(`builds without node, npm and network${isLong ? "" : ", the daemon at least"}`, {
    timeout: BUILD_MS_MAX,
  }, () => {
    const build = join(directory, "build");
    const tools = join(directory, "tools");
    const called = join(directory, "called");
    mkdirSync(tools);
    for (const name of ["node", "npm", "npx", "curl", "wget", "git"]) {
      const script = `#!/bin/sh\necho "${name} $*" >>"${called}"\nexit 1\n`;
      writeFileSync(join(tools, name), script, { mode: 0o755 });
    }
    const run = (command: string, args: readonly string[]): SpawnSyncReturns<string> =>
      spawnSync(command, args, {
        cwd: directory,
        encoding: "utf8",
        env: { PATH: `${tools}:${process.env.PATH}`, LC_ALL: "C", HOME: directory },
        timeout: BUILD_MS_MAX,
      });
    const expectDone = ({ status, stdout, stderr }: SpawnSyncReturns<string>): string => {
      expect(status, `${stdout}\n${stderr}`.slice(-4_000)).toBe(0);
      return stdout;
    };
    const hasSystemd = readFileSync(join(FIRMWARE_BUILD, "CMakeCache.txt"), "utf8").includes(
      "GODWIT_SYSTEMD:STRING=on",
    );
    expectDone(
      run("cmake", [
        ...["-S", join(root, "firmware-bridge"), "-B", build],
        `-DGODWIT_SYSTEMD=${hasSystemd ? "on" : "off"}`,
        ...(isLong ? [] : ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0"]),
      ]),
    );
    expectDone(run("cmake", ["--build", build, "-j", "2", ...(isLong ? [] : ["--target", "godwitd"])]));
    const daemon = join(build, "godwitd");
    expect(expectDone(run(daemon, ["--version"]))).toBe(`${version}\n`);
    expect(expectDone(run(daemon, ["--help"]))).toContain("usage: godwitd");
    // As `godwitd bench` tells it.
    expect(readFileSync(daemon).includes(`\0${readFileSync(join(root, "COMMIT"), "utf8").trim()}\0`)).toBe(
      true,
    );
    if (isLong) {
      const shell = run(join(build, "examples", "feature-phone"), []);
      expect([shell.status, shell.stderr]).toEqual([2, expect.stringMatching(/^usage: /)]);
      expectDone(run("ctest", ["--test-dir", build, "--output-on-failure"]));
      expectDone(run("cmake", ["--install", build, "--prefix", join(directory, "installed")]));
      expect(expectDone(run(join(directory, "installed/sbin/godwitd"), ["--version"]))).toBe(`${version}\n`);
      const installed = ["include/godwit.h", "share/godwit/dashboard/index.html"];
      if (hasSystemd) installed.push("lib/systemd/system/godwitd.service", "lib/tmpfiles.d/godwit.conf");
      expect(installed.filter((path) => !existsSync(join(directory, "installed", path)))).toEqual([]);
    }
    expect(existsSync(called) ? readFileSync(called, "utf8") : "").toBe("");
  });
});

function sha256(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
