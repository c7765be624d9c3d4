// SPDX-License-Identifier: MIT
// Goal: what is ended and what is begun at the same time do not get in each other's way. Method: the real agent on a device
// with virtual time; the test plays a service that is busy or late.

import { expect, test } from "vitest";
import { Device } from "./world.ts";

const NEWS = "https://news.example";

test("a grant for a channel that is being ended is asked again", () => {
  const device = new Device();
  device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
  const first = device.subscribe(NEWS, "mine");
  device.connect();
  device.grantRegistration(1);
  const reply = device.replies.get(first);
  const subscriptionId = reply?.type === "subscription" ? (reply.subscription?.subscriptionId ?? 0) : 0;
  device.ask(NEWS, { type: "unsubscribe", subscriptionId });
  const busy = device.lastUpstream("unregisterWa").ref;
  device.send({ type: "waUnregistered", ref: busy, status: 503, channel: 1 });
  const second = device.subscribe(NEWS, "mine");
  device.grantRegistration(1);
  expect(device.replies.get(second)).toBeUndefined();
  device.passUntil(20_000, () => device.countUpstream("registerWa") === 3);
  expect(device.upstream.slice(-2).map(({ type }) => type)).toEqual(["unregisterWa", "registerWa"]);
  const again = device.lastUpstream("unregisterWa").ref;
  device.send({ type: "waUnregistered", ref: again, status: 200, channel: 1 });
  device.grantRegistration(2);
  expect(device.replies.get(second)).toMatchObject({ type: "subscription" });
});

test("what was on its way when the channel was held does not overtake", () => {
  const device = new Device();
  const reply = device.withSubscription(NEWS, 1);
  device.onDeliver = null;
  const bodies = Array.from({ length: 76 }, (_, n) => device.seal(reply, String(n)));
  const notify = (first: number, last: number, attempt = 1): void => {
    for (let id = first; id <= last; id++) device.notify(id, 1, bodies[id] ?? null, { attempt });
  };
  notify(1, 40);
  // Journaled and acknowledged.
  device.pass(6_000);
  notify(41, 70);
  device.dispatch({ type: "appHandled", deliveryId: 1 });
  notify(71, 75);
  device.onDeliver = () => "handled";
  device.dispatch({ type: "appHandled", deliveryId: 2 });
  notify(65, 75, 2);
  const numbers = device.delivered.map(({ data }) => Number(String.fromCharCode(...(data ?? []))));
  expect(numbers).toEqual(Array.from({ length: 75 }, (_, i) => i + 1));
});
