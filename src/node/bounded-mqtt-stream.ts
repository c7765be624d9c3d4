// SPDX-License-Identifier: MIT
/**
 * A socket that carries MQTT and ends when the other side announces a packet larger than a bound, or one too many: the
 * libraries would gather up to 256 MB before they look at it (MQTT 3.1.1 §2.2.3). Reads types and lengths, nothing else.
 */

import { Duplex } from "node:stream";

/** Bytes of an MQTT remaining length, at most. */
const LENGTH_BYTES_MAX = 4;

/** Bits 4 to 7 of a packet's first byte (MQTT 3.1.1 §2.2.1). */
export const MQTT_PACKET = { connect: 1, publish: 3, puback: 4 } as const;

/** Of a PUBLISH's flags (§3.3.1): QoS 2, or the reserved 3. */
export const MQTT_QOS_OVER_1 = 0x04;

export class BoundedMqttStream extends Duplex {
  readonly #socket: Duplex;
  readonly #packetBytesMax: number;
  readonly #takes: (type: number, bytes: number, flags: number) => boolean;
  #type = 0;
  #flags = 0;
  /** Bytes of the packet still to come; 0 before its first byte. */
  #leftBytes = 0;
  /** Of its length: what was read so far, and how many bytes; -1 before its first byte. */
  #length = 0;
  #lengthBytes = -1;

  /**
   * @param socket owned from now on: destroyed with the stream
   * @param packetBytesMax of one packet without its first two to five bytes
   * @param takes asked with each packet's type, 0 to 15, length as above and flags, 0 to 15, before it is there; false ends
   *   the stream. Default: takes all
   */
  constructor(
    socket: Duplex,
    packetBytesMax: number,
    takes: (type: number, bytes: number, flags: number) => boolean = () => true,
  ) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#packetBytesMax = packetBytesMax;
    this.#takes = takes;
    socket.on("data", (chunk: Buffer) => {
      const fault = this.#read(chunk);
      if (fault !== null) this.destroy(new Error(fault));
      else if (!this.push(chunk)) socket.pause();
    });
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    // After an end what was received is still to be read.
    socket.on("close", () => {
      if (!socket.readableEnded) this.destroy();
    });
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  /** What is wrong, or null. */
  #read(chunk: Buffer): string | null {
    for (let at = 0; at < chunk.length; ) {
      if (this.#leftBytes > 0) {
        const bytes = Math.min(this.#leftBytes, chunk.length - at);
        this.#leftBytes -= bytes;
        at += bytes;
      } else if (this.#lengthBytes < 0) {
        this.#lengthBytes = 0;
        this.#length = 0;
        const first = chunk[at++] ?? 0;
        this.#type = first >> 4;
        this.#flags = first & 0x0f;
      } else {
        const byte = chunk[at++] ?? 0;
        this.#length += (byte & 0x7f) * 128 ** this.#lengthBytes++;
        if (this.#length > this.#packetBytesMax) return "an MQTT packet is too large";
        if (byte < 0x80) {
          if (!this.#takes(this.#type, this.#length, this.#flags)) return "an MQTT packet is refused";
          this.#leftBytes = this.#length;
          this.#lengthBytes = -1;
        } else if (this.#lengthBytes === LENGTH_BYTES_MAX) return "an MQTT packet is too large";
      }
    }
    return null;
  }
}
