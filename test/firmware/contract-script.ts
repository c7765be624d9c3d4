// SPDX-License-Identifier: MIT
/** The contract suite's side inside the bridge: each line that comes is answered in lines (test/contract/messages.ts). */

import "../../src/quickjs/globals.ts";
import type { Bridge, BridgeEvents } from "../../src/quickjs/bridge.d.ts";
import { bridge as own } from "../../src/quickjs/lent-bridge.ts";
import { bridgeRuntime } from "../../src/quickjs/runtime.ts";
import { answerLines } from "../contract/messages.ts";

/** What script_driver.c adds. */
interface DriverBridge extends Omit<Bridge, "listen"> {
  listen(events: BridgeEvents & { line(text: string): void }): void;
  say(text: string): void;
}

const bridge = own as unknown as DriverBridge & Bridge;
const { events, ...lent } = bridgeRuntime(bridge);
const line = answerLines(lent, (text) => bridge.say(text));
bridge.listen({ ...events, line });
