// SPDX-License-Identifier: MIT
/** Firefox on the desktop with autopush: the server pings every 300 s and forgets who does not answer. */
import { doubling, fixed } from "../algorithm.ts";

export const firefox = fixed("firefox", 1800, {
  verdictS: 10,
  serverPingS: 300,
  serverForgets: true,
  backoffS: doubling(5, 1800),
});
