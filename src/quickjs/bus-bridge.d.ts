// SPDX-License-Identifier: MIT
/** What godwitd lends its script of the session bus (D-Bus), besides the rest of its natives. C side: firmware-bridge/src/daemon/bus.c. */

import type { DBusNews, DBusValue } from "../user-agent/message-bus.ts";

/** Not there in a build without D-Bus. */
export interface BusBridge {
  /** Connects to the session bus that the environment names; calls may be made at once. Throws Error with `code` when there is none. */
  busOpen(): void;
  /** Answered by `busReplied` within DBUS_CALL_TIMEOUT_MS, or by `busGone`. Throws Error with `code`: ENOTCONN, EBUSY, EINVAL. */
  busCall(
    callId: number,
    destination: string,
    path: string,
    interfaceName: string,
    member: string,
    body: readonly DBusValue[],
  ): void;
  /** Nothing of it is told any more. */
  busClose(): void;
}

export interface BusEvents {
  /** `errorName` is null for a method's return. */
  busReplied(callId: number, errorName: string | null, sender: string, body: DBusNews["body"]): void;
  busSignal(member: string, sender: string, body: DBusNews["body"]): void;
  busGone(): void;
}
