// SPDX-License-Identifier: MIT
// Goal: at a real Mosquitto a device that floods is cut, tokens are good at once, a restart of the service cuts nobody, and what
// the broker kept is nobody's. Method: a Mosquitto for each test; the service is stopped and started on the same store.

import { afterEach, describe, expect, test, vi } from "vitest";
import { newKeyring } from "../../src/push-service/keyring.ts";
import { MemoryStore } from "../../src/push-service/store/memory.ts";
import { godwitDialect } from "../../src/wire/godwit.ts";
import { TestBench } from "./bench.ts";
import { isMosquittoInstalled, Mosquitto } from "./mosquitto.ts";
import { registration, subscribedDevice } from "./mqtt-device.ts";
import { type MqttTestDevice, until } from "./mqtt-suite.ts";

describe.skipIf(!isMosquittoInstalled)(
  "Mosquitto, when something goes wrong (needs apt-get install mosquitto)",
  () => {
    let mosquitto: Mosquitto;
    let bench: TestBench;
    const devices: MqttTestDevice[] = [];
    afterEach(async () => {
      vi.useRealTimers();
      for (const device of devices.splice(0)) device.client.end(true);
      await bench.stop();
      await mosquitto.stop();
    });

    async function start(options: ConstructorParameters<typeof TestBench>[0] = {}): Promise<void> {
      bench = await TestBench.start({ mqtt: mosquitto.options, ...options });
      await until(() => bench.log.some(({ event }) => event === "broker-connected"));
    }

    /** What a service that is to be stopped and started again needs. */
    function kept() {
      const store = new MemoryStore();
      store.close = async () => {};
      return { store, keyring: newKeyring() };
    }

    async function device(credentials: { uaid: string; uaToken: string }): Promise<MqttTestDevice> {
      const made = await subscribedDevice(mosquitto.url, credentials);
      devices.push(made);
      return made;
    }

    async function online(credentials: { uaid: string; uaToken: string }): Promise<MqttTestDevice> {
      const made = await device(credentials);
      made.send(registration(credentials.uaToken));
      await made.next("registered");
      return made;
    }

    test("ten devices that ask for tokens at once all come in with them", async () => {
      mosquitto = await Mosquitto.start();
      await start();
      // A token is answered when the broker knows it, and not because that takes long on a busy machine.
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
      const all = await Promise.all(Array.from({ length: 10 }, async () => online(await bench.token())));
      expect(all).toHaveLength(10);
    });

    test("after a restart of the service a WebSocket with the same token does not cut the MQTT connection", async () => {
      mosquitto = await Mosquitto.start();
      const both = kept();
      await start(both);
      const credentials = await bench.token();
      await bench.stop();
      await start(both);
      const there = await online(credentials);
      const webSocket = await bench.connect(credentials.uaToken);
      await webSocket.next("registered");
      expect(await there.next("bye")).toMatchObject({ reason: "replaced" });
      // Still connected: the service answers.
      there.send(registration(credentials.uaToken));
      await there.next("registered");
    });

    test("a renewed token is the one that Mosquitto knows", async () => {
      mosquitto = await Mosquitto.start();
      await start();
      const credentials = await bench.token();
      const old = await online(credentials);
      const renewed = await bench.token({ Authorization: `Bearer ${credentials.uaToken}` });
      await old.closed;
      await online(renewed);
      await expect(device(credentials)).rejects.toMatchObject({ code: 5 });
    });

    test("a device that floods is cut, and the others go on", async () => {
      mosquitto = await Mosquitto.start();
      await start();
      const flooding = await online(await bench.token());
      const other = await online(await bench.token());
      let isClosed = false;
      flooding.client.on("close", () => {
        isClosed = true;
      });
      while (!isClosed) {
        const sent = new Promise<void>((resolve) => {
          flooding.client.once("close", () => resolve());
          for (let i = 0; i < 200; i++)
            flooding.client.publish(`godwit/v1/${flooding.uaid}/up`, Buffer.from([0x82, 10, 7]), { qos: 0 });
          flooding.client.publish(
            `godwit/v1/${flooding.uaid}/up`,
            Buffer.from([0x82, 10, 7]),
            { qos: 1 },
            () => resolve(),
          );
        });
        await sent;
      }
      expect(await other.quiet()).toEqual([]);
      await online(await bench.token());
    });

    test("a RegisterUA that the broker kept makes no session for a device that is away", async () => {
      mosquitto = await Mosquitto.start(true);
      const both = kept();
      await start(both);
      const credentials = await bench.token();
      const there = await device(credentials);
      const frame = Buffer.from(godwitDialect.encodeUpstream(registration(credentials.uaToken)));
      await there.client.publishAsync(`godwit/v1/${credentials.uaid}/up`, frame, { qos: 1, retain: true });
      await there.next("registered");
      await there.client.endAsync(true);
      await bench.stop();
      await start(both);
      await online(await bench.token());
      expect(bench.service.stats().devicesConnected).toBe(1);
    });

    test("with retain_available false a retained message ends its sender's connection", async () => {
      mosquitto = await Mosquitto.start();
      await start();
      const there = await online(await bench.token());
      there.client.publish(`godwit/v1/${there.uaid}/up`, Buffer.from([0x82, 10, 7]), {
        qos: 1,
        retain: true,
      });
      await there.closed;
    });
  },
);
