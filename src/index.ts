// SPDX-License-Identifier: MIT
/** `godwit`: the Web Push user agent on Node. */

export type { AgentStatus, Permission, Report, SubscriptionStatus } from "./agent/index.ts";
export {
  PushEvent,
  PushManager,
  PushMessageData,
  PushSubscription,
  type PushSubscriptionJSON,
  type PushSubscriptionOptionsInit,
} from "./apps/push-manager.ts";
export type { AppBadge, DeclarativeMode, GodwitNotification } from "./declarative/index.ts";
export { type ErrorCode, type Fault, GodwitError } from "./errors.ts";
export {
  AppHandle,
  type NotificationClickEvent,
  type PushHandler,
  type PushSubscriptionChangeEvent,
} from "./node/app-handle.ts";
export { createNodeProvider, nodeProvider } from "./node/crypto.ts";
export { type Display, type ShownNotification, TerminalDisplay } from "./node/display.ts";
export { JournalFiles, type JournalStorage } from "./node/files.ts";
export type { PermissionPolicy } from "./node/node-host.ts";
export { createUserAgent, UserAgent, type UserAgentOptions } from "./node/user-agent.ts";
