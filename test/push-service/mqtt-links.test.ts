// SPDX-License-Identifier: MIT
// Goal: the Node host's MQTT link leaves no socket behind when it is closed, whatever the other side does. Method: a broker
// that answers CONNECT and SUBSCRIBE, and then acknowledges nothing.

import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import mqttPacket from "mqtt-packet";
import { expect, test, vi } from "vitest";
import type { AgentEvent } from "../../src/agent/events.ts";
import { MQTT_CLOSE_MS } from "../../src/limits.ts";
import { MqttLinks } from "../../src/node/mqtt.ts";
import { gate } from "./bench.ts";

test("a link whose PUBACK never comes is cut when it is closed", async () => {
  const published = gate();
  const closed = gate();
  const server = createServer((socket: Socket) => {
    const parser = mqttPacket.parser();
    const write = (packet: mqttPacket.Packet) => socket.write(mqttPacket.generate(packet));
    socket.on("error", () => {});
    socket.on("close", closed.open);
    socket.on("data", (chunk) => parser.parse(chunk));
    parser.on("packet", ({ cmd, messageId }) => {
      if (cmd === "connect") write({ cmd: "connack", returnCode: 0, sessionPresent: false });
      if (cmd === "subscribe") write({ cmd: "suback", messageId: messageId ?? 0, granted: [1] });
      if (cmd === "publish") published.open();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`;
  const uaid = "0".repeat(32);
  const mqtt = { username: uaid, topic: `godwit/v1/${uaid}` };
  const events: AgentEvent[] = [];
  const opened = gate();
  const links = new MqttLinks({
    ca: null,
    dispatch: (event) => {
      events.push(event);
      opened.open();
    },
  });
  links.open({ type: "openLink", linkId: 7, url, subprotocol: "", bearer: "token", headers: {}, mqtt }, mqtt);
  await opened.promise;
  links.send(7, Uint8Array.of(1), 1);
  await published.promise;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  links.close(7);
  await vi.advanceTimersByTimeAsync(MQTT_CLOSE_MS);
  vi.useRealTimers();
  await closed.promise;
  expect(events).toEqual([{ type: "linkOpened", linkId: 7 }]);
  server.close();
  await once(server, "close");
});
