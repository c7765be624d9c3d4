// SPDX-License-Identifier: MIT
// Goal: the agent hears why a link ended: by a reset, which tells it that a middlebox has forgotten the flow, or otherwise.
// Method: the links of the Node host against a server of `ws` in this process, with real sockets.

import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import type { AgentEvent } from "../../src/agent/events.ts";
import { WebSocketLinks } from "../../src/node/websocket.ts";

let server: WebSocketServer;
let links: WebSocketLinks;
let handle: (event: AgentEvent) => void;
beforeEach(async () => {
  // No pongs: where data and a reset come at one time, libuv tells of an end.
  server = new WebSocketServer({ port: 0, host: "127.0.0.1", autoPong: false });
  await once(server, "listening");
  links = new WebSocketLinks({ ca: null, dispatch: (event) => handle(event) });
});
afterEach(() => {
  links.closeAll();
  server.close();
});

test.each([
  ["a reset", "reset", (_webSocket: WebSocket, socket: Socket) => socket.resetAndDestroy()],
  ["a close", "closed", (webSocket: WebSocket) => webSocket.close(1001)],
  ["an end without a close", "closed", (webSocket: WebSocket) => webSocket.terminate()],
])("%s of an open link", async (_what, cause, end) => {
  const { port } = server.address() as AddressInfo;
  const events: AgentEvent[] = [];
  server.on("connection", (webSocket, { socket }) => webSocket.once("ping", () => end(webSocket, socket)));
  await new Promise<void>((resolve) => {
    handle = (event) => {
      events.push(event);
      if (event.type === "linkOpened") links.ping(1);
      if (event.type === "linkClosed") resolve();
    };
    links.open({
      type: "openLink",
      linkId: 1,
      url: `ws://127.0.0.1:${port}/`,
      subprotocol: "test",
      bearer: "token",
      headers: {},
      mqtt: null,
    });
  });
  expect(events).toEqual([
    { type: "linkOpened", linkId: 1 },
    { type: "linkClosed", linkId: 1, cause, httpStatus: null, retryAfterS: null },
  ]);
});
