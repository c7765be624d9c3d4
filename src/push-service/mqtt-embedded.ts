// SPDX-License-Identifier: MIT
/**
 * The MQTT broker inside the push service, on aedes (MQTT 3.1.1): a device enters with its uaid and uaToken, publishes to
 * its own `up` topic, subscribes to its own `down` topic, and can do nothing else. Nothing is kept: the store is the only queue.
 */

import type { Duplex } from "node:stream";
import { Aedes, type AuthenticateError, type Client } from "aedes";
import { hexEncode } from "../bytes.ts";
import { MQTT_PACKET_BYTES_MAX, TLS_HANDSHAKE_TIMEOUT_MS } from "../limits.ts";
import { BoundedMqttStream } from "../node/bounded-mqtt-stream.ts";
import type { Enrolment } from "./enrolment.ts";
import { HttpError } from "./http-errors.ts";
import { type Broker, type DeviceId, MQTT_TOPIC_PREFIX, type MqttDevices } from "./mqtt.ts";

/** MQTT 3.1.1 §3.2.2.3. */
const CONNACK = { unavailable: 3, badCredentials: 4, notAuthorized: 5 } as const;
/** An uaid as hex. */
const CLIENT_ID_CHARS_MAX = 32;

export class EmbeddedBroker implements Broker {
  #enrolment: Enrolment | null = null;
  readonly #clients = new Map<DeviceId, Client>();
  /** Frames given to aedes and not yet to the socket, and whether to end behind them. */
  readonly #pending = new WeakMap<Client, { frames: number; isEnding: boolean }>();
  readonly #aedes: Aedes;
  #devices: MqttDevices | null = null;

  private constructor() {
    this.#aedes = new Aedes({
      connectTimeout: TLS_HANDSHAKE_TIMEOUT_MS,
      maxClientsIdLength: CLIENT_ID_CHARS_MAX,
      maxInflightInbound: 1,
      queueLimit: 1,
      authenticate: (client, username, password, done) => {
        this.#authenticate(client, username, password).then(
          () => done(null, true),
          (error: AuthenticateError) => done(error, null),
        );
      },
      authorizeSubscribe: (client, subscription, done) =>
        done(null, subscription.topic === topicOf(client.id, "down") ? subscription : null),
      // Read here, in the order of arrival: nobody is subscribed to it.
      authorizePublish: (client, { topic, payload, qos, retain }, done) => {
        if (client === null) return done(null);
        const isOwn = topic === topicOf(client.id, "up") && qos < 2 && !retain && typeof payload !== "string";
        if (!isOwn) return done(new Error("not a topic of this device"));
        // An empty one is the last will, and the connection's own end has told already.
        if (payload.length > 0 && this.#clients.get(client.id) === client)
          this.#devices?.handleUp(
            client.id,
            new Uint8Array(payload.buffer, payload.byteOffset, payload.length),
          );
        done(null);
      },
      authorizeForward: (client, packet) => (packet.topic === topicOf(client.id, "down") ? packet : null),
    });
    this.#aedes.on("clientReady", (client) => this.#clients.set(client.id, client));
    this.#aedes.on("clientDisconnect", (client) => {
      if (this.#clients.get(client.id) !== client) return;
      this.#clients.delete(client.id);
      this.#devices?.handleGone(client.id);
    });
    // aedes has closed the connection; without listeners nothing would be different.
    this.#aedes.on("clientError", () => {});
    this.#aedes.on("connectionError", () => {});
  }

  /** A broker that serves the connections it is given, once {@link connect}ed. */
  static async create(): Promise<EmbeddedBroker> {
    const broker = new EmbeddedBroker();
    await broker.#aedes.listen();
    return broker;
  }

  /** From now on devices may enter, and their frames go to `devices`. */
  connect(devices: MqttDevices, enrolment: Enrolment): void {
    this.#devices = devices;
    this.#enrolment = enrolment;
  }

  /** Takes over a TCP or TLS connection that is to speak MQTT. */
  serve(socket: Duplex): void {
    this.#aedes.handle(new BoundedMqttStream(socket, MQTT_PACKET_BYTES_MAX));
  }

  publish(device: DeviceId, frame: Uint8Array, done: () => void): void {
    const client = this.#clients.get(device);
    if (client === undefined) return void queueMicrotask(done);
    const pending = this.#pendingOf(client);
    pending.frames++;
    const payload = Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength);
    const packet = {
      cmd: "publish",
      topic: topicOf(device, "down"),
      payload,
      qos: 1,
      dup: false,
      retain: false,
    };
    client.publish(packet as Parameters<Client["publish"]>[0], () => {
      pending.frames--;
      done();
      if (pending.isEnding) this.disconnect(device);
    });
  }

  disconnect(device: DeviceId): void {
    const client = this.#clients.get(device);
    if (client === undefined) return;
    const pending = this.#pendingOf(client);
    pending.isEnding = true;
    if (pending.frames === 0) client.conn.end(() => client.close());
  }

  /** Ends every connection behind what was published. */
  drain(): void {
    for (const device of [...this.#clients.keys()]) this.disconnect(device);
  }

  /** Cuts what is left. */
  close(): Promise<void> {
    return new Promise((resolve) => this.#aedes.close(() => resolve()));
  }

  async #authenticate(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<void> {
    const device = await this.#deviceOf(password?.toString("latin1") ?? null);
    // Another client id would end that device's connection; a kept session would be a second queue.
    const isItself = client.id === username && username === device && client.clean;
    if (!isItself) throw refusal(CONNACK.notAuthorized);
  }

  async #deviceOf(uaToken: string | null): Promise<DeviceId> {
    try {
      if (this.#enrolment === null) throw new HttpError("draining");
      return hexEncode((await this.#enrolment.authenticate(uaToken)).uaid);
    } catch (error) {
      const isToken = error instanceof HttpError && error.httpErrorName === "uaToken";
      throw refusal(isToken ? CONNACK.badCredentials : CONNACK.unavailable);
    }
  }

  #pendingOf(client: Client): { frames: number; isEnding: boolean } {
    const pending = this.#pending.get(client) ?? { frames: 0, isEnding: false };
    this.#pending.set(client, pending);
    return pending;
  }
}

function topicOf(device: DeviceId, direction: "up" | "down"): string {
  return `${MQTT_TOPIC_PREFIX}${device}/${direction}`;
}

function refusal(returnCode: number): AuthenticateError {
  return Object.assign(new Error("refused"), { returnCode });
}
