// SPDX-License-Identifier: MIT
/** What an app sees of the Push API, the same in the agent's process and behind the app socket: exported by both entry points. */

export {
  App,
  type AppEventMap,
  type AppEventType,
  type AppListener,
  type AppListenerObject,
  type AppListenerOptions,
  type PushHandler,
} from "./app.ts";
export type { AppError } from "./errors.ts";
export {
  type AppNotification,
  ExtendableEvent,
  NotificationClickEvent,
  PushEvent,
  PushSubscriptionChangeEvent,
  WarningEvent,
} from "./events.ts";
export {
  PushManager,
  PushSubscription,
  type PushSubscriptionJSON,
  type PushSubscriptionOptions,
  type PushSubscriptionOptionsInit,
} from "./push-manager.ts";
export { PushMessageData } from "./push-message-data.ts";
