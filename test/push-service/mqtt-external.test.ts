// SPDX-License-Identifier: MIT
// Goal: an external broker that refuses, stays silent, goes away or comes back never makes a device deaf, a token useless or
// the service unable to stop. Method: a running service at a broker that misbehaves as the test says.

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  MQTT_BROKER_HEARTBEAT_S_MAX,
  MQTT_COMMAND_TIMEOUT_MS,
  MQTT_FLOOD_BAN_MS,
  MQTT_REGISTRATIONS_BURST_MAX,
} from "../../src/limits.ts";
import { loadDevCertificate } from "../../src/push-service/dev-ca.ts";
import { newKeyring } from "../../src/push-service/keyring.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import { gate, TestBench } from "./bench.ts";
import { FakeBroker } from "./fake-broker.ts";
import { registration } from "./mqtt-device.ts";
import { until } from "./mqtt-suite.ts";

let broker: FakeBroker;
let bench: TestBench;
const closers: (() => unknown)[] = [];
beforeEach(async () => {
  broker = await FakeBroker.start();
});
afterEach(async () => {
  vi.useRealTimers();
  await bench.stop();
  await broker.stop();
  for (const close of closers.splice(0)) await close();
});

const failures = () => bench.log.flatMap((event) => (event.event === "broker-failed" ? [event.error] : []));
const connectedCount = () => bench.log.filter(({ event }) => event === "broker-connected").length;

/** Resolves once the broker was reached one more time than before. */
async function connected(count = 1): Promise<void> {
  await until(() => connectedCount() >= count);
}

async function start(options: ConstructorParameters<typeof TestBench>[0] = {}): Promise<void> {
  bench = await TestBench.start({ mqtt: broker.mqtt, ...options });
  await connected();
}

/** A device with a session and one channel. */
async function online() {
  const { uaid, uaToken } = await bench.token();
  broker.up(uaid, [registration(uaToken)]);
  await until(() => broker.told(uaid).includes("registered"));
  const ask = { ref: 1, registrationId: new Uint8Array(16), applicationServerKey: null };
  broker.up(uaid, [{ type: "registerWa", ...ask }]);
  await until(() => broker.told(uaid).includes("waRegistered"));
  const answer = broker.down.find(({ message }) => message.type === "waRegistered")?.message;
  if (answer?.type !== "waRegistered") throw new Error("no channel");
  return { uaid, uaToken, endpoint: answer.endpoint };
}

describe("the connection to the broker", () => {
  test("a CONNACK with an error is told once and tried again, until it is good", async () => {
    broker.refusals.push(3, 3);
    await start();
    expect(failures()).toEqual(["the broker is not available"]);
    expect(broker.connections).toBeGreaterThanOrEqual(3);
  });

  test("a wrong password is told as such", async () => {
    broker.refusals.push(5);
    await start();
    expect(failures()).toEqual(["the broker refuses our user name or password"]);
  });

  test("a broker that is not there is told, and its coming back and going again", async () => {
    await start();
    broker.cut();
    await connected(2);
    expect(failures()).toEqual(["the connection to the broker is lost"]);
    broker.cut();
    await connected(3);
    expect(failures()).toHaveLength(2);
  });

  test("nobody at the port, and a certificate that is not trusted", async () => {
    bench = await TestBench.start({
      mqtt: { broker: { url: "mqtt://127.0.0.1:1", username: "a", password: "b" } },
    });
    await until(() => failures().length > 0);
    expect(failures()).toEqual(["the broker is not reachable"]);
    await bench.stop();
    const directory = mkdtempSync(join(tmpdir(), "godwit-broker-"));
    const tls = await loadDevCertificate({ directory, hosts: [], nowMs: Date.now() });
    const server = createTlsServer(tls)
      .on("tlsClientError", () => {})
      .listen(0, "127.0.0.1");
    await once(server, "listening");
    closers.push(
      () => rmSync(directory, { recursive: true }),
      () => server.close(),
    );
    const url = `mqtts://localhost:${(server.address() as { port: number }).port}`;
    bench = await TestBench.start({ mqtt: { broker: { url, username: "a", password: "b" } } });
    await until(() => failures().length > 0);
    expect(failures()).toEqual(["the broker's certificate is not trusted"]);
  });

  test("the service stops although a frame is never acknowledged", async () => {
    await start();
    broker.acknowledges = false;
    await online();
    await bench.stop();
    expect(bench.log.at(-1)).toEqual({ event: "stopped" });
  });

  test("the service stops while the broker is away", async () => {
    await start();
    broker.refusals.push(3);
    broker.cut();
    await until(() => failures().length > 0);
    await bench.stop();
    expect(bench.log.at(-1)).toEqual({ event: "stopped" });
  });

  test("frames of a session that ended with the connection are not sent again", async () => {
    await start();
    broker.acknowledges = false;
    const { uaid } = await online();
    broker.acknowledges = true;
    broker.cut();
    await connected(2);
    const { uaid: other } = await online();
    expect(broker.told(other)).toEqual(["registered", "waRegistered"]);
    expect(broker.told(uaid)).toEqual(["registered", "waRegistered"]);
    expect(broker.down.filter(({ isDup }) => isDup)).toEqual([]);
  });
});

