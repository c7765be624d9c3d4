// SPDX-License-Identifier: MIT
// Goal: every message of dialect autopush survives a round trip, what is on the wire is what Mozilla's service and its user
// agents write, and no text can do worse than a listed GodwitError. Method: fast-check over all message types, mutated and
// random texts, the canonical shapes letter by letter, and single frames for each refusal.

import { describe, expect, test } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import {
  AUTOPUSH_BODY_BYTES_MAX,
  AUTOPUSH_BROADCASTS_MAX,
  AUTOPUSH_FRAME_BYTES_MAX,
  AUTOPUSH_JSON_DEPTH_MAX,
  AUTOPUSH_UAID_CHARS_MAX,
  AUTOPUSH_VERSION_CHARS_MAX,
  ENCRYPTION_HEADER_CHARS_MAX,
} from "../../src/limits.ts";
import {
  type AutopushDownstream,
  type AutopushUpstream,
  encodeAutopushDownstream,
  encodeAutopushUpstream,
  formatUuid,
  parseAutopushDownstream,
  parseAutopushUpstream,
  parseUuid,
} from "../../src/wire/autopush.ts";
import { ALL_CODES } from "../error-codes.ts";
import { fc, numRuns } from "../properties.ts";

const channelId = fc.uint8Array({ minLength: 16, maxLength: 16 });
const code = fc.nat(0xffff);
const text = (maxLength: number, minLength = 0) => fc.string({ maxLength, minLength });
/** `errors` is no id of a broadcast: the wire has another use for the name. */
const id = fc.oneof(text(40), fc.constant("__proto__")).filter((name) => name !== "errors");
const broadcasts = fc
  .uniqueArray(fc.tuple(id, text(40)), { maxLength: 5, selector: ([name]) => name })
  .map((entries) => new Map(entries));
const news = fc.record({ versions: broadcasts, errors: broadcasts });

const upstream: fc.Arbitrary<AutopushUpstream> = fc.oneof(
  fc.record({ type: fc.constant("hello" as const), uaid: fc.option(text(200)), broadcasts }),
  fc.record({ type: fc.constant("register" as const), channelId, key: fc.option(text(200)) }),
  fc.record({ type: fc.constant("unregister" as const), channelId, code: fc.option(code) }),
  fc.record({ type: fc.constant("broadcast_subscribe" as const), broadcasts }),
  fc.record({
    type: fc.constant("ack" as const),
    updates: fc.array(fc.record({ channelId, version: text(100), code: fc.option(code) })),
  }),
  fc.record({ type: fc.constant("nack" as const), version: text(100), code: fc.option(code) }),
  fc.record({ type: fc.constant("ping" as const) }),
);

const downstream: fc.Arbitrary<AutopushDownstream> = fc.oneof(
  fc.record({
    type: fc.constant("hello" as const),
    status: code,
    uaid: text(AUTOPUSH_UAID_CHARS_MAX, 1),
    usesWebPush: fc.boolean(),
    broadcasts: news,
  }),
  fc.record({ type: fc.constant("register" as const), channelId, status: code, pushEndpoint: text(1024) }),
  fc.record({ type: fc.constant("unregister" as const), channelId, status: code }),
  fc.record({
    type: fc.constant("notification" as const),
    channelId,
    version: text(100),
    data: fc.option(fc.uint8Array({ minLength: 1, maxLength: AUTOPUSH_BODY_BYTES_MAX })),
    headers: fc.option(
      fc.record({ encoding: text(20), encryption: fc.option(text(100)), cryptoKey: fc.option(text(100)) }),
    ),
  }),
  fc.record({ type: fc.constant("broadcast" as const), broadcasts: news }),
  fc.record({ type: fc.constant("ping" as const) }),
);

const PARSERS = [parseAutopushUpstream, parseAutopushDownstream] as const;

/** Runs a parser that may refuse, and insists on how. */
function refusesProperly(parse: () => unknown): void {
  try {
    parse();
  } catch (error) {
    expect(error).toBeInstanceOf(GodwitError);
    expect(ALL_CODES).toContain((error as GodwitError).code);
  }
}

const codeOf = (parse: () => unknown): string => {
  try {
    parse();
  } catch (error) {
    if (error instanceof GodwitError) return error.code;
    throw error;
  }
  return "none";
};

