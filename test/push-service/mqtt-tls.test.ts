// SPDX-License-Identifier: MIT
// Goal: MQTT over TLS, on a port of its own and by ALPN on the port of HTTPS, which goes on serving everybody else. Method: a
// service with a development certificate; the Node host's MQTT links, MQTT.js, HTTPS and `ws` as its clients.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { connect } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { AgentEvent } from "../../src/agent/events.ts";
import { MqttLinks } from "../../src/node/mqtt.ts";
import { loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import { TestBench } from "./bench.ts";
import { until } from "./mqtt-suite.ts";

/** A stop that cuts by its time-out takes twice as long. */
const STOP_MS_MAX = 5_000;

let bench: TestBench;
let directory: string;
let ca: string;
const closers: (() => unknown)[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "godwit-mqtt-tls-"));
  const tls = await loadDevCertificate({ directory, hosts: [], nowMs: Date.now() });
  ca = readFileSync(join(directory, "ca.pem"), "utf8");
  bench = await TestBench.start({ tls, mqtt: { port: 0 } });
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  await bench.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** POST /v1/token over HTTPS, as any client with its own idea of ALPN. */
function token(ALPNProtocols?: string[]): Promise<{ uaid: string; uaToken: string }> {
  return new Promise((resolve, reject) => {
    const url = `https://localhost:${bench.service.port}/v1/token`;
    const options = {
      method: "POST",
      ca,
      agent: false as const,
      ...(ALPNProtocols ? { ALPNProtocols } : {}),
    };
    const outgoing = request(url, options, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += String(chunk);
      });
      response.on("end", () => resolve(JSON.parse(text)));
    });
    outgoing.on("error", reject).end();
  });
}

/** What becomes of a dial of the Node host. */
function dial(url: string, uaid: string, uaToken: string, trusted: string | null): Promise<AgentEvent> {
  return new Promise((resolve) => {
    const links = new MqttLinks({ ca: trusted, dispatch: resolve });
    closers.push(() => links.closeAll());
    const mqtt = { username: uaid, topic: `godwit/v1/${uaid}` };
    links.open(
      { type: "openLink", linkId: 7, url, subprotocol: "", bearer: uaToken, headers: {}, mqtt },
      mqtt,
    );
  });
}

test("the Node host's links come in over TLS; what they cannot verify they leave, by its cause", async () => {
  const { uaid, uaToken } = await token();
  const url = `mqtts://localhost:${bench.service.mqttPort}`;
  expect(await dial(url, uaid, uaToken, ca)).toEqual({ type: "linkOpened", linkId: 7 });
  const closed = { type: "linkClosed", linkId: 7, retryAfterS: null };
  expect(await dial(url, uaid, uaToken, null)).toEqual({ ...closed, cause: "tls", httpStatus: null });
  expect(await dial(url, uaid, "another", ca)).toEqual({ ...closed, cause: "refused", httpStatus: 401 });
  const nobody = "mqtts://localhost:1";
  expect(await dial(nobody, uaid, uaToken, ca)).toEqual({ ...closed, cause: "refused", httpStatus: null });
  // HTTPS answers there, but not MQTT.
  const wrong = `mqtts://localhost:${bench.service.port}`;
  expect(await dial(wrong, uaid, uaToken, ca)).toMatchObject({ type: "linkClosed", httpStatus: null });
});

test("ALPN on the port of HTTPS: mqtt is MQTT, everything else is what it was", async () => {
  const { uaid, uaToken } = await token(["h2", "http/1.1"]);
  expect((await token(["http/1.1"])).uaid).not.toBe(uaid);
  const client = connect(`mqtts://localhost:${bench.service.port}`, {
    protocolVersion: 4,
    clientId: uaid,
    username: uaid,
    password: uaToken,
    reconnectPeriod: 0,
    ca,
    ALPNProtocols: ["mqtt"],
  });
  closers.push(() => client.endAsync(true));
  await new Promise<void>((resolve, reject) => {
    client.once("connect", () => resolve());
    client.once("error", reject);
  });
  const webSocket = new WebSocket(`wss://localhost:${bench.service.port}/v1/ws`, "godwit.v1", {
    ca,
    headers: { Authorization: `Bearer ${uaToken}` },
  });
  closers.push(() => webSocket.terminate());
  await new Promise<void>((resolve, reject) => {
    webSocket.once("open", () => resolve());
    webSocket.once("error", reject);
  });
  expect(webSocket.protocol).toBe("godwit.v1");
});

test("a connection that negotiated MQTT and says something else is closed, and harms nobody", async () => {
  const socket = connectTls({
    port: bench.service.port,
    host: "localhost",
    ca,
    servername: "localhost",
    ALPNProtocols: ["mqtt"],
  });
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.once("secureConnect", () => socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  await closed;
  expect((await token()).uaToken).toBeTruthy();
});

test("a connection that negotiated MQTT and stays silent does not hold up a stop", async () => {
  const socket = connectTls({
    port: bench.service.port,
    host: "localhost",
    ca,
    servername: "localhost",
    ALPNProtocols: ["mqtt"],
  });
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("secureConnect", resolve));
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const startMs = performance.now();
  await bench.service.close();
  expect(performance.now() - startMs).toBeLessThan(STOP_MS_MAX);
  await closed;
});

test("nor does one that never ended its handshake on the MQTT port", async () => {
  const socket = connectTcp(bench.service.mqttPort, "127.0.0.1").on("error", () => {});
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await until(() => bench.service.stats().connections > 0);
  const startMs = performance.now();
  await bench.service.close();
  expect(performance.now() - startMs).toBeLessThan(STOP_MS_MAX);
  await closed;
});
