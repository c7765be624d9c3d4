// SPDX-License-Identifier: MIT
/**
 * Entry of the QuickJS bundle: puts the agent and all it is made of on `globalThis.godwit`, for a host that lends it
 * sockets, an alarm, flash and a screen. Pure: everything a host has to lend comes in through arguments.
 */

import * as agent from "../agent/core.ts";

declare const __GODWIT_VERSION__: string;

(globalThis as { godwit?: unknown }).godwit = { ...agent, version: __GODWIT_VERSION__ };
