// SPDX-License-Identifier: MIT
// Goal: a device session keeps every rule of the native protocol: order, window, exact acknowledgement, holds,
// urgency, idle limit, revocations, goodbye. Method: the pure Session with a store of a few lines and simulated time;
// nothing of a runtime is imported, so this file runs inside QuickJS too.

import { describe, expect, test } from "vitest";
import { ERRORS_PER_LINK_MAX, MESSAGES_IN_FLIGHT_MAX, REVOKED_REPEAT_MS } from "../../src/limits.ts";
import type { Attempt } from "../../src/push-service/outbox.ts";
import { Session } from "../../src/push-service/session.ts";
import type { DeviceSnapshot, SessionEffect, SessionEvent } from "../../src/push-service/session-events.ts";
import { PHASES } from "../../src/push-service/session-events.ts";
import type { StoredMessage } from "../../src/push-service/store/store.ts";
import type { Conditions, Downstream, IdRange, Upstream } from "../../src/wire/dialect.ts";
import { channelsDigest } from "../../src/wire/digest.ts";

const START_MS = 1_800_000_000_000;
const uaid = new Uint8Array(16).fill(7);

/** A session, a store that answers at once, and a clock. */
class Bench {
  readonly sent: Downstream[] = [];
  readonly effects: SessionEffect[] = [];
  readonly messages = new Map<number, StoredMessage>();
  readonly session: Session;
  monotonicMs = 0;
  alarmMs: number | null = null;
  /** False: effects are recorded and not answered. */
  isAnswering = true;
  #lastId = 0;

  constructor(
    conditions: Partial<Conditions> = {},
    attempts = new Map<number, Attempt>(),
    known: number[] = [1],
  ) {
    this.session = new Session({
      uaid,
      conditions: { heartbeatS: 240, windowS: 0, leastUrgency: "very-low", ...conditions },
      channelsDigest: channelsDigest(known),
      storeEpoch: 99,
      reconnectSpreadS: 60,
      idleLimitS: null,
      canary: "/v1/canary",
      attempts,
    });
  }

  open(device: Partial<DeviceSnapshot> = {}): this {
    this.handle({
      type: "opened",
      device: { channels: [{ channel: 1, revoked: null }], freshUaToken: null, ...device },
    });
    return this;
  }

  handle(event: SessionEvent): void {
    this.session.handle(event, { monotonicMs: this.monotonicMs, epochMs: START_MS + this.monotonicMs });
    for (let effect = this.session.poll(); effect !== undefined; effect = this.session.poll()) {
      this.effects.push(effect);
      this.#perform(effect);
    }
  }

  up(message: Upstream): void {
    this.handle({ type: "upstream", message });
  }

  /** Puts a message into the store; with `live`, the session hears of it. */
  put(overrides: Partial<StoredMessage> = {}, live = true, replacedId: number | null = null): number {
    const id = overrides.id ?? ++this.#lastId;
    this.#lastId = Math.max(this.#lastId, id);
    const nowMs = START_MS + this.monotonicMs;
    const message: StoredMessage = {
      channel: 1,
      receivedMs: nowMs,
      expiresMs: nowMs + 3_600_000,
      urgency: "normal",
      topic: null,
      saysNotification: false,
      body: null,
      mayHaveBeenSent: false,
      ...overrides,
      id,
    };
    this.messages.set(id, message);
    if (replacedId !== null) this.messages.delete(replacedId);
    if (live) this.handle({ type: "stored", message, replacedId });
    return id;
  }

  ack(...ranges: IdRange[]): void {
    this.up({ type: "ack", code: "ok", ranges });
  }

  /** Moves the clock, firing the alarm whenever it is due. */
  pass(ms: number): void {
    const untilMs = this.monotonicMs + ms;
    while (this.alarmMs !== null && this.alarmMs <= untilMs) {
      this.monotonicMs = Math.max(this.monotonicMs, this.alarmMs);
      this.alarmMs = null;
      this.handle({ type: "alarm" });
    }
    this.monotonicMs = untilMs;
  }

  /** [id, attempt] of the notifications sent since the last call. */
  taken(): [number, number][] {
    const sent = this.sent.splice(0);
    return sent.flatMap((message): [number, number][] =>
      message.type === "notification" ? [[message.id, message.attempt]] : [],
    );
  }

