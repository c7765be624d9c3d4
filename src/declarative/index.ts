// SPDX-License-Identifier: MIT
/**
 * `godwit/declarative`: reading, judging and displaying declarative push messages. Pure.
 */

export {
  type Activation,
  type ActivationPolicy,
  activate,
} from "./activation.ts";
export { type AppBadge, type BadgeValue, badgeText, badgeValue, mergeBadge, readAppBadge } from "./badge.ts";
export { type DisplayedText, displayedText, displayLine, displayLines, wellFormed } from "./display.ts";
export {
  type DeclarativeMode,
  type Disposition,
  type DispositionOptions,
  decide,
  isNotificationContentType,
} from "./disposition.ts";
export type { Direction } from "./members.ts";
export { type DeclarativeResult, parseDeclarative } from "./message.ts";
export {
  createAppNotification,
  type GodwitNotification,
  type NotificationAction,
  type NotificationContext,
  type NotificationResult,
} from "./notification.ts";
export { REASONS, type Reason } from "./reasons.ts";
export { hostOf, originOf, resolveUrl } from "./url.ts";
