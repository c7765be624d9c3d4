// SPDX-License-Identifier: MIT
/** What the firmware scripts make of the bridge, put together: a platform, the machine of the agent, and where events go. */

import type { AgentEvent } from "../agent/events.ts";
import type { MakeMachine } from "../user-agent/platform.ts";
import type { Bridge, BridgeEvents } from "./bridge.d.ts";
import { BridgeMachine } from "./machine.ts";
import { BridgePlatform } from "./platform.ts";

export interface BridgeRuntime {
  readonly platform: BridgePlatform;
  /** One machine at a time: the bridge's events go to the one made last. */
  readonly makeMachine: MakeMachine;
  /** For Bridge.listen, with what a script adds. */
  readonly events: BridgeEvents;
}

export function bridgeRuntime(bridge: Bridge): BridgeRuntime {
  const platform = new BridgePlatform(bridge);
  let machine: BridgeMachine | null = null;
  return {
    platform,
    makeMachine(dispatch: (event: AgentEvent) => void, fault: (text: string) => void) {
      machine = new BridgeMachine({ bridge, dispatch, fault });
      return machine;
    },
    events: {
      linkOpened: (linkId) => machine?.linkOpened(linkId),
      linkMessage: (linkId, frame) => machine?.linkMessage(linkId, frame),
      linkPong: (linkId) => machine?.linkPong(linkId),
      linkClosed: (...link) => machine?.linkClosed(...link),
      httpDone: (...answer) => machine?.httpDone(...answer),
      alarm: () => machine?.alarm(),
      network: (...network) => machine?.network(...network),
      timer: () => platform.timers.handleTimer(),
      look() {
        machine?.look();
        platform.timers.handleTimer();
      },
    },
  };
}
