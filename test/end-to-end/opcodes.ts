// SPDX-License-Identifier: MIT
/** Counts the frames of one way of a WebSocket connection (RFC 6455 §5.2) by opcode, behind the HTTP head. No tests here. */

const HEAD_END = "\r\n\r\n";

export class WebSocketOpcodes {
  readonly #counts = new Map<number, number>();
  /** Bytes not yet understood. */
  #rest: Buffer = Buffer.alloc(0);
  #head: string | null = null;
  /** Of the payload that is passing. */
  #bytesLeft = 0;

  /** First line of the head, or null while it is incomplete. */
  get firstLine(): string | null {
    return this.#head?.split("\r\n", 1)[0] ?? null;
  }

  get isUpgraded(): boolean {
    return this.#head?.startsWith("HTTP/1.1 101 ") ?? false;
  }

  count(opcode: number): number {
    return this.#counts.get(opcode) ?? 0;
  }

  /** @returns the opcodes of the frames that begin in `chunk` */
  push(chunk: Buffer): number[] {
    const opcodes: number[] = [];
    this.#rest = Buffer.concat([this.#rest, chunk]);
    if (this.#head === null) {
      const end = this.#rest.indexOf(HEAD_END);
      if (end < 0) return opcodes;
      this.#head = this.#rest.toString("latin1", 0, end);
      this.#rest = this.#rest.subarray(end + HEAD_END.length);
    }
    for (;;) {
      const passed = Math.min(this.#bytesLeft, this.#rest.length);
      this.#rest = this.#rest.subarray(passed);
      this.#bytesLeft -= passed;
      const header = this.#bytesLeft > 0 ? null : readHeader(this.#rest);
      if (header === null) return opcodes;
      this.#rest = this.#rest.subarray(header.headerBytes);
      this.#bytesLeft = header.payloadBytes;
      this.#counts.set(header.opcode, this.count(header.opcode) + 1);
      opcodes.push(header.opcode);
    }
  }
}

/** The header at the beginning of `bytes`, or null while it is incomplete. */
function readHeader(bytes: Buffer): { opcode: number; headerBytes: number; payloadBytes: number } | null {
  if (bytes.length < 2) return null;
  const [first, second] = [bytes.readUInt8(0), bytes.readUInt8(1)];
  const short = second & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const headerBytes = 2 + lengthBytes + (second & 0x80 ? 4 : 0);
  if (bytes.length < headerBytes) return null;
  const payloadBytes =
    short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  return { opcode: first & 0x0f, headerBytes, payloadBytes };
}
