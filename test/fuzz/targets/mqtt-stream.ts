// SPDX-License-Identifier: MIT
/**
 * Bytes of an MQTT peer, in pieces of any size, on Node: what comes out is what went in, up to the packet that is too large or not
 * taken, with which the stream ends; a reader of whole packets, written out here, says which one that is. An input is the sizes of
 * the pieces and the bytes. No tests here.
 */

import { Duplex } from "node:stream";
import { BoundedMqttStream, MQTT_PACKET, MQTT_QOS_OVER_1 } from "../../../src/node/bounded-mqtt-stream.ts";
import type { Random } from "../random.ts";
import { holds, same, type Target } from "../target.ts";

const PACKET_BYTES_MAX = 300;
/** What is refused as an agent does: a message of QoS 2. */
const takes = (type: number, _bytes: number, flags: number): boolean =>
  type !== MQTT_PACKET.publish || (flags & MQTT_QOS_OVER_1) === 0;

export const target: Target = {
  name: "mqtt-stream",
  covers: ["src/node/bounded-mqtt-stream.ts"],
  inputBytesMax: 4096,
  inputMsMax: 100,
  words: [],
  seeds: () => SEEDS.map((bytes) => Uint8Array.from(bytes)),
  mutate: addPacket,
  async run(input) {
    const [pieces = 1, ...rest] = input;
    const bytes = Uint8Array.from(rest);
    const end = endOf(bytes);
    const { passed, isCut } = await through(bytes, 1 + (pieces % 64));
    same("whether a packet ends it", isCut, end !== null);
    same("what came through", passed, bytes.slice(0, passed.length));
    if (end === null) same("all of it", passed.length, bytes.length);
    // A piece that has the end in it is not passed on.
    else holds("nothing of what is refused", passed.length < end + 6);
    return `${isCut} ${Math.min(passed.length, 3)}`;
  },
};

/** How many bytes stand in front of the first packet that is refused; null where there is none. MQTT 3.1.1 §2.2. */
function endOf(bytes: Uint8Array): number | null {
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at] ?? 0;
    let length = 0;
    let count = 0;
    for (let byte = 0x80; byte >= 0x80; count++) {
      if (at + 1 + count >= bytes.length) return count > 0 && length > PACKET_BYTES_MAX ? at : null;
      byte = bytes[at + 1 + count] ?? 0;
      length += (byte & 0x7f) * 128 ** count;
      if (length > PACKET_BYTES_MAX || (count === 3 && byte >= 0x80)) return at;
    }
    if (!takes(first >> 4, length, first & 0x0f)) return at;
    at += 1 + count + length;
  }
  return null;
}

/** Everything the stream gives when a peer writes `bytes` in pieces and hangs up. */
async function through(
  bytes: Uint8Array,
  pieceBytes: number,
): Promise<{ passed: Uint8Array; isCut: boolean }> {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  const stream = new BoundedMqttStream(socket, PACKET_BYTES_MAX, takes);
  const chunks: Buffer[] = [];
  let isCut = false;
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => {
    isCut = true;
  });
  const closed = new Promise((resolve) => stream.on("close", resolve));
  for (let at = 0; at < bytes.length; at += pieceBytes) socket.push(bytes.slice(at, at + pieceBytes));
  socket.push(null);
  await closed;
  holds("the socket goes with it", socket.destroyed);
  return { passed: Uint8Array.from(Buffer.concat(chunks)), isCut };
}

/** A packet somewhere, its length as it should be or not. */
function addPacket(input: Uint8Array, random: Random): Uint8Array | null {
  if (random.oneIn(3)) return null;
  const length = random.pick([0, 1, 2, 127, 128, 129, 299, 300, 301, 16_383]);
  const said = length < 128 ? [length] : [0x80 | (length & 0x7f), length >> 7];
  const padded = random.oneIn(6) ? [...said.slice(0, -1), 0x80 | (said.at(-1) ?? 0), 0x80, 0x00] : said;
  const body = random.bytes(random.oneIn(4) ? random.below(8) : Math.min(length, 400));
  const at = 1 + random.below(input.length);
  return Uint8Array.from([
    ...input.subarray(0, at),
    random.below(256),
    ...padded,
    ...body,
    ...input.subarray(at),
  ]);
}

const SEEDS: readonly (readonly number[])[] = [
  [3, 0x20, 2, 0, 0, 0x90, 3, 0, 1, 1],
  [1, 0x30, 5, 0, 1, 97, 1, 2, 0x32, 6, 0, 1, 97, 0, 1, 9, 0xd0, 0],
  [60, 0x34, 5, 0, 1, 97, 1, 2],
  [2, 0x30, 0x80, 0x80, 0x80, 0x00, 0x20, 2, 0, 0],
  [9, 0x30, 0xff, 0xff, 0xff, 0x7f],
  [9, 0x30, 0x80, 0x80, 0x80, 0x80, 0x01],
];
