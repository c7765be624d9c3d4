// SPDX-License-Identifier: MIT
/** `godwit/apps`: the Push API for pages and processes behind the app socket. */

export {
  App,
  type AppEventMap,
  type AppEventType,
  type AppListener,
  type AppListenerObject,
  type AppListenerOptions,
  type PushHandler,
} from "./app.ts";
export { AppClient, type ConnectOptions, connect, type InjectedCredential } from "./client.ts";
export type { Credential, Renew, WebSocketClass, WebSocketLike } from "./connection.ts";
export type { AppError } from "./errors.ts";
export {
  type AppNotification,
  ExtendableEvent,
  NotificationClickEvent,
  PushEvent,
  PushSubscriptionChangeEvent,
  WarningEvent,
} from "./events.ts";
export { install } from "./install.ts";
export {
  PushManager,
  PushSubscription,
  type PushSubscriptionJSON,
  type PushSubscriptionOptions,
  type PushSubscriptionOptionsInit,
} from "./push-manager.ts";
export { PushMessageData } from "./push-message-data.ts";
