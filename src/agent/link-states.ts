// SPDX-License-Identifier: MIT
/** The states of the one connection as a table, from which the diagram in ARCHITECTURE.md is printed. Pure data. */

export type LinkState =
  | "idle"
  | "offline"
  | "token"
  | "dialing"
  | "greeting"
  | "online"
  | "waiting"
  | "stopped";
export type LinkInput =
  | "fetchToken"
  | "dial"
  | "tokenReady"
  | "opened"
  | "registered"
  | "replaced"
  | "postponed"
  | "tokenRefused"
  | "lost"
  | "retry"
  | "networkUp"
  | "networkDown"
  | "unneeded"
  | "shutdown";

type Row = Readonly<Partial<Record<LinkInput, LinkState>>>;
const ANY: Row = { networkDown: "offline", shutdown: "stopped" };
const TRYING: Row = { ...ANY, lost: "waiting", unneeded: "idle" };
const CONNECTED: Row = { ...TRYING, networkUp: "idle" };

/** State → input → next state. An input without an entry is ignored in that state. */
export const LINK_TRANSITIONS: Readonly<Record<LinkState, Row>> = {
  idle: { ...ANY, fetchToken: "token", dial: "dialing", postponed: "waiting" },
  offline: { networkUp: "idle", shutdown: "stopped" },
  token: { ...CONNECTED, tokenReady: "idle" },
  dialing: { ...CONNECTED, opened: "greeting", tokenRefused: "token" },
  greeting: { ...CONNECTED, registered: "online", tokenRefused: "token" },
  online: { ...CONNECTED, replaced: "dialing" },
  waiting: { ...ANY, retry: "idle", networkUp: "idle", unneeded: "idle" },
  stopped: {},
};

/** There is a link, open or being opened. */
export function isConnected(state: LinkState): boolean {
  return state === "dialing" || state === "greeting" || state === "online";
}
