// SPDX-License-Identifier: MIT
/** The sans-IO user agent with dialect `godwit.v1` and the contract of a host: what the bundle for QuickJS has. */

export { type ErrorCode, type Fault, GodwitError } from "../errors.ts";
export { Driver } from "../host/driver.ts";
export type { Host } from "../host/host.ts";
export {
  type JournalRecovery,
  type JournalReport,
  keySealer,
  plainSealer,
  recoverJournal,
  type Sealer,
} from "../journal/index.ts";
export type { CryptoProvider, RandomFill } from "../webpush/crypto.ts";
export { nobleProvider } from "../webpush/noble.ts";
export type { DeviceEnd } from "../wire/dialect.ts";
export { GODWIT_SUBPROTOCOL, godwitDevice } from "../wire/godwit.ts";
export { Agent, type AgentOptions } from "./agent.ts";
export type * from "./events.ts";
export { LINK_TRANSITIONS, type LinkInput, type LinkState } from "./link-states.ts";
export type { MeterReading } from "./meter.ts";
export type { NavigationAsked } from "./notifications.ts";
export type { AgentStatus, KnownNetwork, NetworkStatus, OwnerStatus, SubscriptionStatus } from "./status.ts";
