// SPDX-License-Identifier: MIT
// A device over MQTT for tests that need one without the whole suite. No tests here.

import { connect, type IClientOptions } from "mqtt";
import type { Upstream } from "../../src/wire/dialect.ts";
import { channelsDigest } from "../../src/wire/digest.ts";
import { MqttTestDevice } from "./mqtt-suite.ts";

export function registration(uaToken: string, heartbeatS = 240): Extract<Upstream, { type: "registerUa" }> {
  const conditions = { heartbeatS, windowS: 0, leastUrgency: "very-low" } as const;
  return { type: "registerUa", uaToken, conditions, channelsDigest: channelsDigest([]) };
}

/** Connected and subscribed, without a session. */
export async function subscribedDevice(
  url: string,
  { uaid, uaToken }: { uaid: string; uaToken: string },
  options: IClientOptions = {},
): Promise<MqttTestDevice> {
  const client = connect(url, {
    protocolVersion: 4,
    clientId: uaid,
    username: uaid,
    password: uaToken,
    clean: true,
    keepalive: 0,
    reconnectPeriod: 0,
    will: { topic: `godwit/v1/${uaid}/up`, payload: Buffer.alloc(0), qos: 1, retain: false },
    ...options,
  });
  const device = new MqttTestDevice(client, uaid);
  await new Promise<void>((resolve, reject) => {
    client.once("connect", () => resolve());
    client.once("error", reject);
  });
  await client.subscribeAsync(`godwit/v1/${uaid}/down`, { qos: 1 });
  return device;
}
