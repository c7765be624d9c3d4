// SPDX-License-Identifier: MIT
/**
 * The MQTT broker inside the push service, on aedes (MQTT 3.1.1): a device enters with its uaid and uaToken, publishes to
 * its own `up` topic, subscribes to its own `down` topic, and can do nothing else. Nothing is kept: the store is the only queue.
 */

import type { Duplex } from "node:stream";
import { Aedes, type AuthenticateError, type Client, type ConnectPacket } from "aedes";
import { hexEncode } from "../bytes.ts";
import {
  LINK_FRAMES_BURST_MAX,
  LINK_FRAMES_PER_SECOND_MAX,
  MQTT_CONTROL_BYTES_MAX,
  MQTT_PACKET_BYTES_MAX,
  MQTT_REGISTER_TIMEOUT_MS,
  TLS_HANDSHAKE_TIMEOUT_MS,
} from "../limits.ts";
import { BoundedMqttStream, MQTT_PACKET } from "../node/bounded-mqtt-stream.ts";
import type { Enrolment } from "./enrolment.ts";
import { HttpError } from "./http-errors.ts";
import { type Broker, type DeviceId, MQTT_TOPIC_PREFIX, type MqttDevices } from "./mqtt.ts";
import { TokenBucket } from "./rate-limit.ts";

/** MQTT 3.1.1 §3.2.2.3. */
const CONNACK = { unavailable: 3, badCredentials: 4, notAuthorized: 5 } as const;
/** An uaid as hex. */
const CLIENT_ID_CHARS_MAX = 32;

interface Connection {
  readonly stream: Duplex;
  /** Frames given to aedes and not yet to the socket, and whether to end behind them. */
  pendingFrames: number;
  isEnding: boolean;
  /** Frames the device owes a PUBACK. */
  unacknowledged: number;
  /** Runs until the device says its first frame. */
  register: NodeJS.Timeout | null;
}

export class EmbeddedBroker implements Broker {
  #enrolment: Enrolment | null = null;
  readonly #clients = new Map<DeviceId, Client>();
  readonly #connections = new WeakMap<Client, Connection>();
  /** Connections that are not a device's yet. */
  readonly #entering = new Set<Duplex>();
  readonly #aedes: Aedes;
  #devices: MqttDevices | null = null;

  private constructor() {
    this.#aedes = new Aedes({
      connectTimeout: TLS_HANDSHAKE_TIMEOUT_MS,
      maxClientsIdLength: CLIENT_ID_CHARS_MAX,
      maxInflightInbound: 1,
      queueLimit: 1,
      preConnect: (_client, packet, done) =>
        done(isHarmless(packet) ? null : new Error("not a last will of this device"), isHarmless(packet)),
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
        // Its last will: the connection's own end tells.
        if (client.closed) return done(new Error("gone"));
        const isOwn = topic === topicOf(client.id, "up") && qos < 2 && !retain && typeof payload !== "string";
        if (!isOwn) return done(new Error("not a topic of this device"));
        // An empty one is the farewell before DISCONNECT, and the connection's own end tells.
        if (payload.length > 0 && this.#clients.get(client.id) === client) {
          this.#endRegisterTimeout(client);
          const frame = new Uint8Array(payload.buffer, payload.byteOffset, payload.length);
          this.#devices?.handleUp(client.id, frame);
        }
        done(null);
      },
      authorizeForward: (client, packet) => (packet.topic === topicOf(client.id, "down") ? packet : null),
    });
    this.#aedes.on("clientReady", (client) => this.#entered(client));
    this.#aedes.on("clientDisconnect", (client) => {
      this.#endRegisterTimeout(client);
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
    const rate = new TokenBucket({
      burstMax: LINK_FRAMES_BURST_MAX,
      perMinute: LINK_FRAMES_PER_SECOND_MAX * 60,
    });
    const takes = (type: number, bytes: number): boolean => {
      const isLong = type === MQTT_PACKET.connect || type === MQTT_PACKET.publish;
      if (!isLong && bytes > MQTT_CONTROL_BYTES_MAX) return false;
      // What it has to answer costs it nothing: a long queue is fetched as fast as it goes.
      if (type === MQTT_PACKET.puback && connection.unacknowledged > 0) {
        connection.unacknowledged--;
        return true;
      }
      return rate.take(performance.now()) === 0;
    };
    const stream = new BoundedMqttStream(socket, MQTT_PACKET_BYTES_MAX, takes);
    const connection: Connection = {
      stream,
      pendingFrames: 0,
      isEnding: false,
      unacknowledged: 0,
      register: null,
    };
    this.#entering.add(stream);
    stream.once("close", () => this.#entering.delete(stream));
    this.#connections.set(this.#aedes.handle(stream), connection);
  }

  publish(device: DeviceId, frame: Uint8Array, done: () => void): boolean {
    const client = this.#clients.get(device);
    const connection = client && this.#connections.get(client);
    if (client === undefined || connection === undefined) {
      queueMicrotask(done);
      return false;
    }
    connection.pendingFrames++;
    connection.unacknowledged++;
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
      connection.pendingFrames--;
      done();
      if (connection.isEnding) this.#endWhenSent(client, connection);
    });
    return true;
  }

  disconnect(device: DeviceId): void {
    const client = this.#clients.get(device);
    const connection = client && this.#connections.get(client);
    if (client === undefined || connection === undefined) return;
    connection.isEnding = true;
    this.#endWhenSent(client, connection);
  }

  /** Ends every connection behind what was published, and those at once that said nothing yet. */
  drain(): void {
    for (const stream of this.#entering) stream.destroy();
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

  #entered(client: Client): void {
    this.#clients.set(client.id, client);
    const connection = this.#connections.get(client);
    if (connection === undefined) return;
    this.#entering.delete(connection.stream);
    // Without a session nobody would notice that it is gone.
    connection.register = setTimeout(() => this.disconnect(client.id), MQTT_REGISTER_TIMEOUT_MS);
  }

  #endRegisterTimeout(client: Client): void {
    clearTimeout(this.#connections.get(client)?.register ?? undefined);
  }

  #endWhenSent(client: Client, { pendingFrames }: Connection): void {
    if (pendingFrames === 0) client.conn.end(() => client.close());
  }
}

/** Without a last will, or with the one that is the device's own. Anything else would speak when nobody is there. */
function isHarmless({ clientId, will }: ConnectPacket): boolean {
  if (will === undefined || will === null) return true;
  return (
    will.topic === topicOf(clientId, "up") &&
    (will.payload?.length ?? 0) === 0 &&
    (will.qos ?? 0) < 2 &&
    !will.retain
  );
}

function topicOf(device: DeviceId, direction: "up" | "down"): string {
  return `${MQTT_TOPIC_PREFIX}${device}/${direction}`;
}

function refusal(returnCode: number): AuthenticateError {
  return Object.assign(new Error("refused"), { returnCode });
}
