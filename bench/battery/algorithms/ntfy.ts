// SPDX-License-Identifier: MIT
/** ntfy: server keep-alive every 45 s; the Android client pinged every minute until 2025, every three since. */
import { fixed } from "../algorithm.ts";

export const ntfyOld = fixed("ntfy-2025", 60, { serverPingS: 45, verdictS: 60, ignoresTraffic: true });
export const ntfy = fixed("ntfy", 180, { serverPingS: 45, verdictS: 180, ignoresTraffic: true });
/** With the server tuned to 300 s. */
export const ntfyTuned = fixed("ntfy-tuned", 180, { serverPingS: 300, verdictS: 180, ignoresTraffic: true });
