// SPDX-License-Identifier: MIT
/** Bytes of one message and its acknowledgement on a device's connection, below TLS: by each dialect and transport there is. */

import {
  AUTOPUSH_ACK,
  AUTOPUSH_SUBPROTOCOL,
  encodeAutopushUpstream,
  parseAutopushDownstream,
} from "../../src/wire/autopush.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { connectFleet, type Device, newToken, type Received } from "./fleet.ts";
import type { Target } from "./raw-http.ts";
import { RawMqtt } from "./raw-mqtt.ts";
import { RawWebSocket } from "./raw-websocket.ts";

export const WIRES = ["websocket", "mqtt", "autopush"] as const;
export type Wire = (typeof WIRES)[number];

/** Where the measured service listens, and its broker. */
export interface WireTargets {
  readonly service: Target;
  readonly mqtt: Target;
}

/** A device that acknowledges each message by itself, as one that gets a message now and then does. */
export async function connectWire(wire: Wire, targets: WireTargets, received: Received): Promise<Device> {
  if (wire === "autopush") return connectAutopush(targets.service, received);
  if (wire === "mqtt") return connectMqtt(targets, received);
  const [device] = await connectFleet(targets.service, 1, received);
  if (device === undefined) throw new Error("no device");
  return device;
}

/** What went over the device's connection so far, both ways. */
export function bytesOn({ link: { socket } }: Device): number {
  return socket.bytesRead + socket.bytesWritten;
}

async function connectAutopush(target: Target, received: Received): Promise<Device> {
  const registered = deferred<string>();
  const channelId = crypto.getRandomValues(new Uint8Array(16));
  const headers = { "Sec-WebSocket-Protocol": AUTOPUSH_SUBPROTOCOL };
  const send = (message: Parameters<typeof encodeAutopushUpstream>[0]): void =>
    link.send(Buffer.from(encodeAutopushUpstream(message)), true);
  const link = await RawWebSocket.open(target, "/", headers, (frame) => {
    const message = parseAutopushDownstream(frame.toString());
    if (message.type === "hello") send({ type: "register", channelId, key: null });
    if (message.type === "register") registered.resolve(message.pushEndpoint);
    if (message.type !== "notification") return;
    const { version, data } = message;
    send({ type: "ack", updates: [{ channelId: message.channelId, version, code: AUTOPUSH_ACK.delivered }] });
    if (data !== null) received(data);
  });
  send({ type: "hello", uaid: null, broadcasts: new Map() });
  return { link, path: new URL(await registered.promise).pathname, uaToken: "" };
}

async function connectMqtt({ service, mqtt }: WireTargets, received: Received): Promise<Device> {
  const registered = deferred<string>();
  const { uaToken, uaid } = await newToken(service);
  const send = (message: Parameters<typeof godwitDialect.encodeUpstream>[0]): void =>
    void link.publish(`godwit/v1/${uaid}/up`, godwitDialect.encodeUpstream(message));
  const take = (frame: Buffer): void => {
    const message = godwitDialect.parseDownstream(new Uint8Array(frame));
    if (message.type === "registered")
      send({ type: "registerWa", ref: 1, registrationId: new Uint8Array(16), applicationServerKey: null });
    if (message.type === "waRegistered") registered.resolve(message.endpoint);
    if (message.type !== "notification") return;
    const { id, body } = message;
    send({ type: "ack", code: "ok", ranges: [[id, id]] });
    if (body !== null) received(body);
  };
  const link = await RawMqtt.connect(mqtt, uaid, take, { username: uaid, password: uaToken });
  await link.subscribe(`godwit/v1/${uaid}/down`);
  const conditions = { heartbeatS: 240, windowS: 0, leastUrgency: "very-low" } as const;
  send({ type: "registerUa", uaToken, conditions, channelsDigest: channelsDigest([]) });
  return { link, path: new URL(await registered.promise).pathname, uaToken };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
