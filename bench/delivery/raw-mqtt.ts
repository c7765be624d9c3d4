// SPDX-License-Identifier: MIT
/** An MQTT 3.1.1 client of one topic at QoS 1, as small as it gets: what Mosquitto takes must not drown in what measures it. */

import type { Socket } from "node:net";
import { dial, type Target } from "./raw-http.ts";

const CONNACK = 2;
const PUBLISH = 3;
const PUBACK = 4;
const SUBACK = 9;
const PACKET_IDS = 65_535;

export class RawMqtt {
  readonly socket: Socket;
  readonly #onMessage: (body: Buffer) => void;
  readonly #acknowledged = new Map<number, () => void>();
  #received: Buffer = Buffer.alloc(0);
  #lastId = 0;
  #answered: (() => void) | null = null;

  private constructor(socket: Socket, onMessage: (body: Buffer) => void) {
    this.socket = socket;
    this.#onMessage = onMessage;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", () => socket.destroy());
  }

  /** With a session that stays when the connection ends; one of a device that names itself is of this connection only. */
  static async connect(
    target: Target,
    clientId: string,
    onMessage: (body: Buffer) => void = () => {},
    device: { readonly username: string; readonly password: string } | null = null,
  ): Promise<RawMqtt> {
    const client = new RawMqtt(await dial(target), onMessage);
    const flags = device === null ? 0 : 0xc2;
    const variable = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, flags, 0, 0]);
    const names = device === null ? [clientId] : [clientId, device.username, device.password];
    await client.#ask(0x10, Buffer.concat([variable, ...names.map(text)]));
    return client;
  }

  subscribe(topic: string): Promise<void> {
    return this.#ask(0x82, Buffer.concat([uint16(1), text(topic), Buffer.from([1])]));
  }

  /** Resolves when the broker acknowledged it. */
  publish(topic: string, body: Uint8Array): Promise<void> {
    this.#lastId = (this.#lastId % PACKET_IDS) + 1;
    const id = this.#lastId;
    this.#write(0x32, Buffer.concat([text(topic), uint16(id), body]));
    return new Promise((resolve) => this.#acknowledged.set(id, resolve));
  }

  close(): void {
    this.socket.destroy();
  }

  #ask(type: number, payload: Buffer): Promise<void> {
    this.#write(type, payload);
    return new Promise((resolve) => {
      this.#answered = resolve;
    });
  }

  #write(type: number, payload: Buffer): void {
    const length: number[] = [];
    for (let left = payload.length; length.length === 0 || left > 0; left >>= 7)
      length.push(left > 127 ? (left & 127) | 128 : left);
    this.socket.write(Buffer.concat([Buffer.from([type, ...length]), payload]));
  }

  #take(chunk: Buffer): void {
    let left = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    for (;;) {
      let bytes = 0;
      let at = 1;
      for (; at < left.length && at < 5; at++) {
        bytes |= ((left[at] ?? 0) & 127) << (7 * (at - 1));
        if ((left[at] ?? 0) < 128) break;
      }
      if (at >= left.length || left.length < at + 1 + bytes) break;
      this.#packet((left[0] ?? 0) >> 4, left.subarray(at + 1, at + 1 + bytes));
      left = left.subarray(at + 1 + bytes);
    }
    this.#received = left.length === 0 ? left : Buffer.from(left);
  }

  #packet(type: number, payload: Buffer): void {
    if (type === CONNACK || type === SUBACK) this.#answered?.();
    if (type === PUBACK) {
      const id = payload.readUInt16BE(0);
      this.#acknowledged.get(id)?.();
      this.#acknowledged.delete(id);
    }
    if (type !== PUBLISH) return;
    const topicBytes = payload.readUInt16BE(0);
    this.#write(0x40, payload.subarray(2 + topicBytes, 4 + topicBytes));
    this.#onMessage(payload.subarray(4 + topicBytes));
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint16(bytes.length), bytes]);
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255]);
}
