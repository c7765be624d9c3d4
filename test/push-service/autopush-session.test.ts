// SPDX-License-Identifier: MIT
// Goal: a device session of dialect autopush keeps the rules of Mozilla's service: hello, batches, acknowledgement, requests in
// order, pings, limits. Method: the pure AutopushSession with a store of a few lines and simulated time; nothing of a runtime
// is imported, so this file runs inside QuickJS too.

import { describe, expect, test } from "vitest";
import {
  AUTOPUSH_APP_PING_MS_MIN,
  AUTOPUSH_BATCH_MAX,
  AUTOPUSH_IN_FLIGHT_MAX,
  AUTOPUSH_PAGE_MAX,
  AUTOPUSH_PING_MS,
  AUTOPUSH_PONG_TIMEOUT_MS,
  AUTOPUSH_UNACKNOWLEDGED_MAX,
  DEVICE_MESSAGES_MAX,
  LOW_URGENCY_MARGIN_MS,
  SESSION_OPERATIONS_MAX,
} from "../../src/limits.ts";
import { AutopushBench, idOf } from "./autopush-session-bench.ts";
import { channelRecord, range, START_MS, uaid } from "./session-bench.ts";

const channelId = new Uint8Array(16).fill(1);
const other = new Uint8Array(16).fill(2);

describe("hello", () => {
  test("is answered first, with the uaid and without broadcasts", () => {
    const bench = new AutopushBench({ broadcasts: new Map([["a", "1"]]) }).fill(1).open();
    expect(bench.sent.map(({ type }) => type)).toEqual(["hello", "notification"]);
    expect(bench.sent[0]).toEqual({
      type: "hello",
      status: 200,
      uaid: "07".repeat(16),
      usesWebPush: true,
      broadcasts: { versions: new Map(), errors: new Map([["a", "Broadcast not found"]]) },
    });
  });

  test("a device that never got a message costs the store nothing", () => {
    const bench = new AutopushBench().open();
    expect(bench.effects.map(({ type }) => type)).toEqual(["send", "setAlarm"]);
  });

  test("what comes before the session is open is not lost, and not sent before hello", () => {
    const bench = new AutopushBench();
    bench.put();
    expect(bench.sent).toEqual([]);
    bench.open({ lastId: 0 });
    expect(bench.sent.map(({ type }) => type)).toEqual(["hello", "notification"]);
  });

  test("another one ends the link", () => {
    const bench = new AutopushBench().open();
    bench.up({ type: "hello", uaid: null, broadcasts: new Map() });
    expect(bench.closes()).toEqual(["protocol"]);
    expect(bench.alarmMs).toBeNull();
  });
});

describe("batches", () => {
  test("the next one goes when every message of the last is acknowledged", () => {
    const bench = new AutopushBench().fill(2 * AUTOPUSH_BATCH_MAX + 5).open();
    const first = bench.taken();
    expect(first.map(idOf)).toEqual(range(1, 10));
    bench.ack(...first.slice(1));
    expect(bench.ids()).toEqual([]);
    bench.ack(...first.slice(0, 1));
    const second = bench.taken();
    expect(second.map(idOf)).toEqual(range(11, 20));
    bench.ack(...second);
    expect(bench.ids()).toEqual(range(21, 25));
  });

  test("messages with a topic come first, however far back they are", () => {
    const bench = new AutopushBench().fill(2 * AUTOPUSH_PAGE_MAX);
    const topics = range(1, AUTOPUSH_BATCH_MAX + 2).map((n) => bench.put({ topic: `t${n}` }, false));
    bench.open();
    const first = bench.taken();
    expect(first.map(idOf)).toEqual(topics.slice(0, AUTOPUSH_BATCH_MAX));
    bench.ack(...first);
    const second = bench.taken();
    expect(second.map(idOf)).toEqual(topics.slice(AUTOPUSH_BATCH_MAX));
    bench.ack(...second);
    expect(bench.ids()).toEqual(range(1, 10));
  });

  test.each<[string, (bench: AutopushBench) => void]>([
    ["withdrawn", (bench) => bench.handle({ type: "withdrawn", id: 1 })],
    ["replaced", (bench) => void bench.put({ topic: "t" }, true, 1)],
    ["expired", (bench) => bench.pass(60_000)],
  ])("one that is %s holds up nothing", (_what, leave) => {
    const bench = new AutopushBench();
    bench.put({ expiresMs: 1_800_000_050_000, topic: "t" }, false);
    bench.fill(2).open();
    expect(bench.ids()).toEqual([1]);
    bench.messages.delete(1);
    leave(bench);
    expect(bench.ids()).toEqual(expect.arrayContaining([2, 3]));
  });

  test("a channel that ends takes its messages along", () => {
    const bench = new AutopushBench().fill(AUTOPUSH_BATCH_MAX);
    const last = bench.put({ channel: 2 }, false);
    bench.open({ channels: [channelRecord(1), channelRecord(2)] });
    bench.taken();
    for (const [id, { channel }] of bench.messages) if (channel === 1) bench.messages.delete(id);
    bench.up({ type: "unregister", channelId, code: null });
    expect(bench.ids()).toEqual([last]);
  });

  test("expired ones in the store are passed over", () => {
    const bench = new AutopushBench();
    for (let i = 0; i < 30; i++) bench.put({ expiresMs: 1_799_999_999_999 }, false);
    const good = bench.put({}, false);
    expect(bench.open().ids()).toEqual([good]);
  });
});

