// SPDX-License-Identifier: MIT
/** The script of `godwitd bench`. */

import "./globals.ts";
import { bridge } from "./lent-bridge.ts";
import { bridgeRuntime } from "./runtime.ts";

const { events } = bridgeRuntime(bridge);
bridge.listen(events);