describe("round trips", () => {
  test("device to service", () => {
    fc.assert(
      fc.property(upstream, (message) => {
        expect(parseAutopushUpstream(encodeAutopushUpstream(message))).toEqual(message);
      }),
      { numRuns: numRuns(1000) },
    );
  });

  test("service to device", () => {
    fc.assert(
      fc.property(downstream, (message) => {
        expect(parseAutopushDownstream(encodeAutopushDownstream(message))).toEqual(message);
      }),
      { numRuns: numRuns(1000) },
    );
  });

  test("the largest notification there can be fits a frame", () => {
    const message: AutopushDownstream = {
      type: "notification",
      channelId: new Uint8Array(16),
      version: '"'.repeat(AUTOPUSH_VERSION_CHARS_MAX),
      data: new Uint8Array(AUTOPUSH_BODY_BYTES_MAX),
      headers: {
        encoding: "aesgcm",
        encryption: '"'.repeat(ENCRYPTION_HEADER_CHARS_MAX),
        cryptoKey: '"'.repeat(ENCRYPTION_HEADER_CHARS_MAX),
      },
    };
    const frame = encodeAutopushDownstream(message);
    expect(frame.length).toBeLessThanOrEqual(AUTOPUSH_FRAME_BYTES_MAX);
    expect(parseAutopushDownstream(frame)).toEqual(message);
  });
});

describe("what is on the wire", () => {
  const uuid = "d9b74644-4f97-46aa-b8fa-9393985cd6cd";
  const bytes = parseUuid(uuid) ?? new Uint8Array();
  const none = new Map<string, string>();

  test.each<[string, AutopushUpstream]>([
    [
      '{"messageType":"hello","uaid":"abc","broadcasts":{"a":"\\"1\\""},"use_webpush":true}',
      { type: "hello", uaid: "abc", broadcasts: new Map([["a", '"1"']]) },
    ],
    [
      '{"messageType":"hello","broadcasts":{},"use_webpush":true}',
      { type: "hello", uaid: null, broadcasts: none },
    ],
    [
      `{"messageType":"register","channelID":"${uuid}","key":"BEl6"}`,
      { type: "register", channelId: bytes, key: "BEl6" },
    ],
    [
      `{"messageType":"unregister","channelID":"${uuid}","code":200}`,
      { type: "unregister", channelId: bytes, code: 200 },
    ],
    [
      `{"messageType":"ack","updates":[{"channelID":"${uuid}","version":"gAAAA","code":100}]}`,
      { type: "ack", updates: [{ channelId: bytes, version: "gAAAA", code: 100 }] },
    ],
    ['{"messageType":"nack","version":"gAAAA","code":301}', { type: "nack", version: "gAAAA", code: 301 }],
    [
      '{"messageType":"broadcast_subscribe","broadcasts":{"x/y":"7"}}',
      { type: "broadcast_subscribe", broadcasts: new Map([["x/y", "7"]]) },
    ],
    ["{}", { type: "ping" }],
  ])("device: %s", (frame, message) => {
    expect(encodeAutopushUpstream(message)).toBe(frame);
    expect(parseAutopushUpstream(frame)).toEqual(message);
  });

  test.each<[string, AutopushDownstream]>([
    [
      '{"messageType":"hello","uaid":"abc","status":200,"use_webpush":true,"broadcasts":{}}',
      {
        type: "hello",
        uaid: "abc",
        status: 200,
        usesWebPush: true,
        broadcasts: { versions: none, errors: none },
      },
    ],
    [
      `{"messageType":"register","channelID":"${uuid}","status":200,"pushEndpoint":"https://p.example/x"}`,
      { type: "register", channelId: bytes, status: 200, pushEndpoint: "https://p.example/x" },
    ],
    [
      `{"messageType":"unregister","channelID":"${uuid}","status":200}`,
      { type: "unregister", channelId: bytes, status: 200 },
    ],
    [
      `{"messageType":"notification","channelID":"${uuid}","version":"v1","data":"-_8","headers":{"encoding":"aes128gcm"}}`,
      {
        type: "notification",
        channelId: bytes,
        version: "v1",
        data: Uint8Array.of(0xfb, 0xff),
        headers: { encoding: "aes128gcm", encryption: null, cryptoKey: null },
      },
    ],
    [
      `{"messageType":"notification","channelID":"${uuid}","version":"v1","data":"AA","headers":{"encoding":"aesgcm","encryption":"salt=a","crypto_key":"dh=b"}}`,
      {
        type: "notification",
        channelId: bytes,
        version: "v1",
        data: Uint8Array.of(0),
        headers: { encoding: "aesgcm", encryption: "salt=a", cryptoKey: "dh=b" },
      },
    ],
    [
      `{"messageType":"notification","channelID":"${uuid}","version":"v1"}`,
      { type: "notification", channelId: bytes, version: "v1", data: null, headers: null },
    ],
    [
      '{"messageType":"broadcast","broadcasts":{"a":"1","errors":{"b":"Broadcast not found"}}}',
      {
        type: "broadcast",
        broadcasts: { versions: new Map([["a", "1"]]), errors: new Map([["b", "Broadcast not found"]]) },
      },
    ],
    ["{}", { type: "ping" }],
  ])("service: %s", (frame, message) => {
    expect(encodeAutopushDownstream(message)).toBe(frame);
    expect(parseAutopushDownstream(frame)).toEqual(message);
  });
});

