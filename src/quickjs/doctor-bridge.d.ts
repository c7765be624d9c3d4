// SPDX-License-Identifier: MIT
/**
 * What `godwitd doctor` lends its script besides {@link DaemonBridge}: looking, and trying what the kernel allows. Each throws
 * Error with `code` where the system refuses. C side: firmware-bridge/src/daemon/doctor.c.
 */

import type { Looked } from "../doctor/state-directory.ts";
import type { DaemonBridge } from "./daemon-bridge.d.ts";

export interface DoctorBridge extends DaemonBridge {
  /** A symbolic link counts as it is; null when nothing can be seen there. */
  look(path: string): Looked | null;
  /** Names in a directory. */
  list(path: string): readonly string[];
  /** What a user who is not root may still write there. */
  freeBytes(path: string): number;
  /** What the quota of a state directory counts there, folders included. */
  usedBytes(path: string): number;
  /** Whether alarms may wake the machine. */
  tryAlarm(): void;
  /** Whether the machine can be kept awake. Takes no lock. */
  tryWakeLock(): void;
  /** Whether it is a file that may be executed. */
  tryProgram(path: string): void;
  /** The certificates of a file, or the system's: where, and how many can be read. */
  trusted(caBundle: string | null): { readonly path: string; readonly count: number };
}
