// SPDX-License-Identifier: MIT
// Goal: what a device is sent in one turn of the event loop goes in one write, in order, and no more than a bound of it waits for
// that. Method: a real WebSocket on loopback, and how often its socket is corked.

import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { LINK_CONGESTED_BYTES } from "../../src/limits.ts";
import { WebSocketQueue } from "../../src/push-service/websocket-queue.ts";

let server: Server;
let device: WebSocket;
let socket: Duplex;
let webSocket: WebSocket;
let queue: WebSocketQueue;

beforeEach(async () => {
  server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const webSockets = new WebSocketServer({ noServer: true });
  const upgraded = new Promise<void>((resolve) => {
    server.on("upgrade", (request, duplex, head) => {
      socket = duplex;
      webSockets.handleUpgrade(request, duplex, head, (accepted) => {
        webSocket = accepted;
        resolve();
      });
    });
  });
  device = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await Promise.all([upgraded, once(device, "open")]);
  queue = new WebSocketQueue(webSocket, socket, { congested() {} });
});
afterEach(async () => {
  device.terminate();
  webSocket.terminate();
  server.close();
  await once(server, "close");
});

test("frames of one turn leave together, and in order", async () => {
  const received: string[] = [];
  const all = new Promise<void>((resolve) => {
    device.on("message", (data) => {
      received.push(String(data));
      if (received.length === 3) resolve();
    });
  });
  for (const text of ["a", "b", "c"]) queue.send(text);
  expect([socket.writableCorked, socket.writableLength > 0]).toEqual([1, true]);
  await all;
  expect(received).toEqual(["a", "b", "c"]);
  expect(socket.writableCorked).toBe(0);
});

test("frames of requests that came together leave together", async () => {
  queue.send("a");
  // Another socket of the same round of the event loop is read behind the ticks of this one.
  await new Promise<void>((resolve) => process.nextTick(() => process.nextTick(resolve)));
  queue.send("b");
  expect([socket.writableCorked, socket.writableLength]).toEqual([1, 6]);
});

test("much does not wait for the end of the turn", () => {
  const frame = new Uint8Array(1_000);
  let waitedMax = 0;
  for (let bytes = 0; bytes < LINK_CONGESTED_BYTES; bytes += frame.length) {
    queue.send(frame);
    waitedMax = Math.max(waitedMax, socket.writableCorked === 0 ? 0 : socket.writableLength);
  }
  expect(waitedMax).toBeGreaterThan(0);
  expect(waitedMax).toBeLessThanOrEqual(LINK_CONGESTED_BYTES / 2);
});
