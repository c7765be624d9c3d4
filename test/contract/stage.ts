// SPDX-License-Identifier: MIT
/** What the parts of the contract suite share: the host of the present test, and the servers it talks to. */

import type { DevCertificate } from "../../src/push-service/dev-ca.ts";
import type { Servers } from "./servers.ts";
import type { Subject } from "./subject.ts";

export interface HostSettings {
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
}

export type MakeSubject = (settings: HostSettings) => Subject | Promise<Subject>;

/** Made anew before each test. */
export interface Stage {
  host: Subject;
  servers: Servers;
  /** For servers; hosts trust its CA. */
  certificate: DevCertificate;
  readonly make: MakeSubject;
}

/** Whatever was on its way has come: the host has turned its loop a few times since. */
export async function settled({ host }: Stage): Promise<void> {
  await host.operations.waits([30], []);
}
