// SPDX-License-Identifier: MIT
// Goal: nothing comes into the lock file, and with it onto the machines of whoever builds or runs Godwit, that nobody looked at.
// Method: the lock file as it is, and what is installed, has nothing wrong; and with each wrong put into a copy of it, that is named.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type Allowed,
  installedFindings,
  type Lock,
  lockFindings,
  type Manifest,
} from "../../scripts/audit.mjs";

const read = <T>(path: string) => JSON.parse(readFileSync(path, "utf8")) as T;
const ALLOWED = read<Allowed>("scripts/audit.json");
const lock = () => read<Lock>("package-lock.json");
const manifest = () => read<Manifest>("package.json");
const WS = "node_modules/ws";

describe("as it is", () => {
  test("the lock file is what was looked at", () => {
    expect(lockFindings(manifest(), lock(), ALLOWED)).toEqual([]);
  });

  test("what is installed is what the lock file says", () => {
    expect(installedFindings(".", lock(), ALLOWED)).toEqual([]);
  });

  test("no more is allowed than is used", () => {
    const entries = Object.entries(lock().packages);
    const licences = new Set(entries.map(([, { license }]) => license));
    expect(ALLOWED.licences.filter((licence) => !licences.has(licence))).toEqual([]);
    const scripts = entries.filter(([, entry]) => entry.hasInstallScript === true).map(([path]) => path);
    expect(Object.keys(ALLOWED.installScripts)).toEqual(
      scripts.map((path) => path.replace(/.*node_modules\//, "")).sort(),
    );
  });

  test("an install here runs no package's script", () => {
    expect(readFileSync(".npmrc", "utf8")).toMatch(/^ignore-scripts=true$/m);
  });
});

/** Changes one package of the lock file. */
const ofWs = (change: Record<string, unknown>) => (changed: Lock) => {
  changed.packages[WS] = { ...changed.packages[WS], ...change };
};
const DEFECTS: readonly (readonly [string, (changed: Lock) => unknown, string])[] = [
  ["another lock format", (changed) => Object.assign(changed, { lockfileVersion: 1 }), "version 1"],
  ["no digest", ofWs({ integrity: undefined }), `${WS} has no SHA-512`],
  ["an old digest", ofWs({ integrity: "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" }), `${WS} has no SHA-512`],
  ["a range", ofWs({ version: "^8.23.0" }), `${WS} has the version ^8.23.0`],
  ["a tarball", ofWs({ resolved: "https://evil.example/ws.tgz" }), `${WS} names where it comes from`],
  ["a repository", ofWs({ resolved: "git+ssh://evil.example/ws#1" }), `${WS} names where it comes from`],
  ["a directory", ofWs({ link: true }), `${WS} is no package of a registry`],
  ["a package under another's name", ofWs({ name: "evil" }), `${WS} is evil under another name`],
  ["another licence", ofWs({ license: "AGPL-3.0-only" }), `${WS} has the licence AGPL-3.0-only`],
  ["no licence", ofWs({ license: undefined }), `${WS} has the licence undefined`],
  ["an install script", ofWs({ hasInstallScript: true }), `${WS} runs a script when it is installed`],
  [
    "a package that nobody looked at, within another",
    (changed) => Object.assign(changed.packages, { [`${WS}/node_modules/evil`]: changed.packages[WS] }),
    "evil is new for runtime: look at it, and enter it in scripts/audit.json",
  ],
  [
    "a package for development that comes to be one for all",
    (changed) => delete changed.packages["node_modules/esbuild"]?.dev,
    "esbuild is new for runtime: look at it, and enter it in scripts/audit.json",
  ],
  [
    "a package that went",
    (changed) => delete changed.packages[WS],
    "ws is no more for runtime: take it out of scripts/audit.json",
  ],
];

describe("with a defect", () => {
  test.each(DEFECTS)("%s is found", (_what, change, finding) => {
    const changed = lock();
    change(changed);
    expect(lockFindings(manifest(), changed, ALLOWED).join("\n")).toContain(finding);
  });

  test("a range in package.json is found, and one that the lock file does not know", () => {
    const wanted = manifest();
    wanted.dependencies.ws = "*";
    expect(lockFindings(wanted, lock(), ALLOWED)).toEqual([
      'dependencies: ws is "*", not one version',
      "dependencies of package.json are not those of the lock file",
    ]);
  });

  test("what is installed otherwise is found: another package, other bytes, a script the lock hides", () => {
    const directory = mkdtempSync(join(tmpdir(), "godwit-audit-"));
    try {
      const put = (path: string, content: unknown) => {
        mkdirSync(dirname(join(directory, path)), { recursive: true });
        writeFileSync(join(directory, path), JSON.stringify(content));
      };
      const asLocked = lock().packages[WS];
      put("node_modules/.package-lock.json", {
        packages: {
          [WS]: asLocked,
          "node_modules/evil": asLocked,
          "node_modules/mqtt": { version: "5.16.0", integrity: "sha512-other" },
        },
      });
      put(`${WS}/package.json`, { scripts: { postinstall: "node evil.js" } });
      expect(installedFindings(directory, lock(), ALLOWED)).toEqual([
        `${WS} runs a script when it is installed`,
        "node_modules/evil is installed and not in the lock file",
        "node_modules/mqtt is installed as 5.16.0, which is not what the lock file says",
      ]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
