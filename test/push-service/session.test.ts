// SPDX-License-Identifier: MIT
// Goal: a device session keeps the rules of the native protocol besides delivery: greeting, registrations, revocations, idle
// limit, hostile frames, goodbye. Method: the pure Session with a store of a few lines and simulated time; nothing of a
// runtime is imported, so this file runs inside QuickJS too.

import { describe, expect, test } from "vitest";
import {
  CHANNEL_MAX,
  ERRORS_PER_LINK_MAX,
  FRAME_BYTES_MAX,
  ID_MAX,
  MESSAGES_IN_FLIGHT_MAX,
  REVOKED_REPEAT_MS,
  SUBSCRIPTIONS_MAX,
  UA_TOKEN_CHARS_MAX,
} from "../../src/limits.ts";
import { PHASES, type SessionEvent } from "../../src/push-service/session-events.ts";
import { SparseMap } from "../../src/push-service/sparse-map.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { channelRecord, filled, SessionBench, START_MS, uaid } from "./session-bench.ts";

describe("connecting", () => {
  test("Registered comes first, the stored messages right behind", () => {
    expect(filled(2).open().types()).toEqual(["registered", "notification", "notification"]);
  });

  test("names the device, the epoch and the time; no channels when the digest is right", () => {
    const bench = new SessionBench().open({ freshUaToken: "fresh" });
    expect(bench.sent[0]).toEqual({
      type: "registered",
      status: 200,
      uaid,
      freshUaToken: "fresh",
      lastId: 0,
      idleLimitS: null,
      reconnectSpreadS: 60,
      canary: "/v1/canary",
      epochMs: START_MS,
      storeEpoch: 99,
      channels: null,
    });
  });

  test("lists the live channels when the digest is wrong", () => {
    const channels = [channelRecord(1), channelRecord(4)];
    expect(new SessionBench().open({ channels }).sent[0]).toMatchObject({ channels: [1, 4] });
  });

  test("Registered fits one frame, with as many channels as a device can have", () => {
    const live = Array.from({ length: SUBSCRIPTIONS_MAX }, (_, i) => CHANNEL_MAX - i);
    const channels = live.map((channel) => channelRecord(channel));
    const freshUaToken = "A".repeat(UA_TOKEN_CHARS_MAX);
    const bench = new SessionBench().open({ channels, freshUaToken, lastId: ID_MAX });
    const registered = bench.sent[0];
    if (registered?.type !== "registered") throw new Error("not registered");
    const frame = godwitDialect.encodeDownstream({ ...registered, storeEpoch: ID_MAX, epochMs: ID_MAX });
    expect(frame.length).toBeLessThanOrEqual(FRAME_BYTES_MAX);
    expect(godwitDialect.parseDownstream(frame)).toMatchObject({ channels: live });
  });

  test("what happens before the link is open is not lost", () => {
    const bench = new SessionBench();
    bench.put();
    bench.handle({ type: "revoked", channel: 3, reason: "application-server" });
    expect(bench.sent).toEqual([]);
    expect(bench.open().types()).toEqual(["registered", "revoked", "notification"]);
  });

  test("tells the idle limit to a device that declares no heartbeat", () => {
    expect(new SessionBench({ heartbeatS: 0 }).open().sent[0]).toMatchObject({ idleLimitS: 390 });
  });
});

describe("registering", () => {
  const registrationId = new Uint8Array(16).fill(3);

  test("a request goes to the store and its answer comes back under the same ref", () => {
    const bench = new SessionBench().open();
    bench.up({ type: "registerWa", ref: 9, registrationId, applicationServerKey: null });
    const effect = bench.effects.at(-1);
    expect(effect).toMatchObject({ type: "register", registrationId, applicationServerKey: null });
    const operationId = effect?.type === "register" ? effect.operationId : 0;
    bench.handle({
      type: "registered",
      operationId,
      status: 200,
      channel: 2,
      endpoint: "https://p.example/p/x",
    });
    expect(bench.sent.at(-1)).toEqual({
      type: "waRegistered",
      ref: 9,
      status: 200,
      channel: 2,
      endpoint: "https://p.example/p/x",
      expirationTime: null,
    });
  });

  test("too many unanswered requests are refused", () => {
    const bench = new SessionBench().open();
    for (let ref = 0; ref < 65; ref++) {
      bench.up({ type: "registerWa", ref, registrationId, applicationServerKey: null });
    }
    expect(bench.sent.at(-1)).toMatchObject({ type: "waRegistered", ref: 64, status: 429 });
  });

  test("unregistering drops the channel's messages in flight", () => {
    const bench = filled(MESSAGES_IN_FLIGHT_MAX).open();
    const other = bench.put({ channel: 2 });
    bench.taken();
    bench.up({ type: "unregisterWa", ref: 4, channel: 1 });
    for (const [id, { channel }] of bench.messages) if (channel === 1) bench.messages.delete(id);
    bench.handle({ type: "unregistered", operationId: 1, status: 200 });
    expect(bench.sent.map(({ type }) => type)).toEqual(["waUnregistered", "notification"]);
    expect(bench.ids()).toEqual([other]);
  });

  test("UnregisterUA says goodbye once the device is forgotten", () => {
    const bench = new SessionBench().open();
    bench.up({ type: "unregisterUa", ref: 1 });
    bench.up({ type: "probe", nonce: 1 });
    bench.sent.length = 0;
    bench.handle({ type: "forgotten", operationId: 1, status: 200 });
    expect(bench.sent).toEqual([{ type: "bye", reason: "unregistered", retryAfterS: 0 }]);
    expect(bench.session.phase).toBe("closed");
  });

  test("UnregisterUA that the store refuses leaves the session open", () => {
    const bench = new SessionBench().open();
    bench.up({ type: "unregisterUa", ref: 1 });
    bench.handle({ type: "forgotten", operationId: 1, status: 503 });
    expect(bench.sent.at(-1)).toMatchObject({ type: "error", ref: 1, status: 503 });
    expect(bench.session.phase).toBe("open");
  });
});

