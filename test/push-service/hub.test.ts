// SPDX-License-Identifier: MIT
// Goal: the hub remembers a device no longer than it has a link or an unacknowledged message that still exists. Method: real
// devices over a running service for what sessions do; the hub alone for what happens while nobody is connected.

import { describe, expect, test } from "vitest";
import { Hub } from "../../src/push-service/hub.ts";
import type { Attempt } from "../../src/push-service/outbox.ts";
import type { SessionEvent } from "../../src/push-service/session-events.ts";
import type { SparseMap } from "../../src/push-service/sparse-map.ts";
import { uaidOf } from "./store-contract.ts";

const uaid = uaidOf(1);
const NEVER_MS = Number.MAX_SAFE_INTEGER;

/** A hub that counted attempts of messages 1 and 2 on channel 1 and of message 3 on channel 2. */
function counted(): { hub: Hub; attempts: SparseMap<number, Attempt> } {
  const hub = new Hub();
  const attempts = hub.attempts(uaid);
  for (const [id, channel] of [
    [1, 1],
    [2, 1],
    [3, 2],
  ] as const) {
    attempts.set(id, { channel, count: 1, expiresMs: NEVER_MS });
  }
  return { hub, attempts };
}

/** Notes what it is told. */
class FakeLink {
  readonly heard: SessionEvent["type"][] = [];
  readonly reread = async () => {};
  handle(event: SessionEvent): void {
    this.heard.push(event.type);
  }
}

test("that a link was replaced on another node is no matter of one that is on its way", () => {
  const hub = new Hub();
  const [older, pending] = [new FakeLink(), new FakeLink()];
  hub.attach(uaid, older);
  hub.expect(uaid, pending);
  hub.notify(uaid, { type: "goodbye", reason: "replaced", retryAfterS: 0 });
  hub.notify(uaid, { type: "withdrawn", id: 1 });
  expect([older.heard, pending.heard]).toEqual([["goodbye", "withdrawn"], ["withdrawn"]]);
});

describe("attempts", () => {
  test("of a revoked channel are dropped", () => {
    const { hub, attempts } = counted();
    hub.notify(uaid, { type: "revoked", channel: 1, reason: "application-server" });
    expect([...attempts.keys()]).toEqual([3]);
  });

  test("of an unregistered channel are dropped", () => {
    const { hub, attempts } = counted();
    hub.forget(uaid, 2);
    expect([...attempts.keys()]).toEqual([1, 2]);
  });

  test("of a withdrawn message are dropped", () => {
    const { hub, attempts } = counted();
    hub.notify(uaid, { type: "withdrawn", id: 2 });
    expect([...attempts.keys()]).toEqual([1, 3]);
  });

  test("of a forgotten device are dropped, and the device with them", () => {
    const { hub } = counted();
    hub.forget(uaid);
    expect(hub.rememberedSize).toBe(0);
  });

  test("of expired messages are dropped, and the device with them", () => {
    const { hub } = counted();
    hub.expire(NEVER_MS);
    expect(hub.rememberedSize).toBe(0);
  });

  test("are the same map for a pending session after the older link has gone", () => {
    const hub = new Hub();
    const [older, pending] = [new FakeLink(), new FakeLink()];
    hub.attach(uaid, older);
    const attempts = hub.attempts(uaid);
    hub.expect(uaid, pending);
    hub.detach(uaid, older);
    expect(hub.attempts(uaid)).toBe(attempts);
  });
});

describe("links", () => {
  test("a pending one leaves the older in place, and hears what happens", () => {
    const hub = new Hub();
    const [older, pending] = [new FakeLink(), new FakeLink()];
    hub.attach(uaid, older);
    hub.expect(uaid, pending);
    hub.notify(uaid, { type: "withdrawn", id: 9 });
    expect([older.heard, pending.heard]).toEqual([["withdrawn"], ["withdrawn"]]);
  });

  test("attaching replaces the older one", () => {
    const hub = new Hub();
    const [older, newer] = [new FakeLink(), new FakeLink()];
    hub.attach(uaid, older);
    hub.expect(uaid, newer);
    hub.attach(uaid, newer);
    hub.detach(uaid, older);
    expect([older.heard, hub.size, hub.pendingSize]).toEqual([["goodbye"], 1, 0]);
  });

  test("a pending one that is given up leaves nothing behind", () => {
    const hub = new Hub();
    const pending = new FakeLink();
    hub.expect(uaid, pending);
    hub.detach(uaid, pending);
    expect([hub.size, hub.pendingSize, hub.rememberedSize]).toEqual([0, 0, 0]);
  });
});
