// SPDX-License-Identifier: MIT
/** A connection of the app socket on `ws`: text in and out, pings answered within bounds. */

import type { WebSocket } from "ws";
import { APP_QUEUED_BYTES_MAX } from "../limits.ts";
import type { PeerSocket } from "../user-agent/platform.ts";

/** Of a pong, which is short and unmasked (RFC 6455 §5.2). */
const FRAME_HEAD_BYTES = 2;

/** @param webSocket upgraded, without pongs of its own, and told to nobody else */
export function peerSocketOf(webSocket: WebSocket): PeerSocket {
  let pongBytes = 0;
  webSocket.on("error", () => webSocket.terminate());
  webSocket.on("ping", (data: Buffer) => {
    // Whoever asks for pongs and does not read them is cut off.
    const frameBytes = FRAME_HEAD_BYTES + data.length;
    pongBytes += frameBytes;
    if (pongBytes > APP_QUEUED_BYTES_MAX) return webSocket.terminate();
    webSocket.pong(data, false, () => {
      pongBytes -= frameBytes;
    });
  });
  return {
    get bufferedBytes() {
      return webSocket.bufferedAmount;
    },
    send: (text) => webSocket.send(text),
    close: (code) => webSocket.close(code),
    terminate: () => webSocket.terminate(),
    pause: () => webSocket.pause(),
    resume: () => webSocket.resume(),
    listen({ message, closed }) {
      webSocket.on("message", (data, isBinary) => message(isBinary ? null : String(data)));
      webSocket.on("close", () => closed());
    },
  };
}
