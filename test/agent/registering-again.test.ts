// SPDX-License-Identifier: MIT
// Goal: what is ended and what is begun at the same time do not get in each other's way. Method: the real agent on a device
// with virtual time; the test plays a service that is busy or late.

import { describe, expect, test } from "vitest";
import { JOURNAL_UNHANDLED_AFTER_MS } from "../../src/limits.ts";
import { STATUS, type Status } from "../../src/wire/dialect.ts";
import { Device } from "./world.ts";

const NEWS = "https://news.example";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

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

test("a message that came just before its channel was lost, and is written down later, still opens", () => {
  const device = new Device({ keepConnected: true });
  device.jitter = () => 0;
  const reply = device.withSubscription(NEWS, 1);
  device.dispatch({ type: "appDetached", owner: NEWS });
  device.notify(1, 1, device.seal(reply, "hello"));
  device.closeLink();
  device.passUntil(JOURNAL_UNHANDLED_AFTER_MS / 2, () => device.status.link === "dialing");
  device.openLink();
  device.registered({ channels: [] });
  device.grantRegistration(7);
  device.pass(JOURNAL_UNHANDLED_AFTER_MS);
  device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
  expect(device.delivered).toHaveLength(1);
});

test("a channel that could not be written down is not ended once it is", () => {
  const device = new Device({ keepConnected: true });
  device.jitter = () => 0;
  device.withSubscription(NEWS, 1);
  const reconnect = (channels: readonly number[]): void => {
    device.closeLink();
    device.passUntil(HOUR_MS, () => device.status.link === "dialing");
    device.openLink();
    device.registered({ channels });
  };
  reconnect([]);
  device.journalFailure = "io";
  device.grantRegistration(7);
  // The service tells of a channel that nobody here knows.
  reconnect([7]);
  device.journalFailure = null;
  device.grantRegistration(7);
  expect(device.last("subscriptionChange").newSubscription).toMatchObject({
    endpoint: "https://push.example/p/7",
  });
  device.pass(HOUR_MS);
  expect(device.countUpstream("unregisterWa")).toBe(0);
});

describe("an app that is away when its subscription is made again", () => {
  function renewed(handlesPush: boolean, isPaused: boolean): Device {
    const device = new Device({ keepConnected: true });
    device.jitter = () => 0;
    device.withSubscription(NEWS, 1, handlesPush);
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.choose({ type: "setPaused", owner: NEWS, paused: isPaused });
    device.pass(2 * MINUTE_MS);
    device.closeLink();
    device.passUntil(HOUR_MS, () => device.status.link === "dialing");
    device.openLink();
    device.registered({ channels: [] });
    device.grantRegistration(7);
    return device;
  }

  test("is started, or its server goes on sending to an endpoint that is gone; again after a restart, until it came", () => {
    const device = renewed(true, false);
    expect(device.count("startApp")).toBe(1);
    const again = device.restart();
    expect(again.last("startApp").owner).toBe(NEWS);
    again.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
    expect(again.last("subscriptionChange")).toMatchObject({
      newSubscription: { endpoint: "https://push.example/p/7" },
    });
    again.dispatch({ type: "shutdown" });
    expect(again.restart().count("startApp")).toBe(0);
  });

  test("is not where nothing can start it", () => {
    expect(renewed(false, false).count("startApp")).toBe(0);
  });

  test("is when its pause is over", () => {
    const device = renewed(true, true);
    expect(device.count("startApp")).toBe(0);
    device.choose({ type: "setPaused", owner: NEWS, paused: false });
    expect(device.count("startApp")).toBe(1);
  });

  test("is not for what a person took away", () => {
    const device = new Device({ keepConnected: true });
    device.withSubscription(NEWS, 1);
    device.withSubscription(NEWS, 2, true, "second");
    device.dispatch({ type: "appDetached", owner: NEWS });
    device.choose({ type: "removeSubscription", subscriptionId: 2 });
    expect(device.count("startApp")).toBe(0);
  });
});

