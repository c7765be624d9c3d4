// SPDX-License-Identifier: MIT
/**
 * `npm run setup:firmware`: installs the Debian packages the firmware is built with, or prints the command that does; with
 * `-- --fuzz` also those it is fuzzed with.
 */

import { installFirmwarePackages, installFuzzPackages, missingFuzzPackages } from "./system.mjs";

if (!installFirmwarePackages()) process.exit(1);
if (process.argv.includes("--fuzz")) {
  installFuzzPackages();
  const why = missingFuzzPackages();
  if (why !== null) {
    console.error(`The firmware cannot be fuzzed: ${why}`);
    process.exit(1);
  }
}
console.log("everything the firmware is built with is installed");