describe("new messages", () => {
  test("go at once, a batch under way or not", () => {
    const bench = new AutopushBench().fill(2 * AUTOPUSH_BATCH_MAX).open();
    bench.taken();
    const id = bench.put();
    expect(bench.ids()).toEqual([id]);
  });

  test("stay in the store when too many are unacknowledged, and come in their turn", () => {
    const bench = new AutopushBench().open();
    for (let i = 0; i < AUTOPUSH_IN_FLIGHT_MAX + 1; i++) bench.put();
    const sent = bench.taken();
    expect(sent.map(idOf)).toEqual(range(1, AUTOPUSH_IN_FLIGHT_MAX));
    bench.ack(...sent.slice(0, 1));
    expect(bench.ids()).toEqual([AUTOPUSH_IN_FLIGHT_MAX + 1]);
  });

  test("show that there were some before that nobody heard, also those with TTL 0", () => {
    const bench = new AutopushBench().open({ lastId: 0 });
    bench.put();
    expect(bench.ids()).toEqual([1]);
    expect(bench.effects.some(({ type }) => type === "load")).toBe(false);
    bench.put({}, false);
    bench.put();
    const heard = bench.taken();
    expect(heard.map(idOf)).toEqual([2, 3]);
    bench.ack(...heard);
    bench.put({}, false);
    bench.handle({ type: "ephemeral", message: bench.message(5) });
    expect(bench.ids().sort()).toEqual([4, 5]);
  });

  test("wait while the link is congested", () => {
    const bench = new AutopushBench().open();
    bench.handle({ type: "congested", isCongested: true });
    const id = bench.put();
    expect(bench.ids()).toEqual([]);
    bench.handle({ type: "congested", isCongested: false });
    expect(bench.ids()).toEqual([id]);
  });

  test("that could not go while a page was on its way are not forgotten with it", () => {
    const bench = new AutopushBench().fill(1);
    bench.isAnswering = false;
    bench.open();
    bench.handle({ type: "loaded", messages: [], complete: true });
    const read = bench.page(1, AUTOPUSH_BATCH_MAX);
    bench.handle({ type: "congested", isCongested: true });
    const id = bench.put();
    bench.handle(read);
    bench.isAnswering = true;
    bench.handle({ type: "congested", isCongested: false });
    expect(bench.ids()).toContain(id);
  });

  test("with TTL 0 are tried once", () => {
    const bench = new AutopushBench().open();
    const message = bench.message(1);
    bench.handle({ type: "congested", isCongested: true });
    bench.handle({ type: "ephemeral", message });
    bench.handle({ type: "congested", isCongested: false });
    expect(bench.ids()).toEqual([]);
    bench.handle({ type: "ephemeral", message });
    expect(bench.ids()).toEqual([1]);
  });

  test("with TTL 0 that are not acknowledged count for a while, too", () => {
    const bench = new AutopushBench().open();
    const send = (id: number) => {
      const receivedMs = START_MS + bench.monotonicMs;
      const message = { ...bench.message(id), receivedMs, expiresMs: receivedMs };
      bench.handle({ type: "ephemeral", message });
    };
    for (let id = 1; id <= AUTOPUSH_IN_FLIGHT_MAX + 1; id++) send(id);
    expect(bench.ids()).toEqual(range(1, AUTOPUSH_IN_FLIGHT_MAX));
    bench.pass(LOW_URGENCY_MARGIN_MS);
    send(1_000);
    expect(bench.ids()).toEqual([1_000]);
  });

  test("are not sent again by a page that was read before they were acknowledged", () => {
    const bench = new AutopushBench().fill(1);
    bench.isAnswering = false;
    bench.open();
    bench.isAnswering = true;
    const id = bench.put({ topic: "t" });
    const read = bench.page(0, AUTOPUSH_PAGE_MAX);
    bench.ack(...bench.taken());
    expect(bench.messages.has(id)).toBe(false);
    bench.handle(read);
    expect(bench.ids()).toEqual([1]);
  });

  test("are not sent again when the news of them comes late", () => {
    const bench = new AutopushBench().fill(1).open();
    const [first] = bench.taken();
    const message = bench.messages.get(1);
    if (first === undefined || message === undefined) throw new Error("not there");
    bench.handle({ type: "stored", message, replacedId: null });
    bench.ack(first);
    bench.handle({ type: "stored", message, replacedId: null });
    expect(bench.ids()).toEqual([]);
  });
});