describe("what is taken besides", () => {
  const dashed = "d9b74644-4f97-46aa-b8fa-9393985cd6cd";
  const hello = { type: "hello", uaid: null, broadcasts: new Map() };

  test.each([
    '{"messageType":"hello"}',
    '{"messageType":"hello","uaid":null,"broadcasts":null,"channelIDs":null}',
    `{"messageType":"hello","channelIDs":["${dashed}","${dashed.replaceAll("-", "").toUpperCase()}"]}`,
    '{"use_webpush":7,"messageType":"hello","future":{"a":[1]}}',
  ])("hello: %s", (frame) => {
    expect(parseAutopushUpstream(frame)).toEqual(hello);
  });

  test("a ping by its name, or spaced", () => {
    for (const parse of PARSERS) {
      for (const frame of ['{"messageType":"ping"}', " { } "]) expect(parse(frame)).toEqual({ type: "ping" });
    }
  });

  test("a channel in any spelling, but for the one to register", () => {
    for (const channelID of [dashed.toUpperCase(), dashed.replaceAll("-", "")]) {
      const frame = (messageType: string) => JSON.stringify({ messageType, channelID });
      expect(parseAutopushUpstream(frame("unregister"))).toMatchObject({ channelId: parseUuid(dashed) });
      expect(codeOf(() => parseAutopushUpstream(frame("register")))).toBe("ERR_CHANNEL_ID");
    }
  });

  test("a message whose content makes no sense keeps its name, and has a body that nobody can decrypt", () => {
    const contents = [{ data: "$" }, { data: 1 }, { data: "AA", headers: {} }, { headers: "aesgcm" }];
    for (const content of contents) {
      const frame = { messageType: "notification", channelID: dashed, version: "v", ...content };
      expect(parseAutopushDownstream(JSON.stringify(frame))).toMatchObject({
        version: "v",
        data: new Uint8Array(0),
        headers: null,
      });
    }
  });

  test("data padded and in the standard alphabet, and no data as an empty text", () => {
    const frame = (data: string) =>
      JSON.stringify({ messageType: "notification", channelID: dashed, version: "v", data });
    expect(parseAutopushDownstream(frame("+/8="))).toMatchObject({ data: Uint8Array.of(0xfb, 0xff) });
    expect(parseAutopushDownstream(frame(""))).toMatchObject({ data: null });
  });

  test("a hello without broadcasts, a failed register without endpoint", () => {
    expect(parseAutopushDownstream('{"messageType":"hello","uaid":"a","status":200}')).toMatchObject({
      usesWebPush: false,
      broadcasts: { versions: new Map(), errors: new Map() },
    });
    const failed = `{"messageType":"register","channelID":"${dashed}","status":500}`;
    expect(parseAutopushDownstream(failed)).toMatchObject({ status: 500, pushEndpoint: "" });
  });
});