describe("sessions", () => {
  test("a device that goes away behind its RegisterUA, in the same segment, has no session", async () => {
    await start();
    const { uaid, uaToken } = await bench.token();
    broker.up(uaid, [registration(uaToken), null]);
    const { uaid: other } = await online();
    expect(broker.told(other)).toContain("registered");
    expect(broker.told(uaid)).toEqual([]);
    expect(bench.service.stats().devicesConnected).toBe(1);
  });

  test("a takeover while RegisterUA is checked: one session, no Bye", async () => {
    const store = new MemoryStore();
    await start({ store });
    const { uaid, uaToken } = await bench.token();
    // The first is beyond its token and reads the store, the second is at its token.
    const first = gate();
    const second = gate();
    const waits = [Promise.resolve(), first.promise, second.promise];
    const getDevice = store.getDevice.bind(store);
    let looks = 0;
    store.getDevice = async (name) => {
      await waits[looks++];
      return getDevice(name);
    };
    broker.up(uaid, [registration(uaToken)]);
    await until(() => looks === 2);
    broker.up(uaid, [null, registration(uaToken)]);
    await until(() => looks === 3);
    first.open();
    await first.promise;
    // Whatever the first one's end says is on its way before anything of the second.
    await new Promise((resolve) => setImmediate(resolve));
    second.open();
    await until(() => broker.told(uaid).length > 0);
    broker.up(uaid, [{ type: "probe", nonce: 7 }]);
    await until(() => broker.told(uaid).includes("probeReply"));
    expect(broker.told(uaid)).toEqual(["registered", "probeReply"]);
    expect(bench.service.stats().devicesConnected).toBe(1);
  });

  test("a RegisterUA that the broker kept is nobody's", async () => {
    await start();
    const { uaid, uaToken } = await bench.token();
    broker.up(uaid, [registration(uaToken)], true);
    const { uaid: other } = await online();
    expect(broker.told(other)).toContain("registered");
    expect(broker.told(uaid)).toEqual([]);
  });

  test("a message stored while the broker is away reaches a device that stayed there: Bye tells it", async () => {
    await start();
    const { uaid, endpoint } = await online();
    broker.cut();
    await until(() => bench.service.stats().devicesConnected === 0);
    expect((await bench.post(endpoint)).status).toBe(201);
    await until(() => broker.told(uaid).at(-1) === "bye");
    expect(broker.down.at(-1)?.message).toMatchObject({ reason: "idle", retryAfterS: 0 });
  });

  test("so does one that was under way when the connection was lost", async () => {
    await start();
    const { uaid, endpoint } = await online();
    await bench.post(endpoint);
    await until(() => broker.told(uaid).at(-1) === "notification");
    broker.cut();
    await until(() => broker.told(uaid).at(-1) === "bye");
  });

  test("a heartbeat of a day counts as an hour: without a last will nobody tells that a device is gone", async () => {
    await start();
    const { uaid, uaToken } = await bench.token();
    broker.up(uaid, [registration(uaToken, 86_400)]);
    await until(() => broker.told(uaid).length > 0);
    const idleLimitS = MQTT_BROKER_HEARTBEAT_S_MAX * 1.5 + 30;
    expect(broker.down[0]?.message).toMatchObject({ type: "registered", idleLimitS });
  });

  test("a device that sends too much is disabled for a while, and heard again after it", async () => {
    await start();
    const { uaid, uaToken } = await bench.token();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    broker.up(uaid, Array(MQTT_REGISTRATIONS_BURST_MAX + 2).fill({ type: "probe", nonce: 1 }));
    await until(() => broker.clients.get(uaid)?.disabled === true);
    const told = broker.told(uaid).length;
    broker.up(uaid, [registration(uaToken)]);
    await online();
    expect(broker.told(uaid)).toHaveLength(told);
    await vi.advanceTimersByTimeAsync(MQTT_FLOOD_BAN_MS);
    await until(() => broker.clients.get(uaid)?.disabled === false);
  });

  test("one whose session ends because the store failed is not", async () => {
    const store = new MemoryStore();
    await start({ store });
    const { uaid, uaToken } = await bench.token();
    const { messages } = store;
    store.messages = async () => {
      throw new Error("disk");
    };
    broker.up(uaid, [registration(uaToken)]);
    await until(() => broker.told(uaid).at(-1) === "bye");
    expect(broker.down.at(-1)?.message).toMatchObject({ reason: "overload" });
    store.messages = messages;
    await online();
    expect(broker.commands.filter(({ command }) => command === "disableClient")).toEqual([]);
  });

  test("a service that stops lets everybody in again", async () => {
    await start();
    const { uaid } = await bench.token();
    broker.up(uaid, Array(MQTT_REGISTRATIONS_BURST_MAX + 1).fill({ type: "probe", nonce: 1 }));
    await until(() => broker.clients.get(uaid)?.disabled === true);
    await bench.stop();
    expect(broker.clients.get(uaid)?.disabled).toBe(false);
  });
});

