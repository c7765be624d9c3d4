// SPDX-License-Identifier: MIT
/** `npm run setup:firmware`: installs the Debian packages the firmware is built with, or prints the command that does. */

import { installFirmwarePackages } from "./system.mjs";

if (!installFirmwarePackages()) process.exit(1);
console.log("everything the firmware is built with is installed");
