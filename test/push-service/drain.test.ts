// SPDX-License-Identifier: MIT
// Goal: a service that leaves is first no longer ready, then sends its devices away one after the other, and takes messages to the
// end. Method: a running service with periods too long to wait for, looked at in each, then hurried; `sendAway` by itself with fake timers.

import { once } from "node:events";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DRAIN_STEP_MS } from "../../src/limits.ts";
import { sendAway } from "../../src/push-service/drain.ts";
import { Hub } from "../../src/push-service/hub.ts";
import type { SessionEvent } from "../../src/push-service/session-events.ts";
import { gate, TestBench } from "./bench.ts";

let bench: TestBench;
afterEach(async () => {
  vi.useRealTimers();
  await bench?.stop();
});

describe("leaving", () => {
  test("begins with readiness alone: everything else is served until the delay is over", async () => {
    bench = await TestBench.start({ drain: { delayS: 3_600, spreadS: 3_600 }, admin: { token: null } });
    const { endpoint, device, uaToken } = await bench.subscribed();
    const closed = bench.service.close();
    expect((await bench.fetch("/readyz")).status).toBe(503);
    expect((await fetch(`http://127.0.0.1:${bench.service.adminPort}/readyz`)).status).toBe(503);
    expect((await bench.fetch("/healthz")).status).toBe(200);
    expect((await bench.post(endpoint)).status).toBe(201);
    await device.next("notification");
    const newer = await bench.connect(uaToken);
    await newer.next("registered");
    expect(bench.service.stats()).toMatchObject({ isDraining: true, devicesConnected: 1 });
    // In a hurry after all.
    const gone = once(newer.webSocket, "close");
    void bench.service.close();
    await gone;
    await closed;
    expect(bench.log.at(-1)).toEqual({ event: "stopped" });
  });

  test("takes messages and refuses upgrades while devices are sent away", async () => {
    bench = await TestBench.start({ drain: { spreadS: 3_600 } });
    const [first, second] = [await bench.subscribed(), await bench.subscribed()];
    const gone = once(first.device.webSocket, "close");
    const closed = bench.service.close();
    await gone;
    expect((await bench.post(second.endpoint)).status).toBe(201);
    await second.device.next("notification");
    expect((await bench.post(first.endpoint)).status).toBe(201);
    const refusal = await bench.refusal("/v1/ws", { Authorization: `Bearer ${first.uaToken}` });
    expect([refusal.status, refusal.body.errno]).toEqual([503, 323]);
    void bench.service.close();
    expect(await second.device.next("bye")).toMatchObject({ reason: "shutdown" });
    await closed;
  });

  test.each(["/v1/ws", "/v1/canary"])(
    "an upgrade of %s that was being looked at begins no link",
    async (path) => {
      bench = await TestBench.start({});
      const { uaToken } = await bench.token();
      const [asked, looked] = [gate(), gate()];
      const getDevice = bench.store.getDevice.bind(bench.store);
      vi.spyOn(bench.store, "getDevice").mockImplementationOnce(async (uaid) => {
        asked.open();
        await looked.promise;
        return getDevice(uaid);
      });
      const refusal = bench.refusal(path, { Authorization: `Bearer ${uaToken}` });
      await asked.promise;
      const closed = bench.service.close();
      // Everybody else was sent away meanwhile.
      await new Promise(setImmediate);
      looked.open();
      expect(await refusal).toMatchObject({ status: 503, body: { errno: 323 } });
      await closed;
      expect(bench.log.at(-1)).toEqual({ event: "stopped" });
    },
  );
});

describe("sending away", () => {
  function connected(devices: number) {
    const hub = new Hub();
    const told: SessionEvent[] = [];
    for (let i = 0; i < devices; i++) {
      const uaid = new Uint8Array(16).fill(i);
      const link = {
        handle(event: SessionEvent) {
          told.push(event);
          hub.detach(uaid, link);
        },
        reread: async () => {},
      };
      hub.attach(uaid, link);
    }
    return { hub, told };
  }

  test("is even over its time", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { hub, told } = connected(100);
    const done = sendAway(hub, 20 * DRAIN_STEP_MS, 60, new AbortController().signal);
    const counts: number[] = [];
    for (let step = 0; step < 20; step++) {
      counts.push(told.length);
      await vi.advanceTimersByTimeAsync(DRAIN_STEP_MS);
    }
    await done;
    expect(counts).toEqual(Array.from({ length: 20 }, (_, step) => 5 * (step + 1)));
    expect(told.every((event) => event.type === "goodbye" && event.retryAfterS <= 60)).toBe(true);
  });

  test("is even for few devices too", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const { hub, told } = connected(2);
    const done = sendAway(hub, 20 * DRAIN_STEP_MS, 60, new AbortController().signal);
    await vi.advanceTimersByTimeAsync(10 * DRAIN_STEP_MS - 1);
    expect(told.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(told.length).toBe(2);
    await done;
  });

  test("is at once without a time, and from when somebody is in a hurry", async () => {
    const { hub, told } = connected(10);
    void sendAway(hub, 0, 60, new AbortController().signal);
    expect(told.length).toBe(10);
    const slow = connected(10);
    const hurry = new AbortController();
    const done = sendAway(slow.hub, 3_600_000, 60, hurry.signal);
    expect(slow.told.length).toBe(1);
    hurry.abort();
    await done;
    expect(slow.told.length).toBe(10);
  });
});
