// SPDX-License-Identifier: MIT
/** `godwit`: the Web Push user agent on Node. */

export type { AgentStatus, Permission, Report, SubscriptionStatus } from "./agent/index.ts";
export * from "./apps/push-api.ts";
export type { AppBadge, DeclarativeMode, GodwitNotification } from "./declarative/index.ts";
export { type ErrorCode, type Fault, GodwitError } from "./errors.ts";
export { AppHandle } from "./node/app-handle.ts";
export { createNodeProvider, nodeProvider } from "./node/crypto.ts";
export { JournalFiles } from "./node/journal-files.ts";
export { createUserAgent, UserAgent, type UserAgentOptions } from "./node/user-agent.ts";
export { type Display, type ShownNotification, TerminalDisplay } from "./user-agent/display.ts";
export type { JournalStorage } from "./user-agent/journal-directory.ts";
export type { PermissionPolicy, PolicyAnswer } from "./user-agent/questions.ts";
