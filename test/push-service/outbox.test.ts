// SPDX-License-Identifier: MIT
// Goal: messages go out in order, within the window, as conditions and holds allow, and again until acknowledged. Method: the
// pure Session with a store of a few lines and simulated time; nothing of a runtime is imported, so this file runs
// inside QuickJS too.

import { describe, expect, test } from "vitest";
import { MESSAGES_IN_FLIGHT_MAX } from "../../src/limits.ts";
import type { Attempt } from "../../src/push-service/outbox.ts";
import { SparseMap } from "../../src/push-service/sparse-map.ts";
import type { StoredMessage } from "../../src/push-service/store/store.ts";
import { filled, range, SessionBench, START_MS } from "./session-bench.ts";

describe("delivery", () => {
  test("a live message goes out at once, without asking the store", () => {
    const bench = new SessionBench().open();
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
    const bench = new SessionBench().open();
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
    const bench = new SessionBench();
    bench.put({ expiresMs: START_MS }, false);
    bench.put({}, false);
    expect(bench.open().ids()).toEqual([2]);
  });

  test("a message an earlier run may have sent starts at attempt 2; this run's counts go on across sessions", () => {
    const attempts = new SparseMap<number, Attempt>();
    const first = new SessionBench({}, attempts);
    first.put({ mayHaveBeenSent: true }, false);
    first.put({}, false);
    expect(first.open().taken()).toEqual([
      [1, 2],
      [2, 1],
    ]);
    const second = new SessionBench({}, attempts);
    for (const message of first.messages.values()) second.put(message, false);
    expect(second.open().taken()).toEqual([
      [1, 3],
      [2, 2],
    ]);
    second.ack([1, 2]);
    expect(attempts.size).toBe(0);
  });

  test("a replaced message leaves the window and its successor goes out", () => {
    const bench = new SessionBench().open();
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
    const bench = new SessionBench().open();
    bench.put({ id: 1 }, false);
    bench.put({ id: 2 });
    const late = bench.messages.get(1);
    if (late !== undefined) bench.handle({ type: "stored", message: late, replacedId: null });
    expect(bench.ids()).toEqual([1, 2]);
  });

  test("the next news show that there were some before that nobody heard, also those with TTL 0", () => {
    const bench = new SessionBench().open({ lastId: 6 });
    bench.effects.length = 0;
    bench.put({ id: 7 });
    expect(bench.effects.map(({ type }) => type)).toEqual(["send"]);
    bench.put({ id: 8 }, false);
    bench.put({ id: 9 });
    expect(bench.ids()).toEqual([7, 8, 9]);
    const message = bench.messages.get(bench.put({ id: 11 }, false));
    if (message === undefined) throw new Error("none");
    bench.handle({ type: "ephemeral", message: { ...message, id: 12 } });
    expect(bench.ids().sort((a, b) => a - b)).toEqual([11, 12]);
  });

  test("news that come after the acknowledgement send nothing", () => {
    const bench = new SessionBench().open();
    bench.put({ id: 1 });
    bench.put({ id: 2 });
    const late = bench.messages.get(2);
    bench.ack([1, 2]);
    bench.put({ id: 1 }, false);
    bench.up({ type: "getAllMessages", ref: 1 });
    bench.taken();
    if (late !== undefined) bench.handle({ type: "stored", message: late, replacedId: null });
    expect(bench.ids()).toEqual([]);
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
    const bench = new SessionBench().open();
    bench.handle({ type: "congested", isCongested: true });
    bench.put();
    expect(bench.ids()).toEqual([]);
    bench.handle({ type: "congested", isCongested: false });
    expect(bench.ids()).toEqual([1]);
  });

  test("a message whose TTL ends in flight gives its place to the next", () => {
    const bench = new SessionBench();
    for (let i = 0; i < MESSAGES_IN_FLIGHT_MAX; i++) bench.put({ expiresMs: START_MS + 60_000 }, false);
    bench.put({}, false);
    bench.open().taken();
    bench.pass(61_000);
    expect(bench.ids()).toEqual([MESSAGES_IN_FLIGHT_MAX + 1]);
  });

  test("a store that cannot be read ends the session", () => {
    const bench = new SessionBench();
    bench.isAnswering = false;
    bench.open();
    bench.handle({ type: "loadFailed" });
    expect(bench.sent.at(-1)).toMatchObject({ type: "bye", reason: "overload" });
  });
});