describe("what the service lost", () => {
  /** A device back at a service that knows none of its `count` channels any more. */
  function forgotten(count: number, seed = 1): Device {
    const device = new Device({ heartbeatMs: null, seed });
    device.dispatch({ type: "networkChanged", network: { label: "office", kind: "wifi", metered: false } });
    for (let channel = 1; channel <= count; channel++)
      device.withSubscription(`https://news${channel % 9}.example`, channel, true, `t${channel}`);
    device.pass(2 * MINUTE_MS);
    device.closeLink();
    device.passUntil(HOUR_MS, () => device.status.link === "dialing");
    device.openLink();
    device.registered({ channels: [] });
    return device;
  }

  /** Lets time pass; pings are answered at once, registrations with what `statusOf` says. Returns when each was sent, in minutes. */
  function live(device: Device, ms: number, statusOf: (nth: number) => Status): number[] {
    const sentMinutes: number[] = [];
    const endMs = device.nowMs + ms;
    let seen = device.upstream.length;
    let pings = device.count("ping");
    for (const startMs = device.nowMs; device.nowMs < endMs; ) {
      device.pass(200);
      for (; pings < device.count("ping"); pings++)
        device.dispatch({ type: "linkPong", linkId: device.last("ping").linkId });
      for (; seen < device.upstream.length; seen++) {
        const message = device.upstream[seen];
        if (message?.type !== "registerWa") continue;
        const status = statusOf(sentMinutes.length);
        sentMinutes.push((device.nowMs - startMs) / MINUTE_MS);
        const channel = status === STATUS.ok ? 100 + sentMinutes.length : 0;
        const endpoint = `https://push.example/p/${channel}`;
        device.send({
          type: "waRegistered",
          ref: message.ref,
          status,
          channel,
          endpoint,
          expirationTime: null,
        });
      }
    }
    return sentMinutes;
  }
  const refuse = () => STATUS.unavailable;
  const grant = () => STATUS.ok;

  test.each([1, 10])("is asked for within the budget while it is refused for hours: %d", (count) => {
    const device = forgotten(count);
    live(device, 6 * HOUR_MS, refuse);
    expect(Math.max(...device.status.meter.wakeUpsByHour.slice(1, 6))).toBeLessThanOrEqual(30);
    // An hour apart at last, and not given up.
    expect(live(device, 3 * HOUR_MS, grant)).toHaveLength(count);
    expect(device.count("subscriptionChange")).toBe(count);
  });

  test("is asked for all together, later and later", () => {
    const minutes = live(forgotten(3), 3 * HOUR_MS, refuse);
    const rounds = minutes.filter((minute, i) => minute !== minutes[i - 1]);
    expect(minutes).toEqual(rounds.flatMap((minute) => [minute, minute, minute]));
    expect(rounds[0]).toBeLessThanOrEqual(1.2);
    rounds.slice(1).forEach((minute, i) => {
      const waited = minute - (rounds[i] ?? 0);
      const most = Math.min(2 ** (i + 1), 60);
      expect(waited).toBeGreaterThanOrEqual(most / 2);
      // The window of an alarm is on top.
      expect(waited).toBeLessThanOrEqual(most + 0.2);
    });
  });

  test("soon again once one was granted", () => {
    const device = forgotten(2);
    live(device, 2 * HOUR_MS, refuse);
    const minutes = live(device, 2 * HOUR_MS, (nth) => (nth === 0 ? STATUS.ok : STATUS.unavailable));
    expect((minutes[2] ?? 0) - (minutes[1] ?? 0)).toBeLessThanOrEqual(2.2);
  });

  test("at once with the next link", () => {
    const device = forgotten(2);
    live(device, 2 * HOUR_MS, refuse);
    device.closeLink();
    device.passUntil(HOUR_MS, () => device.status.link === "dialing");
    const before = device.countUpstream("registerWa");
    device.openLink();
    device.registered();
    expect(device.countUpstream("registerWa")).toBe(before + 2);
  });

  test("at a time of its own for each device, also when the link is lost before", () => {
    const firsts = [1, 2, 3, 4, 5, 6, 7, 8].map((seed) => {
      const device = forgotten(1, seed);
      const startMs = device.nowMs;
      device.closeLink();
      device.passUntil(HOUR_MS, () => device.status.link === "dialing");
      device.openLink();
      device.registered();
      device.passUntil(70_000, () => device.countUpstream("registerWa") === 2);
      return device.nowMs - startMs;
    });
    expect(Math.max(...firsts) - Math.min(...firsts)).toBeGreaterThan(20_000);
  });

  test("is more than may be unanswered, and comes as answers do", () => {
    const device = forgotten(70);
    device.passUntil(70_000, () => device.countUpstream("registerWa") > 70);
    expect(device.countUpstream("registerWa")).toBe(70 + 32);
    // What is due waits for answers, not for an alarm that is over already.
    expect(device.status.link).toBe("online");
    for (let nth = 0; nth < 70; nth++) {
      const message = device.upstream.filter(({ type }) => type === "registerWa")[70 + nth];
      if (message?.type !== "registerWa") throw new Error(`only ${nth} were sent`);
      const [channel, endpoint] = [200 + nth, `https://push.example/p/${nth}`];
      device.send({
        type: "waRegistered",
        ref: message.ref,
        status: STATUS.ok,
        channel,
        endpoint,
        expirationTime: null,
      });
    }
    expect(device.count("subscriptionChange")).toBe(70);
  });
});
