// SPDX-License-Identifier: MIT
/** A WebSocket whose events go to one object, by functions that all of them share: closures for each would be 800 bytes a connection. */

import { type RawData, WebSocket } from "ws";

/** Who hears of a WebSocket. */
export interface WebSocketEar {
  /** @param data borrowed until the call returns */
  received(data: Buffer, isBinary: boolean): void;
  /** A ping, which `ws` answers, or a pong. */
  pinged(): void;
  /** Nothing more is read or sent; `closed` follows. */
  failed(): void;
  /** The last call. */
  closed(): void;
}

export class HeardWebSocket extends WebSocket {
  /** Null for one that only closes, or has listeners of its own. */
  ear: WebSocketEar | null = null;
  /** Holds this one until it is closed. */
  sockets: Set<WebSocket> | null = null;
}

/** Puts `webSocket` among `sockets` for as long as it is there. */
export function keepAmong(sockets: Set<WebSocket>, webSocket: HeardWebSocket): void {
  sockets.add(webSocket);
  webSocket.sockets = sockets;
  webSocket.on("close", closed);
  // `ws` closes after an error, in bounded time: cutting here could overtake the close frame. Without a listener the process would end.
  webSocket.on("error", failed);
}

/** From now on `ear` hears of `webSocket`, which was kept before; of pongs where it sends pings. */
export function listenTo(webSocket: HeardWebSocket, ear: WebSocketEar, sendsPings: boolean): void {
  webSocket.ear = ear;
  webSocket.on("message", received);
  webSocket.on("ping", pinged);
  if (sendsPings) webSocket.on("pong", pinged);
}

function received(this: WebSocket, data: RawData, isBinary: boolean): void {
  (this as HeardWebSocket).ear?.received(data as Buffer, isBinary);
}

function pinged(this: WebSocket): void {
  (this as HeardWebSocket).ear?.pinged();
}

function failed(this: WebSocket): void {
  (this as HeardWebSocket).ear?.failed();
}

function closed(this: WebSocket): void {
  (this as HeardWebSocket).sockets?.delete(this);
  (this as HeardWebSocket).ear?.closed();
}