describe("TTL 0", () => {
  const ephemeral = (bench: SessionBench, overrides: Partial<StoredMessage> = {}) => {
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
    const bench = new SessionBench().open();
    ephemeral(bench);
    expect(bench.sent.at(-1)).toMatchObject({ id: 900, attempt: 1, ttlLeftS: 0 });
    bench.taken();
    bench.up({ type: "getAllMessages", ref: 1 });
    expect(bench.types()).toEqual(["drained"]);
  });

  test("is not held back by the low-urgency window", () => {
    const bench = new SessionBench({ windowS: 600 }).open();
    ephemeral(bench, { urgency: "very-low" });
    expect(bench.ids()).toEqual([900]);
  });

  test.each<[string, (bench: SessionBench) => void]>([
    ["the channel is held", (bench) => bench.up({ type: "hold", channel: 1 })],
    ["the link is congested", (bench) => bench.handle({ type: "congested", isCongested: true })],
    [
      "its urgency is too low",
      (bench) =>
        bench.up({ type: "conditions", conditions: { heartbeatS: 0, windowS: 0, leastUrgency: "high" } }),
    ],
  ])("is dropped when %s", (_why, prepare) => {
    const bench = new SessionBench().open();
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

  test("is answered with an error, not Drained, when an acknowledgement was not stored", () => {
    const bench = filled(1).open();
    bench.isAnswering = false;
    bench.ack([1, 1]);
    bench.up({ type: "getAllMessages", ref: 5 });
    bench.handle({ type: "loaded", messages: [], complete: true });
    bench.sent.length = 0;
    bench.handle({ type: "acked", operationId: 1, isRemoved: false });
    expect(bench.sent).toMatchObject([{ type: "error", ref: 5, status: 503 }]);
  });

  test("sends what was acknowledged but not removed again, with its attempts counted", () => {
    const bench = filled(1).open();
    bench.isAnswering = false;
    bench.ack([1, 1]);
    bench.handle({ type: "acked", operationId: 1, isRemoved: false });
    bench.taken();
    bench.isAnswering = true;
    bench.up({ type: "getAllMessages", ref: 5 });
    expect(bench.taken()).toEqual([[1, 2]]);
  });

  test("is answered at once when there is nothing", () => {
    const bench = new SessionBench().open();
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
    const bench = new SessionBench();
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
    const bench = new SessionBench({ leastUrgency: "normal" });
    bench.put({ urgency: "low" }, false);
    bench.put({ urgency: "high" }, false);
    expect(bench.open().ids()).toEqual([2]);
    bench.up({ type: "conditions", conditions: { heartbeatS: 240, windowS: 0, leastUrgency: "low" } });
    expect(bench.ids()).toEqual([1]);
  });

  test("a live low-urgency message waits for the window at most", () => {
    const bench = new SessionBench({ windowS: 120 }).open();
    bench.put({ urgency: "low" });
    bench.pass(119_999);
    expect(bench.ids()).toEqual([]);
    bench.pass(1);
    expect(bench.ids()).toEqual([1]);
  });

  test("it waits no longer than 30 s before its TTL ends", () => {
    const bench = new SessionBench({ windowS: 120 }).open();
    bench.put({ urgency: "very-low", expiresMs: START_MS + 70_000 });
    bench.pass(39_999);
    expect(bench.ids()).toEqual([]);
    bench.pass(1);
    expect(bench.ids()).toEqual([1]);
  });

  test.each<[string, (bench: SessionBench) => void]>([
    ["another message", (bench) => void bench.put({ urgency: "normal" })],
    ["a ping", (bench) => bench.handle({ type: "activity" })],
    ["a frame", (bench) => bench.up({ type: "probe", nonce: 1 })],
  ])("it goes with %s", (_what, traffic) => {
    const bench = new SessionBench({ windowS: 120 }).open();
    const low = bench.put({ urgency: "low" });
    traffic(bench);
    expect(bench.ids()).toContain(low);
  });

  test("it does not wait when it was stored before the device connected", () => {
    const bench = new SessionBench({ windowS: 120 });
    bench.put({ urgency: "low" }, false);
    expect(bench.open().ids()).toEqual([1]);
  });
});
