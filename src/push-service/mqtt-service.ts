// SPDX-License-Identifier: MIT
/** What MQTT adds to a push service: a broker, inside or external, the listener of the former, the devices behind it. */

import type { Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, Server as TlsServer } from "node:tls";
import { hexEncode } from "../bytes.ts";
import { MQTT_BROKER_HEARTBEAT_S_MAX, TLS_HANDSHAKE_TIMEOUT_MS } from "../limits.ts";
import { type ConnectionBounds, Connections } from "./connections.ts";
import type { Enrolment } from "./enrolment.ts";
import type { Log } from "./log.ts";
import { MqttDevices } from "./mqtt.ts";
import type { EmbeddedBroker } from "./mqtt-embedded.ts";
import type { ExternalBroker, ExternalBrokerOptions } from "./mqtt-external.ts";
import type { DeviceCredentials, SessionServices } from "./session-host.ts";

/** See `PushServiceOptions.mqtt`. */
export type MqttOptions = { readonly port: number } | { readonly broker: ExternalBrokerOptions };

export interface MqttStartOptions {
  readonly services: SessionServices;
  readonly enrolment: Enrolment;
  readonly deviceLinksMax: number;
  readonly tls: { readonly cert: string; readonly key: string } | null;
  readonly host: string;
  readonly bounds: ConnectionBounds;
}

export const MQTT_ALPN = "mqtt";

export class MqttService {
  readonly #options: MqttOptions;
  readonly #embedded: EmbeddedBroker | null;
  readonly #external: ExternalBroker | null;
  #listener: Server | null = null;
  #connections: Connections | null = null;
  #isStarted = false;

  private constructor(
    options: MqttOptions,
    embedded: EmbeddedBroker | null,
    external: ExternalBroker | null,
  ) {
    this.#options = options;
    this.#embedded = embedded;
    this.#external = external;
  }

  /** Loads the library that is needed, and no other. */
  static async create(options: MqttOptions, log: Log): Promise<MqttService> {
    if ("broker" in options) {
      const { ExternalBroker } = await import("./mqtt-external.ts");
      return new MqttService(options, null, await ExternalBroker.create(options.broker, log));
    }
    const { EmbeddedBroker } = await import("./mqtt-embedded.ts");
    return new MqttService(options, await EmbeddedBroker.create(), null);
  }

  /** Whom to tell of tokens, or null where the broker asks the service itself. */
  get credentials(): DeviceCredentials | null {
    return this.#external?.credentials ?? null;
  }

  /** Of the embedded broker; 0 without a listener. */
  get port(): number {
    return (this.#listener?.address() as AddressInfo | null)?.port ?? 0;
  }

  /** Open connections to the embedded broker's own port. */
  get connections(): number {
    return this.#connections?.size ?? 0;
  }

  /** @throws {NodeJS.ErrnoException} as `net.Server.listen` */
  async start({ services, enrolment, deviceLinksMax, ...listening }: MqttStartOptions): Promise<void> {
    const isEmbedded = this.#embedded !== null;
    const options = {
      services: {
        ...services,
        canary: null,
        ...(isEmbedded ? {} : { heartbeatSMax: MQTT_BROKER_HEARTBEAT_S_MAX }),
      },
      enrolment,
      deviceLinksMax,
      givesFreshTokens: isEmbedded,
      isShared: !isEmbedded && !services.fleet.isAlone,
    };
    if (this.#external !== null) {
      const devices = new MqttDevices(options, this.#external);
      this.#external.connect(devices);
      // One that was connected before this service began is at the broker still, and waits for nothing.
      services.hub.whenAbsent((uaid, isNobodys) => devices.handleAbsent(hexEncode(uaid), { isNobodys }));
    } else if (this.#embedded !== null) {
      this.#embedded.connect(new MqttDevices(options, this.#embedded), enrolment);
      await this.#listen(listening);
    }
    this.#isStarted = true;
  }

  /** Takes over a connection to the service's own port that negotiated {@link MQTT_ALPN}. */
  serve(socket: Socket): void {
    if (this.#isStarted && this.#embedded !== null) this.#embedded.serve(socket);
    else socket.destroy();
  }

  /** New connections to the listener get this certificate. */
  useTls(tls: { readonly cert: string; readonly key: string }): void {
    if (this.#listener instanceof TlsServer) this.#listener.setSecureContext(tls);
  }

  /** Waits until every device has gone; see {@link cut}. */
  async close(): Promise<void> {
    this.#isStarted = false;
    this.#embedded?.drain();
    this.#connections?.cutSilent();
    const listener = this.#listener;
    if (listener !== null) await new Promise((resolve) => listener.close(resolve));
    await this.#embedded?.close();
    await this.#external?.close();
  }

  /** Cuts every connection to the listener, and the one to an external broker. */
  cut(): void {
    this.#connections?.cutAll();
    this.#external?.cut();
  }

  async #listen({ tls, host, bounds }: Pick<MqttStartOptions, "tls" | "host" | "bounds">): Promise<void> {
    // Those still busy with TLS are silent until then.
    const serve = (socket: Socket): void => {
      this.#connections?.upgraded(socket);
      this.serve(socket);
    };
    const tlsBounds = { handshakeTimeout: TLS_HANDSHAKE_TIMEOUT_MS, minVersion: "TLSv1.2" } as const;
    const listener =
      tls === null ? createTcpServer({ noDelay: true }) : createTlsServer({ ...tls, ...tlsBounds });
    this.#listener = listener;
    this.#connections = new Connections(listener, bounds);
    listener.on(tls === null ? "connection" : "secureConnection", serve);
    const port = "port" in this.#options ? this.#options.port : 0;
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen({ host, port }, () => {
        listener.off("error", reject);
        resolve();
      });
    });
  }
}

/** Connections to `server` that negotiated MQTT go to `serve`, all others to HTTP as before. */
export function divertMqtt(server: HttpServer | HttpsServer, serve: (socket: TLSSocket) => void): void {
  const serveHttp = server.listeners("secureConnection");
  server.removeAllListeners("secureConnection");
  server.on("secureConnection", (socket: TLSSocket) => {
    if (socket.alpnProtocol === MQTT_ALPN) serve(socket);
    else for (const listener of serveHttp) listener.call(server, socket);
  });
}
