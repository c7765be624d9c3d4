// SPDX-License-Identifier: MIT
/** `godwit`: the Web Push user agent on Node. */

export type { AgentStatus, Permission, Report, SubscriptionStatus } from "./agent/index.ts";
export {
  App,
  type AppEventMap,
  type AppEventType,
  type AppListener,
  type AppListenerObject,
  type AppListenerOptions,
  type PushHandler,
} from "./apps/app.ts";
export type { AppError } from "./apps/errors.ts";
export {
  type AppNotification,
  ExtendableEvent,
  NotificationClickEvent,
  PushEvent,
  PushSubscriptionChangeEvent,
  WarningEvent,
} from "./apps/events.ts";
export {
  PushManager,
  PushSubscription,
  type PushSubscriptionJSON,
  type PushSubscriptionOptions,
  type PushSubscriptionOptionsInit,
} from "./apps/push-manager.ts";
export { PushMessageData } from "./apps/push-message-data.ts";
export type { AppBadge, DeclarativeMode, GodwitNotification } from "./declarative/index.ts";
export { type ErrorCode, type Fault, GodwitError } from "./errors.ts";
export { AppHandle } from "./node/app-handle.ts";
export { createNodeProvider, nodeProvider } from "./node/crypto.ts";
export { type Display, type ShownNotification, TerminalDisplay } from "./node/display.ts";
export { JournalFiles, type JournalStorage } from "./node/files.ts";
export type { PermissionPolicy, PolicyAnswer } from "./node/questions.ts";
export { createUserAgent, UserAgent, type UserAgentOptions } from "./node/user-agent.ts";
