// SPDX-License-Identifier: MIT
// Goal: every frame of godwit.v1 survives a round trip, and no bytes can do worse than a listed GodwitError. Method:
// fast-check over all message types, mutated and random bytes, and single frames for each refusal.

import { describe, expect, test } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import { FRAME_BYTES_MAX } from "../../src/limits.ts";
import { encodeCbor } from "../../src/wire/cbor.ts";
import {
  ACK_CODES,
  BYE_REASONS,
  type Downstream,
  REVOKE_REASONS,
  STATUS,
  type Upstream,
  URGENCIES,
} from "../../src/wire/dialect.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { ALL_CODES } from "../error-codes.ts";
import { fc, numRuns } from "../properties.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const ref = fc.nat(0xffff_ffff);
const channel = fc.nat(0xffff_ffff);
const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const seconds = fc.nat(0xffff_ffff);
const status = fc.constantFrom(...Object.values(STATUS));
const text = (maxLength: number) => fc.string({ maxLength, unit: "binary-ascii" });
/** Visible ASCII: it goes into a header line. */
const token = fc
  .array(fc.integer({ min: 0x21, max: 0x7e }), { maxLength: 100, minLength: 1 })
  .map((codes) => String.fromCharCode(...codes));
const conditions = fc.record({
  heartbeatS: seconds,
  windowS: seconds,
  leastUrgency: fc.constantFrom(...URGENCIES),
});
const range = fc.tuple(id, id).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

const upstream: fc.Arbitrary<Upstream> = fc.oneof(
  fc.record({
    type: fc.constant("registerUa" as const),
    uaToken: text(512),
    conditions,
    channelsDigest: bytes(8),
  }),
  fc.record({
    type: fc.constant("registerWa" as const),
    ref,
    registrationId: bytes(16),
    applicationServerKey: fc.option(bytes(65)),
  }),
  fc.record({ type: fc.constant("unregisterWa" as const), ref, channel }),
  fc.record({ type: fc.constantFrom("unregisterUa" as const, "getAllMessages" as const), ref }),
  fc.record({
    type: fc.constant("ack" as const),
    code: fc.constantFrom(...ACK_CODES),
    ranges: fc.array(range, { minLength: 1, maxLength: 64 }),
  }),
  fc.record({ type: fc.constantFrom("hold" as const, "resume" as const), channel }),
  fc.record({ type: fc.constant("conditions" as const), conditions }),
  fc.record({ type: fc.constant("probe" as const), nonce: ref }),
);

const downstream: fc.Arbitrary<Downstream> = fc.oneof(
  fc.record({
    type: fc.constant("registered" as const),
    status,
    uaid: bytes(16),
    freshUaToken: fc.option(token),
    idleLimitS: fc.option(fc.integer({ min: 1, max: 0xffff_ffff })),
    reconnectSpreadS: seconds,
    canary: fc.option(text(256)),
    epochMs: fc.maxSafeNat(),
    storeEpoch: fc.maxSafeNat(),
    channels: fc.option(fc.array(channel, { maxLength: 50 })),
    lastId: fc.maxSafeNat(),
  }),
  fc.record({
    type: fc.constant("waRegistered" as const),
    ref,
    status,
    channel,
    endpoint: text(1024),
    expirationTime: fc.option(fc.maxSafeNat()),
  }),
  fc.record({ type: fc.constant("waUnregistered" as const), ref, status, channel }),
  fc.record({
    type: fc.constant("notification" as const),
    id,
    attempt: fc.integer({ min: 1, max: 0xffff }),
    channel,
    ttlLeftS: seconds,
    urgency: fc.constantFrom(...URGENCIES),
    saysNotification: fc.boolean(),
    topic: fc.option(text(32)),
    body: fc.option(fc.uint8Array({ minLength: 1, maxLength: 4096 })),
  }),
  fc.record({ type: fc.constant("drained" as const), ref }),
  fc.record({ type: fc.constant("revoked" as const), channel, reason: fc.constantFrom(...REVOKE_REASONS) }),
  fc.record({
    type: fc.constant("bye" as const),
    reason: fc.constantFrom(...BYE_REASONS),
    retryAfterS: seconds,
  }),
  fc.record({ type: fc.constant("probeReply" as const), nonce: ref }),
  fc.record({ type: fc.constant("error" as const), ref: fc.option(ref), status, text: text(256) }),
);

