// SPDX-License-Identifier: MIT
/** The script of godwitd: a user agent whose apps, screens and people come over the app socket. */

import "./globals.ts";
import { bridge } from "./lent-bridge.ts";
import { bridgeRuntime } from "./runtime.ts";

const { events } = bridgeRuntime(bridge);
bridge.listen(events);
