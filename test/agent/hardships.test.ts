// SPDX-License-Identifier: MIT
// Goal: what goes wrong around the connection teaches nothing false, ends no learning, and leaves no state that does not
// end. Each test is a fault that was there once. Method: the real agent, or its heartbeat alone, in virtual time.

import { describe, expect, test } from "vitest";
import { Backoff } from "../../src/agent/backoff.ts";
import { HeartbeatWorld } from "./heartbeat-world.ts";
import {
  canariesOf,
  dialed,
  fail,
  HOUR,
  live,
  liveOverMqtt,
  MINUTE,
  MQTT_URLS,
  move,
  NEWS,
  online,
  overMqtt,
} from "./online.ts";
import { Device } from "./world.ts";

/** One alarm comes eight hours late. */
function sleepOnce(world: HeartbeatWorld): void {
  let hasSlept = false;
  world.lateMs = () => {
    const lateMs = hasSlept ? 0 : 8 * HOUR;
    hasSlept = true;
    return lateMs;
  };
}

describe("coming back", () => {
  test("a portal probe that never says 204 does not keep the agent from dialing", () => {
    const device = online({ portalProbeUrl: "http://probe.example/204" });
    device.pass(2 * MINUTE);
    fail(device, "closed");
    fail(device, "tls");
    const before = dialed(device).length;
    let answered = 0;
    device.passUntil(HOUR, () => {
      const request = device.last("httpRequest");
      if (request.requestId !== answered && request.url.startsWith("http://probe")) {
        answered = request.requestId;
        const answer = { status: 404, cause: null, retryAfterS: null, body: null };
        device.dispatch({ type: "httpResponse", requestId: answered, ...answer });
      }
      return dialed(device).length > before;
    });
  });

  test("what the service itself says is obeyed, whatever was taken for a portal before", () => {
    const device = online();
    device.pass(2 * MINUTE);
    fail(device, "closed");
    fail(device, "refused", 302);
    device.passUntil(HOUR, () => device.status.link === "dialing");
    fail(device, "refused", 503, 3_600);
    expect(device.status.retryInMs ?? 0).toBeGreaterThanOrEqual(HOUR);
  });

  test("the answer to a probe of the last network says nothing about this one", () => {
    const device = online({ portalProbeUrl: "http://probe.example/204" });
    device.pass(2 * MINUTE);
    fail(device, "closed");
    fail(device, "refused", 302);
    device.passUntil(HOUR, () => device.last("httpRequest").url.startsWith("http://probe"));
    const { requestId } = device.last("httpRequest");
    move(device, "lte");
    fail(device, "refused", 503, 600);
    const answer = { status: 0, cause: "unreachable", retryAfterS: null, body: null } as const;
    device.dispatch({ type: "httpResponse", requestId, ...answer });
    expect(device.status.link).toBe("waiting");
  });

  test("another address while the wake-ups are spaced: asked as soon as the budget allows, and kept awake", () => {
    const device = online();
    live(device, 5 * HOUR, 500);
    for (let i = 0; i < 25; i++) {
      device.pass(20_000);
      move(device, i < 24 ? `station ${i}` : "office");
      device.passUntil(HOUR, () => device.status.link === "dialing");
      device.openLink();
      device.registered();
    }
    live(device, 3_000);
    const [pings, awake, atMs] = [device.count("ping"), device.count("stayAwake"), device.nowMs];
    expect(device.status.network.intervalMs).toBeGreaterThan(20 * MINUTE);
    move(device, "office", true);
    device.passUntil(HOUR, () => device.count("ping") > pings);
    expect(device.nowMs - atMs).toBeLessThan(5 * MINUTE);
    expect(device.count("stayAwake")).toBe(awake + 1);
  });

  test("a goodbye to one link says nothing about the next one", () => {
    const device = online();
    device.send({ type: "bye", reason: "idle", retryAfterS: 86_400 });
    device.passUntil(10 * MINUTE, () => device.count("ping") === 1);
    device.pass(1_600);
    device.openLink();
    device.registered();
    device.pass(130_000);
    fail(device, "closed");
    expect(device.status.retryInMs ?? 0).toBeLessThan(10 * MINUTE);
  });

  test("a new device behind a captive portal looks as often as any other", () => {
    const device = new Device({ heartbeatMs: null });
    move(device, "hotel");
    device.subscribe(NEWS);
    const { requestId } = device.last("httpRequest");
    const answer = { status: 302, cause: null, retryAfterS: null, body: null };
    device.dispatch({ type: "httpResponse", requestId, ...answer });
    expect(device.status.retryInMs ?? 0).toBeLessThanOrEqual(MINUTE);
  });

  test("a request for a token follows the device to the next network", () => {
    const device = new Device({ heartbeatMs: null });
    move(device, "home");
    device.subscribe(NEWS);
    const before = device.count("httpRequest");
    move(device, "lte");
    expect(device.count("httpRequest")).toBe(before + 1);
  });

  test("another address on the same network: the link is asked at once, and replaced when it is dead", () => {
    const device = online();
    const network = { label: "office", kind: "wifi", metered: false } as const;
    device.pass(MINUTE);
    device.dispatch({ type: "networkChanged", network });
    expect(device.count("ping")).toBe(0);
    device.dispatch({ type: "networkChanged", network, hasNewAddress: true });
    expect(device.count("ping")).toBe(1);
    expect(device.status.link).toBe("online");
    device.passUntil(5_000, () => device.status.link === "dialing");
    device.openLink();
    device.registered();
    // That it was dead was the address's doing.
    expect(device.status.network.hiMs).toBe(null);
  });

  // bench/battery/herd.ts counts a fleet by the back-off alone: this is what allows it.
  test("after a lost service the agent comes back when its back-off says, and at no other time", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const device = online({ seed }, { reconnectSpreadS: 120 });
      device.pass(2 * MINUTE);
      const random: number[] = [];
      const { random: draw } = device;
      device.jitter = () => {
        const value = draw();
        random.push(value);
        return value;
      };
      const backoff = new Backoff(() => random.shift() ?? Number.NaN);
      backoff.handleOpened(0, 120_000);
      let lastMs = device.nowMs;
      fail(device, "closed");
      expect(backoff.handleLost(2 * MINUTE, null)).toBe(0);
      for (let i = 0; i < 6; i++) {
        expect(device.status.link).toBe("dialing");
        lastMs = device.nowMs;
        device.dispatch({
          type: "linkClosed",
          linkId: device.linkId,
          cause: "refused",
          httpStatus: null,
          retryAfterS: null,
        });
        const delayMs = backoff.handleLost(0, null);
        expect(device.status.retryInMs).toBe(delayMs);
        device.pass(delayMs);
        expect(device.nowMs - lastMs).toBe(delayMs);
      }
    }
  });
});

