// SPDX-License-Identifier: MIT
// Goal: a session whose device another link claimed ends as replaced, and changes nothing. Method: a running service over a
// store that answers like one that more than one node uses; the nodes themselves are in redis-fleet.test.ts.

import { afterEach, expect, test, vi } from "vitest";
import { GodwitError } from "../../src/errors.ts";
import { TestBench } from "./bench.ts";

let bench: TestBench;
afterEach(() => bench.stop());

test("a link that the store refuses is told that it was replaced", async () => {
  bench = await TestBench.start();
  const { endpoint, device } = await bench.subscribed();
  await bench.post(endpoint);
  const { id } = await device.next("notification");
  vi.spyOn(bench.store, "ack").mockRejectedValueOnce(new GodwitError("ERR_STORE_FENCED", "another link"));
  device.send({ type: "ack", code: "ok", ranges: [[id, id]] });
  expect(await device.next("bye")).toMatchObject({ reason: "replaced" });
  expect(await bench.store.countMessages()).toBe(1);
});
