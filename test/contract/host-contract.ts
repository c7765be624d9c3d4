// SPDX-License-Identifier: MIT
// Goal: what every host must do is written down once, and every host does it. Method: its links, requests, clock, cryptography and
// files against real servers and directories of this process; the host may run here or in another process (messages.ts).

import { afterEach, beforeAll, beforeEach, describe } from "vitest";
import { describeCryptography } from "./crypto-contract.ts";
import { describeJournal } from "./journal-contract.ts";
import { describeLinks } from "./link-contract.ts";
import { describePlatform } from "./platform-contract.ts";
import { describeRequests } from "./request-contract.ts";
import { makeCertificate, Servers } from "./servers.ts";
import type { MakeSubject, Stage } from "./stage.ts";

/** All contract specs for the hosts that `make` starts, one for each test. */
export function describeHost(name: string, make: MakeSubject): void {
  describe(`host contract, ${name}`, () => {
    const stage = { make } as Stage;
    beforeAll(async () => {
      stage.certificate = await makeCertificate();
    });
    beforeEach(async () => {
      stage.servers = new Servers();
      stage.host = await make({ ca: stage.certificate.ca });
    });
    afterEach(async () => {
      await stage.host.end();
      stage.servers.close();
    });
    describeLinks(stage);
    describeRequests(stage);
    describePlatform(stage);
    describeCryptography(stage);
    describeJournal(stage);
  });
}