describe("transports", () => {
  test("an MQTT broker that is not available does not keep the agent from WebSocket", () => {
    const device = online({ mqttUrls: MQTT_URLS });
    device.pass(2 * MINUTE);
    fail(device, "closed");
    device.passUntil(HOUR, () => device.status.link === "dialing");
    fail(device, "unreachable");
    const before = dialed(device).length;
    for (let i = 0; i < 10; i++) {
      device.passUntil(HOUR, () => device.status.link === "dialing");
      fail(device, "refused", 503);
    }
    expect(dialed(device).slice(before)).toContain("wss://push.example/v1/ws");
  });

  test("a minute without service moves no device to MQTT", () => {
    for (let seed = 1; seed <= 12; seed++) {
      const device = online({ seed, mqttUrls: MQTT_URLS });
      device.pass(4 * MINUTE);
      const untilMs = device.nowMs + MINUTE;
      fail(device, "closed");
      while (device.status.link !== "dialing" || device.nowMs < untilMs) {
        if (device.status.link === "dialing") fail(device, "refused");
        device.pass(100);
      }
      expect(device.last("openLink").mqtt).toBe(null);
    }
  });

  test("after a longer outage a device that lands on MQTT tries WebSocket at once", () => {
    const device = online({ mqttUrls: MQTT_URLS });
    device.pass(4 * MINUTE);
    fail(device, "closed");
    while (device.status.link !== "dialing" || device.last("openLink").mqtt === null) {
      if (device.status.link === "dialing") fail(device, "unreachable");
      device.pass(100);
    }
    device.openLink();
    device.registered();
    expect(device.status).toMatchObject({ link: "online", transport: "mqtt" });
    expect(device.last("openLink").mqtt).toBe(null);
    device.openLink();
    device.registered();
    expect(device.status).toMatchObject({ link: "online", transport: "websocket" });
  });

  test("a WebSocket that opens and carries nothing does not cost the MQTT link", () => {
    const device = online({ mqttUrls: MQTT_URLS });
    const mqtt = overMqtt(device);
    liveOverMqtt(device, mqtt, () => device.linkId !== mqtt);
    const trial = device.linkId;
    device.openLink();
    liveOverMqtt(device, mqtt, () => device.count("closeLink") > 0);
    expect(device.last("closeLink").linkId).toBe(trial);
    expect(device.status).toMatchObject({ link: "online", transport: "mqtt" });
  });

  test("nor does one that carries something else", () => {
    const device = online({ mqttUrls: MQTT_URLS });
    const mqtt = overMqtt(device);
    liveOverMqtt(device, mqtt, () => device.linkId !== mqtt);
    const trial = device.linkId;
    device.openLink();
    device.dispatch({ type: "linkMessage", linkId: trial, frame: Uint8Array.of(60, 104) });
    expect(device.last("closeLink").linkId).toBe(trial);
    expect(device.status).toMatchObject({ link: "online", transport: "mqtt" });
  });

  test("a goodbye over MQTT that asks for a wait is obeyed while WebSocket is tried", () => {
    const device = online({ mqttUrls: MQTT_URLS });
    const mqtt = overMqtt(device);
    liveOverMqtt(device, mqtt, () => device.linkId !== mqtt);
    device.linkId = mqtt;
    device.send({ type: "bye", reason: "shutdown", retryAfterS: 3_600 });
    expect(device.status.link).toBe("waiting");
    expect(device.status.retryInMs ?? 0).toBeGreaterThanOrEqual(HOUR);
  });

  test("a token that is refused twice is no reason for MQTT", () => {
    const device = online({ mqttUrls: MQTT_URLS });
    device.pass(2 * MINUTE);
    const before = dialed(device).length;
    move(device, "lte");
    for (let i = 0; i < 6; i++) {
      device.passUntil(HOUR, () => device.status.link !== "waiting");
      if (device.status.link === "token") device.answerToken(`token-${i}`);
      else fail(device, "refused", 401);
      device.pass(0);
    }
    expect(
      dialed(device)
        .slice(before)
        .filter((url) => url.startsWith("mqtt")),
    ).toEqual([]);
  });

  test("no canary of the last link is opened beside the next one, which is of another kind", () => {
    const device = online({ mqttUrls: MQTT_URLS }, { canary: "/v1/canary" });
    for (const linkId of canariesOf(device)) device.dispatch({ type: "linkOpened", linkId });
    device.pass(2 * MINUTE);
    move(device, "train");
    device.passUntil(HOUR, () => device.status.link === "dialing");
    const before = canariesOf(device).length;
    fail(device, "refused", 403);
    device.openLink();
    const mqtt = device.linkId;
    device.registered();
    expect(canariesOf(device)).toHaveLength(before);
    const endMs = device.nowMs + 12 * HOUR;
    liveOverMqtt(device, mqtt, () => {
      const { linkId } = device;
      if (linkId !== mqtt) {
        device.linkId = mqtt;
        device.dispatch({ type: "linkClosed", linkId, cause: "refused", httpStatus: 403, retryAfterS: null });
      }
      return device.nowMs >= endMs;
    });
    expect(device.status.network.intervalMs).toBeGreaterThan(20 * MINUTE);
  });
});