describe("what the broker knows of devices", () => {
  test("a token is given out when the broker knows it, also when several ask at once", async () => {
    await start();
    const issued: string[] = [];
    const known = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const { uaid } = await bench.token();
        issued.push(uaid);
        return broker.clients.has(uaid);
      }),
    );
    expect(known).toEqual(Array(10).fill(true));
    expect(new Set(issued).size).toBe(10);
  });

  test("a command whose answer is lost is given again, and ends nothing", async () => {
    await start();
    let lost: string | undefined;
    broker.isObeyed = ({ command, username }) => {
      if (lost !== undefined || command !== "createClient") return true;
      lost = username;
      return false;
    };
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const first = bench.token();
    await until(() => lost !== undefined);
    await vi.advanceTimersByTimeAsync(MQTT_COMMAND_TIMEOUT_MS);
    const { uaid } = await first;
    const { uaid: other } = await bench.token();
    await until(() => broker.clients.has(uaid) && broker.clients.has(other));
    expect(lost).toBe(uaid);
  });

  test("after a restart of the service a token the broker has is not set anew, another one is", async () => {
    const store = new MemoryStore();
    store.close = async () => {};
    const keyring = newKeyring();
    await start({ store, keyring });
    const { uaToken } = await bench.token();
    await bench.stop();
    await start({ store, keyring });
    broker.commands.length = 0;
    await (await bench.connect(uaToken)).next("registered");
    const { uaToken: fresh } = await bench.token({ Authorization: `Bearer ${uaToken}` });
    expect(fresh).not.toBe(uaToken);
    const told = broker.commands.filter(({ username }) => username !== "service");
    expect(told.map(({ command }) => command)).toEqual(["getClient", "getClient", "modifyClient"]);
    expect(told.at(-1)).toMatchObject({ password: fresh });
  });
});
