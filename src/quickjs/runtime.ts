// SPDX-License-Identifier: MIT
/** What the firmware scripts make of the bridge, put together: platform, machine, files, and where events go. */

import type { AgentEvent } from "../agent/events.ts";
import type { FileSystem } from "../user-agent/file-system.ts";
import { JournalDirectory } from "../user-agent/journal-directory.ts";
import type { MakeMachine } from "../user-agent/platform.ts";
import type { Bridge, BridgeEvents } from "./bridge.d.ts";
import { bridgeFileSystem, bridgeProcesses } from "./files.ts";
import { BridgeMachine } from "./machine.ts";
import { BridgePlatform } from "./platform.ts";

export interface BridgeRuntime {
  readonly platform: BridgePlatform;
  /** One machine at a time: the bridge's events go to the one made last. */
  readonly makeMachine: MakeMachine;
  readonly fileSystem: FileSystem;
  /** Opens the journal, as {@link JournalDirectory.open}. */
  openJournal(directory: string): Promise<JournalDirectory>;
  /** For Bridge.listen, with what a script adds. */
  readonly events: BridgeEvents;
}

export function bridgeRuntime(bridge: Bridge): BridgeRuntime {
  const platform = new BridgePlatform(bridge);
  const { randomFill } = platform;
  const fileSystem = bridgeFileSystem(bridge.fs);
  const processes = bridgeProcesses(bridge);
  let machine: BridgeMachine | null = null;
  return {
    platform,
    makeMachine(dispatch: (event: AgentEvent) => void, fault: (text: string) => void) {
      machine = new BridgeMachine({ bridge, dispatch, fault });
      return machine;
    },
    fileSystem,
    openJournal: (directory) => JournalDirectory.open({ directory, fileSystem, processes, randomFill }),
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
