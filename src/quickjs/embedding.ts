// SPDX-License-Identifier: MIT
/** The script of libgodwit: a user agent whose apps, screens and people are the program it is linked into. */

import "./globals.ts";
import { bridge } from "./lent-bridge.ts";
import { bridgeRuntime } from "./runtime.ts";

const { events } = bridgeRuntime(bridge);
bridge.listen(events);