describe("lessons that are none", () => {
  test.each(["lte", null])("a ping lost on the way out of a network, to %s", (next) => {
    const device = online();
    device.passUntil(10 * MINUTE, () => device.count("ping") === 1);
    device.pass(3_100);
    move(device, next);
    device.pass(next === null ? 1_500 : 200);
    if (next === null) move(device, "office");
    device.pass(100);
    device.openLink();
    device.registered();
    expect(device.status.network.hiMs).toBe(null);
  });

  test.each([0, 400, 2_000])("a ping that was out for %d ms when the address changed", (ms) => {
    const device = online();
    live(device, 30 * MINUTE, 1_000);
    const pings = device.count("ping");
    device.passUntil(40 * MINUTE, () => device.count("ping") > pings);
    const { linkId } = device;
    device.pass(ms);
    move(device, "office", true);
    device.passUntil(10_000, () => device.linkId !== linkId);
    device.pass(200);
    device.openLink();
    device.registered();
    expect(device.status.networks.at(-1)?.losses).toBe(0);
  });

  test("a ping and a handshake that an outage held up together", () => {
    const device = online();
    device.passUntil(10 * MINUTE, () => device.count("ping") === 1);
    device.passUntil(MINUTE, () => device.status.link === "dialing");
    device.pass(14_000);
    device.openLink();
    device.registered();
    expect(device.status.network.hiMs).toBe(null);
  });

  test("two nights asleep that end with a reset", () => {
    const device = online();
    device.pass(MINUTE);
    for (let night = 0; night < 2; night++) {
      device.nowMs += 8 * HOUR;
      fail(device, "reset");
      device.passUntil(HOUR, () => device.status.link === "dialing");
      device.openLink();
      device.registered();
      device.pass(30_000);
    }
    expect(device.status.network.hiMs).toBe(null);
  });

  test("a night asleep in the middle of learning", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MINUTE });
    world.pass(9 * MINUTE);
    sleepOnce(world);
    world.pass(14 * HOUR + 20 * MINUTE);
    expect(world.heartbeat.intervalMs).toBeGreaterThan(28 * MINUTE);
  });

  test("two nights asleep without canaries", () => {
    const world = new HeartbeatWorld({ natMs: 29.5 * MINUTE, canaries: false });
    world.pass(5 * MINUTE);
    for (let night = 0; night < 2; night++) {
      sleepOnce(world);
      world.pass(9 * HOUR);
    }
    world.pass(24 * HOUR);
    expect(world.heartbeat.intervalMs).toBeGreaterThan(15 * MINUTE);
  });

  test("a frame that waited for a device to wake up", () => {
    const world = new HeartbeatWorld({ natMs: 4.6 * MINUTE });
    world.pass(6 * HOUR);
    world.heartbeat.handleReceived(world.nowMs + 12 * MINUTE);
    expect(world.heartbeat.intervalMs).toBeLessThan(4.6 * MINUTE);
  });

  test("a slow handshake, once a ping was answered", () => {
    const device = online();
    fail(device, "reset");
    device.passUntil(HOUR, () => device.status.link === "dialing");
    device.pass(12_000);
    device.openLink();
    device.registered();
    expect(device.status.network.rttMs).toBeGreaterThanOrEqual(12_000);
    live(device, 10 * MINUTE);
    expect(device.status.network.rttMs).toBeLessThan(200);
  });
});

