// SPDX-License-Identifier: MIT
/** The sending end of one device's WebSocket: what waits there is bounded, and the session hears when it is much. */

import { WebSocket } from "ws";
import { LINK_CONGESTED_BYTES, LINK_QUEUED_BYTES_MAX } from "../limits.ts";

export class WebSocketQueue {
  readonly #webSocket: WebSocket;
  readonly #congested: (isCongested: boolean) => void;
  #isCongested = false;

  constructor(webSocket: WebSocket, congested: (isCongested: boolean) => void) {
    this.#webSocket = webSocket;
    this.#congested = congested;
  }

  /** Bytes go as a binary frame, a text as a text frame. Cuts a device that takes nothing. */
  send(frame: Uint8Array | string): void {
    const webSocket = this.#webSocket;
    if (webSocket.readyState !== WebSocket.OPEN) return;
    webSocket.send(frame, () => this.#sent());
    if (webSocket.bufferedAmount > LINK_QUEUED_BYTES_MAX) webSocket.terminate();
    else if (webSocket.bufferedAmount > LINK_CONGESTED_BYTES) this.#setCongested(true);
  }

  /** True, and the link is cut, when the device takes nothing. Pongs go out by themselves and are queued like frames. */
  isStuck(): boolean {
    if (this.#webSocket.bufferedAmount <= LINK_QUEUED_BYTES_MAX) return false;
    this.#webSocket.terminate();
    return true;
  }

  #sent(): void {
    if (this.#webSocket.bufferedAmount <= LINK_CONGESTED_BYTES / 2) this.#setCongested(false);
  }

  #setCongested(isCongested: boolean): void {
    if (this.#isCongested === isCongested) return;
    this.#isCongested = isCongested;
    this.#congested(isCongested);
  }
}
