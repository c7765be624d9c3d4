// SPDX-License-Identifier: MIT
/**
 * Requests that ask for an upgrade nobody offers, such as h2c, and are to be served as if they had not (RFC 9110 §7.8). Node
 * hands out every upgrade without reading the body; so the request goes back to Node without its `Upgrade`.
 */

import type { IncomingMessage, Server } from "node:http";
import { Server as TlsServer } from "node:https";
import type { Duplex } from "node:stream";

/** True for a GET that asks for a WebSocket, among others or not. */
export function isWebSocketUpgrade(request: IncomingMessage): boolean {
  return request.method === "GET" && tokens(request.headers.upgrade).includes("websocket");
}

/**
 * Serves `request` on `server` without its upgrade.
 *
 * @param server with `maxHeadersCount` 0: a Content-Length that Node left out would make the body the next request
 * @param head as of the event `upgrade`: what was read behind the headers
 */
export function servePlain(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const [name = "", value = ""] = request.rawHeaders.slice(i, i + 2);
    if (!["upgrade", "connection"].includes(name.toLowerCase())) lines.push(`${name}: ${value}`);
  }
  if (tokens(request.headers.connection).includes("close")) lines.push("Connection: close");
  // Node reads headers as Latin-1, so this gives back the very bytes.
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), head]));
  server.emit(server instanceof TlsServer ? "secureConnection" : "connection", socket);
}

function tokens(header: string | undefined): string[] {
  return (header ?? "").split(",").map((token) => token.trim().toLowerCase());
}
