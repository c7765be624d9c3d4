// SPDX-License-Identifier: MIT
/** A device that is connected, and what specs of its connection do to it. Pure. */

import type { LinkCause } from "../../src/agent/events.ts";
import { Device } from "./world.ts";

export const NEWS = "https://news.example";
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const MQTT_URLS = ["mqtts://push.example:8883", "mqtts://push.example:443"];

export function online(options: ConstructorParameters<typeof Device>[0] = {}, members = {}): Device {
  const device = new Device({ heartbeatMs: null, ...options });
  move(device, "office");
  device.dispatch({ type: "appAttached", owner: NEWS, handlesPush: true });
  device.subscribe(NEWS);
  device.answerToken();
  device.openLink();
  device.registered(members);
  device.grantRegistration(1);
  return device;
}

export function move(device: Device, label: string | null, hasNewAddress = false): void {
  const network = label === null ? null : ({ label, kind: "wifi", metered: false } as const);
  device.dispatch({ type: "networkChanged", network, ...(hasNewAddress ? { hasNewAddress } : {}) });
}

export function fail(
  device: Device,
  cause: LinkCause,
  httpStatus: number | null = null,
  retryAfterS: number | null = null,
): void {
  const { linkId } = device;
  device.dispatch({ type: "linkClosed", linkId, cause, httpStatus, retryAfterS });
  device.pass(0);
}

export const dialed = (device: Device) =>
  device.effects.flatMap((effect) => (effect.type === "openLink" ? [effect.url] : []));

/** Lets time pass with every ping answered after `rttMs`. */
export function live(device: Device, ms: number, rttMs = 100): void {
  let seen = device.effects.length;
  for (const endMs = device.nowMs + ms; device.nowMs < endMs; ) {
    device.pass(rttMs);
    const news = device.effects.slice(seen);
    seen = device.effects.length;
    for (const effect of news)
      if (effect.type === "ping") device.dispatch({ type: "linkPong", linkId: effect.linkId });
  }
}

export const canariesOf = (device: Device) =>
  device.effects.flatMap((effect) =>
    effect.type === "openLink" && effect.url.endsWith("canary") ? [effect.linkId] : [],
  );

/** A device whose WebSocket is refused, over MQTT. Returns the link. */
export function overMqtt(device: Device): number {
  fail(device, "reset");
  device.passUntil(MINUTE, () => device.status.link === "dialing");
  fail(device, "refused", 403);
  device.openLink();
  device.registered();
  return device.linkId;
}

/** Lets time pass with every Probe over the MQTT link `mqtt` answered. */
export function liveOverMqtt(device: Device, mqtt: number, isOver: () => boolean): void {
  for (let seen = device.upstream.length; !isOver(); ) {
    device.pass(500);
    for (const message of device.upstream.slice(seen)) {
      if (message.type !== "probe") continue;
      const trial = device.linkId;
      device.linkId = mqtt;
      device.send({ type: "probeReply", nonce: message.nonce });
      device.linkId = trial;
    }
    seen = device.upstream.length;
  }
}
