// SPDX-License-Identifier: MIT
/** Devices of a delivery benchmark: each has one subscription, acknowledges what comes, and says which message it was. */

import type { Socket } from "node:net";
import { base64urlEncode } from "../../src/webpush/base64url.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { Sender, type Target } from "./raw-http.ts";
import { RawMqtt } from "./raw-mqtt.ts";
import { RawWebSocket } from "./raw-websocket.ts";

/** Acknowledgements go out at most this often: a device that sends more frames than that passes for a flood. */
const ACK_EVERY_MS = 12;
/** Devices that enrol and connect at once while a fleet is made. */
const CONNECTING_MAX = 64;

export interface Device {
  readonly link: { readonly socket: Socket; close(): void };
  /** Where to POST for it. */
  readonly path: string;
  /** For {@link reconnect}; "" for one of the relay. */
  readonly uaToken: string;
}

/** Called with the body of each message, as it comes. */
export type Received = (body: Uint8Array) => void;

/** `count` devices of Godwit's push service at `target`. */
export async function connectFleet(target: Target, count: number, received: Received): Promise<Device[]> {
  return each(count, async () => {
    const { uaToken } = await newToken(target);
    const { webSocket, path } = await connectDevice(target, uaToken, received);
    return { link: webSocket, path, uaToken };
  });
}

/** `count` devices of the relay, which is told nothing but a name. */
export async function connectRelayFleet(
  target: Target,
  count: number,
  received: Received,
): Promise<Device[]> {
  const acknowledgement = Uint8Array.of(0x81, 0x01);
  return each(count, async (number) => {
    const path = `/${number}`;
    const webSocket = await RawWebSocket.open(target, path, {}, (frame) => {
      webSocket.send(acknowledgement);
      received(frame);
    });
    return { link: webSocket, path, uaToken: "" };
  });
}

/** `count` subscribers of Mosquitto with sessions that stay, each of its own topic. */
export async function connectMosquittoFleet(
  target: Target,
  count: number,
  received: Received,
): Promise<Device[]> {
  return each(count, async (number) => {
    const path = `device/${number}`;
    const link = await RawMqtt.connect(target, `device-${number}`, received);
    await link.subscribe(path);
    return { link, path, uaToken: "" };
  });
}

/** All of `fleet` at once, as after a service that went away. Resolves when the last one is registered. */
export async function reconnectFleet(
  target: Target,
  fleet: readonly Device[],
  received: Received,
): Promise<Device[]> {
  return Promise.all(
    fleet.map(async ({ uaToken, path }) => {
      const { webSocket } = await connect(target, uaToken, [1], received);
      return { link: webSocket, path, uaToken };
    }),
  );
}

export function closeFleet(fleet: readonly Device[]): void {
  for (const { link } of fleet) link.close();
}

/** Path of a new subscription on a new link. */
async function connectDevice(target: Target, uaToken: string, received: Received) {
  let registered: (endpoint: string) => void;
  const endpoint = new Promise<string>((resolve) => {
    registered = resolve;
  });
  const { webSocket } = await connect(target, uaToken, [], received, (url) => registered(url));
  webSocket.send(
    godwitDialect.encodeUpstream({
      type: "registerWa",
      ref: 1,
      registrationId: new Uint8Array(16),
      applicationServerKey: null,
    }),
  );
  return { webSocket, path: new URL(await endpoint).pathname };
}

/** Resolves when the service has said Registered. */
async function connect(
  target: Target,
  uaToken: string,
  channels: readonly number[],
  received: Received,
  registered: (endpoint: string) => void = () => {},
) {
  let greeted: () => void;
  const greeting = new Promise<void>((resolve) => {
    greeted = resolve;
  });
  const acks: number[] = [];
  const acknowledge = (): void => {
    const ranges = acks.splice(0).map((id): [number, number] => [id, id]);
    webSocket.send(godwitDialect.encodeUpstream({ type: "ack", code: "ok", ranges }));
  };
  const headers = {
    Authorization: `Bearer ${uaToken}`,
    "Sec-WebSocket-Protocol": "godwit.v1",
    "Godwit-Conditions": "heartbeat=240, window=0, urgency=very-low",
    "Godwit-Channels": base64urlEncode(channelsDigest(channels)),
  };
  const webSocket = await RawWebSocket.open(target, "/v1/ws", headers, (frame) => {
    const message = godwitDialect.parseDownstream(new Uint8Array(frame));
    if (message.type === "registered") greeted();
    if (message.type === "waRegistered") registered(message.endpoint);
    if (message.type !== "notification") return;
    const { id, body } = message;
    acks.push(id);
    if (acks.length === 1) setTimeout(acknowledge, ACK_EVERY_MS);
    if (body !== null) received(body);
  });
  await greeting;
  return { webSocket };
}

export async function newToken(target: Target): Promise<{ readonly uaToken: string; readonly uaid: string }> {
  const sender = await Sender.connect(target);
  const { status, body } = await sender.ask("POST", "/v1/token", {}, new Uint8Array());
  sender.close();
  if (status !== 200) throw new Error(`the push service gave no token: ${status}`);
  return JSON.parse(body) as { uaToken: string; uaid: string };
}

/** Results of `make` for 0 … `count` - 1, some at a time. */
async function each<T>(count: number, make: (number: number) => Promise<T>): Promise<T[]> {
  const made = new Array<T>(count);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) {
      const number = next++;
      made[number] = await make(number);
    }
  };
  await Promise.all(Array.from({ length: CONNECTING_MAX }, work));
  return made;
}
