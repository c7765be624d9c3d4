// SPDX-License-Identifier: MIT
// Goal: what the documents say of the code is true. Method: read them and compare with tables of the built or the source
// code: diagrams, error codes, links between files, and what must never stand in a repository.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { mermaid, replaceBetween } from "../../scripts/mermaid.mjs";
import { FIRMWARE_PACKAGES, TEST_PACKAGES } from "../../scripts/system.mjs";
import { LINK_TRANSITIONS } from "../../src/agent/link-states.ts";
import { PHASES } from "../../src/push-service/session-events.ts";
import { ALL_CODES } from "../error-codes.ts";

const DOCUMENTS = [
  "README.md",
  "ARCHITECTURE.md",
  "SPEC.md",
  "SECURITY.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "firmware-bridge/README.md",
  "docs/fuzzing.md",
  "docs/operating-a-push-service.md",
  "docs/security-review.md",
  "docs/simulation.md",
];
const read = (path: string) => readFileSync(path, "utf8");

function filesUnder(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe("diagrams", () => {
  test("ARCHITECTURE.md shows the link's table as it is (else: npm run docs)", () => {
    const document = read("ARCHITECTURE.md");
    expect(document).toBe(replaceBetween(document, "link states", mermaid(LINK_TRANSITIONS, "idle")));
  });

  test("ARCHITECTURE.md shows the session's table as it is (else: npm run docs)", () => {
    const document = read("ARCHITECTURE.md");
    expect(document).toBe(replaceBetween(document, "session phases", mermaid(PHASES, "opening")));
  });
});

describe("error codes", () => {
  const spec = read("SPEC.md");
  const tests = filesUnder("test")
    .filter((path) => path.endsWith(".ts"))
    .map(read)
    .join("\n");
  const vectors = [
    ...JSON.stringify(JSON.parse(read("test/vectors/ece-vectors.json"))).matchAll(/"(?:error:)?([A-Z_]+)"/g),
  ].map(([, name]) => `ERR_ECE_${name}`);

  test.each(ALL_CODES)("%s is in SPEC.md", (code) => {
    expect(spec).toContain(`\`${code}\``);
  });

  test.each(ALL_CODES)("%s is produced by a test", (code) => {
    expect(tests.includes(`"${code}"`) || vectors.includes(code)).toBe(true);
  });

  test("SPEC.md names no code that does not exist", () => {
    const named = [...spec.matchAll(/\bERR_[A-Z0-9_]*[A-Z0-9]\b/g)].map(([code]) => code);
    expect(named.filter((code) => !ALL_CODES.includes(code) && code !== "ERR_CBOR")).toEqual([]);
  });
});

test("README.md names each Debian package that npm test installs, in the order of scripts/system.mjs", () => {
  const [tests, firmware] = [TEST_PACKAGES, FIRMWARE_PACKAGES].map((list) => Object.keys(list).join(", "));
  expect(read("README.md")).toContain(`(${tests})`);
  expect(read("README.md")).toContain(`(${firmware})`);
});

describe("files", () => {
  test.each(DOCUMENTS)("the links of %s lead somewhere", (document) => {
    const links = [...read(document).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(
      ([, target]) => target ?? "",
    );
    const local = links.filter((target) => !/^https?:/.test(target));
    expect(local.filter((target) => !existsSync(join(dirname(document), target)))).toEqual([]);
  });

  test("no source file is over 450 lines", () => {
    const long = filesUnder("src").filter((path) => read(path).split("\n").length > 450);
    expect(long).toEqual([]);
  });
});