describe("canaries", () => {
  const close = (device: Device, linkId: number, httpStatus: number | null) =>
    device.dispatch({ type: "linkClosed", linkId, cause: "unreachable", httpStatus, retryAfterS: null });

  test("one that cannot be opened is one fewer", () => {
    const device = online({}, { canary: "/v1/canary" });
    const [first = 0, ...others] = canariesOf(device);
    for (const linkId of others) device.dispatch({ type: "linkOpened", linkId });
    close(device, first, null);
    let opened = canariesOf(device).length;
    for (const endMs = device.nowMs + 2 * HOUR; device.nowMs < endMs; ) {
      live(device, 10_000);
      for (const linkId of canariesOf(device).slice(opened)) device.dispatch({ type: "linkOpened", linkId });
      opened = canariesOf(device).length;
    }
    expect(device.status.network.intervalMs).toBeGreaterThan(28 * MINUTE);
  });

  test("those that fail together are one failure", () => {
    const device = online({}, { canary: "/v1/canary" });
    const first = canariesOf(device);
    expect(first.length).toBeGreaterThanOrEqual(3);
    for (const linkId of first) close(device, linkId, 503);
    let opened = first.length;
    for (const endMs = device.nowMs + 12 * HOUR; device.nowMs < endMs; ) {
      live(device, 10_000, 500);
      for (const linkId of canariesOf(device).slice(opened)) device.dispatch({ type: "linkOpened", linkId });
      opened = canariesOf(device).length;
    }
    expect(device.status.network.intervalMs).toBeGreaterThan(28 * MINUTE);
  });

  test("where they are refused the others go, and the main link itself tries", () => {
    const device = online({}, { canary: "/v1/canary" });
    const [first = 0, ...others] = canariesOf(device);
    for (const linkId of others) device.dispatch({ type: "linkOpened", linkId });
    close(device, first, 404);
    for (const linkId of others) expect(device.effects).toContainEqual({ type: "closeLink", linkId });
    expect(device.status.network.isLearned).toBe(false);
    live(device, 3 * HOUR);
    expect(device.status.network.intervalMs).toBeGreaterThan(20 * MINUTE);
    expect(canariesOf(device)).toHaveLength(1 + others.length);
  });

  test.each([150, 250, 600])(
    "a middlebox that tells when it forgets a flow, after %d s, is learned",
    (natS) => {
      const world = new HeartbeatWorld({ natMs: natS * 1000, tells: true, resets: true });
      world.pass(24 * HOUR);
      expect(world.canariesOpened).toBeLessThan(60);
      expect(world.resets).toBeLessThan(60);
      expect(world.losses.length).toBeLessThanOrEqual(natS > 245 ? 0 : 2);
      // What is lost every 150 s is visited every 124.
      expect(world.heartbeat.intervalMs).toBeGreaterThan((natS > 245 ? 0.85 : 0.8) * natS * 1000);
    },
  );
});

test("what people see of a network is what is known now", () => {
  const device = online();
  live(device, 2 * HOUR);
  expect(device.status.network.confidence).toBeGreaterThan(0);
  expect(device.status.networks.at(-1)?.confidence).toBe(device.status.network.confidence);
});
