// SPDX-License-Identifier: MIT
/** What Node lends the user agent. */

import { randomFillSync } from "node:crypto";
import type { Platform } from "../user-agent/platform.ts";
import type { CryptoProvider } from "../webpush/crypto.ts";
import { readClock } from "./alarm.ts";
import { nodeProvider } from "./crypto.ts";

export interface NodePlatformOptions {
  /** False where the wall clock cannot be relied on. Default true. */
  readonly epochTrusted?: boolean;
  /** Default: node:crypto. */
  readonly provider?: CryptoProvider;
}

export function createNodePlatform(options: NodePlatformOptions = {}): Platform {
  const { epochTrusted = true, provider = nodeProvider } = options;
  return {
    now: () => readClock(epochTrusted),
    monotonicMs: () => performance.now(),
    epochMs: () => Date.now(),
    after(delayMs, action) {
      const timer = setTimeout(action, delayMs);
      return () => clearTimeout(timer);
    },
    randomFill: systemRandomFill,
    provider,
    sign: (keys, data) => nodeProvider.sign(keys, data),
  };
}

/** Fills `target` from the system's CSPRNG. */
export function systemRandomFill(target: Uint8Array): void {
  randomFillSync(target);
}
