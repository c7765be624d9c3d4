// SPDX-License-Identifier: MIT
/** What the configuration script tells the daemon's, as JSON. Both are of one build, so nothing of it is checked again. */

import type { AgentSettings } from "../configuration/agent-options.ts";
import type { OwnerPolicy } from "../configuration/policy.ts";

/** Certificates and the device key go through the bridge. */
export interface DaemonOptions extends Omit<AgentSettings, "ca" | "deviceKey"> {
  /** Absolute path, or null. */
  readonly dashboardDirectory: string | null;
  /** Absolute path of the helper program, or null. */
  readonly helper: string | null;
  readonly isJson: boolean;
  /** Lines on stdout are seen, or the person's own affair; false where they are the journal's. */
  readonly hasScreen: boolean;
}

export function daemonOptionsJson(given: DaemonOptions & Partial<AgentSettings>): string {
  const { ca: _ca, deviceKey: _deviceKey, policy, ...options } = given;
  return JSON.stringify({ ...options, policy: { ...policy, owners: [...policy.owners] } });
}

export function readDaemonOptions(json: string): DaemonOptions {
  const { policy, ...options } = JSON.parse(json) as DaemonOptions & {
    readonly policy: { readonly owners: readonly [string, OwnerPolicy][] };
  };
  return { ...options, policy: { ...policy, owners: new Map(policy.owners) } };
}
