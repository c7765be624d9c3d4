// SPDX-License-Identifier: MIT
/** `godwit/apps`: the Push API for pages and processes behind the app socket. */

export { AppClient, type ConnectOptions, connect, type InjectedCredential } from "./client.ts";
export type { Credential, Renew, WebSocketClass, WebSocketLike } from "./connection.ts";
export { install } from "./install.ts";
export * from "./push-api.ts";
