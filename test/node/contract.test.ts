// SPDX-License-Identifier: MIT
// Goal: the Node host keeps the contract of every host. Method: the contract suite over its machine, platform and files.

import { nodeFileSystem } from "../../src/node/file-system.ts";
import { JournalFiles } from "../../src/node/journal-files.ts";
import { NodeMachine } from "../../src/node/machine.ts";
import { createNodePlatform } from "../../src/node/platform.ts";
import { describeHost } from "../contract/host-contract.ts";
import { localSubject } from "../contract/subject.ts";

describeHost("Node", ({ ca }) => {
  const platform = createNodePlatform();
  return localSubject({
    platform,
    makeMachine: (dispatch, fault) => new NodeMachine({ ca, now: () => platform.now(), dispatch, fault }),
    fileSystem: nodeFileSystem,
    openJournal: (directory) => JournalFiles.open({ directory }),
  });
});
