// SPDX-License-Identifier: MIT
// Goal: the C host with the firmware's scripts keeps the contract of every host. Method: the contract suite, over a bridge in
// another process.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { describeHost } from "../contract/host-contract.ts";
import { buildContractScript, isFirmwareBuilt, startDriver } from "./driver.ts";

let directory: string;
let script: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-driver-"));
  script = await buildContractScript(directory);
});
afterAll(() => rmSync(directory, { recursive: true }));

describe.skipIf(!isFirmwareBuilt)("firmware", () => {
  describeHost("C host", ({ ca }) => {
    if (ca === null) return startDriver(script);
    writeFileSync(join(directory, "ca.pem"), ca);
    return startDriver(script, { args: ["--ca-pem", join(directory, "ca.pem")] });
  });
});
