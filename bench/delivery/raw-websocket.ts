// SPDX-License-Identifier: MIT
/** A WebSocket client (RFC 6455) of a few hundred bytes: ten thousand of them fit beside what is measured. Frames are whole and short. */

import type { Socket } from "node:net";
import { dial, type Target } from "./raw-http.ts";

const OPCODE_TEXT = 1;
const OPCODE_BINARY = 2;
const OPCODE_CLOSE = 8;
const FIN = 0x80;
const MASKED = 0x80;
const SHORT_LENGTH_MAX = 125;

export class RawWebSocket {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #onFrame: (frame: Buffer) => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  /** @throws {Error} with the status line when the upgrade is refused */
  static async open(
    target: Target,
    path: string,
    headers: Readonly<Record<string, string>>,
    onFrame: (frame: Buffer) => void,
  ): Promise<RawWebSocket> {
    const socket = await dial(target);
    const webSocket = new RawWebSocket(socket);
    webSocket.#onFrame = onFrame;
    const lines = Object.entries({
      Host: "localhost",
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    await webSocket.#upgraded();
    return webSocket;
  }

  send(payload: Uint8Array, isText = false): void {
    const isShort = payload.length <= SHORT_LENGTH_MAX;
    const head = Buffer.alloc(isShort ? 6 : 8);
    head[0] = FIN | (isText ? OPCODE_TEXT : OPCODE_BINARY);
    if (isShort) head[1] = MASKED | payload.length;
    else {
      head[1] = MASKED | 126;
      head.writeUInt16BE(payload.length, 2);
    }
    // The mask is zero: the payload goes out as it is.
    this.socket.write(Buffer.concat([head, payload]));
  }

  close(): void {
    this.socket.destroy();
  }

  #upgraded(): Promise<void> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error("the connection ended in the upgrade"));
      this.socket.once("close", ended);
      this.socket.on("error", () => this.socket.destroy());
      const take = (chunk: Buffer) => {
        this.#received = Buffer.concat([this.#received, chunk]);
        const end = this.#received.indexOf("\r\n\r\n");
        if (end < 0) return;
        this.socket.off("data", take);
        this.socket.off("close", ended);
        const head = this.#received.toString("latin1", 0, end);
        if (!head.startsWith("HTTP/1.1 101")) return reject(new Error(head.split("\r\n")[0]));
        const rest = this.#received.subarray(end + 4);
        this.#received = Buffer.alloc(0);
        this.socket.on("data", (data) => this.#take(data));
        resolve();
        this.#take(rest);
      };
      this.socket.on("data", take);
    });
  }

  #take(chunk: Buffer): void {
    let left = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (;;) {
      if (left.length < 2) break;
      const short = (left[1] ?? 0) & 0x7f;
      const headBytes = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (left.length < headBytes) break;
      const bytes =
        short === 126 ? left.readUInt16BE(2) : short === 127 ? Number(left.readBigUInt64BE(2)) : short;
      if (left.length < headBytes + bytes) break;
      const opcode = (left[0] ?? 0) & 0x0f;
      const payload = left.subarray(headBytes, headBytes + bytes);
      left = left.subarray(headBytes + bytes);
      if (opcode === OPCODE_CLOSE) this.socket.end();
      else if (opcode === OPCODE_TEXT || opcode === OPCODE_BINARY) this.#onFrame(payload);
    }
    this.#received = left.length === 0 ? left : Buffer.from(left);
  }
}
