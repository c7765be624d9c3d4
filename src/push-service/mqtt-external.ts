// SPDX-License-Identifier: MIT
/**
 * The push service at a broker of its own, Mosquitto with the dynamic-security plugin: one client that hears every
 * device's `up` topic and publishes to their `down` topics. What the broker is told of devices is in dynamic-security.ts.
 */

import { randomBytes } from "node:crypto";
import { connect as connectTcp, isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import type { MqttClient } from "mqtt";
import { MQTT_BROKER_RECONNECT_MS, MQTT_CLOSE_MS } from "../limits.ts";
import { tlsOptions } from "../node/tls.ts";
import { causeOf } from "../node/websocket.ts";
import { CONTROL_TOPIC, DynamicSecurity } from "./dynamic-security.ts";
import type { Log } from "./log.ts";
import { type Broker, type DeviceId, MQTT_TOPIC_PREFIX, type MqttDevices } from "./mqtt.ts";
import type { DeviceCredentials } from "./session-host.ts";

export interface ExternalBrokerOptions {
  /** mqtts or mqtt, with host and port. */
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** PEM certificates trusted besides the system's. */
  readonly ca?: string | null;
}

const UP_TOPICS = `${MQTT_TOPIC_PREFIX}+/up`;
/** What a refused CONNECT (MQTT 3.1.1 §3.2.2.3) means. */
const CONNACK_SENTENCES: Readonly<Record<number, string>> = {
  3: "the broker is not available",
  4: "the broker refuses our user name or password",
  5: "the broker refuses our user name or password",
};

export class ExternalBroker implements Broker {
  readonly #options: ExternalBrokerOptions;
  readonly #log: Log;
  readonly #Client: typeof MqttClient;
  readonly #security: DynamicSecurity;
  /** A new one for each connection: what the old one had not sent is nobody's any more. */
  #client: MqttClient | null = null;
  #redial: NodeJS.Timeout | null = null;
  #redialMs = MQTT_BROKER_RECONNECT_MS;
  #devices: MqttDevices | null = null;
  /** The devices' frames come in. */
  #isReady = false;
  #isClosing = false;
  /** Since it was ready last. */
  #isFailureTold = false;

  private constructor(options: ExternalBrokerOptions, log: Log, Client: typeof MqttClient) {
    this.#options = options;
    this.#log = log;
    this.#Client = Client;
    this.#security = new DynamicSecurity({
      send: (payload) => this.#client?.publish(CONTROL_TOPIC, payload, { qos: 1 }, () => {}),
      fail: (sentence) => this.#fail(sentence),
    });
  }

  /** Begins to connect; what is asked meanwhile waits. */
  static async create(options: ExternalBrokerOptions, log: Log): Promise<ExternalBroker> {
    const { MqttClient } = await import("mqtt");
    const broker = new ExternalBroker(options, log, MqttClient);
    broker.#dial();
    return broker;
  }

  get credentials(): DeviceCredentials {
    return this.#security;
  }

  /** From now on frames go to `devices`. */
  connect(devices: MqttDevices): void {
    this.#devices = devices;
  }

  publish(device: DeviceId, frame: Uint8Array, done: () => void): boolean {
    if (!this.#isReady || this.#client === null) {
      queueMicrotask(done);
      return false;
    }
    const payload = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    this.#client.publish(`${MQTT_TOPIC_PREFIX}${device}/down`, payload, { qos: 1 }, () => done());
    return true;
  }

  /** Bye has told the device, which goes by itself; one that does not listen is kept away. */
  disconnect(device: DeviceId, isFlooding: boolean): void {
    if (isFlooding) this.#security.ban(device);
  }

  /** Ends the connection behind what was published, or after a while. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#redial ?? undefined);
    const client = this.#client;
    if (client === null) return this.#security.close();
    const closed = new Promise<void>((resolve) => client.once("close", () => resolve()));
    if (!client.connected) this.cut();
    else {
      this.#security.close();
      client.end();
    }
    const timer = setTimeout(() => this.cut(), MQTT_CLOSE_MS);
    await closed;
    clearTimeout(timer);
  }

  /** Cuts the connection: MQTT.js's own way to do so does nothing while it waits for acknowledgements. */
  cut(): void {
    this.#client?.stream.destroy();
  }

  #dial(): void {
    const { username, password } = this.#options;
    const client = new this.#Client(() => this.#connect(), {
      protocolVersion: 4,
      // Of two with the same one the broker drops the older.
      clientId: `godwit-push-service-${randomBytes(8).toString("hex")}`,
      username,
      password,
      clean: true,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
    });
    this.#client = client;
    client.on("connect", () => void this.#begin(client));
    client.on("message", (topic, payload, { retain }) => this.#received(topic, payload, retain));
    client.on("error", (error) => {
      const code = "code" in error && typeof error.code === "number" ? error.code : null;
      this.#fail((code !== null && CONNACK_SENTENCES[code]) || "the broker does not speak MQTT with us");
    });
    client.on("close", () => this.#lost());
  }

  /** Called by the library, which swallows some errors of its stream: they are told here. */
  #connect(): Duplex {
    const url = new URL(this.#options.url);
    const { ca } = this.#options;
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const isTls = url.protocol === "mqtts:";
    const port = Number(url.port || (isTls ? 8883 : 1883));
    const socket = isTls
      ? connectTls({
          host,
          port,
          ...(isIP(host) === 0 ? { servername: host } : {}),
          ...tlsOptions(ca || null),
        })
      : connectTcp({ host, port }).setNoDelay(true);
    socket.prependListener("error", (error: NodeJS.ErrnoException) => {
      const isTrust = causeOf(error) === "tls";
      if (isTrust) this.#fail("the broker's certificate is not trusted");
      else if (!this.#isReady) this.#fail("the broker is not reachable");
    });
    return socket;
  }

  async #begin(client: MqttClient): Promise<void> {
    const isCurrent = () => this.#client === client && !this.#isClosing;
    const answers = await this.#subscribe(client, `${CONTROL_TOPIC}/response`);
    const state = answers ? await this.#security.prepare(this.#options.username) : "refused";
    // A connection that is of no use is made anew, and at once the one the broker will drop because of our new role.
    this.#redialMs = state === "again" ? 0 : MQTT_BROKER_RECONNECT_MS;
    if (state !== "ready" || !isCurrent()) return void client.stream.destroy();
    if (!(await this.#subscribe(client, UP_TOPICS)) || !isCurrent()) return void client.stream.destroy();
    this.#isReady = true;
    this.#isFailureTold = false;
    this.#log({ event: "broker-connected" });
    this.#security.begin();
    this.#devices?.handleBrokerReady();
  }

  async #subscribe(client: MqttClient, topic: string): Promise<boolean> {
    const isGranted = await new Promise<boolean>((resolve) => {
      client.once("close", () => resolve(false));
      client.subscribe(topic, { qos: 1 }, (error, granted) =>
        resolve(!error && (granted ?? []).every(({ qos }) => Number(qos) <= 2)),
      );
    });
    if (!isGranted && client.connected) this.#fail("the broker refuses a subscription");
    return isGranted;
  }

  #lost(): void {
    const wasReady = this.#isReady;
    this.#isReady = false;
    this.#client = null;
    this.#security.lost();
    this.#devices?.handleBrokerLost();
    if (this.#isClosing) return;
    if (wasReady) this.#fail("the connection to the broker is lost");
    this.#redial = setTimeout(() => this.#dial(), this.#redialMs);
  }

  #received(topic: string, payload: Buffer, isRetained: boolean): void {
    if (topic === `${CONTROL_TOPIC}/response`) return this.#security.answered(payload);
    const device = /^godwit\/v1\/([0-9a-f]{32})\/up$/.exec(topic)?.[1];
    // What the broker kept was said some other day; what a flood left behind is dropped unread.
    if (device === undefined || isRetained || this.#security.isBanned(device)) return;
    this.#devices?.handleUp(device, new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength));
  }

  /** Once for each time the broker is away. */
  #fail(error: string): void {
    if (this.#isFailureTold || this.#isClosing) return;
    this.#isFailureTold = true;
    this.#log({ event: "broker-failed", error });
  }
}
