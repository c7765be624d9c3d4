// SPDX-License-Identifier: MIT
// Goal: the agent keeps its connection as SPEC.md says: canaries through ordinary links, a second dial beside a
// silent link, portals looked at patiently, no more than 30 wake-ups an hour, nothing written for any of it. Method: the
// real agent on a device with virtual time; the test plays the service.

import { describe, expect, test } from "vitest";
import { CHAT } from "./people.ts";
import { Device } from "./world.ts";

const NEWS = "https://news.example";
const HOUR = 3_600_000;

function online(options: ConstructorParameters<typeof Device>[0] = {}): Device {
  const device = new Device({ heartbeatMs: null, ...options });
  device.dispatch({ type: "networkChanged", network: { label: "home", kind: "wifi", metered: false } });
  device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
  device.subscribe(NEWS);
  device.answerToken();
  device.openLink();
  device.registered({ canary: "/v1/canary" });
  device.grantRegistration(1);
  return device;
}

const canaries = (device: Device) =>
  device.effects.flatMap((effect) =>
    effect.type === "openLink" && effect.url.endsWith("/v1/canary") ? [effect] : [],
  );

describe("canaries", () => {
  test("are opened on the service's own host with the device's token, and learn beside main pings", () => {
    const device = online();
    const opened = canaries(device);
    expect(opened.length).toBeGreaterThan(1);
    expect(opened[0]).toMatchObject({ url: "wss://push.example/v1/canary", bearer: "token-1" });
    for (const { linkId } of opened) device.dispatch({ type: "linkOpened", linkId });
    const pinged: number[] = [];
    for (let seen = 0; device.nowMs < HOUR; ) {
      device.pass(1000);
      for (const effect of device.effects.slice(seen)) {
        if (effect.type !== "ping") continue;
        if (effect.linkId !== device.linkId) pinged.push(effect.linkId);
        device.dispatch({ type: "linkPong", linkId: effect.linkId });
      }
      seen = device.effects.length;
    }
    expect(pinged.length).toBeGreaterThanOrEqual(3);
    expect(device.status.network).toMatchObject({ label: "home", isLearned: true });
    expect(device.status.network.intervalMs).toBeGreaterThan(28 * 60_000);
  });

  test("neither learning nor reconnecting writes; what was learned rides with the next write and survives", () => {
    const device = online();
    for (const { linkId } of canaries(device)) device.dispatch({ type: "linkOpened", linkId });
    const before = device.journalWrites;
    for (let seen = device.effects.length; device.nowMs < 2 * HOUR; seen = device.effects.length) {
      device.pass(1000);
      for (const effect of device.effects.slice(seen))
        if (effect.type === "ping") device.dispatch({ type: "linkPong", linkId: effect.linkId });
    }
    device.closeLink();
    device.pass(0);
    device.connect();
    expect(device.journalWrites).toBe(before);
    device.subscribe(NEWS, "another");
    device.grantRegistration(2);
    expect(device.journalWrites).toBeGreaterThan(before);
    const again = device.restart({ heartbeatMs: null });
    again.dispatch({ type: "networkChanged", network: { label: "home", kind: "wifi", metered: false } });
    expect(again.status.network.intervalMs).toBeGreaterThan(28 * 60_000);
  });
});

describe("a link that falls silent", () => {
  test("another is dialed beside it at half the verdict, and dropped when the old one answers", () => {
    const device = online();
    const { linkId } = device;
    device.passUntil(240_000, () => device.count("ping") > 0);
    device.passUntil(3_000, () => device.linkId !== linkId);
    expect(device.count("closeLink")).toBe(0);
    const spare = device.linkId;
    device.dispatch({ type: "linkPong", linkId });
    expect(device.last("closeLink").linkId).toBe(spare);
    expect(device.status.link).toBe("online");
  });

  test("the new link takes over when it is there first", () => {
    const device = online();
    const { linkId } = device;
    device.passUntil(250_000, () => device.linkId !== linkId);
    device.openLink();
    expect(device.effects.some((effect) => effect.type === "closeLink" && effect.linkId === linkId)).toBe(
      true,
    );
    expect(device.status.link).toBe("greeting");
    device.registered();
    expect(device.status.link).toBe("online");
  });

  test("without an answer from either the old one is given up after the verdict", () => {
    const device = online();
    device.passUntil(250_000, () => device.status.link !== "online");
    expect(device.status.link).toBe("dialing");
    expect(device.count("openLink") - canaries(device).length).toBe(2);
  });
});

describe("conditions", () => {
  test("the promise follows the most urgent subscription, and the service hears of it", () => {
    const device = online();
    expect(device.last("openLink").headers).toBeDefined();
    const request = { type: "subscribe", applicationServerKey: null, userVisibleOnly: false } as const;
    const urgent = {
      ...request,
      waToken: "urgent",
      declarative: "auto",
      allowAesgcm: false,
      freshness: "urgent",
    } as const;
    device.ask(NEWS, urgent);
    device.grantRegistration(2);
    expect(device.lastUpstream("conditions").conditions.heartbeatS).toBe(540);
    const again = device.restart({ heartbeatMs: null });
    expect(again.last("openLink").headers["Godwit-Conditions"]).toContain("heartbeat=540");
  });

  test.each(["one", "all"])("what is paused, of %s, asks for no pings, over a restart too", (of) => {
    const device = online({ keepConnected: true });
    const request = { type: "subscribe", applicationServerKey: null, userVisibleOnly: false } as const;
    const urgent = { declarative: "auto", allowAesgcm: false, freshness: "urgent", waToken: null } as const;
    device.ask(CHAT, { ...request, ...urgent });
    device.grantRegistration(2);
    const pause = (paused: boolean) =>
      device.choose({ type: "setPaused", owner: of === "all" ? null : CHAT, paused });
    pause(true);
    expect(device.lastUpstream("conditions").conditions.heartbeatS).toBe(1740);
    const again = device.restart({ heartbeatMs: null, keepConnected: true });
    expect(again.last("openLink").headers["Godwit-Conditions"]).toContain("heartbeat=1740");
    pause(false);
    expect(device.lastUpstream("conditions").conditions.heartbeatS).toBe(540);
  });
});

