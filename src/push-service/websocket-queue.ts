// SPDX-License-Identifier: MIT
/** The sending end of one device's WebSocket: what waits there is bounded, and its link hears when it is much. */

import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { LINK_CONGESTED_BYTES, LINK_QUEUED_BYTES_MAX } from "../limits.ts";

/** Whose frames wait. */
export interface QueueOwner {
  /** Much waits, or does not any more. */
  congested(isCongested: boolean): void;
}

export class WebSocketQueue {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #owner: QueueOwner;
  #isCongested = false;
  #isCorked = false;

  /** @param socket the one below `webSocket` */
  constructor(webSocket: WebSocket, socket: Duplex, owner: QueueOwner) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#owner = owner;
  }

  /** Bytes go as a binary frame, a text as a text frame. Cuts a device that takes nothing. */
  send(frame: Uint8Array | string): void {
    const webSocket = this.#webSocket;
    if (webSocket.readyState !== WebSocket.OPEN) return;
    this.#cork();
    // Made for each frame: a device that only waits shall keep nothing of it.
    webSocket.send(frame, () => this.#sent());
    const { bufferedAmount } = webSocket;
    if (bufferedAmount > LINK_QUEUED_BYTES_MAX) webSocket.terminate();
    else if (bufferedAmount > LINK_CONGESTED_BYTES) this.#setCongested(true);
    else if (bufferedAmount > LINK_CONGESTED_BYTES / 2) this.#uncork();
  }

  /** True, and the link is cut, when the device takes nothing. Pongs go out by themselves and are queued like frames. */
  isStuck(): boolean {
    if (this.#webSocket.bufferedAmount <= LINK_QUEUED_BYTES_MAX) return false;
    this.#webSocket.terminate();
    return true;
  }

  /**
   * What is sent until the event loop has done all that is there to be done goes in one write: a group commit brings a device several
   * messages at once, and so do the senders whose requests came together.
   */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    setImmediate(() => this.#uncork());
  }

  #uncork(): void {
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#socket.uncork();
  }

  #sent(): void {
    if (this.#webSocket.bufferedAmount <= LINK_CONGESTED_BYTES / 2) this.#setCongested(false);
  }

  #setCongested(isCongested: boolean): void {
    if (this.#isCongested === isCongested) return;
    this.#isCongested = isCongested;
    this.#owner.congested(isCongested);
  }
}