describe("acknowledgement", () => {
  test("removes exactly what it names, by code", () => {
    const bench = new AutopushBench().fill(5).open();
    const [a, b, c, d] = bench.taken();
    if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error("too few");
    const update = ({ version }: { version: string }, code: number | null) => ({ channelId, version, code });
    bench.up({ type: "ack", updates: [update(a, 101), update(b, 102), update(c, null), update(d, 999)] });
    expect(bench.effects.filter(({ type }) => type === "ack")).toMatchObject([
      {
        code: "ok",
        ranges: [
          [3, 3],
          [4, 4],
        ],
      },
      { code: "undecryptable", ranges: [[1, 1]] },
      { code: "rejected", ranges: [[2, 2]] },
    ]);
    expect([...bench.messages.keys()]).toEqual([5]);
  });

  test("asks the store about each message once, and about few that were not sent over this link", () => {
    const bench = new AutopushBench().fill(AUTOPUSH_BATCH_MAX).open();
    const asked = () =>
      bench.effects
        .splice(0)
        .flatMap((effect) => (effect.type === "ack" ? effect.ranges.map(([id]) => id) : []));
    const sent = bench.taken();
    asked();
    const prefix = sent[0]?.version.replace(/[^.]*$/, "");
    const named = (...versions: (string | undefined)[]) =>
      bench.up({
        type: "ack",
        updates: versions.map((version = "") => ({ channelId, version, code: 100 })),
      });
    const earlier = range(1_000, 1_999).map((id) => `${prefix}${id.toString(36)}`);
    named(...earlier, ...earlier);
    expect(asked()).toEqual(range(1_000, 1_000 + AUTOPUSH_UNACKNOWLEDGED_MAX - 1));
    named(...earlier);
    expect(asked()).toEqual([]);
    named(...sent.slice(0, 2).map(({ version }) => version), sent[0]?.version);
    named(sent[0]?.version, sent[2]?.version);
    expect(asked()).toEqual([1, 2, 3]);
  });

  test("of another device's version, an old store's or none at all is nothing", () => {
    const foreign = new AutopushBench({ uaid: new Uint8Array(16).fill(8) }).fill(1).open().taken();
    const bench = new AutopushBench().fill(1).open();
    const [own] = bench.taken();
    const version = own?.version ?? "";
    expect(foreign[0]?.version).not.toBe(version);
    for (const wrong of [
      foreign[0]?.version ?? "",
      "",
      "1",
      `${version} `,
      version.replace(/.$/, "01"),
      `${version}.1`,
    ]) {
      bench.up({ type: "ack", updates: [{ channelId, version: wrong, code: 100 }] });
    }
    expect(bench.effects.filter(({ type }) => type === "ack")).toEqual([]);
    bench.up({ type: "ack", updates: [{ channelId: other, version, code: 100 }] });
    expect(bench.messages.size).toBe(0);
  });

  test("nack changes nothing", () => {
    const bench = new AutopushBench().fill(1).open();
    const [own] = bench.taken();
    bench.up({ type: "nack", version: own?.version ?? "", code: 301 });
    expect([bench.messages.size, bench.ids()]).toEqual([1, []]);
  });

  test("that the store does not take ends the link", () => {
    const bench = new AutopushBench().fill(1).open();
    bench.isAnswering = false;
    bench.ack(...bench.taken());
    bench.handle({ type: "acked", operationId: 1, isRemoved: false });
    expect(bench.closes()).toEqual(["overload"]);
  });
});

