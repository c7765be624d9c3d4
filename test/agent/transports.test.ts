// SPDX-License-Identifier: MIT
// Goal: messages come over MQTT where WebSocket is not to be had, over WebSocket again when it is, and never in
// quick alternation. Method: the real agent on a device with virtual time; the test plays network and push service.

import { describe, expect, test } from "vitest";
import type { LinkCause } from "../../src/agent/events.ts";
import { Device } from "./world.ts";

const NEWS = "https://news.example";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MQTT_URLS = ["mqtts://push.example:8883", "mqtts://push.example:443"];

function dialing(options: ConstructorParameters<typeof Device>[0] = {}): Device {
  const device = new Device({ mqttUrls: MQTT_URLS, heartbeatMs: null, ...options });
  move(device, "office");
  device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
  device.subscribe(NEWS);
  if (device.status.link === "token") device.answerToken();
  return device;
}

function move(device: Device, label: string | null): void {
  const network = label === null ? null : ({ label, kind: "wifi", metered: false } as const);
  device.dispatch({ type: "networkChanged", network });
}

function fail(device: Device, cause: LinkCause, httpStatus: number | null = null): void {
  const { linkId } = device;
  device.dispatch({ type: "linkClosed", linkId, cause, httpStatus, retryAfterS: null });
  device.pass(0);
}

const dialed = (device: Device) =>
  device.effects.flatMap((effect) => (effect.type === "openLink" ? [effect.url] : []));

/** Answers every Probe and ping until `ms` have passed; a WebSocket that is tried is refused unless `isBack`. */
function live(device: Device, ms: number, isBack = false): void {
  const endMs = device.nowMs + ms;
  let seen = device.upstream.length;
  while (device.nowMs < endMs) {
    device.pass(500);
    for (const message of device.upstream.slice(seen))
      if (message.type === "probe" && device.status.transport === "mqtt") {
        const { linkId } = device;
        const tried = device.last("openLink");
        device.linkId = mainLink(device);
        device.send({ type: "probeReply", nonce: message.nonce });
        device.linkId = linkId;
        if (!tried.url.startsWith("wss:") || answered.has(tried)) continue;
        answered.add(tried);
        if (isBack) {
          device.openLink();
          device.registered();
        } else fail(device, "refused", 403);
      }
    seen = device.upstream.length;
    const ping = device.effects.findLast((effect) => effect.type === "ping");
    if (ping?.type === "ping" && !answered.has(ping)) {
      answered.add(ping);
      device.dispatch({ type: "linkPong", linkId: ping.linkId });
    }
  }
}
const answered = new WeakSet<object>();

/** The MQTT link in use: the last one dialed. */
function mainLink(device: Device): number {
  const mqtt = device.effects.flatMap((effect) =>
    effect.type === "openLink" && effect.mqtt !== null ? [effect.linkId] : [],
  );
  return mqtt[mqtt.length - 1] ?? 0;
}

describe("falling back", () => {
  test("a refused upgrade is followed by MQTT at once, with the device's name, token and topic", () => {
    const device = dialing();
    fail(device, "refused", 403);
    const uaid = "07".repeat(16);
    expect(device.last("openLink")).toMatchObject({
      url: MQTT_URLS[0],
      bearer: "token-1",
      mqtt: { username: uaid, topic: `godwit/v1/${uaid}` },
    });
    device.openLink();
    expect(device.lastUpstream("registerUa")).toMatchObject({ uaToken: "token-1" });
    device.registered({ canary: "/v1/canary" });
    device.grantRegistration(1);
    expect(device.status).toMatchObject({ link: "online", transport: "mqtt" });
    expect(dialed(device).filter((url) => url.endsWith("/v1/canary"))).toEqual([]);
  });

  test("the second MQTT address is tried in the same breath, then all of them wait", () => {
    const device = dialing();
    fail(device, "tls");
    fail(device, "unreachable");
    expect(dialed(device).slice(-3)).toEqual(["wss://push.example/v1/ws", ...MQTT_URLS]);
    const dials = dialed(device).length;
    fail(device, "unreachable");
    // A wrong certificate may be a captive portal's: the next round comes when that is looked at.
    device.pass(19_000);
    expect(dialed(device).length).toBe(dials);
    device.pass(2_000);
    expect(dialed(device)[dials]).toBe("wss://push.example/v1/ws");
  });

  test("one that is not answered gives the next one its turn, no sooner than the back-off says", () => {
    const device = dialing();
    fail(device, "unreachable");
    expect(device.status.link).toBe("waiting");
    device.pass(10_000);
    expect(device.last("openLink").url).toBe(MQTT_URLS[0]);
  });

  test("what the push service itself answers is no reason: it would say the same over MQTT", () => {
    const device = dialing();
    for (let i = 0; i < 5; i++) {
      fail(device, "refused", 503);
      device.passUntil(HOUR, () => device.status.link === "dialing");
    }
    expect(dialed(device).filter((url) => url.startsWith("mqtt"))).toEqual([]);
  });

  test("WebSockets that open and die young are given up after the third", () => {
    const device = dialing();
    for (let i = 0; i < 3; i++) {
      device.passUntil(HOUR, () => device.status.link === "dialing");
      expect(device.last("openLink").mqtt).toBe(null);
      device.openLink();
      device.registered();
      if (i === 0) device.grantRegistration(1);
      device.pass(20_000);
      fail(device, "reset");
    }
    device.passUntil(HOUR, () => device.status.link === "dialing");
    expect(device.last("openLink").url).toBe(MQTT_URLS[0]);
  });

  test("without MQTT addresses nothing changes", () => {
    const device = dialing({ mqttUrls: [] });
    fail(device, "refused", 403);
    device.pass(HOUR);
    expect(new Set(dialed(device))).toEqual(new Set(["wss://push.example/v1/ws"]));
  });
});

