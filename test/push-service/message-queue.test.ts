// SPDX-License-Identifier: MIT
// Goal: the memory store's queue keeps its order through removals, and draining it page by page takes work that grows with
// the messages, not with their square. Method: count look-ups in the map behind it.

import { expect, test, vi } from "vitest";
import { MessageQueue } from "../../src/push-service/store/message-queue.ts";
import type { StoredMessage } from "../../src/push-service/store/store.ts";

const MESSAGES = 10_000;
const PAGE = 64;

function filled(count: number): MessageQueue {
  const queue = new MessageQueue();
  for (let id = 1; id <= count; id++) queue.add({ id } as StoredMessage);
  return queue;
}

const idsOf = (queue: MessageQueue, first?: number, last?: number) =>
  [...queue.range(first, last)].map(({ id }) => id);

test("hands out a range in order", () => {
  expect(idsOf(filled(9), 4, 6)).toEqual([4, 5, 6]);
});

test("skips what was removed", () => {
  const queue = filled(5);
  queue.remove(3);
  expect(idsOf(queue, 2)).toEqual([2, 4, 5]);
});

test("may be removed from while it is read", () => {
  const queue = filled(1000);
  const seen: number[] = [];
  for (const { id } of queue.range()) {
    queue.remove(id);
    seen.push(id);
  }
  expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
});

test.each([
  ["acknowledged", true],
  ["left in place", false],
])("reading page by page, each one %s, looks at every message once", (_what, isRemoved) => {
  const queue = filled(MESSAGES);
  const get = vi.spyOn(Map.prototype, "get");
  let afterId = 0;
  while (afterId < MESSAGES) {
    let left = PAGE;
    for (const { id } of queue.range(afterId + 1)) {
      if (isRemoved) queue.remove(id);
      afterId = id;
      if (--left === 0) break;
    }
  }
  const looks = get.mock.calls.length;
  get.mockRestore();
  expect(looks).toBeLessThanOrEqual(MESSAGES);
});
