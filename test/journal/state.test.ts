// SPDX-License-Identifier: MIT
// Goal: folding records gives the state they describe, and a checkpoint of a state says all of it. Method: small histories
// with their expected maps; checkpoint and fold again.
import { describe, expect, test } from "vitest";
import { checkpointRecords, JournalState, messageKey } from "../../src/journal/state.ts";
import { DEDUPE_IDS_MAX } from "../../src/limits.ts";
import { fold, HISTORY, message, notification, plain, subscription } from "./support.ts";

describe("fold", () => {
  test("the sample history", () => {
    const state = fold(HISTORY);
    expect([...state.subscriptions.keys()]).toEqual([1]);
    expect([...state.owners.keys()]).toEqual(["https://news.example"]);
    expect([...state.messages.keys()]).toEqual([messageKey(7, 12)]);
    expect(state.messages.get(messageKey(7, 12))?.handed).toBe(true);
    expect([...state.notifications.keys()]).toEqual([2]);
    expect([...state.pendingUnregisters]).toEqual([102]);
    expect(state.handledIds.list()).toEqual([11, 1, 2, Number.MAX_SAFE_INTEGER]);
    expect(state.pendingForget).toBe(true);
    expect(state.subscriptionIdMax).toBe(40);
    expect(state.notificationIdMax).toBe(30);
    expect(state.runId).toBe(1);
    expect(state.choices.paused).toBe(true);
  });

  test("applying a history twice is like applying it once, but for what was removed in between", () => {
    for (const record of HISTORY) {
      const once = fold([record]);
      const twice = fold([record, record]);
      expect(plain(twice)).toEqual(plain(once));
    }
  });

  test("removing a subscription takes its messages along and keeps its notifications", () => {
    const state = fold([subscription(1), message(1), message(2, { subscriptionId: 2 }), notification(1)]);
    state.apply({ type: "subscriptionRemoved", id: 1 });
    expect([...state.messages.keys()]).toEqual([messageKey(7, 2)]);
    expect(state.notifications.size).toBe(1);
  });

  test("userAgentRemoved ends a pending forget", () => {
    const state = fold(HISTORY);
    state.apply({ type: "userAgentRemoved" });
    expect(state.userAgent).toBe(null);
    expect(state.pendingForget).toBe(false);
  });

  test("a reset leaves the user agent, the run and the numbers given out", () => {
    const state = fold([...HISTORY, { type: "pendingForget" }]);
    expect(plain(state)).toEqual([
      { type: "pendingForget" },
      HISTORY.find(({ type }) => type === "userAgent"),
      { type: "counters", subscriptionIdMax: 40, notificationIdMax: 30 },
      { type: "run", runId: 1 },
      // Channels, which some services end one by one.
      { type: "pendingUnregister", channel: 102 },
      { type: "pendingUnregister", channel: 101 },
    ]);
    expect(state.pendingForget).toBe(true);
    state.apply({ type: "userAgentRemoved" });
    expect(state.pendingUnregisters.size).toBe(0);
  });

  test("the dedupe window forgets the oldest", () => {
    const state = new JournalState();
    for (let id = 1; id <= DEDUPE_IDS_MAX + 3; id++) state.apply({ type: "messageDone", storeEpoch: 7, id });
    expect(state.handledIds.list()).toHaveLength(DEDUPE_IDS_MAX);
    expect(state.handledIds.has(3)).toBe(false);
    expect(state.handledIds.has(4)).toBe(true);
  });

  test("another store epoch begins a new window", () => {
    const state = fold([{ type: "handled", storeEpoch: 7, ids: [1, 2] }]);
    state.apply({ type: "handled", storeEpoch: 8, ids: [1] });
    expect(state.handledEpoch).toBe(8);
    expect(state.handledIds.list()).toEqual([1]);
  });

  test("a message of an older store epoch leaves the window alone", () => {
    const state = fold([{ type: "handled", storeEpoch: 8, ids: [1, 2] }]);
    state.apply({ type: "messageDone", storeEpoch: 7, id: 9 });
    expect(state.handledEpoch).toBe(8);
    expect(state.handledIds.list()).toEqual([1, 2]);
  });

  test("an attempt of a message that is gone changes nothing", () => {
    const state = fold([{ type: "messageAttempt", storeEpoch: 7, id: 1, attempt: 1, handed: true }]);
    expect(state.messages.size).toBe(0);
  });
});

describe("checkpoint", () => {
  test("says everything the history said", () => {
    for (let length = 0; length <= HISTORY.length; length++) {
      const state = fold(HISTORY.slice(0, length));
      const again = fold(checkpointRecords(state));
      expect(again).toEqual(state);
      expect(again.handled).toEqual(state.handled);
    }
  });

  test("does not free the numbers of what was removed", () => {
    const state = fold([subscription(5), { type: "subscriptionRemoved", id: 5 }, notification(9)]);
    state.apply({ type: "notificationClosed", notificationId: 9 });
    const again = fold(checkpointRecords(state));
    expect(again.subscriptionIdMax).toBe(5);
    expect(again.notificationIdMax).toBe(9);
  });
});