/** Runs a parser that may refuse, and insists on how. */
function refusesProperly(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(GodwitError);
    expect(ALL_CODES).toContain((error as GodwitError).code);
  }
}

function codeOf(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    return (error as GodwitError).code;
  }
  return "none";
}

describe("round trips", () => {
  test("every upstream message", () => {
    fc.assert(
      fc.property(upstream, (message) => {
        expect(godwitDialect.parseUpstream(godwitDialect.encodeUpstream(message))).toEqual(message);
      }),
      { numRuns: numRuns(1000) },
    );
  });

  test("every downstream message", () => {
    fc.assert(
      fc.property(downstream, (message) => {
        expect(godwitDialect.parseDownstream(godwitDialect.encodeDownstream(message))).toEqual(message);
      }),
      { numRuns: numRuns(1000) },
    );
  });

  test("unknown trailing fields are ignored", () => {
    expect(godwitDialect.parseDownstream(encodeCbor([18, 5, "later", [1]]))).toEqual({
      type: "probeReply",
      nonce: 5,
    });
  });
});

describe("hostile bytes", () => {
  test("random bytes are refused with a listed code", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (frame) => {
        refusesProperly(() => godwitDialect.parseUpstream(frame));
        refusesProperly(() => godwitDialect.parseDownstream(frame));
      }),
      { numRuns: numRuns(2000) },
    );
  });

  test("a frame with one byte changed is another frame or refused with a listed code", () => {
    fc.assert(
      fc.property(downstream, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, position, change) => {
        const frame = godwitDialect.encodeDownstream(message);
        const at = position % frame.length;
        frame[at] = (frame[at] ?? 0) ^ change;
        refusesProperly(() => godwitDialect.parseDownstream(frame));
      }),
      { numRuns: numRuns(1000) },
    );
  });

  test.each([
    ["not CBOR", Uint8Array.of(0xff), "ERR_CBOR_MALFORMED"],
    ["too deep", new Uint8Array(200).fill(0x81), "ERR_CBOR_TOO_DEEP"],
    ["too long", new Uint8Array(FRAME_BYTES_MAX + 1), "ERR_FRAME_TOO_LONG"],
    ["no array", encodeCbor(10), "ERR_FRAME_FIELD"],
    ["no type", encodeCbor([]), "ERR_FRAME_FIELD"],
    ["unknown type", encodeCbor([200]), "ERR_FRAME_UNKNOWN_TYPE"],
    ["a downstream type upstream", encodeCbor([14, 1]), "ERR_FRAME_UNKNOWN_TYPE"],
    ["missing field", encodeCbor([3, 1]), "ERR_FRAME_FIELD"],
    ["id as text", encodeCbor([6, 0, ["1"]]), "ERR_FRAME_FIELD"],
    ["descending range", encodeCbor([6, 0, [[5, 4]]]), "ERR_FRAME_FIELD"],
    ["unknown ack code", encodeCbor([6, 3, [1]]), "ERR_FRAME_FIELD"],
    ["65 ranges", encodeCbor([6, 0, new Array(65).fill(1)]), "ERR_FRAME_FIELD"],
    ["channel out of range", encodeCbor([7, 2 ** 32]), "ERR_FRAME_FIELD"],
    ["negative ref", encodeCbor([5, -1]), "ERR_FRAME_FIELD"],
    ["short registration id", encodeCbor([2, 1, new Uint8Array(15), null]), "ERR_FRAME_FIELD"],
  ])("%s", (_what, frame, code) => {
    expect(codeOf(() => godwitDialect.parseUpstream(frame))).toBe(code);
  });
});

describe("channels digest", () => {
  test("does not depend on the order and is 8 bytes", () => {
    expect(channelsDigest([3, 1, 2])).toEqual(channelsDigest([1, 2, 3]));
    expect(channelsDigest([1])).not.toEqual(channelsDigest([2]));
    expect(channelsDigest([])).toHaveLength(8);
  });
});
