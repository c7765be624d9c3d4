// SPDX-License-Identifier: MIT
// Goal: the firmware scripts' machine and platform keep the contract of every host. Method: the contract suite, over a bridge made
// of Node, with its native cryptography and without.

import { bridgeRuntime } from "../../src/quickjs/runtime.ts";
import { describeHost } from "../contract/host-contract.ts";
import type { HostSettings } from "../contract/stage.ts";
import { localSubject, type Subject } from "../contract/subject.ts";
import { NodeBridge, type NodeBridgeOptions } from "./node-bridge.ts";

function scriptHost(options: NodeBridgeOptions): Subject {
  const bridge = new NodeBridge(options);
  const { events, ...lent } = bridgeRuntime(bridge);
  bridge.listen(events);
  return localSubject(lent, () => bridge.end());
}

describeHost("scripts of the firmware, native cryptography", ({ ca }: HostSettings) => scriptHost({ ca }));
describeHost("scripts of the firmware, noble", ({ ca }: HostSettings) => scriptHost({ ca, crypto: null }));