test("new messages do not throw away the page of stored ones that is on its way", () => {
  const bench = new AutopushBench().fill(1);
  bench.isAnswering = false;
  bench.open();
  bench.handle({ type: "congested", isCongested: true });
  const page = bench.page(0, AUTOPUSH_PAGE_MAX);
  bench.put();
  bench.handle({ type: "congested", isCongested: false });
  bench.handle(page);
  // The topics were sought up to the first message: the pass goes on behind it, and does not begin again.
  expect(bench.effects.filter(({ type }) => type === "load")).toMatchObject([{ afterId: 0 }, { afterId: 1 }]);
  bench.isAnswering = true;
  bench.handle(bench.page(1, AUTOPUSH_PAGE_MAX));
  expect(bench.ids()).toEqual([1, 2]);
});

describe("a sender with many messages ends nothing of the device", () => {
  /** Acknowledges batch after batch; how many messages came. */
  function drain(bench: AutopushBench): number {
    let count = 0;
    for (let batch = bench.taken(); batch.length > 0; batch = bench.taken()) {
      count += batch.length;
      bench.ack(...batch);
    }
    return count;
  }

  const isEnded = ({ effects }: AutopushBench) =>
    effects.some(({ type }) => type === "forget" || type === "close" || type === "unregister");

  test("which was away", () => {
    const bench = new AutopushBench().fill(DEVICE_MESSAGES_MAX).open();
    expect([drain(bench), isEnded(bench)]).toEqual([DEVICE_MESSAGES_MAX, false]);
  });

  test("which is there and acknowledges at once, when they come faster", () => {
    const bench = new AutopushBench().open();
    for (let i = 0; i < 2 * AUTOPUSH_IN_FLIGHT_MAX + 44; i++) bench.put();
    expect([drain(bench), isEnded(bench)]).toEqual([2 * AUTOPUSH_IN_FLIGHT_MAX + 44, false]);
  });

  test("whose link is congested", () => {
    const bench = new AutopushBench().open();
    bench.handle({ type: "congested", isCongested: true });
    for (let i = 0; i < 200; i++) bench.put();
    bench.handle({ type: "congested", isCongested: false });
    expect([drain(bench), isEnded(bench)]).toEqual([200, false]);
  });
});

describe("requests", () => {
  const registered = (bench: AutopushBench) => bench.sent.splice(0).filter(({ type }) => type === "register");

  test("a channel is registered, its messages named by it, and ended", () => {
    const bench = new AutopushBench().open();
    bench.up({ type: "register", channelId: other, key: null });
    expect(registered(bench)).toEqual([
      { type: "register", channelId: other, status: 200, pushEndpoint: "https://p.example/p/2" },
    ]);
    bench.put({ channel: 2 });
    expect(bench.taken()).toMatchObject([{ channelId: other }]);
    bench.up({ type: "unregister", channelId: other, code: 200 });
    expect(bench.sent).toEqual([{ type: "unregister", channelId: other, status: 200 }]);
    bench.put({ channel: 2 });
    expect(bench.ids()).toEqual([]);
  });

  test("one at a time, in the order they came", () => {
    const bench = new AutopushBench().open();
    bench.isAnswering = false;
    bench.up({ type: "register", channelId: other, key: null });
    bench.up({ type: "unregister", channelId: other, code: null });
    bench.up({ type: "register", channelId: other, key: null });
    const asked = () => bench.effects.filter(({ type }) => type === "register" || type === "unregister");
    expect(asked()).toHaveLength(1);
    bench.handle({
      type: "registered",
      operationId: 1,
      status: 200,
      channel: 5,
      endpoint: "https://p.example/",
    });
    expect(asked()).toMatchObject([{ type: "register" }, { type: "unregister", channel: 5 }]);
    bench.handle({ type: "unregistered", operationId: 2, status: 200 });
    expect(asked()).toHaveLength(3);
    expect(bench.sent.map(({ type }) => type)).toEqual(["hello", "register", "unregister"]);
  });

  test.each([
    [503, 500],
    [429, 500],
    [409, 409],
  ] as const)("a store's %i is %i to the device", (status, expected) => {
    const bench = new AutopushBench().open();
    bench.registerStatus = status;
    bench.up({ type: "register", channelId: other, key: null });
    expect(registered(bench)).toEqual([
      { type: "register", channelId: other, status: expected, pushEndpoint: "" },
    ]);
  });

  test("a device that is gone is let go", () => {
    const bench = new AutopushBench().open();
    bench.registerStatus = 410;
    bench.up({ type: "register", channelId: other, key: null });
    expect(bench.closes()).toEqual(["unregistered"]);
  });

  test("too many unanswered are refused", () => {
    const bench = new AutopushBench().open();
    bench.isAnswering = false;
    for (let i = 0; i < SESSION_OPERATIONS_MAX; i++)
      bench.up({ type: "register", channelId: other, key: null });
    expect(bench.sent.map(({ type }) => type)).toEqual(["hello"]);
    bench.up({ type: "register", channelId: other, key: null });
    bench.up({ type: "unregister", channelId, code: null });
    expect(bench.sent.slice(1)).toMatchObject([{ status: 500 }, { status: 500 }]);
  });

  test("what was revoked goes from the store unasked, when it happens and when it is found", () => {
    const bench = new AutopushBench().open({
      channels: [channelRecord(1), channelRecord(2, "application-server")],
    });
    bench.handle({ type: "revoked", channel: 1, reason: "application-server" });
    expect(bench.effects.filter(({ type }) => type === "unregister")).toMatchObject([
      { channel: 2 },
      { channel: 1 },
    ]);
    expect(bench.sent.map(({ type }) => type)).toEqual(["hello"]);
  });

  test("a channel registered anew after it was revoked is the new one", () => {
    const bench = new AutopushBench().open();
    bench.isAnswering = false;
    bench.handle({ type: "revoked", channel: 1, reason: "application-server" });
    bench.up({ type: "register", channelId, key: null });
    bench.handle({ type: "unregistered", operationId: 1, status: 200 });
    bench.handle({
      type: "registered",
      operationId: 2,
      status: 200,
      channel: 7,
      endpoint: "https://p.example/",
    });
    bench.put({ channel: 7 });
    expect(bench.taken()).toMatchObject([{ channelId }]);
  });
});

