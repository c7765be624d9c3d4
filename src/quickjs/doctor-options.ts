// SPDX-License-Identifier: MIT
/** What the configuration script tells the doctor's, as JSON. Both are of one build, so nothing of it is checked again. */

import type { Finding } from "../doctor/finding.ts";
import type { DeviceDialect } from "../wire/dialect.ts";

/** Certificates and the device key go through the bridge. */
export interface DoctorOptions {
  /** What the files of the configuration came to. */
  readonly findings: readonly Finding[];
  readonly stateDirectory: string;
  /** As it was given, or null. */
  readonly serviceUrl: string | null;
  /** Null: what the scheme of its URL says. */
  readonly dialect: DeviceDialect | null;
  /** Absolute path, or null for the system's certificates. */
  readonly caBundle: string | null;
  readonly quotaBytes: number | null;
  /** Absolute path of the helper program, or null. */
  readonly helper: string | null;
  readonly isOnDesktop: boolean;
  readonly watchNetwork: boolean;
  readonly isJson: boolean;
}
