// SPDX-License-Identifier: MIT
/**
 * The push service's end of a WebSocket on the simulated network, with what the service uses of `ws`; stands in the place of that
 * package in the bundle of the simulation.
 */

/** What travels. A message arrives whole or not at all, as WebSocket has it. */
export type Packet =
  | { readonly type: "frame"; readonly bytes: Uint8Array; readonly isBinary: boolean }
  | { readonly type: "ping" | "pong" }
  | { readonly type: "close"; readonly code: number };

/** The network below one socket. */
export interface Wire {
  /** Towards the device; `taken` is called once it has arrived. */
  down(packet: Packet, taken: () => void): void;
  /** The connection is cut from the service's side. */
  cut(): void;
  /** The service accepted the upgrade. */
  accepted(socket: WebSocket): void;
  after(delayMs: number, action: () => void): void;
}

/** An upgrade request on the simulated network. */
export interface WiredRequest {
  readonly wire: Wire;
}

type Listener = (...values: never[]) => void;

export class WebSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;

  readyState: number = WebSocket.OPEN;
  bufferedAmount = 0;
  readonly #wire: Wire;
  readonly #closeTimeoutMs: number;
  readonly #listeners = new Map<string, Listener[]>();

  /** @param closeTimeoutMs a peer that does not answer a close frame is cut after this */
  constructor(wire: Wire, closeTimeoutMs: number) {
    this.#wire = wire;
    this.#closeTimeoutMs = closeTimeoutMs;
  }

  on(name: "message" | "ping" | "pong" | "close" | "error", listener: Listener): this {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
    return this;
  }

  send(data: Uint8Array | string, sent: () => void): void {
    const isBinary = typeof data !== "string";
    const bytes = isBinary ? data.slice() : new TextEncoder().encode(data);
    this.bufferedAmount += bytes.length;
    this.#wire.down({ type: "frame", bytes, isBinary }, () => {
      this.bufferedAmount -= bytes.length;
      sent();
    });
  }

  ping(): void {
    this.#wire.down({ type: "ping" }, () => {});
  }

  close(code = 1000, _reason = ""): void {
    if (this.readyState !== WebSocket.OPEN) return;
    this.readyState = WebSocket.CLOSING;
    this.#wire.down({ type: "close", code }, () => {});
    this.#wire.after(this.#closeTimeoutMs, () => this.terminate());
  }

  terminate(): void {
    if (this.readyState === WebSocket.CLOSED) return;
    this.#wire.cut();
    this.lost();
  }

  /** A packet of the device has arrived. */
  receive(packet: Packet): void {
    if (this.readyState === WebSocket.CLOSED) return;
    if (packet.type === "frame") this.#emit("message", Buffer.from(packet.bytes), packet.isBinary);
    else if (packet.type === "close") this.lost();
    else {
      if (packet.type === "ping") this.#wire.down({ type: "pong" }, () => {});
      this.#emit(packet.type, Buffer.alloc(0));
    }
  }

  /** The connection is no more. */
  lost(): void {
    if (this.readyState === WebSocket.CLOSED) return;
    this.readyState = WebSocket.CLOSED;
    this.#emit("close");
  }

  /** The process it was in is no more: nobody hears anything. */
  die(): void {
    this.readyState = WebSocket.CLOSED;
    this.#listeners.clear();
  }

  #emit(name: string, ...values: unknown[]): void {
    for (const listener of this.#listeners.get(name) ?? [])
      (listener as (...all: unknown[]) => void).apply(this, values);
  }
}

export class WebSocketServer {
  readonly #closeTimeoutMs: number;

  constructor({ closeTimeout }: { readonly closeTimeout: number }) {
    this.#closeTimeoutMs = closeTimeout;
  }

  handleUpgrade(
    request: WiredRequest,
    _socket: unknown,
    _head: unknown,
    accept: (socket: WebSocket) => void,
  ): void {
    const socket = new WebSocket(request.wire, this.#closeTimeoutMs);
    request.wire.accepted(socket);
    accept(socket);
  }

  close(): void {}
}
