// SPDX-License-Identifier: MIT
/** `godwit/apps/install`, and the script `dist/apps.install.js`: installs as soon as it is loaded. */

import { install } from "./install.ts";

install();

export { install };
