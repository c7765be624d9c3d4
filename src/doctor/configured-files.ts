// SPDX-License-Identifier: MIT
/** Checks of a doctor on the files that options name. One that is wrong is told, and done without. */

import { readDeviceKey } from "../configuration/agent-options.ts";
import { CommandError, EXIT } from "../configuration/exit.ts";
import { type Options, readCertificates, type Surroundings } from "../configuration/options.ts";
import { readPolicy } from "../configuration/policy.ts";
import { type Finding, fail, ok } from "./finding.ts";

export interface ConfiguredFiles {
  /** PEM certificates trusted besides the system's, or null. */
  readonly ca: string | null;
  /** 32 bytes, or null. */
  readonly deviceKey: Uint8Array | null;
  readonly findings: readonly Finding[];
}

/** @param options of the agent (AGENT_OPTIONS) */
export function checkConfiguredFiles(options: Options, surroundings: Surroundings): ConfiguredFiles {
  const findings: Finding[] = [];
  const read = <T>(
    name: string,
    check: string,
    reader: (path: string, from: Surroundings) => T,
  ): T | null => {
    const path = options.text(name);
    if (path === null) return null;
    try {
      const content = reader(path, surroundings);
      findings.push(ok(check, path));
      return content;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      findings.push(fail(check, EXIT.config, error.message, "see SPEC.md for what belongs into it"));
      return null;
    }
  };
  const deviceKey = read("deviceKeyFile", "device key", readDeviceKey);
  const ca = read("ca", "ca", readCertificates);
  read("policy", "policy", readPolicy);
  return { ca, deviceKey, findings };
}
