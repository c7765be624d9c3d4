// SPDX-License-Identifier: MIT
// Goal: every packet within the bound passes unchanged however the bytes are cut, and the first one beyond it ends the
// stream before its body is gathered. Method: packets with lengths of one to four bytes, through a stream cut at random.

import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { BoundedMqttStream } from "../../src/node/bounded-mqtt-stream.ts";
import { fc, numRuns } from "../properties.ts";

const BOUND = 20_000;

/** Fixed header of MQTT 3.1.1 §2.2 with that remaining length. */
function header(length: number): number[] {
  const bytes = [0x30];
  let rest = length;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 0x80 : low);
  } while (rest > 0);
  return bytes;
}

function packet(length: number): Buffer {
  return Buffer.concat([Buffer.from(header(length)), Buffer.alloc(length, 7)]);
}

/** What comes out of a stream that `chunks` go into. */
async function through(chunks: readonly Buffer[]): Promise<{ bytes: Buffer; error: Error | null }> {
  const socket = new PassThrough();
  const stream = new BoundedMqttStream(socket, BOUND);
  const out: Buffer[] = [];
  return new Promise((resolve) => {
    let error: Error | null = null;
    stream.on("data", (chunk: Buffer) => out.push(chunk));
    stream.on("error", (cause) => {
      error = cause;
    });
    stream.on("close", () => resolve({ bytes: Buffer.concat(out), error }));
    for (const chunk of chunks) socket.write(chunk);
    socket.end();
  });
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

const lengths = fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: BOUND })), {
  minLength: 1,
  maxLength: 6,
});
const places = fc.array(fc.nat(), { maxLength: 12 });

test("packets within the bound pass, wherever the bytes are cut", async () => {
  const property = fc.asyncProperty(lengths, places, async (sizes, at) => {
    const bytes = Buffer.concat(sizes.map(packet));
    const { bytes: out, error } = await through(cut(bytes, at));
    expect(error).toBe(null);
    expect(out.equals(bytes)).toBe(true);
  });
  await fc.assert(property, { numRuns: numRuns(100) });
});

test("the first packet beyond the bound ends the stream with its header", async () => {
  const size = fc.integer({ min: BOUND + 1, max: 268_435_455 });
  const property = fc.asyncProperty(lengths, size, places, async (sizes, length, at) => {
    const before = Buffer.concat(sizes.map(packet));
    const bytes = Buffer.concat([before, Buffer.from(header(length)), Buffer.alloc(1_000)]);
    const { bytes: out, error } = await through(cut(bytes, at));
    expect(error?.message).toBe("an MQTT packet is too large");
    expect(out.length).toBeLessThanOrEqual(before.length + header(length).length);
  });
  await fc.assert(property, { numRuns: numRuns(100) });
});

test("a length of more than four bytes is no length", async () => {
  const { error } = await through([Buffer.from([0x30, 0x80, 0x80, 0x80, 0x80, 0x01])]);
  expect(error).not.toBe(null);
});
