// SPDX-License-Identifier: MIT
// Goal: a secret that others may read is refused, and one that systemd hands over is not. Method: files with the permission bits that
// each has.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeSurroundings } from "../../src/cli/surroundings.ts";
import { readSecretFile } from "../../src/configuration/options.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "godwit-secret-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function read(mode: number, environment: NodeJS.ProcessEnv): string {
  const path = join(directory, "token");
  writeFileSync(path, "secret");
  chmodSync(path, mode);
  return readSecretFile(path, nodeSurroundings(environment));
}

test.each([0o600, 0o400])("mode %o is good", (mode) => {
  expect(read(mode, {})).toBe("secret");
});

test.each([0o640, 0o440, 0o604, 0o666])("mode %o is not", (mode) => {
  expect(() => read(mode, { CREDENTIALS_DIRECTORY: "/run/credentials/another.service" })).toThrow(
    /mode 0600$/,
  );
});

test("what systemd hands over has a mask where the group's bits are", () => {
  expect(read(0o440, { CREDENTIALS_DIRECTORY: `${directory}/` })).toBe("secret");
  expect(() => read(0o444, { CREDENTIALS_DIRECTORY: directory })).toThrow(/mode 0600$/);
});
