// SPDX-License-Identifier: MIT
// Goal: what an app asks for is refused when it comes too late, or when it could not be kept, and changes nothing.
// Method: the agent on a device with virtual time; an app that oversteps.

import { describe, expect, test } from "vitest";
import type { AppReply } from "../../src/agent/events.ts";
import { SHOW_REFILL_MS, SHOWS_BURST_MAX, TRANSFORM_BUDGET_MS } from "../../src/limits.ts";
import { Device } from "./world.ts";

const NEWS = "https://news.example";
const CHAT = "https://chat.example";
const MUTABLE = '{"web_push":8030,"mutable":true,"app_badge":12,"notification":{"title":"t","navigate":"/"}}';
const REFUSED = { type: "error", code: "ERR_NOTIFICATION" };

describe("showNotification", () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  let nested: unknown = [];
  for (let level = 0; level < 200; level++) nested = [nested];

  test.each([
    ["a circle", circle],
    ["a big integer", 1n],
    ["data nested more deeply than in a message", nested],
  ])("%s is refused, and the agent goes on", (_what, data) => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    expect(show(device, { data })).toMatchObject(REFUSED);
    expect(device.shown).toEqual([]);
    expect(show(device, { data: [[[]]] })).toEqual({ type: "done" });
  });

  test("an app that shows without end is refused, others are not: each would be written to flash", () => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    device.withSubscription(CHAT, 2);
    const showing = () => show(device, { tag: "progress" });
    for (let shown = 0; shown < SHOWS_BURST_MAX; shown++) expect(showing()).toEqual({ type: "done" });
    expect(showing()).toMatchObject(REFUSED);
    expect(show(device, {}, CHAT)).toEqual({ type: "done" });
    device.pass(SHOW_REFILL_MS);
    expect([showing(), showing()]).toMatchObject([{ type: "done" }, REFUSED]);
    expect(device.shown).toHaveLength(SHOWS_BURST_MAX + 2);
  });
});

describe("setAppBadge", () => {
  test("a handler whose budget is over sets no badge: the declared one stays", () => {
    const device = new Device();
    const reply = device.withSubscription(NEWS, 1);
    device.onDeliver = () => null;
    device.notify(1, 1, device.seal(reply, MUTABLE));
    device.pass(TRANSFORM_BUDGET_MS + 100);
    expect(device.last("setBadge").badge).toBe(12);
    const { deliveryId = 0 } = device.delivered[0] ?? {};
    const requestId = device.ask(NEWS, { type: "setAppBadge", deliveryId, badge: 99 });
    expect(device.replies.get(requestId)).toMatchObject(REFUSED);
    expect(device.count("setBadge")).toBe(1);
  });

  test.each([
    { type: "setPermission", owner: NEWS, permission: "denied" },
    { type: "setOptedOut", owner: NEWS, optedOut: true },
    { type: "setOptedOut", owner: null, optedOut: true },
  ] as const)("after $type of $owner an app only takes its badge away", (choice) => {
    const device = new Device();
    device.withSubscription(NEWS, 1);
    const badges = (...values: (number | boolean)[]) =>
      values.map((badge) =>
        device.replies.get(device.ask(NEWS, { type: "setAppBadge", deliveryId: null, badge })),
      );
    expect(badges(5)).toEqual([{ type: "done" }]);
    device.choose(choice);
    expect(badges(6, true)).toMatchObject([REFUSED, REFUSED]);
    expect(device.last("setBadge").badge).toBe(5);
    expect(badges(0, false)).toEqual([{ type: "done" }, { type: "done" }]);
    expect(device.last("setBadge").badge).toBe(false);
  });

  test.each([Number.NaN, -1, 0.5, 2 ** 53, Number.POSITIVE_INFINITY, "7", null])(
    "%s is no badge",
    (badge) => {
      const device = new Device();
      device.withSubscription(NEWS, 1);
      const requestId = device.ask(NEWS, {
        type: "setAppBadge",
        deliveryId: null,
        badge: badge as unknown as number,
      });
      expect(device.replies.get(requestId)).toMatchObject(REFUSED);
      expect(device.count("setBadge")).toBe(0);
    },
  );
});

function show(
  device: Device,
  options: Readonly<Record<string, unknown>>,
  owner = NEWS,
): AppReply | undefined {
  const request = { type: "showNotification", deliveryId: null, title: "t", options } as const;
  return device.replies.get(device.ask(owner, request));
}