describe("refusals", () => {
  const uuid = "d9b74644-4f97-46aa-b8fa-9393985cd6cd";
  const many = Object.fromEntries(
    Array.from({ length: AUTOPUSH_BROADCASTS_MAX + 1 }, (_, index) => [`b${index}`, ""]),
  );

  test.each<[string, string]>([
    ["", "ERR_JSON_MALFORMED"],
    ["{", "ERR_JSON_MALFORMED"],
    ["hello", "ERR_JSON_MALFORMED"],
    [
      `{"a":${"[".repeat(AUTOPUSH_JSON_DEPTH_MAX)}${"]".repeat(AUTOPUSH_JSON_DEPTH_MAX)}}`,
      "ERR_JSON_MALFORMED",
    ],
    [`{"a":"${"a".repeat(AUTOPUSH_FRAME_BYTES_MAX)}"}`, "ERR_FRAME_TOO_LONG"],
    ["[]", "ERR_FRAME_FIELD"],
    ["null", "ERR_FRAME_FIELD"],
    ['"hello"', "ERR_FRAME_FIELD"],
    ['{"uaid":null}', "ERR_FRAME_UNKNOWN_TYPE"],
    ['{"messageType":null}', "ERR_FRAME_UNKNOWN_TYPE"],
    ['{"messageType":"toString"}', "ERR_FRAME_UNKNOWN_TYPE"],
    ['{"messageType":"notification"}', "ERR_FRAME_UNKNOWN_TYPE"],
    ['{"messageType":"hello","uaid":7}', "ERR_FRAME_FIELD"],
    ['{"messageType":"hello","channelIDs":["x"]}', "ERR_FRAME_FIELD"],
    ['{"messageType":"hello","channelIDs":"x"}', "ERR_FRAME_FIELD"],
    ['{"messageType":"hello","broadcasts":{"a":1}}', "ERR_FRAME_FIELD"],
    ['{"messageType":"hello","broadcasts":[]}', "ERR_FRAME_FIELD"],
    [JSON.stringify({ messageType: "hello", broadcasts: many }), "ERR_FRAME_FIELD"],
    ['{"messageType":"broadcast_subscribe"}', "ERR_FRAME_FIELD"],
    ['{"messageType":"register"}', "ERR_FRAME_FIELD"],
    ['{"messageType":"register","channelID":"x"}', "ERR_CHANNEL_ID"],
    [`{"messageType":"register","channelID":"${uuid}","key":[]}`, "ERR_FRAME_FIELD"],
    ['{"messageType":"unregister","channelID":"x"}', "ERR_FRAME_FIELD"],
    [`{"messageType":"unregister","channelID":"${uuid}","code":"200"}`, "ERR_FRAME_FIELD"],
    [`{"messageType":"unregister","channelID":"${uuid}","code":-1}`, "ERR_FRAME_FIELD"],
    ['{"messageType":"ack"}', "ERR_FRAME_FIELD"],
    ['{"messageType":"ack","updates":[null]}', "ERR_FRAME_FIELD"],
    [`{"messageType":"ack","updates":[{"channelID":"${uuid}"}]}`, "ERR_FRAME_FIELD"],
    ['{"messageType":"ack","updates":[{"version":"v"}]}', "ERR_FRAME_FIELD"],
    ['{"messageType":"nack"}', "ERR_FRAME_FIELD"],
    [`{"messageType":"nack","version":"${"v".repeat(AUTOPUSH_VERSION_CHARS_MAX + 1)}"}`, "ERR_FRAME_FIELD"],
  ])("device: %.80s", (frame, expected) => {
    expect(codeOf(() => parseAutopushUpstream(frame))).toBe(expected);
  });

  test.each<[string, string]>([
    ['{"messageType":"ack","updates":[]}', "ERR_FRAME_UNKNOWN_TYPE"],
    ['{"messageType":"hello","status":200}', "ERR_FRAME_FIELD"],
    ['{"messageType":"hello","uaid":"","status":200}', "ERR_FRAME_FIELD"],
    [
      `{"messageType":"hello","uaid":"${"a".repeat(AUTOPUSH_UAID_CHARS_MAX + 1)}","status":200}`,
      "ERR_FRAME_FIELD",
    ],
    ['{"messageType":"hello","uaid":"a","status":"200"}', "ERR_FRAME_FIELD"],
    [`{"messageType":"notification","channelID":"${uuid}"}`, "ERR_FRAME_FIELD"],
    [`{"messageType":"unregister","channelID":"${uuid}"}`, "ERR_FRAME_FIELD"],
  ])("service: %.80s", (frame, expected) => {
    expect(codeOf(() => parseAutopushDownstream(frame))).toBe(expected);
  });

  test("no text does worse", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (frame) => {
        for (const parse of PARSERS) refusesProperly(() => parse(frame));
      }),
      { numRuns: numRuns(1000) },
    );
  });

  test("nor does a message with a member of another kind", () => {
    const frames = fc.oneof(upstream.map(encodeAutopushUpstream), downstream.map(encodeAutopushDownstream));
    fc.assert(
      fc.property(frames, fc.nat(), fc.jsonValue(), (frame, at, value) => {
        const members = Object.entries(JSON.parse(frame) as object);
        const changed = members.map(([name, old], index) => [
          name,
          index === at % members.length ? value : old,
        ]);
        for (const parse of PARSERS)
          refusesProperly(() => parse(JSON.stringify(Object.fromEntries(changed))));
      }),
      { numRuns: numRuns(1000) },
    );
  });
});

test("UUIDs: one spelling written, dashes and case as they come", () => {
  fc.assert(
    fc.property(channelId, (bytes) => {
      const written = formatUuid(bytes);
      expect(written).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      for (const text of [written, written.toUpperCase(), written.replaceAll("-", "")]) {
        expect(parseUuid(text)).toEqual(bytes);
      }
    }),
    { numRuns: numRuns(200) },
  );
  for (const text of ["", "d9b74644", `${"0".repeat(31)}g`, `{${"0".repeat(30)}}`, `${"0".repeat(33)}`]) {
    expect(parseUuid(text)).toBeNull();
  }
});