describe("over MQTT", () => {
  function overMqtt(options: ConstructorParameters<typeof Device>[0] = {}): Device {
    const device = dialing(options);
    fail(device, "refused", 403);
    device.openLink();
    device.registered();
    device.grantRegistration(1);
    return device;
  }

  test("the heartbeat is a Probe of QoS 0; its reply proves the link and none is a verdict", () => {
    const device = overMqtt();
    device.passUntil(5 * MINUTE, () => device.countUpstream("probe") === 1);
    expect(device.last("send").qos).toBe(0);
    expect(device.count("ping")).toBe(0);
    device.send({ type: "probeReply", nonce: device.lastUpstream("probe").nonce });
    device.pass(10_000);
    expect(device.status.link).toBe("online");
    device.passUntil(10 * MINUTE, () => device.countUpstream("probe") === 2);
    device.passUntil(4_000, () => device.status.link !== "online");
  });

  test("a reply to another Probe proves nothing", () => {
    const device = overMqtt();
    device.passUntil(5 * MINUTE, () => device.countUpstream("probe") === 1);
    device.send({ type: "probeReply", nonce: device.lastUpstream("probe").nonce + 1 });
    device.pass(10_000);
    expect(device.status.link).toBe("dialing");
  });

  test("messages are acknowledged with QoS 1", () => {
    const device = overMqtt();
    device.notify(1, 1, null);
    device.pass(1_000);
    expect(device.acknowledged()).toEqual([[1, "ok"]]);
    expect(device.last("send").qos).toBe(1);
  });

  test("the network is remembered: the next connection there begins with MQTT, elsewhere with WebSocket", () => {
    const device = overMqtt();
    move(device, "home");
    expect(device.last("openLink").mqtt).toBe(null);
    device.openLink();
    device.registered();
    move(device, "office");
    expect(device.last("openLink").url).toBe(MQTT_URLS[0]);
  });

  test("what was remembered survives a restart, riding with a write that was made anyway", () => {
    const device = overMqtt();
    const writes = device.journalWrites;
    device.pass(MINUTE);
    expect(device.journalWrites).toBe(writes);
    device.subscribe(NEWS, "another");
    device.grantRegistration(2);
    const again = device.restart({ mqttUrls: MQTT_URLS, heartbeatMs: null });
    move(again, "office");
    expect(again.last("openLink").url).toBe(MQTT_URLS[0]);
  });

  test("WebSocket is tried beside a Probe, ever more seldom, and never at the price of the link", () => {
    const device = overMqtt();
    const before = dialed(device).length;
    live(device, 24 * HOUR);
    expect(device.status).toMatchObject({ link: "online", transport: "mqtt" });
    const tries = dialed(device).slice(before);
    expect(new Set(tries)).toEqual(new Set(["wss://push.example/v1/ws"]));
    expect(tries.length).toBeGreaterThanOrEqual(5);
    expect(tries.length).toBeLessThanOrEqual(8);
  });

  test("once it is back the new link takes over, and the MQTT link is closed without a lesson", () => {
    const device = overMqtt();
    const old = mainLink(device);
    live(device, HOUR, true);
    expect(device.status).toMatchObject({ link: "online", transport: "websocket" });
    expect(device.effects.some((effect) => effect.type === "closeLink" && effect.linkId === old)).toBe(true);
    expect(device.status.network.hiMs).toBe(null);
    expect(device.status.meter.triesFailed).toEqual({ refused: 1 });
  });

  test("a network that kills WebSockets after a minute does not make it flap", () => {
    const device = overMqtt();
    let switches = 0;
    let transport = device.status.transport;
    for (const endMs = device.nowMs + 24 * HOUR; device.nowMs < endMs; ) {
      live(device, MINUTE / 2, true);
      if (device.status.transport === "websocket" && device.status.link === "online") fail(device, "reset");
      else if (device.status.link === "dialing") {
        device.openLink();
        device.registered();
      }
      if (device.status.transport !== transport) switches++;
      transport = device.status.transport;
    }
    expect(switches).toBeLessThanOrEqual(20);
  });

  test("a token the broker refuses is renewed once over HTTPS", () => {
    const device = overMqtt();
    fail(device, "reset");
    device.passUntil(HOUR, () => device.status.link === "dialing");
    expect(device.last("openLink").mqtt).not.toBe(null);
    fail(device, "refused", 401);
    expect(device.last("httpRequest")).toMatchObject({ method: "POST", bearer: "token-1" });
  });
});