describe("signs of life", () => {
  const pings = (bench: AutopushBench) => bench.effects.filter(({ type }) => type === "ping").length;

  test("a silent device is pinged, and given up when it does not answer", () => {
    const bench = new AutopushBench().open();
    bench.pass(AUTOPUSH_PING_MS - 1);
    expect(pings(bench)).toBe(0);
    bench.pass(1);
    expect(pings(bench)).toBe(1);
    bench.pass(AUTOPUSH_PONG_TIMEOUT_MS - 1);
    expect(bench.closes()).toEqual([]);
    bench.pass(1);
    expect(bench.closes()).toEqual(["idle"]);
    expect(bench.alarmMs).toBeNull();
  });

  test("one that answers is pinged again as long after; any frame will do", () => {
    const bench = new AutopushBench().open();
    bench.pass(AUTOPUSH_PING_MS);
    bench.handle({ type: "activity" });
    bench.pass(AUTOPUSH_PING_MS - 1);
    expect(pings(bench)).toBe(1);
    bench.up({ type: "nack", version: "v", code: null });
    bench.pass(AUTOPUSH_PING_MS - 1);
    expect(pings(bench)).toBe(1);
    bench.pass(1);
    expect([pings(bench), bench.closes()]).toEqual([2, []]);
  });

  test("its own pings are answered, unless they come too close", () => {
    const bench = new AutopushBench().open();
    bench.sent.length = 0;
    bench.up({ type: "ping" });
    bench.pass(AUTOPUSH_APP_PING_MS_MIN);
    bench.up({ type: "ping" });
    expect(bench.sent).toEqual([{ type: "ping" }, { type: "ping" }]);
    bench.pass(AUTOPUSH_APP_PING_MS_MIN - 1);
    bench.up({ type: "ping" });
    expect(bench.closes()).toEqual(["protocol"]);
  });

  test.each(["shutdown", "replaced", "overload"] as const)("%s ends it, in whatever phase", (reason) => {
    for (const bench of [new AutopushBench(), new AutopushBench().open()]) {
      bench.handle({ type: "goodbye", reason, retryAfterS: 0 });
      expect([bench.closes(), bench.session.phase]).toEqual([[reason], "closed"]);
      bench.handle({ type: "linkClosed" });
      bench.put();
      expect(bench.ids()).toEqual([]);
    }
  });

  test("a store that cannot be read ends it", () => {
    const bench = new AutopushBench().fill(1);
    bench.isAnswering = false;
    bench.open().handle({ type: "loadFailed" });
    expect(bench.closes()).toEqual(["overload"]);
  });
});

test("versions name device and store, so that ids that start anew are others", () => {
  const versions = [uaid, new Uint8Array(16).fill(8)].map(
    (each) => new AutopushBench({ uaid: each }).fill(1).open().taken()[0]?.version,
  );
  expect(new Set(versions).size).toBe(2);
  expect(versions[0]).toMatch(/^[0-9a-z]+\.1$/);
});
