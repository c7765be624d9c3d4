// SPDX-License-Identifier: MIT
/**
 * Frames of `godwit.v1`, read by both ends. What is read is written and read again as the same; another implementation of CBOR
 * reads the same values; UTF-8 is read alike with the engine's decoder and without. No tests here.
 */

import { Encoder } from "cbor-x";
import { utf8Decode, utf8DecodePortable, utf8Encode, utf8EncodePortable } from "../../../src/bytes.ts";
import type { ErrorCode } from "../../../src/errors.ts";
import { CBOR_DEPTH_MAX, CBOR_ITEMS_MAX, FRAME_BYTES_MAX } from "../../../src/limits.ts";
import { decodeCbor, encodeCbor } from "../../../src/wire/cbor.ts";
import type { Downstream, Upstream } from "../../../src/wire/dialect.ts";
import { godwitDialect } from "../../../src/wire/godwit.ts";
import { holds, resultOrCode, same, type Target } from "../target.ts";
import { mutateValue } from "../values.ts";

const CBOR_CODES: readonly ErrorCode[] = [
  "ERR_CBOR_MALFORMED",
  "ERR_CBOR_TOO_DEEP",
  "ERR_CBOR_TOO_MANY_ITEMS",
];
const CODES: readonly ErrorCode[] = [
  ...CBOR_CODES,
  "ERR_FRAME_TOO_LONG",
  "ERR_FRAME_UNKNOWN_TYPE",
  "ERR_FRAME_FIELD",
];
const LIMITS = { depthMax: CBOR_DEPTH_MAX, itemsMax: CBOR_ITEMS_MAX };
const { encodeUpstream, parseUpstream, encodeDownstream, parseDownstream } = godwitDialect;
const peer = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false });

export const target: Target = {
  name: "frames",
  covers: ["src/wire/cbor.ts", "src/wire/fields.ts", "src/wire/godwit.ts", "src/bytes.ts"],
  // Some above the bound, so that it is met.
  inputBytesMax: FRAME_BYTES_MAX + 16,
  inputMsMax: 100,
  words: [],
  seeds: () => [...UPSTREAM.map(encodeUpstream), ...DOWNSTREAM.map(encodeDownstream)],
  mutate(input, random) {
    const read = resultOrCode(CBOR_CODES, () => decodeCbor(input, LIMITS));
    if ("code" in read) return null;
    const changed = mutateValue(read.value, { words: WORDS, hasBytes: true, isJson: false }, random);
    const encoded = resultOrCode(["ERR_CBOR_VALUE"], () => encodeCbor(changed));
    return "value" in encoded ? encoded.value : null;
  },
  run(input) {
    const text = utf8Decode(input);
    same("UTF-8 read without the engine's decoder", utf8DecodePortable(input), text);
    same("UTF-8 written without the engine's encoder", utf8EncodePortable(text), utf8Encode(text));
    const cbor = resultOrCode(CBOR_CODES, () => decodeCbor(input, LIMITS));
    if ("value" in cbor) checkCbor(input, cbor.value);
    return `${readAs(input, parseUpstream, encodeUpstream)} ${readAs(input, parseDownstream, encodeDownstream)}`;
  },
};

const WORDS = ["/v1/canary", "https://push.example/p/AAAA", "topic", "bad request", "uaToken"];

function checkCbor(input: Uint8Array, value: unknown): void {
  same("the same value of another CBOR decoder", plain(peer.decode(input.slice())), value);
  const encoded = encodeCbor(value);
  holds("the shortest encoding is no longer", encoded.length <= input.length);
  same("CBOR read again", decodeCbor(encoded, LIMITS), value);
}

/** cbor-x answers with Buffers, and with BigInts for what has eight bytes. */
function plain(decoded: unknown): unknown {
  if (decoded instanceof Uint8Array) return Uint8Array.from(decoded);
  if (typeof decoded === "bigint") return Number(decoded);
  return Array.isArray(decoded) ? decoded.map(plain) : decoded;
}

function readAs<Message extends Upstream | Downstream>(
  input: Uint8Array,
  parse: (frame: Uint8Array) => Message,
  encode: (message: Message) => Uint8Array,
): string {
  const before = input.slice();
  const read = resultOrCode(CODES, () => parse(input));
  same("the frame after it was read", input, before);
  if ("code" in read) return read.code;
  const frame = encode(read.value);
  holds("what we write is within the bound", frame.length <= FRAME_BYTES_MAX);
  same("the message written and read again", parse(frame), read.value);
  same("its bytes written again", encode(parse(frame)), frame);
  return read.value.type;
}

const conditions = { heartbeatS: 240, windowS: 60, leastUrgency: "low" } as const;
const UPSTREAM: readonly Upstream[] = [
  { type: "registerUa", uaToken: "dG9rZW4", conditions, channelsDigest: new Uint8Array(8).fill(7) },
  { type: "registerWa", ref: 1, registrationId: new Uint8Array(16).fill(1), applicationServerKey: null },
  {
    type: "registerWa",
    ref: 70_000,
    registrationId: new Uint8Array(16),
    applicationServerKey: new Uint8Array(65),
  },
  { type: "unregisterWa", ref: 2, channel: 0xffff_ffff },
  { type: "unregisterUa", ref: 3 },
  { type: "getAllMessages", ref: 4 },
  {
    type: "ack",
    code: "rejected",
    ranges: [
      [1, 1],
      [7, 900],
      [2 ** 40, 2 ** 40],
    ],
  },
  { type: "hold", channel: 5 },
  { type: "resume", channel: 5 },
  { type: "conditions", conditions },
  { type: "probe", nonce: 99 },
];
const registered = {
  type: "registered",
  status: 200,
  uaid: new Uint8Array(16).fill(3),
  freshUaToken: "ZnJlc2g",
  idleLimitS: 300,
  reconnectSpreadS: 60,
  canary: "/v1/canary",
  epochMs: 1_700_000_000_000,
  storeEpoch: 8,
  channels: [1, 2, 70_000],
  lastId: 41,
} as const satisfies Downstream;
const DOWNSTREAM: readonly Downstream[] = [
  registered,
  { ...registered, freshUaToken: null, idleLimitS: null, canary: null, channels: null },
  {
    ...{ type: "waRegistered", ref: 1, status: 200, channel: 5, expirationTime: null },
    endpoint: "https://push.example/p/AAAA",
  },
  { type: "waUnregistered", ref: 1, status: 404, channel: 5 },
  {
    ...{ type: "notification", id: 42, attempt: 1, channel: 5, ttlLeftS: 60, urgency: "high" },
    ...{ saysNotification: true, topic: "news", body: new Uint8Array(120).fill(9) },
  },
  {
    ...{ type: "notification", id: 43, attempt: 2, channel: 5, ttlLeftS: 0, urgency: "very-low" },
    ...{ saysNotification: false, topic: null, body: null },
  },
  { type: "drained", ref: 4 },
  { type: "revoked", channel: 5, reason: "administrator" },
  { type: "bye", reason: "overload", retryAfterS: 30 },
  { type: "probeReply", nonce: 99 },
  { type: "error", ref: null, status: 501, text: "unknown type" },
  { type: "error", ref: 3, status: 503, text: "naïve \u{1f600}" },
];