describe("Revoked", () => {
  const revoked = [channelRecord(1, "application-server")];

  test("is repeated at every connect and with later traffic until the channel is unregistered", () => {
    const bench = new SessionBench({}, new SparseMap(), []).open({ channels: revoked });
    expect(bench.types()).toEqual(["registered", "revoked"]);
    bench.handle({ type: "activity" });
    expect(bench.types()).toEqual([]);
    for (let i = 0; i < 4; i++) {
      bench.pass(REVOKED_REPEAT_MS / 4);
      bench.handle({ type: "activity" });
    }
    expect(bench.types()).toEqual(["revoked"]);
    bench.up({ type: "unregisterWa", ref: 1, channel: 1 });
    bench.handle({ type: "unregistered", operationId: 1, status: 200 });
    bench.up({ type: "getAllMessages", ref: 2 });
    expect(bench.types()).toEqual(["waUnregistered", "drained"]);
  });
});

describe("liveness", () => {
  test("a silent link lives heartbeat × 1.5 + 30 s, then hears Bye", () => {
    const bench = new SessionBench({ heartbeatS: 100 }).open();
    bench.sent.length = 0;
    bench.pass(179_999);
    expect(bench.sent).toEqual([]);
    bench.pass(1);
    expect(bench.sent).toEqual([{ type: "bye", reason: "idle", retryAfterS: 0 }]);
    expect(bench.effects.at(-1)).toEqual({ type: "close", reason: "idle" });
  });

  test.each<[string, SessionEvent]>([
    ["ping", { type: "activity" }],
    ["frame", { type: "upstream", message: { type: "probe", nonce: 1 } }],
  ])("any %s starts the time anew, without setting the alarm each time", (_what, event) => {
    const bench = new SessionBench({ heartbeatS: 100 }).open();
    bench.pass(170_000);
    bench.effects.length = 0;
    bench.handle(event);
    expect(bench.effects.filter(({ type }) => type === "setAlarm")).toEqual([]);
    bench.pass(179_999);
    expect(bench.session.phase).toBe("open");
    bench.pass(1);
    expect(bench.session.phase).toBe("closed");
  });

  test("what the service sends does not keep a silent link alive", () => {
    const bench = new SessionBench({ heartbeatS: 100 }).open();
    bench.pass(100_000);
    bench.put();
    bench.pass(80_000);
    expect(bench.session.phase).toBe("closed");
  });

  test("Probe is answered at once", () => {
    const bench = new SessionBench().open();
    bench.up({ type: "probe", nonce: 77 });
    expect(bench.sent.at(-1)).toEqual({ type: "probeReply", nonce: 77 });
  });
});

describe("hostile and unknown frames", () => {
  test("an unknown type is answered and never closes the link", () => {
    const bench = new SessionBench().open();
    for (let i = 0; i < 50; i++) bench.handle({ type: "malformed", status: 501, text: "frame type 99" });
    expect(bench.sent.at(-1)).toEqual({ type: "error", ref: null, status: 501, text: "frame type 99" });
    expect(bench.session.phase).toBe("open");
  });

  test("too many malformed frames close it", () => {
    const bench = new SessionBench().open();
    for (let i = 0; i < ERRORS_PER_LINK_MAX; i++) {
      expect(bench.session.phase).toBe("open");
      bench.handle({ type: "malformed", status: 400, text: "not CBOR" });
    }
    expect(bench.sent.at(-1)).toMatchObject({ type: "bye", reason: "protocol" });
    expect(bench.effects.at(-1)).toEqual({ type: "close", reason: "protocol" });
  });

  test("a second RegisterUA is an error", () => {
    const bench = new SessionBench().open();
    const conditions = { heartbeatS: 1, windowS: 0, leastUrgency: "low" } as const;
    bench.up({ type: "registerUa", uaToken: "x", conditions, channelsDigest: new Uint8Array(8) });
    expect(bench.sent.at(-1)).toMatchObject({ type: "error", status: 400 });
  });
});

describe("phases", () => {
  test("goodbye is said once, the alarm is taken back, and nothing follows", () => {
    const bench = new SessionBench().open();
    bench.handle({ type: "goodbye", reason: "shutdown", retryAfterS: 17 });
    expect(bench.sent.at(-1)).toEqual({ type: "bye", reason: "shutdown", retryAfterS: 17 });
    expect(bench.effects.at(-1)).toEqual({ type: "close", reason: "shutdown" });
    expect(bench.alarmMs).toBeNull();
    const count = bench.effects.length;
    bench.up({ type: "probe", nonce: 1 });
    bench.put();
    bench.handle({ type: "goodbye", reason: "replaced", retryAfterS: 0 });
    expect(bench.effects.length).toBe(count);
  });

  test("before the link is open a goodbye only closes", () => {
    const bench = new SessionBench();
    bench.handle({ type: "goodbye", reason: "replaced", retryAfterS: 0 });
    expect(bench.effects).toEqual([{ type: "close", reason: "replaced" }]);
  });

  test("every phase can be reached, and closed is the end", () => {
    const reached = new Set(["opening"]);
    for (const phase of reached) for (const next of Object.values(PHASES[phase as "open"])) reached.add(next);
    expect([...reached].sort()).toEqual(Object.keys(PHASES).sort());
    expect(PHASES.closed).toEqual({});
  });
});