  ids(): number[] {
    return this.taken().map(([id]) => id);
  }

  types(): string[] {
    return this.sent.splice(0).map(({ type }) => type);
  }

  answerLoad(afterId: number, limit: number): void {
    const found = [...this.messages.values()].filter(({ id }) => id > afterId).sort((a, b) => a.id - b.id);
    this.handle({ type: "loaded", messages: found.slice(0, limit), complete: found.length <= limit });
  }

  #perform(effect: SessionEffect): void {
    if (effect.type === "send") this.sent.push(effect.message);
    if (effect.type === "setAlarm") this.alarmMs = effect.atMs;
    if (!this.isAnswering) return;
    if (effect.type === "load") this.answerLoad(effect.afterId, effect.limit);
    if (effect.type === "ack") {
      for (const id of [...this.messages.keys()]) {
        if (effect.ranges.some(([first, last]) => id >= first && id <= last)) this.messages.delete(id);
      }
      this.handle({ type: "acked", operationId: effect.operationId });
    }
  }
}

/** A page of `count` messages, none announced. */
function filled(count: number, conditions: Partial<Conditions> = {}): Bench {
  const bench = new Bench(conditions);
  for (let i = 0; i < count; i++) bench.put({}, false);
  return bench;
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

describe("connecting", () => {
  test("Registered comes first, the stored messages right behind", () => {
    expect(filled(2).open().types()).toEqual(["registered", "notification", "notification"]);
  });

  test("names the device, the epoch and the time; no channels when the digest is right", () => {
    const bench = new Bench().open({ freshUaToken: "fresh" });
    expect(bench.sent[0]).toEqual({
      type: "registered",
      status: 200,
      uaid,
      freshUaToken: "fresh",
      idleLimitS: null,
      reconnectSpreadS: 60,
      canary: "/v1/canary",
      epochMs: START_MS,
      storeEpoch: 99,
      channels: null,
    });
  });

  test("lists the live channels when the digest is wrong", () => {
    const channels = [
      { channel: 1, revoked: null },
      { channel: 4, revoked: null },
    ];
    expect(new Bench().open({ channels }).sent[0]).toMatchObject({ channels: [1, 4] });
  });

  test("what happens before the link is open is not lost", () => {
    const bench = new Bench();
    bench.put();
    bench.handle({ type: "revoked", channel: 3, reason: "application-server" });
    expect(bench.sent).toEqual([]);
    expect(bench.open().types()).toEqual(["registered", "revoked", "notification"]);
  });

  test("tells the idle limit to a device that declares no heartbeat", () => {
    expect(new Bench({ heartbeatS: 0 }).open().sent[0]).toMatchObject({ idleLimitS: 390 });
  });
});

describe("delivery", () => {
  test("a live message goes out at once, without asking the store", () => {
    const bench = new Bench().open();
    bench.effects.length = 0;
    bench.put();
    expect(bench.effects.map(({ type }) => type)).toEqual(["send"]);
    expect(bench.taken()).toEqual([[1, 1]]);
  });

  test("at most the window is in flight; acknowledgements let the rest follow in order", () => {
    const bench = filled(MESSAGES_IN_FLIGHT_MAX + 10).open();
    expect(bench.ids()).toEqual(range(1, MESSAGES_IN_FLIGHT_MAX));
    bench.put();
    expect(bench.ids()).toEqual([]);
    bench.ack([1, 3], [5, 5]);
    expect(bench.ids()).toEqual(range(MESSAGES_IN_FLIGHT_MAX + 1, MESSAGES_IN_FLIGHT_MAX + 4));
    bench.ack([6, MESSAGES_IN_FLIGHT_MAX]);
    expect(bench.ids()).toEqual(range(MESSAGES_IN_FLIGHT_MAX + 5, MESSAGES_IN_FLIGHT_MAX + 11));
  });

  test("an acknowledgement reaches the store with its ranges and code, in flight or not", () => {
    const bench = new Bench().open();
    bench.up({ type: "ack", code: "undecryptable", ranges: [[40, 42]] });
    expect(bench.effects.find(({ type }) => type === "ack")).toMatchObject({
      code: "undecryptable",
      ranges: [[40, 42]],
    });
  });

  test("a message acknowledged but not yet removed is not sent again by a pass over the store", () => {
    const bench = filled(2).open();
    bench.taken();
    bench.isAnswering = false;
    bench.ack([1, 1]);
    bench.up({ type: "getAllMessages", ref: 1 });
    bench.answerLoad(0, 64);
    expect(bench.taken()).toEqual([[2, 2]]);
  });

  test("an expired message is skipped", () => {
    const bench = new Bench();
    bench.put({ expiresMs: START_MS }, false);
    bench.put({}, false);
    expect(bench.open().ids()).toEqual([2]);
  });

  test("a message an earlier run may have sent starts at attempt 2; this run's counts go on across sessions", () => {
    const attempts = new Map<number, Attempt>();
    const first = new Bench({}, attempts);
    first.put({ mayHaveBeenSent: true }, false);
    first.put({}, false);
    expect(first.open().taken()).toEqual([
      [1, 2],
      [2, 1],
    ]);
    const second = new Bench({}, attempts);
    for (const message of first.messages.values()) second.put(message, false);
    expect(second.open().taken()).toEqual([
      [1, 3],
      [2, 2],
    ]);
    second.ack([1, 2]);
    expect(attempts.size).toBe(0);
  });

  test("a replaced message leaves the window and its successor goes out", () => {
    const bench = new Bench().open();
    const old = bench.put({ topic: "t" });
    const next = bench.put({ topic: "t" }, true, old);
    expect(bench.ids()).toEqual([old, next]);
    bench.up({ type: "getAllMessages", ref: 1 });
    expect(bench.ids()).toEqual([next]);
  });

  test("a withdrawn message frees its place in the window", () => {
    const bench = filled(MESSAGES_IN_FLIGHT_MAX + 1).open();
    bench.taken();
    bench.messages.delete(5);
    bench.handle({ type: "withdrawn", id: 5 });
    expect(bench.ids()).toEqual([MESSAGES_IN_FLIGHT_MAX + 1]);
  });

  test("news that come late or out of order send each message once", () => {
    const bench = new Bench().open();
    bench.put({ id: 1 }, false);
    bench.put({ id: 2 });
    const late = bench.messages.get(1);
    if (late !== undefined) bench.handle({ type: "stored", message: late, replacedId: null });
    expect(bench.ids()).toEqual([2, 1]);
  });

  test("a message stored while a page is being read is not missed", () => {
    const bench = filled(1);
    bench.isAnswering = false;
    bench.open();
    bench.put();
    const first = bench.messages.get(1);
    bench.isAnswering = true;
    bench.handle({ type: "loaded", messages: first === undefined ? [] : [first], complete: true });
    expect(bench.ids()).toEqual([1, 2]);
  });

  test("a congested link gets no messages until it has drained", () => {
    const bench = new Bench().open();
    bench.handle({ type: "congested", isCongested: true });
    bench.put();
    expect(bench.ids()).toEqual([]);
    bench.handle({ type: "congested", isCongested: false });
    expect(bench.ids()).toEqual([1]);
  });

  test("a message whose TTL ends in flight gives its place to the next", () => {
    const bench = new Bench();
    for (let i = 0; i < MESSAGES_IN_FLIGHT_MAX; i++) bench.put({ expiresMs: START_MS + 60_000 }, false);
    bench.put({}, false);
    bench.open().taken();
    bench.pass(61_000);
    expect(bench.ids()).toEqual([MESSAGES_IN_FLIGHT_MAX + 1]);
  });

  test("a store that cannot be read ends the session", () => {
    const bench = new Bench();
    bench.isAnswering = false;
    bench.open();
    bench.handle({ type: "loadFailed" });
    expect(bench.sent.at(-1)).toMatchObject({ type: "bye", reason: "overload" });
  });
});

describe("TTL 0", () => {
  const ephemeral = (bench: Bench, overrides: Partial<StoredMessage> = {}) => {
    const message = {
      id: 900,
      channel: 1,
      receivedMs: START_MS,
      expiresMs: START_MS,
      urgency: "normal",
    } as const;
    const rest = { topic: null, saysNotification: false, body: null, mayHaveBeenSent: false };
    bench.handle({ type: "ephemeral", message: { ...message, ...rest, ...overrides } });
  };

  test("is sent once, with no TTL left, and never again", () => {
    const bench = new Bench().open();
    ephemeral(bench);
    expect(bench.sent.at(-1)).toMatchObject({ id: 900, attempt: 1, ttlLeftS: 0 });
    bench.taken();
    bench.up({ type: "getAllMessages", ref: 1 });
    expect(bench.types()).toEqual(["drained"]);
  });

  test("is not held back by the low-urgency window", () => {
    const bench = new Bench({ windowS: 600 }).open();
    ephemeral(bench, { urgency: "very-low" });
    expect(bench.ids()).toEqual([900]);
  });

  test.each<[string, (bench: Bench) => void]>([
    ["the channel is held", (bench) => bench.up({ type: "hold", channel: 1 })],
    ["the link is congested", (bench) => bench.handle({ type: "congested", isCongested: true })],
    [
      "its urgency is too low",
      (bench) =>
        bench.up({ type: "conditions", conditions: { heartbeatS: 0, windowS: 0, leastUrgency: "high" } }),
    ],
  ])("is dropped when %s", (_why, prepare) => {
    const bench = new Bench().open();
    prepare(bench);
    ephemeral(bench);
    expect(bench.ids()).toEqual([]);
  });
});

describe("GetAllMessages", () => {
  test("sends everything unacknowledged again, and Drained once that is acknowledged", () => {
    const bench = filled(3).open();
    bench.ack([2, 2]);
    bench.taken();
    bench.up({ type: "getAllMessages", ref: 5 });
    expect(bench.taken()).toEqual([
      [1, 2],
      [3, 2],
    ]);
    bench.ack([1, 1]);
    expect(bench.types()).toEqual([]);
    bench.ack([3, 3]);
    expect(bench.sent).toEqual([{ type: "drained", ref: 5 }]);
  });

  test("is answered at once when there is nothing", () => {
    const bench = new Bench().open();
    bench.up({ type: "getAllMessages", ref: 6 });
    expect(bench.sent.at(-1)).toEqual({ type: "drained", ref: 6 });
  });

  test("too many unanswered ones are refused", () => {
    const bench = filled(1).open();
    for (let ref = 0; ref < 17; ref++) bench.up({ type: "getAllMessages", ref });
    expect(bench.sent.at(-1)).toMatchObject({ type: "error", ref: 16, status: 429 });
  });
});

describe("Hold and Resume", () => {
  test("a held channel gives its window to the others, and comes again on Resume", () => {
    const bench = new Bench();
    for (let i = 0; i < MESSAGES_IN_FLIGHT_MAX; i++) bench.put({ channel: 1 }, false);
    const other = bench.put({ channel: 2 }, false);
    bench.open().taken();
    bench.up({ type: "hold", channel: 1 });
    expect(bench.taken()).toEqual([[other, 1]]);
    bench.put({ channel: 1 });
    expect(bench.taken()).toEqual([]);
    bench.ack([other, other]);
    bench.up({ type: "resume", channel: 1 });
    expect(bench.taken()).toEqual(range(1, MESSAGES_IN_FLIGHT_MAX).map((id) => [id, 2]));
  });
});

describe("Conditions", () => {
  test("messages below the least urgency stay in the store until it is lowered", () => {
    const bench = new Bench({ leastUrgency: "normal" });
    bench.put({ urgency: "low" }, false);
    bench.put({ urgency: "high" }, false);
    expect(bench.open().ids()).toEqual([2]);
    bench.up({ type: "conditions", conditions: { heartbeatS: 240, windowS: 0, leastUrgency: "low" } });
    expect(bench.ids()).toEqual([1]);
  });

  test("a live low-urgency message waits for the window at most", () => {
    const bench = new Bench({ windowS: 120 }).open();
    bench.put({ urgency: "low" });
    bench.pass(119_999);
    expect(bench.ids()).toEqual([]);
    bench.pass(1);
    expect(bench.ids()).toEqual([1]);
  });

  test("it waits no longer than 30 s before its TTL ends", () => {
    const bench = new Bench({ windowS: 120 }).open();
    bench.put({ urgency: "very-low", expiresMs: START_MS + 70_000 });
    bench.pass(39_999);
    expect(bench.ids()).toEqual([]);
    bench.pass(1);
    expect(bench.ids()).toEqual([1]);
  });

  test.each<[string, (bench: Bench) => void]>([
    ["another message", (bench) => void bench.put({ urgency: "normal" })],
    ["a ping", (bench) => bench.handle({ type: "activity" })],
    ["a frame", (bench) => bench.up({ type: "probe", nonce: 1 })],
  ])("it goes with %s", (_what, traffic) => {
    const bench = new Bench({ windowS: 120 }).open();
    const low = bench.put({ urgency: "low" });
    traffic(bench);
    expect(bench.ids()).toContain(low);
  });

  test("it does not wait when it was stored before the device connected", () => {
    const bench = new Bench({ windowS: 120 });
    bench.put({ urgency: "low" }, false);
    expect(bench.open().ids()).toEqual([1]);
  });
});

describe("registering", () => {
  const registrationId = new Uint8Array(16).fill(3);

  test("a request goes to the store and its answer comes back under the same ref", () => {
    const bench = new Bench().open();
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
    const bench = new Bench().open();
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
    const bench = new Bench().open();
    bench.up({ type: "unregisterUa", ref: 1 });
    bench.up({ type: "probe", nonce: 1 });
    bench.sent.length = 0;
    bench.handle({ type: "forgotten", operationId: 1, status: 200 });
    expect(bench.sent).toEqual([{ type: "bye", reason: "unregistered", retryAfterS: 0 }]);
    expect(bench.session.phase).toBe("closed");
  });

  test("UnregisterUA that the store refuses leaves the session open", () => {
    const bench = new Bench().open();
    bench.up({ type: "unregisterUa", ref: 1 });
    bench.handle({ type: "forgotten", operationId: 1, status: 503 });
    expect(bench.sent.at(-1)).toMatchObject({ type: "error", ref: 1, status: 503 });
    expect(bench.session.phase).toBe("open");
  });
});

describe("Revoked", () => {
  const revoked = [{ channel: 1, revoked: "application-server" as const }];

  test("is repeated at every connect and with later traffic until the channel is unregistered", () => {
    const bench = new Bench({}, new Map(), []).open({ channels: revoked });
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
    const bench = new Bench({ heartbeatS: 100 }).open();
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
    const bench = new Bench({ heartbeatS: 100 }).open();
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
    const bench = new Bench({ heartbeatS: 100 }).open();
    bench.pass(100_000);
    bench.put();
    bench.pass(80_000);
    expect(bench.session.phase).toBe("closed");
  });

  test("Probe is answered at once", () => {
    const bench = new Bench().open();
    bench.up({ type: "probe", nonce: 77 });
    expect(bench.sent.at(-1)).toEqual({ type: "probeReply", nonce: 77 });
  });
});

describe("hostile and unknown frames", () => {
  test("an unknown type is answered and never closes the link", () => {
    const bench = new Bench().open();
    for (let i = 0; i < 50; i++) bench.handle({ type: "malformed", status: 501, text: "frame type 99" });
    expect(bench.sent.at(-1)).toEqual({ type: "error", ref: null, status: 501, text: "frame type 99" });
    expect(bench.session.phase).toBe("open");
  });

  test("too many malformed frames close it", () => {
    const bench = new Bench().open();
    for (let i = 0; i < ERRORS_PER_LINK_MAX; i++) {
      expect(bench.session.phase).toBe("open");
      bench.handle({ type: "malformed", status: 400, text: "not CBOR" });
    }
    expect(bench.sent.at(-1)).toMatchObject({ type: "bye", reason: "protocol" });
    expect(bench.effects.at(-1)).toEqual({ type: "close", reason: "protocol" });
  });

  test("a second RegisterUA is an error", () => {
    const bench = new Bench().open();
    const conditions = { heartbeatS: 1, windowS: 0, leastUrgency: "low" } as const;
    bench.up({ type: "registerUa", uaToken: "x", conditions, channelsDigest: new Uint8Array(8) });
    expect(bench.sent.at(-1)).toMatchObject({ type: "error", status: 400 });
  });
});

describe("phases", () => {
  test("goodbye is said once, the alarm is taken back, and nothing follows", () => {
    const bench = new Bench().open();
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
    const bench = new Bench();
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
