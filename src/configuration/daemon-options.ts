// SPDX-License-Identifier: MIT
/** Options of godwitd besides those of {@link AGENT_OPTIONS}. A configuration file that `godwit` reads too may hold them. */

import { STATE_QUOTA_BYTES_MIN } from "../limits.ts";
import type { OptionSpecs } from "./options.ts";

export const DAEMON_OPTIONS = {
  caBundle: {
    kind: "text",
    value: "FILE",
    help: "PEM certificates to trust instead of the system's; read anew for each connection, so it can be replaced",
  },
  stateQuota: {
    kind: "number",
    value: "BYTES",
    min: STATE_QUOTA_BYTES_MIN,
    help: "what the files of the state directory may take together (default: no bound)",
  },
  helper: {
    kind: "text",
    value: "FILE",
    help: "program that shows notifications and asks people: started for each event, which it gets as JSON on stdin (SPEC.md)",
  },
  dashboardFiles: {
    kind: "text",
    value: "DIR",
    help: "the dashboard's files, which the port of loopback serves (default: none)",
  },
} satisfies OptionSpecs;
