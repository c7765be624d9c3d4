// SPDX-License-Identifier: MIT
/** Tells systemd how the program is, where the unit is of `Type=notify`. */

import { execFile } from "node:child_process";

/**
 * Says `state` by systemd's own tool, since Node has no datagram sockets of the Unix kind; the unit has `NotifyAccess=all`
 * therefore. Where nobody waits for it nothing is done.
 */
export function tellServiceManager(state: "READY=1" | "STOPPING=1"): void {
  if (process.env.NOTIFY_SOCKET === undefined) return;
  // When it fails systemd itself says that it heard nothing.
  execFile("systemd-notify", [state], () => {});
}