describe("least urgency", () => {
  test("the service hears of another one at once, and with the next link", () => {
    const device = online();
    device.dispatch({ type: "urgency", leastUrgency: "high" });
    expect(device.lastUpstream("conditions").conditions.leastUrgency).toBe("high");
    device.dispatch({ type: "urgency", leastUrgency: "normal" });
    expect(device.lastUpstream("conditions").conditions.leastUrgency).toBe("normal");
  });

  test("one that changes without a link is in the next upgrade", () => {
    const device = online();
    device.dispatch({ type: "networkChanged", network: null });
    device.dispatch({ type: "urgency", leastUrgency: "low" });
    device.dispatch({
      type: "networkChanged",
      network: { label: "elsewhere", kind: "wifi", metered: false },
    });
    expect(device.last("openLink").headers["Godwit-Conditions"]).toContain("urgency=low");
  });
});

describe("captive portals", () => {
  const portalProbeUrl = "http://portal.example/204";

  test("are recognised, probed cheaply and patiently, and left at once when they let through", () => {
    const device = online({ portalProbeUrl });
    device.dispatch({ type: "networkChanged", network: { label: "cafe", kind: "wifi", metered: false } });
    const dials = device.count("openLink");
    device.dispatch({
      type: "linkClosed",
      linkId: device.linkId,
      cause: "tls",
      httpStatus: null,
      retryAfterS: null,
    });
    const metMs = device.nowMs;
    const answer = (status: number) => {
      const { requestId } = device.last("httpRequest");
      device.dispatch({
        type: "httpResponse",
        requestId,
        status,
        cause: null,
        retryAfterS: null,
        body: null,
      });
    };
    let looks = 0;
    for (const endMs = device.nowMs + 12 * HOUR; device.nowMs < endMs; ) {
      const before = device.count("httpRequest");
      device.pass(5000);
      if (device.count("httpRequest") > before) {
        looks++;
        answer(302);
      } else if (device.status.link === "dialing") {
        // Not in the first minutes, and then in place of the probe, which may never say 204 for reasons of its own.
        expect(device.nowMs).toBeGreaterThanOrEqual(metMs + 8 * 60_000);
        looks++;
        device.closeLink(302);
      }
    }
    expect(looks).toBeLessThanOrEqual(25);
    expect(device.last("httpRequest")).toMatchObject({ url: portalProbeUrl, bearer: null });
    expect(device.count("openLink")).toBeGreaterThan(dials);
  });

  test("is left as soon as a look says 204", () => {
    const device = online({ portalProbeUrl });
    device.dispatch({ type: "networkChanged", network: { label: "cafe", kind: "wifi", metered: false } });
    device.closeLink(302);
    const dials = device.count("openLink");
    const before = device.count("httpRequest");
    device.passUntil(2 * 60_000, () => device.count("httpRequest") > before);
    const { requestId } = device.last("httpRequest");
    const answer = { status: 204, cause: null, retryAfterS: null, body: null };
    expect(device.status).toMatchObject({ isBehindPortal: true, lastLoss: { httpStatus: 302 } });
    device.dispatch({ type: "httpResponse", requestId, ...answer });
    expect(device.count("openLink")).toBe(dials + 1);
    device.openLink();
    device.registered();
    expect(device.status).toMatchObject({ isBehindPortal: false, lastLoss: null });
  });

  test("without a probe URL the dial itself looks, just as patiently", () => {
    const device = online();
    device.dispatch({ type: "networkChanged", network: { label: "cafe", kind: "wifi", metered: false } });
    const dials = device.count("openLink");
    for (const endMs = device.nowMs + 12 * HOUR; device.nowMs < endMs; device.pass(5000)) {
      if (device.status.link === "dialing") device.closeLink(511);
    }
    expect(device.count("openLink") - dials).toBeLessThanOrEqual(25);
  });
});

describe("wake-ups of our own", () => {
  test("no network, no wake-ups", () => {
    const device = online();
    device.dispatch({ type: "networkChanged", network: null });
    expect(device.alarm).toBeNull();
  });

  test("a network that comes and goes all the time gets no more than 30 dials in an hour", () => {
    const device = online();
    const before = device.count("openLink");
    for (let i = 0; i < 360; i++) {
      device.pass(10_000);
      device.dispatch({
        type: "networkChanged",
        network: { label: `cell-${i}`, kind: "cellular", metered: true },
      });
    }
    expect(device.count("openLink") - before).toBeLessThanOrEqual(30);
    device.passUntil(HOUR, () => device.status.link === "dialing");
  });
});
